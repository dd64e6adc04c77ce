"""Sign-in and sessions, for staff and children.

A session is a row; the cookie holds a random token whose hash is the row's key, so that the server
can revoke it at once. Looking a session up is on the check-in path, so found sessions are kept in
memory for a few seconds (a child's for longer: it reaches nothing but the child's own answers, and
a city's tablets all ask in the same ten minutes); revoking through this object forgets them at
once, in other processes it takes those seconds.

A child's secret is three pictures: too few to be protected by a slow hash, so it is kept as a keyed
hash under the child's own data key, and guessing is held up by counting.

Failed sign-ins slow down further tries for that account and that address. A school, or behind a
proxy a town, shares an address, and who cannot sign in cannot ask for help: so an address has a
budget of failures that fills up again by itself, and once it is spent nobody waits longer than the
few seconds until there is room for one more.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from pwdlib import PasswordHash
from sqlalchemy import Connection, delete, insert, select, update

from warning_service.access.roles import ABILITIES, WHOLE_SCHOOL, Ability, Role
from warning_service.access.sealing import Sealer
from warning_service.access.tables import attempts, sessions
from warning_service.clock import Clock, day_of, monotonic
from warning_service.database import Database, upsert
from warning_service.roster import tables as roster
from warning_service.settings import Settings

REMEMBER_SECONDS = {"staff": 3.0, "child": 30.0}
SWEEP_SECONDS = 60.0
MOST_REMEMBERED = 200_000
ACCOUNT_FREE_TRIES = 5
ADDRESS_FREE_TRIES = 300
ADDRESS_SECONDS_A_TRY = 5
"""One failure of an address is forgiven every so many seconds, whatever else happens there."""
_hasher = PasswordHash.recommended()
_NOBODY = _hasher.hash("nobody has this password")


class TooManyTries(RuntimeError):
    """Wait `seconds` before the next try."""

    def __init__(self, seconds: int) -> None:
        super().__init__("too many failed sign-ins")
        self.seconds = seconds


class Duty(msgspec.Struct, frozen=True):
    """One duty in force: a role at a place (class, school or board id)."""

    role: Role
    place: str


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking. For a child, `key` is the student key and `class_id` where it signed in."""

    kind: str
    key: str
    board: str
    csrf: str
    duties: tuple[Duty, ...]
    class_id: str = ""
    token_hash: str = ""

    @property
    def abilities(self) -> frozenset[Ability]:
        """All that any of the duties allows."""
        return frozenset().union(*(ABILITIES[duty.role] for duty in self.duties))

    def may(self, ability: Ability) -> bool:
        """Does one of the duties allow it?"""
        return any(ability in ABILITIES[duty.role] for duty in self.duties)

    @property
    def schools(self) -> frozenset[str]:
        """Schools seen as a whole."""
        return frozenset(d.place for d in self.duties if d.role in WHOLE_SCHOOL)

    @property
    def classes(self) -> frozenset[str]:
        """Classes of one's own."""
        return frozenset(d.place for d in self.duties if d.role is Role.HOMEROOM)

    def has(self, role: Role) -> bool:
        """Does one of the duties have this role?"""
        return any(duty.role is role for duty in self.duties)


class ClassDoor(msgspec.Struct, frozen=True, kw_only=True):
    """What the sign-in page of a class shows: its name, its grade (1-9), the numbers in use."""

    code: str
    name: str
    grade: int
    seats: tuple[int, ...]


def hash_secret(secret: str) -> str:
    """Argon2 hash of a member of staff's password."""
    return _hasher.hash(secret)


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _principal(row: Any, duties: tuple[Duty, ...]) -> Principal:
    return Principal(
        kind=row.kind,
        key=row.key,
        board=row.board,
        csrf=row.csrf,
        duties=duties,
        class_id=row.class_id,
        token_hash=row.token_hash,
    )


