"""Days as Japanese offices write them, read into dates; and dates written their way.

Read: 令和7年4月8日, 令7.4.8, R7.4.8, R07/04/08, R070408, 2025-04-08, 2025/4/8, 2025年4月8日,
20250408, each also in full-width figures. The era has to fit the day (平成31年5月1日 was never a
day): such a cell is usually a slip of the hand, and the reader cannot know which half is right.

Not here: times of day, and whether a day is plausible for a fact (`cells.py`).
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from functools import lru_cache

from japanera import EraDate

_ERAS = {
    "令和": "令和", "令": "令和", "R": "令和",
    "平成": "平成", "平": "平成", "H": "平成",
    "昭和": "昭和", "昭": "昭和", "S": "昭和",
}  # fmt: skip
_SPLIT = re.compile(
    r"(?P<era>令和|平成|昭和|令|平|昭|R|H|S)?(?P<year>元|\d{1,4})"
    r"(?:年|[./-])(?P<month>\d{1,2})(?:月|[./-])(?P<day>\d{1,2})日?"
)
_PACKED = re.compile(
    r"(?:(?P<era>R|H|S)(?P<eyear>\d{2})|(?P<year>\d{4}))(?P<month>\d{2})(?P<day>\d{2})"
)
_WEEKDAY = re.compile(r"\([月火水木金土日]\)$")


class NotADay(ValueError):
    """A text that is no day. `reason_ja`, `reason_en`: why, without repeating the text."""

    def __init__(self, reason_ja: str, reason_en: str) -> None:
        super().__init__(reason_en)
        self.reason_ja = reason_ja
        self.reason_en = reason_en


def _refuse() -> NotADay:
    return NotADay(
        "日付として読めません(例:令和7年4月8日、R7.4.8、2025/4/8)",
        "not a date (write it like R7.4.8 or 2025/4/8)",
    )


@lru_cache(maxsize=8192)
def parse_day(text: str) -> date:
    """The day a cell means. Raises NotADay for anything that is not exactly one day."""
    plain = "".join(unicodedata.normalize("NFKC", text).split()).upper()
    plain = _WEEKDAY.sub("", plain)
    found = _SPLIT.fullmatch(plain) or _PACKED.fullmatch(plain)
    if found is None:
        raise _refuse()
    parts = found.groupdict()
    era = parts["era"]
    year = parts["year"] or parts.get("eyear") or ""
    if era is None:
        if len(year) != 4:
            raise NotADay(
                "年が4桁でも元号でもありません", "the year has neither four digits nor an era"
            )
        try:
            return date(int(year), int(parts["month"]), int(parts["day"]))
        except ValueError:
            raise NotADay("暦にない日です", "no such day in the calendar") from None
    return _of_era(_ERAS[era], year, int(parts["month"]), int(parts["day"]))


def _of_era(era: str, year: str, month: int, day: int) -> date:
    number = 1 if year == "元" else int(year)
    if not 1 <= number <= 99:
        raise _refuse()
    try:
        found = EraDate.strptime(f"{era}{number}年{month}月{day}日", "%-K%-y年%m月%d日")[0]
    except ValueError:
        raise NotADay(
            "暦にない日か、その元号の期間にない日です",
            "no such day in the calendar, or outside that era",
        ) from None
    return date(found.year, found.month, found.day)


@lru_cache(maxsize=8192)
def wareki(day: date) -> str:
    """令和7年4月8日 (令和元年 for a first year). Raises ValueError before the era 昭和."""
    era = EraDate.from_date(day)
    if era.era is None or era.era.kanji not in _ERAS:
        raise ValueError("before 昭和")
    number = day.year - era.era.since.year + 1
    return f"{era.era.kanji}{'元' if number == 1 else number}年{day.month}月{day.day}日"


def short_wareki(day: date) -> str:
    """R7.4.8, as in tables. Raises ValueError before the era 昭和."""
    era = EraDate.from_date(day)
    letters = {"令和": "R", "平成": "H", "昭和": "S"}
    if era.era is None or era.era.kanji not in letters:
        raise ValueError("before 昭和")
    number = day.year - era.era.since.year + 1
    return f"{letters[era.era.kanji]}{number}.{day.month}.{day.day}"
