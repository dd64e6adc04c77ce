"""Files of accounts: an address is noted for one person, and may go round within one file."""

from __future__ import annotations

from sqlalchemy import select

from tests.records.conftest import BOARD, ImportRooms
from warning_service.roster import tables as t

STAFF = (
    "ログインID,職員氏名,担当,学校名,開始日\n"
    "sato,佐藤 花,養護教諭,さくら小学校,R8.4.1\nkato,加藤 空,養護教諭,さくら小学校,R8.4.1\n"
)


def noted(rooms: ImportRooms, kind: str) -> dict[str, str]:
    """Address -> number or login."""
    e, s, a = t.expected_accounts, t.students, t.staff
    with rooms.database.reading() as conn:
        names = {
            **{row.student: row.number for row in conn.execute(select(s))},
            **{row.staff: row.login for row in conn.execute(select(a))},
        }
        rows = conn.execute(select(e).where(e.c.kind == kind, e.c.board == BOARD)).all()
    return {row.account: names[row.key] for row in rows}


def test_addresses_are_noted_and_a_second_time_known(town: ImportRooms) -> None:
    assert town.take(STAFF).rows_new == 2
    children = "学籍番号,アカウント\nK001,Sora@ed.example\nK002,riku@ed.example\n"
    staff = "ログインID,メールアドレス\nSato,sato@ed.example\n"
    assert [town.take(text).rows_new for text in (children, staff)] == [2, 1]
    assert [town.take(text).rows_known for text in (children, staff)] == [2, 1]
    assert noted(town, "child") == {"sora@ed.example": "K001", "riku@ed.example": "K002"}
    assert noted(town, "staff") == {"sato@ed.example": "sato"}


def test_addresses_may_go_round_in_one_file(town: ImportRooms) -> None:
    town.take("学籍番号,アカウント\nK001,a@ed.example\nK002,b@ed.example\n")
    turned = town.take("学籍番号,アカウント\nK001,b@ed.example\nK002,c@ed.example\n")
    assert turned.rows_new == 2
    assert noted(town, "child") == {"b@ed.example": "K001", "c@ed.example": "K002"}


def test_what_cannot_be_taken_says_why(town: ImportRooms) -> None:
    town.take("学籍番号,アカウント\nK001,a@ed.example\n")
    report = town.take(
        "学籍番号,アカウント\n"
        "K002,a@ed.example\nK003,not-an-address\nK009,x@ed.example\n,y@ed.example\n"
        "K001,still bad\nK003,z@ed.example\nK003,w@ed.example\nK002,z@ed.example\n"
    )
    assert (report.rows_new, report.rows_rejected) == (1, 7)
    assert noted(town, "child") == {"a@ed.example": "K001", "z@ed.example": "K003"}
