"""One child: what it says of itself beside what was observed, and what adults have done.

Self-report and observation stand side by side and are never averaged. Which items and answers are
shown, counted or not mentioned depends on the side one looks from (playbooks/sharing.py): the
school's, the board's, or the welfare office's for a case handed over. Each side reads its own
follow-up records and the number of the other's; what was done about a call for help is for those it
was for. For a child whose family has refused linking, no observations and no lists; asking for help
still works.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal import queries
from teacher_portal.cases import case_card
from teacher_portal.frame import show, worded
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.sealing import CannotOpen
from warning_service.access.web import Needs
from warning_service.clock import at
from warning_service.follow_up import queries as followed
from warning_service.judging import queries as judging
from warning_service.playbooks.model import Playbook
from warning_service.playbooks.sharing import Side, answer_shown_to
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
    side = rooms.gateway.side(who, child, using=Ability.SEE_STUDENT)
    sees_lists = who.may(Ability.SEE_LIST) and side is not Side.WELFARE and not child.opted_out
    since = today - timedelta(days=ANSWERS_DAYS)
    after = rooms.log.position_before(at(since))
    with rooms.database.reading() as conn:
        answers = queries.check_ins(conn, [student], since, after=after)
        facts = None
        if not child.opted_out:
            facts = queries.observations(conn, playbook, student, today, side)
        records = followed.of_student(conn, student)
        reviews = followed.reviews_of_student(conn, student) if sees_lists else []
        listed = judging.entries_of_student(conn, student) if sees_lists else []
        # That a child once listed is so no more is one ground for ending support (Nobeoka).
        off_since = (
            judging.off_since(conn, child.school, student, listed[0].list_date) if listed else None
        )
    hidden = rooms.alerts.hidden_from(who, [row.alert_id for row in records])
    records = [r for r in records if r.alert_id not in hidden or r.author == who.key]
    ours = [row for row in records if (row.case_id is not None) == (side is Side.WELFARE)]
    series = queries.self_reports(answers, lang)
    return show(
        request,
        who,
        "portal_student.html",
        child=child,
        side=side,
        series=[s for s in series if answer_shown_to(side, s.question.id, playbook)],
        facts=facts,
        records=_done(request, who, ours),
        records_elsewhere=len(records) - len(ours),
        reviews=[_decided(playbook, row, lang) for row in reviews],
        listed=listed,
        off_since=off_since,
        no_lists=playbook.judgement.method == "none",
        asks=bool(playbook.questionnaires),
        alerts=rooms.alerts.of_child(who, student),
        sees_alerts=who.reach(Ability.SEE_ALERTS).covers(
            school=child.school, class_id=child.class_id
        ),
        sees_telling=who.may(Ability.SEE_TELLING),
        may_record=who.may(Ability.RECORD_FOLLOW_UP),
        has_class=who.reach(Ability.SEE_STUDENT).covers(
            school=child.school, class_id=child.class_id
        ),
        case=case_card(request, who, child),
    )


def _decided(playbook: Playbook, row: Any, lang: str) -> tuple[Any, str, str]:
    """A meeting's decision: its row, its scheme's name, and what the class means."""
    for sitting in playbook.sittings:
        if sitting.scheme == row.scheme:
            words = {c.id: worded(c, lang) for c in sitting.classes}
            return row, sitting.scheme_name(lang), words.get(row.chosen, "")
    return row, row.scheme, ""


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
