"""The door for members of staff: login and password, and what may be asked after it.

An account from a provider comes in through connectors/sign_in/; this is the board's own door, for
boards without one. Whether a second factor has to follow is for sessions.py to say, and showing one
is in confirming.py. Right and wrong passwords stand on the trail by staff key; of a login that
nobody has only that it was tried, for people type passwords there.
"""

from __future__ import annotations

from sqlalchemy import select

from warning_service.access.doors import passwords
from warning_service.access.doors.sessions import Sessions
from warning_service.access.doors.tries import Tries, staff_try
from warning_service.access.trail.audit import Trail
from warning_service.database import Database
from warning_service.roster import tables as roster

hash_secret = passwords.hash_secret

UNKNOWN = "unknown"
"""Stands on the trail for a login that nobody has."""


class StaffSignIn:
    """Login and password for a session."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        tries: Tries,
        trail: Trail,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._tries = tries
        self._trail = trail

    def sign_in(self, login: str, password: str, address: str) -> str | None:
        """A session token, or None when login and password do not fit.

        The session may owe a second factor (`Principal.owes_factor`). Raises TooManyTries.
        """
        this = staff_try(login, address)
        self._tries.slow_down(this)
        s = roster.staff
        with self._database.reading() as conn:
            row = conn.execute(select(s).where(s.c.login == login, s.c.active)).one_or_none()
        # An unknown login costs as much time as a wrong password.
        fits = passwords.fits(password, row.password_hash if row else None)
        if row is None or not fits:
            self._tries.count_failure(this)
            # A line for an unknown login too: whether there is one must not be told by the time.
            # The failure counts without it: a broken trail must not make guessing free.
            key, board = (row.staff, row.board) if row else (UNKNOWN, "")
            self._trail.by(key, "sign_in_failed", key, board=board)
            return None
        self._tries.passed(this)
        note = self._trail.line_by(row.staff, "signed_in", row.staff, board=row.board)
        return self._sessions.start_staff(row.staff, row.board, confirmed=True, note=note)
