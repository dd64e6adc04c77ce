"""Connects the town's schools with the demo's chat: which channel is told about which duty.

One channel a school for homeroom teachers and the nurse, one for the guidance lead and management,
one for the board. They are connected when the past has been played, and taken off while a month is
played at speed, so that old news does not flood the chat.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, insert, select

from demo.people import shown_logins
from demo.slack_room import Member
from demo.town import BOARD, SCHOOLS, Town
from warning_service.access.roles import Role
from warning_service.alerts.tables import routes
from warning_service.rooms import Rooms
from warning_service.roster import tables as t
from warning_service.roster.calendar import school_year_of

_CHANNEL = "slack"


def connect(rooms: Rooms) -> int:
    """Register the routes of this school year's classes, schools and board; return how many."""
    year = school_year_of(rooms.clock.today())
    wanted = [(BOARD, Role.BOARD, "kyoiku-iinkai")]
    for school in SCHOOLS:
        wanted += [
            (school.id, Role.NURSE, f"{school.id}-mimamori"),
            (school.id, Role.COUNSELLOR, f"{school.id}-mimamori"),
            (school.id, Role.GUIDANCE, f"{school.id}-shido"),
            (school.id, Role.MANAGEMENT, f"{school.id}-shido"),
        ]
    with rooms.database.reading() as conn:
        c = t.classes
        for row in conn.execute(select(c.c.id, c.c.school).where(c.c.school_year == year)):
            wanted.append((row.id, Role.HOMEROOM, f"{row.school}-mimamori"))
    with rooms.database.writing() as conn:
        conn.execute(delete(routes).where(_ours()))
        conn.execute(
            insert(routes),
            [
                {
                    "board": BOARD, "place": place, "duty": duty.value, "channel": _CHANNEL,
                    "address": address,
                }
                for place, duty, address in wanted
            ],
        )  # fmt: skip
    return len(wanted)


def disconnect(rooms: Rooms) -> None:
    """Take the routes off; `connect` (also at every start) puts them back."""
    with rooms.database.writing() as conn:
        conn.execute(delete(routes).where(_ours()))


def _ours() -> ColumnElement[bool]:
    return (routes.c.board == BOARD) & (routes.c.channel == _CHANNEL)


def members(town: Town) -> list[Member]:
    """Who may press buttons in the demo's chat: the adults whose sign-ins it shows."""
    shown = shown_logins(town)
    return [
        Member(adult.slack, f"{adult.name} ({adult.login})")
        for adult in town.staff
        if adult.login in shown and adult.login != "operator"
    ]
