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
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update

from warning_service.access.principals import Duty, Principal
from warning_service.access.roles import Role
from warning_service.access.second_factors import has_factor
from warning_service.access.staff_lookup import duties_of, is_active
from warning_service.access.tables import sessions
from warning_service.clock import Clock, day_of, monotonic
from warning_service.database import Database
from warning_service.settings import Settings

REMEMBER_SECONDS = {"staff": 3.0, "child": 30.0}
SWEEP_SECONDS = 60.0
MOST_REMEMBERED = 200_000
FRESH_SECONDS = 300
"""For how long a confirmation opens what demands one (exports, disclosure)."""


class SessionEnded(RuntimeError):
    """The session was ended while its holder was about to confirm it."""


class Living(msgspec.Struct, frozen=True, kw_only=True):
    """A living session, for its owner to see. `id` names it without giving anything away."""

    id: str
    started_at: datetime
    seen_at: datetime
    token_hash: str


def token_hash(token: str) -> str:
    """What the table knows a token by."""
    return hashlib.sha256(token.encode()).hexdigest()


def _principal(row: Any, duties: tuple[Duty, ...], *, owes_factor: bool = False) -> Principal:
    return Principal(
        kind=row.kind,
        key=row.key,
        board=row.board,
        csrf=row.csrf,
        # Without the factor there are no duties at all, so that no page can forget to ask.
        duties=() if owes_factor else duties,
        waiting=duties if owes_factor else (),
        owes_factor=owes_factor,
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
        self._idle = timedelta(seconds=settings.staff_session_idle)

    # -- starting --------------------------------------------------------------------------------

    def start_staff(
        self, key: str, board: str, *, factors: Sequence[str] = (), confirmed: bool = False
    ) -> str:
        """A token for a member of staff who has shown a password, or come from a provider.

        `factors`: second factors already shown. `confirmed`: the person has just now shown who they
        are (a provider may answer for somebody who left the desk an hour ago: say so only when it
        tells that they signed in within the last minutes). With factors that is taken to be so.
        """
        longest = self._settings.staff_session_longest
        confirmed = confirmed or bool(factors)
        return self._start(
            "staff", key, board, longest=longest, factors=factors, confirmed=confirmed
        )

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
        confirmed: bool = False,
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
                    confirmed_at=now if confirmed else None,
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
                return _principal(row, (Duty(Role.CHILD, row.key),))
            if row.seen_at + self._idle <= now or not is_active(conn, row.key):
                return None
            duties = duties_of(conn, row.key, day_of(now))
            owes = not row.factors and (
                any(duty.role in self._settings.roles_with_second_factor for duty in duties)
                or has_factor(conn, row.key)
            )
        # Only staff sessions end when idle; a write for each child would stand in check-ins' way.
        if touch and now - row.seen_at > timedelta(seconds=60):
            with self._database.writing() as conn:
                conn.execute(
                    update(sessions).where(sessions.c.token_hash == key).values(seen_at=now)
                )
        return _principal(row, duties, owes_factor=owes)

    def seen_from(self, who: Principal, address: str) -> Principal:
        """`who` with those duties only that are in force from that address (settings `networks`).

        An address that is none counts as elsewhere.
        """
        networks = self._settings.networks
        if not networks:
            return who
        try:
            found = ip_address(address)
        except ValueError:
            found = None
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped

        def in_force(duty: Duty) -> bool:
            allowed = networks.get(duty.role)
            return allowed is None or (found is not None and any(found in n for n in allowed))

        return msgspec.structs.replace(
            who,
            duties=tuple(filter(in_force, who.duties)),
            waiting=tuple(filter(in_force, who.waiting)),
        )

    # -- confirming ------------------------------------------------------------------------------

    def is_fresh(self, who: Principal) -> bool:
        """Was it shown within the last FRESH_SECONDS who this is?"""
        if who.confirmed_at is None or who.owes_factor:
            return False
        return self._clock.now() - who.confirmed_at < timedelta(seconds=FRESH_SECONDS)

    def confirm(self, who: Principal, factor: str = "") -> str:
        """The session goes on as confirmed now, under a new token; the old one ends at once.

        `factor`: the second factor that was shown; '' for the password of somebody who has none. It
        lives no longer than it would have. What is open in other tabs can still be sent, unless
        this is the end of the sign-in. Raises SessionEnded when it was ended meanwhile.
        """
        token = secrets.token_urlsafe(32)
        now = self._clock.now()
        t = sessions.c
        with self._database.writing() as conn:
            row = conn.execute(
                update(sessions)
                .where(t.token_hash == who.token_hash, ~t.revoked, t.ends_at > now)
                .values(revoked=True)
                .returning(*sessions.columns)
            ).one_or_none()
            if row is not None:
                shown = {*filter(None, row.factors.split(",")), *filter(None, [factor])}
                conn.execute(
                    insert(sessions).values(
                        {
                            **row._mapping,
                            "token_hash": token_hash(token),
                            "csrf": secrets.token_urlsafe(24) if who.owes_factor else row.csrf,
                            "seen_at": now,
                            "revoked": False,
                            "factors": ",".join(sorted(shown)),
                            "confirmed_at": now,
                        }
                    )
                )
        self._forget([who.token_hash])
        if row is None:
            raise SessionEnded
        return token

    # -- seeing and ending -----------------------------------------------------------------------

    def living(self, staff: str) -> list[Living]:
        """The sessions of a member of staff that are alive, the one used last first."""
        now = self._clock.now()
        t = sessions.c
        with self._database.reading() as conn:
            rows = conn.execute(
                select(sessions)
                .where(t.kind == "staff", t.key == staff, ~t.revoked, t.ends_at > now)
                .where(t.seen_at > now - self._idle)
                .order_by(t.seen_at.desc(), t.token_hash)
            ).all()
        return [
            Living(
                id=row.token_hash[:16],
                started_at=row.started_at,
                seen_at=row.seen_at,
                token_hash=row.token_hash,
            )
            for row in rows
        ]

    def end_one(self, staff: str, id: str) -> bool:
        """End one of somebody's own sessions, by `Living.id`; False when there is none such."""
        found = [one.token_hash for one in self.living(staff) if one.id == id]
        for key in found:
            self._revoke(key)
        return bool(found)

    def end_all(self, key: str, *, but: str = "") -> int:
        """End all sessions of a staff or student key, except the token hash `but`.

        Returns how many. In this process at once, in others within REMEMBER_SECONDS.
        """
        t = sessions.c
        with self._database.writing() as conn:
            ended = conn.execute(
                update(sessions)
                .where(t.key == key, t.token_hash != but, ~t.revoked)
                .values(revoked=True)
                .returning(t.token_hash)
            ).scalars()
            hashes = list(ended)
        self._forget(hashes)
        return len(hashes)

    # -- signing out -----------------------------------------------------------------------------

    def sign_out(self, token: str) -> None:
        """End one session at once."""
        self._revoke(token_hash(token))

    def _revoke(self, key: str) -> None:
        with self._database.writing() as conn:
            conn.execute(update(sessions).where(sessions.c.token_hash == key).values(revoked=True))
        self._forget([key])

    def _forget(self, keys: Sequence[str]) -> None:
        with self._lock:
            if len(self._revoked) > MOST_REMEMBERED:
                self._revoked.clear()
            for key in keys:
                self._found.pop(key, None)
                self._revoked.add(key)
