"""From "received" on a child's tablet to the chat endpoint having the message.

Three processes on the loopback address: the whole service as it is served (`build`, `create_app`
with its consumers, escalator and senders; SQLite, WAL, synchronous=FULL), a Slack-compatible
endpoint that only notes when what arrived, and this one, the tablets. 100 consultations a second
(`--rate`) for `--seconds`, from children of many classes with a chat channel each; then 400
check-ins a second for as long, for the p99 of being accepted; then the consultations again, while
every class has two further channels, of which one never answers and the other says 429. Requests
go out by the clock whether or not earlier ones were answered, so a stall counts for all who came
during it. Every confirmed consultation must have arrived, once.

The last line is `alert_p99_ms=… with_hung_channel_p99_ms=… accept_p99_ms=…`. The first two are
counted from the moment the 202 was read by the tablet to the healthy channel having the message;
the time from sending the request is printed above it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar

import uuid_utils
import uvloop
from cryptography.fernet import Fernet
from sqlalchemy import insert

from warning_service.access.doors.sessions import token_hash
from warning_service.access.sealing import Sealer
from warning_service.access.tables import sessions
from warning_service.alerts.tables import routes
from warning_service.clock import Clock, monotonic
from warning_service.database import Database
from warning_service.events.types import derived_id
from warning_service.migrate import migrate
from warning_service.roster import tables as roster
from warning_service.settings import Settings

BOARD = "city"
CLASSES, CLASS_SIZE = 240, 30
TOKEN = "xoxb-benchmark"
FIRST_DAY = date(2020, 4, 1)
CONNECTIONS = 128
TROUBLED = ("hangs", "limits")
RETRY_AFTER = 20
WARM_SECONDS = 3.0


# --- the service and the chat endpoint ------------------------------------------------------------


def _settings(folder: Path) -> Settings:
    return Settings(
        environment="test",
        data_dir=folder,
        secret_keys=[(folder / "key").read_text()],  # type: ignore[list-item]
        slack_api_url=(folder / "chat").read_text(),
        slack_bot_token=TOKEN,  # type: ignore[arg-type]
        slack_signing_secret="unused",  # type: ignore[arg-type]
        log_level="ERROR",
    )


def serve(folder: Path, port: int) -> None:
    """The service, all in one process."""
    import uvicorn

    from connectors.messaging import registry
    from connectors.messaging.slack import SlackChannel
    from warning_service.alerts.messages import Channel
    from warning_service.app import Jobs, build, create_app
    from warning_service.logs import configure
    from warning_service.rooms import Rooms

    def connect(rooms: Rooms) -> dict[str, Channel]:
        """The channel there is, and two that are in trouble: the same code, another server."""
        found: dict[str, Channel] = {}
        for name in ("slack", *TROUBLED):
            address = rooms.settings.slack_api_url.replace("/api/", f"/{name}/api/")
            found[name] = SlackChannel(rooms.settings.model_copy(update={"slack_api_url": address}))
        return found

    # What the service would find by its settings, it is given.
    registry.connect = connect
    configure("CRITICAL")
    app = create_app(build(_settings(folder)), Jobs(work=True))
    uvicorn.run(
        app, host="127.0.0.1", port=port, access_log=False, log_level="warning", server_header=False
    )


class Chat(asyncio.Protocol):
    """Just enough of Slack: takes a message, notes alert id and moment, says ok."""

    notes: ClassVar[list[tuple[str, float]]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length:") + 15
        if len(body) < int(head[at:].split(b"\r\n", 1)[0]):
            return
        arrived = monotonic()
        self.buffer = b""
        asked = json.loads(body)
        if head.startswith(b"POST /hangs/"):
            return
        if head.startswith(b"POST /limits/"):
            self.transport.write(
                b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: %d\r\nConnection: close\r\n"
                b"Content-Length: 0\r\n\r\n" % RETRY_AFTER
            )
            self.transport.close()
            return
        if head.startswith(b"POST /slack/api/chat.postMessage"):
            elements = asked["blocks"][1]["elements"]
            self.notes += [(e["value"], arrived) for e in elements if "value" in e]
        answer = json.dumps(
            {"ok": True, "channel": asked["channel"], "ts": f"1.{len(self.notes):06d}"}
        ).encode()
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(answer), answer)
        )
        self.transport.close()


def chat(folder: Path, port: int) -> None:
    """The endpoint; writes its notes when told to end. monotonic() is one clock on a machine."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_signal_handler(signal.SIGINT, over.set)
        server = await loop.create_server(Chat, "127.0.0.1", port, backlog=1024)
        await over.wait()
        server.close()
        (folder / "notes").write_text(json.dumps(Chat.notes))

    uvloop.run(run())


