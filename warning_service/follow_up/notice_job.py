"""The job that keeps a board's notices in step with what is due there.

It compares what is due (alerts/notices_due.py) with the notices there are, raises what is missing
and closes what is over, in one transaction. Nothing is remembered between two runs: after a kill, a
week without the service or a moved clock the next run finds the same, and ids that follow from what
a notice is about keep two runs, or two processes, from doubling one.

What nobody dealt with is not closed because time went by: an overdue record counts for a year, and
the review of an older list is closed by decisions, or by the notice for a newer list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import ColumnElement, Connection, func, select

from warning_service.alerts import states
from warning_service.alerts.notices import (
    ACTOR,
    EXTRACT_MISSING,
    FOLLOW_UP_OVERDUE,
    LIST_PUBLISHED,
    NO_CHILD,
    REVIEW_DUE,
    Notice,
    Notices,
    all_of,
    free_slot,
)
from warning_service.alerts.notices_due import Listed, Rules
from warning_service.alerts.tables import alerts
from warning_service.clock import day_of
from warning_service.events.log import Log
from warning_service.follow_up.meetings import Occasion, decisions, turns
from warning_service.follow_up.tables import follow_ups, reviews
from warning_service.judging.tables import list_entries, warning_lists
from warning_service.playbooks.meetings import Meeting
from warning_service.playbooks.model import Playbook
from warning_service.playbooks.service import Playbooks
from warning_service.roster import queries as roster
from warning_service.roster.calendar import SchoolCalendar
from warning_service.roster.each_board import each_board

log = structlog.get_logger()

OURS = (LIST_PUBLISHED, REVIEW_DUE, FOLLOW_UP_OVERDUE, EXTRACT_MISSING)
"""Kinds this job raises and closes; system trouble is the watchman's."""
ONCE = (LIST_PUBLISHED, REVIEW_DUE)
"""Raised once for a list. The others come again when their cause does after they were closed."""
FRESH_LIST = timedelta(days=14)
"""A list published longer ago is not announced any more: it is not news, and the next one comes."""
LONGEST = timedelta(days=365)
"""So long a listed child without a record keeps a notice standing that was raised for it."""
OF_MEETING = "/"
"""Between a list's id and a meeting's, in what a notice on a later meeting is about."""
RECORDS = "records"
"""What a notice on overdue records is about, in the column `source`."""
_PART = 500


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A meeting that somebody waits for, for so many school days at most."""

    meeting: str
    since: date
    days: int


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """What one board's notices depend on, as read at one moment. `lists`: newest first.

    `waiting`: list id -> the later meetings that have not decided on everybody who came to them,
    and since when somebody waits; likewise a first one that goes through the whole roll.
    """

    rules: Rules
    lists: dict[str, list[Listed]]  # by school
    taken: list[Any]  # alerts about children that somebody has, without a record
    records: dict[str, datetime]  # student key -> when something was last recorded
    imports: dict[str, datetime]  # kind of file -> when one last came
    waiting: dict[str, list[Waiting]] = {}


class Due(msgspec.Struct, frozen=True):
    """Notices to be there, and (kind, school, class, about) of those that may stay."""

    wanted: list[Notice]
    keep: set[tuple[str, str, str, str]]

    def add(self, notice: Notice, *, new: bool) -> None:
        """It may stay where it is there; if `new`, it is raised where it is not."""
        self.keep.add(_about(notice))
        if new:
            self.wanted.append(notice)


class NoticeJob:
    """Runs for one board at a time; safe to run in several processes at once."""

    def __init__(self, log_: Log, playbooks: Playbooks, notices: Notices) -> None:
        self._log = log_
        self._playbooks = playbooks
        self._notices = notices

    def run_all(self) -> int:
        """`run` for every board; one that is broken does not hold up another.

        Raises StorageUnavailable.
        """
        return each_board(self._log.database, self.run, "notices_of_board_failed")

    def run(self, board: str) -> int:
        """Raise and close what there is; return how many notices changed.

        Raises StorageUnavailable (nothing changed) and KeyError for an unknown board.
        """
        playbook = self._playbooks.for_help(board)
        with self._log.database.reading() as conn:
            before = all_of(conn, board)
            found = due(read_board(conn, playbook, board, self._log.clock.now()))
        new = [slotted for n in found.wanted if (slotted := _slotted(n, board, before)) is not None]
        over = [
            row
            for row in before
            if row.kind in OURS and row.state in states.WAITING
            if (row.kind, row.school, row.class_id, row.source) not in found.keep
        ]
        if not new and not over:
            return 0
        planned = self._notices.plan(board, new)
        with self._log.unit_of_work() as unit:
            closed = sum(self._notices.close(unit, row, ACTOR) for row in over)
            return closed + len(self._notices.store(unit, planned))


def due(board: Board) -> Due:
    """What is due in a board: list out, review due, records overdue, extracts missing."""
    found, now = Due([], set()), board.rules.now
    for school, lists in board.lists.items():
        newest = lists[0].row
        if not lists[0].begun:
            notice = Notice(kind=LIST_PUBLISHED, about=newest.id, slot="", school=school)
            found.add(notice, new=newest.published_at > now - FRESH_LIST)
        if late := board.rules.unreviewed(lists):
            notice = Notice(kind=REVIEW_DUE, about=late.row.id, slot="", school=school)
            found.add(notice, new=late.row.id == newest.id)
        for one in board.waiting.get(newest.id, ()):
            if board.rules.passed(one.since, one.days, school):
                about = f"{newest.id}{OF_MEETING}{one.meeting}"
                found.add(Notice(kind=REVIEW_DUE, about=about, slot="", school=school), new=True)
    every = [one for lists in board.lists.values() for one in lists]
    newly = now - timedelta(days=board.rules.playbook.list.supported_days)
    recent = [one for one in every if one.row.published_at > newly]
    for new, some in ((True, recent), (False, every)):
        for school, class_id in sorted(board.rules.overdue(some, board.taken, board.records)):
            notice = Notice(
                kind=FOLLOW_UP_OVERDUE, about=RECORDS, slot="", school=school, class_id=class_id
            )
            found.add(notice, new=new)
    for extract in board.rules.missing_extracts(board.imports):
        found.add(Notice(kind=EXTRACT_MISSING, about=extract, slot=""), new=True)
    return found


def read_board(
    conn: Connection, playbook: Playbook, board: str, now: datetime, *, school: str = ""
) -> Board:
    """All that the notices of a board depend on; of one school, if named, without imports.

    Reads within the scope of whoever asks, when a request is answered.
    """
    w, a = warning_lists, alerts
    query = select(w).where(w.c.board == board, w.c.list_date > day_of(now) - LONGEST)
    waiting = select(a).where(
        a.c.board == board, a.c.state == states.ACKNOWLEDGED, a.c.student != NO_CHILD
    )
    if school:
        query, waiting = query.where(w.c.school == school), waiting.where(a.c.school == school)
    rows = conn.execute(query.order_by(w.c.school, w.c.list_date.desc())).all()
    taken = list(conn.execute(waiting))
    ids = [row.id for row in rows]
    listed = _by_list(conn, list_entries, ids)
    first = reviews.c.scheme == playbook.review.scheme
    decided = _by_list(conn, reviews, ids, first)
    students = {student for held in listed.values() for student in held}
    there = roster.places_of(conn, students, day_of(now))
    for student in roster.refusing(conn, students):
        there.pop(student, None)
    lists: dict[str, list[Listed]] = {}
    for row in rows:
        chosen = decided.get(row.id, set())
        classes = {
            student: there[student].class_id
            for student in sorted(listed.get(row.id, ()))
            if student in there and there[student].school == row.school
        }
        one = Listed(
            row=row, classes=classes, reviewed=frozenset(chosen & set(classes)), begun=bool(chosen)
        )
        lists.setdefault(row.school, []).append(one)
    return Board(
        rules=Rules(playbook, SchoolCalendar(conn, board), now),
        lists=lists,
        taken=taken,
        records=_last_records(conn, students | {row.student for row in taken}),
        imports={} if school else roster.last_imports(conn, board),
        waiting=_waiting(conn, playbook, board, lists, day_of(now)),
    )


def _waiting(
    conn: Connection, playbook: Playbook, board: str, lists: dict[str, list[Listed]], today: date
) -> dict[str, list[Waiting]]:
    """Of each school's newest list, the meetings with somebody undecided and a deadline."""
    found: dict[str, list[Waiting]] = {}
    sittings = [
        (one, one.days or playbook.kinds.review_due.after_days)
        for one in playbook.sittings
        if (one.days and one is not playbook.review) or getattr(one, "of", "") == "roll"
    ]
    for held in lists.values() if sittings else ():
        row = held[0].row
        on = Occasion(playbook=playbook, board=board, rows=[row], today=today)
        for sitting, days in sittings:
            whom = turns(conn, on, sitting)
            whom = {s: whom[s] for s in whom.keys() - roster.refusing(conn, whom.keys())}
            known = decisions(conn, [row.id], [one.scheme for one in playbook.sittings])
            left = [s for s in whom if (s, sitting.scheme) not in known]
            if not left:
                continue
            since = row.list_date
            if isinstance(sitting, Meeting):
                before = playbook.sitting(sitting.after).scheme
                since = min(day_of(known[student, before].at) for student in left)
            waits = Waiting(meeting=sitting.id, since=since, days=days)
            found.setdefault(row.id, []).append(waits)
    return found


