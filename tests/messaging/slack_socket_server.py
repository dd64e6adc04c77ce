"""Slack's side of Socket Mode as a real server: it hands out tickets and talks over WebSockets.

`apps.connections.open` by HTTP, with faults by script; behind the ticket a WebSocket that says
hello, sends envelopes, remembers what was acknowledged, announces disconnects and breaks off.
"""

from __future__ import annotations

import json
import queue
import secrets
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from demo.slack_room import APP, TEAM
from tests.messaging.slack_server import served
from warning_service.clock import monotonic

APP_TOKEN = "xapp-of-the-tests"


class SocketServer:
    """What arrived, and levers for what Slack does."""

    def __init__(self) -> None:
        self.api_url = ""
        self.refusals: deque[tuple[int, str, bytes]] = deque()  # status, Retry-After, body
        self.opened: list[float] = []  # monotonic times at which a ticket was asked for
        self.tickets: set[str] = set()
        self.hello_app = APP
        self.connections: list[ServerConnection] = []
        self.acknowledged: queue.Queue[str] = queue.Queue()
        self.said: queue.Queue[str] = queue.Queue()
        self.address = ""

    # -- HTTP --------------------------------------------------------------------------------------

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/slack/api/apps.connections.open")
        async def connect(request: Request) -> Response:
            self.opened.append(monotonic())
            if self.refusals:
                status, pause, body = self.refusals.popleft()
                return Response(body, status, {"Retry-After": pause} if pause else {})
            if request.headers.get("authorization") != f"Bearer {APP_TOKEN}":
                return JSONResponse({"ok": False, "error": "invalid_auth"})
            ticket = secrets.token_hex(8)
            self.tickets.add(ticket)
            return JSONResponse({"ok": True, "url": f"{self.address}/link/?ticket={ticket}"})

        @app.post("/slack/respond")
        async def respond(request: Request) -> Response:
            self.said.put(str((await request.json())["text"]))
            return Response("ok")

        return app

    # -- the socket --------------------------------------------------------------------------------

    def talk(self, connection: ServerConnection) -> None:
        """One connection, from hello to its end."""
        assert connection.request is not None
        ticket = connection.request.path.partition("ticket=")[2]
        if ticket not in self.tickets:
            connection.close(4001, "no such ticket")
            return
        self.tickets.remove(ticket)
        hello = {
            "type": "hello",
            "num_connections": 1,
            "connection_info": {"app_id": self.hello_app},
        }
        connection.send(json.dumps(hello))
        self.connections.append(connection)
        with suppress(ConnectionClosed):
            for answer in connection:
                self.acknowledged.put(str(json.loads(answer)["envelope_id"]))
        self.connections.remove(connection)

    def envelope(self, payload: Any, *, kind: str = "interactive", **more: Any) -> str:
        """Send an envelope over the newest connection; its id."""
        envelope_id = secrets.token_hex(8)
        self.send({"envelope_id": envelope_id, "type": kind, "payload": payload, **more})
        return envelope_id

    def press(self, alert_id: str, user: str | dict[str, str] = "U-hr11", **more: Any) -> str:
        """Somebody presses the button of this alert."""
        return self.envelope(
            {
                "type": "block_actions",
                "team": {"id": TEAM},
                "api_app_id": APP,
                "user": {"id": user, "team_id": TEAM} if isinstance(user, str) else user,
                "actions": [{"action_id": "acknowledge", "value": alert_id}],
                "response_url": self.api_url.replace("/api/", "/respond"),
                **more,
            }
        )

    def send(self, message: Any) -> None:
        """Anything, over the newest connection."""
        text = message if isinstance(message, str | bytes) else json.dumps(message)
        self.connections[-1].send(text)

    def announce_disconnect(self, reason: str = "refresh_requested") -> None:
        """Say on the newest connection that it will be closed."""
        self.send({"type": "disconnect", "reason": reason, "debug_info": {"host": "x"}})

    def break_off(self) -> None:
        """All connections die without a word, as when a cable is pulled or a NAT forgets."""
        for connection in list(self.connections):
            with suppress(OSError):
                connection.socket.shutdown(2)


@contextmanager
def socket_running() -> Iterator[SocketServer]:
    """Both servers, for the length of a test."""
    slack = SocketServer()
    with websocket_on(slack) as server, served(slack.app()) as url:
        slack.api_url = f"{url}/slack/api/"
        yield slack
        server.shutdown()


@contextmanager
def websocket_on(slack: SocketServer, port: int = 0) -> Iterator[Server]:
    """The WebSocket half alone, so that it can go away and come back."""
    with serve(slack.talk, "127.0.0.1", port) as server:
        slack.address = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            slack.break_off()
            server.shutdown()
            thread.join(timeout=5)


__all__ = ["APP_TOKEN", "SocketServer", "socket_running", "websocket_on"]
