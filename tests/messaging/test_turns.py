"""Bursts in one message, limits of a whole workspace, and the second channel when the first fails.

Against the same real Slack-like server; the second channel is another name for the same kind of
room, as a board might have two workspaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from connectors.messaging.slack import SlackChannel
from tests.alerts.town import BOARD, Town, principal
from tests.messaging.slack_server import SlackServer
from warning_service.alerts import lanes as lanes_module
from warning_service.alerts.deliver import Deliverer
from warning_service.alerts.messages import Message, RateLimited
from warning_service.alerts.tables import deliveries, routes
from warning_service.alerts.turns import Route, named, noted, spared, turns
from warning_service.clock import Clock, MovableClock, monotonic

Soon = Callable[..., None]


@contextmanager
def delivering(town: Town, channels: dict[str, Any], **values: Any) -> Iterator[Deliverer]:
    deliverer = Deliverer(
        town.log, channels, public_url="http://portal.test", **{"patience": 0.1, **values}
    )
    deliverer.start()
    try:
        yield deliverer
    finally:
        deliverer.stop()


def rows(town: Town, *where: Any) -> list[Any]:
    with town.log.database.reading() as conn:
        return list(conn.execute(select(deliveries).where(*where).order_by(deliveries.c.id)))


def texts(slack: SlackServer, address: str) -> list[str]:
    return [body["text"] for body in slack.posted(address)]


def second(town: Town, channel: str = "second", address: str = "M-nurse1") -> None:
    """The nurse of s1 has a second channel."""
    with town.log.database.writing() as conn:
        conn.execute(
            insert(routes).values(
                board=BOARD, place="s1", duty="nurse", channel=channel, address=address, priority=2
            )
        )


# --- bursts ---------------------------------------------------------------------------


def test_a_burst_is_one_message_with_every_mark_and_a_button_for_each(
    town: Town, channel: SlackChannel, slack: SlackServer
) -> None:
    for child in ("kid1", "kid2", "kid3"):
        town.asks(child, ["nurse"])
    town.work()
    assert Deliverer(town.log, {"slack": channel}, public_url="http://p.test").run_once() == 3
    [sent] = slack.posted("C-nurse1")
    alerts = {town.alerts.of_student(kid)[0].id for kid in ("kid1", "kid2", "kid3")}
    assert sent["text"].startswith("【至急】新しい相談 3件 #")
    assert set(re.findall("#([0-9a-f]{8})", sent["text"])) == {one[:8] for one in alerts}
    buttons = sent["blocks"][1]["elements"]
    assert {b["value"] for b in buttons if "value" in b} == alerts
    assert len({b["action_id"] for b in buttons}) == len(buttons)
    assert buttons[-1]["url"] == "http://p.test/portal/alerts"
    assert {row.remote_id for row in rows(town)} != {""}
    assert len({(row.remote_id, row.sent_at) for row in rows(town)}) == 1


def test_taking_one_of_a_burst_leaves_the_others_waiting_in_the_same_message(
    town: Town, channel: SlackChannel, slack: SlackServer
) -> None:
    for child in ("kid1", "kid2"):
        town.asks(child, ["nurse"])
    town.work()
    once = Deliverer(town.log, {"slack": channel}, public_url="http://p.test")
    once.run_once()
    [mine] = town.alerts.of_student("kid1")
    [other] = town.alerts.of_student("kid2")
    town.alerts.acknowledge(mine.id, principal("nurse1"), "portal")
    once.run_once()
    changed = slack.posted("C-nurse1")[-1]
    assert changed["method"] == "update"
    assert changed["text"] == f"【至急】新しい相談 2件 #{other.id[:8]} #{mine.id[:8]}(対応中)"
    values = [b["value"] for b in changed["blocks"][1]["elements"] if "value" in b]
    assert values == [other.id]
    town.alerts.acknowledge(other.id, principal("nurse1"), "portal")
    once.run_once()
    assert slack.posted("C-nurse1")[-1]["text"].startswith("相談 2件:対応中 #")


def test_urgent_and_other_alerts_are_never_one_message(
    town: Town, channel: SlackChannel, slack: SlackServer
) -> None:
    for child in ("kid1", "kid2"):
        for days_ago in (2, 1, 0):
            town.answers(child, days_ago=days_ago, mood=3)
        town.asks(child, ["homeroom"])
    town.work()
    Deliverer(town.log, {"slack": channel}, public_url="http://p.test").run_once()
    assert [text.split(" #")[0] for text in texts(slack, "C-c11")] == [
        "【至急】新しい相談 2件", "新しい本日中の確認 2件",
    ]  # fmt: skip


def test_a_few_calls_go_at_once_then_one_message_a_second_with_what_came_meanwhile(
    town: Town, channel: SlackChannel, slack: SlackServer, soon: Soon
) -> None:
    at_once = 1 + lanes_module.URGENT_BURST
    with delivering(town, {"slack": channel}):
        for n in range(at_once):
            town.asks(f"kid{n % 3 + 1}", ["nurse"])
            town.work()
            soon(lambda n=n: len(slack.faults.calls) == n + 1)
        for child in ("kid2", "kid3", "kid1"):
            town.asks(child, ["nurse"])
        town.work()
        soon(lambda: [row.state for row in rows(town)] == ["sent"] * (at_once + 3))
    times = [at for *_, at, _ in slack.faults.calls]
    assert len(times) == at_once + 1, "the last three are one message"
    assert times[-1] - times[0] >= 1.0, "in the long run one a second"
    assert sum(text.count("#") for text in texts(slack, "C-nurse1")) == at_once + 3


def test_a_change_of_a_message_does_not_hold_up_a_new_call(
    town: Town, channel: SlackChannel, slack: SlackServer, soon: Soon
) -> None:
    wall = MovableClock(Clock().now())
    town.asks("kid1", ["nurse"])
    town.work()
    Deliverer(town.log, {"slack": channel}, public_url="http://p.test", wall=wall).run_once()
    with delivering(town, {"slack": channel}):
        [mine] = town.alerts.of_student("kid1")
        town.alerts.acknowledge(mine.id, principal("nurse1"), "portal")
        soon(lambda: len(slack.faults.calls) == 2)
        begin = monotonic()
        town.asks("kid2", ["nurse"])
        town.work()
        soon(lambda: len(slack.faults.calls) == 3)
        assert monotonic() - begin < 0.8


# --- a whole workspace is limited -------------------------------------------------------


def test_when_several_addresses_are_told_to_slow_down_the_whole_channel_does(
    town: Town, channel: SlackChannel, slack: SlackServer, soon: Soon
) -> None:
    limited = ("C-c11", "C-c12", "C-nurse1", "C-head1")
    for address in limited:
        slack.faults.always[address] = ("429", 60)
    with delivering(town, {"slack": channel}, senders=1) as deliverer:
        town.asks("kid1", ["homeroom"])
        town.asks("kid3", ["homeroom"])
        town.asks("kid1", ["nurse"])
        town.work()
        soon(lambda: deliverer._sender_of["slack"].lanes.still)
        assert len(slack.faults.calls) == lanes_module.LIMITED_LANES
        town.asks("kid4", ["nurse"])
        town.work()
        soon(lambda: len(rows(town)) == 4)
        assert len(slack.faults.calls) == lanes_module.LIMITED_LANES  # not one more
    assert {row.attempts for row in rows(town)} == {0}


def test_a_limit_on_the_whole_workspace_leaves_the_other_channel_alone(
    town: Town, channel: SlackChannel, slack: SlackServer, soon: Soon
) -> None:
    class Limited:
        name = "slack"
        can_update = True

        def send(self, message: Message) -> str:
            raise RateLimited(60, everybody=True)

        def update(self, remote_id: str, message: Message) -> None:
            raise AssertionError

    second(town)
    with delivering(town, {"slack": Limited(), "second": channel}):
        town.asks("kid1", ["nurse"])
        town.work()
        # A pause longer than the second channel's time: it need not be waited for.
        soon(lambda: len(texts(slack, "M-nurse1")) == 1)
    assert [(row.channel, row.state) for row in sorted(rows(town), key=lambda r: r.turn)] == [
        ("slack", "waiting"), ("second", "sent"),
    ]  # fmt: skip


# --- the second channel -----------------------------------------------------------------


def test_the_second_channel_stays_quiet_when_the_first_has_it(
    town: Town, channel: SlackChannel, slack: SlackServer
) -> None:
    second(town)
    town.asks("kid1", ["nurse"])
    town.work()
    both = {"slack": channel, "second": channel}
    assert Deliverer(town.log, both, public_url="http://p.test").run_once() == 1
    later = MovableClock(Clock().now() + timedelta(seconds=40))
    assert Deliverer(town.log, both, public_url="http://p.test", wall=later).run_once() == 0
    assert texts(slack, "M-nurse1") == []
    assert sorted(row.state for row in rows(town)) == ["sent", "unneeded"]


def test_the_second_channel_is_told_when_the_first_is_too_slow(
    town: Town, channel: SlackChannel, slack: SlackServer
) -> None:
    second(town)
    slack.faults.always["C-nurse1"] = ("500", 0)
    town.asks("kid1", ["nurse"])
    town.work()
    both = {"slack": channel, "second": channel}
    for seconds, told in ((0, 0), (20, 0), (31, 1)):
        wall = MovableClock(Clock().now() + timedelta(seconds=seconds))
        Deliverer(town.log, both, public_url="http://p.test", wall=wall).run_once()
        assert len(texts(slack, "M-nurse1")) == told
    [alert] = town.alerts.of_student("kid1")
    assert alert.id[:8] in texts(slack, "M-nurse1")[0]


@pytest.mark.parametrize("how", ["refused", "given_up"])
def test_the_second_channel_is_told_at_once_when_the_first_will_not_do_it(
    town: Town, channel: SlackChannel, slack: SlackServer, how: str
) -> None:
    second(town)
    if how == "given_up":
        slack.faults.always["C-nurse1"] = ("500", 0)
    else:
        with town.log.database.writing() as conn:  # no such channel: the server says so
            conn.execute(update(routes).where(routes.c.address == "C-nurse1").values(address=""))
    town.asks("kid1", ["nurse"])
    town.work()
    both = {"slack": channel, "second": channel}
    once = Deliverer(town.log, both, public_url="http://p.test", max_tries=1)
    once.run_once()
    assert once.run_once() == 1
    assert len(texts(slack, "M-nurse1")) == 1


# --- turns as such ----------------------------------------------------------------------

ROUTES = st.sets(
    st.builds(
        Route, st.sampled_from(["slack", "mail", "push"]), st.sampled_from("ABC"),
        st.integers(1, 3),
    ),
    max_size=5,
)  # fmt: skip


@given(st.lists(ROUTES, max_size=3), st.sets(st.tuples(
    st.sampled_from(["slack", "mail", "push"]), st.sampled_from("ABC"))))  # fmt: skip
def test_every_duty_with_a_route_is_told_at_once_and_none_is_spared_unreached(
    of_duties: list[set[Route]], reached: set[tuple[str, str]]
) -> None:
    found = turns(of_duties)
    where = {(one.channel, one.address): one for one in found}
    assert len(where) == len(found)
    assert set(where) == {(r.channel, r.address) for duty in of_duties for r in duty}
    ids = {address: f"id-{'-'.join(address)}" for address in where}
    for duty in of_duties:
        if duty:
            first = min(r.priority for r in duty)
            assert all(where[r.channel, r.address].turn == 1 for r in duty if r.priority == first)
    sent = {ids[one] for one in reached if one in ids}
    for one in found:
        note = noted(one, ids)
        if one.turn == 1:
            assert not spared(note, sent)
            continue
        assert named(note) <= set(ids.values())
        # Spared only when each duty it stands in for was reached by an earlier channel.
        assert spared(note, sent) == all({ids[a] for a in duty} & sent for duty in one.instead)
