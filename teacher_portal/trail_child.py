"""Who looked at one child: a page in plain words for the family that asks, to hand over or print.

Made by whoever handles requests, never sent by itself. Staff are told of by their duty; whether
also by name is the board's choice (setting `family_sees_staff_names`). Sentences come from the same
table as the auditor's words; the same look several times a day is one line with its number.

What tells of a call for help is left out as in the disclosure file, by the same rule
(rights/about_help.py), and the same sentence stands there whether there was anything or not. Only
where the child itself asked for disclosure and two people have agreed is it all told (`asked`).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design.render import language, month_text, say, texts
from teacher_portal.frame import show
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.trail import actions
from warning_service.access.trail import search as trail
from warning_service.access.trail.audit import REFUSED
from warning_service.access.web import Needs
from warning_service.clock import day_of
from warning_service.judging import queries as judging
from warning_service.rooms import Rooms, rooms_of

router = APIRouter()
Officer = Annotated[Principal, Depends(Needs(Ability.HANDLE_REQUESTS, fresh=True))]
A_YEAR = timedelta(days=365)
TOLD = frozenset(name for name, action in actions.actions().items() if action.told_ja)
"""What has a sentence for families; all that has a child as its subject does."""


class Sentence(msgspec.Struct, kw_only=True):
    """One line: the first time that day, the words, and how many times."""

    at: Any
    words: str
    times: int = 1


class DayOf(msgspec.Struct, frozen=True, kw_only=True):
    """A day and what was looked at on it."""

    day: date
    lines: list[Sentence]


@router.get("/portal/trail/child/{student}")
def child(
    request: Request,
    who: Officer,
    student: str,
    *,
    first: str = "",
    last: str = "",
    asked: str = "",
) -> Response:
    """Who looked at this child from `first` to `last` (the last 365 days when not said)."""
    rooms = rooms_of(request)
    person = rooms.rights.people.person(
        who, student, using=Ability.HANDLE_REQUESTS, why="trail_of_child"
    )
    today = rooms.clock.today()
    until = trail.day_named(last) or today
    since = min(trail.day_named(first) or until - A_YEAR, until)
    with rooms.database.reading() as conn:
        rows = _told(trail.about_child(conn, student, since, until, board=who.board))
        begin = trail.first_day(conn, who.board)
    everything = _child_asked(rooms, who, student, asked)
    if not everything:
        traces = rooms.rights.requests.help_traces(student)
        rows = [row for row in rows if not traces.tells(row)]
    with rooms.database.reading() as conn:
        lists = _list_months(conn, rows)
    days = _days(request, who, rows, lists)
    return show(
        request,
        who,
        "portal_trail_child.html",
        person=person,
        since=since,
        until=until,
        days=days,
        looks=sum(line.times for one in days for line in one.lines),
        people=len({row.actor for row in rows}),
        everything=everything,
        asked=asked,
        kept_since=begin,
        names_shown=rooms.settings.family_sees_staff_names,
        today=today,
    )


def _child_asked(rooms: Rooms, who: Principal, student: str, asked: str) -> bool:
    """Is `asked` this child's own request, by which it is told all? Raises NotYours."""
    if not asked:
        return False
    view = rooms.rights.requests.one(who, asked)
    return view.row.student == student and rooms.rights.disclosures.tells_of_help(view)


def _told(rows: list[Any]) -> list[Any]:
    """Rows a family is told of: what people did with the child's data, or were refused."""
    return [
        row
        for row in rows
        if row.action.removeprefix(REFUSED) in TOLD or row.action not in actions.actions()
    ]


def _days(request: Request, who: Principal, told: list[Any], lists: dict[str, date]) -> list[DayOf]:
    lang = language(request)
    people = _people(rooms_of(request), who, told)
    days: dict[date, dict[tuple[str, ...], Sentence]] = {}
    for row in told:
        lines = days.setdefault(day_of(row.at), {})
        on_list = lists.get(row.detail)
        key = (row.actor, row.duty, row.action, row.detail if on_list else "")
        if key in lines:
            lines[key].times += 1
            continue
        named = say(lang, "trail.some_list")
        if on_list is not None:
            named = say(lang, "trail.list_of_month", month=month_text(on_list, lang))
        lines[key] = Sentence(
            at=row.at,
            words=say(
                lang, "trail.sentence", who=_who(lang, row, people.get(row.actor, "")),
                did=actions.told(row.action, lang, named),
            ),
        )  # fmt: skip
    return [DayOf(day=day, lines=list(days[day].values())) for day in sorted(days, reverse=True)]


def _people(rooms: Rooms, who: Principal, rows: list[Any]) -> dict[str, str]:
    if not rooms.settings.family_sees_staff_names:
        return {}
    with rooms.database.reading(identity=True) as conn:
        return trail.names_of(conn, who.board, {row.actor for row in rows})


def _who(lang: str, row: Any, name: str) -> str:
    """「担任の先生(山田 花子)」, "the homeroom teacher"; of several duties the first.

    Of a refused look only "a member of staff": it was another class's homeroom teacher.
    """
    if not row.actor or row.actor.startswith("system:"):
        return say(lang, "trail.system")
    duty = f"trail.who_{row.duty.split(',')[0]}"
    plain = duty not in texts() or row.action.startswith(REFUSED)
    words = say(lang, "trail.who_staff" if plain else duty)
    return say(lang, "trail.who_named", who=words, name=name) if name else words


def _list_months(conn: Any, rows: list[Any]) -> dict[str, date]:
    """List id -> its date, for the lists these rows name."""
    found = {}
    for key in {row.detail for row in rows if row.detail}:
        if (row := judging.one_list(conn, key)) is not None:
            found[key] = row.list_date
    return found
