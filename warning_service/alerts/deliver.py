"""Gets owed messages out: claims them, hands them to channels, stores what became of them.

Nobody waits for this: consumers and pages only add rows. The alerts consumer of the same process
hands new messages over as soon as they are durable; a hint wakes the claimer for all others, and
looking every `patience` seconds is the fallback. Each channel has senders of its own, each address
a lane (see lanes.py), so that nothing slow holds up anything else. An address that asks for a pause
(Retry-After) gets it to the second; one that fails is tried again ever more slowly, with jitter.

At least once: a process that dies between sending and storing sends again after its lease, and the
message's short reference lets people tell a repeat from a new alert. After `max_tries` a message is
given up visibly: state `failed`, an error in the log, a number in /metrics. The escalation does not
depend on it: an alert nobody acknowledged goes up the chain whatever became of its messages.
"""

from __future__ import annotations

import queue
import secrets
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

from warning_service.alerts import outbox
from warning_service.alerts.lanes import Lanes
from warning_service.alerts.messages import (
    Channel,
    Message,
    NotDelivered,
    RateLimited,
    State,
)
from warning_service.alerts.outbox import FAILED, SENT, UNNEEDED, WAITING, Outcome, Owed
from warning_service.alerts.telling import DELIVERIES, ESCALATED, UPDATE
from warning_service.clock import Clock, monotonic
from warning_service.database import StorageUnavailable
from warning_service.events.log import Log
from warning_service.events.types import AlertRaised

__all__ = ["Channel", "Deliverer", "Message", "NotDelivered", "RateLimited"]

log = structlog.get_logger()

CLAIM_AT_ONCE = 200
LONGEST_PAUSE = 30.0
LONGEST_BACKOFF = 60.0
UPDATE_TRIES = 10
TOO_EARLY_SECONDS = 0.5
LINGER_SECONDS = 0.02
COUNT_SECONDS = 10.0

OUTCOMES = Counter("kizashi_deliveries_total", "What became of messages", ["channel", "outcome"])
LATENCY = Histogram(
    "kizashi_delivery_seconds",
    "From the alert's commit to the channel having the message",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600, 3600),
)
STANDING = Gauge(
    "kizashi_deliveries_standing", "Messages waiting, and messages given up", ["state"]
)


