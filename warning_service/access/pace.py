"""How fast one session, or one address at the open doors, may ask.

A bucket for each: so many requests at once, then so many a second. A person clicking, or a meeting
going through its list, stay far below; a script that copies page after page with a stolen session,
or knocks at the staff's doors, is slowed down. The children's door is not paced (see web.Open). In
memory of this process only: with several processes the limits are that many times as wide, which is
still a limit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from warning_service.clock import monotonic

MOST_KEPT = 100_000


class Bucket(msgspec.Struct, frozen=True):
    """`at_once` requests, refilled with `a_second` of them."""

    at_once: float
    a_second: float


SESSION = Bucket(600, 5)
ADDRESS = Bucket(3000, 30)


class TooFast(RuntimeError):
    """Wait `seconds` before the next request."""

    def __init__(self, seconds: int) -> None:
        super().__init__("too many requests")
        self.seconds = seconds


class Pace:
    """Remembers how full each asker's bucket is. Safe to share between threads."""

    def __init__(self, bucket: Bucket, now: Callable[[], float] = monotonic) -> None:
        self._bucket = bucket
        self._now = now
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, asker: str) -> None:
        """Count one request of `asker`. Raises TooFast when its bucket is empty."""
        bucket, now = self._bucket, self._now()
        with self._lock:
            left, since = self._left.get(asker, (bucket.at_once, now))
            left = min(bucket.at_once, left + (now - since) * bucket.a_second)
            if left < 1:
                self._left[asker] = (left, now)
                raise TooFast(int((1 - left) / bucket.a_second) + 1)
            if len(self._left) > MOST_KEPT:
                self._left.clear()
            self._left[asker] = (left - 1, now)
