"""To a provider and back, for one browser: what goes into the address, the cookie, the session.

The state in the address is signed by us, works once, and names the cookie of the browser that set
out; nonce and PKCE verifier are made from that cookie's secret, so that nothing of a journey is
kept on the server and an address somebody else was given opens nothing. A browser may have several
journeys under way (two tabs).

Pages show what came of it; a `Problem` is one word they have a sentence for.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from typing import Literal

import msgspec
import structlog
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from connectors.sign_in.documents import ProviderDown
from connectors.sign_in.provider import Account, NotBelieved, NotTheBoards, Provider
from warning_service.access.doors.identities import NobodyHere
from warning_service.access.doors.tokens import BadToken, Claims, Kind
from warning_service.clock import Clock
from warning_service.rooms import Rooms
from warning_service.settings import Settings

log = structlog.get_logger()

JOURNEY_COOKIE = "kizashi_journey"
JOURNEY_SECONDS = 10 * 60
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_LONGEST_CODE = 2048

Problem = Literal[
    "cancelled", "too_late", "down", "not_believed", "not_the_boards", "unknown", "inactive"
]
PROBLEMS: tuple[Problem, ...] = (
    "cancelled", "too_late", "down", "not_believed", "not_the_boards", "unknown", "inactive",
)  # fmt: skip
People = Literal["staff", "children"]


class NoEntry(RuntimeError):
    """The journey ended outside. `problem` says why, in the words of `Problem`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


class Departure(msgspec.Struct, frozen=True):
    """Where the browser goes, and the secret its cookie keeps for JOURNEY_SECONDS."""

    address: str
    secret: str


class Arrival(msgspec.Struct, frozen=True):
    """Who came back: a staff or student key of `board`, with what was shown, and whereto next."""

    key: str
    board: str
    account: Account
    next_path: str


class Providers:
    """The installation's providers."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._all = {one.name: Provider(one, clock) for one in settings.sign_in_providers}

    def for_people(self, people: People) -> list[Provider]:
        """Those whose accounts are for the staff's door, or the children's, as configured."""
        return [one for one in self._all.values() if one.settings.people == people]

    def find(self, people: People, name: str) -> Provider | None:
        """One of them by name."""
        found = self._all.get(name)
        return found if found is not None and found.settings.people == people else None


def providers_of(request: Request) -> Providers:
    """The providers behind this request."""
    found = request.app.state.providers
    assert isinstance(found, Providers)
    return found


def secret_of(request: Request, rooms: Rooms) -> str:
    """The secret of this browser's journeys, '' when it has set out on none."""
    return request.cookies.get(_cookie(rooms), "")


def keep_secret(response: Response, rooms: Rooms, secret: str, *, path: str) -> None:
    """Have the browser keep it for the pages below `path` while it is away."""
    response.set_cookie(
        _cookie(rooms),
        secret,
        max_age=JOURNEY_SECONDS,
        path=path,
        httponly=True,
        samesite="lax",  # it has to come along when the provider sends the browser back
        secure=rooms.sessions.https,
    )


def _cookie(rooms: Rooms) -> str:
    # Over https no page over http, of a neighbouring site say, can plant one.
    return f"__Secure-{JOURNEY_COOKIE}" if rooms.sessions.https else JOURNEY_COOKIE


def _made(secret: str, use: str, journey: str) -> str:
    mac = hmac.digest(secret.encode(), f"{use} {journey}".encode(), "sha256")
    return urlsafe_b64encode(mac).decode().rstrip("=")


def _fingerprint(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


async def set_out(
    rooms: Rooms, provider: Provider, *, back: str, secret: str, next_path: str
) -> Departure:
    """The way to the provider. `back`: our address it returns to; `secret`: the cookie's, or ''.

    Raises NoEntry when the provider cannot be asked.
    """
    if not _SECRET.fullmatch(secret):
        secret = secrets.token_urlsafe(32)
    journey = secrets.token_urlsafe(16)
    state = rooms.tokens.issue(
        Kind.OIDC_STATE,
        provider.settings.name,
        JOURNEY_SECONDS,
        browser=_fingerprint(secret),
        journey=journey,
        next=next_path,
    )
    try:
        address = await provider.way_there(
            back=back,
            state=state,
            nonce=_made(secret, "nonce", journey),
            verifier=_made(secret, "verifier", journey),
        )
    except ProviderDown as error:
        raise _noted(provider, error.step, error.reason, "down") from None
    return Departure(address, secret)


async def come_back(
    rooms: Rooms, provider: Provider, *, back: str, secret: str, state: str, code: str, error: str
) -> Arrival:
    """Who it is that comes back with `state` and `code` (or the provider's `error`).

    Raises NoEntry, or StorageUnavailable.
    """
    claims = await _state(rooms, provider, secret, state)
    if error or not 0 < len(code) <= _LONGEST_CODE:
        problem: Problem = "cancelled" if error == "access_denied" else "not_believed"
        raise _noted(provider, "answer", "error" if error else "no_code", problem)
    journey = claims.more["journey"]
    try:
        account = await provider.account(
            code=code,
            back=back,
            nonce=_made(secret, "nonce", journey),
            verifier=_made(secret, "verifier", journey),
        )
    except ProviderDown as trouble:
        raise _noted(provider, trouble.step, trouble.reason, "down") from None
    except NotTheBoards as trouble:
        raise _noted(provider, "account", trouble.reason, "not_the_boards") from None
    except NotBelieved as trouble:
        raise _noted(provider, "token", trouble.reason, "not_believed") from None
    settings = provider.settings
    try:
        key = await run_in_threadpool(
            rooms.identities.person,
            "staff" if settings.people == "staff" else "child",
            settings.board,
            account.issuer,
            account.subject,
            account.address,
        )
    except NobodyHere as nobody:
        problem = "inactive" if nobody.inactive else "unknown"
        raise _noted(provider, "person", problem, problem) from None
    return Arrival(key, settings.board, account, claims.more["next"])


async def _state(rooms: Rooms, provider: Provider, secret: str, state: str) -> Claims:
    """Our own state, back in the browser it was made for, for the first time. Raises NoEntry."""
    try:
        claims = rooms.tokens.read(Kind.OIDC_STATE, state)
        ours = claims.subject == provider.settings.name and hmac.compare_digest(
            claims.more["browser"], _fingerprint(secret)
        )
        if not ours:
            raise BadToken
        # Spent only in the right browser: who merely sees the address cannot use it up.
        return await run_in_threadpool(rooms.tokens.spend, Kind.OIDC_STATE, state)
    except BadToken:
        raise _noted(provider, "state", "bad_state", "too_late") from None


def _noted(provider: Provider, step: str, reason: str, problem: Problem) -> NoEntry:
    """NoEntry, with a log line that says where it went wrong and nothing of who or what."""
    log.warning("sign_in_refused", channel=provider.settings.name, step=step, reason=reason)
    return NoEntry(problem)
