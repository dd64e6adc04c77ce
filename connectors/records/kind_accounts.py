"""Files that say which account at a sign-in provider is whose: of staff by login, of children by
number.

Only an expectation is kept (access/doors/identities.py links when the account comes for the first
time). The file's address replaces what was noted for that person before, so that a year's new
addresses may go round among people in one file. It undoes no link.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, select

from connectors.records.cells import Cells
from connectors.records.job import Job
from warning_service.access.doors.identities import ADDRESS
from warning_service.roster import service
from warning_service.roster import tables as t

_AT_ONCE = 500


def take(job: Job, kind: str, rows: list[Cells]) -> None:
    """Take in addresses; `kind` is staff_accounts or child_accounts."""
    whose = "staff" if kind == "staff_accounts" else "child"
    with job.rooms.database.reading() as conn:
        people = _people(conn, job.board, whose)
        e = t.expected_accounts
        held = {
            row.account: row.key
            for row in conn.execute(
                select(e.c.account, e.c.key).where(e.c.kind == whose, e.c.board == job.board)
            )
        }
    good = _good(rows, whose, people, held)
    keys = sorted(key for _, _, key in good)
    with job.rooms.database.writing() as conn:
        for start in range(0, len(keys), _AT_ONCE):
            conn.execute(
                delete(e).where(
                    e.c.kind == whose,
                    e.c.board == job.board,
                    e.c.key.in_(keys[start : start + _AT_ONCE]),
                )
            )
        service.put_rows(
            conn, e, ["kind", "board", "account"],
            [
                {"kind": whose, "board": job.board, "account": account, "key": key}
                for _, account, key in good
            ],
        )  # fmt: skip
    for cells, account, key in good:
        job.settle(cells, "known" if held.get(account) == key else "new")


def _good(
    rows: list[Cells], whose: str, people: dict[str, str], held: dict[str, str]
) -> list[tuple[Cells, str, str]]:
    """(row, address, key) of the rows that can be taken; says of the others why not."""
    understood = [(cells, *_read(cells, whose, people)) for cells in rows]
    moving = {key for cells, _, key in understood if not cells.bad}
    good: list[tuple[Cells, str, str]] = []
    seen: set[str] = set()
    for cells, account, key in understood:
        if cells.bad:
            continue
        if account in seen or key in seen:
            cells.wrong(
                "", "同じ人かアカウントの行がこのファイルにもうあります",
                "the file has this person or account already",
            )  # fmt: skip
        elif account in held and held[account] != key and held[account] not in moving:
            cells.wrong(
                "account", "ほかの人のアカウントとして登録されています",
                "noted as somebody else's account",
            )  # fmt: skip
        else:
            seen |= {account, key}
            good.append((cells, account, key))
    return good


def _read(cells: Cells, whose: str, people: dict[str, str]) -> tuple[str, str]:
    """Address and key of a row, each '' when it is no good."""
    field = "login" if whose == "staff" else "number"
    name = cells.text("login").lower() if whose == "staff" else cells.number()
    account = cells.text("account").lower()
    if name and name not in people:
        cells.wrong(field, "名簿にいません", "nobody on the roll has this")
    if account and not ADDRESS.fullmatch(account):
        cells.wrong("account", "メールアドレスの形ではありません", "not like a mail address")
    return account, people.get(name, "")


def _people(conn: Connection, board: str, whose: str) -> dict[str, str]:
    """Login or number -> key, of that board."""
    rows: Any
    if whose == "staff":
        s = t.staff
        rows = conn.execute(select(s.c.login, s.c.staff).where(s.c.board == board))
    else:
        c = t.students
        rows = conn.execute(select(c.c.number, c.c.student).where(c.c.board == board))
    return {row[0]: row[1] for row in rows}
