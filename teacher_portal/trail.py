"""The auditor's page: search the trail by person, child, action and time, and take it as a file.

Auditors see staff by name, because it is staff they ask; children only by their random key, and
nothing anybody answered or wrote. Each search and each file is itself on the trail.

What is typed comes by POST and is turned into keys; addresses hold keys only, so that no name gets
into a browser's history or a proxy's log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from design.render import day_text, language, say, time_text
from teacher_portal.csv_files import csv_file
from teacher_portal.frame import duty_words, go, keys_named, show
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

Typed = Annotated[str, Form(max_length=200)]

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

    staff: tuple[str, ...] | None
    about: str
    what: str
    first: str
    last: str
    sort: str
    direction: str
    wanted: Wanted
    problem: str = ""
    names: str = ""

    def query(self, **change: object) -> str:
        """The address's query for this search, with `change`."""
        kept = {
            "staff": ",".join(self.staff or ()), "about": self.about, "what": self.what,
            "first": self.first, "last": self.last, "sort": self.sort, "dir": self.direction,
        }  # fmt: skip
        return urlencode({k: v for k, v in {**kept, **change}.items() if v not in ("", None)})


class Given(NamedTuple):
    """A search as it stands in an address or comes from the form."""

    staff: str
    about: str
    what: str
    first: str
    last: str
    sort: str
    dir: str


def _in_address(
    *,
    staff: str = "",
    about: str = "",
    what: str = "",
    first: str = "",
    last: str = "",
    sort: str = "at",
    dir: str = "desc",
) -> Given:
    return Given(staff, about, what, first, last, sort, dir)


InAddress = Annotated[Given, Depends(_in_address)]


@router.get("/portal/trail")
def search(request: Request, who: Auditor, given: InAddress, *, page: int = 1) -> Response:
    """One page of hits."""
    return _page(request, who, _asked(request, who, given), page)


@router.post("/portal/trail")
def look_for(
    request: Request,
    who: Auditor,
    *,
    person: Typed = "",
    staff: Annotated[str, Form(max_length=4000)] = "",
    about: Typed = "",
    what: Typed = "",
    first: Typed = "",
    last: Typed = "",
    sort: Typed = "at",
    dir: Typed = "desc",
) -> Response:
    """The search form: the person's name becomes keys, and what does not fit is said here."""
    problem = ""
    if person := person.strip():
        with rooms_of(request).database.reading(identity=True) as conn:
            staff = ",".join(trail.staff_found(conn, who.board, person))
        problem = "" if staff else "trail.no_such_person"
    asked = _asked(request, who, Given(staff, about, what, first, last, sort, dir))
    if problem or asked.problem:
        return _page(request, who, msgspec.structs.replace(asked, problem=problem or asked.problem))
    query = asked.query()
    return go("/portal/trail" + (f"?{query}" if query else ""))


def _page(request: Request, who: Principal, asked: Asked, page: int = 1) -> Response:
    rooms = rooms_of(request)
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
def file(request: Request, who: FreshAuditor, given: InAddress) -> Response:
    """All hits as CSV (UTF-8 with a mark, so that spreadsheets read it)."""
    asked = _asked(request, who, given)
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


def _asked(request: Request, who: Principal, given: Given) -> Asked:
    about, what, first, last = (one.strip()[:LONGEST] for one in given[1:5])
    problem = ""
    staff = keys_named(given.staff.strip())
    names: dict[str, str] = {}
    if staff:
        with rooms_of(request).database.reading(identity=True) as conn:
            names = trail.names_of(conn, who.board, staff)
    if about:
        with rooms_of(request).database.reading() as conn:
            known = trail.is_about(conn, about, who.board)
        about, problem = (about, "") if known else ("", "trail.no_such_key")
    what = what if what in {*KINDS, REFUSALS, *actions.actions()} else ""
    days = [trail.day_named(first), trail.day_named(last)]
    if (first and days[0] is None) or (last and days[1] is None):
        problem = "trail.no_such_day"
    return Asked(
        staff=staff, names="、".join(names.get(key, key) for key in staff or ()),
        about=about, what=what, first=first if days[0] else "", last=last if days[1] else "",
        sort=given.sort if given.sort in trail.SORTS else "at",
        direction="asc" if given.dir == "asc" else "desc",
        problem=problem,
        wanted=Wanted(
            board=who.board, staff=staff, about=about,
            what=what, first=days[0], last=days[1],
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
