"""What a child is asked today, and on which days it sent something.

The rule, on purpose simple: a daily questionnaire is offered on a school day on which the child has
not answered it yet; a monthly one from the first day of the month until answered once. Which ones a
school uses is its own choice among its board's (table `school_questionnaires`).
"""

from __future__ import annotations

from datetime import date

import msgspec
from sqlalchemy import Connection, select

from student_checkin.places import Place, Plan, asked_at
from warning_service.access.principals import Principal
from warning_service.catalogue.questionnaires import Questionnaire
from warning_service.events.tables import events
from warning_service.events.types import CheckInSubmitted, ConsultationRequested, decode, tag_of
from warning_service.roster.calendar import SchoolCalendar

DAYS_SHOWN = 5
_CHECK_IN = tag_of(CheckInSubmitted)
_TYPES = (_CHECK_IN, tag_of(ConsultationRequested))


class Today(msgspec.Struct, frozen=True):
    """Questionnaires still to answer, and the days of the last things sent, newest first."""

    due: list[Questionnaire]
    sent_on: list[date]


def today_of(conn: Connection, who: Principal, place: Place, plan: Plan, today: date) -> Today:
    """What is due for a child today. One on no roll is asked nothing."""
    month = today.replace(day=1)
    c = events.c
    mine = (c.student == who.key, c.type.in_(_TYPES))
    answered: set[tuple[str, bool]] = set()
    for row in conn.execute(
        select(c.day, c.body).where(*mine, c.type == _CHECK_IN, c.day >= month, c.day <= today)
    ):
        body = decode(row.body)
        if isinstance(body, CheckInSubmitted):
            answered |= {(body.questionnaire, False), (body.questionnaire, row.day == today)}
    lessons = SchoolCalendar(conn, who.board).is_school_day(today, place.school)
    due = [
        q
        for q in (asked_at(conn, place.school, plan) if place.grade else [])
        if (q.id, q.cadence == "daily") not in answered and (q.cadence == "monthly" or lessons)
    ]
    due.sort(key=lambda q: q.cadence != "daily")
    days = conn.execute(
        select(c.day).where(*mine).distinct().order_by(c.day.desc()).limit(DAYS_SHOWN)
    )
    return Today(due, list(days.scalars()))
