"""Signed tokens for what has to travel through somebody else's hands: a link, a redirect.

This is the only wrapper of python-jose, and it leaves nothing of a token to the token's sender. A
token's first part must be, byte for byte, one of the few this installation writes itself, so that
no algorithm, key or type is ever chosen by who sends it; what the signature covers is read only
after it has been found good, into a fixed shape. Each kind of token has keys of its own, derived
from `secret_keys`: the newest signs, all verify, and a key that is dropped takes its tokens along.

Sessions are not tokens (access/doors/sessions.py): a row can be revoked, a signature cannot. What
must work only once is `spend`, which remembers the token's id in a table.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jose import JOSEError, jwk, jws
from jose.backends.base import Key
from sqlalchemy import delete

from warning_service.access.tables import spent_tokens
from warning_service.clock import Clock
from warning_service.database import Database, insert_new
from warning_service.settings import Settings

ALGORITHM = "HS256"
LONGEST = 4096
"""Characters; a longer text is not looked at."""

CLOCKS_DIFFER_SECONDS = 30
"""A token from another machine of this installation may seem to come from that far ahead."""

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


class Kind(StrEnum):
    """What a token is for; one kind never passes for another."""

    INVITATION = "invitation"  # a new member of staff sets up an account
    OIDC_STATE = "oidc_state"  # the way to a sign-in provider and back


class BadToken(ValueError):
    """Not a token of ours, of this kind, in force. It never says which: the sender learns nothing.

    `expired` is for a kind page only: the token was genuine, and its time is over.
    """

    def __init__(self, *, expired: bool = False) -> None:
        super().__init__("not a valid token")
        self.expired = expired


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a genuine token says. `id` is random and its own; `more` is what `issue` was given."""

    kind: Kind
    subject: str
    id: str
    issued_at: datetime
    expires_at: datetime
    more: Mapping[str, str]


_Second = Annotated[int, msgspec.Meta(ge=0, le=2**35)]


class _Payload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signed part as it is written; every field is required and of exactly this type."""

    iss: str
    aud: str
    sub: str
    jti: str
    iat: _Second
    exp: _Second
    more: dict[str, str]


class _Key(msgspec.Struct, frozen=True):
    kind: Kind
    secret: Key  # made once: jose guesses what it is given from the bytes otherwise
    headers: dict[str, str]
    head: str  # the first part of every token this key signs


def _key(kind: Kind, master: bytes) -> _Key:
    # One key for each purpose: a text signed for one can never be replayed for another.
    derive = HKDF(
        algorithm=hashes.SHA256(), length=32, salt=None, info=f"kizashi token {kind}".encode()
    )
    derived = derive.derive(master)
    secret = jwk.construct(derived, ALGORITHM)
    name = hashlib.sha256(b"kid:" + derived).hexdigest()[:12]
    headers = {"typ": f"kizashi-{kind.value}+jwt", "kid": name}
    head = jws.sign(b"", secret, headers=headers, algorithm=ALGORITHM).split(".")[0]
    return _Key(kind, secret, headers, head)


class Tokens:
    """Issue, read and spend tokens."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        """Raises ValueError when the settings hold no secret key."""
        self._database = database
        self._clock = clock
        self._issuer = settings.public_url
        masters = [base64.urlsafe_b64decode(key.get_secret_value()) for key in settings.secret_keys]
        if not masters:
            raise ValueError("no secret_keys: tokens could not be signed")
        self._newest = {kind: _key(kind, masters[0]) for kind in Kind}
        every = [_key(kind, master) for kind in Kind for master in masters]
        self._by_head = {key.head: key for key in every}

    def issue(self, kind: Kind, subject: str, seconds: int, **claims: str) -> str:
        """A token of `kind` about `subject`, in force for `seconds`, with these claims beside.

        Anybody who holds it can read it: keys and ids only, never a name. Raises ValueError when
        it would be longer than LONGEST characters.
        """
        now = int(self._clock.now().timestamp())
        payload = _Payload(
            iss=self._issuer,
            aud=_audience(kind),
            sub=subject,
            jti=secrets.token_urlsafe(16),
            iat=now,
            exp=now + seconds,
            more=claims,
        )
        key = self._newest[kind]
        written = msgspec.json.encode(payload)
        token = jws.sign(written, key.secret, headers=key.headers, algorithm=ALGORITHM)
        if len(token) > LONGEST:
            raise ValueError("too much for one token")
        return str(token)

    def read(self, kind: Kind, token: str) -> Claims:
        """What a token of `kind` says. Raises BadToken for anything else."""
        if len(token) > LONGEST or not _SHAPE.fullmatch(token):
            raise BadToken
        key = self._by_head.get(token.partition(".")[0])
        if key is None or key.kind is not kind:
            raise BadToken
        try:
            written = jws.verify(token, key.secret, algorithms=[ALGORITHM])
            payload = msgspec.json.decode(written, type=_Payload)
        except (JOSEError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadToken from error
        if payload.iss != self._issuer or payload.aud != _audience(kind):
            raise BadToken
        now = self._clock.now().timestamp()
        if payload.iat > now + CLOCKS_DIFFER_SECONDS:
            raise BadToken
        if payload.exp <= now:
            raise BadToken(expired=True)
        return Claims(
            kind=kind,
            subject=payload.sub,
            id=payload.jti,
            issued_at=datetime.fromtimestamp(payload.iat, UTC),
            expires_at=datetime.fromtimestamp(payload.exp, UTC),
            more=payload.more,
        )

    def spend(self, kind: Kind, token: str) -> Claims:
        """Like `read`, and the token works no second time, however many try at once.

        Raises BadToken, also for one spent before; StorageUnavailable: then it is not spent.
        """
        claims = self.read(kind, token)
        t = spent_tokens
        with self._database.writing() as conn:
            # What has expired is refused by its own time; a day more, for clocks that differ.
            past = self._clock.now() - timedelta(days=1)
            conn.execute(delete(t).where(t.c.expires_at < past))
            first = conn.execute(
                insert_new(conn, t)
                .values(id=claims.id, kind=kind.value, expires_at=claims.expires_at)
                .returning(t.c.id)
            ).first()
        if first is None:
            raise BadToken
        return claims


def _audience(kind: Kind) -> str:
    return f"kizashi:{kind.value}"
