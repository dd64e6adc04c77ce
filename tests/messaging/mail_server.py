"""A real SMTP server in a thread (aiosmtpd), with what servers do to mail by script."""

from __future__ import annotations

import asyncio
import email
import ssl
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "kizashi", "of-the-mail-server"


class Post:
    """What arrived. `replies`: for each stage (MAIL, RCPT, DATA), what is said next instead of OK.

    A reply "hang" waits, "close" hangs up.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.to: list[list[str]] = []
        self.replies: dict[str, deque[str]] = {s: deque() for s in ("MAIL", "RCPT", "DATA")}
        self.signed_in: list[bool] = []
        self.encrypted: list[bool] = []
        self.port = 0

    async def _said(self, server: SMTP, stage: str) -> str | None:
        if not self.replies[stage]:
            return None
        reply = self.replies[stage].popleft()
        if reply == "hang":
            await asyncio.sleep(30)
        if reply == "close":
            cast(Any, server).transport.abort()
            return "421 bye"
        return reply

    async def handle_MAIL(
        self, server: SMTP, _s: Session, envelope: Envelope, address: str, _o: list[str]
    ) -> str:
        if said := await self._said(server, "MAIL"):
            return said
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, _s: Session, envelope: Envelope, address: str, _o: list[str]
    ) -> str:
        if said := await self._said(server, "RCPT"):
            return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if said := await self._said(server, "DATA"):
            return said
        raw = cast(bytes, envelope.content)
        self.raw.append(raw)
        self.mails.append(email.message_from_bytes(raw, policy=default))
        self.to.append(list(envelope.rcpt_tos))
        self.signed_in.append(bool(session.authenticated))
        self.encrypted.append(session.ssl is not None or _below_tls(server))
        return "250 taken"


def _who(_server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
    fits = isinstance(data, LoginPassword) and (data.login, data.password) == (
        USER.encode(), PASSWORD.encode(),
    )  # fmt: skip
    return AuthResult(success=fits, handled=fits)


def _below_tls(server: SMTP) -> bool:
    return cast(Any, server).transport.get_extra_info("ssl_object") is not None


@contextmanager
def mail_running(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, auth: bool = False
) -> Iterator[Post]:
    """A server on this machine, on a port of the system's; with these certificates."""
    post, loop = Post(), asyncio.new_event_loop()

    def session() -> SMTP:
        with warnings.catch_warnings():
            # It warns of signing in without STARTTLS, also below TLS from the first byte.
            warnings.simplefilter("ignore")
            return SMTP(
                post, tls_context=starttls, require_starttls=starttls is not None,
                authenticator=_who if auth else None, auth_required=auth,
                auth_require_tls=tls is None, hostname="mail.test", loop=loop, timeout=30,
            )  # fmt: skip

    server = loop.run_until_complete(loop.create_server(session, "127.0.0.1", 0, ssl=tls))
    post.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield post
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
