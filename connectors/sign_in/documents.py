"""What a provider publishes about itself: its addresses (discovery) and its keys (JWKS).

Fetched over the network, so everything here is bounded: how long it may take as a whole, how large
an answer may be, how long it is kept. A provider that is down, slow or talks nonsense is a
`ProviderDown`, which says at which step and never what was sent.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from warning_service.clock import monotonic
from warning_service.settings import SignInProvider

WITHIN_SECONDS = 5.0
"""One exchange with a provider, as a whole: a slow one must not look like a page that hangs."""

LARGEST = 256 * 1024
KEEP_SECONDS = 3600.0


class ProviderDown(RuntimeError):
    """The provider cannot be asked now. `step`: discovery, keys or token."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason


class Discovery(msgspec.Struct, frozen=True):
    """The part of a provider's discovery document that is used here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(
        default_factory=lambda: ["client_secret_basic"]
    )


async def fetch(step: str, method: str, url: str, **sent: Any) -> tuple[int, bytes]:
    """Status and body of one exchange; redirects are not followed. Raises ProviderDown."""
    try:
        async with (
            asyncio.timeout(WITHIN_SECONDS),
            httpx.AsyncClient(verify=_trusted(), timeout=WITHIN_SECONDS) as client,
            client.stream(method, url, headers={"accept": "application/json"}, **sent) as answer,
        ):
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise ProviderDown(step, "too_large")
            return answer.status_code, body
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:  # a timeout is an OSError too
        # The message of these quotes addresses and answers: only the type goes on.
        raise ProviderDown(step, type(error).__name__) from None


_context: list[ssl.SSLContext] = []


def _trusted() -> ssl.SSLContext:
    # Reading all certificates takes as long as a sign-in; once is enough.
    if not _context:
        _context.append(ssl.create_default_context())
    return _context[0]


class Documents:
    """One provider's discovery document and keys, kept for an hour."""

    def __init__(self, provider: SignInProvider) -> None:
        self._provider = provider
        self._discovery: tuple[float, Discovery] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def discovery(self) -> Discovery:
        """The provider's addresses. Raises ProviderDown."""
        if self._discovery is not None and monotonic() - self._discovery[0] < KEEP_SECONDS:
            return self._discovery[1]
        issuer = self._provider.issuer
        address = issuer.rstrip("/") + "/.well-known/openid-configuration"
        status, body = await fetch("discovery", "GET", address)
        if status != 200:
            raise ProviderDown("discovery", f"status_{status}")
        try:
            found = msgspec.json.decode(body, type=Discovery)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise ProviderDown("discovery", "unreadable") from None
        if found.issuer != issuer:
            raise ProviderDown("discovery", "other_issuer")
        scheme = urlsplit(issuer).scheme
        for url in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
            # A code or secret must not go out readable because a document says so.
            if urlsplit(url).scheme not in {scheme, "https"} or not urlsplit(url).netloc:
                raise ProviderDown("discovery", "unsafe_address")
        self._discovery = (monotonic(), found)
        return found

    async def keys(self, *, fresh: bool = False) -> KeySet:
        """The provider's signing keys; `fresh` asks again, for a key we do not know.

        Raises ProviderDown.
        """
        if not fresh and self._keys and monotonic() - self._keys[0] < KEEP_SECONDS:
            return self._keys[1]
        status, body = await fetch("keys", "GET", (await self.discovery()).jwks_uri)
        if status != 200:
            raise ProviderDown("keys", f"status_{status}")
        try:
            found = KeySet.import_key_set(msgspec.json.decode(body))
        except (JoseError, msgspec.DecodeError, ValueError, TypeError, KeyError):
            raise ProviderDown("keys", "unreadable") from None
        self._keys = (monotonic(), found)
        return found
