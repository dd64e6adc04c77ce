"""The auditor's page: search the trail by person, child, action and time, and take it as a file.

Auditors see staff by name, because it is staff they ask; children only by their random key, and
nothing anybody answered or wrote. Each search and each file is itself on the trail.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design.render import day_text, language, say, time_text
from teacher_portal.frame import duty_words, show
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.trail import actions
from warning_service.access.trail import search as trail
from warning_service.access.trail.audit import REFUSED
from warning_service.access.trail.search import COUNTED_UP_TO, KINDS, PAGE, REFUSALS, Wanted
from warning_service.access.web import Needs
from warning_service.rooms import rooms_of

router = APIRouter()
Auditor = Annotated[Principal, Depends(Needs(Ability.SEE_TRAIL))]
FreshAuditor = Annotated[Principal, Depends(Needs(Ability.SEE_TRAIL, fresh=True))]

LONGEST = 80
FEW = 5
"""A search for so many people is noted for each; a wider one is a search of the board."""
LAST_PAGE = COUNTED_UP_TO // PAGE


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the trail in words. `about_key`: a key one may search by; '' for none."""

    row: Any
    person: str
    duty: str
    what: str
    refused: bool
    about: str
    about_key: str
    purpose: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The form as it was filled in, and what it comes to. `problem`: a key of the wording."""

    person: str
    about: str
    what: str
    first: str
    last: str
    sort: str
    direction: str
    wanted: Wanted
    problem: str = ""

    def query(self, **change: object) -> str:
        """The address's query for this search, with `change`."""
        kept = {
            "person": self.person, "about": self.about, "what": self.what, "first": self.first,
            "last": self.last, "sort": self.sort, "dir": self.direction,
        }  # fmt: skip
        return urlencode({k: v for k, v in {**kept, **change}.items() if v not in ("", None)})