def overdue_in_class(board: Board, class_id: str) -> set[str]:
    """Keys of the children a notice on overdue records of that class is about, as read."""
    every = [one for lists in board.lists.values() for one in lists]
    found = board.rules.overdue(every, board.taken, board.records)
    return {s for (_, where), students in found.items() if where == class_id for s in students}


def _about(notice: Notice) -> tuple[str, str, str, str]:
    return (notice.kind, notice.school, notice.class_id, notice.about)


def _slotted(notice: Notice, board: str, before: Sequence[Any]) -> Notice | None:
    """The notice as it is to be raised; None when it is there, or was and is not to come again."""
    if notice.kind in ONCE:
        known = {row.id for row in before}
        return None if notice.id_at(board) in known else notice
    like = [
        row for row in before if (row.kind, row.school, row.class_id, row.source) == _about(notice)
    ]
    slot = free_slot(like)
    return None if slot is None else msgspec.structs.replace(notice, slot=slot)


def _by_list(
    conn: Connection, table: Any, ids: Sequence[str], *where: ColumnElement[bool]
) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for part in _parts(ids):
        query = select(table.c.list_id, table.c.student).where(table.c.list_id.in_(part))
        for row in conn.execute(query.where(*where)):
            found.setdefault(row.list_id, set()).add(row.student)
    return found


def _last_records(conn: Connection, students: Iterable[str]) -> dict[str, datetime]:
    f = follow_ups
    found: dict[str, datetime] = {}
    for part in _parts(sorted(students)):
        rows = conn.execute(
            select(f.c.student, func.max(f.c.at).label("last"))
            .where(f.c.student.in_(part))
            .group_by(f.c.student)
        )
        found |= {row.student: row.last for row in rows}
    return found


def _parts(keys: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(keys), _PART):
        yield keys[start : start + _PART]
