"""Passwords of staff: when one is good enough, checking it again, changing it, inviting to set one.

Length is what counts (and that it is not simply the login); no letters-and-digits rules, and none
ever expires by itself. A change ends every other session of the account. An invitation is a link
that works once: whoever holds it sets the account's first password, so it goes to the person alone
and lives for days, not weeks.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import ClassVar

import structlog
from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from sqlalchemy import func, select, update

from warning_service.access.doors.sessions import Sessions
from warning_service.access.doors.tokens import BadToken, Kind, Tokens
from warning_service.access.tables import audit
from warning_service.access.trail.audit import Trail
from warning_service.access.ways_in import invitations_from
from warning_service.database import Database
from warning_service.roster import tables as roster

log = structlog.get_logger()

LEAST_CHARACTERS = 12
MOST_CHARACTERS = 200
"""Hashing a longer one would cost everybody else's time."""

FEWEST_DIFFERENT = 5
INVITATION_SECONDS = 3 * 24 * 3600
BY_INVITATION = "invitation"
"""Stands on the trail with a password that was set by one."""

_hasher = PasswordHash.recommended()
_NOBODY = (
    "$argon2id$v=19$m=65536,t=3,p=4$"
    "ftJUYvYGzCq7w31UbQi/0g$odGVKWKX0I14W2bh42oaXLk2+E/D9z7MGmqfZFqbIHg"
)
"""Made once by `_hasher`: a tenth of a second that no start of a process has to spend again."""


class WeakPassword(ValueError):
    """Too short or too easy. `key`: short, long, plain or login; for the page's words."""

    WORDS: ClassVar = {
        "short": f"a password has at least {LEAST_CHARACTERS} characters",
        "long": f"a password has at most {MOST_CHARACTERS} characters",
        "plain": "too few different characters: it would soon be guessed",
        "login": "too much like the login",
    }

    def __init__(self, key: str) -> None:
        super().__init__(self.WORDS[key])
        self.key = key


def hash_secret(secret: str) -> str:
    """Argon2 hash of a member of staff's password."""
    return _hasher.hash(secret)


def fits(secret: str, hashed: str | None) -> bool:
    """Does `secret` have this hash? Takes the same time when there is no hash at all."""
    try:
        return _hasher.verify(secret, hashed or _NOBODY) and bool(hashed)
    except UnknownHashError:
        log.error("password_hash_of_unknown_kind")
        return False


def judge(password: str, login: str) -> None:
    """Raises WeakPassword unless this may be the password of the account `login`."""
    if len(password) < LEAST_CHARACTERS:
        raise WeakPassword("short")
    if len(password) > MOST_CHARACTERS:
        raise WeakPassword("long")
    if len(set(password)) < FEWEST_DIFFERENT:
        raise WeakPassword("plain")
    if login and login.casefold() in password.casefold() and len(password) < 2 * len(login):
        raise WeakPassword("login")


