"""The only source of time.

Everything that asks "what time is it" takes a `Clock`, so that tests and the demo can move it and
a rebuilt log meets the same days again. Instants are aware UTC datetimes; a *day* is a date in
Japan, because schools live by it. Measuring how long something took is not time of day: use
`monotonic`. Nothing else in the code may call the wall clock (a check looks for it).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

JAPAN = ZoneInfo("Asia/Tokyo")

monotonic = time.monotonic
"""Seconds that only grow, for measuring; the origin means nothing."""

cpu_seconds = time.process_time
"""CPU seconds of this process, for measuring."""


def day_of(instant: datetime) -> date:
    """The day in Japan on which `instant` falls."""
    return instant.astimezone(JAPAN).date()


def at(day: date, hour: int = 0, minute: int = 0) -> datetime:
    """That time of that day in Japan, as a UTC instant."""
    local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=JAPAN)
    return local.astimezone(UTC)


class Clock:
    """The real clock."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC)

    def today(self) -> date:
        """The day in Japan."""
        return day_of(self.now())


class MovableClock(Clock):
    """A clock that tests and the demo can set; once set it stands still or runs on.

    `on_move` is called after every move, so that whoever waits for a time looks again.
    """

    def __init__(self, start: datetime, *, runs: bool = False) -> None:
        self._lock = threading.Lock()
        self._set_to = start
        self._set_at = monotonic()
        self._runs = runs
        self.on_move: list[Callable[[], None]] = []

    def now(self) -> datetime:
        """The set instant, plus what has passed since when the clock runs."""
        with self._lock:
            if not self._runs:
                return self._set_to
            return self._set_to + timedelta(seconds=monotonic() - self._set_at)

    def move_to(self, instant: datetime) -> None:
        """Set the clock; going back is refused, because the log only grows.

        Raises ValueError when `instant` lies before now.
        """
        if instant < self.now():
            raise ValueError("the clock only moves forward")
        with self._lock:
            self._set_to, self._set_at = instant, monotonic()
        for call in self.on_move:
            call()

    def move_by(self, step: timedelta) -> None:
        """Move forward by `step`."""
        self.move_to(self.now() + step)

    def let_run(self) -> None:
        """From here on the clock runs; one that runs already goes on as it was."""
        with self._lock:
            if not self._runs:
                self._runs, self._set_at = True, monotonic()
