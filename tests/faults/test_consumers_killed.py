"""Consumers killed with SIGKILL at random moments, many times, against an undisturbed run.

The same log is worked through once in peace and once under fire; what is stored afterwards must be
the same bytes: feature states, model snapshot, training blocks, lists, entries, scores, alerts.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from tests import make
from tests.faults.forker import drain
from warning_service.alerts import tables as alerts
from warning_service.clock import Clock, MovableClock, at
from warning_service.database import Database
from warning_service.events.log import Log
from warning_service.events.tables import events
from warning_service.events.types import (
    DayClosed,
    ListDue,
    NewEvent,
    ObservationRecorded,
    new_id,
)
from warning_service.events.wakeups import Wakeups
from warning_service.judging import tables as judging
from warning_service.playbooks.model import shipped

DAYS = 75
CHILDREN = 24


def playbook_with_a_short_horizon(data_dir: Path) -> None:
    """Nishinomiya's playbook, but outcomes come early enough to be learned from in the test."""
    text = (
        Path(sys.modules[shipped.__module__].__file__ or "")
        .parent.joinpath("shipped", "nishinomiya.toml")
        .read_text("utf-8")
    )
    text = re.sub(r"^threshold = 30", "threshold = 6", text, flags=re.M)
    text = re.sub(r"^horizon_days = \d+", "horizon_days = 14", text, flags=re.M)
    (data_dir / "playbooks").mkdir(parents=True)
    (data_dir / "playbooks" / "nishinomiya.toml").write_text(text, "utf-8")


def fill(database: Database) -> None:
    """A class's term: answers, absences, days closed, two lists, some calls for help."""
    rng = random.Random(7)
    clock = MovableClock(at(date(2026, 4, 8), 8))
    log = Log(database, clock, Wakeups())
    room = make.places(database)[0]
    keys = make.children(log, room, CHILDREN)
    for n in range(DAYS):
        day = date(2026, 4, 8) + timedelta(days=n)
        clock.move_to(at(day, 9))
        new: list[NewEvent] = []
        for number, key in enumerate(keys):
            low = number % 6 == 0 and n > 20
            if day.weekday() < 5 and rng.random() < 0.9:
                mood = 3 if low and rng.random() < 0.7 else rng.randrange(3)
                new.append(make.check_in(key, clock, mood=mood, sleep=rng.randrange(4)))
            if low and rng.random() < 0.3:
                new.append(
                    NewEvent(
                        id=new_id(), board=make.BOARD, student=key, on=day, actor="system:test",
                        body=ObservationRecorded(item="absent_days", value=1.0, source="test"),
                    )
                )  # fmt: skip
        if n % 9 == 0:
            new.append(make.consultation(keys[n % CHILDREN], clock, "nurse"))
        new.append(
            NewEvent(id=new_id(), board=make.BOARD, student=None, on=day, actor="system:test",
                     body=DayClosed())
        )  # fmt: skip
        if n in (30, 60):
            new.append(
                NewEvent(id=new_id(), board=make.BOARD, student=None, on=day, actor="system:test",
                         body=ListDue(school=make.SCHOOL))
            )  # fmt: skip
        make.append(log, *new)


def copy_of(url: str, tmp_path: Path) -> str:
    """A second database with the same content."""
    if url.startswith("sqlite"):
        folder = tmp_path / "peace"
        folder.mkdir()
        database = Database(url)
        with database.engine.connect() as conn:
            for schema in ("main", "roster"):
                conn.exec_driver_sql(f"PRAGMA {schema}.wal_checkpoint(TRUNCATE)")
        database.close()
        for file in (database.path, database.identity_path):
            shutil.copy(file, folder / file.name)
        return f"sqlite:///{folder / database.path.name}"
    name = f"{make_url(url).database}_peace"
    server = make_url(url).set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE {make_url(url).database}")
    return make_url(url).set(database=name).render_as_string(hide_password=False)


TABLES = (
    judging.feature_states, judging.model_snapshots, judging.training_blocks,
    judging.warning_lists, judging.list_entries, judging.list_scores,
    alerts.alerts,
)  # fmt: skip
# When it was written is not part of what was worked out; the log position of events that two
# consumers append side by side depends on who came first.
LEFT_OUT = {"published_at", "raised_at", "due_at"}


def stored(url: str) -> dict[str, list[tuple[object, ...]]]:
    database = Database(url)
    found = {
        table.name: sorted(
            tuple(value for name, value in row._mapping.items() if name not in LEFT_OUT)
            for row in make.rows(database, table)
        )
        for table in TABLES
    }
    log = make.rows(database, events)
    found["events"] = sorted((row.id, row.type, row.student or "") for row in log)
    database.close()
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [int(s) for s in os.environ.get("KIZASHI_FAULT_SEEDS", "1").split()]
)
def test_the_same_bytes_under_fire_as_in_peace(
    database_url: str, tmp_path: Path, seed: int
) -> None:
    data = tmp_path / "data"
    playbook_with_a_short_horizon(data)
    database = Database(database_url)
    fill(database)
    database.close()
    peaceful = copy_of(database_url, tmp_path)
    start = MovableClock(Clock().now())
    drain(peaceful, data, start, start, batch=500)
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.forker", database_url, str(data), str(seed)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    killed = int(re.search(r"killed=(\d+)", done.stdout).group(1))  # type: ignore[union-attr]
    assert killed >= 5
    peace, fire = stored(peaceful), stored(database_url)
    assert {name: len(rows) for name, rows in peace.items()} == {
        name: len(rows) for name, rows in fire.items()
    }
    assert len(peace["warning_lists"]) == 2
    assert len(peace["alerts"]) >= DAYS // 9
    for name, rows in peace.items():
        assert rows == fire[name], name
