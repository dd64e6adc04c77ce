"""The board's page of cases in counts: for its statistics and its yearly look at the system.

No names, small counts hidden, others rounded beside them; one school year at a time, printable.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design.render import language, say
from teacher_portal.frame import show, worded
from teacher_portal.suppression import SMALL, is_small
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.follow_up.case_counts import OPEN, case_counts
from warning_service.follow_up.cases import GROUNDS, RETURNED, TAKEN_BACK
from warning_service.rooms import rooms_of
from warning_service.roster import queries as roster
from warning_service.roster.calendar import school_year_of

router = APIRouter()
YEARS_BACK = 5


@router.get("/portal/case-counts")
def counts(
    request: Request,
    who: Annotated[Principal, Depends(Needs(Ability.SEE_COUNTS))],
    year: int = 0,
) -> Response:
    """One school year's cases, in counts."""
    rooms, lang = rooms_of(request), language(request)
    now = school_year_of(rooms.clock.today())
    year = year if now - YEARS_BACK < year <= now else now
    playbook = rooms.playbooks.of(who.board)
    first, last = date(year, 4, 1), date(year + 1, 3, 31)
    with rooms.database.reading() as conn:
        found = case_counts(conn, who.board, first, last)
        schools = {school.id: school.name for school in roster.schools(conn, who.board)}
    rooms.gateway.note(who, "board_counts", [str(year)], "cases", using=Ability.SEE_COUNTS)
    bases = {one.id: worded(one, lang) for one in playbook.sharing.bases}
    tables = [
        ("ground", {g: say(lang, f"portal.ground_{g}") for g in GROUNDS}, found.by_ground),
        ("basis", bases, found.by_basis),
        (
            "ended",
            {
                OPEN: say(lang, "portal.case_open"),
                RETURNED: say(lang, "portal.case_ended_returned"),
                TAKEN_BACK: say(lang, "portal.case_ended_taken_back"),
            },
            found.ended,
        ),
        ("school", schools, found.by_school),
    ]
    for sitting in playbook.sittings if playbook.review.of == "cases" else ():
        of = {
            chosen: n for (scheme, chosen), n in found.decided.items() if scheme == sitting.scheme
        }
        words = {c.id: worded(c, lang) for c in sitting.classes}
        tables.append((sitting.scheme_name(lang), words, of))
    every = [of.get(key, 0) for _, words, of in tables for key in words]
    # What no line of a table counts is as well known as its lines: without a meeting's decision
    # yet, or of an office that the playbook has no longer.
    every += [found.given - sum(of.get(key, 0) for key in words) for _, words, of in tables]
    about = any(is_small(n) for n in [found.given, *every])
    over = found.given - found.ended.get(OPEN, 0)
    return show(
        request,
        who,
        "portal_case_counts.html",
        year=year,
        years=range(now, now - YEARS_BACK, -1),
        given=Count.of(found.given, about=about),
        about=about,
        days=None if over < SMALL else found.days,
        tables=[
            (name, [(words[key], Count.of(of.get(key, 0), about=about)) for key in words])
            for name, words, of in tables
            if words
        ],
    )


class Count(msgspec.Struct, frozen=True):
    """A count as it may be shown; None: one to four.

    The tables are cuts of the same cases, so that one small count could be had by subtracting a
    count of one table from one of another. Where there is any, all others are rounded to fives.
    """

    value: int | None

    @classmethod
    def of(cls, n: int, *, about: bool) -> Count:
        """`about`: rounded, because there is a small count somewhere on the page."""
        if is_small(n):
            return cls(None)
        return cls(SMALL * round(n / SMALL) if about else n)
