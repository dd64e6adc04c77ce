"""The real processes under load, killed with SIGKILL at random: what was confirmed is there once.

`kizashi serve` and `kizashi work` run as in production, on one database. Tablets send check-ins and
consultations over HTTP and repeat them, with the same id, until they hear 202. Meanwhile one of the
two processes is killed and started again, over and over.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests import make
from warning_service.access.web import CHILD_COOKIE
from warning_service.alerts.tables import alerts
from warning_service.app import build
from warning_service.clock import Clock
from warning_service.database import Database
from warning_service.events.tables import events
from warning_service.events.types import new_id
from warning_service.judging.deriving.rebuild import rebuild
from warning_service.settings import Settings

ROUNDS = int(os.environ.get("KIZASHI_FAULT_ROUNDS", "2"))
TABLETS = 8


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Service:
    """The two processes, and how often each was killed. `commands`: others, by what they run."""

    environment: dict[str, str]
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    commands: dict[str, list[str]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        self.processes[name] = subprocess.Popen(
            [sys.executable, *self.commands.get(name, ["-m", "warning_service", name])],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()
        self.kills[name] += 1

    def revive(self) -> None:
        """Start again what ended by itself (its database was away), as a service manager does."""
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.start(name)

    def wait_ready(self) -> None:
        for _ in range(300):
            self.revive()
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise AssertionError("the server did not become ready")

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


class Tablet(threading.Thread):
    """One child's tablet: sends, and repeats with the same id until it hears 202."""

    def __init__(self, port: int, token: str, csrf: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.url = f"http://127.0.0.1:{port}/child/api/"
        self.cookies = {CHILD_COOKIE: token}
        self.headers = {"X-Kizashi-CSRF": csrf}
        self.rng = random.Random(seed)
        self.confirmed: dict[str, str] = {}
        self.refused: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        with httpx.Client(cookies=self.cookies, headers=self.headers, timeout=5) as client:
            while not self.stop.is_set():
                self.send(client)
                time.sleep(self.rng.uniform(0.0, 0.05))

    def send(self, client: httpx.Client) -> None:
        number, now = new_id(), datetime.now(UTC).isoformat()
        if self.rng.random() < 0.15:
            kind, body = "consultations", {
                # Of life and death: those ring each time, however often one child calls.
                "id": number, "whom": ["nurse"], "about": ["life"], "words": "", "asked_at": now,
            }  # fmt: skip
        else:
            kind, body = "check-ins", {
                "id": number, "questionnaire": "kokoro_daily", "version": 1,
                "answers": {"mood": self.rng.randrange(2), "sleep": 1, "body": None},
                "answered_at": now,
            }  # fmt: skip
        while True:
            try:
                answer = client.post(self.url + kind, json=body)
            except httpx.HTTPError:
                time.sleep(self.rng.uniform(0.05, 0.3))
                continue
            if answer.status_code == 202:
                self.confirmed[number] = kind
                return
            if answer.status_code != 503:
                self.refused.append(f"{answer.status_code} {answer.text[:200]}")
                return
            time.sleep(self.rng.uniform(0.05, 0.3))


@pytest.mark.slow
def test_confirmed_is_there_once_and_alerted_once(
    database_url: str, secret_key: str, tmp_path: Path
) -> None:
    port = free_port()
    settings = Settings(
        environment="test", database_url=database_url, data_dir=tmp_path / "data",
        secret_keys=[secret_key], port=port,  # type: ignore[list-item]
    )  # fmt: skip
    rooms = build(settings)
    room = make.places(rooms.database)[0]
    keys = make.children(rooms.log, room, TABLETS)
    make.seats(rooms.database, rooms.sealer, room, keys, "cat-sun-boat")
    tablets = []
    for seat in range(1, TABLETS + 1):
        token = rooms.child_door.sign_in(room.upper(), seat, "cat-sun-boat", "127.0.0.1")
        assert token is not None
        who = rooms.sessions.find(token)
        assert who is not None
        tablets.append(Tablet(port, token, who.csrf, seat))
    service = Service(
        {
            **os.environ,
            "KIZASHI_ENVIRONMENT": "test",
            "KIZASHI_DATABASE_URL": database_url,
            "KIZASHI_DATA_DIR": str(settings.data_dir),
            "KIZASHI_SECRET_KEYS": f'["{secret_key}"]',
            "KIZASHI_PORT": str(port),
        },
        port,
    )
    rng = random.Random(3)
    try:
        for name in ("serve", "work"):
            service.start(name)
        service.wait_ready()
        for tablet in tablets:
            tablet.start()
        for n in range(ROUNDS):
            time.sleep(rng.uniform(0.3, 1.5))
            name = ("serve", "work")[n % 2]
            service.kill(name)
            service.start(name)
            if name == "serve":
                service.wait_ready()
        time.sleep(1.0)
        for tablet in tablets:
            tablet.stop.set()
        for tablet in tablets:
            tablet.join(timeout=30)
        asked = wait_for_alerts(rooms.database)
    finally:
        service.end()
    check(rooms.database, tablets, asked)
    assert service.kills["serve"] >= ROUNDS // 2
    drained = rebuild(rooms.log, rooms.playbooks, make.BOARD)
    assert drained.differences == []
    rooms.database.close()


def wait_for_alerts(database: Database) -> set[str]:
    """Consultations in the log, once as many alerts stand (the last owner's lease may run out)."""
    deadline = Clock().now().timestamp() + 60
    while True:
        asked = {r.id for r in make.rows(database, events) if r.type == "consultation_requested"}
        told = {r.source for r in make.rows(database, alerts) if r.kind == "consultation"}
        behind = asked - told
        if not behind or Clock().now().timestamp() > deadline:
            return asked
        time.sleep(0.3)


def check(database: Database, tablets: list[Tablet], asked: set[str]) -> None:
    stored = Counter(row.id for row in make.rows(database, events))
    confirmed = {number: kind for tablet in tablets for number, kind in tablet.confirmed.items()}
    assert [line for tablet in tablets for line in tablet.refused] == []
    assert len(confirmed) > 50
    assert [number for number in confirmed if stored[number] != 1] == []
    per_source = Counter(
        row.source for row in make.rows(database, alerts) if row.kind == "consultation"
    )
    calls = {number for number, kind in confirmed.items() if kind == "consultations"}
    assert calls <= asked
    assert {number: per_source[number] for number in asked} == dict.fromkeys(asked, 1)