def _after_forgiving(failures: int, last: datetime, now: datetime) -> tuple[int, datetime]:
    """An address's failures with one more, and since when the next is being forgiven."""
    forgiven = int((now - last).total_seconds() // ADDRESS_SECONDS_A_TRY)
    if forgiven >= failures:
        return 1, now
    # Tries that were under way together may overshoot the budget; nobody waits for that.
    left = min(failures - forgiven + 1, ADDRESS_FREE_TRIES)
    return left, last + timedelta(seconds=forgiven * ADDRESS_SECONDS_A_TRY)


class Sessions:
    """Sign people in, know them again, sign them out."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, sealer: Sealer
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._settings = settings
        self._lock = threading.Lock()
        self._found: dict[str, tuple[float, Principal]] = {}
        self._revoked: set[str] = set()
        self._swept = -SWEEP_SECONDS

    # -- signing in ----------------------------------------------------------------------------

    def sign_in_staff(self, login: str, password: str, address: str) -> str | None:
        """A session token, or None when login and password do not fit.

        Raises TooManyTries.
        """
        self._slow_down(f"staff:{login}", f"address:{address}")
        s = roster.staff
        with self._database.reading() as conn:
            row = conn.execute(select(s).where(s.c.login == login, s.c.active)).one_or_none()
        # An unknown login costs as much time as a wrong password.
        fits = _hasher.verify(password, row.password_hash if row else _NOBODY)
        if row is None or not fits:
            self._count_failure(f"staff:{login}", f"address:{address}")
            return None
        self._forget_failures(f"staff:{login}")
        return self._start("staff", row.staff, row.board, "", self._settings.staff_session_longest)

    def class_door(self, class_code: str) -> ClassDoor | None:
        """The class a shared tablet is set to, with its numbers and no names; None if unknown."""
        c, p = roster.classes, roster.seats
        with self._database.reading() as conn:
            row = conn.execute(select(c).where(c.c.code == class_code)).one_or_none()
            if row is None:
                return None
            taken = conn.execute(select(p.c.seat).where(p.c.class_id == row.id).order_by(p.c.seat))
            return ClassDoor(
                code=row.code, name=row.name, grade=row.grade, seats=tuple(taken.scalars())
            )

    def sign_in_child(self, class_code: str, seat: int, secret: str, address: str) -> str | None:
        """A session token for the child with that number in that class, or None.

        Raises TooManyTries.
        """
        subject = f"seat:{class_code}:{seat}"
        self._slow_down(subject, f"address:{address}")
        c, p, s = roster.classes, roster.seats, roster.students
        with self._database.reading() as conn:
            row = conn.execute(
                select(p.c.student, p.c.secret_hash, p.c.class_id, s.c.board)
                .join(c, c.c.id == p.c.class_id)
                .join(s, s.c.student == p.c.student)
                .where(c.c.code == class_code, p.c.seat == seat)
            ).one_or_none()
        if row is None or not self._sealer.fits(row.student, secret, row.secret_hash):
            self._count_failure(subject, f"address:{address}")
            return None
        self._forget_failures(subject)
        return self._start(
            "child", row.student, row.board, row.class_id, self._settings.child_session_longest
        )

    def _start(self, kind: str, key: str, board: str, class_id: str, longest: int) -> str:
        token = secrets.token_urlsafe(32)
        now = self._clock.now()
        with self._database.writing() as conn:
            if monotonic() - self._swept >= SWEEP_SECONDS:
                self._swept = monotonic()
                conn.execute(delete(sessions).where(sessions.c.ends_at < now - timedelta(days=1)))
            conn.execute(
                insert(sessions).values(
                    token_hash=_token_hash(token),
                    kind=kind,
                    key=key,
                    board=board,
                    class_id=class_id,
                    csrf=secrets.token_urlsafe(24),
                    started_at=now,
                    seen_at=now,
                    ends_at=now + timedelta(seconds=longest),
                    revoked=False,
                )
            )
        return token

    # -- knowing again ---------------------------------------------------------------------------

    def find(self, token: str, *, touch: bool = True) -> Principal | None:
        """Whose token this is, if the session is alive. Staff sessions also end when idle.

        `touch=False` does not count as use: for what a page asks by itself, without a person.
        """
        if not token:
            return None
        if (known := self.find_cached(token)) is not None:
            return known
        key = _token_hash(token)
        principal = self._load(key, touch=touch)
        self._remember(key, principal)
        return principal

    def find_children(self, tokens: Sequence[str]) -> dict[str, Principal]:
        """Those of `tokens` that are living sessions of children, in one query, by token."""
        keys = {_token_hash(token): token for token in tokens}
        now = self._clock.now()
        t = sessions.c
        with self._database.reading() as conn:
            rows = conn.execute(
                select(sessions).where(
                    t.token_hash.in_(keys), t.kind == "child", ~t.revoked, t.ends_at > now
                )
            ).all()
        found = {}
        for row in rows:
            principal = _principal(row, (Duty(Role.CHILD, row.key),))
            self._remember(row.token_hash, principal)
            found[keys[row.token_hash]] = principal
        return found

    def _remember(self, key: str, principal: Principal | None) -> None:
        with self._lock:
            if principal is None:
                self._found.pop(key, None)
            elif key not in self._revoked:  # it may have been, while we were reading
                if len(self._found) > MOST_REMEMBERED:
                    self._found.clear()
                self._found[key] = (monotonic(), principal)

    def find_cached(self, token: str) -> Principal | None:
        """Like `find`, from memory alone; None also means "ask `find`". Never blocks."""
        found = self._found.get(_token_hash(token))
        if found is None or monotonic() - found[0] >= REMEMBER_SECONDS[found[1].kind]:
            return None
        return found[1]

    def _load(self, key: str, *, touch: bool) -> Principal | None:
        now = self._clock.now()
        with self._database.reading() as conn:
            row = conn.execute(select(sessions).where(sessions.c.token_hash == key)).one_or_none()
            if row is None or row.revoked or row.ends_at <= now:
                return None
            if row.kind == "child":
                duties: tuple[Duty, ...] = (Duty(Role.CHILD, row.key),)
            else:
                idle = timedelta(seconds=self._settings.staff_session_idle)
                if row.seen_at + idle <= now:
                    return None
                duties = self._duties(conn, row.key)
        # Only staff sessions end when idle; a write for each child would stand in check-ins' way.
        if touch and row.kind == "staff" and now - row.seen_at > timedelta(seconds=60):
            with self._database.writing() as conn:
                conn.execute(
                    update(sessions).where(sessions.c.token_hash == key).values(seen_at=now)
                )
        return _principal(row, duties)

    def _duties(self, conn: Connection, staff: str) -> tuple[Duty, ...]:
        d, s = roster.duties, roster.staff
        today = day_of(self._clock.now())
        active = conn.execute(select(s.c.active).where(s.c.staff == staff)).scalar_one_or_none()
        if not active:
            return ()
        rows = conn.execute(
            select(d).where(d.c.staff == staff, d.c.from_day <= today).order_by(d.c.role, d.c.place)
        )
        return tuple(
            Duty(Role(row.role), row.place)
            for row in rows
            if row.until_day is None or row.until_day > today
        )

    # -- signing out -----------------------------------------------------------------------------

    def sign_out(self, token: str) -> None:
        """End one session at once."""
        self._revoke(_token_hash(token))

    def _revoke(self, key: str) -> None:
        with self._database.writing() as conn:
            conn.execute(update(sessions).where(sessions.c.token_hash == key).values(revoked=True))
        with self._lock:
            self._found.pop(key, None)
            if len(self._revoked) > MOST_REMEMBERED:
                self._revoked.clear()
            self._revoked.add(key)

    # -- failed tries ----------------------------------------------------------------------------

    def _slow_down(self, account: str, address: str) -> None:
        now = self._clock.now()
        with self._database.reading() as conn:
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

    def _count_failure(self, account: str, address: str) -> None:
        now = self._clock.now()
        with self._database.writing() as conn:
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

    def _forget_failures(self, subject: str) -> None:
        with self._database.reading() as conn:
            if not conn.execute(
                select(attempts.c.failures).where(attempts.c.subject == subject)
            ).first():
                return
        with self._database.writing() as conn:
            conn.execute(delete(attempts).where(attempts.c.subject == subject))
