"""Failed sign-ins slow down further tries for that account and that address.

A school, or behind a proxy a town, shares an address, and who cannot sign in cannot ask for help:
so an address has a budget of failures that fills up again by itself, and once it is spent nobody
waits longer than the few seconds until there is room for one more. An account waits at most a
minute: guessing is slow, and nobody can lock a class out for a lesson.

Guesses sent side by side gain nothing: `slow_down` only spares the work of judging, and the outcome
of a try, right or wrong, is told by `passed` or `count_failure`, which settle the tries of one
account one after the other and refuse whichever comes when it has to wait. Beyond its few free
tries an account therefore says nothing at all about a guess, not even that it was wrong.
"""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, text

from warning_service.access.tables import attempts
from warning_service.clock import Clock
from warning_service.database import Database, upsert

ACCOUNT_FREE_TRIES = 5
ADDRESS_FREE_TRIES = 300
ADDRESS_SECONDS_A_TRY = 5
"""One failure of an address is forgiven every so many seconds, whatever else happens there."""


class TooManyTries(RuntimeError):
    """Wait `seconds` before the next try."""

    def __init__(self, seconds: int) -> None:
        super().__init__("too many failed sign-ins")
        self.seconds = seconds


def _in_turn(conn: Connection, subject: str) -> None:
    """Settle this subject's tries one at a time, until the end of the transaction.

    On SQLite a write transaction is alone anyway; a row that may not be there yet cannot be locked,
    so PostgreSQL locks a number made of the subject.
    """
    if conn.dialect.name != "sqlite":
        key = int.from_bytes(hashlib.sha256(f"try:{subject}".encode()).digest()[:8], signed=True)
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _after_forgiving(failures: int, last: datetime, now: datetime) -> tuple[int, datetime]:
    """An address's failures with one more, and since when the next is being forgiven."""
    forgiven = int((now - last).total_seconds() // ADDRESS_SECONDS_A_TRY)
    if forgiven >= failures:
        return 1, now
    # Tries that were under way together may overshoot the budget; nobody waits for that.
    left = min(failures - forgiven + 1, ADDRESS_FREE_TRIES)
    return left, last + timedelta(seconds=forgiven * ADDRESS_SECONDS_A_TRY)


class Tries:
    """Counts failures by subject (an account, or an address)."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def slow_down(self, account: str, address: str) -> None:
        """Raises TooManyTries when one of the two has to wait: nothing is worth judging then."""
        with self._database.reading() as conn:
            self._refuse(conn, account, address)

    def _refuse(self, conn: Connection, account: str, address: str) -> None:
        now = self._clock.now()
        rows = conn.execute(
            select(attempts).where(attempts.c.subject.in_([account, address]))
        ).all()
        for row in rows:
            if row.subject == account:
                over = row.failures - ACCOUNT_FREE_TRIES
                pause = min(2 ** min(over, 6), 60) if over >= 0 else 0
            else:
                over = row.failures - ADDRESS_FREE_TRIES
                pause = (over + 1) * ADDRESS_SECONDS_A_TRY if over >= 0 else 0
            left = (row.last_at + timedelta(seconds=pause) - now).total_seconds()
            if pause and left > 0:
                raise TooManyTries(int(left) + 1)

    def count_failure(self, account: str, address: str) -> None:
        """A wrong try: remember one more failure of both.

        Raises TooManyTries when by now one of them has to wait; the try then counts as not made.
        """
        now = self._clock.now()
        with self._database.writing() as conn:
            _in_turn(conn, account)  # always before the address: nobody waits in a circle
            _in_turn(conn, address)
            self._refuse(conn, account, address)
            for subject in (account, address):
                row = conn.execute(
                    select(attempts).where(attempts.c.subject == subject)
                ).one_or_none()
                failures, last = 1, now
                if row is not None and row.last_at >= now - timedelta(hours=1):
                    failures = row.failures + 1
                    if subject == address:
                        failures, last = _after_forgiving(row.failures, row.last_at, now)
                conn.execute(
                    upsert(conn, attempts, ["subject"]).values(
                        subject=subject, failures=failures, last_at=last
                    )
                )

    def passed(self, account: str, address: str, within: Connection | None = None) -> None:
        """A right try: the account starts afresh. Call before anything is given for it.

        `within`: a write transaction to do it in, such as the one that starts the session. Raises
        TooManyTries when by now one of the two has to wait; nothing may be given then. (The address
        is looked at without waiting for others: tries under way together may overshoot its budget.)
        """
        with self._database.writing() if within is None else nullcontext(within) as conn:
            _in_turn(conn, account)
            self._refuse(conn, account, address)
            conn.execute(delete(attempts).where(attempts.c.subject == account))

    def forget(self, subject: str) -> None:
        """Start a subject afresh: what it was tried for has been renewed."""
        with self._database.writing() as conn:
            conn.execute(delete(attempts).where(attempts.c.subject == subject))
