"""Moves the running town on by a month, in a thread, one move at a time.

The page that started it shows how far it is. While it runs the chat is not connected; if the
process ends in the middle, the next start connects it again and the clock stands where it came to.
"""

from __future__ import annotations

import threading
from datetime import timedelta

import structlog
from sqlalchemy import select, update

from demo import chat
from demo.life import make_world
from demo.play import CLOCK_FACT, TownEnds, next_goal, next_month, seed_of, set_fact
from demo.progress import State, Watched
from warning_service.access.tables import sessions
from warning_service.clock import MovableClock
from warning_service.rooms import Rooms

log = structlog.get_logger()


class Mover:
    """`start` begins a move unless one is under way; `state` says how far it is."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._lock = threading.Lock()
        self._progress = Watched()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> State:
        """How far the move under way, or the last one, is."""
        return self._progress.now

    def can_move(self) -> bool:
        """Are there data for another month?"""
        try:
            next_goal(make_world(seed_of(self._rooms)), self._rooms.clock.now())
        except TownEnds:
            return False
        return True

    def start(self) -> bool:
        """Begin to move; False when a move is under way or the town's data end here."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return False
            if not self.can_move():
                return False
            self._progress.station("…", 1)
            self._thread = threading.Thread(target=self._run, name="demo-mover", daemon=True)
            self._thread.start()
        return True

    def minutes(self, count: int) -> bool:
        """Let so many minutes pass at once, for whoever wants to see what happens when nobody
        answers a call; False while a month is passing.
        """
        with self._lock:
            clock = self._rooms.clock
            if not isinstance(clock, MovableClock):
                return False
            if self._thread is not None and self._thread.is_alive():
                return False
            clock.move_by(timedelta(minutes=count))
            set_fact(self._rooms, CLOCK_FACT, clock.now().isoformat())
        return True

    def wait(self, seconds: float) -> None:
        """Until the move under way is done, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _keep_signed_in(self) -> None:
        """Sessions alive now live on beyond the jump: for the people in them no time passes."""
        start = self._rooms.clock.now()
        goal = next_goal(make_world(seed_of(self._rooms)), start)
        idle = timedelta(seconds=self._rooms.settings.staff_session_idle)
        s = sessions
        with self._rooms.database.writing() as conn:
            alive = conn.execute(
                select(s.c.token_hash, s.c.ends_at).where(
                    ~s.c.revoked, s.c.ends_at > start, s.c.seen_at > start - idle
                )
            ).all()
            for row in alive:
                conn.execute(
                    update(s)
                    .where(s.c.token_hash == row.token_hash)
                    .values(seen_at=goal, ends_at=row.ends_at + (goal - start))
                )

    def _run(self) -> None:
        try:
            self._keep_signed_in()
            chat.disconnect(self._rooms)
            try:
                next_month(self._rooms, self._progress)
            finally:
                chat.connect(self._rooms)
                set_fact(self._rooms, CLOCK_FACT, self._rooms.clock.now().isoformat())
        except Exception as error:  # the page says so; the log says what
            log.exception("demo_move_failed", error=type(error).__name__)
            self._progress.end("failed")
        else:
            self._progress.end("done")
