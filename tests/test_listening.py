"""Nobody is told an address before somebody answers there."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from warning_service import app
from warning_service.listening import FAILED_TO_START, Server, listen
from warning_service.rooms import Rooms


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_address_is_told_once_it_is_open(rooms: Rooms) -> None:
    answered: list[int] = []

    def opened(server: Server) -> None:
        address = server.servers[0].sockets[0].getsockname()
        with socket.create_connection(address, timeout=5):
            answered.append(address[1])
        server.should_exit = True

    anywhere = rooms.settings.model_copy(update={"port": 0})
    listen(app.create_app(rooms, app.Jobs(work=False, schedule=False)), anywhere, opened=opened)
    assert len(answered) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_taken_port_is_told_as_a_failure(
    rooms: Rooms, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = rooms.settings.model_copy(update={"port": other.getsockname()[1]})
        told: list[Server] = []
        with pytest.raises(SystemExit) as ended:
            listen(
                app.create_app(rooms, app.Jobs(work=False, schedule=False)),
                taken,
                opened=told.append,
            )
    assert ended.value.code == FAILED_TO_START
    assert told == []
    said = capsys.readouterr().err
    assert f":{taken.port}: ほかのプログラムがこのポートを使っています" in said
    assert "another program uses this port" in said


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_address_of_another_machine_is_told_too(
    rooms: Rooms, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = rooms.settings.model_copy(update={"host": "192.0.2.1", "port": 0})
    with pytest.raises(SystemExit) as ended:
        listen(app.create_app(rooms, app.Jobs(work=False, schedule=False)), elsewhere)
    assert ended.value.code == FAILED_TO_START
    assert "192.0.2.1:0: 受け付けを始められませんでした" in capsys.readouterr().err


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_told_to_end_it_comes_back_to_who_called(rooms: Rooms) -> None:
    before = signal.getsignal(signal.SIGTERM)
    anywhere = rooms.settings.model_copy(update={"port": 0})
    listen(
        app.create_app(rooms, app.Jobs(work=False, schedule=False)),
        anywhere,
        opened=lambda _: os.kill(os.getpid(), signal.SIGTERM),
    )
    assert signal.getsignal(signal.SIGTERM) is before
