"""Seals what people write about a child, with a key of that child's own.

Envelope encryption: each child has a random data key, wrapped by the installation's master keys
(`secret_keys`, newest first). Rotating the master key re-wraps the small data keys and leaves the
append-only log as it is; deleting a child's data key makes everything sealed for it unreadable,
in the log and in every backup made before.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import select, update

from warning_service.database import Database, insert_new
from warning_service.roster.tables import student_secrets
from warning_service.settings import Settings

log = structlog.get_logger()


class CannotOpen(RuntimeError):
    """The key is gone or the text was altered."""


class Sealer:
    """Seals and opens texts per student key."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        keys = [key.get_secret_value() for key in settings.secret_keys]
        if not keys:
            raise ValueError("no secret_keys: words could not be sealed")
        self._master = MultiFernet([Fernet(key) for key in keys])

    def seal(self, student: str, words: str) -> str:
        """Ciphertext of `words`, openable only with this child's key.

        Raises StorageUnavailable when the key cannot be read or made.
        """
        return self._key(student, make=True).encrypt(words.encode()).decode()

    def open(self, student: str, sealed: str) -> str:
        """The words back. Raises CannotOpen when the key is gone or the text was altered."""
        try:
            return self._key(student, make=False).decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise CannotOpen from error

    def mac(self, student: str, secret: str) -> str:
        """A keyed hash of a child's sign-in secret, under its data key."""
        return hmac.new(self._data_key(student, make=True), secret.encode(), "sha256").hexdigest()

    def fits(self, student: str, secret: str, mac: str) -> bool:
        """Does `secret` have this keyed hash?"""
        return hmac.compare_digest(self.mac(student, secret), mac)

    def make_keys(self, students: Sequence[str]) -> None:
        """Make data keys for those who have none, in one transaction."""
        with self._database.writing() as conn:
            rows = [
                {"student": student, "wrapped": self._master.encrypt(Fernet.generate_key())}
                for student in students
            ]
            if rows:
                conn.execute(insert_new(conn, student_secrets), rows)

    def rewrap_all(self) -> int:
        """Wrap every data key with the newest master key; returns how many were.

        A few hundred in one transaction, because children's answers wait for it. A key that no
        master key opens is left as it is and counted in the log.
        """
        t, last, done, lost = student_secrets.c, "", 0, 0
        while True:
            with self._database.writing() as conn:
                rows = conn.execute(
                    select(student_secrets).where(t.student > last).order_by(t.student).limit(300)
                ).all()
                for row in rows:
                    try:
                        wrapped = self._master.rotate(row.wrapped)
                    except InvalidToken:
                        lost += 1
                        continue
                    conn.execute(
                        update(student_secrets)
                        .where(t.student == row.student)
                        .values(wrapped=wrapped)
                    )
                    done += 1
            if not rows:
                break
            last = rows[-1].student
        if lost:
            log.error("keys_not_opened", count=lost)
        return done

    def _key(self, student: str, *, make: bool) -> Fernet:
        return Fernet(self._data_key(student, make=make))

    def _data_key(self, student: str, *, make: bool) -> bytes:
        query = select(student_secrets.c.wrapped).where(student_secrets.c.student == student)
        with self._database.reading() as conn:
            wrapped = conn.execute(query).scalar_one_or_none()
        if wrapped is None and make:
            fresh = self._master.encrypt(Fernet.generate_key())
            with self._database.writing() as conn:
                conn.execute(
                    insert_new(conn, student_secrets).values(student=student, wrapped=fresh)
                )
                wrapped = conn.execute(query).scalar_one()
        if wrapped is None:
            raise CannotOpen
        try:
            return self._master.decrypt(wrapped)
        except InvalidToken as error:
            raise CannotOpen from error
