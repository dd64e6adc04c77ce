"""When keeping works: retention once a night, removals at night or at the latest after a day.

`Nights` is called every few minutes by the process that leads the schedule: it writes the list of
removals and, once for each night, deletes what is due. `Remover` is a thread of the worker that
derives models again after refusals and deletions. It works while schools are closed, with pauses,
because it shares a processor with children's answers; a worker that only runs by day gets to it
when a refusal is a day old.
"""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta

import structlog
from sqlalchemy import func, select

from warning_service.access import retention
from warning_service.access.trail.audit import Trail
from warning_service.clock import JAPAN, day_of, monotonic
from warning_service.database import StorageUnavailable, insert_new
from warning_service.events.dispatcher import LostOwnership
from warning_service.events.log import Log
from warning_service.events.tables import job_runs
from warning_service.judging.consumer import PlaybookSource
from warning_service.judging.deriving import gone
from warning_service.judging.deriving.removal import Removal, asked
from warning_service.keeping import tombstones
from warning_service.keeping.sweep import Retention
from warning_service.roster import queries
from warning_service.settings import Settings

log = structlog.get_logger()

JOB = "retention"
SWEEP_FROM, SWEEP_UNTIL = 2, 6
"""Hours (in Japan) between which a night's retention begins."""
MISSED = timedelta(days=2)

QUIET_FROM, QUIET_UNTIL = 19, 6
LONGEST_WAIT = timedelta(days=1)
LOOK_SECONDS = 20.0
PAUSE = 1.0
"""Rest after each batch, as a part of the seconds it took: half the time is others'."""


def is_quiet(now: datetime) -> bool:
    """Are schools closed at that hour?"""
    hour = now.astimezone(JAPAN).hour
    return hour >= QUIET_FROM or hour < QUIET_UNTIL


class Nights:
    """What the leader of the schedule does for keeping."""

    def __init__(self, log_: Log, trail: Trail, settings: Settings) -> None:
        self._log = log_
        self._trail = trail
        self._settings = settings

    def look(self) -> bool:
        """Write the list of removals; delete what is due if the night's turn has come.

        Returns whether it was. Raises StorageUnavailable, and ValueError for clocks that are not
        fit: nothing is deleted by a file that cannot be read.
        """
        now = self._log.clock.now()
        tombstones.write(self._log.database, self._settings.data_dir / tombstones.FILE, now)
        if not self._its_time(now):
            return False
        clocks = retention.clocks(self._settings.data_dir)
        with self._log.database.writing() as conn:
            first = conn.execute(
                insert_new(conn, job_runs)
                .values(job=JOB, slot=day_of(now).isoformat(), ran_at=now)
                .returning(job_runs.c.slot)
            ).first()
        if first is None:
            return False
        Retention(self._log, self._trail, clocks).run()
        return True

    def _its_time(self, now: datetime) -> bool:
        """At night; by day only where no process runs at night."""
        if SWEEP_FROM <= now.astimezone(JAPAN).hour < SWEEP_UNTIL:
            return True
        with self._log.database.reading() as conn:
            last = conn.execute(
                select(func.max(job_runs.c.slot)).where(job_runs.c.job == JOB)
            ).scalar_one_or_none()
        return last is None or day_of(now) - date.fromisoformat(last) >= MISSED


class Remover:
    """Derives the models of all boards again when something has to leave them."""

    def __init__(self, log_: Log, playbooks: PlaybookSource) -> None:
        self._log = log_
        self._playbooks = playbooks
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="remover", daemon=True)

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """End after the current batch; the next start goes on from there."""
        self._stopping.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.look()
            except (StorageUnavailable, LostOwnership) as error:
                log.error("remover_undone", error=type(error).__name__)
            except Exception as error:  # the next look must come, whatever this one met
                log.exception("remover_failed", error=type(error).__name__)

    def look(self) -> list[str]:
        """Derive again for each board where the time has come; return those now in use."""
        with self._log.database.reading() as conn:
            boards = [row.id for row in queries.boards(conn)]
        return [board for board in boards if self._its_time(board) and self._derive(board)]

    def _its_time(self, board: str) -> bool:
        now = self._log.clock.now()
        with self._log.database.reading() as conn:
            waiting = asked(conn, board)
            begun = gone.running(conn, board) is not None
        if not waiting and not begun:
            return False
        return is_quiet(now) or any(now - e.recorded_at >= LONGEST_WAIT for e in waiting)

    def _derive(self, board: str) -> bool:
        removal = Removal(self._log, self._playbooks, board)
        removal.begin()
        try:
            while True:
                began = monotonic()
                came = removal.step()
                if came == "in use":
                    return True
                if self._stopping.wait(max(0.05, (monotonic() - began) * PAUSE)):
                    return False
        finally:
            removal.release()
