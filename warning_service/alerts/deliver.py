"""Gets owed messages out: claims them, hands them to channels, stores what became of them.

Nobody waits for this: consumers and pages only add rows. The alerts consumer of the same process
hands new messages over as soon as they are durable; a hint wakes the claimer for all others, and
looking every `patience` seconds is the fallback. Each channel has senders of its own (sending.py),
each address a lane (lanes.py), so that nothing slow holds up anything else, and a further channel
is told when the first does not take a message in time (turns.py).

At least once: a process that dies between sending and storing sends again after its lease, and the
message's short reference lets people tell a repeat from a new alert. After `max_tries` a message is
given up visibly: state `failed`, an error in the log, a number in /metrics, a line on the
operator's page (dead_letters.py). The escalation does not depend on it: an alert nobody
acknowledged goes up the chain whatever became of its messages.
"""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import structlog
from prometheus_client import Gauge

from warning_service.alerts import outbox
from warning_service.alerts.messages import Channel, Message, NotDelivered, RateLimited
from warning_service.alerts.outbox import SENT, Outcome, Owed
from warning_service.alerts.sending import Sender, Writer
from warning_service.alerts.telling import DELIVERIES
from warning_service.clock import Clock, monotonic
from warning_service.database import StorageUnavailable
from warning_service.events.log import Log
from warning_service.events.types import AlertRaised

__all__ = ["Channel", "Deliverer", "Message", "NotDelivered", "RateLimited"]

log = structlog.get_logger()

CLAIM_AT_ONCE = 200
LINGER_SECONDS = 0.02
COUNT_SECONDS = 10.0

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
        self._names_class = names_class
        self._senders = senders
        self._patience = patience
        self._wall = wall or Clock()
        self._owner = uuid.uuid4().hex
        writer = Writer(public_url, names_class=names_class)
        self._sender_of = {
            name: Sender(channel, writer, senders=senders, max_tries=max_tries, wall=self._wall)
            for name, channel in channels.items()
        }
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
        for name in self._sender_of:
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
        for sender in self._sender_of.values():
            for owed in sender.lanes.stop():
                self._outcomes.put(sender.given_back(owed, 0.0))
        for thread in self._workers:
            thread.join(timeout=10)
        self._sending_over.set()
        if self._finisher is not None:
            self._finisher.join(timeout=10)

    def run_once(self) -> int:
        """Without threads: send what is due now, one after the other; return how many went out.

        A message that stands for several alerts counts once for each.
        """
        outcomes: list[Outcome] = []
        self._put(self._claim())
        for sender in self._sender_of.values():
            while sender.lanes.waiting and not sender.lanes.still:
                taken = sender.lanes.take(at_once=True)
                assert taken is not None
                outcomes += sender.deal(*taken)
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
        now = self._wall.now()
        until = now + outbox.LEASE
        open_, closed = self._lanes_now()
        mine = []
        for row in rows:
            lane = (row["channel"], row["address"])
            if row["next_at"] > now or row["channel"] not in open_ or lane in closed:
                continue
            row["claimed_by"], row["claimed_until"] = self._owner, until
            mine.append(outbox.fresh(row, raised[row["alert_id"]]))
        return mine

    def take(self, owed: Sequence[Owed]) -> None:
        """Send these, whose claims are durable now."""
        self._put(owed)

    # -- claiming --------------------------------------------------------------------------------

    def _claim_loop(self) -> None:
        while not self._stopping.is_set():
            self._poked.wait(self._patience)
            self._poked.clear()
            try:
                while not self._stopping.is_set() and (claimed := self._claim()):
                    self._put(claimed)
                self._count()
            except StorageUnavailable as error:
                log.error("deliveries_not_read", error=str(error))
                self._stopping.wait(1.0)
            except Exception as error:  # the next look must come, whatever this one met
                log.exception("deliveries_failed", error=type(error).__name__)
                self._stopping.wait(1.0)

    def _claim(self) -> list[Owed]:
        open_, closed = self._lanes_now()
        now = self._wall.now()
        with self._log.database.reading() as conn:
            found = outbox.due(conn, open_, now, limit=CLAIM_AT_ONCE, without=sorted(closed))
        if not found:
            return []
        with self._log.database.writing() as conn:
            mine = outbox.claim(conn, [owed.id for owed in found], self._owner, now)
        return [owed for owed in found if owed.id in mine]

    def _lanes_now(self) -> tuple[list[str], set[outbox.Lane]]:
        """Channels that need not keep still, and lanes for which nothing more is to be claimed."""
        senders = self._sender_of.items()
        open_ = [name for name, sender in senders if not sender.lanes.still]
        return open_, {lane for _, sender in senders for lane in sender.lanes.closed()}

    def _put(self, claimed: Sequence[Owed]) -> None:
        if not self._names_class:  # what is not said must not keep messages apart either
            claimed = [msgspec.structs.replace(owed, class_name="") for owed in claimed]
        for name, sender in self._sender_of.items():
            if mine := [owed for owed in claimed if owed.channel == name]:
                sender.lanes.put(mine)

    def _count(self) -> None:
        if monotonic() - self._counted < COUNT_SECONDS:
            return
        self._counted = monotonic()
        with self._log.database.reading() as conn:
            for state, count in outbox.counts(conn).items():
                STANDING.labels(state).set(count)

    # -- sending ---------------------------------------------------------------------------------

    def _send_loop(self, channel: str) -> None:
        sender = self._sender_of[channel]
        while (taken := sender.lanes.take()) is not None:
            for outcome in sender.deal(*taken):
                self._outcomes.put(outcome)

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
