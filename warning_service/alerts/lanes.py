"""In memory, per address: what was claimed and is to be sent, and who may send it now.

One lane is one address; it is served by one sender at a time, so messages keep their order and a
limit "one per second per channel" can be honoured. A lane whose last message was not delivered is
suspect, and suspect lanes together get at most half of the senders: addresses that hang never keep
a healthy one waiting. Times are monotonic seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime

from warning_service.alerts.outbox import LEASE, PER_ADDRESS, Lane, Owed
from warning_service.clock import monotonic

HOLD_SECONDS = LEASE.total_seconds() / 2
"""So long a claimed message may lie here; then it is given back while the lease still holds."""


class _State:
    def __init__(self) -> None:
        self.queue: list[tuple[float, Owed]] = []
        self.busy = False
        self.failures = 0
        self.paused_until = 0.0


class Lanes:
    """The lanes of one channel, shared by its senders and the claimer."""

    def __init__(self, senders: int) -> None:
        self._ready = threading.Condition()
        self._lanes: dict[Lane, _State] = {}
        self._suspects_at_once = max(1, senders // 2)
        self._stopping = False

    @property
    def waiting(self) -> int:
        """How many messages are queued."""
        with self._ready:
            return sum(len(state.queue) for state in self._lanes.values())

    def closed(self) -> list[Lane]:
        """Lanes for which nothing more should be claimed now: paused, or full."""
        now = monotonic()
        with self._ready:
            return [
                lane
                for lane, state in self._lanes.items()
                if state.paused_until > now or len(state.queue) >= PER_ADDRESS
            ]

    def put(self, claimed: Iterable[Owed]) -> None:
        """Queue claimed messages."""
        good_until = monotonic() + HOLD_SECONDS
        with self._ready:
            for owed in claimed:
                state = self._lanes.setdefault(owed.lane, _State())
                state.queue.append((good_until, owed))
                state.queue.sort(key=lambda item: (item[1].rank, item[1].created_at, item[1].id))
            self._ready.notify_all()

    def take(self) -> tuple[Owed, bool] | None:
        """Wait for a message of a free lane; None when stopping.

        The flag says whether the claim is still good; if not, give the message back unsent.
        """
        with self._ready:
            while not self._stopping:
                lane = self._next()
                if lane is None:
                    self._ready.wait()
                    continue
                state = self._lanes[lane]
                state.busy = True
                good_until, owed = state.queue.pop(0)
                return owed, good_until > monotonic()
        return None

    def _next(self) -> Lane | None:
        suspects = sum(1 for s in self._lanes.values() if s.busy and s.failures)
        best: tuple[tuple[bool, int, datetime], Lane] | None = None
        for lane, state in self._lanes.items():
            if state.busy or not state.queue:
                continue
            suspect = state.failures > 0
            if suspect and suspects >= self._suspects_at_once:
                continue
            owed = state.queue[0][1]
            key = (suspect, owed.rank, owed.created_at)
            if best is None or key < best[0]:
                best = (key, lane)
        return None if best is None else best[1]

    def failures(self, lane: Lane) -> int:
        """How many messages in a row were not delivered to this lane."""
        with self._ready:
            return self._lanes[lane].failures if lane in self._lanes else 0

    def done(self, lane: Lane) -> None:
        """The sender is through with its message, and the lane works."""
        with self._ready:
            state = self._lanes[lane]
            state.busy = False
            state.failures = 0
            if not state.queue:
                del self._lanes[lane]
            self._ready.notify_all()

    def passed(self, lane: Lane) -> None:
        """The sender is through with its message without having learnt how the lane is."""
        with self._ready:
            state = self._lanes[lane]
            state.busy = False
            if not state.queue and not state.failures and state.paused_until <= monotonic():
                del self._lanes[lane]
            self._ready.notify_all()

    def pause(self, lane: Lane, seconds: float, *, failed: bool) -> Sequence[Owed]:
        """Keep the lane still for a while; return what waited in it, to be given back."""
        with self._ready:
            state = self._lanes[lane]
            state.busy = False
            state.failures += failed
            state.paused_until = monotonic() + seconds
            given_back = [owed for _, owed in state.queue]
            state.queue.clear()
            self._ready.notify_all()
        return given_back

    def stop(self) -> Sequence[Owed]:
        """Let the senders end; return what was not sent."""
        with self._ready:
            self._stopping = True
            left = [owed for state in self._lanes.values() for _, owed in state.queue]
            for state in self._lanes.values():
                state.queue.clear()
            self._ready.notify_all()
        return left
