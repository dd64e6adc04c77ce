"""The commands about how people sign in, run as they are run on a server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests import make
from tests.conftest import START
from warning_service.access.doors.second_factors import SecondFactors
from warning_service.access.tables import audit, sessions
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.migrate import migrate
from warning_service.settings import Settings

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def kizashi(folder: Path, *words: str, keys: list[str]) -> subprocess.CompletedProcess[str]:
    plain = {k: v for k, v in os.environ.items() if not k.startswith("KIZASHI_")}
    return subprocess.run(
        [sys.executable, "-m", "warning_service", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={
            **plain,
            "COLUMNS": "200",
            "KIZASHI_ENVIRONMENT": "test",
            "KIZASHI_DATA_DIR": str(folder),
            "KIZASHI_PUBLIC_URL": "https://kizashi.example",
            "KIZASHI_SECRET_KEYS": json.dumps(keys),
        },
    )


def factors_with(database: Database, *keys: str) -> SecondFactors:
    given = Settings(environment="test", secret_keys=list(keys), data_dir=Path("unused"))  # type: ignore[arg-type]
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
    nobody = kizashi(tmp_path, "invite", "nobody", keys=[OLD])
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
    done = kizashi(tmp_path, "rewrap", keys=[NEW, OLD])
    assert "0 children and 1 members of staff" in done.stdout, done.stderr
    assert not factors_with(database, NEW).check_totp("staff-sato", "000000")
    codes = factors_with(database, NEW).new_recovery_codes("staff-sato")
    assert factors_with(database, NEW).use_recovery_code("staff-sato", codes[0])
