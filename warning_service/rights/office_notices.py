"""What the board's own offices are told of by themselves: odd looking, and terms about to end.

The auditors hear that alarms on looking wait to be asked about; whoever handles families' requests
hears seven days before the law's term ends, and once more when it has. Both are notices
(alerts/notices.py), so they go the ordinary way over every channel, in words that say neither whom
nor what it is about, and are told again until somebody has them. A notice ends by itself with what
it was about: an alarm settled, a request decided.

The trail and its alarms know nothing of this (access/ stands below alerts/): it is this job that
looks at both. Nothing is remembered between two runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import structlog
from sqlalchemy import Connection, select

from warning_service.access.trail import alarm_desk
from warning_service.alerts import states
from warning_service.alerts.notices import (
    ACTOR,
    LOOKING_ALARM,
    REQUEST_DUE,
    Notice,
    Notices,
    all_of,
    free_slot,
)
from warning_service.clock import day_of
from warning_service.events.log import Log
from warning_service.rights.tables import family_requests
from warning_service.rights.terms import State
from warning_service.roster.each_board import each_board

log = structlog.get_logger()

OURS = (LOOKING_ALARM, REQUEST_DUE)
SOON_DAYS = 7
"""So many days before the end of a request's term, or fewer, it is told."""

LATE = "late:"
"""What the id of a request whose term has passed is told with; without it the term is near."""

FRESH_ALARM = timedelta(days=14)
"""An alarm raised longer ago is not news; it stands on the auditors' page."""


class OfficeNotices:
    """Runs for one board at a time; safe to run in several processes at once."""

    def __init__(self, log_: Log, notices: Notices) -> None:
        self._log = log_
        self._notices = notices

    def run_all(self) -> int:
        """`run` for every board; one that is broken does not hold up another.

        Raises StorageUnavailable.
        """
        return each_board(self._log.database, self.run, "office_notices_failed")

    def run(self, board: str) -> int:
        """Raise what is due and close what is over; return how many notices changed.

        Raises StorageUnavailable (nothing changed) and KeyError for an unknown board.
        """
        now = self._log.clock.now()
        with self._log.database.reading() as conn:
            before = [row for row in all_of(conn, board) if row.kind in OURS]
            due = dict([*_alarms(conn, board, now), *_requests(conn, board, now)])
        new = []
        for notice, fresh in due.items():
            like = [r for r in before if (r.kind, r.source) == (notice.kind, notice.about)]
            slot = free_slot(like)
            if fresh and slot is not None:
                new.append(msgspec.structs.replace(notice, slot=slot))
        stays = {(notice.kind, notice.about) for notice in due}
        over = [
            row
            for row in before
            if row.state in states.WAITING and (row.kind, row.source) not in stays
        ]
        if not new and not over:
            return 0
        planned = self._notices.plan(board, new)
        with self._log.unit_of_work() as unit:
            closed = sum(self._notices.close(unit, row, ACTOR) for row in over)
            return closed + len(self._notices.store(unit, planned))


def _alarms(conn: Connection, board: str, now: datetime) -> Iterator[tuple[Notice, bool]]:
    """(notice, is it news?) for each day with unsettled alarms, named by the day alone."""
    newest: dict[str, datetime] = {}
    for row in alarm_desk.open_ones(conn, board):
        day = row.day.isoformat()
        newest[day] = max(row.raised_at, newest.get(day, row.raised_at))
    for day, raised_at in sorted(newest.items()):
        yield Notice(kind=LOOKING_ALARM, about=day, slot=""), raised_at > now - FRESH_ALARM


def _requests(conn: Connection, board: str, now: datetime) -> Iterator[tuple[Notice, bool]]:
    """(notice, True) for each undecided request whose term is near or over."""
    r = family_requests.c
    rows = conn.execute(
        select(r.id, r.due_on)
        .where(r.board == board, r.state.in_([State.OPEN, State.WAITING]))
        .where(r.due_on <= day_of(now) + timedelta(days=SOON_DAYS))
        .order_by(r.due_on, r.id)
    )
    for row in rows:
        about = (LATE if row.due_on < day_of(now) else "") + row.id
        yield Notice(kind=REQUEST_DUE, about=about, slot=""), True
