"""Connections and transactions, the same on SQLite and PostgreSQL.

Two schemas: the default one holds events and everything derived from them and knows children only
by a random key; `roster` holds names and numbers (a schema on PostgreSQL, a file of its own beside
the main one on SQLite). SQLite runs in WAL mode with synchronous=FULL, so that a commit is on disk
when it returns; its write transactions begin IMMEDIATE, so that a lock is waited for at the start
and never found missing half-way.

On PostgreSQL a read that a request makes is narrowed to the sender's scope (see `asking.py`): it is
made as one of two roles without rights of their own, which row-level security shows that scope and
no more. The rules are in access/row_security.py.

Nothing here knows a table. Statements are SQLAlchemy Core; the ORM stays off every path.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

from sqlalchemy import (
    Connection,
    DateTime,
    Dialect,
    Engine,
    Insert,
    Table,
    TypeDecorator,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlmodel import SQLModel

from warning_service import asking

ROSTER = "roster"
ROLES_NOTE = "kizashi row security"
"""How the comment on the roster schema begins that names the two roles (see `roles_noted`)."""
BUSY_SECONDS = 30.0
_TROUBLE = (OperationalError, InterfaceError)
_TROUBLE_NAMES = frozenset({"DatabaseError", "ReadOnlySqlTransaction"})


class StorageUnavailable(RuntimeError):
    """The database is gone, locked or full; nothing was stored. Answer 503, never "received"."""


class RowSecurityMissing(RuntimeError):
    """PostgreSQL has no row-level security for this service yet; nothing personal is shown."""


class Roles(NamedTuple):
    """The roles that requests read as, and what made the rules they are under."""

    fingerprint: str
    analysis: str
    identity: str


def roles_noted(conn: Connection) -> Roles | None:
    """What row security was last set up with here, None when it never was (PostgreSQL only)."""
    note = conn.exec_driver_sql(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s",
        (ROSTER,),
    ).scalar_one_or_none()
    begin, *rest = str(note or "").split(asking.SEPARATOR)
    return Roles(*rest) if begin == ROLES_NOTE and len(rest) == len(Roles._fields) else None


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored as naive UTC so that both databases give back the same value."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        """Refuse naive values: they have lost what they meant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime reached the database")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(
        self,
        value: datetime | None,
        dialect: Dialect,  # noqa: ARG002
    ) -> datetime | None:
        """Give the zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


def table_of(model: type[SQLModel]) -> Table:
    """The Core table behind a SQLModel class; statements are written against it."""
    return cast(Table, cast(Any, model).__table__)


def insert_new(conn: Connection, table: Table) -> Insert:
    """An INSERT that leaves rows alone which are there already (by any unique key)."""
    if conn.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def upsert(conn: Connection, table: Table, keys: list[str]) -> Insert:
    """An INSERT that replaces the other columns of a row whose `keys` are there already."""
    maker = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    stmt = maker(table)
    rest = {c.name: stmt.excluded[c.name] for c in table.columns if c.name not in keys}
    return stmt.on_conflict_do_update(index_elements=keys, set_=rest)


class Database:
    """One database, many short connections. Safe to share between threads."""

    def __init__(self, url: str, *, row_security: bool = True) -> None:
        self.url = make_url(url)
        self.row_security = row_security and self.url.get_backend_name() != "sqlite"
        self._roles: Roles | None = None
        self._turns = threading.Lock()
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            for file in (self.path, self.identity_path):
                # SQLite would let everybody on the machine read it; -wal and -shm follow its mode.
                with suppress(FileExistsError):
                    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            self.engine = _sqlite_engine(url, self.identity_path)
        else:
            self.engine = create_engine(
                self.url.set(drivername="postgresql+psycopg"),
                pool_size=10,
                max_overflow=20,
                pool_pre_ping=True,
                hide_parameters=True,
                # A transaction whose server is gone must fail, not hang a child's tablet.
                connect_args={"connect_timeout": 5},
            )

    @property
    def path(self) -> Path:
        """The main SQLite file."""
        return Path(str(self.url.database))

    @property
    def identity_path(self) -> Path:
        """The SQLite file that holds names, beside the main one."""
        return self.path.with_suffix(".roster" + self.path.suffix)

    def as_service(self) -> Self:
        """The same database, read with the service's own rights, whoever's request is answered.

        For what has to be known before a scope is, or belongs to nobody's. House rule: only in
        few, named places.
        """
        twin = copy(self)
        twin.row_security = False
        return twin

    @contextmanager
    def reading(self, *, identity: bool = False) -> Iterator[Connection]:
        """A consistent read; what others commit meanwhile is not seen.

        While a request is answered, PostgreSQL shows its sender's scope only: without `identity`
        everything but names, with it names and places and nothing else. Raises RowSecurityMissing
        when the database is not set up for that.
        """
        scope = asking.asker() if self.row_security else None
        with storage_errors(), self.engine.connect() as conn, conn.begin():
            if scope is not None:
                self._narrow(conn, scope, identity=identity)
            yield conn

    def _narrow(self, conn: Connection, scope: asking.Scope, *, identity: bool) -> None:
        """Give up the service's own rights until this transaction ends, in one statement."""
        if self._roles is None:
            self._roles = roles_noted(conn)
        if self._roles is None:
            raise RowSecurityMissing("run `kizashi migrate`")
        role = self._roles.identity if identity else self._roles.analysis
        wanted = {"role": role, **{f"kizashi.{k}": v for k, v in scope.settings().items()}}
        calls = ", ".join(["set_config(%s, %s, true)"] * len(wanted))
        values = tuple(part for pair in wanted.items() for part in pair)
        conn.exec_driver_sql(f"SELECT {calls}", values)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """On SQLite, wait for this process's other writers here and not in SQLite.

        SQLite has one writer, and whoever finds it busy sleeps up to 100 ms at a time before
        looking again: under load that is most of what a child waits for. Here the next one goes on
        at once.
        """
        if not self.is_sqlite:
            yield
            return
        if not self._turns.acquire(timeout=BUSY_SECONDS):
            raise StorageUnavailable("busy")
        try:
            yield
        finally:
            self._turns.release()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: all of it is committed at the end, or nothing.

        Raises StorageUnavailable when the database is gone, locked too long or full.
        """
        with storage_errors(), self._turn(), self.engine.connect() as plain:
            conn = plain.execution_options(kizashi_write=True)
            with conn.begin():
                yield conn

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn "the database cannot take this now" into StorageUnavailable; leave bugs as they are."""
    try:
        yield
    except DBAPIError as error:
        # By family, not by name: psycopg has a class of its own for each SQLSTATE (a deadlock, a
        # server that shuts down, a standby that takes no writes), sqlite3 one for a damaged file.
        name = type(error.orig).__name__
        if error.connection_invalidated or isinstance(error, _TROUBLE) or name in _TROUBLE_NAMES:
            raise StorageUnavailable(name) from error
        raise
    except SQLAlchemyError as error:
        if type(error).__name__ == "TimeoutError":  # the pool is exhausted
            raise StorageUnavailable("pool") from error
        raise


def _sqlite_engine(url: str, identity: Path) -> Engine:
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        pool_use_lifo=True,  # the connection whose cache is warm
        hide_parameters=True,  # an error message must not quote a row
    )

    @event.listens_for(engine, "connect")
    def _prepare(dbapi_connection: Any, _record: Any) -> None:
        dbapi_connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = dbapi_connection.cursor()
        cursor.execute("ATTACH DATABASE ? AS roster", (str(identity),))
        for schema in ("main", ROSTER):
            cursor.execute(f"PRAGMA {schema}.journal_mode=WAL")
            cursor.execute(f"PRAGMA {schema}.synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        # A school year's index pages stay in memory, and the log is folded back into the file every
        # 32 MB, not every 4: both are felt at 8:15, when every answer touches another child's page.
        cursor.execute("PRAGMA cache_size=-32768")
        cursor.execute("PRAGMA wal_autocheckpoint=8000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(conn: Connection) -> None:
        writes = conn.get_execution_options().get("kizashi_write", False)
        conn.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
