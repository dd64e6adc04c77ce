"""Bad input: a report by row and reason, the good rows in, the bad rows kept, nothing dropped."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from connectors.records import rejects
from connectors.records.report import ImportReport
from tests.records.conftest import BOARD, ImportRooms
from warning_service.events.log import read
from warning_service.events.types import ObservationRecorded
from warning_service.roster import tables as t
from warning_service.roster.service import set_opt_out

HEAD = "学籍番号,日付,出欠区分\n"
GOOD = "K001,令和7年4月8日,欠席\n"


def observations(town: ImportRooms) -> list[tuple[str, str, float]]:
    with town.database.reading() as conn:
        return [
            (event.on.isoformat(), event.body.item, event.body.value)
            for event in read(conn, BOARD, 0, 10_000)
            if isinstance(event.body, ObservationRecorded)
        ]


def add_up(report: ImportReport) -> int:
    return (
        report.rows_new + report.rows_known + report.rows_rejected
        + report.rows_opted_out + report.rows_not_counted
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        ("K002,令和7年13月8日,欠席", "日付", "暦にない日"),
        ("K002,平成31年5月1日,欠席", "日付", "元号の期間にない"),
        ("K002,らいしゅう,欠席", "日付", "日付として読めません"),
        ("K002,,欠席", "日付", "空欄"),
        ("K002,令和9年4月8日,欠席", "日付", "未来"),
        ("K002,1999/4/8,欠席", "日付", "2000年より前"),
        ("K002,令和7年4月8日,さぼり", "出欠区分", "知らない区分"),
        ("K999,令和7年4月8日,欠席", "学籍番号", "名簿にいない"),
        ("春野そら,令和7年4月8日,欠席", "学籍番号", "番号として読めません"),
        (",令和7年4月8日,欠席", "学籍番号", "空欄"),
        ("K001,R7.4.8,欠席", "", "もうあります"),
        ("K002,令和7年4月8日", "", "列の数"),
        ("K002,令和7年4月8日,欠席,よけい", "", "列の数"),
    ],
)
def test_each_bad_row_is_named_and_kept(
    town: ImportRooms, line: str, column: str, reason: str
) -> None:
    report = town.take(HEAD + GOOD + line + "\nK003,2025/4/8,遅刻\n")
    assert (report.rows_total, report.rows_new, report.rows_rejected) == (3, 2, 1)
    assert add_up(report) == report.rows_total
    problem = report.problems[0]
    assert (problem.row, problem.column) == (3, column)
    assert reason in problem.reason_ja
    assert problem.reason_en.isascii()
    assert observations(town) == [("2025-04-08", "absent_days", 1), ("2025-04-08", "late_days", 1)]
    with town.database.reading() as conn:
        (kept,) = rejects.waiting(conn, BOARD)
    assert (kept.row_number, kept.column, kept.kind) == (3, column, "attendance")
    for cell in line.split(","):
        assert cell in kept.raw


def test_bytes_that_are_no_text_spoil_their_row_only(town: ImportRooms) -> None:
    data = (HEAD + GOOD).encode("cp932") + b"K002,2025/4/8,\x8c\x87\x90\xff\n" + b"K003,2025/4/8,"
    report = town.take(data + "早退\n".encode("cp932"))
    assert (report.rows_new, report.rows_rejected) == (2, 1)
    assert [(p.row, p.column) for p in report.problems] == [(3, "出欠区分")] * len(report.problems)
    assert "文字コード" in report.problems[0].reason_ja
    with town.database.reading() as conn:
        assert "\\\\x" in rejects.waiting(conn, BOARD)[0].raw


@pytest.mark.parametrize(
    ("data", "column", "reason"),
    [
        (b"", "", "中身がありません"),
        (b"\xff\xfeh\x00", "", "UTF-16"),
        (b"PK\x03\x04rest", "", "Excel"),
        ("学籍番号,日付\nK001,2025/4/8\n".encode("cp932"), "出欠区分", "必要な列"),
        ("あ,い\n1,2\n".encode("cp932"), "", "種類がわかりません"),
        ("学籍番号,日付,日付,出欠\nK001,2025/4/8,2025/4/8,欠席\n".encode("cp932"), "日付", "2つ"),
        ('学籍番号,日付,出欠\n"K001,2025/4/8,欠席\n'.encode("cp932"), "", "引用符"),
        (b"x" * (20 * 1024 * 1024 + 1), "", "大きすぎます"),
    ],
)
def test_a_file_that_cannot_be_taken_as_a_whole(
    town: ImportRooms, data: bytes, column: str, reason: str
) -> None:
    report = town.take(data)
    assert report.refused
    assert not report.ok
    assert add_up(report) == report.rows_total
    assert report.problems[0].column == column
    assert reason in report.problems[0].reason_ja
    assert observations(town) == []


def test_the_same_file_again_changes_nothing(town: ImportRooms) -> None:
    text = HEAD + GOOD + "K002,2025/4/8,遅刻・早退\nK999,2025/4/8,欠席\nK003,2025/4/8,忌引\n"
    first, second = town.take(text), town.take(text)
    assert (first.rows_new, first.rows_rejected, first.rows_not_counted) == (2, 1, 1)
    assert (second.rows_new, second.rows_known) == (0, 2)
    assert len(observations(town)) == 3
    other_encoding = town.take(b"\xef\xbb\xbf" + text.encode(), name="other.csv")
    assert (other_encoding.encoding, other_encoding.rows_known) == ("utf-8", 2)
    assert len(observations(town)) == 3
    with town.database.reading() as conn:
        assert len(rejects.waiting(conn, BOARD)) == 1
        assert conn.execute(select(func.count()).select_from(t.rejects)).scalar_one() == 1
        imports = conn.execute(select(t.imports).order_by(t.imports.c.id)).all()
    assert [row.kind for row in imports].count("attendance") == 3


def test_mended_rows_are_taken_and_leave_the_pile(town: ImportRooms) -> None:
    town.take(HEAD + "K999,2025/4/8,欠席\nK002,2025/4/31,欠席\n")
    with town.database.reading() as conn:
        pile = rejects.as_csv(rejects.waiting(conn, BOARD, "attendance"))
    text = pile.decode("cp932")
    assert "名簿にいない番号です" in text
    report = town.take(text.replace("2025/4/31", "2025/4/30"), name="mended.csv")
    assert (report.rows_new, report.rows_rejected, report.rows_mended) == (1, 1, 1)
    with town.database.reading() as conn:
        (left,) = rejects.waiting(conn, BOARD)
    assert "K999" in left.raw
    assert observations(town) == [("2025-04-30", "absent_days", 1)]


def test_a_row_is_mended_when_the_unknown_child_comes_on_the_roll(town: ImportRooms) -> None:
    text = HEAD + "K004,2025/4/8,欠席\n"
    assert town.take(text).rows_rejected == 1
    head = "学籍番号,氏名,生年月日,学校,学年,組,出席番号,基準日\n"
    town.take(head + "K004,冬木 ゆき,H27.12.1,sakura,5,1,3,R7.4.1\n")
    again = town.take(text)
    assert (again.rows_new, again.rows_mended) == (1, 1)
    with town.database.reading() as conn:
        assert rejects.waiting(conn, BOARD) == []


def test_opted_out_children_are_counted_and_not_linked(town: ImportRooms) -> None:
    with town.database.reading() as conn:
        student = conn.execute(
            select(t.students.c.student).where(t.students.c.number == "K002")
        ).scalar_one()
    set_opt_out(town.log, board=BOARD, student=student, refused=True, actor="staff")
    report = town.take(HEAD + GOOD + "K002,2025/4/8,欠席\n")
    assert (report.rows_new, report.rows_opted_out, report.rows_rejected) == (1, 1, 0)
    assert observations(town) == [("2025-04-08", "absent_days", 1)]


def test_unread_columns_are_named(town: ImportRooms) -> None:
    report = town.take("学籍番号,日付,出欠区分,備考\nK001,2025/4/8,欠席,かぜ\n")
    assert report.ignored_columns == ("備考",)


def test_reasons_never_repeat_a_cell(town: ImportRooms) -> None:
    report = town.take(HEAD + "春野そら,ひみつの日,ひみつ\n")
    said = " ".join(p.reason_ja + p.reason_en + p.column for p in report.problems)
    assert len(report.problems) == 3
    assert "ひみつ" not in said
    assert "春野" not in said


def test_a_named_kind_is_held_to(town: ImportRooms) -> None:
    assert town.take(HEAD + GOOD, kind="nurse").refused
    with pytest.raises(KeyError):
        town.take(HEAD + GOOD, kind="nonsense")
