"""Second factors of staff that are codes: an authenticator app's (TOTP), and recovery codes.

The app's secret is kept sealed, because a stolen database must not be able to make codes; recovery
codes are kept as keyed hashes and work once each. A code of the app is taken for its own 30 seconds
and the step before and after (clocks differ), and never twice: the last step taken is remembered,
and only a later one passes, so that a code read over a shoulder is worth nothing. A new app's
secret is shown in one session for a quarter of an hour: whoever saw an offer earlier or elsewhere
(with a stolen password, say) does not know the secret that is taken into use.

Passkeys are in passkeys.py. Whose session owes a factor is decided in sessions.py, and how often
one may guess is counted by the caller (confirming.py).
"""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import datetime, timedelta

import msgspec
import pyotp
from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import Connection, delete, func, insert, select, union_all, update

from warning_service.access.tables import passkeys, recovery_codes, staff_factors
from warning_service.access.trail.audit import Note, unnoted
from warning_service.clock import Clock
from warning_service.database import Database, insert_new
from warning_service.settings import Settings

STEP_SECONDS = 30
STEPS_OFF = 1
"""How many steps a person's clock may be away from ours, either way."""

OFFER_MINUTES = 15
ISSUER = "Kizashi"
RECOVERY_CODES = 10
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # nothing that is misread on paper


class Factors(msgspec.Struct, frozen=True, kw_only=True):
    """What a member of staff can show. `totp_since` is None without an app."""

    totp_since: datetime | None
    passkeys: int
    recovery_left: int

    @property
    def any(self) -> bool:
        """Is there a factor to show? (Recovery codes alone are none: they come with one.)"""
        return self.totp_since is not None or self.passkeys > 0


def has_factor(conn: Connection, staff: str) -> bool:
    """Has this member of staff an app or a passkey?"""
    f, p = staff_factors.c, passkeys.c
    found = union_all(
        select(f.staff).where(f.staff == staff, f.totp != ""),
        select(p.staff).where(p.staff == staff),
    )
    return conn.execute(found.limit(1)).first() is not None


