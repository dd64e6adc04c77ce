"""The deliverer against a real Slack-like server that answers 429, 500, late or not at all."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from connectors.messaging.slack import SlackChannel
from tests.alerts.town import CANARIES, CLASS_NAME, Town, principal
from tests.messaging.slack_server import SlackServer
from warning_service.alerts import outbox
from warning_service.alerts.deliver import Deliverer
from warning_service.alerts.messages import Message
from warning_service.alerts.tables import deliveries, routes
from warning_service.clock import Clock, MovableClock, monotonic

Soon = Callable[..., None]


@contextmanager
def delivering(town: Town, channel: Any, **values: Any) -> Iterator[Deliverer]:
    deliverer = Deliverer(
        town.log, {"slack": channel}, public_url="http://portal.test", **{"patience": 0.1, **values}
    )
    deliverer.start()
    try:
        yield deliverer
    finally:
        deliverer.stop()


def rows(town: Town, *where: Any) -> list[Any]:
    with town.log.database.reading() as conn:
        return list(conn.execute(select(deliveries).where(*where).order_by(deliveries.c.id)))


def marks(slack: SlackServer, address: str) -> list[str]:
    """The marks of alerts in all new messages an address was sent, repeats too."""
    posted = [body for body in slack.posted(address) if body["method"] == "postMessage"]
    return [mark for body in posted for mark in re.findall("#([0-9a-f]{8})", body["text"])]


def states(town: Town) -> list[str]:
    return sorted(row.state for row in rows(town))


def test_sent_at_once_and_changed_when_somebody_takes_it_on(
    town: Town, channel: SlackChannel, slack: SlackServer, soon: Soon
) -> None:
    with delivering(town, channel, patience=30.0):  # no looking: the hints have to do it
        town.asks("kid1")
        town.work()
        soon(lambda: states(town) == ["sent", "sent"])
        [alert] = town.alerts.of_student("kid1")
        assert town.alerts.acknowledge(alert.id, principal("hr11"), "portal")
        soon(lambda: len(slack.posted()) == 4)
        soon(lambda: states(town) == ["sent"] * 4)
    for address in ("C-c11", "C-nurse1"):
        first, second = slack.posted(address)
        assert first["text"] == f"【至急】新しい相談 1件 #{alert.id[:8]}"
        assert second["method"] == "update"
        assert second["text"] == f"相談 1件:対応中 #{alert.id[:8]}"


def test_no_name_answer_note_or_student_key_leaves(
    town: Town, channel: SlackChannel, slack: SlackServer, clock: MovableClock
) -> None:
    town.asks("kid1")
    town.answers("kid2", vanish=1, mood=3)
    for days_ago in (2, 1, 0):
        town.answers("kid3", days_ago=days_ago, mood=3)
    town.work()
    once = Deliverer(town.log, {"slack": channel}, public_url="http://portal.test")
    once.run_once()
    clock.move_by(timedelta(days=3))
    town.alerts.escalate_due()
    once.run_once()
    for student in ("kid1", "kid2", "kid3"):
        [alert] = town.alerts.of_student(student)
        town.alerts.acknowledge(alert.id, principal("hr11"), "portal")
    once.run_once()
    once.run_once()
    bodies = b"\n".join(body for *_, body in slack.faults.calls).decode()
    everything = bodies + bodies.encode().decode("unicode_escape", errors="replace")
    assert len(slack.faults.calls) > 10
    secret = [*CANARIES, CLASS_NAME, "kid1", "kid2", "kid3", "sealed", "friends", "vanish", "mood"]
    assert [word for word in secret if word in everything] == []


def test_the_class_is_named_only_where_the_setting_allows_it(
    town: Town, channel: SlackChannel, slack: SlackServer
) -> None:
    town.asks("kid1", ["nurse"])
    town.work()
    Deliverer(
        town.log, {"slack": channel}, public_url="http://portal.test", names_class=True
    ).run_once()
    [sent] = slack.posted()
    assert CLASS_NAME in sent["text"]
    assert not [name for name in CANARIES if name in str(sent)]


def test_429_is_waited_out_and_holds_up_nobody_else(
    town: Town, channel: SlackChannel, slack: SlackServer, soon: Soon
) -> None:
    slack.faults.script["C-c11"].append(("429", 2))
    with delivering(town, channel):
        begin = monotonic()
        for _ in range(3):
            town.asks("kid1")
        town.work()
        soon(lambda: len(marks(slack, "C-nurse1")) == 3, 1.5)
        soon(lambda: states(town) == ["sent"] * 6, 8.0)
    times = [at - begin for to, _, at, _ in slack.faults.calls if to == "C-c11"]
    assert len(times) == 2
    assert times[1] - times[0] >= 2.0
    assert all(row.attempts == 1 for row in rows(town))


def test_500_is_tried_again_with_growing_pauses_until_it_works(
    town: Town, channel: SlackChannel, slack: SlackServer, soon: Soon
) -> None:
    slack.faults.script["C-nurse1"].extend([("500", 0), ("500", 0)])
    with delivering(town, channel):
        town.asks("kid1", ["nurse"])
        town.work()
        soon(lambda: states(town) == ["sent"], 10.0)
    times = [at for *_, at, _ in slack.faults.calls]
    assert len(times) == 3
    assert times[1] - times[0] >= 0.45
    assert times[2] - times[1] >= 0.9
    assert rows(town)[0].attempts == 3


def test_addresses_that_hang_hold_up_neither_others_nor_consumer_nor_acknowledgement(
    town: Town, channel: SlackChannel, slack: SlackServer, soon: Soon
) -> None:
    hanging = [f"H{n}" for n in range(12)]
    for address in hanging:
        slack.faults.always[address] = ("hang", 4.0)
    with town.log.database.writing() as conn:
        for number, address in enumerate(hanging):
            conn.execute(
                routes.insert().values(
                    board="b1", place="c12", duty="homeroom", channel=f"slack{number}",
                    address=address,
                )
            )  # fmt: skip
    channels = {f"slack{n}": channel for n in range(12)}
    deliverer = Deliverer(
        town.log, {"slack": channel} | channels, public_url="http://portal.test",
        patience=0.1, senders=2,
    )  # fmt: skip
    deliverer.start()
    try:
        town.asks("kid3", ["homeroom"])
        town.work()
        soon(lambda: len(slack.faults.calls) >= 13)
        begin = monotonic()
        town.asks("kid1", ["nurse"])
        town.work()
        soon(lambda: bool(slack.posted("C-nurse1")), 1.0)
        for student in ("kid1", "kid3"):
            [alert] = town.alerts.of_student(student)
            assert town.alerts.acknowledge(alert.id, principal("hr11"), "portal")
        assert monotonic() - begin < 1.5
    finally:
        deliverer.stop()


def test_many_hanging_addresses_of_one_channel_leave_senders_for_the_others(
    town: Town, channel: SlackChannel, slack: SlackServer, soon: Soon
) -> None:
    slack.faults.always["C-c11"] = ("hang", 4.0)
    slack.faults.always["C-c12"] = ("hang", 4.0)
    with delivering(town, channel, senders=3):
        town.asks("kid1", ["homeroom"])
        town.asks("kid3", ["homeroom"])
        town.work()
        soon(lambda: len([r for r in rows(town) if r.attempts >= 1]) == 2, 8.0)  # both are suspect
        for _ in range(5):
            town.asks("kid1", ["homeroom"])
            town.asks("kid3", ["homeroom"])
        town.work()
        begin = monotonic()
        town.asks("kid1", ["nurse"])
        town.work()
        soon(lambda: bool(slack.posted("C-nurse1")), 2.0)
        assert monotonic() - begin < 2.0  # half of what one hanging address takes


def test_urgent_messages_overtake_others(
    town: Town, channel: SlackChannel, slack: SlackServer
) -> None:
    for days_ago in (2, 1, 0):
        town.answers("kid1", days_ago=days_ago, mood=3)
    town.work()
    town.asks("kid1")
    town.work()
    Deliverer(town.log, {"slack": channel}, public_url="http://portal.test").run_once()
    assert [body["text"][:9] for body in slack.posted("C-c11")] == [
        "【至急】新しい相談",
        "新しい本日中の確認",
    ]


def test_given_up_visibly(town: Town, channel: SlackChannel, slack: SlackServer) -> None:
    slack.faults.always["C-nurse1"] = ("500", 0)
    town.asks("kid1", ["nurse"])
    town.work()
    wall = MovableClock(Clock().now())
    for _ in range(3):
        Deliverer(
            town.log, {"slack": channel}, public_url="http://portal.test", max_tries=3, wall=wall
        ).run_once()
        wall.move_by(timedelta(minutes=2))
    [row] = rows(town)
    assert (row.state, row.attempts, row.last_error) == ("failed", 3, "http_500")
    with town.log.database.reading() as conn:
        assert outbox.counts(conn) == {"waiting": 0, "failed": 1}
    assert len(slack.faults.calls) == 3


def test_nobody_is_called_to_what_somebody_has(
    town: Town, channel: SlackChannel, slack: SlackServer
) -> None:
    town.asks("kid1")
    town.work()
    [alert] = town.alerts.of_student("kid1")
    town.alerts.acknowledge(alert.id, principal("hr11"), "portal")
    once = Deliverer(town.log, {"slack": channel}, public_url="http://portal.test")
    assert once.run_once() == 0
    wall = MovableClock(Clock().now() + timedelta(seconds=5))
    Deliverer(town.log, {"slack": channel}, public_url="http://portal.test", wall=wall).run_once()
    assert states(town) == ["unneeded"] * 4
    assert slack.faults.calls == []


def test_killed_after_sending_it_is_sent_again_with_the_same_reference(
    town: Town, channel: SlackChannel, slack: SlackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def dies(*_: Any) -> None:
        raise Killed

    town.asks("kid1", ["nurse"])
    town.work()
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "store", dies)
        with pytest.raises(Killed):
            Deliverer(town.log, {"slack": channel}, public_url="http://portal.test").run_once()
    other = Deliverer(town.log, {"slack": channel}, public_url="http://portal.test")
    assert other.run_once() == 0  # the lease still holds
    wall = MovableClock(Clock().now() + outbox.LEASE + timedelta(seconds=1))
    later = Deliverer(town.log, {"slack": channel}, public_url="http://portal.test", wall=wall)
    assert later.run_once() == 1
    first, second = slack.posted()
    assert first["text"] == second["text"]
    assert states(town) == ["sent"]


def test_two_processes_share_the_work_and_send_each_once(
    town: Town, channel: SlackChannel, slack: SlackServer, soon: Soon
) -> None:
    with delivering(town, channel), delivering(town, channel):
        for _ in range(2):
            for n in range(18):  # far from where a child's calls begin to join earlier ones
                town.asks(f"kid{n % 3 + 1}")
            town.work()
        soon(lambda: states(town) == ["sent"] * 72, 20.0)
    for address, children in (("C-c11", 2), ("C-c12", 1), ("C-nurse1", 3)):
        told = marks(slack, address)
        assert len(told) == len(set(told)) == 12 * children


def test_one_long_queue_takes_no_place_from_others(town: Town) -> None:
    for n in range(30):
        town.asks(f"kid{n % 2 + 1}", ["nurse"])
    town.asks("kid3", ["homeroom"])
    town.work()
    with town.log.database.reading() as conn:
        now = Clock().now()
        found = outbox.due(conn, ["slack"], now, limit=40)
        assert [owed.address for owed in found].count("C-nurse1") == outbox.PER_ADDRESS
        assert [owed.address for owed in found].count("C-c12") == 1
        without = outbox.due(conn, ["slack"], now, limit=20, without=[("slack", "C-nurse1")])
        assert {owed.address for owed in without} == {"C-c12"}
        assert outbox.due(conn, ["mail"], now, limit=20) == []


def test_stopping_gives_back_what_was_not_sent(town: Town, soon: Soon) -> None:
    class Slow:
        name = "slow"

        def __init__(self) -> None:
            self.sent = 0
            self.gate = threading.Event()

        def send(self, message: Message) -> str:
            self.gate.wait(5)
            self.sent += 1
            return message.reference

        def update(self, remote_id: str, message: Message) -> None:
            raise AssertionError

    slow = Slow()
    for _ in range(5):
        town.asks("kid1", ["nurse"])
    town.work()
    with town.log.database.writing() as conn:
        conn.execute(update(deliveries).values(channel="slow"))
    deliverer = Deliverer(town.log, {"slow": slow}, public_url="http://x", patience=0.1)
    deliverer.start()
    soon(lambda: any(row.claimed_by for row in rows(town)))
    threading.Timer(0.3, slow.gate.set).start()
    deliverer.stop()
    left = rows(town, deliveries.c.state == "waiting")
    assert len(left) == 5 - slow.sent
    assert all(row.claimed_by == "" and row.attempts == 0 for row in left)
    again = Slow()
    again.gate.set()
    Deliverer(
        town.log, {"slow": again}, public_url="http://x",
        wall=MovableClock(Clock().now() + timedelta(seconds=2)),
    ).run_once()  # fmt: skip
    assert states(town) == ["sent"] * 5
    assert slow.sent + again.sent == 5
