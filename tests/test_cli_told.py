"""The commands `told` and `gaps`, on a built installation: what they show, and their exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner, Result

from tests import make
from tests.command import environment, in_here
from warning_service import cli_told
from warning_service.alerts.tables import alerts, routes
from warning_service.cli import cli
from warning_service.database import Database
from warning_service.migrate import migrate
from warning_service.rooms import Rooms

EVENING = "2026-05-11 20:30"
ROOM = "sakura-1"


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), env={"COLUMNS": "120"})


@pytest.fixture
def town(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    """A class with a child and no teacher, and a nurse; the commands open this installation."""
    make.places(rooms.database)
    make.children(rooms.log, ROOM, 1)
    make.staff(rooms.database, "nurse", ("nurse", make.SCHOOL))
    with rooms.database.writing() as conn:
        conn.execute(
            routes.insert().values(
                board=make.BOARD, place=make.SCHOOL, duty="nurse", channel="slack", address="C1"
            )
        )
    monkeypatch.setattr(cli_told, "_rooms", lambda: rooms)
    return rooms


def test_a_walk_shows_duties_times_and_channels_and_no_name(town: Rooms) -> None:
    urgent = run("told", ROOM, "--at", EVENING)
    soft = run("told", ROOM, "--at", EVENING, "--kind", "same_day")
    assert urgent.exit_code == soft.exit_code == 0, urgent.output + soft.output
    assert "2026-05-11 20:30" in urgent.output  # a call for help rings at night
    assert "2026-05-12 07:00" in soft.output  # what can wait does not
    assert "slack" in urgent.output and "nobody" in urgent.output
    assert "先生" not in urgent.output + soft.output
    assert make.rows(town.database, alerts) == []  # trying raises nothing


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["told", "nowhere"], 1, "no such class"),
        (["told", ROOM, "--at", "tomorrow"], 2, "no such moment"),
        (["told", ROOM, "--kind", "gossip"], 2, "--kind: one of consultation"),
        (["gaps", "nowhere"], 2, "no such board"),
    ],
)
def test_a_mistake_is_a_line_and_a_status(
    town: Rooms, words: list[str], status: int, said: str
) -> None:
    done = run(*words)
    assert done.exit_code == status
    assert said in done.output


def test_grave_gaps_are_listed_and_fail_the_command(town: Rooms) -> None:
    done = run("gaps", make.BOARD)
    assert done.exit_code == 1
    assert "no_teacher" in done.output and ROOM in done.output


def test_they_open_the_installation_of_the_settings(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'kizashi.db'}")
    migrate(database)
    make.places(database)
    database.close()
    env = environment(tmp_path, [Fernet.generate_key().decode()])
    done = in_here(tmp_path, "told", ROOM, "--at", EVENING, env=env)
    assert done.returncode == 0, done.stderr
    assert "homeroom" in done.stdout