@contextmanager
def running(kind: str, folder: Path, port: int) -> Iterator[None]:
    """One of the two in a process of its own, listening."""
    command = [sys.executable, __file__, "--be", kind, "--port", str(port), "--folder", str(folder)]
    process = subprocess.Popen(command)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise SystemExit(f"{kind} ended at once")
            asyncio.run(asyncio.sleep(0.1))
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# --- the town -------------------------------------------------------------------------------------


@dataclass
class Child:
    """What a tablet's session holds."""

    student: str
    token: str
    csrf: str


def prepare(folder: Path, chat_port: int) -> list[Child]:
    """A migrated database: classes with a channel each, children signed in."""
    (folder / "key").write_text(Fernet.generate_key().decode())
    (folder / "chat").write_text(f"http://127.0.0.1:{chat_port}/api/")
    settings = _settings(folder)
    database = Database(settings.sqlalchemy_url)
    migrate(database)
    now = Clock().now()
    names = [f"c{n:03d}" for n in range(CLASSES)]
    made = [
        (Child(f"s{n:05d}", f"t-{n}-{random.getrandbits(64):x}", f"csrf-{n}"), names[n % CLASSES])
        for n in range(CLASSES * CLASS_SIZE)
    ]
    with database.writing() as conn:
        conn.execute(
            insert(roster.boards).values(
                id=BOARD, name="市", playbook="nishinomiya", generated=True
            )
        )
        conn.execute(
            insert(roster.schools).values(id="s1", board=BOARD, name="学校", stage="primary")
        )
        conn.execute(
            insert(roster.classes),
            [
                {
                    "id": name, "school": "s1", "school_year": 2026, "grade": 5,
                    "name": name, "code": name,
                }
                for name in names
            ],
        )  # fmt: skip
        conn.execute(
            insert(routes),
            [
                {
                    "board": BOARD, "place": name, "duty": "homeroom", "channel": "slack",
                    "address": f"C{name}",
                }
                for name in names
            ],
        )  # fmt: skip
        conn.execute(
            insert(roster.enrolments),
            [
                {
                    "student": child.student, "class_id": name, "from_day": FIRST_DAY,
                    "until_day": None, "board": BOARD, "school": "s1", "grade": 5,
                }
                for child, name in made
            ],
        )  # fmt: skip
        conn.execute(
            insert(sessions),
            [
                {
                    "token_hash": token_hash(child.token), "kind": "child", "key": child.student,
                    "board": BOARD, "class_id": name, "csrf": child.csrf, "started_at": now,
                    "seen_at": now, "ends_at": now.replace(year=now.year + 1), "revoked": False,
                }
                for child, name in made
            ],
        )  # fmt: skip
    Sealer(database, settings).make_keys([child.student for child, _ in made])
    database.close()
    return [child for child, _ in made]


def _request(child: Child, path: str, body: dict[str, object]) -> bytes:
    raw = json.dumps(body).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Cookie: kizashi_child={child.token}\r\nX-Kizashi-CSRF: {child.csrf}\r\n"
        f"Content-Length: {len(raw)}\r\n\r\n"
    ).encode() + raw


