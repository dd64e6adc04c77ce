"""Durable check-ins per second, against an ordinary FastAPI route that stores nothing.

Two servers, each a uvicorn process of its own with the same settings: Kizashi as it is served
(`build`, `create_app`; SQLite, WAL, synchronous=FULL), and a FastAPI app with one route that takes
the same body as a pydantic model and answers 202. One client process drives them in turn, in short
alternating rounds, over the same number of keep-alive connections, one request at a time on each.
Every check-in has an id of its own, and comes from one of many children with a session.

The question is how many a second, so there have to be enough connections that the servers, not the
clients' waiting, are the limit: a commit's disk flush takes milliseconds during which its senders
wait, which 64 of them notice and 128 do not. `--connections 64` shows the difference.

Afterwards the log is counted: every 202 of Kizashi's must be in it exactly once. The last line is
`intake_ratio=…`, Kizashi's median round over the other's. `--city SECONDS` instead plays a piece of
a city's morning: 85,173 children within ten minutes are 142 a second, each with a session of its
own that is not in memory yet, every hundredth a call for help, while alerts and judging work on
the log in the same process; the last line is `city_p99_ms=…`.
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
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uuid_utils
import uvloop
from cryptography.fernet import Fernet
from fastapi import FastAPI
from sqlalchemy import func, insert, select

from student_checkin.bodies import CheckInBody, Received
from warning_service.access.doors.sessions import token_hash
from warning_service.access.tables import sessions
from warning_service.clock import Clock, monotonic
from warning_service.database import Database
from warning_service.events.tables import events
from warning_service.migrate import migrate
from warning_service.roster import tables as roster
from warning_service.settings import Settings

PATH = "/child/api/check-ins"
CITY_CHILDREN = 85_173
CITY_SECONDS = 600
CLASS_SIZE = 35
BOARD = "city"


# --- the two servers ------------------------------------------------------------------------------


def serve(kind: str, port: int, folder: Path) -> None:
    """Run one of the two servers until it is told to end."""
    import uvicorn

    app = _kizashi(folder) if kind != "plain" else _plain()
    uvicorn.run(
        app, host="127.0.0.1", port=port, access_log=False, log_level="warning", server_header=False
    )


def _settings(folder: Path) -> Settings:
    key = (folder / "key").read_text()
    return Settings(environment="test", data_dir=folder, secret_keys=[key], log_level="WARNING")


def _kizashi(folder: Path) -> object:
    from warning_service.app import Jobs, build, create_app
    from warning_service.logs import configure

    configure("WARNING")
    jobs = Jobs(work=(folder / "work").exists())
    return create_app(build(_settings(folder)), jobs)


def _plain() -> object:
    app = FastAPI()

    @app.post(PATH, status_code=202)
    async def take(body: CheckInBody) -> Received:
        return Received(received=body.id)

    return app


@contextmanager
def running(kind: str, folder: Path) -> Iterator[int]:
    """A server in a process of its own; its port once it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "--serve", kind, "--port", str(port), "--folder", folder]
    process = subprocess.Popen(command)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise SystemExit(f"the {kind} server ended at once")
            asyncio.run(asyncio.sleep(0.1))
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


# --- a city with sessions -------------------------------------------------------------------------


@dataclass
class Child:
    """A session: what its cookie and its pages hold."""

    token: str
    csrf: str


