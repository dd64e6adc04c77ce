"""The door for members of staff: login and password, and what may be asked after it.

An account from a provider comes in through connectors/sign_in/; this is the board's own door, for
boards without one. Whether a second factor has to follow is for second_factors.py to say.
"""

from __future__ import annotations

from pwdlib import PasswordHash
from sqlalchemy import select

from warning_service.access.sessions import Sessions
from warning_service.access.tries import Tries
from warning_service.database import Database
from warning_service.roster import tables as roster

_hasher = PasswordHash.recommended()
_NOBODY = _hasher.hash("nobody has this password")


def hash_secret(secret: str) -> str:
    """Argon2 hash of a member of staff's password."""
    return _hasher.hash(secret)


class StaffSignIn:
    """Login and password for a session."""

    def __init__(self, database: Database, sessions: Sessions, tries: Tries) -> None:
        self._database = database
        self._sessions = sessions
        self._tries = tries

    def sign_in(self, login: str, password: str, address: str) -> str | None:
        """A session token, or None when login and password do not fit.

        Raises TooManyTries.
        """
        self._tries.slow_down(f"staff:{login}", f"address:{address}")
        s = roster.staff
        with self._database.reading() as conn:
            row = conn.execute(select(s).where(s.c.login == login, s.c.active)).one_or_none()
        # An unknown login costs as much time as a wrong password.
        fits = _hasher.verify(password, row.password_hash if row else _NOBODY)
        if row is None or not fits:
            self._tries.count_failure(f"staff:{login}", f"address:{address}")
            return None
        self._tries.passed(f"staff:{login}", f"address:{address}")
        return self._sessions.start_staff(row.staff, row.board, confirmed=True)