@router.get("/portal/trail")
def search(
    request: Request,
    who: Auditor,
    *,
    person: str = "",
    about: str = "",
    what: str = "",
    first: str = "",
    last: str = "",
    sort: str = "at",
    dir: str = "desc",
    page: int = 1,
) -> Response:
    """One page of hits."""
    rooms = rooms_of(request)
    asked = _asked(request, who, (person, about, what, first, last), sort, dir)
    page = min(max(page, 1), LAST_PAGE)
    found = trail.Found(rows=[], count=0)
    if not asked.problem:
        with rooms.database.reading() as conn:
            found = trail.search(
                conn, asked.wanted, sort=asked.sort, descending=asked.direction == "desc", page=page
            )
    _note(request, who, "trail_search", asked)
    return show(
        request,
        who,
        "portal_trail.html",
        status=422 if asked.problem else 200,
        asked=asked,
        lines=lines_of(request, who, found.rows),
        count=found.count,
        counted_up_to=COUNTED_UP_TO,
        page=page,
        pages=min(max(1, -(-found.count // PAGE)), LAST_PAGE),
        kinds=KINDS,
        actions=[(name, actions.words(name, language(request))) for name in actions.actions()],
        alarms=_open_alarms(request, who),
    )


@router.get("/portal/trail/file")
def file(
    request: Request,
    who: FreshAuditor,
    *,
    person: str = "",
    about: str = "",
    what: str = "",
    first: str = "",
    last: str = "",
    sort: str = "at",
    dir: str = "desc",
) -> Response:
    """All hits as CSV (UTF-8 with a mark, so that spreadsheets read it)."""
    asked = _asked(request, who, (person, about, what, first, last), sort, dir)
    rows: list[Any] = []
    if not asked.problem:
        with rooms_of(request).database.reading() as conn:
            rows = list(
                trail.everything(
                    conn, asked.wanted, sort=asked.sort, descending=asked.direction == "desc"
                )
            )
    _note(request, who, "trail_export", asked, count=len(rows))
    lang = language(request)
    head = [say(lang, f"trail.{name}") for name in ("number", "at", "person", "duty", "what",
                                                    "about", "detail", "purpose")]  # fmt: skip
    body = [
        [
            line.row.seq,
            f"{day_text(line.row.at, lang, year=True)} {time_text(line.row.at)}",
            line.person, line.duty, line.what, line.about, line.row.detail, line.purpose,
        ]
        for line in lines_of(request, who, rows)
    ]  # fmt: skip
    return csv_file("kizashi-trail.csv", [head, *body])


def csv_file(name: str, rows: list[list[Any]]) -> Response:
    """Rows as a CSV file to keep; no cell can be taken for a formula."""
    text = io.StringIO()
    csv.writer(text).writerows([[_plain(cell) for cell in row] for row in rows])
    return Response(
        "\ufeff" + text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )


def _plain(cell: Any) -> str:
    words = str(cell)
    return "'" + words if words.startswith(("=", "+", "-", "@", "\t", "\r")) else words


def lines_of(request: Request, who: Principal, rows: list[Any]) -> list[Line]:
    """Rows in the reader's words, with names of staff."""
    rooms = rooms_of(request)
    lang = language(request)
    with rooms.database.reading(identity=True) as conn:
        names = trail.names_of(
            conn, who.board, {row.actor for row in rows} | {row.subject for row in rows}
        )
    return [
        Line(
            row=row,
            person=person_words(lang, names, row.actor),
            duty=duty_words(request, row.duty.split(",")),
            what=actions.words(row.action, lang),
            refused=row.action.startswith(REFUSED),
            about=names.get(row.subject, row.subject),
            about_key="" if row.subject in names else row.subject,
            purpose=say(lang, f"trail.purpose_{row.purpose}") if row.purpose else "",
        )
        for row in rows
    ]


def person_words(lang: str, names: Mapping[str, str], actor: str) -> str:
    """A member of staff by name, the service's own doings as such, nobody as nobody."""
    if not actor:
        return say(lang, "trail.nobody")
    if actor.startswith("system:"):
        return say(lang, "trail.system")
    return names.get(actor, actor)


def _asked(
    request: Request, who: Principal, given: tuple[str, str, str, str, str], sort: str, dir: str
) -> Asked:
    person, about, what, first, last = (one.strip()[:LONGEST] for one in given)
    problem = ""
    staff: list[str] | None = None
    if person:
        with rooms_of(request).database.reading(identity=True) as conn:
            staff = list(trail.staff_found(conn, who.board, person))
        problem = "" if staff else "trail.no_such_person"
    days = [trail.day_named(first), trail.day_named(last)]
    if (first and days[0] is None) or (last and days[1] is None):
        problem = "trail.no_such_day"
    return Asked(
        person=person, about=about, what=what, first=first, last=last,
        sort=sort if sort in trail.SORTS else "at",
        direction="asc" if dir == "asc" else "desc",
        problem=problem,
        wanted=Wanted(
            board=who.board, staff=staff, about=about,
            what=what if what in {*KINDS, REFUSALS, *actions.actions()} else "",
            first=days[0], last=days[1],
        ),
    )  # fmt: skip


def _note(
    request: Request, who: Principal, action: str, asked: Asked, count: int | None = None
) -> None:
    """Put on the trail what was asked, by keys: words somebody typed are not copied there."""
    wanted = asked.wanted
    subjects = list(wanted.staff or [])
    subjects = subjects if len(subjects) <= FEW else []
    parts = [
        f"{name}={value}"
        for name, value in (
            ("what", wanted.what), ("first", wanted.first), ("last", wanted.last), ("rows", count),
        )
        if value not in ("", None)
    ]  # fmt: skip
    if wanted.about and wanted.about.isascii() and wanted.about.isalnum():
        subjects.append(wanted.about)
    rooms_of(request).gateway.note(
        who, action, subjects or [who.board], " ".join(parts), using=Ability.SEE_TRAIL
    )


def _open_alarms(request: Request, who: Principal) -> int:
    with rooms_of(request).database.reading() as conn:
        return trail.open_alarms(conn, who.board)
