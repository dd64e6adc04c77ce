"""A Slack-compatible room for the demo: what would be on teachers' phones, to be looked at here.

It answers the few API methods the chat connector uses (`chat.postMessage`, `chat.update`,
`auth.test`) the way Slack does, keeps what it was sent in a small file of its own, and shows it.
Pressing a button sends a signed interaction to the service, as Slack would. It knows nothing but
what it was sent: no database, no names. It is not Slack and no part of production.
"""

from __future__ import annotations

import hmac
import json
import secrets
import sqlite3
import threading
import urllib.error
import urllib.request
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode

import msgspec
from fastapi import APIRouter, Depends, Form, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from slack_sdk.signature import SignatureVerifier

from warning_service.access.web import OPEN
from warning_service.clock import JAPAN, Clock

HERE = Path(__file__).parent
KEPT_PER_CHANNEL = 200
SHOWN = 100
TEAM, APP = "TDEMO", "ADEMO"
TOKEN = "xoxb-kizashi-demo"  # noqa: S105 (the demo's own, for a room that is only on this machine)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
  channel TEXT NOT NULL, ts TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (channel, ts)
) WITHOUT ROWID
"""


class Member(msgspec.Struct, frozen=True):
    """Someone who may press buttons: their Slack id, and what to call them in the list."""

    id: str
    label: str


class Posted(msgspec.Struct, kw_only=True):
    """One message as it was sent; `edited`: changed since."""

    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    edited: bool = False

    @property
    def at(self) -> datetime:
        """When it came, in Japan."""
        return datetime.fromtimestamp(float(self.ts), JAPAN)

    @property
    def lines(self) -> list[str]:
        """The text of its sections."""
        found = [b["text"]["text"] for b in self.blocks if b.get("type") == "section"]
        return found or [self.text]

    @property
    def buttons(self) -> list[dict[str, Any]]:
        """Its buttons."""
        return [e for b in self.blocks if b.get("type") == "actions" for e in b["elements"]]


class Room:
    """The messages of all channels, in memory and in a file; safe between threads."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._file = sqlite3.connect(
            data_dir / "slack_room.db", check_same_thread=False, isolation_level=None
        )
        # Losing the last second of a chat to a power cut is what a demo can bear.
        self._file.execute("PRAGMA journal_mode=WAL")
        self._file.execute("PRAGMA synchronous=OFF")
        self._file.execute(_SCHEMA)
        self._channels: dict[str, deque[Posted]] = defaultdict(deque)
        self._last = 0
        self.revision = 0
        for (body,) in self._file.execute("SELECT body FROM messages ORDER BY ts"):
            posted = msgspec.json.decode(body, type=Posted)
            self._channels[posted.channel].append(posted)
            self._last = max(self._last, int(posted.ts.replace(".", "")))

    def post(self, channel: str, text: str, blocks: list[dict[str, Any]]) -> Posted:
        """Keep a new message; the oldest of a long channel go."""
        with self._lock:
            now = int(Clock().now().timestamp() * 1_000_000)
            self._last = now = max(now, self._last + 1)
            ts = f"{now // 1_000_000}.{now % 1_000_000:06d}"
            posted = Posted(channel=channel, ts=ts, text=text, blocks=blocks)
            kept = self._channels[channel]
            kept.append(posted)
            self._store(posted)
            while len(kept) > KEPT_PER_CHANNEL:
                gone = kept.popleft()
                self._file.execute(
                    "DELETE FROM messages WHERE channel = ? AND ts = ?", (channel, gone.ts)
                )
            self.revision += 1
        return posted

    def change(self, channel: str, ts: str, text: str, blocks: list[dict[str, Any]]) -> bool:
        """Change a message; False when it is not here."""
        with self._lock:
            for posted in self._channels.get(channel, ()):
                if posted.ts == ts:
                    posted.text, posted.blocks, posted.edited = text, blocks, True
                    self._store(posted)
                    self.revision += 1
                    return True
        return False

    def _store(self, posted: Posted) -> None:
        self._file.execute(
            "INSERT INTO messages VALUES (?, ?, ?)"
            " ON CONFLICT (channel, ts) DO UPDATE SET body = excluded.body",
            (posted.channel, posted.ts, msgspec.json.encode(posted).decode()),
        )

    def shown(self, channel: str = "") -> list[Posted]:
        """The newest messages, of one channel or of all, newest last."""
        with self._lock:
            chosen = [self._channels.get(channel, deque())] if channel else self._channels.values()
            found = [posted for kept in chosen for posted in kept]
        return sorted(found, key=lambda posted: posted.ts)[-SHOWN:]

    def channels(self) -> list[str]:
        """Channels that have messages."""
        with self._lock:
            return sorted(name for name, kept in self._channels.items() if kept)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


