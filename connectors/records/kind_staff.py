"""Adults and what they are there for: accounts and duties.

One row is one duty of one person. A new person gets an account without a usable password (the hash
of a random secret nobody keeps); setting passwords is not a file's business. A duty not named any
more stays until a row gives it an 終了日 (its last day).
"""

from __future__ import annotations

import re
import secrets
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import select

from connectors.records.cells import Cells
from connectors.records.job import Job
from connectors.records.kind_roster import class_id_of
from connectors.records.places import Schools
from warning_service.access.doors.staff import hash_secret
from warning_service.access.roles import OFFICES, Place, Role
from warning_service.roster import service
from warning_service.roster import tables as t
from warning_service.roster.calendar import school_year_of

_ROLES = {
    "担任": Role.HOMEROOM,
    "学年主任": Role.GRADE_LEAD,
    "養護教諭": Role.NURSE,
    "スクールカウンセラー": Role.COUNSELLOR,
    "スクールソーシャルワーカー": Role.SOCIAL_WORKER,
    "生徒指導主任": Role.GUIDANCE, "生徒指導": Role.GUIDANCE,
    "校長": Role.MANAGEMENT, "教頭": Role.MANAGEMENT, "管理職": Role.MANAGEMENT,
    "校内委員会": Role.COMMITTEE,
    "教育委員会": Role.BOARD,
    "指導主事": Role.BOARD_GUIDANCE,
    "福祉担当": Role.WELFARE,
    "個人情報担当": Role.PRIVACY,
    "アカウント管理者": Role.ACCOUNTS,
    "監査担当": Role.AUDITOR,
    "運用担当": Role.OPERATOR,
}  # fmt: skip
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")


class Entry(msgspec.Struct, frozen=True):
    """A good row."""

    cells: Cells
    login: str
    name: str
    slack: str | None
    role: Role
    place: str
    on: date
    until: date | None


def take(job: Job, _kind: str, rows: list[Cells]) -> None:
    """Take in accounts and duties."""
    st, d = t.staff, t.duties
    with job.rooms.database.reading() as conn:
        schools = Schools(conn, job.board)
        accounts = {row.login: row for row in conn.execute(select(st))}
        duties = {
            (row.staff, row.role, row.place, row.from_day): row.until_day
            for row in conn.execute(select(d))
        }
    entries = _entries(job, rows, schools, accounts)
    nobody_knows = hash_secret(secrets.token_urlsafe(24))
    people: dict[str, dict[str, Any]] = {}
    for e in entries:
        held = accounts.get(e.login)
        people.setdefault(
            e.login,
            {
                "staff": held.staff if held else job.make_key(),
                "board": job.board,
                "login": e.login,
                "name": e.name,
                "password_hash": held.password_hash if held else nobody_knows,
                "slack_user": e.slack or (held.slack_user if held else None),
                "active": held.active if held else True,
            },
        )
    with job.rooms.database.writing() as conn:
        service.put_rows(conn, st, ["staff"], list(people.values()))
        service.put_rows(
            conn, d, ["staff", "role", "place", "from_day"],
            [
                {
                    "staff": people[e.login]["staff"], "role": e.role.value, "place": e.place,
                    "from_day": e.on, "until_day": e.until,
                }
                for e in entries
            ],
        )  # fmt: skip
    for e in entries:
        person = people[e.login]
        key = (person["staff"], e.role.value, e.place, e.on)
        account = accounts.get(e.login)
        same = (
            key in duties
            and duties[key] == e.until
            and account is not None
            and account.name == e.name
            and account.slack_user == person["slack_user"]
        )
        job.settle(e.cells, "known" if same else "new")


def _entries(
    job: Job, rows: list[Cells], schools: Schools, accounts: dict[str, Any]
) -> list[Entry]:
    found: list[Entry] = []
    seen: set[tuple[str, str, str, date]] = set()
    for cells in rows:
        login, name = cells.text("login").lower(), cells.name("name")
        if login and not _LOGIN.fullmatch(login):
            cells.wrong("login", "ログインIDに使えない文字があります", "not usable as a login")
        elif login in accounts and accounts[login].board != job.board:
            cells.wrong("login", "このログインIDは使えません", "this login cannot be used")
        role = cells.choice("role", {text: role.value for text, role in _ROLES.items()})
        on, until = cells.day("on"), cells.day("until", required=False)
        place = _place(job, cells, role, on, schools)
        slack = cells.text("slack", required=False)
        if (login, role, place, on) in seen and not cells.bad:
            cells.wrong(
                "", "同じ内容の行がこのファイルにもうあります", "the file has this row already"
            )
        if cells.bad:
            continue
        seen.add((login, role, place, on))
        found.append(
            Entry(
                cells, login, name, slack or None, Role(role), place, on,
                None if until == date.min else until + timedelta(days=1),
            )
        )  # fmt: skip
    return found


def _place(job: Job, cells: Cells, role: str, on: date, schools: Schools) -> str:
    """The id of the place the role is held at, as the roster writes it; '' when a cell is wrong."""
    if not role:
        return ""
    kind = OFFICES[Role(role)].place
    if kind is Place.BOARD:
        return job.board
    school = schools.read(cells)
    if kind is Place.SCHOOL:
        return "" if school is None else str(school.id)
    grade = cells.whole("grade", 1, 9)
    room = cells.text("room") if kind is Place.CLASS else ""
    if school is None or cells.bad:
        return ""
    # Some lists count junior high on from primary (7, 8, 9), most begin again at 1.
    junior = school.stage == "junior_high"
    door = grade - 6 if junior and grade > 6 else grade
    if door > (3 if junior else 6):
        cells.wrong("grade", "その学校にない学年です", "no such grade at that school")
        return ""
    if kind is Place.CLASS:
        return class_id_of(school.id, school_year_of(on), door, room)
    return f"{school.id}:{door + 6 if junior else door}"
