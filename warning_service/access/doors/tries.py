"""Failed sign-ins slow down further tries for that account and that address.

A school, or behind a proxy a town, shares an address, and who cannot sign in cannot ask for help:
so an address has a budget of failures that fills up again by itself, and once it is spent nobody
waits longer than the few seconds until there is room for one more. Each door has an address budget
of its own (staff's passwords; second factors; each class), so that one browser at one door holds up
no other. At a class and at the second factor a spent address slows those only who have wrong tries
of their own: whoever has none is judged at once, and can therefore not be shut out from beside.

An account waits at most a minute. A child's number waits longer when it is guessed at for hours,
because three pictures are few (1,728 rows; four digits are 10,000): after 40 wrong tries five
minutes, after 60 a quarter of an hour, and of its wrong tries one an hour is forgotten, not one in
ten minutes. A number has two such budgets, counted apart: one for tablets that a class card has
set, one for everywhere else, where an hour is waited from 60 on. So a stranger who guesses from
elsewhere never keeps a child from its own class's tablet. Guesses possible at one number, however
many browsers guess: from elsewhere 81 on the first day and 24 on each after it; on the class's
tablets 147 and 96. A right try starts the budget it came by afresh, so whoever guesses there while
the child signs in daily has the first day's number every day. A class that is set by its code has
the budget of everywhere only: there a stranger who goes on guessing does hold a number up.

Guesses sent side by side gain nothing: `slow_down` only spares the work of judging, and the outcome
of a try, right or wrong, is told by `passed` or `count_failure`, which settle the tries of one
account one after the other and refuse whichever comes when it has to wait. Beyond its few free
tries an account therefore says nothing at all about a guess, not even that it was wrong.

Kept are keyed hashes of what was tried: people type passwords where the login belongs.
"""

from __future__ import annotations

import hashlib
import hmac
from contextlib import nullcontext
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Connection, delete, select, text

from warning_service.access.tables import attempts
from warning_service.clock import Clock
from warning_service.database import Database, upsert
from warning_service.settings import Settings

ACCOUNT_FREE_TRIES = 5
ACCOUNT_SECONDS_A_TRY = 600
"""One failure of an account is forgiven after so many seconds without another."""

SEAT_SECONDS_A_TRY = 3600
"""The same for a child's number."""

CARD_PAUSES = ((60, 900), (40, 300))
ELSEWHERE_PAUSES = ((60, 3600), (40, 300))
"""From so many wrong tries on, a child's number waits so many seconds; the most tries first."""

ADDRESS_FREE_TRIES = 300
ADDRESS_SECONDS_A_TRY = 5
"""One failure of an address is forgiven every so many seconds, whatever else happens there."""


class TooManyTries(RuntimeError):
    """Wait `seconds` before the next try."""

    def __init__(self, seconds: int) -> None:
        super().__init__("too many failed sign-ins")
        self.seconds = seconds


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """Whose failures count, and the budget of the address.

    `pauses`: longer ones after many failures, for secrets of which there are few. `apart`: a spent
    address slows this account only when it has failures of its own.
    """

    account: str
    address: str
    pauses: tuple[tuple[int, int], ...] = ()
    seconds_a_try: int = ACCOUNT_SECONDS_A_TRY
    apart: bool = False


def staff_try(login: str, address: str) -> Try:
    """At the password. A spent address holds all logins up, else it would tell which there are."""
    return Try(account=f"staff:{login}", address=f"staff@{address}")


def factor_try(staff: str, address: str) -> Try:
    """At the second factor, or at being asked once more."""
    return Try(account=f"factor:{staff}", address=f"factor@{address}", apart=True)


def seat_try(class_id: str, seat: int, address: str, *, by_card: bool) -> Try:
    """At a number of a class. `by_card`: on a tablet that a card in force has set."""
    return Try(
        account=_seat(class_id, seat, by_card=by_card),
        address=f"seat:{class_id}:{by_card}@{address}",
        pauses=CARD_PAUSES if by_card else ELSEWHERE_PAUSES,
        seconds_a_try=SEAT_SECONDS_A_TRY,
        apart=True,
    )


def _seat(class_id: str, seat: int, *, by_card: bool) -> str:
    return f"seat:{class_id}:{seat}" + (":card" if by_card else "")


