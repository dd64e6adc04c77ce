"""What followed: records and reviews for a page, and the counts a board is judged by.

The funnel counts children on one school's list of one month: listed → reviewed (a meeting chose a
class) → supported (somebody did one of the playbook's support actions within `supported_days` of
publication) → better (of those, the latest record within that time says so). Each stage is a part
of the one before it in time but not by force: a child can be supported without a meeting.

No names here, and no suppression of small cells: that is the page's, which knows what it shows
beside what.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from warning_service.alerts.notices import NO_CHILD
from warning_service.alerts.tables import alerts
from warning_service.clock import at
from warning_service.follow_up.tables import follow_ups, reviews
from warning_service.judging.tables import list_entries, warning_lists
from warning_service.playbooks.model import Playbook
from warning_service.roster import queries as roster

_PART = 500


def reviews_of(conn: Connection, list_id: str) -> dict[str, Any]:
    """What was last decided on each child of a list, by whichever meeting, by student key."""
    r = reviews.c
    query = select(reviews).where(r.list_id == list_id).order_by(r.at, r.scheme)
    return {row.student: row for row in conn.execute(query)}


def of_student(conn: Connection, student: str, limit: int = 50) -> list[Any]:
    """A child's follow-up records, newest first."""
    f = follow_ups
    query = select(f).where(f.c.student == student).order_by(f.c.at.desc(), f.c.id.desc())
    return list(conn.execute(query.limit(limit)))


def reviews_of_student(conn: Connection, student: str) -> list[Any]:
    """A child's reviews with the date of their list, newest first."""
    query = (
        select(reviews, warning_lists.c.list_date)
        .join(warning_lists, warning_lists.c.id == reviews.c.list_id)
        .where(reviews.c.student == student)
        .order_by(warning_lists.c.list_date.desc(), reviews.c.at.desc())
    )
    return list(conn.execute(query))


def since(conn: Connection, students: Sequence[str], instant: datetime) -> list[Any]:
    """Follow-up records of these children not older than `instant`, in the order of their times."""
    f = follow_ups
    found: list[Any] = []
    for start in range(0, len(students), _PART):
        part = list(students[start : start + _PART])
        query = select(f).where(f.c.student.in_(part), f.c.at >= instant)
        found += conn.execute(query.order_by(f.c.at, f.c.id))
    return found


def latest_of(conn: Connection, students: Sequence[str], instant: datetime) -> dict[str, Any]:
    """The newest follow-up record of each of `students` not older than `instant`."""
    return {row.student: row for row in since(conn, students, instant)}


class Funnel(msgspec.Struct, frozen=True, kw_only=True):
    """Children of one school's list: how many came how far."""

    list_id: str
    school: str
    list_date: date
    listed: int
    reviewed: int
    supported: int
    better: int


def funnels(
    conn: Connection, playbook: Playbook, board: str, first: date, last: date
) -> list[Funnel]:
    """One funnel for each of the board's lists dated `first` to `last`, by date and school.

    Children whose families refuse now are not counted, on no list.
    """
    lists = conn.execute(
        select(warning_lists)
        .where(warning_lists.c.board == board)
        .where(warning_lists.c.list_date >= first, warning_lists.c.list_date <= last)
        .order_by(warning_lists.c.list_date, warning_lists.c.school)
    ).all()
    if not lists:
        return []
    listed = _students(conn, list_entries, [row.id for row in lists])
    reviewed = _students(conn, reviews, [row.id for row in lists])
    records = _records(conn, board, min(row.published_at for row in lists))
    refusing = roster.refusing(conn, {student for held in listed.values() for student in held})
    return [
        _funnel(
            row,
            listed.get(row.id, set()) - refusing,
            reviewed.get(row.id, set()),
            records,
            playbook,
        )
        for row in lists
    ]


def _students(conn: Connection, table: Any, list_ids: Sequence[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for start in range(0, len(list_ids), _PART):
        part = list_ids[start : start + _PART]
        query = select(table.c.list_id, table.c.student).where(table.c.list_id.in_(part))
        for row in conn.execute(query):
            found.setdefault(row.list_id, set()).add(row.student)
    return found


def _records(conn: Connection, board: str, since: datetime) -> dict[str, list[Any]]:
    f = follow_ups
    query = (
        select(f.c.student, f.c.action, f.c.change, f.c.at)
        .where(f.c.board == board, f.c.at >= since)
        .order_by(f.c.at, f.c.id)
    )
    found: dict[str, list[Any]] = {}
    for row in conn.execute(query):
        found.setdefault(row.student, []).append(row)
    return found


def _funnel(
    row: Any,
    listed: set[str],
    reviewed: set[str],
    records: dict[str, list[Any]],
    playbook: Playbook,
) -> Funnel:
    until = row.published_at + timedelta(days=playbook.list.supported_days)
    supported = better = 0
    for student in listed:
        within = [r for r in records.get(student, ()) if row.published_at <= r.at < until]
        if any(r.action in playbook.follow_up.support_actions for r in within):
            supported += 1
            better += within[-1].change in playbook.follow_up.better
    return Funnel(
        list_id=row.id,
        school=row.school,
        list_date=row.list_date,
        listed=len(listed),
        reviewed=len(reviewed & listed),
        supported=supported,
        better=better,
    )


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """How quickly a school took its alerts on. `in_time`: nobody further had to be told."""

    school: str
    raised: int
    acknowledged: int
    in_time: int
    median_minutes: float | None  # of the acknowledged


def acknowledgements(conn: Connection, board: str, first: date, last: date) -> list[Answered]:
    """Alerts about children raised on the days `first` to `last`, by school."""
    rows = conn.execute(
        select(alerts.c.school, alerts.c.raised_at, alerts.c.answered_at, alerts.c.step)
        .where(alerts.c.board == board, alerts.c.student != NO_CHILD)
        .where(alerts.c.raised_at >= at(first), alerts.c.raised_at < at(last + timedelta(days=1)))
    )
    schools: dict[str, list[Any]] = {}
    for row in rows:
        schools.setdefault(row.school, []).append(row)
    found = []
    for school, raised in sorted(schools.items()):
        taken = [row for row in raised if row.answered_at is not None]
        minutes = [(row.answered_at - row.raised_at).total_seconds() / 60 for row in taken]
        found.append(
            Answered(
                school=school,
                raised=len(raised),
                acknowledged=len(taken),
                in_time=sum(row.step == 0 for row in taken),
                median_minutes=median(minutes) if minutes else None,
            )
        )
    return found
