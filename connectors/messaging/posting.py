"""One POST to somebody else's server, within bounds, and what its answer means for a message.

Shared by the channels that are webhooks or small web APIs. Certificates are checked, redirects are
not followed, an answer may take and weigh only so much, and nothing of it is ever repeated in a
log: a channel reads a status and at most a known field. No connection is kept: these services take
a few messages a minute, and a kept connection that the other side has given up is a false alarm.

Retrying and pausing are the deliverer's. This module is no general HTTP client.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import socket
import ssl
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx
import msgspec

from warning_service.alerts.messages import NotDelivered, RateLimited
from warning_service.channel_settings import is_public
from warning_service.clock import Clock
from warning_service.settings import Settings

WITHIN_SECONDS = 5.0
"""One exchange as a whole, looking up the name and shaking hands included."""

LARGEST = 64 * 1024
AGAIN_AFTER = 30.0
"""Pause after a 429 that does not say how long, or not in a way one can read."""

LONGEST_PAUSE = 900.0
"""A server that asks for more (by mistake or malice) is asked again after this."""

_ADDRESSES_TRIED = 3
_OF_THIS_MESSAGE = frozenset({400, 409, 413, 415, 422})
"""Refusals that are about what was sent; all others are about the address or its server."""

# These log whole addresses, and the address of a webhook is a secret.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A 2xx answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_page(self) -> bool:
        """A page for people, e.g. of a proxy that wants a sign-in: not the service's answer."""
        kind = self.headers.get("content-type", "").lower()
        return kind.startswith(("text/html", "application/xhtml")) or b"<html" in self.body[:1000]

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises NotDelivered when it is none."""
        try:
            found = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise NotDelivered("unexpected_answer")
        return found


class Poster:
    """Posts as the settings allow. One for a channel, used by several threads.

    `public_only`: addresses are the operator's own choice, so hosts that are not in `channel_hosts`
    must be the internet's, whatever their name resolves to at that moment.
    """

    def __init__(self, settings: Settings, *, public_only: bool = False) -> None:
        self._trusted = _trusted(settings.channel_ca_file)
        self._own = frozenset(settings.channel_hosts)
        self._public_only = public_only

    def post(self, url: str, content: bytes, headers: dict[str, str]) -> Answer:
        """Post and wait for the answer. Raises RateLimited or NotDelivered.

        Not to be called from a thread in which an event loop runs.
        """
        answer = asyncio.run(self._exchange(url, content, headers))
        return _judged(answer)

    async def _exchange(self, url: str, content: bytes, headers: dict[str, str]) -> Answer:
        try:
            async with (
                asyncio.timeout(WITHIN_SECONDS),
                httpx.AsyncClient(verify=self._trusted, timeout=WITHIN_SECONDS) as client,
            ):
                return await self._ask(client, httpx.URL(url), content, headers)
        except TimeoutError:
            raise NotDelivered("timeout") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # The message of these quotes addresses: only a word for what happened goes on.
            raise NotDelivered(_word(error)) from None

    async def _ask(
        self, client: httpx.AsyncClient, url: httpx.URL, content: bytes, headers: dict[str, str]
    ) -> Answer:
        if not self._public_only or url.host in self._own or _through_proxy(url):
            return await _once(client, url, content, headers)
        # The very address that was looked at is called: a name could lead elsewhere next time.
        named = {**headers, "host": url.netloc.decode("ascii")}
        known = {"sni_hostname": url.host}
        last: httpx.ConnectError | None = None
        for address in await _public_addresses(url):
            there = url.copy_with(host=address)
            try:
                return await _once(client, there, content, named, extensions=known)
            except httpx.ConnectError as error:
                last = error
        assert last is not None
        raise last


async def _once(
    client: httpx.AsyncClient,
    url: httpx.URL,
    content: bytes,
    headers: dict[str, str],
    **how: Any,
) -> Answer:
    asked = client.stream(
        "POST", url, content=content, headers=headers, follow_redirects=False, **how
    )
    async with asked as answer:
        body = b""
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > LARGEST:
                raise NotDelivered("too_large_an_answer")
        heads = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(status=answer.status_code, headers=heads, body=body)


async def _public_addresses(url: httpx.URL) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    if not addresses or not all(is_public(address) for address in addresses):
        raise NotDelivered("private_address")
    return addresses[:_ADDRESSES_TRIED]


def _through_proxy(url: httpx.URL) -> bool:
    """Does the house's proxy do the looking up and calling?"""
    proxies = getproxies()
    return bool(proxies.get(url.scheme) or proxies.get("all")) and not proxy_bypass(url.host)


@cache
def _trusted(own_authority: Path | None) -> ssl.SSLContext:
    # Reading all certificates takes as long as a message; once is enough.
    context = httpx.create_ssl_context()
    if own_authority is not None:
        context.load_verify_locations(cafile=own_authority)
    return context


def _judged(answer: Answer) -> Answer:
    status = answer.status
    if 200 <= status < 300:
        return answer
    if status == 429:
        raise RateLimited(_pause(answer.headers))
    if 300 <= status < 400:
        raise NotDelivered("redirect")
    raise NotDelivered(f"http_{status}", refused=status in _OF_THIS_MESSAGE)


def _pause(headers: dict[str, str]) -> float:
    """Seconds from Retry-After (a number or a date, RFC 9110) or RateLimit-Reset."""
    given = headers.get("retry-after", headers.get("ratelimit-reset", "")).strip()
    seconds = AGAIN_AFTER
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", given, re.ASCII):
        seconds = float(given)
    elif given:
        try:
            until = parsedate_to_datetime(given)
        except ValueError:
            until = None
        if until is not None:
            until = until if until.tzinfo else until.replace(tzinfo=UTC)
            seconds = math.ceil((until - Clock().now()).total_seconds())
    return min(max(seconds, 0.0), LONGEST_PAUSE)


def _word(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "timeout"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "not_trusted" if isinstance(cause, ssl.SSLCertVerificationError) else "tls"
        if isinstance(cause, socket.gaierror):
            return "no_such_host"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ProxyError):
        return "proxy"
    if isinstance(error, httpx.ConnectError):
        return "not_reachable"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError):
        return "closed"
    return "unexpected_answer" if isinstance(error, httpx.HTTPError) else type(error).__name__