class Tries:
    """Counts failures by account and by address."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        """Raises ValueError when the settings hold no secret key."""
        if not settings.secret_keys:
            raise ValueError("no secret_keys: failed sign-ins could not be kept")
        self._database = database
        self._clock = clock
        # The newest key only: after a change of keys a few counts begin anew.
        master = settings.secret_keys[0].get_secret_value().encode()
        self._key = hmac.digest(master, b"kizashi sign-in attempts", "sha256")

    def slow_down(self, one: Try) -> None:
        """Raises TooManyTries when account or address has to wait: nothing is worth judging."""
        with self._database.reading() as conn:
            self._refuse(conn, one)

    def count_failure(self, one: Try) -> None:
        """A wrong try: remember one more failure of both.

        Raises TooManyTries when by now one of them has to wait; the try then counts as not made.
        """
        now = self._clock.now()
        with self._database.writing() as conn:
            self._in_turn(conn, one.account)  # always before the address: nobody waits in a circle
            self._in_turn(conn, one.address)
            self._refuse(conn, one)
            failures, _ = self._failures(conn, one, now)
            self._put(conn, one.account, failures + 1, now)
            self._put(conn, one.address, *self._one_more(conn, one.address, now))

    def passed(self, one: Try, within: Connection | None = None) -> None:
        """A right try: the account starts afresh. Call before anything is given for it.

        `within`: a write transaction to do it in, such as the one that starts the session. Raises
        TooManyTries when by now one of the two has to wait; nothing may be given then. (The address
        is looked at without waiting for others: tries under way together may overshoot its budget.)
        """
        with self._database.writing() if within is None else nullcontext(within) as conn:
            self._in_turn(conn, one.account)
            self._refuse(conn, one)
            self._forget(conn, one.account)

    def forget_seat(self, conn: Connection, class_id: str, seat: int) -> None:
        """Start a number afresh, everywhere, in the transaction that renews its secret."""
        for by_card in (False, True):
            self._forget(conn, _seat(class_id, seat, by_card=by_card))

    # -- counts ------------------------------------------------------------------------------------

    def _refuse(self, conn: Connection, one: Try) -> None:
        now = self._clock.now()
        own, last = self._failures(conn, one, now)
        self._wait(_account_pause(own, one.pauses), last, now)
        if one.apart and not own:
            return
        row = self._row(conn, one.address)
        if row is not None and (over := row[0] - ADDRESS_FREE_TRIES) >= 0:
            self._wait((over + 1) * ADDRESS_SECONDS_A_TRY, row[1], now)

    @staticmethod
    def _wait(pause: int, last: datetime, now: datetime) -> None:
        left = (last + timedelta(seconds=pause) - now).total_seconds()
        if pause and left > 0:
            raise TooManyTries(int(left) + 1)

    def _failures(self, conn: Connection, one: Try, now: datetime) -> tuple[int, datetime]:
        """An account's failures that are not forgiven yet, and when the last was."""
        row = self._row(conn, one.account)
        if row is None:
            return 0, now
        forgiven = int((now - row[1]).total_seconds() // one.seconds_a_try)
        return max(row[0] - forgiven, 0), row[1]

    def _one_more(self, conn: Connection, address: str, now: datetime) -> tuple[int, datetime]:
        """An address's failures with one more, and since when the next is being forgiven."""
        row = self._row(conn, address)
        if row is None:
            return 1, now
        failures, last = row
        forgiven = int((now - last).total_seconds() // ADDRESS_SECONDS_A_TRY)
        if forgiven >= failures:
            return 1, now
        # Tries that were under way together, or judged in spite of it, may overshoot the budget;
        # nobody waits for that.
        left = min(failures - forgiven + 1, ADDRESS_FREE_TRIES)
        return left, last + timedelta(seconds=forgiven * ADDRESS_SECONDS_A_TRY)

    # -- rows --------------------------------------------------------------------------------------

    def _mark(self, subject: str) -> str:
        return hmac.new(self._key, subject.encode(), "sha256").hexdigest()

    def _in_turn(self, conn: Connection, subject: str) -> None:
        """Settle this subject's tries one at a time, until the end of the transaction.

        On SQLite a write transaction is alone anyway; a row that may not be there yet cannot be
        locked, so PostgreSQL locks a number made of the subject.
        """
        if conn.dialect.name != "sqlite":
            digest = hashlib.sha256(f"try:{self._mark(subject)}".encode()).digest()
            key = int.from_bytes(digest[:8], signed=True)
            conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})

    def _row(self, conn: Connection, subject: str) -> tuple[int, datetime] | None:
        a = attempts.c
        row = conn.execute(
            select(a.failures, a.last_at).where(a.subject == self._mark(subject))
        ).one_or_none()
        return None if row is None else (int(row.failures), row.last_at)

    def _put(self, conn: Connection, subject: str, failures: int, last: datetime) -> None:
        conn.execute(
            upsert(conn, attempts, ["subject"]).values(
                subject=self._mark(subject), failures=failures, last_at=last
            )
        )

    def _forget(self, conn: Connection, subject: str) -> None:
        conn.execute(delete(attempts).where(attempts.c.subject == self._mark(subject)))


def _account_pause(failures: int, pauses: tuple[tuple[int, int], ...]) -> int:
    if failures < ACCOUNT_FREE_TRIES:
        return 0
    for many, pause in pauses:
        if failures >= many:
            return pause
    return min(1 << min(failures - ACCOUNT_FREE_TRIES, 6), 60)
