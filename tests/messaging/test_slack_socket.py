"""Socket Mode against a real server: envelopes, acknowledgements, broken connections, refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from connectors.messaging import slack_socket
from connectors.messaging.slack_actions import DONE, LATER, NOT_ALLOWED, TAKEN
from connectors.messaging.slack_socket import SlackSocket
from tests.alerts.town import Town, principal
from tests.messaging.slack_socket_server import APP_TOKEN, SocketServer, socket_running
from warning_service.alerts.service import Alerts
from warning_service.app import Jobs, Running, build
from warning_service.clock import monotonic
from warning_service.database import StorageUnavailable
from warning_service.rooms import Rooms
from warning_service.settings import Settings

Soon = Callable[..., None]

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What is stored is tested with the signed requests, on both; this is about the connection."""


@pytest.fixture
def socket_server() -> Iterator[SocketServer]:
    with socket_running() as server:
        yield server


@pytest.fixture
def rooms(
    town: Town, settings: Settings, database_url: str, socket_server: SocketServer
) -> Iterator[Rooms]:
    built = build(
        settings.model_copy(
            update={
                "database_url": database_url,
                "slack_api_url": socket_server.api_url,
                "slack_app_token": SecretStr(APP_TOKEN),
            }
        ),
        town.log.clock,
    )
    alerts = Alerts(town.log, town.playbooks, built.trail)
    yield replace(built, log=town.log, playbooks=town.playbooks, alerts=alerts)
    built.database.close()


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses a test can wait for; their growth has a test of its own."""
    monkeypatch.setattr(slack_socket, "_backoff", lambda _failures: 0.05)
    monkeypatch.setattr(slack_socket, "PING_SECONDS", 1.0)


@pytest.fixture
def listening(
    rooms: Rooms, socket_server: SocketServer, soon: Soon, quickly: None
) -> Iterator[SlackSocket]:
    found = SlackSocket(rooms)
    found.start()
    soon(lambda: found.connected and bool(socket_server.connections))
    yield found
    found.stop()


@pytest.fixture
def alert(town: Town) -> str:
    town.asks("kid1")
    town.work()
    return town.alerts.of_student("kid1")[0].id


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"kizashi_slack_socket_{name}", labels) or 0.0


def said(server: SocketServer) -> str:
    return server.said.get(timeout=5)


def test_pressing_takes_the_alert_on_and_the_envelope_is_acknowledged(
    listening: SlackSocket, socket_server: SocketServer, town: Town, alert: str
) -> None:
    assert counted("connected") == 1
    begin = monotonic()
    envelope = socket_server.press(alert)
    assert socket_server.acknowledged.get(timeout=3) == envelope
    assert monotonic() - begin < 3
    assert said(socket_server) == DONE
    view = town.alerts.one(principal("hr11"), alert)
    assert (view.state, view.acknowledged_by) == ("acknowledged", "hr11")
    assert view.acknowledged_via == "slack"
    socket_server.press(alert, "U-nurse1", retry_attempt=1)
    assert said(socket_server) == TAKEN


ELSEWHERE: list[dict[str, Any]] = [
    {"team": {"id": "TOTHER"}},
    {"user": {"id": "U-hr11", "team_id": "TOTHER"}},
    {"api_app_id": "AOTHER"},
]


def test_what_is_not_for_us_is_acknowledged_and_left_alone(
    listening: SlackSocket, socket_server: SocketServer, town: Town, alert: str, soon: Soon
) -> None:
    before = counted("envelopes_total", outcome="from_elsewhere")
    sent = [socket_server.press(alert, **more) for more in ELSEWHERE]
    for payload in ({}, [], "x", {"type": "block_actions", "user": {"id": 5}}, None):
        sent.append(socket_server.envelope(payload))
    sent.append(socket_server.envelope({"type": "message"}, kind="events_api"))
    sent.append(socket_server.press(alert, actions=[{"action_id": "open_portal"}]))
    sent.append(socket_server.press(alert, "U-hr12"))
    assert said(socket_server) == NOT_ALLOWED
    soon(lambda: socket_server.acknowledged.qsize() == len(sent))
    soon(lambda: counted("envelopes_total", outcome="from_elsewhere") == before + 3)
    assert town.alerts.of_student("kid1")[0].state == "open"
    assert listening.connected
    socket_server.press(alert)
    assert said(socket_server) == DONE


def test_nonsense_on_the_socket_is_survived(
    listening: SlackSocket, socket_server: SocketServer, town: Town, alert: str, soon: Soon
) -> None:
    for text in ("", "{", "[]", "null", '{"type": 5}', '{"envelope_id": null}', "x" * 70_000):
        socket_server.send(text)
    socket_server.send(b"\x00\xff")
    soon(lambda: listening.connected and bool(socket_server.connections))
    socket_server.press(alert)
    assert said(socket_server) == DONE


def test_an_announced_disconnect_is_answered_by_a_new_connection(
    listening: SlackSocket, socket_server: SocketServer, town: Town, alert: str, soon: Soon
) -> None:
    for reason in ("warning", "refresh_requested"):
        old = socket_server.connections[-1]
        socket_server.announce_disconnect(reason)
        soon(lambda old=old: socket_server.connections and socket_server.connections[-1] is not old)
    socket_server.press(alert)
    assert said(socket_server) == DONE


def test_after_a_connection_that_died_there_is_a_new_one(
    listening: SlackSocket, socket_server: SocketServer, town: Town, alert: str, soon: Soon
) -> None:
    for leave in (socket_server.break_off, lambda: socket_server.connections[-1].close(1001)):
        opened = len(socket_server.opened)
        leave()
        soon(lambda opened=opened: len(socket_server.opened) > opened, 10)
        soon(lambda: listening.connected and bool(socket_server.connections), 10)
    socket_server.press(alert)
    assert said(socket_server) == DONE


REFUSALS = [
    (200, "", b'{"ok": false, "error": "invalid_auth"}'),
    (500, "", b"<html>no</html>"),
    (200, "", b"<html>a proxy's page</html>"),
    (200, "", b'{"ok": true}'),
    (200, "", b'{"ok": true, "url": "ws'),
    (200, "", b'{"ok": true, "url": "http://127.0.0.1:9/"}'),
    (200, "", b'{"ok": true, "url": "ws://127.0.0.1:9/"}'),
    (200, "", b"[]"),
]


def test_slack_that_will_not_open_is_asked_again(
    rooms: Rooms, socket_server: SocketServer, soon: Soon, quickly: None
) -> None:
    socket_server.refusals.extend(REFUSALS)
    found = SlackSocket(rooms)
    found.start()
    soon(lambda: found.connected, 15)
    assert len(socket_server.opened) == len(REFUSALS) + 1
    found.stop()
    assert (counted("connected"), found.connected) == (0, False)


def test_retry_after_is_waited_for_and_stopping_does_not_wait(
    rooms: Rooms, socket_server: SocketServer, soon: Soon, quickly: None
) -> None:
    socket_server.refusals.append((429, "1", b""))
    socket_server.refusals.append((429, "60", b""))
    found = SlackSocket(rooms)
    found.start()
    soon(lambda: len(socket_server.opened) == 2)
    assert socket_server.opened[1] - socket_server.opened[0] >= 1.0
    begin = monotonic()
    found.stop()
    assert monotonic() - begin < 3
    assert len(socket_server.opened) == 2


def test_pauses_grow_and_are_not_all_the_same(database_url: str) -> None:
    for failures, most in ((0, 0.5), (1, 1), (2, 2), (5, 16), (7, 60), (500, 60)):
        found = {slack_socket._backoff(failures) for _ in range(50)}
        assert all(most / 2 <= seconds <= most for seconds in found)
        assert len(found) > 10


def test_a_token_of_another_app_is_noticed(
    rooms: Rooms, socket_server: SocketServer, soon: Soon, quickly: None
) -> None:
    socket_server.hello_app = "AOTHER"
    before = counted("connects_total", outcome="other_app")
    found = SlackSocket(rooms)
    found.start()
    soon(lambda: counted("connects_total", outcome="other_app") > before)
    soon(lambda: not socket_server.connections, 10)
    found.stop()


def test_storage_that_is_away_is_said_so(
    listening: SlackSocket,
    rooms: Rooms,
    socket_server: SocketServer,
    town: Town,
    alert: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: object) -> bool:
        raise StorageUnavailable("gone")

    with monkeypatch.context() as broken:
        broken.setattr(rooms.alerts, "acknowledge", away)
        socket_server.press(alert)
        assert said(socket_server) == LATER
    socket_server.press(alert)
    assert said(socket_server) == DONE


def test_the_working_process_has_one_and_ends_it(
    rooms: Rooms, socket_server: SocketServer, soon: Soon
) -> None:
    with Running(rooms, Jobs(work=True)):
        soon(lambda: bool(socket_server.connections) and counted("connected") == 1)
    soon(lambda: not socket_server.connections and counted("connected") == 0)
