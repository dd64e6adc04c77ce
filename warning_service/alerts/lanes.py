"""In memory, per address: what was claimed and is to be sent, and who may send it now.

One lane is one address; it is served by one sender at a time, so messages keep their order. Where a
channel wants pauses between messages to one address, a lane is taken up again after that pause, and
what has come meanwhile and says the same goes out as one message for several alerts: an urgent one
with urgent ones only. A lane whose last message was not delivered is suspect, and suspect lanes
together get at most half of the senders: addresses that hang never keep a healthy one waiting. When
several addresses in a row are told to slow down, it is the whole channel that is meant, and it
keeps still, so that what is urgent goes first when it may speak again. Times are monotonic seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime

from warning_service.alerts.outbox import LEASE, PER_ADDRESS, Lane, Owed
from warning_service.alerts.telling import UPDATE
from warning_service.clock import monotonic

HOLD_SECONDS = LEASE.total_seconds() / 2
"""So long a claimed message may lie here; then it is given back while the lease still holds."""

LIMITED_LANES = 3
"""So many addresses told to slow down, and none that was served since: it is the whole channel."""

URGENT_BURST = 3
"""So many urgent messages may go to one address without a pause; services bear short bursts, and
one that does not says 429, which is honoured. The pauses are made up for afterwards."""


class _State:
    def __init__(self) -> None:
        self.queue: list[tuple[float, Owed]] = []
        self.busy = False
        self.failures = 0
        self.paused_until = 0.0
        # Changes have a limit of their own where there is one: they never hold up a new message.
        self.ready_at = {True: 0.0, False: 0.0}

    def head(self, now: float, ahead: float) -> tuple[int, float]:
        """Place of the first message that may go now (-1: none), else when one may.

        `ahead`: seconds by which a new urgent message may be before its turn.
        """
        soonest = float("inf")
        for place, (_, owed) in enumerate(self.queue):
            change = owed.purpose == UPDATE
            ready = self.ready_at[change] - (0.0 if change or owed.rank else ahead)
            if ready <= now:
                return place, now
            soonest = min(soonest, ready)
        return -1, soonest

    def idle(self, now: float) -> bool:
        """Nothing to remember about this lane?"""
        return not (
            self.busy
            or self.queue
            or self.failures
            or max(self.paused_until, *self.ready_at.values()) > now
        )


class Lanes:
    """The lanes of one channel, shared by its senders and the claimer.

    `between`: seconds from one message to the next to one address.
    """

    def __init__(self, senders: int, between: float = 0.0) -> None:
        # One sender is woken for one message, not all of them: each that wakes in vain takes the
        # interpreter from those who have something to send.
        self._ready = threading.Condition()
        self._lanes: dict[Lane, _State] = {}
        self._suspects_at_once = max(1, senders // 2)
        self._between = between
        self._limited: set[Lane] = set()
        self._still_until = 0.0
        self._stopping = False

    @property
    def waiting(self) -> int:
        """How many messages are queued."""
        with self._ready:
            return sum(len(state.queue) for state in self._lanes.values())

    @property
    def still(self) -> bool:
        """Is the whole channel to keep still now?"""
        return self._still_until > monotonic()

    def closed(self) -> list[Lane]:
        """Lanes for which nothing more should be claimed now: paused, or full."""
        now = monotonic()
        with self._ready:
            for lane in [lane for lane, state in self._lanes.items() if state.idle(now)]:
                del self._lanes[lane]
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
                self._ready.notify()

    def take(self, *, at_once: bool = False) -> tuple[list[Owed], bool] | None:
        """Wait for messages of a free lane that can go as one; None when stopping.

        The flag says whether the claim is still good; if not, give them back unsent. `at_once`:
        without the pauses between messages.
        """
        with self._ready:
            while not self._stopping:
                lane, place, wait = self._next(at_once)
                if lane is None:
                    self._ready.wait(wait)
                    continue
                state = self._lanes[lane]
                state.busy = True
                good_until, owed = state.queue.pop(place)
                good = good_until > monotonic()
                taken = self._with_its_like(state, owed) if good else [owed]
                if any(other.queue for other in self._lanes.values()):
                    # We may have been the one who waited for the next one's turn to come.
                    self._ready.notify()
                return taken, good
        return None

    def _with_its_like(self, state: _State, owed: Owed) -> list[Owed]:
        """`owed` with those of the lane that say the same about other alerts."""
        if not self._between or not owed.groups:
            return [owed]
        now = monotonic()
        like = [
            item
            for item in state.queue
            if item[0] > now and item[1].groups and item[1].likeness == owed.likeness
        ]
        taken: list[Owed] = [owed]
        for item in like:
            if len(taken) == PER_ADDRESS:
                break
            if item[1].alert_id not in {one.alert_id for one in taken}:
                taken.append(item[1])
                state.queue.remove(item)
        return taken

    def _next(self, at_once: bool) -> tuple[Lane | None, int, float | None]:
        """The lane to serve and the place of its message; else how long to wait (None: any)."""
        now = monotonic()
        if self._still_until > now:
            return None, 0, self._still_until - now
        suspects = sum(1 for s in self._lanes.values() if s.busy and s.failures)
        best: tuple[tuple[bool, int, datetime], Lane, int] | None = None
        soonest = float("inf")
        for lane, state in self._lanes.items():
            if state.busy or not state.queue:
                continue
            suspect = state.failures > 0
            if suspect and suspects >= self._suspects_at_once:
                continue
            place, ready = (0, now) if at_once else state.head(now, URGENT_BURST * self._between)
            if place < 0:
                soonest = min(soonest, ready)
                continue
            owed = state.queue[place][1]
            key = (suspect, owed.rank, owed.created_at)
            if best is None or key < best[0]:
                best = (key, lane, place)
        if best is not None:
            return best[1], best[2], None
        return None, 0, None if soonest == float("inf") else soonest - now

    def failures(self, lane: Lane) -> int:
        """How many messages in a row were not delivered to this lane."""
        with self._ready:
            return self._lanes[lane].failures if lane in self._lanes else 0

    def done(self, lane: Lane, *, update: bool = False) -> None:
        """The sender is through with its message, and the lane works."""
        with self._ready:
            self._limited.clear()
            state = self._lanes[lane]
            state.busy = False
            state.failures = 0
            state.ready_at[update] = max(state.ready_at[update], monotonic()) + self._between
            if state.idle(monotonic()):
                del self._lanes[lane]
            self._ready.notify()

    def passed(self, lane: Lane) -> None:
        """The sender is through with its message without having learnt how the lane is."""
        with self._ready:
            state = self._lanes[lane]
            state.busy = False
            if state.idle(monotonic()):
                del self._lanes[lane]
            self._ready.notify()

    def pause(self, lane: Lane, seconds: float, *, failed: bool) -> Sequence[Owed]:
        """Keep the lane still for a while; return what waited in it, to be given back."""
        with self._ready:
            state = self._lanes[lane]
            state.busy = False
            state.failures += failed
            state.paused_until = monotonic() + seconds
            given_back = [owed for _, owed in state.queue]
            state.queue.clear()
            if not failed:
                self._limited.add(lane)
            self._ready.notify_all()
        return given_back

    def limited(self) -> bool:
        """Were so many addresses told to slow down that it must be the whole channel?"""
        with self._ready:
            return len(self._limited) >= LIMITED_LANES

    def pause_all(self, seconds: float) -> Sequence[Owed]:
        """Keep the whole channel still; return what waited in it, to be given back."""
        with self._ready:
            self._still_until = max(self._still_until, monotonic() + seconds)
            self._limited.clear()
            return self._clear()

    def stop(self) -> Sequence[Owed]:
        """Let the senders end; return what was not sent."""
        with self._ready:
            self._stopping = True
            return self._clear()

    def _clear(self) -> list[Owed]:
        left = [owed for state in self._lanes.values() for _, owed in state.queue]
        for state in self._lanes.values():
            state.queue.clear()
        self._ready.notify_all()
        return left
