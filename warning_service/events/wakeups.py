"""Hints that the log has grown.

A hint only saves waiting: every waiter also looks by itself after `patience` seconds, so a lost
hint costs time and nothing else. Within a process a hint is a condition variable. Between
processes it is LISTEN/NOTIFY on PostgreSQL (a listener thread, started by `listen`); on SQLite
other processes find out by looking. A note is a hint with a few words in it for all processes
(`send`, `on_note`), such as which sessions have just ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import structlog
from sqlalchemy import Connection, text

from warning_service.database import Database

CHANNEL = "kizashi_log"
log = structlog.get_logger()


class Wakeups:
    """Shared by all threads of a process."""

    def __init__(self, database: Database | None = None) -> None:
        self._condition = threading.Condition()
        self._count = 0
        self._database = database
        self._stopping = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._about: dict[str, list[Callable[[], None]]] = {}
        self._readers: list[Callable[[str], None]] = []

    def notify(self) -> None:
        """Tell this process, and on PostgreSQL the others, that the log has grown."""
        self._wake()
        if self._database is not None and not self._database.is_sqlite:
            try:
                with self._database.engine.connect() as conn:
                    conn.execution_options(isolation_level="AUTOCOMMIT")
                    conn.exec_driver_sql(f"NOTIFY {CHANNEL}")
            except Exception as error:  # a hint must never undo what is already committed
                log.warning("wakeup_not_sent", error=type(error).__name__)

    def _wake(self) -> None:
        with self._condition:
            self._count += 1
            self._condition.notify_all()
        for call in list(self._callbacks):
            call()

    def on_wake(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have `call` run at each hint (any thread; must be quick). Returns the undo."""
        self._callbacks.append(call)
        return lambda: self._callbacks.remove(call)

    def on_hint(self, about: str, call: Callable[[], None]) -> Callable[[], None]:
        """Have `call` run when this process hints that there is work `about` something.

        Returns the undo. Other processes' hints do not come here: look now and then.
        """
        calls = self._about.setdefault(about, [])
        calls.append(call)
        return lambda: calls.remove(call)

    def send(self, conn: Connection, note: str) -> None:
        """Have other processes get `note` (up to 7,900 bytes) once `conn` has committed.

        On PostgreSQL only, and lost for whoever does not listen just then.
        """
        if conn.dialect.name != "sqlite":
            conn.execute(
                text("SELECT pg_notify(:channel, :note)"), {"channel": CHANNEL, "note": note}
            )

    def on_note(self, read: Callable[[str], None]) -> None:
        """Have `read` run with every note that comes (on the listener's thread; be quick)."""
        self._readers.append(read)

    def hint(self, about: str) -> None:
        """Tell those of this process who asked to hear about it."""
        for call in list(self._about.get(about, ())):
            call()

    def wait(self, seen: int, patience: float) -> int:
        """Wait until something came after hint number `seen`, at most `patience` seconds.

        Returns the number to pass next time.
        """
        with self._condition:
            if self._count == seen:
                self._condition.wait(patience)
            return self._count

    def listen(self) -> None:
        """On PostgreSQL, start the thread that hears other processes' hints."""
        if self._database is not None and not self._database.is_sqlite:
            threading.Thread(target=self._listen, name="wakeups", daemon=True).start()

    def stop(self) -> None:
        """Let the listener end and wake all waiters."""
        self._stopping.set()
        self._wake()

    def _listen(self) -> None:
        assert self._database is not None
        url = self._database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while not self._stopping.is_set():
            try:
                with psycopg.connect(url, autocommit=True) as conn:
                    conn.execute(f"LISTEN {CHANNEL}")
                    while not self._stopping.is_set():
                        for heard in conn.notifies(timeout=1.0, stop_after=1):
                            if not heard.payload:
                                self._wake()
                            for read in self._readers if heard.payload else ():
                                read(heard.payload)
            except psycopg.Error as error:
                log.warning("wakeups_listener_lost", error=type(error).__name__)
                self._stopping.wait(1.0)
