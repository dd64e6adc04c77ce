"""Headers on every answer, a bound on every body, and one log line for every request.

The log line names the route's template (`/portal/students/{student}`), never the path itself.
Pages hold personal data, so nothing but static files may be cached. No form here is large, and
files come in through the command line: a body beyond the bound is refused while it arrives, before
a framework keeps it (a file in a form would go to disk, and a full disk silences everybody).
"""

from __future__ import annotations

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from warning_service.clock import monotonic

log = structlog.get_logger()

LARGEST_BODY = 128 * 1024

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = [
    (b"content-security-policy", _CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    # To ourselves only: a page that asks for a confirmation leads back to where one came from.
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
]
HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


def bounded(receive: Receive) -> Receive:
    """`receive`, raising HTTPException 413 once more than LARGEST_BODY bytes have come."""
    taken = 0

    async def receive_bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > LARGEST_BODY:
            raise HTTPException(413, "too large")
        return message

    return receive_bounded


class Hardened:
    """ASGI middleware; plain, because it is on the check-in path."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = [*HEADERS, HSTS] if https else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = monotonic()
        status = 0

        async def send_hardened(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                headers.extend(self._headers)
                static = scope["path"].startswith("/static/")
                if not static and all(name != b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(scope, bounded(receive), send_hardened)
        finally:
            route = scope.get("route")
            log.debug(
                "request",
                method=scope["method"],
                route=getattr(route, "path", "-"),
                status=status,
                ms=round((monotonic() - begin) * 1000, 1),
            )
