"""From the consumer straight to the senders: durable first, handed over once, given back if not."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import select

from tests.alerts.town import BOARD, Town
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.alerts.deliver import Deliverer
from warning_service.alerts.messages import Message, NotDelivered
from warning_service.alerts.tables import alerts, deliveries
from warning_service.clock import monotonic
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log, UnitOfWork, head
from warning_service.events.tables import consumers


class Phone:
    """A channel that notes what it is given, and what the database held at that moment."""

    name = "slack"

    def __init__(self, log: Log) -> None:
        self.log = log
        self.sent: list[str] = []
        self.stored: list[bool] = []
        self.broken = False

    def send(self, message: Message) -> str:
        if self.broken:
            raise NotDelivered("broken")
        with self.log.database.reading() as conn:
            found = conn.execute(select(alerts.c.id).where(alerts.c.id == message.alert_id)).first()
        self.stored.append(found is not None)
        self.sent.append(message.address)
        return message.reference

    def update(self, remote_id: str, message: Message) -> None:
        raise AssertionError


def eventually(holds: Any, seconds: float = 5.0) -> None:
    begin = monotonic()
    while not holds():
        assert monotonic() - begin < seconds
        threading.Event().wait(0.01)


def rows(town: Town) -> list[Any]:
    with town.log.database.reading() as conn:
        return list(conn.execute(select(deliveries)))


def test_handed_over_after_the_commit_without_looking(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = Phone(town.log)
    deliverer = Deliverer(town.log, {"slack": phone}, public_url="http://x", patience=60)
    consumer = AlertsConsumer(town.log, town.playbooks, direct=deliverer)
    dispatcher = Dispatcher(town.log, consumer, BOARD)
    looks: list[int] = []
    monkeypatch.setattr(deliverer, "_claim", lambda: looks.append(1) or [])
    deliverer.start()
    try:
        town.asks("kid1")
        dispatcher.drain()
        eventually(lambda: sorted(phone.sent) == ["C-c11", "C-nurse1"])
        eventually(lambda: {row.state for row in rows(town)} == {"sent"})
    finally:
        deliverer.stop()
    assert phone.stored == [True, True]
    assert looks == []


def test_what_is_undone_is_not_sent(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = Phone(town.log)
    deliverer = Deliverer(town.log, {"slack": phone}, public_url="http://x", patience=0.1)
    consumer = AlertsConsumer(town.log, town.playbooks, direct=deliverer)
    deliverer.start()
    original = UnitOfWork.afterwards

    def dies(self: UnitOfWork, call: Any) -> None:
        original(self, call)
        raise RuntimeError

    try:
        town.asks("kid1")
        with monkeypatch.context() as patch:
            patch.setattr(UnitOfWork, "afterwards", dies)
            with pytest.raises(RuntimeError):
                Dispatcher(town.log, consumer, BOARD).drain()
        threading.Event().wait(0.3)
        assert phone.sent == []
        assert rows(town) == []
    finally:
        deliverer.stop()


def test_a_paused_address_is_left_to_the_table(town: Town) -> None:
    phone = Phone(town.log)
    phone.broken = True
    deliverer = Deliverer(town.log, {"slack": phone}, public_url="http://x", patience=60)
    dispatcher = Dispatcher(
        town.log, AlertsConsumer(town.log, town.playbooks, direct=deliverer), BOARD
    )
    deliverer.start()
    try:
        town.asks("kid1", ["nurse"])
        dispatcher.drain()
        eventually(lambda: [row.last_error for row in rows(town)] == ["broken"])
        town.asks("kid1", ["nurse"])
        dispatcher.drain()
        assert sorted((row.state, row.claimed_by) for row in rows(town)) == [("waiting", "")] * 2
    finally:
        deliverer.stop()


def test_batches_without_effects_cost_no_transaction_and_are_settled(town: Town) -> None:
    for _ in range(3):
        town.answers("kid1", mood=0)
        town.dispatcher.run_once()
    with town.log.database.reading() as conn:
        stored = conn.execute(select(consumers.c.position)).scalar_one()
        assert stored < head(conn, BOARD)
    town.dispatcher.settle()
    with town.log.database.reading() as conn:
        assert conn.execute(select(consumers.c.position)).scalar_one() == head(conn, BOARD)
    town.answers("kid1", mood=0)
    town.dispatcher.run_once()  # not stored, and then lost: read again
    town.asks("kid1")
    town.dispatcher.release()
    Dispatcher(town.log, AlertsConsumer(town.log, town.playbooks), BOARD).drain()
    assert len(town.alerts.of_student("kid1")) == 1
