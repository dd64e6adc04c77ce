"""What every channel has to keep to, tried on all there are, each against a server of its kind.

Which channels there are is asked of the folder, not of a list: a new file in connectors/messaging/
without a stand makes `test_every_channel_has_a_stand` fail, and with one is tried by all below.
"""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

import connectors.messaging.posting as posting
from connectors.messaging import mail, registry
from connectors.messaging.registry import Kind, kinds
from tests.messaging.certificates import Authority
from tests.messaging.http_server import HTTP_FAULTS, SECRET_OF_THE_SERVER
from tests.messaging.stands import STANDS, HttpStand, Stand
from warning_service import logs
from warning_service.alerts.messages import (
    TEST,
    Channel,
    Message,
    NotDelivered,
    Other,
    RateLimited,
)
from warning_service.app import build
from warning_service.clock import MovableClock, monotonic
from warning_service.rooms import Rooms
from warning_service.settings import Settings

NAMES = sorted(kinds())
ALERT = "0f1e2d3c-0000-4000-8000-000000000000"
SECOND = "1a2b3c4d-0000-4000-8000-000000000000"
DELIVERY = "d0d0d0d0-1111-4111-8111-111111111111"
CODE = re.compile(r"[A-Za-z0-9_]{1,40}", re.ASCII)
LONGEST_CALL = 8.0
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PAUSES = {"429": (7, 7), "429 date": (7, 10), "429 for ever": (1, 3600)}
"""What a channel may read out of a 429, in seconds; the others: any sensible pause."""


def message(address: str, **changed: Any) -> Message:
    """A call for help as chat may show it."""
    values: dict[str, Any] = {
        "address": address, "alert_id": ALERT, "kind": "consultation", "urgent": True,
        "state": "open", "class_name": "", "link": f"https://portal.test/portal/alerts/{ALERT}",
        "delivery": DELIVERY,
    }  # fmt: skip
    return Message(**(values | changed))


class Set:
    """One channel connected to its stand."""

    def __init__(self, stand: Stand, channel: Channel, rooms: Rooms) -> None:
        self.stand = stand
        self.channel = channel
        self.rooms = rooms

    def message(self, **changed: Any) -> Message:
        return message(self.stand.address, **changed)


@pytest.fixture
def settings(database_url: str, secret_key: str, tmp_path: Path) -> Settings:
    """An installation without any channel yet."""
    return Settings(
        environment="test",
        database_url=database_url,
        secret_keys=[secret_key],  # type: ignore[list-item]
        data_dir=tmp_path / "data",
        public_url="https://portal.test",
    )


