"""What the calendar makes happen: days are closed, lists fall due.

Jobs only append events (`DayClosed`, `ListDue`); handlers do the work. Each slot runs once, by its
row in `job_runs`; slots missed while nothing ran are caught up in their order. APScheduler calls
`run_due` every few seconds in the one process that leads: an advisory lock on PostgreSQL, a locked
file on SQLite. `run_due` itself may be called by anyone at any time (the demo does after moving
the clock); the slot rows keep it from doing anything twice.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import IO

import structlog
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from warning_service import list_dates
from warning_service.access.trail.alarm_rules import load_rules
from warning_service.access.trail.alarms import Watch
from warning_service.clock import MovableClock, at, day_of
from warning_service.database import Database, StorageUnavailable, insert_new
from warning_service.events.tables import job_runs
from warning_service.events.types import DayClosed, ListDue, NewEvent, derived_id
from warning_service.follow_up.digests import DigestJob
from warning_service.follow_up.notice_job import NoticeJob
from warning_service.keeping.night import Nights
from warning_service.playbooks.model import Playbook
from warning_service.rights.office_notices import OfficeNotices
from warning_service.rooms import Rooms
from warning_service.roster import queries
from warning_service.roster.tables import enrolments

log = structlog.get_logger()

ACTOR = "system:schedule"
EVERY_SECONDS = 10
WATCH_SECONDS = 120
"""How often the trail is read for odd looking."""
NOTICE_SECONDS = 30
"""How often it is looked which notices are due at a place (list out, records overdue …)."""
KEEPING_SECONDS = 60
"""How often the list of removals is brought up to date, and the night's retention looked for."""
GAP_SECONDS = 3600
"""How often it is looked where an alert would reach nobody."""
LEADER_LOCK = 0x6B697A63


class Slot:
    """One thing that is due at one moment."""

    def __init__(self, moment: datetime, job: str, on: date, body: DayClosed | ListDue) -> None:
        self.moment = moment
        self.job = job
        self.on = on
        self.body = body