def consultation(child: Child, event_id: str, _chance: random.Random) -> bytes:
    body = {
        "id": event_id, "whom": ["homeroom"], "about": ["friends"], "words": "はなしたい",
        "asked_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }  # fmt: skip
    return _request(child, "/child/api/consultations", body)


def check_in(child: Child, event_id: str, chance: random.Random) -> bytes:
    answers = {q: chance.choices(range(4), (5, 4, 2, 1))[0] for q in ("mood", "sleep", "body")}
    body = {
        "id": event_id, "questionnaire": "kokoro_daily", "version": 1, "answers": answers,
        "answered_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }  # fmt: skip
    return _request(child, "/child/api/check-ins", body)


# --- the tablets ----------------------------------------------------------------------------------


@dataclass
class Sent:
    """One request: when it should have gone out, and when its 202 was read."""

    due: float
    received: float = 0.0
    status: int = 0


@dataclass
class Tablets:
    """Keep-alive connections, one request at a time on each; a request waits for a free one."""

    idle: deque[Tablet] = field(default_factory=deque)
    waiting: deque[tuple[Sent, bytes]] = field(default_factory=deque)
    left: int = 0

    def send(self, sent: Sent, raw: bytes) -> None:
        self.left += 1
        while self.idle:
            tablet = self.idle.pop()
            if not tablet.transport.is_closing():
                tablet.send(sent, raw)
                break
        else:
            self.waiting.append((sent, raw))


class Tablet(asyncio.Protocol):
    """One connection."""

    def __init__(self, tablets: Tablets) -> None:
        self.tablets = tablets
        self.sent: Sent | None = None
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self.tablets.idle.append(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        # The service closes what was idle for some seconds.
        if self in self.tablets.idle:
            self.tablets.idle.remove(self)

    def send(self, sent: Sent, raw: bytes) -> None:
        self.sent = sent
        self.transport.write(raw)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length:") + 15
        if len(rest) < int(head[at:].split(b"\r\n", 1)[0]):
            return
        assert self.sent is not None
        self.sent.received, self.sent.status = monotonic(), int(head[9:12])
        self.buffer, self.sent = b"", None
        self.tablets.left -= 1
        if self.tablets.waiting:
            self.send(*self.tablets.waiting.popleft())
        else:
            self.tablets.idle.append(self)


async def flood(
    port: int, children: Sequence[Child], make: object, rate: float, seconds: float
) -> dict[str, Sent]:
    """Requests by the clock; event id -> what became of it."""
    assert callable(make)
    chance = random.Random(11)
    loop = asyncio.get_running_loop()
    tablets = Tablets()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: Tablet(tablets), "127.0.0.1", port)
    everything: dict[str, Sent] = {}
    begin = monotonic()
    for number in range(int(rate * seconds)):
        due = begin + number / rate
        if (early := due - monotonic()) > 0:
            await asyncio.sleep(early)
        event_id = str(uuid_utils.uuid7())
        child = children[(number * 7919) % len(children)]
        everything[event_id] = sent = Sent(due)
        tablets.send(sent, make(child, event_id, chance))
    for _ in range(1000):
        if not tablets.left:
            break
        await asyncio.sleep(0.01)
    bad = {sent.status for sent in everything.values()} - {202}
    if bad:
        raise SystemExit(f"answers other than 202: {sorted(bad)}")
    return everything


def p(spans: Sequence[float], share: float) -> float:
    """That share's quantile, in milliseconds."""
    ordered = sorted(spans)
    return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def line(title: str, spans: Sequence[float]) -> str:
    """The usual quantiles, in milliseconds."""
    shares = ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (1.0, "max"))
    return f"{title}: " + "   ".join(f"{name} {p(spans, share):6.1f}" for share, name in shares)


def trouble(folder: Path) -> None:
    """From now on every class has two further channels, which are in trouble."""
    database = Database(_settings(folder).sqlalchemy_url)
    rows: list[dict[str, Any]] = [
        {
            "board": BOARD, "place": f"c{n:03d}", "duty": "homeroom", "channel": name,
            "address": f"C{n:03d}",
        }
        for n in range(CLASSES)
        for name in TROUBLED
    ]  # fmt: skip
    with database.writing() as conn:
        conn.execute(insert(routes), rows)
    database.close()


def arrived_after(
    asked: dict[str, Sent], notes: Sequence[tuple[str, float]], title: str
) -> list[float]:
    """Seconds from being received to the chat having it; prints them. Ends when one is missing."""
    arrived: dict[str, list[float]] = {}
    for alert_id, at in notes:
        arrived.setdefault(alert_id, []).append(at)
    found = [
        (sent, arrived.get(derived_id("alert", e, "consultation"))) for e, sent in asked.items()
    ]
    lost = sum(1 for _, at in found if not at)
    twice = sum(1 for _, at in found if at and len(at) > 1)
    print(f"{len(found)} consultations, {title}: {lost} not arrived, {twice} arrived twice")
    if lost or twice:
        raise SystemExit("a confirmed consultation did not arrive exactly once")
    alert = [at[0] - sent.received for sent, at in found if at]
    print(line("  sent → received (202)     ms", [s.received - s.due for s, _ in found]))
    print(line("  received → chat has it    ms", alert))
    print(line("  sent → chat has it        ms", [at[0] - s.due for s, at in found if at]))
    return alert


def measure(seconds: float, rate: float, check_in_rate: float) -> tuple[float, float, float]:
    """Run everything; p99 of alerts, of alerts beside channels in trouble, of accepting, in ms."""
    with tempfile.TemporaryDirectory(prefix="kizashi-alerts-") as name:
        folder = Path(name)
        port, chat_port = free_port(), free_port()
        children = prepare(folder, chat_port)
        with running("chat", folder, chat_port), running("service", folder, port):
            uvloop.run(flood(port, children, consultation, rate, WARM_SECONDS))
            asked = uvloop.run(flood(port, children, consultation, rate, seconds))
            asyncio.run(asyncio.sleep(1.0))
            uvloop.run(flood(port, children, check_in, check_in_rate, WARM_SECONDS))
            answered = uvloop.run(flood(port, children, check_in, check_in_rate, seconds))
            asyncio.run(asyncio.sleep(1.0))
            trouble(folder)
            uvloop.run(flood(port, children, consultation, rate, WARM_SECONDS))
            troubled = uvloop.run(flood(port, children, consultation, rate, seconds))
            asyncio.run(asyncio.sleep(2.0))
        notes = json.loads((folder / "notes").read_text())
    alert = arrived_after(asked, notes, f"{rate:.0f}/s")
    beside = arrived_after(troubled, notes, "one channel hangs, one says 429")
    accept = [sent.received - sent.due for sent in answered.values()]
    print(f"{len(answered)} check-ins at {check_in_rate:.0f}/s")
    print(line("  sent → received (202)     ms", accept))
    return p(alert, 0.99), p(beside, 0.99), p(accept, 0.99)


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seconds", type=float, default=30.0, help="for each of the three floods")
    ask.add_argument("--rate", type=float, default=100.0, help="consultations a second")
    ask.add_argument("--check-ins", type=float, default=400.0, help="check-ins a second")
    ask.add_argument("--be", choices=["service", "chat"], help=argparse.SUPPRESS)
    ask.add_argument("--port", type=int, help=argparse.SUPPRESS)
    ask.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = ask.parse_args()
    if given.be:
        (serve if given.be == "service" else chat)(given.folder, given.port)
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    alert, beside, accept = measure(given.seconds, given.rate, given.check_ins)
    print(
        f"alert_p99_ms={alert:.1f} with_hung_channel_p99_ms={beside:.1f} accept_p99_ms={accept:.1f}"
    )


if __name__ == "__main__":
    main()