def prepare(folder: Path, count: int) -> list[Child]:
    """A migrated database with `count` children on the roll, each signed in."""
    (folder / "key").write_text(Fernet.generate_key().decode())
    database = Database(_settings(folder).sqlalchemy_url)
    migrate(database)
    now = Clock().now()
    spring = (now - timedelta(days=200)).date()
    made = [Child(f"token-{n}-{random.getrandbits(64):x}", f"csrf-{n}") for n in range(count)]
    rooms = [f"c{n}" for n in range(-(-count // CLASS_SIZE))]
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
                    "id": r,
                    "school": "s1",
                    "school_year": spring.year,
                    "grade": 5,
                    "name": r,
                    "code": r,
                }
                for r in rooms
            ],
        )
        conn.execute(
            insert(roster.enrolments),
            [
                {
                    "student": f"student{n:06d}", "class_id": rooms[n // CLASS_SIZE],
                    "from_day": spring, "until_day": None, "board": BOARD, "school": "s1",
                    "grade": 5,
                }
                for n in range(count)
            ],
        )  # fmt: skip
        conn.execute(
            insert(sessions),
            [
                {
                    "token_hash": token_hash(child.token), "kind": "child",
                    "key": f"student{n:06d}", "board": BOARD, "class_id": rooms[n // CLASS_SIZE],
                    "csrf": child.csrf, "started_at": now, "seen_at": now,
                    "ends_at": now + timedelta(hours=1), "revoked": False,
                }
                for n, child in enumerate(made)
            ],
        )  # fmt: skip
    database.close()
    return made


def request(child: Child, body: dict[str, object], path: str = PATH) -> bytes:
    """The whole HTTP request as a tablet sends it."""
    raw = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Cookie: kizashi_child={child.token}\r\nX-Kizashi-CSRF: {child.csrf}\r\n"
        f"Content-Length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


def check_in(child: Child, chance: random.Random) -> tuple[str, bytes]:
    """One check-in with an id of its own."""
    body = {
        "id": str(uuid_utils.uuid7()),
        "questionnaire": "kokoro_daily",
        "version": 1,
        "answers": {q: chance.randrange(4) for q in ("mood", "sleep", "body")},
        "answered_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    return str(body["id"]), request(child, body)


def consultation(child: Child) -> tuple[str, bytes]:
    """One call for help, with words."""
    body = {
        "id": str(uuid_utils.uuid7()),
        "whom": ["nurse"],
        "about": ["friends"],
        "words": "はなしを きいて ほしいです",
        "asked_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    return str(body["id"]), request(child, body, "/child/api/consultations")


# --- the client -----------------------------------------------------------------------------------


@dataclass
class Tally:
    """What came back in one round."""

    received: list[str] = field(default_factory=list)
    other: dict[int, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    took: float = 0.0

    @property
    def rate(self) -> float:
        """202s per second."""
        return len(self.received) / self.took


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, todo: list[tuple[str, bytes]], tally: Tally, until: float) -> None:
        self.todo, self.tally, self.until = todo, tally, until
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self.send()

    def send(self) -> None:
        self.since = monotonic()
        if self.since >= self.until or not self.todo:
            self.transport.close()
            return
        self.id, raw = self.todo.pop()
        self.transport.write(raw)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length:") + 15
        if len(rest) < int(head[at:].split(b"\r\n", 1)[0]):
            return
        self.buffer = b""
        status = int(head[9:12])
        if status == 202:
            self.tally.received.append(self.id)
        else:
            self.tally.other[status] = self.tally.other.get(status, 0) + 1
        self.tally.seconds.append(monotonic() - self.since)
        self.send()

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def closed_loop(
    port: int, todo: list[tuple[str, bytes]], seconds: float, connections: int
) -> Tally:
    """As fast as the server answers, for `seconds`, over `connections`."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    begin = monotonic()
    made = [
        (
            await loop.create_connection(
                lambda: Connection(todo, tally, begin + seconds), "127.0.0.1", port
            )
        )[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(one.done for one in made))
    tally.took = monotonic() - begin
    if not todo:
        raise SystemExit("too few requests were prepared")
    return tally


async def at_its_pace(port: int, todo: list[tuple[str, bytes]], rate: float) -> Tally:
    """Send `rate` requests a second whatever the answers do, each on a connection of its own."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    begin = monotonic()

    async def one(number: int, item: tuple[str, bytes]) -> None:
        await asyncio.sleep(begin + number / rate - monotonic())
        _, made = await loop.create_connection(
            lambda: Connection([item], tally, begin + 10_000), "127.0.0.1", port
        )
        await made.done

    await asyncio.gather(*(one(n, item) for n, item in enumerate(todo)))
    tally.took = monotonic() - begin
    return tally


# --- the runs -------------------------------------------------------------------------------------


def compare(seconds: float, connections: int, count: int) -> float:
    """Alternating rounds; the ratio of the median rates."""
    rounds = max(2, min(8, int(seconds // 4)))
    each = seconds / (2 * rounds)
    chance = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="kizashi-intake-") as name:
        folder = Path(name)
        made = prepare(folder, count)
        results: dict[str, list[Tally]] = {"kizashi": [], "plain": []}
        confirmed: list[str] = []
        with running("kizashi", folder) as ours, running("plain", folder) as theirs:
            for number in range(-1, rounds):  # round -1 warms both up
                for kind, port in (("kizashi", ours), ("plain", theirs)):
                    span = each if number >= 0 else min(each, 2.0)
                    todo = [
                        check_in(chance.choice(made), chance) for _ in range(int(25_000 * span))
                    ]
                    tally = uvloop.run(closed_loop(port, todo, span, connections))
                    if tally.other:
                        raise SystemExit(f"{kind}: answers other than 202: {tally.other}")
                    if kind == "kizashi":
                        confirmed += tally.received
                    if number >= 0:
                        results[kind].append(tally)
                        print(_line(f"{kind:8} round {number + 1}", tally))
        _count(folder, confirmed)
    rates = {k: statistics.median(t.rate for t in tallies) for k, tallies in results.items()}
    print(f"durable {rates['kizashi']:.0f}/s, storing nothing {rates['plain']:.0f}/s (medians)")
    return rates["kizashi"] / rates["plain"]


def city(seconds: float) -> float:
    """The p99 in milliseconds of a piece of a city's morning."""
    rate = CITY_CHILDREN / CITY_SECONDS
    chance = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="kizashi-city-") as name:
        folder = Path(name)
        made = prepare(folder, int(rate * seconds))
        (folder / "work").touch()
        todo = [
            consultation(child) if n % 100 == 99 else check_in(child, chance)
            for n, child in enumerate(made)
        ]
        with running("kizashi", folder) as port:
            tally = uvloop.run(at_its_pace(port, todo, rate))
        if tally.other or len(tally.received) != len(todo):
            raise SystemExit(f"{len(tally.received)} of {len(todo)} received; {tally.other}")
        print(_line(f"{len(todo)} children", tally))
        _count(folder, tally.received)
    return 1000 * sorted(tally.seconds)[int(len(tally.seconds) * 0.99)]


def _line(title: str, tally: Tally) -> str:
    spans = sorted(tally.seconds)
    p50, p99 = (1000 * spans[int(len(spans) * share)] for share in (0.5, 0.99))
    return f"{title}: {tally.rate:7.0f}/s   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms"


def _count(folder: Path, confirmed: list[str]) -> None:
    """Every 202 is in the log exactly once (ids are unique there), or this run failed."""
    database = Database(_settings(folder).sqlalchemy_url)
    with database.reading() as conn:
        held = set(conn.execute(select(events.c.id).where(events.c.student.is_not(None))).scalars())
        total = conn.execute(select(func.count()).select_from(events)).scalar_one()
    database.close()
    lost = set(confirmed) - held
    if lost or len(set(confirmed)) != len(confirmed):
        raise SystemExit(f"{len(lost)} confirmed check-ins are not in the log")
    print(f"{len(confirmed)} confirmed, all in the log once ({total} rows)")


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seconds", type=float, default=32.0, help="for both servers together")
    ask.add_argument("--connections", type=int, default=128)
    ask.add_argument("--children", type=int, default=4000)
    ask.add_argument("--city", type=float, metavar="SECONDS", help="a piece of a city's morning")
    ask.add_argument("--serve", choices=["kizashi", "plain"], help=argparse.SUPPRESS)
    ask.add_argument("--port", type=int, help=argparse.SUPPRESS)
    ask.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = ask.parse_args()
    if given.serve:
        serve(given.serve, given.port, given.folder)
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    if given.city:
        print(f"city_p99_ms={city(given.city):.1f}")
        return
    ratio = compare(given.seconds, given.connections, given.children)
    print(f"intake_ratio={ratio:.3f}")


if __name__ == "__main__":
    main()