class SecondFactors:
    """Sets up, checks and removes the code factors of staff, by staff key."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        """Raises ValueError when the settings hold no secret key."""
        self._database = database
        self._clock = clock
        keys = [Fernet(key.get_secret_value()) for key in settings.secret_keys]
        if not keys:
            raise ValueError("no secret_keys: second factors could not be sealed")
        self._master = MultiFernet(keys)

    def of(self, staff: str) -> Factors:
        """What this person has."""
        f, p, r = staff_factors.c, passkeys.c, recovery_codes.c
        with self._database.reading() as conn:
            since = conn.execute(
                select(f.totp_since).where(f.staff == staff, f.totp != "")
            ).scalar_one_or_none()
            keys = conn.execute(select(func.count()).where(p.staff == staff)).scalar_one()
            left = conn.execute(select(func.count()).where(r.staff == staff)).scalar_one()
        return Factors(totp_since=since, passkeys=int(keys), recovery_left=int(left))

    # -- an authenticator app ----------------------------------------------------------------------

    def offer_totp(self, staff: str, session: str) -> str:
        """A secret (base32) for the person's app; the one on offer in this session, if any is.

        `session`: its token hash. An offer lives fifteen minutes; a new one replaces it. It counts
        for nothing until `prove_totp`; an app in use stays in use until then.
        """
        with self._database.writing() as conn:
            row = self._row(conn, staff)
            own = self._own(row.wrapped)
            if self._is_open(row, session):
                return own.decrypt(row.totp_offered.encode()).decode()
            secret = pyotp.random_base32()
            self._change(
                conn,
                staff,
                totp_offered=own.encrypt(secret.encode()).decode(),
                totp_offered_to=session,
                totp_offered_at=self._clock.now(),
            )
        return secret

    def prove_totp(self, staff: str, code: str, session: str, *, note: Note = unnoted) -> bool:
        """Take the secret offered in this session into use, when `code` comes from it.

        `note`, here and below: the change's line on the trail.
        """
        with self._database.writing() as conn:
            row = self._row(conn, staff)
            if not self._is_open(row, session):
                return False
            secret = self._own(row.wrapped).decrypt(row.totp_offered.encode()).decode()
            step = self._step_of(secret, code)
            if step is None:
                return False
            self._change(
                conn,
                staff,
                totp=row.totp_offered,
                **_NO_OFFER,
                totp_since=self._clock.now(),
                last_step=step,
            )
            note(conn)
        return True

    def give_totp(self, staff: str, secret: str) -> None:
        """Set up an app with a secret known elsewhere: for the demo's shown accounts."""
        with self._database.writing() as conn:
            sealed = self._own(self._row(conn, staff).wrapped).encrypt(secret.encode()).decode()
            self._change(conn, staff, totp=sealed, totp_since=self._clock.now(), last_step=0)

    def check_totp(self, staff: str, code: str) -> bool:
        """Is this a code of the person's app, not taken before? Then it is taken now."""
        f = staff_factors.c
        with self._database.reading() as conn:
            row = conn.execute(
                select(staff_factors).where(f.staff == staff, f.totp != "")
            ).one_or_none()
        if row is None:
            return False
        secret = self._own(row.wrapped).decrypt(row.totp.encode()).decode()
        step = self._step_of(secret, code)
        if step is None:
            return False
        with self._database.writing() as conn:
            # Two at once with one code: only the first finds the step still unused.
            taken = conn.execute(
                update(staff_factors)
                .where(f.staff == staff, f.totp == row.totp, f.last_step < step)
                .values(last_step=step)
                .returning(f.staff)
            ).first()
        return taken is not None

    def remove_totp(self, staff: str, *, note: Note = unnoted) -> None:
        """The app's codes count no more."""
        with self._database.writing() as conn:
            self._row(conn, staff)
            self._change(conn, staff, totp="", totp_since=None, **_NO_OFFER)
            drop_lone_recovery_codes(conn, staff)
            note(conn)

    def _step_of(self, secret: str, code: str) -> int | None:
        """The step near now whose code this is."""
        given = "".join(code.split())
        if re.fullmatch(r"[0-9]{6}", given, re.ASCII) is None:
            return None
        now = int(self._clock.now().timestamp()) // STEP_SECONDS
        app = pyotp.TOTP(secret, interval=STEP_SECONDS)
        fitting = [
            step
            for step in range(now - STEPS_OFF, now + STEPS_OFF + 1)
            if hmac.compare_digest(app.generate_otp(step), given)
        ]
        return fitting[-1] if fitting else None

    # -- recovery codes ----------------------------------------------------------------------------

    def new_recovery_codes(self, staff: str, *, note: Note = unnoted) -> list[str]:
        """Ten codes, each for one use, shown this once; those given before work no more."""
        codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
        with self._database.writing() as conn:
            key = self._master.decrypt(self._row(conn, staff).wrapped)
            conn.execute(delete(recovery_codes).where(recovery_codes.c.staff == staff))
            conn.execute(
                insert(recovery_codes),
                [{"staff": staff, "mac": _mac(key, code)} for code in codes],
            )
            note(conn)
        return codes

    def use_recovery_code(self, staff: str, code: str) -> bool:
        """Is this one of the person's unused codes? Then it is used now."""
        f, r = staff_factors.c, recovery_codes.c
        with self._database.reading() as conn:
            wrapped = conn.execute(select(f.wrapped).where(f.staff == staff)).scalar_one_or_none()
        if wrapped is None:
            return False
        mac = _mac(self._master.decrypt(wrapped), code)
        with self._database.writing() as conn:
            used = conn.execute(
                delete(recovery_codes).where(r.staff == staff, r.mac == mac).returning(r.mac)
            ).first()
        return used is not None

    # -- all of it ---------------------------------------------------------------------------------

    @staticmethod
    def remove_all(conn: Connection, staff: str) -> None:
        """Forget every factor of a person (a lost phone), in the caller's transaction.

        The next sign-in with the password asks for a new one where the duties need one. The caller
        ends the sessions and writes the trail there, too.
        """
        for table in (staff_factors, recovery_codes, passkeys):
            conn.execute(delete(table).where(table.c.staff == staff))

    def rewrap_all(self) -> int:
        """Wrap every person's key with the newest of `secret_keys`; returns how many there are."""
        f = staff_factors.c
        with self._database.writing() as conn:
            rows = conn.execute(select(f.staff, f.wrapped)).all()
            for row in rows:
                self._change(conn, row.staff, wrapped=self._master.rotate(row.wrapped))
        return len(rows)

    def _row(self, conn: Connection, staff: str) -> _FactorsRow:
        """The person's row, made when there is none, held until the transaction ends."""
        wrapped = self._master.encrypt(Fernet.generate_key())
        conn.execute(insert_new(conn, staff_factors).values(staff=staff, wrapped=wrapped))
        f = staff_factors.c
        row = conn.execute(
            select(f.wrapped, f.totp_offered, f.totp_offered_to, f.totp_offered_at)
            .where(f.staff == staff)
            .with_for_update()
        ).one()
        return _FactorsRow(
            wrapped=row.wrapped,
            totp_offered=row.totp_offered,
            offered_to=row.totp_offered_to,
            offered_at=row.totp_offered_at,
        )

    def _is_open(self, row: _FactorsRow, session: str) -> bool:
        """Is a secret on offer, in this session, and not for too long?"""
        if not row.totp_offered or row.offered_at is None or row.offered_to != session:
            return False
        return self._clock.now() < row.offered_at + timedelta(minutes=OFFER_MINUTES)

    def _own(self, wrapped: bytes) -> Fernet:
        return Fernet(self._master.decrypt(wrapped))

    @staticmethod
    def _change(conn: Connection, staff: str, **values: object) -> None:
        conn.execute(update(staff_factors).where(staff_factors.c.staff == staff).values(**values))


class _FactorsRow(msgspec.Struct, frozen=True):
    wrapped: bytes
    totp_offered: str
    offered_to: str
    offered_at: datetime | None


_NO_OFFER: dict[str, object] = {
    "totp_offered": "", "totp_offered_to": "", "totp_offered_at": None,
}  # fmt: skip


def drop_lone_recovery_codes(conn: Connection, staff: str) -> None:
    """Recovery codes come with a factor and go with the last one."""
    if not has_factor(conn, staff):
        conn.execute(delete(recovery_codes).where(recovery_codes.c.staff == staff))


def _recovery_code() -> str:
    letters = [secrets.choice(_ALPHABET) for _ in range(16)]  # 78 bits
    return "-".join("".join(letters[n : n + 4]) for n in range(0, 16, 4))


def _mac(key: bytes, code: str) -> str:
    plain = "".join(c for c in code.upper() if c.isalnum())
    return hmac.new(key, b"recovery:" + plain.encode(), "sha256").hexdigest()


def totp_address(secret: str, login: str) -> str:
    """The otpauth:// address an app reads from the picture."""
    return pyotp.TOTP(secret, interval=STEP_SECONDS).provisioning_uri(
        name=login, issuer_name=ISSUER
    )


def code_now(secret: str, at: datetime) -> str:
    """The code an app shows at that time: for the demo's page and for tests."""
    return pyotp.TOTP(secret, interval=STEP_SECONDS).generate_otp(
        int(at.timestamp()) // STEP_SECONDS
    )