class Passwords:
    """Checks and changes passwords of staff, by staff key."""

    def __init__(
        self, database: Database, sessions: Sessions, tokens: Tokens, trail: Trail
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._tokens = tokens
        self._trail = trail

    def find(self, login: str) -> tuple[str, str] | None:
        """The staff key and board of an active account; None when there is none."""
        s = roster.staff.c
        with self._database.reading() as conn:
            row = conn.execute(
                select(s.staff, s.board).where(s.login == login, s.active)
            ).one_or_none()
        return None if row is None else (row.staff, row.board)

    def has_one(self, staff: str) -> bool:
        """Has this person a password? (An account from a provider may have none.)"""
        s = roster.staff.c
        with self._database.reading() as conn:
            return bool(
                conn.execute(select(s.password_hash).where(s.staff == staff)).scalar_one_or_none()
            )

    def is_it(self, staff: str, password: str) -> bool:
        """Is this the person's password? The caller counts the tries."""
        s = roster.staff.c
        with self._database.reading() as conn:
            hashed = conn.execute(
                select(s.password_hash).where(s.staff == staff)
            ).scalar_one_or_none()
        return fits(password, hashed)

    def login_of(self, staff: str) -> str:
        """The login, for the person's own eyes; '' for nobody."""
        s = roster.staff.c
        with self._database.reading() as conn:
            return str(
                conn.execute(select(s.login).where(s.staff == staff)).scalar_one_or_none() or ""
            )

    def change(
        self,
        staff: str,
        password: str,
        *,
        but: str = "",
        actor: str = "",
        action: str = "password_changed",
        detail: str = "",
    ) -> int:
        """Set the password and end the person's sessions, except the token hash `but`.

        Returns how many sessions ended. `actor`: who did it, when not the person. `action` and
        `detail`: for the trail. All of it or nothing: no line there, no new password.
        Raises WeakPassword, KeyError for nobody, StorageUnavailable.
        """
        s = roster.staff.c
        with self._database.reading() as conn:
            row = conn.execute(select(s.login, s.board).where(s.staff == staff)).one_or_none()
        if row is None:
            raise KeyError(staff)
        judge(password, row.login)
        hashed = hash_secret(password)
        note = self._trail.line_by(actor or staff, action, staff, board=row.board, detail=detail)
        with self._database.writing() as conn:
            conn.execute(update(roster.staff).where(s.staff == staff).values(password_hash=hashed))
            ended, forget = self._sessions.end_within(conn, staff, but=but)
            note(conn)
        forget()
        return ended

    def by_others(self, staff: str) -> tuple[datetime | None, datetime | None]:
        """When this person's second factors were last reset, and a password set by an invitation.

        For the person's own eyes: whoever did not ask for it should know. As long as the trail is
        kept; None: never.
        """
        a = audit.c
        query = select(func.max(a.at)).where(a.subject == staff)
        by_invitation = (a.action == "password_changed", a.detail == BY_INVITATION)
        with self._database.reading() as conn:
            reset = conn.execute(query.where(a.action == "factors_reset")).scalar_one()
            invited = conn.execute(query.where(*by_invitation)).scalar_one()
        return reset, invited

    # -- invitations -------------------------------------------------------------------------------

    def invite(self, staff: str, *, seconds: int = INVITATION_SECONDS) -> str:
        """A token that lets its holder set this person's password once.

        A password that is there already is not needed for it: give one only to the person. Once the
        password was changed by any way, invitations from before work no more. Raises BadToken for
        somebody who is not active staff.
        """
        return self._tokens.issue(Kind.INVITATION, staff, seconds, since=self._mark(staff))

    def invited(self, token: str) -> str:
        """The staff key an invitation is for, not spending it. Raises BadToken.

        Also for one from before a restore: it may have been used after the archive was made.
        """
        claims = self._tokens.read(Kind.INVITATION, token)
        with self._database.reading() as conn:
            restored = invitations_from(conn)
        if restored is not None and claims.issued_at < restored.replace(microsecond=0):
            raise BadToken
        self._still_open(claims.subject, claims.more.get("since", ""))
        return claims.subject

    def accept(self, token: str, password: str) -> tuple[str, str]:
        """Set the password an invitation is for; returns the staff key and the board.

        Raises BadToken, WeakPassword (the invitation is not spent then).
        """
        staff = self.invited(token)
        judge(password, self.login_of(staff))
        self._tokens.spend(Kind.INVITATION, token)
        self.change(staff, password, detail=BY_INVITATION)
        return staff, self._board_of(staff)

    def _board_of(self, staff: str) -> str:
        s = roster.staff.c
        with self._database.reading() as conn:
            return str(conn.execute(select(s.board).where(s.staff == staff)).scalar_one())

    def _mark(self, staff: str) -> str:
        """A mark of the password in force, which says nothing about it. Raises BadToken."""
        s = roster.staff.c
        with self._database.reading() as conn:
            hashed = conn.execute(
                select(s.password_hash).where(s.staff == staff, s.active)
            ).scalar_one_or_none()
        if hashed is None:
            raise BadToken
        return hashlib.sha256(b"invitation " + hashed.encode()).hexdigest()[:16]

    def _still_open(self, staff: str, since: str) -> None:
        if self._mark(staff) != since:
            raise BadToken