@pytest.fixture
def connect(
    settings: Settings, clock: MovableClock, tmp_path: Path
) -> Iterator[Callable[..., Set]]:
    """Make a stand and connect the channel to it."""
    with ExitStack() as stack:

        def made(name: str, tls: Any = None, **more: Any) -> Set:
            stand = stack.enter_context(STANDS[name](tmp_path / name, tls))
            values = settings.model_dump() | stand.settings | more
            rooms = build(Settings(**values), clock)
            stack.callback(rooms.database.close)
            stand.prepare(rooms)
            channel = kinds()[name].connect(rooms)
            assert channel is not None
            return Set(stand, channel, rooms)

        yield made


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """What stands in the log of an installation that logs all it can."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure("DEBUG")
    yield stream.getvalue
    structlog.reset_defaults()
    root.handlers[:], root.level = before


def test_every_channel_has_a_stand() -> None:
    assert set(NAMES) == set(STANDS), "a channel without a server to try it against"


def test_a_new_file_is_a_new_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import connectors.messaging as folder

    (tmp_path / "pigeon.py").write_text(
        "from connectors.messaging.registry import Kind\n"
        "KIND = Kind(name='pigeon', label='鳩', label_en='Pigeon', hint='-', hint_en='-',"
        " connect=lambda rooms: None)\n"
    )
    (tmp_path / "broken_one.py").write_text("raise RuntimeError('no')\n")
    monkeypatch.setattr(folder, "__path__", [*folder.__path__, str(tmp_path)])
    kinds.cache_clear()
    try:
        assert set(kinds()) == {*NAMES, "pigeon"}
        assert set(kinds()) != set(STANDS)
    finally:
        kinds.cache_clear()


@ON_SQLITE
def test_a_channel_that_cannot_be_connected_leaves_the_others(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_rooms: Rooms) -> Channel:
        raise RuntimeError("no")

    one = Kind(name="a", label="", label_en="", hint="", hint_en="", connect=broken)
    other = Kind(name="b", label="", label_en="", hint="", hint_en="", connect=lambda _: _Pigeon())
    monkeypatch.setattr(registry, "kinds", lambda: {"a": one, "b": other})
    assert list(registry.connect(rooms)) == ["b"]


class _Pigeon:
    name = "b"
    can_update = False

    def send(self, message: Message) -> str:
        return message.delivery

    def update(self, remote_id: str, message: Message) -> None:
        self.send(message)


@ON_SQLITE
@pytest.mark.parametrize("name", NAMES)
def test_no_settings_no_channel(name: str, rooms: Rooms) -> None:
    kind = kinds()[name]
    assert kind.name == name
    assert kind.connect(rooms) is None
    assert kind.label and kind.label_en and kind.hint and kind.hint_en
    assert list(kind.choices(rooms.settings)) == []


@ON_SQLITE
@pytest.mark.parametrize("name", NAMES)
def test_sends_and_changes(name: str, connect: Callable[..., Set]) -> None:
    one = connect(name)
    kind = kinds()[name]
    assert one.channel.name == name
    assert kind.fits(one.rooms.settings, one.stand.address) is one.stand.routable
    assert kind.by_people is not one.stand.routable
    for odd in ("", "../x", "x y", "http://169.254.169.254/", "先生", "a" * 2000):
        assert not kind.fits(one.rooms.settings, odd), odd
    remote = one.channel.send(one.message())
    assert len(remote) < 300
    one.channel.update(remote, one.message(state="acknowledged"))
    assert len(one.stand.payloads()) == 2
    one.channel.send(one.message(kind=TEST, urgent=False, alert_id=DELIVERY))
    assert len(one.stand.payloads()) == 3


def leaves(payload: Any) -> Iterator[str]:
    """Every word of a payload, names of fields included."""
    if isinstance(payload, dict):
        for key, value in payload.items():
            yield str(key)
            yield from leaves(value)
    elif isinstance(payload, list | tuple):
        for value in payload:
            yield from leaves(value)
    elif payload is not None and not isinstance(payload, bool):
        yield str(payload)


def said_beside(leaf: str, allowed: list[str]) -> str:
    """What a word of a payload says beyond what is allowed."""
    for one in sorted(allowed, key=len, reverse=True):
        leaf = leaf.replace(one, "")
    return re.sub(r"[\s#<>|\-]|【至急】", "", leaf)


@ON_SQLITE
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("class_name", ["", "3年2組"])
def test_only_what_a_message_holds_leaves(
    name: str, class_name: str, connect: Callable[..., Set]
) -> None:
    one = connect(name)
    several = (Other(alert_id=SECOND, state="open"),)
    sent = [
        one.message(class_name=class_name),
        one.message(class_name=class_name, state="acknowledged"),
        one.message(class_name=class_name, others=several, count=2),
        one.message(kind=TEST, urgent=False, link="https://portal.test/portal/channels"),
    ]
    remote = one.channel.send(sent[0])
    one.channel.update(remote, sent[1])
    one.channel.send(sent[2])
    one.channel.send(sent[3])
    arrived = one.stand.payloads()
    assert len(arrived) == len(sent)
    for payload, meant in zip(arrived, sent, strict=True):
        allowed = [
            meant.title, meant.marks, meant.reference, meant.link, meant.alert_id, SECOND,
            meant.delivery, meant.address, meant.class_name or meant.title, str(meant.count),
            SECOND[:8], one.stand.link(meant.link), "ポータルで開く", "対応します",
        ]  # fmt: skip
        words = list(leaves(payload))
        way = one.stand.link(meant.link)
        if meant.kind != TEST:  # a trial need not lead anywhere
            assert any(way in word for word in words), f"the way to the portal is missing: {words}"
        assert any(meant.title in word for word in words)
        beside = {
            word: rest
            for word in words
            if word not in one.stand.frame and (rest := said_beside(word, allowed))
        }
        assert beside == {}


FAULTS = [(name, fault) for name in NAMES for fault in HTTP_FAULTS]


@ON_SQLITE
@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_a_fault_is_a_short_code_in_good_time(
    name: str,
    fault: str,
    connect: Callable[..., Set],
    logged: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """429 is a pause; all else is "not delivered", with a code and nothing of the answer."""
    monkeypatch.setattr(posting, "WITHIN_SECONDS", 1.0)
    monkeypatch.setattr(mail, "TIMEOUT_SECONDS", 1.0)
    one = connect(name)
    if fault in one.stand.not_there:
        assert one.stand.not_there[fault]
        return
    one.channel.send(one.message())  # a token, a greeting: what comes before messages has come
    one.stand.fault(fault)
    begin = monotonic()
    with pytest.raises((RateLimited, NotDelivered)) as caught:
        one.channel.send(one.message())
    assert monotonic() - begin < LONGEST_CALL
    error = caught.value
    if fault.startswith("429"):
        assert isinstance(error, RateLimited)
        any_pause = (1, 600)
        exact = isinstance(one.stand, HttpStand)
        least, most = PAUSES.get(fault, any_pause) if exact else any_pause
        assert least <= error.seconds <= most
    else:
        assert isinstance(error, NotDelivered), error
        assert CODE.fullmatch(error.why), error.why
        # Only about this one message: else the deliverer would go on as if the address worked.
        assert error.refused == (fault in one.stand.refuses)
    assert one.stand.came_elsewhere() == 0
    told = f"{error!r} {error.__cause__!r} {logged()}"
    for secret in (SECRET_OF_THE_SERVER, *one.stand.secrets):
        assert secret not in told
    if not error.__suppress_context__:
        assert error.__context__ is None
    # And the channel works again at once when its server does.
    one.channel.send(one.message())


@ON_SQLITE
@pytest.mark.parametrize("name", NAMES)
def test_nobody_there(name: str, connect: Callable[..., Set], tmp_path: Path) -> None:
    one = connect(name)
    with ExitStack() as stack:
        stand = stack.enter_context(STANDS[name](tmp_path))
        if not isinstance(stand, HttpStand) or not stand.routable:
            return  # a mail server's and a device's going away: test_mail.py, test_web_push.py
        gone = stand.settings
    settings = Settings(**(one.rooms.settings.model_dump() | gone))
    rooms = build(settings, one.rooms.clock)
    channel = kinds()[name].connect(rooms)
    assert channel is not None
    with pytest.raises(NotDelivered) as caught:
        channel.send(one.message())
    assert CODE.fullmatch(caught.value.why)
    assert caught.value.refused is False
    rooms.database.close()


@ON_SQLITE
@pytest.mark.parametrize("name", NAMES)
def test_only_a_server_with_a_good_certificate_gets_anything(
    name: str, connect: Callable[..., Set], tmp_path: Path
) -> None:
    known, unknown = Authority(tmp_path / "known"), Authority(tmp_path / "unknown")
    for context in (unknown.server(), known.server("other.example")):
        one = connect(name, tls=context, channel_ca_file=known.file)
        with pytest.raises(NotDelivered):
            one.channel.send(one.message())
        assert one.stand.payloads() == []


HOUSE_CA = [name for name in NAMES if name not in {"slack", "web_push"}]
"""Slack's and the push services' own libraries take SSL_CERT_FILE."""


@ON_SQLITE
@pytest.mark.parametrize("name", HOUSE_CA)
def test_an_authority_of_the_house_is_believed_when_the_settings_name_it(
    name: str, connect: Callable[..., Set], tmp_path: Path
) -> None:
    known = Authority(tmp_path / "known")
    one = connect(name, tls=known.server(), channel_ca_file=known.file)
    assert one.channel.send(one.message())
    assert len(one.stand.payloads()) == 1


def test_httpx_is_what_posting_was_written_for() -> None:
    """Its addresses in a log line would be a secret's; the names of its loggers are relied on."""
    assert httpx.__name__ == "httpx"
    assert logging.getLogger("httpx").level == logging.WARNING
    assert logging.getLogger("httpcore").level == logging.WARNING
