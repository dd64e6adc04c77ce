"""Sessions: started at a door, known again by a cookie, ended at any time.

A session is a row; the cookie holds a random token whose hash is the row's key, so that the server
can revoke it at once. Looking a session up is on the check-in path, so found sessions are kept in
memory for a few seconds (a child's for longer: it reaches nothing but the child's own answers, and
a city's tablets all ask in the same ten minutes). Ending one forgets it here at once and tells the
other processes; one that does not hear of it believes in the session for at most those seconds.

A child's session on a shared tablet, one that came through a class, also ends when idle: it begins
with a short life, which pages prolong. A child that is done within its first minute never costs a
write for that, and check-ins and consultations, the fast path, prolong nothing.

The doors themselves (who may have a session) are in staff.py and child.py. What they put on the
trail about a session is handed in (`note`) and stored together with it.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from warning_service.access.doors.networks import seen_from
from warning_service.access.doors.second_factors import has_factor
from warning_service.access.principals import Duty, Principal, of_session
from warning_service.access.roles import Role
from warning_service.access.staff_lookup import duties_of, is_active
from warning_service.access.tables import sessions
from warning_service.access.trail.audit import Note, unnoted
from warning_service.clock import Clock, day_of, monotonic
from warning_service.database import Database
from warning_service.events.wakeups import Wakeups
from warning_service.settings import Settings

REMEMBER_SECONDS = {"staff": 3.0, "child": 30.0}
SWEEP_SECONDS = 60.0
MOST_REMEMBERED = 200_000
PROLONG_SECONDS = 60
"""A shared session's life is not written anew for less than this."""
ENDED = "ended:"
"""How a note to other processes begins that lists ended sessions; 100 of them fit into one."""
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


