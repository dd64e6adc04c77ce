"""Looks every hour of the day where an alert would reach nobody, and tells whoever can mend it.

A grave gap of the next days becomes a notice of the kind `duty_gap`, one for each school and kind
of gap: to the school's guidance and management first, then upward, like any notice. It ends by
itself when the gap is closed. The figures are a metric. Gaps that are not grave stand on the page
only, because a warning a day about somebody's dentist teaches people not to read warnings.

Nothing depends on this: a chain passes over who is not there whether anybody was warned or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog
from prometheus_client import Gauge

from warning_service.alerts import states
from warning_service.alerts.gaps import GRAVE, Gap, find
from warning_service.alerts.notices import DUTY_GAP, Notices, all_of
from warning_service.clock import Clock, day_of
from warning_service.database import StorageUnavailable
from warning_service.events.log import Log
from warning_service.playbooks.service import Playbooks
from warning_service.roster import queries

log = structlog.get_logger()

SOON = timedelta(days=7)
"""A gap that begins later than that is no notice yet."""

STANDING = Gauge("kizashi_duty_gaps", "Where an alert would reach nobody, ahead", ["kind"])


class GapWatch:
    """The gaps of all boards. Safe to run in several processes at once."""

    def __init__(
        self, log_: Log, playbooks: Playbooks, notices: Notices, *, wall: Clock | None = None
    ) -> None:
        self._log = log_
        self._playbooks = playbooks
        self._notices = notices
        self._wall = wall or Clock()

    def run_all(self) -> int:
        """Look at every board; return how many gaps there are. Raises StorageUnavailable.

        A board whose calendar or playbook is broken does not hold up another.
        """
        with self._log.database.as_service().reading() as conn:
            boards = [row.id for row in queries.boards(conn)]
        every: list[Gap] = []
        for board in boards:
            try:
                every += self.run(board)
            except StorageUnavailable:
                raise
            except Exception as error:
                log.exception("gaps_of_board_failed", board=board, error=type(error).__name__)
        for kind in GRAVE | {gap.kind for gap in every}:
            STANDING.labels(kind).set(sum(gap.kind == kind for gap in every))
        return len(every)

    def run(self, board: str) -> list[Gap]:
        """Raise a notice for each school and kind of grave gap, settle those that are closed."""
        found = self.gaps(board)
        soon = day_of(self._log.clock.now() + SOON)
        grave = {(gap.school, gap.kind) for gap in found if gap.kind in GRAVE and gap.first <= soon}
        for school, kind in sorted(grave):
            if self._notices.raise_notice(board, DUTY_GAP, kind, school=school):
                log.warning("duty_gap", board=board, school=school, kind=kind)
        with self._log.database.as_service().reading() as conn:
            standing = {
                (row.school, row.source)
                for row in all_of(conn, board)
                if row.kind == DUTY_GAP and row.state in states.WAITING
            }
        for school, about in sorted(standing - grave):
            self._notices.settle(board, DUTY_GAP, about, school=school)
        return found

    def gaps(self, board: str, schools: Sequence[str] | None = None) -> list[Gap]:
        """All gaps of the next fortnight at these schools (None: the whole board)."""
        with self._log.database.as_service().reading() as conn:
            return find(
                conn,
                board,
                self._playbooks.for_help(board),
                self._log.clock.now(),
                wall=self._wall.now(),
                schools=schools,
            )
