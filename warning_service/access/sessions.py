"""Sessions: started at a door, known again by a cookie, ended at any time.

A session is a row; the cookie holds a random token whose hash is the row's key, so that the server
can revoke it at once. Looking a session up is on the check-in path, so found sessions are kept in
memory for a few seconds (a child's for longer: it reaches nothing but the child's own answers, and
a city's tablets all ask in the same ten minutes); revoking through this object forgets them at
once, in other processes it takes those seconds.

The doors themselves (who may have a session) are in staff_sign_in.py and child_sign_in.py.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update

from warning_service.access.principals import Duty, Principal
from warning_service.access.roles import Role
from warning_service.access.staff_lookup import duties_of
from warning_service.access.tables import sessions
from warning_service.clock import Clock, day_of, monotonic
from warning_service.database import Database
from warning_service.settings import Settings

REMEMBER_SECONDS = {"staff": 3.0, "child": 30.0}
SWEEP_SECONDS = 60.0
MOST_REMEMBERED = 200_000


def token_hash(token: str) -> str:
    """What the table knows a token by."""
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
        factors=frozenset(filter(None, row.factors.split(","))),
        confirmed_at=row.confirmed_at,
    )


class Sessions:
    """Start sessions, know their holders again, end them."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._lock = threading.Lock()
        self._found: dict[str, tuple[float, Principal]] = {}
        self._revoked: set[str] = set()
        self._swept = -SWEEP_SECONDS

    # -- starting --------------------------------------------------------------------------------

    def start_staff(self, key: str, board: str, *, factors: Sequence[str] = ()) -> str:
        """A token for a member of staff who has shown a password, or come from a provider.

        `factors`: second factors already shown (the session then counts as confirmed now).
        """
        longest = self._settings.staff_session_longest
        return self._start("staff", key, board, longest=longest, factors=factors)

    def start_child(self, student: str, board: str, class_id: str) -> str:
        """A token for a child at the door of a class (`class_id` may be '' for an own device)."""
        longest = self._settings.child_session_longest
        return self._start("child", student, board, class_id=class_id, longest=longest)

    def _start(
        self,
        kind: str,
        key: str,
        board: str,
        *,
        longest: int,
        class_id: str = "",
        factors: Sequence[str] = (),
    ) -> str:
        token = secrets.token_urlsafe(32)
        now = self._clock.now()
        with self._database.writing() as conn:
            if monotonic() - self._swept >= SWEEP_SECONDS:
                self._swept = monotonic()
                conn.execute(delete(sessions).where(sessions.c.ends_at < now - timedelta(days=1)))
            conn.execute(
                insert(sessions).values(
                    token_hash=token_hash(token),
                    kind=kind,
                    key=key,
                    board=board,
                    class_id=class_id,
                    csrf=secrets.token_urlsafe(24),
                    started_at=now,
                    seen_at=now,
                    ends_at=now + timedelta(seconds=longest),
                    revoked=False,
                    factors=",".join(factors),
                    confirmed_at=now if factors else None,
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
        key = token_hash(token)
        principal = self._load(key, touch=touch)
        self._remember(key, principal)
        return principal

    def find_children(self, tokens: Sequence[str]) -> dict[str, Principal]:
        """Those of `tokens` that are living sessions of children, in one query, by token."""
        keys = {token_hash(token): token for token in tokens}
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
        found = self._found.get(token_hash(token))
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
                duties = duties_of(conn, row.key, day_of(now))
        # Only staff sessions end when idle; a write for each child would stand in check-ins' way.
        if touch and row.kind == "staff" and now - row.seen_at > timedelta(seconds=60):
            with self._database.writing() as conn:
                conn.execute(
                    update(sessions).where(sessions.c.token_hash == key).values(seen_at=now)
                )
        return _principal(row, duties)

    # -- signing out -----------------------------------------------------------------------------

    def sign_out(self, token: str) -> None:
        """End one session at once."""
        self._revoke(token_hash(token))

    def _revoke(self, key: str) -> None:
        with self._database.writing() as conn:
            conn.execute(update(sessions).where(sessions.c.token_hash == key).values(revoked=True))
        with self._lock:
            self._found.pop(key, None)
            if len(self._revoked) > MOST_REMEMBERED:
                self._revoked.clear()
            self._revoked.add(key)