def press(url: str, signing_secret: str, member: str, posted: Posted, value: str) -> str:
    """Send a signed interaction as Slack does; the words that came back.

    The address is the service's own; only http and https are opened.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError("not a web address")
    payload = {
        "type": "block_actions",
        "team": {"id": TEAM},
        "api_app_id": APP,
        "user": {"id": member, "team_id": TEAM},
        "channel": {"id": posted.channel},
        "message": {"ts": posted.ts},
        "trigger_id": secrets.token_hex(8),  # makes each press a request of its own
        "actions": [{"type": "button", "action_id": "acknowledge", "value": value}],
    }
    body = urlencode({"payload": json.dumps(payload)})
    timestamp = str(int(Clock().now().timestamp()))
    signature = SignatureVerifier(signing_secret).generate_signature(timestamp=timestamp, body=body)
    request = urllib.request.Request(  # noqa: S310 (checked above)
        url,
        data=body.encode(),
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature or "",
        },
    )
    # Our own service, so past any proxy of the environment.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=3) as answer:
            said = answer.read()
    except urllib.error.HTTPError as error:
        return f"エラー {error.code}"
    except OSError:
        return "サービスにつながりませんでした。"
    return str(json.loads(said).get("text", "")) if said else ""


def make_router(
    data_dir: Path,
    signing_secret: str,
    interactions_url: str,
    *,
    token: str = TOKEN,
    members: Callable[[], Sequence[Member]] = tuple,
) -> APIRouter:
    """The room's routes: the API below `api/`, the page at the top.

    `token`: the bot token the service must show. `members`: who can be chosen to press.
    """
    return _Pages(Room(data_dir), signing_secret, interactions_url, token, members).router


class _Pages:
    def __init__(
        self,
        room: Room,
        signing_secret: str,
        interactions_url: str,
        token: str,
        members: Callable[[], Sequence[Member]],
    ) -> None:
        self.room = room
        self._signing_secret = signing_secret
        self._interactions_url = interactions_url
        self._token = token
        self._members = members
        self._form_token = secrets.token_urlsafe(16)
        self._said: dict[str, str] = {}
        self._templates = Environment(
            loader=FileSystemLoader(str(HERE / "templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.router = APIRouter(dependencies=[Depends(OPEN)])
        add = self.router.add_api_route
        add("/api/auth.test", self.auth_test, methods=["POST"])
        add("/api/chat.postMessage", self.post_message, methods=["POST"])
        add("/api/chat.update", self.update, methods=["POST"])
        add("/messages", self.messages, methods=["GET"])
        add("/press", self.pressed, methods=["POST"])
        add("/slack_room.js", self.script, methods=["GET"])
        add("/slack_room.css", self.style, methods=["GET"])
        add("", self.page, methods=["GET"])

    # -- what Slack has -------------------------------------------------------------------------

    async def _asked(self, request: Request) -> dict[str, Any] | str:
        """The method's arguments, or Slack's error code."""
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            return "invalid_auth"
        body = await request.body()
        if "json" in request.headers.get("content-type", ""):
            try:
                asked = json.loads(body or b"{}")
            except ValueError:
                return "invalid_json"
            return asked if isinstance(asked, dict) else "invalid_json"
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if "blocks" in form:
            form["blocks"] = json.loads(form["blocks"])
        return form

    async def auth_test(self, request: Request) -> Response:
        """Is the token good?"""
        asked = await self._asked(request)
        if isinstance(asked, str):
            return _error(asked)
        return JSONResponse({"ok": True, "team": "demo", "user": "kizashi", "user_id": "UBOT"})

    async def post_message(self, request: Request) -> Response:
        """Take a message."""
        asked = await self._asked(request)
        if isinstance(asked, str):
            return _error(asked)
        if not asked.get("channel"):
            return _error("channel_not_found")
        if not asked.get("text") and not asked.get("blocks"):
            return _error("no_text")
        posted = self.room.post(asked["channel"], asked.get("text", ""), asked.get("blocks", []))
        return JSONResponse(
            {
                "ok": True,
                "channel": posted.channel,
                "ts": posted.ts,
                "message": {"type": "message", "text": posted.text, "ts": posted.ts},
            }
        )

    async def update(self, request: Request) -> Response:
        """Change a message."""
        asked = await self._asked(request)
        if isinstance(asked, str):
            return _error(asked)
        channel, ts = str(asked.get("channel", "")), str(asked.get("ts", ""))
        if not self.room.change(channel, ts, asked.get("text", ""), asked.get("blocks", [])):
            return _error("message_not_found")
        return JSONResponse({"ok": True, "channel": channel, "ts": ts, "text": asked.get("text")})

    # -- what people see ------------------------------------------------------------------------

    def page(self, request: Request) -> Response:
        """The chat, newest last."""
        chosen = request.query_params.get("as", "")
        base = request.url.path.rstrip("/")
        html = self._templates.get_template("slack_room.html").render(
            **self._values(request), base=base, members=self._members(), chosen=chosen,
            channels=self.room.channels(), said=self._said.pop(chosen, ""),
        )  # fmt: skip
        return HTMLResponse(html)

    def messages(self, request: Request) -> Response:
        """Only the messages, for the live refresh; 204 while nothing is new."""
        if request.query_params.get("seen", "") == str(self.room.revision):
            return Response(status_code=204)
        html = self._templates.get_template("slack_messages.html").render(**self._values(request))
        return HTMLResponse(html, headers={"X-Revision": str(self.room.revision)})

    def _values(self, request: Request) -> dict[str, Any]:
        channel = request.query_params.get("channel", "")
        return {
            "messages": self.room.shown(channel),
            "channel": channel,
            "revision": self.room.revision,
            "form_token": self._form_token,
        }

    async def pressed(
        self,
        request: Request,
        button: Annotated[str, Form(max_length=300)],
        member: Annotated[str, Form(max_length=100)],
        form_token: Annotated[str, Form(max_length=100)],
        channel: Annotated[str, Form(max_length=100)] = "",
    ) -> Response:
        """Press a message's button as a member; Slack would send what this sends."""
        if not hmac.compare_digest(form_token.encode(), self._form_token.encode()):
            return Response("この画面は古くなりました。読み込み直してください。", status_code=403)
        ts, _, value = button.partition(" ")
        found = [posted for posted in self.room.shown() if posted.ts == ts]
        values = {b.get("value") for posted in found for b in posted.buttons}
        if value not in values:
            return Response("その操作はもうありません。", status_code=404)
        self._said[member] = await run_in_threadpool(
            press, self._interactions_url, self._signing_secret, member, found[0], value
        )
        back = request.url.path.removesuffix("/press")
        query = urlencode({"as": member, "channel": channel})
        return RedirectResponse(f"{back}?{query}#last", status_code=303)

    def script(self) -> Response:
        """The live refresh."""
        return FileResponse(HERE / "static" / "slack_room.js", media_type="text/javascript")

    def style(self) -> Response:
        """The looks."""
        return FileResponse(HERE / "static" / "slack_room.css", media_type="text/css")


def _error(code: str) -> Response:
    """Slack says "no" with status 200 and ok: false."""
    return JSONResponse({"ok": False, "error": code})
