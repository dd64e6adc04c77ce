"""One child: what it says of itself beside what was observed, and what adults have done.

Self-report and observation stand side by side and are never averaged. Items of other departments
are only counted, some are not mentioned at all (the catalogue says which). For a child whose family
has refused linking, the page shows no records and no lists; asking for help still works.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal import queries
from teacher_portal.frame import show, worded
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.sealing import CannotOpen
from warning_service.access.web import Needs
from warning_service.clock import at
from warning_service.follow_up import queries as followed
from warning_service.judging import queries as judging
from warning_service.rooms import rooms_of

router = APIRouter()
ANSWERS_DAYS = 92


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A follow-up record with its words. `lost`: there is a note that can no longer be opened."""

    row: Any
    action: str
    change: str
    note: str
    lost: bool
    author: str


@router.get("/portal/students/{student}")
def student(
    request: Request,
    who: Annotated[Principal, Depends(Needs(Ability.SEE_STUDENT))],
    student: str,
) -> Response:
    """The child's page."""
    rooms = rooms_of(request)
    child = rooms.gateway.child(who, student, using=Ability.SEE_STUDENT, why="student")
    today = rooms.clock.today()
    lang = language(request)
    playbook = rooms.playbooks.of(who.board)
    sees_lists = Ability.SEE_LIST in who.abilities and not child.opted_out
    since = today - timedelta(days=ANSWERS_DAYS)
    after = rooms.log.position_before(at(since))
    with rooms.database.reading() as conn:
        answers = queries.check_ins(conn, [student], since, after=after)
        facts = None
        if not child.opted_out:
            facts = queries.observations(conn, playbook, student, today)
        records = followed.of_student(conn, student)
        reviews = followed.reviews_of_student(conn, student) if sees_lists else []
        listed = judging.entries_of_student(conn, student) if sees_lists else []
    classes = {c.id: worded(c, lang) for c in playbook.review.classes}
    return show(
        request,
        who,
        "portal_student.html",
        child=child,
        series=queries.self_reports(answers, lang),
        facts=facts,
        records=_done(request, who, records),
        reviews=[(row, classes.get(row.chosen, "")) for row in reviews],
        scheme=playbook.review.scheme_label_en if lang == "en" else playbook.review.scheme_label,
        listed=listed,
        alerts=rooms.alerts.of_student(student) if Ability.SEE_ALERTS in who.abilities else [],
        may_record=Ability.RECORD_FOLLOW_UP in who.abilities,
    )


def _done(request: Request, who: Principal, rows: list[Any]) -> list[Done]:
    rooms = rooms_of(request)
    lang = language(request)
    offered = rooms.playbooks.of(who.board).follow_up
    actions = {c.id: worded(c, lang) for c in offered.actions}
    changes = {c.id: worded(c, lang) for c in offered.changes}
    authors = rooms.gateway.staff_names(who, [row.author for row in rows])
    found = []
    for row in rows:
        note, lost = "", False
        if row.sealed is not None:
            try:
                note = rooms.sealer.open(row.student, row.sealed)
            except CannotOpen:
                lost = True
        found.append(
            Done(
                row=row,
                action=actions.get(row.action, row.action),
                change=changes.get(row.change, row.change),
                note=note,
                lost=lost,
                author=authors.get(row.author, ""),
            )
        )
    return found
