"""The demo's Slack-compatible room as a real server in a thread, with faults by script."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.slack_room import TOKEN, make_router
from warning_service.clock import monotonic

SECRET = "signing-secret-of-the-tests"


class Faults:
    """ASGI middleware: for each address, what the next calls get instead of an answer.

    Steps: ("429", seconds), ("500", 0), ("hang", seconds). `answers`: bodies to answer with, 200,
    whatever was asked. `calls`: (address, method, monotonic
    time, raw body) of every call that arrived.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.script: dict[str, deque[tuple[str, float | str]]] = defaultdict(deque)
        self.answers: dict[str, deque[bytes]] = defaultdict(deque)
        self.always: dict[str, tuple[str, float]] = {}
        self.calls: list[tuple[str, str, float, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "/api/chat." not in scope["path"]:
            await self.app(scope, receive, send)
            return
        body = b""
        more = True
        while more:
            part = await receive()
            body += part.get("body", b"")
            more = part.get("more_body", False)
        asked = json.loads(body)
        address = str(asked.get("channel"))
        self.calls.append((address, scope["path"].rsplit(".", 1)[1], monotonic(), body))
        steps = self.script[address]
        kind, seconds = steps.popleft() if steps else self.always.get(address, ("", 0.0))
        if self.answers[address]:
            kind_of = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": kind_of})
            await send({"type": "http.response.body", "body": self.answers[address].popleft()})
            return
        if kind == "hang":
            await asyncio.sleep(float(seconds))
            return
        if kind in {"429", "500"}:
            headers = [(b"retry-after", _said(seconds))] if kind == "429" else []
            await send({"type": "http.response.start", "status": int(kind), "headers": headers})
            await send({"type": "http.response.body", "body": b"<html>no</html>"})
            return
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return {"type": "http.disconnect"}
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)


def _said(seconds: float | str) -> bytes:
    return (seconds if isinstance(seconds, str) else str(int(seconds))).encode()


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """`app` behind a real uvicorn in a thread; its address."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="warning",
        timeout_graceful_shutdown=1, lifespan="off",
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        threading.Event().wait(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


class SlackServer:
    """A running room: its address, its faults, what arrived."""

    def __init__(self, url: str, faults: Faults) -> None:
        self.api_url = f"{url}/slack/api/"
        self.faults = faults

    def posted(self, address: str = "") -> list[dict[str, Any]]:
        """Bodies of calls that arrived, in order."""
        return [
            {"method": method, **json.loads(body)}
            for to, method, _, body in self.faults.calls
            if not address or to == address
        ]


@contextmanager
def running(data_dir: Path) -> Iterator[SlackServer]:
    """A room for the length of a test."""
    app = FastAPI()
    app.include_router(make_router(data_dir, SECRET, "http://127.0.0.1:9/none"), prefix="/slack")
    faults = Faults(app)
    with served(faults) as url:
        yield SlackServer(url, faults)


__all__ = ["SECRET", "TOKEN", "Faults", "SlackServer", "running", "served"]