class Sessions:
    """Start sessions, know their holders again, end them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: Settings,
        wakeups: Wakeups | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._wakeups = wakeups
        if wakeups is not None:
            wakeups.on_note(self._hear)
        self._lock = threading.Lock()
        self._found: dict[str, tuple[float, datetime, Principal]] = {}
        self._revoked: set[str] = set()
        self._swept = -SWEEP_SECONDS
        self.https = settings.public_url.startswith("https")
        self.longest_staff = settings.staff_session_longest
        self.longest_child = settings.child_session_longest
        self._idle = timedelta(seconds=settings.staff_session_idle)

    # -- starting --------------------------------------------------------------------------------

    def start_staff(
        self,
        key: str,
        board: str,
        *,
        factors: Sequence[str] = (),
        confirmed: bool | None = None,
        note: Note = unnoted,
    ) -> str:
        """A token for a member of staff who has shown a password, or come from a provider.

        `factors`: second factors already shown. `confirmed`: the person has just now shown who they
        are (a provider may answer for somebody who left the desk an hour ago: say so only when it
        tells that they signed in within the last minutes). Unsaid, factors are taken to say so.
        `note`: the line on the trail; without it there is no session.
        """
        longest = self._settings.staff_session_longest
        if confirmed is None:
            confirmed = bool(factors)
        return self._start(
            "staff", key, board, longest=longest, factors=factors, confirmed=confirmed, last=note
        )

    def start_child(
        self,
        student: str,
        board: str,
        class_id: str,
        *,
        door: str = "",
        first: Callable[[Connection], None] | None = None,
    ) -> str:
        """A token for a child at the door of a class (`class_id` may be '' for an own device).

        `door`: the class card it came by. `first` runs in the transaction that starts the session;
        what it raises prevents it.
        """
        longest = self._settings.child_session_longest
        if class_id:
            longest = min(longest, self._settings.shared_session_idle)
        return self._start(
            "child", student, board, class_id=class_id, longest=longest, door=door, first=first
        )

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
        door: str = "",
        first: Callable[[Connection], None] | None = None,
        last: Note = unnoted,
    ) -> str:
        token = secrets.token_urlsafe(32)
        now = self._clock.now()
        with self._database.writing() as conn:
            if first is not None:
                first(conn)
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
                    door=door,
                )
            )
            last(conn)
        return token

    # -- knowing again ---------------------------------------------------------------------------

    def find(self, token: str, *, touch: bool = True) -> Principal | None:
        """Whose token this is, if the session is alive. Staff and shared sessions end when idle.

        `touch=False` does not count as use: for what a page asks by itself, without a person.
        """
        if not token:
            return None
        if (known := self.find_cached(token)) is not None:
            return known
        key = token_hash(token)
        found = self._load(key, touch=touch)
        if found is None:
            with self._lock:
                self._found.pop(key, None)
            return None
        principal, ends_at = found
        self._remember(key, principal, ends_at)
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
            principal = of_session(row, (Duty(Role.CHILD, row.key),))
            self._remember(row.token_hash, principal, row.ends_at)
            found[keys[row.token_hash]] = principal
        return found

    def _remember(self, key: str, principal: Principal, ends_at: datetime) -> None:
        with self._lock:
            if key not in self._revoked:  # it may have been, while we were reading
                if len(self._found) > MOST_REMEMBERED:
                    self._found.clear()
                self._found[key] = (monotonic(), ends_at, principal)

    def find_cached(self, token: str) -> Principal | None:
        """Like `find`, from memory alone; None also means "ask `find`". Never blocks."""
        found = self._found.get(token_hash(token))
        if found is None:
            return None
        since, ends_at, principal = found
        if monotonic() - since >= REMEMBER_SECONDS[principal.kind] or ends_at <= self._clock.now():
            return None
        return principal

    def _load(self, key: str, *, touch: bool) -> tuple[Principal, datetime] | None:
        """The living session with that key, and when it ends unless it is used again."""
        now = self._clock.now()
        with self._database.reading() as conn:
            row = conn.execute(select(sessions).where(sessions.c.token_hash == key)).one_or_none()
            if row is None or row.revoked or row.ends_at <= now:
                return None
            if row.kind == "child":
                child = of_session(row, (Duty(Role.CHILD, row.key),))
                return child, self._prolong(row, now) if touch else row.ends_at
            if row.seen_at + self._idle <= now or not is_active(conn, row.key):
                return None
            duties = duties_of(conn, row.key, day_of(now))
            owes = not row.factors and (
                any(duty.role in self._settings.roles_with_second_factor for duty in duties)
                or has_factor(conn, row.key)
            )
        if touch and now - row.seen_at > timedelta(seconds=60):
            with self._database.writing() as conn:
                conn.execute(
                    update(sessions).where(sessions.c.token_hash == key).values(seen_at=now)
                )
        return of_session(row, duties, owes_factor=owes), row.ends_at

    def _prolong(self, row: Any, now: datetime) -> datetime:
        """A child's page is opened now: until when its session lives. Writes only what is worth it.

        On a device of the child's own it lives as long as it began with.
        """
        idle = timedelta(seconds=self._settings.shared_session_idle)
        longest = timedelta(seconds=self._settings.child_session_longest)
        until: datetime = min(now + idle, row.started_at + longest)
        if not row.class_id or until - row.ends_at < timedelta(seconds=PROLONG_SECONDS):
            return row.ends_at  # type: ignore[no-any-return]
        with self._database.writing() as conn:
            conn.execute(
                update(sessions)
                .where(sessions.c.token_hash == row.token_hash)
                .values(seen_at=now, ends_at=until)
            )
        return until

    def seen_from(self, who: Principal, address: str) -> Principal:
        """`who` with those duties only that are in force from that address (`networks`)."""
        return seen_from(who, address, self._settings.networks)

    # -- confirming ------------------------------------------------------------------------------

    def is_fresh(self, who: Principal) -> bool:
        """Was it shown within the last FRESH_SECONDS who this is?"""
        if who.confirmed_at is None or who.owes_factor:
            return False
        return self._clock.now() - who.confirmed_at < timedelta(seconds=FRESH_SECONDS)

    def confirm(self, who: Principal, factor: str = "", *, note: Note = unnoted) -> str:
        """The session goes on as confirmed now, under a new token; the old one ends at once.

        `factor`: the second factor that was shown; '' for the password of somebody who has none. It
        lives no longer than it would have. What is open in other tabs can still be sent, unless
        this is the end of the sign-in. `note`: the line on the trail. Raises SessionEnded when it
        was ended meanwhile.
        """
        return self._go_on(who, factor, confirmed_at=self._clock.now(), note=note)

    def renew(self, who: Principal) -> str:
        """The session goes on as it is under a new token. Raises SessionEnded."""
        return self._go_on(who, "", confirmed_at=who.confirmed_at)

    def _go_on(
        self,
        who: Principal,
        factor: str,
        *,
        confirmed_at: datetime | None,
        note: Note = unnoted,
    ) -> str:
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
                            "confirmed_at": confirmed_at,
                        }
                    )
                )
                self._tell(conn, [who.token_hash])
                note(conn)
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

    def end_one(self, staff: str, id: str, *, note: Note = unnoted) -> bool:
        """End one of somebody's own sessions, by `Living.id`; False when there is none such."""
        found = [one.token_hash for one in self.living(staff) if one.id == id]
        return bool(self._end(sessions.c.token_hash.in_(found), note))

    def end_all(self, key: str, *, but: str = "", note: Note = unnoted) -> int:
        """End all sessions of a staff or student key, except the token hash `but`.

        Returns how many. `note`: the line on the trail, if any was ended.
        """
        return self._end((sessions.c.key == key) & (sessions.c.token_hash != but), note)

    def end_within(
        self, conn: Connection, key: str, *, but: str = ""
    ) -> tuple[int, Callable[[], None]]:
        """Like `end_all`, within `conn`.

        Returns how many, and what to call after the commit, so that this process forgets them too.
        """
        ended = self._revoke(conn, (sessions.c.key == key) & (sessions.c.token_hash != but))
        return len(ended), lambda: self._forget(ended)

    def end_through(self, conn: Connection, door: str) -> Callable[[], None]:
        """End, within `conn`, every session that came by this class card.

        Returns what to call after the commit, so that this process forgets them as well.
        """
        ended = self._revoke(conn, sessions.c.door == door)
        return lambda: self._forget(ended)

    def look_again(self, key: str) -> None:
        """Forget what is remembered of a staff or student key: its duties have just changed."""
        with self._lock:
            for one in [k for k, (_, _, who) in self._found.items() if who.key == key]:
                del self._found[one]

    # -- signing out -----------------------------------------------------------------------------

    def sign_out(self, token: str) -> None:
        """End one session at once."""
        self._end(sessions.c.token_hash == token_hash(token))

    def _end(self, which: ColumnElement[bool], note: Note = unnoted) -> int:
        with self._database.writing() as conn:
            ended = self._revoke(conn, which)
            if ended:
                note(conn)
        self._forget(ended)
        return len(ended)

    def _revoke(self, conn: Connection, which: ColumnElement[bool]) -> list[str]:
        """Mark sessions as ended and tell other processes, once `conn` has committed."""
        query = (
            update(sessions)
            .where(which, ~sessions.c.revoked)
            .values(revoked=True)
            .returning(sessions.c.token_hash)
        )
        ended = list(conn.execute(query).scalars())
        self._tell(conn, ended)
        return ended

    def _tell(self, conn: Connection, ended: Sequence[str]) -> None:
        if self._wakeups is None:
            return
        for start in range(0, len(ended), 100):
            self._wakeups.send(conn, ENDED + ",".join(ended[start : start + 100]))

    def _hear(self, note: str) -> None:
        if note.startswith(ENDED):
            self._forget(note.removeprefix(ENDED).split(","))

    def _forget(self, keys: Sequence[str]) -> None:
        with self._lock:
            if len(self._revoked) > MOST_REMEMBERED:
                self._revoked.clear()
            for key in keys:
                self._found.pop(key, None)
                self._revoked.add(key)