class Schedule:
    """Finds and runs what is due. Safe to call from several places."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._lock = threading.Lock()

    def run_due(self) -> int:
        """Append an event for every slot whose moment has come; return how many."""
        with self._lock:
            now = self._rooms.clock.now()
            with self._rooms.database.reading() as conn:
                boards = [row.id for row in queries.boards(conn)]
            return sum(self._run_board(board, now) for board in boards)

    def _run_board(self, board: str, now: datetime) -> int:
        playbook = self._rooms.playbooks.of(board)
        with self._rooms.database.reading() as conn:
            slots = due_slots(conn, board, playbook, now)
        if not slots:
            return 0
        ran = 0
        with self._rooms.log.unit_of_work() as unit:
            for slot in slots:
                first = unit.conn.execute(
                    insert_new(unit.conn, job_runs)
                    .values(job=slot.job, slot=slot.on.isoformat(), ran_at=now)
                    .returning(job_runs.c.slot)
                ).first()
                if first is None:
                    continue  # another process was quicker
                ran += 1
                unit.append(
                    NewEvent(
                        id=derived_id(slot.job, slot.on.isoformat()),
                        board=board, student=None, on=slot.on, actor=ACTOR, body=slot.body,
                    )
                )  # fmt: skip
        log.info("slots_run", board=board, count=ran)
        return ran


def due_slots(conn: Connection, board: str, playbook: Playbook, now: datetime) -> list[Slot]:
    """Slots of `board` that have come and not run yet, in the order of their moments.

    Days are closed from the first enrolment on; lists fall due as list_dates.py says.
    """
    first = conn.execute(
        select(func.min(enrolments.c.from_day)).where(enrolments.c.board == board)
    ).scalar_one_or_none()
    if first is None:
        return []
    due = list_dates.due(conn, board, playbook.list, first, now)
    lists = [Slot(one.moment, one.job, one.on, ListDue(school=one.school)) for one in due]
    slots = [*_days(conn, board, first, now), *lists]
    return sorted(slots, key=lambda slot: (slot.moment, slot.job))


def _days(conn: Connection, board: str, first: date, now: datetime) -> list[Slot]:
    job = f"day_closed:{board}"
    last = list_dates.ran_until(conn, job)
    day = first if last is None else last + timedelta(days=1)
    slots = []
    while day < day_of(now):
        slots.append(Slot(at(day + timedelta(days=1)), job, day, DayClosed()))
        day += timedelta(days=1)
    return slots


class Leader:
    """Whether this process leads; once it does, until it ends or loses its database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._file: IO[str] | None = None
        self._conn: Connection | None = None
        # Jobs begin side by side: two that try for the lock at once would shut each other out.
        self._one_at_a_time = threading.Lock()

    def leads(self) -> bool:
        """Try to become the leader, or confirm that we still are."""
        with self._one_at_a_time:
            return self._leads_file() if self._database.is_sqlite else self._leads_postgres()

    def _leads_file(self) -> bool:
        if self._file is None:
            file = self._database.path.with_suffix(".leader").open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return False
            self._file = file
        return True

    def _leads_postgres(self) -> bool:
        try:
            if self._conn is None:
                conn = self._database.engine.connect()
                conn = conn.execution_options(isolation_level="AUTOCOMMIT")
                got = conn.execute(
                    text("SELECT pg_try_advisory_lock(:key)"), {"key": LEADER_LOCK}
                ).scalar_one()
                if not got:
                    conn.close()
                    return False
                self._conn = conn
            self._conn.execute(text("SELECT 1"))
        except SQLAlchemyError:
            self._conn = None  # the lock went with the connection
            return False
        return True

    def resign(self) -> None:
        """Let another process lead."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._conn is not None:
            self._conn.detach()  # the lock belongs to the connection: it must not go to the pool
            self._conn.close()
            self._conn = None


class Scheduler:
    """APScheduler around `Schedule`, in the process that leads."""

    def __init__(self, rooms: Rooms, *, channels: Collection[str] = ()) -> None:
        # Only the process that keeps the schedule pays for this import.
        from apscheduler.schedulers.background import BackgroundScheduler

        self._rooms = rooms
        self._schedule = Schedule(rooms)
        self._watch = Watch(rooms.database, rooms.clock, load_rules(rooms.settings.data_dir))
        self._notices = NoticeJob(rooms.log, rooms.playbooks, rooms.notices)
        self._offices = OfficeNotices(rooms.log, rooms.notices)
        self._gaps = rooms.gaps
        self._digests = DigestJob(rooms.log, rooms.playbooks, rooms.alerts, channels=channels)
        self._nights = Nights(rooms.log, rooms.trail, rooms.settings)
        self._leader = Leader(rooms.database)
        # A busy machine at the start must not cost the first look: the next at gaps is an hour off.
        self._scheduler = BackgroundScheduler(
            timezone="Asia/Tokyo", job_defaults={"misfire_grace_time": None, "coalesce": True}
        )

    def start(self) -> None:
        """Declare the jobs and start; memory store, because the slot rows are the memory."""
        for job, name, seconds in (
            (self._tick, "due_slots", EVERY_SECONDS),
            (self._look_at_looking, "odd_looking", WATCH_SECONDS),
            (self._notice, "notices", NOTICE_SECONDS),
            (self._look_for_gaps, "duty_gaps", GAP_SECONDS),
            (self._keep, "keeping", KEEPING_SECONDS),
        ):
            self._scheduler.add_job(job, "interval", seconds=seconds, id=name, max_instances=1)
        self._scheduler.start()
        self._scheduler.add_job(self._tick, id="at_start")
        self._scheduler.add_job(self._look_for_gaps, id="gaps_at_start")
        if isinstance(self._rooms.clock, MovableClock):
            self._rooms.clock.on_move.append(self._on_move)

    def _on_move(self) -> None:
        if self._scheduler.running:
            self._scheduler.add_job(self._tick, id="clock_moved", replace_existing=True)
            self._scheduler.add_job(self._notice, id="notices_moved", replace_existing=True)

    def _tick(self) -> None:
        try:
            if self._leader.leads():
                self._schedule.run_due()
        except StorageUnavailable as error:
            log.error("schedule_storage_unavailable", error=str(error))

    def _notice(self) -> None:
        try:
            if self._leader.leads():
                self._notices.run_all()
                self._digests.run_all()
                self._offices.run_all()
        except StorageUnavailable as error:
            log.error("notices_storage_unavailable", error=str(error))

    def _look_for_gaps(self) -> None:
        try:
            if self._leader.leads():
                self._gaps.run_all()
        except StorageUnavailable as error:
            log.error("gaps_storage_unavailable", error=str(error))

    def _look_at_looking(self) -> None:
        try:
            if self._leader.leads():
                self._watch.run()
        except StorageUnavailable as error:
            log.error("watch_storage_unavailable", error=str(error))

    def _keep(self) -> None:
        try:
            if self._leader.leads():
                self._nights.look()
        except StorageUnavailable as error:
            log.error("keeping_storage_unavailable", error=str(error))
        except (OSError, ValueError) as error:  # a file that cannot be read or written
            log.error("keeping_failed", error=type(error).__name__)

    def stop(self) -> None:
        """Finish the running job, then end."""
        self._scheduler.shutdown(wait=True)
        self._leader.resign()