class Deliverer:
    """Sends what is owed on `channels` (name -> channel). Several processes may each have one.

    `public_url` begins every link; `names_class`: may a message name the class.
    """

    def __init__(
        self,
        log_: Log,
        channels: Mapping[str, Channel],
        *,
        public_url: str,
        names_class: bool = False,
        senders: int = 8,
        patience: float = 0.25,
        max_tries: int = 120,
        wall: Clock | None = None,
    ) -> None:
        self._log = log_
        self._channels = dict(channels)
        self._public_url = public_url.rstrip("/")
        self._names_class = names_class
        self._senders = senders
        self._patience = patience
        self._max_tries = max_tries
        self._wall = wall or Clock()
        self._owner = uuid.uuid4().hex
        self._lanes = {name: Lanes(senders) for name in channels}
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._poked = threading.Event()
        self._stopping = threading.Event()
        self._sending_over = threading.Event()
        self._workers: list[threading.Thread] = []
        self._finisher: threading.Thread | None = None
        self._unhook: Callable[[], None] | None = None
        self._counted = -COUNT_SECONDS
        self._running = False

    # -- running ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the claimer, the senders of each channel and the one who stores."""
        self._unhook = self._log.wakeups.on_hint(DELIVERIES, self._poked.set)
        self._running = True
        jobs: list[tuple[str, Callable[[], None]]] = [("deliver:claim", self._claim_loop)]
        for name in self._channels:
            jobs += [(f"deliver:{name}", partial(self._send_loop, name))] * self._senders
        for name, job in jobs:
            self._workers.append(threading.Thread(target=job, name=name, daemon=True))
        self._finisher = threading.Thread(
            target=self._store_loop, name="deliver:store", daemon=True
        )
        for thread in (*self._workers, self._finisher):
            thread.start()

    def stop(self) -> None:
        """Let messages under way finish, store their outcome, give back the rest."""
        if self._unhook is not None:
            self._unhook()
            self._unhook = None
        self._running = False
        self._stopping.set()
        self._poked.set()
        for lanes in self._lanes.values():
            for owed in lanes.stop():
                self._outcomes.put(self._given_back(owed, 0.0))
        for thread in self._workers:
            thread.join(timeout=10)
        self._sending_over.set()
        if self._finisher is not None:
            self._finisher.join(timeout=10)

    def run_once(self) -> int:
        """Without threads: send what is due now, one after the other; return how many went out."""
        outcomes: list[Outcome] = []
        for owed in self._claim():
            lanes = self._lanes[owed.channel]
            lanes.put([owed])
        for lanes in self._lanes.values():
            while lanes.waiting:
                taken = lanes.take()
                assert taken is not None
                outcomes += self._deal(*taken)
        self._store(outcomes)
        return sum(1 for one in outcomes if one.state == SENT)

    # -- straight from a consumer of this process --------------------------------------------------

    def reserve(
        self, rows: Sequence[dict[str, Any]], raised: Mapping[str, AlertRaised]
    ) -> list[Owed]:
        """Mark those of the new delivery `rows` as claimed that can go straight to their lanes.

        None where the class is to be named: only the database knows what it is called.
        """
        if not self._running or self._names_class:
            return []
        until = self._wall.now() + outbox.LEASE
        closed = {lane for lanes in self._lanes.values() for lane in lanes.closed()}
        mine = []
        for row in rows:
            if row["channel"] not in self._lanes or (row["channel"], row["address"]) in closed:
                continue
            row["claimed_by"], row["claimed_until"] = self._owner, until
            mine.append(outbox.fresh(row, raised[row["alert_id"]]))
        return mine

    def take(self, owed: Sequence[Owed]) -> None:
        """Send these, whose claims are durable now."""
        for name, lanes in self._lanes.items():
            lanes.put(one for one in owed if one.channel == name)

    # -- claiming --------------------------------------------------------------------------------

    def _claim_loop(self) -> None:
        while not self._stopping.is_set():
            self._poked.wait(self._patience)
            self._poked.clear()
            try:
                while not self._stopping.is_set() and (claimed := self._claim()):
                    for name, lanes in self._lanes.items():
                        lanes.put(owed for owed in claimed if owed.channel == name)
                self._count()
            except StorageUnavailable as error:
                log.error("deliveries_not_read", error=str(error))
                self._stopping.wait(1.0)
            except Exception as error:  # the next look must come, whatever this one met
                log.exception("deliveries_failed", error=type(error).__name__)
                self._stopping.wait(1.0)

    def _claim(self) -> list[Owed]:
        closed = [lane for lanes in self._lanes.values() for lane in lanes.closed()]
        now = self._wall.now()
        with self._log.database.reading() as conn:
            found = outbox.due(conn, list(self._channels), now, limit=CLAIM_AT_ONCE, without=closed)
        if not found:
            return []
        with self._log.database.writing() as conn:
            mine = outbox.claim(conn, [owed.id for owed in found], self._owner, now)
        return [owed for owed in found if owed.id in mine]

    def _count(self) -> None:
        if monotonic() - self._counted < COUNT_SECONDS:
            return
        self._counted = monotonic()
        with self._log.database.reading() as conn:
            for state, count in outbox.counts(conn).items():
                STANDING.labels(state).set(count)

    # -- sending ---------------------------------------------------------------------------------

    def _send_loop(self, channel: str) -> None:
        lanes = self._lanes[channel]
        while (taken := lanes.take()) is not None:
            for outcome in self._deal(*taken):
                self._outcomes.put(outcome)

    def _deal(self, owed: Owed, good: bool) -> list[Outcome]:
        """Send one message if that still makes sense; say what became of it and of its lane."""
        lanes = self._lanes[owed.channel]
        if not good or owed.too_early or owed.unneeded:
            lanes.passed(owed.lane)
            if not good:
                return [self._given_back(owed, 0.0)]
            if owed.too_early:
                return [self._given_back(owed, TOO_EARLY_SECONDS)]
            OUTCOMES.labels(owed.channel, UNNEEDED).inc()
            return [self._outcome(owed, UNNEEDED)]
        try:
            remote_id = self._send(owed)
        except RateLimited as error:
            OUTCOMES.labels(owed.channel, "rate_limited").inc()
            return self._pause(owed, error.seconds, failed=False, why="rate_limited", tries=0)
        except NotDelivered as error:
            if error.refused:  # the channel works; it is this message it does not take
                lanes.passed(owed.lane)
                return [self._missed(owed, error.why, self._backoff(owed.attempts + 1))]
            return self._not_delivered(owed, error.why)
        except Exception as error:
            return self._not_delivered(owed, type(error).__name__)
        lanes.done(owed.lane)
        now = self._wall.now()
        OUTCOMES.labels(owed.channel, SENT).inc()
        LATENCY.labels(owed.channel).observe(max(0.0, (now - owed.created_at).total_seconds()))
        return [
            Outcome(
                owed=owed, state=SENT, attempts=owed.attempts + 1, next_at=now,
                remote_id=remote_id, sent_at=now,
            )
        ]  # fmt: skip

    def _send(self, owed: Owed) -> str:
        channel, message = self._channels[owed.channel], self._message(owed)
        if owed.purpose == UPDATE:
            channel.update(owed.target_remote, message)
            return owed.target_remote
        return channel.send(message)

    def _message(self, owed: Owed) -> Message:
        state: State = "open"
        if owed.purpose == ESCALATED:
            state = "escalated"
        if owed.purpose == UPDATE and owed.alert_state == "acknowledged":
            state = "acknowledged"
        if owed.purpose == UPDATE and owed.alert_state == "handled":
            state = "handled"
        return Message(
            address=owed.address,
            alert_id=owed.alert_id or owed.id,  # a trial belongs to no alert
            kind=owed.kind,
            urgent=owed.urgency == "urgent",
            state=state,
            class_name=owed.class_name if self._names_class else "",
            link=f"{self._public_url}/portal/"
            + (f"alerts/{owed.alert_id}" if owed.alert_id else "channels"),
            delivery=owed.id,
        )

    def _not_delivered(self, owed: Owed, why: str) -> list[Outcome]:
        failures = self._lanes[owed.channel].failures(owed.lane) + 1
        seconds = min(self._backoff(failures), LONGEST_PAUSE)
        return self._pause(owed, seconds, failed=True, why=why, tries=1)

    def _pause(
        self, owed: Owed, seconds: float, *, failed: bool, why: str, tries: int
    ) -> list[Outcome]:
        """Hold the whole address still, and give back what else waited for it."""
        until = self._wall.now() + timedelta(seconds=seconds)
        waited = self._lanes[owed.channel].pause(owed.lane, seconds, failed=failed)
        if tries:
            own = self._missed(owed, why, max(seconds, self._backoff(owed.attempts + 1)))
        else:
            own = self._given_back(owed, seconds)
        log.warning("channel_paused", channel=owed.channel, seconds=round(seconds, 1), reason=why)
        paused = Outcome(
            owed=own.owed, state=own.state, attempts=own.attempts, next_at=own.next_at,
            error=why, pause_until=until,
        )  # fmt: skip
        return [paused, *(self._given_back(one, seconds) for one in waited)]

    def _missed(self, owed: Owed, why: str, seconds: float) -> Outcome:
        """One try more has failed: later again, or given up."""
        attempts = owed.attempts + 1
        most = UPDATE_TRIES if owed.purpose == UPDATE else self._max_tries
        state = FAILED if attempts >= most else WAITING
        OUTCOMES.labels(owed.channel, FAILED if state == FAILED else "missed").inc()
        if state == FAILED:
            log.error(
                "delivery_given_up", channel=owed.channel, alert=owed.alert_id,
                delivery=owed.id, attempts=attempts, reason=why,
            )  # fmt: skip
        return Outcome(
            owed=owed, state=state, attempts=attempts, error=why,
            next_at=self._wall.now() + timedelta(seconds=seconds),
        )  # fmt: skip

    def _given_back(self, owed: Owed, seconds: float) -> Outcome:
        return Outcome(
            owed=owed, state=WAITING, attempts=owed.attempts,
            next_at=self._wall.now() + timedelta(seconds=seconds),
        )  # fmt: skip

    def _outcome(self, owed: Owed, state: str) -> Outcome:
        return Outcome(owed=owed, state=state, attempts=owed.attempts, next_at=self._wall.now())

    def _backoff(self, tries: int) -> float:
        """1, 2, 4 … 60 seconds, less up to half of it, so that many do not come back together."""
        longest = min(LONGEST_BACKOFF, 2.0 ** min(tries - 1, 10))
        return longest * (0.5 + secrets.randbelow(500) / 1000)

    # -- storing ---------------------------------------------------------------------------------

    def _store_loop(self) -> None:
        kept: list[Outcome] = []
        while True:
            over = self._sending_over.is_set()
            try:
                kept.append(self._outcomes.get(timeout=0.0 if over else 0.2))
                # What was sent is sent; a moment's patience makes one commit of many.
                self._sending_over.wait(LINGER_SECONDS)
                while len(kept) < 500:
                    kept.append(self._outcomes.get_nowait())
            except queue.Empty:
                pass
            try:
                self._store(kept)
                kept = []
            except StorageUnavailable as error:
                log.error("deliveries_not_stored", error=str(error), count=len(kept))
                if over:
                    return  # leases give them back; they may be sent a second time
                self._stopping.wait(0.5)
                continue
            except Exception as error:
                log.exception("deliveries_not_stored", error=type(error).__name__)
                kept = []  # leases give them back
            if over and self._outcomes.empty():
                return

    def _store(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        with self._log.database.writing() as conn:
            outbox.store(conn, outcomes)
