"""Days as offices write them."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.records.dates import NotADay, parse_day, short_wareki, wareki

DAY = date(2025, 4, 8)


@pytest.mark.parametrize(
    "text",
    [
        "令和7年4月8日", "令和 7年 4月 8日", "令和7年4月8日(火)", "令7.4.8", "R7.4.8", "R07/04/08",
        "r7-4-8", "R070408", "Ｒ７．４．８", "２０２５／４／８", "2025/4/8", "2025-04-08",
        "2025.4.8", "2025年4月8日", "20250408", " 2025/04/08　",
    ],
)  # fmt: skip
def test_one_day_in_many_writings(text: str) -> None:
    assert parse_day(text) == DAY


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("令和元年5月1日", date(2019, 5, 1)),
        ("平成31年4月30日", date(2019, 4, 30)),
        ("平成元年1月8日", date(1989, 1, 8)),
        ("昭和64年1月7日", date(1989, 1, 7)),
        ("S63.12.31", date(1988, 12, 31)),
        ("H28/2/29", date(2016, 2, 29)),
    ],
)
def test_where_eras_meet(text: str, day: date) -> None:
    assert parse_day(text) == day


@pytest.mark.parametrize(
    "text",
    [
        "", "未定", "4月8日", "7/4/8", "令和7年", "令和7年13月1日", "令和7年2月29日", "2025/2/29",
        "2025/4/31", "平成31年5月1日", "昭和64年1月8日", "令和0年1月1日", "X7.4.8", "2025/4/8/1",
        "2025/4/8 12:00", "R7.4.8 R7.4.9", "45755", "令和元年4月30日", "明治5年1月1日",
    ],
)  # fmt: skip
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(NotADay) as refused:
        parse_day(text)
    assert refused.value.reason_ja
    assert refused.value.reason_en
    assert not text or text not in refused.value.reason_ja.split("(")[0]


@given(st.dates(min_value=date(1927, 1, 1), max_value=date(2099, 12, 31)))
def test_what_we_write_we_read(day: date) -> None:
    for text in (wareki(day), short_wareki(day), day.isoformat(), f"{day:%Y%m%d}"):
        assert parse_day(text) == day
        assert parse_day(text.translate(str.maketrans("0123456789", "０１２３４５６７８９"))) == day


@given(st.text(max_size=12))
def test_any_text_is_a_day_or_refused(text: str) -> None:
    with contextlib.suppress(NotADay):
        assert isinstance(parse_day(text), date)


def test_first_years_are_written_with_gannen() -> None:
    assert wareki(date(2019, 5, 1)) == "令和元年5月1日"
    assert short_wareki(date(2019, 4, 30)) == "H31.4.30"
