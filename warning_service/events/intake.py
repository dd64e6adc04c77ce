"""Group commit: many requests, one transaction, one disk flush.

A request hands in an event and awaits; a writer thread takes all that wait (at most `batch`),
appends them in one transaction and answers each of them after the commit. The queue is bounded: a
full one raises `QueueFull`, which the page turns into 503 with Retry-After, so that a tablet keeps
the answer and tries again instead of waiting in a growing line.

The writer is woken a millisecond after the first of many, not at each: else it would commit that
one alone, and the two threads would spend their time handing the interpreter to each other. A cry
for help does not wait.

When one event of a batch conflicts with what the log holds, the batch is appended one by one, so
that only the offender is refused.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence

import structlog
from prometheus_client import Counter, Histogram

from warning_service.database import StorageUnavailable
from warning_service.events.log import ConflictingEvent, Log
from warning_service.events.types import NewEvent

log = structlog.get_logger()

STORED = Counter("kizashi_intake_stored_total", "Events committed by the intake writer")
REFUSED = Counter("kizashi_intake_refused_total", "Events not stored", ["why"])
BATCH = Histogram(
    "kizashi_intake_batch_size", "Events per commit", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500)
)

PATIENCE_SECONDS = 0.1
GATHER_SECONDS = 0.001
Waiting = tuple[NewEvent, "asyncio.Future[None]"]


class QueueFull(RuntimeError):
    """More is waiting than the writer may hold; nothing was stored. Try again shortly."""


class Intake:
    """The group-commit writer. `submit` from the event loop; one thread commits."""

    def __init__(self, log_: Log, *, queue: int, batch: int, reserve: int = 500) -> None:
        self._log = log_
        self._queue_limit = queue
        self._reserve = reserve
        self._batch = batch
        self._waiting: deque[Waiting] = deque()
        self._urgent: deque[Waiting] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._hinted = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Start the writer thread."""
        self._thread.start()

    def stop(self) -> None:
        """Commit what waits, then end the thread."""
        with self._lock:
            self._stopping = True
        self._wake.set()
        self._thread.join(timeout=10)

    @property
    def alive(self) -> bool:
        """Does the writer thread run?"""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """How many events wait for a commit."""
        return len(self._waiting) + len(self._urgent)

    async def submit(self, event: NewEvent, *, urgent: bool = False) -> None:
        """Return once `event` is durable. `urgent`: a cry for help, see above.

        Raises QueueFull, StorageUnavailable (nothing stored) or ConflictingEvent.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            limit = self._queue_limit + (self._reserve if urgent else 0)
            if self.waiting >= limit or self._stopping:
                REFUSED.labels("queue_full").inc()
                raise QueueFull
            (self._urgent if urgent else self._waiting).append((event, future))
            hint = not self._hinted and not urgent
            self._hinted = self._hinted or hint
        if urgent:
            self._wake.set()
        elif hint:
            loop.call_later(GATHER_SECONDS, self._hint)
        await future

    def _hint(self) -> None:
        self._hinted = False
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait(PATIENCE_SECONDS)  # a loop that ended may have taken its hint along
            self._wake.clear()
            while self.waiting:
                with self._lock:
                    taken = [
                        (self._urgent or self._waiting).popleft()
                        for _ in range(min(self.waiting, self._batch))
                    ]
                self._commit(taken)
            if self._stopping and not self.waiting:
                return

    def _commit(self, taken: Sequence[Waiting]) -> None:
        try:
            with self._log.unit_of_work() as unit:
                unit.append(*(event for event, _ in taken))
        except ConflictingEvent as error:
            if len(taken) == 1:
                REFUSED.labels("conflict").inc()
                _answer(taken, error)
            else:
                for one in taken:
                    self._commit([one])
        except StorageUnavailable as error:
            REFUSED.labels("storage").inc(len(taken))
            _answer(taken, error)  # first of all: whatever fails after it, nobody waits for it
            log.error("intake_storage_unavailable", error=str(error), events=len(taken))
        except Exception as error:  # a bug must answer its callers, not hang them
            REFUSED.labels("error").inc(len(taken))
            _answer(taken, StorageUnavailable("error"))
            log.exception("intake_failed", error=type(error).__name__)
        else:
            BATCH.observe(len(taken))
            STORED.inc(len(taken))
            _answer(taken, None)


def _answer(taken: Sequence[Waiting], error: Exception | None) -> None:
    """Resolve all futures of one batch, waking each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for _, future in taken:
        by_loop.setdefault(future.get_loop(), []).append(future)

    def resolve(futures: list[asyncio.Future[None]]) -> None:
        for future in futures:
            if future.done():  # the client went away; the event is stored all the same
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    for loop, futures in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(resolve, futures)
