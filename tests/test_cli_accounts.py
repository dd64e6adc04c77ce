"""The commands about how people sign in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from tests import make
from tests.command import as_process, environment, in_here
from tests.conftest import START
from warning_service.access.doors.second_factors import SecondFactors
from warning_service.access.tables import audit, sessions
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.migrate import migrate
from warning_service.roster.tables import classes, seats
from warning_service.settings import Settings

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def kizashi(
    folder: Path, *words: str, keys: list[str], trail_keys: Sequence[str] = ()
) -> CompletedProcess[str]:
    return in_here(folder, *words, env=environment(folder, keys, trail_keys=trail_keys))


def factors_with(database: Database, *keys: str) -> SecondFactors:
    given = Settings(environment="test", secret_keys=list(keys), data_dir=Path("/nowhere"))  # type: ignore[arg-type]
    return SecondFactors(database, MovableClock(START), given)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    found = Database(f"sqlite:///{tmp_path / 'kizashi.db'}")
    migrate(found)
    make.places(found)
    make.staff(found, "sato", ("nurse", make.SCHOOL))
    return found


def test_an_invitation_is_printed_as_a_link_once(tmp_path: Path, database: Database) -> None:
    done = kizashi(tmp_path, "invite", "sato", keys=[OLD])
    assert done.returncode == 0, done.stderr
    assert re.match(r"https://kizashi\.example/portal/invitation/[\w.-]+\n", done.stdout)
    assert "Good for 72 hours." in done.stdout
    assert [row.action for row in make.rows(database, audit)] == ["invited"]
    for run in (in_here, as_process):
        nobody = run(tmp_path, "invite", "nobody", env=environment(tmp_path, [OLD]))
        assert (nobody.returncode, "that login" in nobody.stderr) == (1, True)


def test_a_lost_phone_is_forgotten_and_its_sessions_end(tmp_path: Path, database: Database) -> None:
    factors = factors_with(database, OLD)
    factors.give_totp("staff-sato", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    with database.writing() as conn:
        conn.execute(
            sessions.insert().values(
                token_hash="h", kind="staff", key="staff-sato", board=make.BOARD, class_id="",
                csrf="", started_at=START, seen_at=START, ends_at=START, revoked=False,
                factors="totp", confirmed_at=START, door="",
            )
        )  # fmt: skip
    done = kizashi(tmp_path, "forget-factors", "sato", keys=[OLD])
    assert done.returncode == 0, done.stderr
    assert "1 sessions ended" in done.stdout
    assert not factors.of("staff-sato").any
    [line] = make.rows(database, audit)
    assert (line.actor, line.action, line.detail) == ("system:cli", "factor_removed", "all")


def test_a_new_key_takes_over_and_the_old_one_can_go(tmp_path: Path, database: Database) -> None:
    factors_with(database, OLD).give_totp("staff-sato", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    assert kizashi(tmp_path, "invite", "sato", keys=[OLD]).returncode == 0
    done = kizashi(tmp_path, "rewrap", keys=[NEW, OLD])
    assert "0 children and 1 members of staff" in done.stdout, done.stderr
    assert not factors_with(database, NEW).check_totp("staff-sato", "000000")
    codes = factors_with(database, NEW).new_recovery_codes("staff-sato")
    assert factors_with(database, NEW).use_recovery_code("staff-sato", codes[0])
    # What was said then is what keeps the trail proved; to drop the key altogether would not.
    assert "into trail_keys" in done.stdout and "up to number 1 " in done.stdout
    assert [row.action for row in make.rows(database, audit)] == ["invited", "keys_rewrapped"]
    proved = kizashi(tmp_path, "verify", keys=[NEW], trail_keys=[OLD])
    assert proved.returncode == 0, proved.stderr
    dropped = kizashi(tmp_path, "verify", keys=[NEW])
    assert (dropped.returncode, "audit row 1 is sealed with a key" in dropped.stderr) == (1, True)


def test_what_a_command_changes_stands_on_the_trail(tmp_path: Path, database: Database) -> None:
    room = "sakura-1"
    with database.writing() as conn:
        code = conn.execute(select(classes.c.code).where(classes.c.id == room)).scalar_one()
        conn.execute(seats.insert().values(student="kid", class_id=room, seat=1, secret_hash=""))
    for words in (
        ["add-board", "newtown", "--name", "新しい市"],
        ["cards", code],
        ["cards", code],  # has them now: nothing is made, and nothing noted
        ["removal"],
        ["removal", "--force"],
        ["rebuild"],
        ["rebuild", "--replace"],
    ):
        done = kizashi(tmp_path, *words, keys=[OLD])
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    lines = make.rows(database, audit)
    assert {row.actor for row in lines} == {"system:cli"}
    both = [make.BOARD, "newtown"]
    assert sorted((row.action, row.subject) for row in lines) == sorted(
        [("board_added", "newtown"), ("make_cards", room)]
        + [(action, board) for action in ("removal", "rebuilt") for board in both]
    )
