"""What children answered and what was observed, read from the log for a page.

No names (the gateway's) and no scope (the caller has asked the gateway before). Values are given
with their words or units, self-report and observation apart: they disagree half the time, and
averaging them would hide which.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import msgspec
from sqlalchemy import Connection, select

from warning_service.catalogue.items import Item
from warning_service.catalogue.questionnaires import Question, plain, questionnaire
from warning_service.events import log
from warning_service.events.tables import events
from warning_service.events.types import (
    CheckInSubmitted,
    ConsultationRequested,
    ObservationCorrected,
    ObservationRecorded,
    UseStopped,
    decode,
    tag_of,
)
from warning_service.follow_up.cases import open_of, shared_items
from warning_service.playbooks.model import Playbook
from warning_service.playbooks.sharing import Side, shown_to

_PART = 400
_FACTS = (ObservationRecorded, ObservationCorrected, UseStopped)


class CheckIn(msgspec.Struct, frozen=True):
    """One child's answers of one day."""

    student: str
    on: date
    questionnaire: str
    answers: dict[str, int | None]


def check_ins(
    conn: Connection, students: Sequence[str], since: date, *, after: int
) -> list[CheckIn]:
    """Answers for the days from `since` on, in the order they came.

    `after`: a log position they all lie behind (`Log.position_before`), so that a school year's
    answers are not read for a month's.
    """
    found = []
    for start in range(0, len(students), _PART):
        rows = conn.execute(
            select(events.c.student, events.c.day, events.c.body)
            .where(events.c.student.in_(students[start : start + _PART]))
            .where(events.c.position > after, events.c.type == tag_of(CheckInSubmitted))
            .where(events.c.day >= since)
            .order_by(events.c.position)
        )
        for row in rows:
            body = decode(row.body)
            assert isinstance(body, CheckInSubmitted)
            found.append(CheckIn(row.student, row.day, body.questionnaire, body.answers))
    return found


def consultation_words(conn: Connection, event_id: str) -> ConsultationRequested | None:
    """The consultation behind an alert, its words still sealed; None for any other event."""
    row = conn.execute(select(events.c.body).where(events.c.id == event_id)).one_or_none()
    body = None if row is None else decode(row.body)
    return body if isinstance(body, ConsultationRequested) else None


def calls_after(
    conn: Connection, student: str, source: str, until: datetime
) -> list[tuple[str, ConsultationRequested]]:
    """(event id, call) of a child's calls for help behind the one of id `source`, in order."""
    first = conn.execute(
        select(events.c.position).where(events.c.id == source)
    ).scalar_one_or_none()
    rows = conn.execute(
        select(events.c.id, events.c.body)
        .where(events.c.student == student, events.c.type == tag_of(ConsultationRequested))
        .where(events.c.position > (first or 0), events.c.recorded_at <= until)
        .order_by(events.c.position)
    )
    found = []
    for row in rows:
        body = decode(row.body)
        assert isinstance(body, ConsultationRequested)
        found.append((row.id, body))
    return found


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One question's answers over time. `points`: (day, value or None, words)."""

    question: Question
    points: list[tuple[date, int | None, str]]

    @property
    def worst(self) -> int:
        """The scale's highest value: higher is worse."""
        return max(answer.value for answer in self.question.answers)


def self_reports(found: Sequence[CheckIn], lang: str) -> list[Series]:
    """One child's check-ins as a series for each question, in the questionnaires' order."""
    by_question: dict[str, Series] = {}
    for one in found:
        for question in questionnaire(one.questionnaire).questions:
            if question.id not in one.answers:
                continue
            value = one.answers[question.id]
            words = {
                a.value: a.text_en if lang == "en" else plain(a.text) for a in question.answers
            }
            series = by_question.setdefault(question.id, Series(question=question, points=[]))
            series.points.append((one.on, value, "" if value is None else words.get(value, "")))
    return list(by_question.values())


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One item of the catalogue for one child. Counts by month; else the last value and its day."""

    item: Item
    months: list[tuple[date, float]]  # (first of month, sum); for counts
    last: float | None
    last_on: date | None
    stale: bool


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was observed, as far as the reader's side may see it."""

    shown: list[Fact]
    others: int
    """How many items of other departments are present ("other departments: +n")."""


def observations(
    conn: Connection, playbook: Playbook, student: str, today: date, side: Side
) -> Facts:
    """The playbook's items for one child over the school year's last months, for that side.

    `value` items one by one, `count_only` ones only counted, `score_only` ones not at all. What a
    family had corrected stands as corrected; items whose use was stopped are not there.
    """
    items = playbook.catalogue_items()
    wrong: dict[str, float | None] = {}
    stopped: set[str] = set()
    told = log.of_student(conn, student, [tag_of(kind) for kind in _FACTS])
    chosen: frozenset[str] = frozenset()
    if side is Side.WELFARE and playbook.sharing.item_by_item:
        chosen = shared_items(open_of(conn, student))
    for event in told:
        if isinstance(event.body, ObservationCorrected):
            wrong[event.body.corrects] = event.body.value
        elif isinstance(event.body, UseStopped):
            stopped.update(event.body.items)
    items = {item: held for item, held in items.items() if item not in stopped}
    seen: dict[str, list[tuple[date, float]]] = {item: [] for item in items}
    for event in told:
        body = event.body
        if isinstance(body, ObservationRecorded) and body.item in seen and event.on <= today:
            value = wrong.get(event.id, body.value)
            if value is not None:
                seen[body.item].append((event.on, value))
    shown, others = [], 0
    for item_id, item in items.items():
        rows = sorted(seen[item_id])
        how = shown_to(side, item, playbook, chosen)
        if how == "count_only":
            others += bool(rows) and rows[-1][1] > 0
        elif how == "value" and (rows or item.kind == "count"):
            last_on = rows[-1][0] if rows else None
            shown.append(
                Fact(
                    item=item,
                    months=_by_month(rows, today) if item.kind == "count" else [],
                    last=rows[-1][1] if rows else None,
                    last_on=last_on,
                    stale=item.kind != "count"
                    and last_on is not None
                    and (today - last_on).days > item.fresh_days,
                )
            )
    return Facts(shown=shown, others=others)


def _by_month(rows: Sequence[tuple[date, float]], today: date) -> list[tuple[date, float]]:
    months = []
    month = today.replace(day=1)
    for _ in range(6):
        months.append(month)
        month = (month - timedelta(days=1)).replace(day=1)
    return [
        (month, sum(value for on, value in rows if on.replace(day=1) == month))
        for month in reversed(months)
    ]


def answered_of(found: Sequence[CheckIn], on: date) -> set[str]:
    """Students with an answer for that day."""
    return {one.student for one in found if one.on == on}
