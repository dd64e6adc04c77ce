"""Passkeys of staff: a second factor that lives in a device and cannot be phished.

The device signs a challenge together with the address of the page that asked, so that a copy of our
sign-in page on another address gets nothing. A challenge is kept here for five minutes, belongs to
one session and one purpose, and answering it (rightly or wrongly) uses it up. Only public keys are
stored. A device that counts its signatures must count upwards: a copy of it is refused.

No attestation is asked for: which make of device somebody has is none of our business. Browsers
know passkeys only for named hosts (or localhost) over https; `possible` says whether this is one.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec
import webauthn
from sqlalchemy import delete, select, update
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from warning_service.access.doors.second_factors import drop_lone_recovery_codes
from warning_service.access.principals import Principal
from warning_service.access.tables import passkey_challenges, passkeys
from warning_service.access.trail.audit import Note, unnoted
from warning_service.clock import Clock
from warning_service.database import Database, insert_new, upsert
from warning_service.settings import Settings

CHALLENGE_SECONDS = 300
MOST_PASSKEYS = 10
LONGEST_NAME = 40


class BadPasskey(ValueError):
    """The device's answer does not fit the challenge, or there is no such challenge or passkey."""


class Passkey(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey as its owner sees it."""

    id: str
    name: str
    made_at: datetime
    used_at: datetime | None


class Passkeys:
    """Registers, asks for and removes the passkeys of staff."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        address = urlsplit(settings.public_url)
        self._origin = f"{address.scheme}://{address.netloc}"
        self._host = address.hostname or ""
        named = not _is_address(self._host)
        self.possible = named and (address.scheme == "https" or self._host == "localhost")

    def of(self, staff: str) -> list[Passkey]:
        """A person's passkeys, oldest first."""
        p = passkeys.c
        with self._database.reading() as conn:
            rows = conn.execute(
                select(p.id, p.name, p.made_at, p.used_at)
                .where(p.staff == staff)
                .order_by(p.made_at, p.id)
            ).all()
        return [
            Passkey(id=row.id, name=row.name, made_at=row.made_at, used_at=row.used_at)
            for row in rows
        ]

    def remove(self, staff: str, id: str, *, note: Note = unnoted) -> bool:
        """Take one of a person's passkeys out of use; False when there is none such.

        `note`, here and below: the change's line on the trail.
        """
        p = passkeys.c
        with self._database.writing() as conn:
            gone = conn.execute(
                delete(passkeys).where(p.staff == staff, p.id == id).returning(p.id)
            ).first()
            if gone is None:
                return False
            drop_lone_recovery_codes(conn, staff)
            note(conn)
        return True

    # -- a new one ---------------------------------------------------------------------------------

    def ask_to_register(self, who: Principal, login: str) -> str:
        """What the page hands to `navigator.credentials.create`, as JSON (base64url inside)."""
        known = self.of(who.key)
        options = webauthn.generate_registration_options(
            rp_id=self._host,
            rp_name="Kizashi",
            user_id=hashlib.sha256(b"passkey user " + who.key.encode()).digest(),
            user_name=login,
            user_display_name=login,
            timeout=CHALLENGE_SECONDS * 1000,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.DISCOURAGED,
                user_verification=UserVerificationRequirement.PREFERRED,
            ),
            exclude_credentials=[_descriptor(one.id) for one in known],
        )
        self._keep(who, "register", options.challenge)
        return options_to_json(options)

    def register(self, who: Principal, name: str, answer: str, *, note: Note = unnoted) -> None:
        """Take a new passkey into use. Raises BadPasskey."""
        challenge = self._spend(who, "register")
        try:
            proved = webauthn.verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._host,
                expected_origin=self._origin,
            )
        except (WebAuthnException, ValueError) as error:
            raise BadPasskey from error
        if len(self.of(who.key)) >= MOST_PASSKEYS:
            raise BadPasskey
        p = passkeys.c
        with self._database.writing() as conn:
            made = conn.execute(
                insert_new(conn, passkeys)
                .values(
                    id=bytes_to_base64url(proved.credential_id),
                    staff=who.key,
                    name=name.strip()[:LONGEST_NAME] or "passkey",
                    public_key=proved.credential_public_key,
                    sign_count=proved.sign_count,
                    made_at=self._clock.now(),
                )
                .returning(p.id)
            ).first()
            if made is None:  # somebody has registered it before
                raise BadPasskey
            note(conn)

    # -- showing one -------------------------------------------------------------------------------

    def ask_to_confirm(self, who: Principal) -> str:
        """What the page hands to `navigator.credentials.get`, as JSON. Raises BadPasskey."""
        known = self.of(who.key)
        if not known:
            raise BadPasskey
        options = webauthn.generate_authentication_options(
            rp_id=self._host,
            timeout=CHALLENGE_SECONDS * 1000,
            allow_credentials=[_descriptor(one.id) for one in known],
            user_verification=UserVerificationRequirement.PREFERRED,
        )
        self._keep(who, "confirm", options.challenge)
        return options_to_json(options)

    def confirm(self, who: Principal, answer: str) -> None:
        """The person has shown one of their passkeys. Raises BadPasskey when not."""
        challenge = self._spend(who, "confirm")
        p = passkeys.c
        with self._database.reading() as conn:
            row = conn.execute(
                select(passkeys).where(p.staff == who.key, p.id == _id_in(answer))
            ).one_or_none()
        if row is None:
            raise BadPasskey
        try:
            proved = webauthn.verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self._host,
                expected_origin=self._origin,
                credential_public_key=row.public_key,
                credential_current_sign_count=row.sign_count,
            )
        except (WebAuthnException, ValueError) as error:
            raise BadPasskey from error
        with self._database.writing() as conn:
            counted = conn.execute(
                update(passkeys)
                .where(p.id == row.id, p.sign_count == row.sign_count)
                .values(sign_count=proved.new_sign_count, used_at=self._clock.now())
                .returning(p.id)
            ).first()
        if counted is None:  # removed meanwhile, or two devices with one count
            raise BadPasskey

    # -- challenges --------------------------------------------------------------------------------

    def _keep(self, who: Principal, purpose: str, challenge: bytes) -> None:
        now = self._clock.now()
        c = passkey_challenges.c
        with self._database.writing() as conn:
            conn.execute(delete(passkey_challenges).where(c.expires_at <= now))
            conn.execute(
                upsert(conn, passkey_challenges, ["session", "purpose"]).values(
                    session=who.token_hash,
                    purpose=purpose,
                    challenge=challenge,
                    expires_at=now + timedelta(seconds=CHALLENGE_SECONDS),
                )
            )

    def _spend(self, who: Principal, purpose: str) -> bytes:
        c = passkey_challenges.c
        with self._database.writing() as conn:
            row = conn.execute(
                delete(passkey_challenges)
                .where(c.session == who.token_hash, c.purpose == purpose)
                .returning(c.challenge, c.expires_at)
            ).one_or_none()
        if row is None or row.expires_at <= self._clock.now():
            raise BadPasskey
        return bytes(row.challenge)


class _Named(msgspec.Struct):
    id: str


def _id_in(answer: str) -> str:
    try:
        return msgspec.json.decode(answer, type=_Named).id
    except msgspec.DecodeError as error:
        raise BadPasskey from error


def _descriptor(id: str) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(id=base64url_to_bytes(id))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
