"""Answering requests: the web server around the wired application, and the moment it is open.

The address of a service is worth telling only once somebody answers there. Uvicorn opens its
sockets after the application has started, so this is the one place that knows; and why it could not
open them it tells a log in which libraries have no words of their own (logs.py), so that is said
here, to whoever started the service. It wires nothing (`app.py` does).
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from fastapi import FastAPI

from warning_service.settings import Settings

FAILED_TO_START = 3
"""Exit status when the sockets could not be opened: uvicorn's own."""

REFUSED = {
    errno.EADDRINUSE: (
        "ほかのプログラムがこのポートを使っています。それを止めるか、別のポートにしてください",
        "another program uses this port: stop it, or choose another port",
    ),
    errno.EACCES: (
        "このポートを使う権限がありません。1024以上のポートにしてください",
        "no right to use this port: choose one from 1024 up",
    ),
}
"""Why an address cannot be answered at, in words for whoever started the service."""
ELSE = (
    "受け付けを始められませんでした。KIZASHI_HOST がこの機械のアドレスか、"
    "上のログを確かめてください",
    "could not begin to answer: see whether KIZASHI_HOST is this machine's, and the log above",
)


class Server(uvicorn.Server):
    """Uvicorn's server that says when its sockets are open; asking it sooner is refused."""

    def __init__(self, config: uvicorn.Config, opened: Callable[[Server], None]) -> None:
        super().__init__(config)
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._opened(self)


def refuse_taken(settings: Settings) -> None:
    """End with words on standard error, and status 3, where the address cannot be listened at.

    Anything but a taken or forbidden port is left to uvicorn, which may get on in spite of it.
    """
    where = (settings.host or None, settings.port)
    try:
        for family, kind, proto, _, address in socket.getaddrinfo(
            *where, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, proto) as probe:
                if os.name == "posix":  # as asyncio does: a port just left is free
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        if error.errno not in REFUSED:
            return
        ja, en = REFUSED[error.errno]
        sys.stderr.write(f"{settings.host}:{settings.port}: {ja}\n    {en}\n")
        raise SystemExit(FAILED_TO_START) from error


@contextmanager
def _ended_by_terminate() -> Iterator[None]:
    """A SIGTERM that uvicorn has answered by ending is over: what comes after still gets done.

    Uvicorn sends itself the signal again at its end, which would kill the process on the spot.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def listen(
    application: FastAPI,
    settings: Settings,
    *,
    opened: Callable[[Server], None] = lambda _: None,
) -> None:
    """Answer requests until told to stop; pages that listen for news are let go after 2 s.

    Calls `opened` once, as soon as requests are answered. Raises SystemExit (3) when that never
    comes about, such as when the port is taken; standard error says why.
    """
    refuse_taken(settings)
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        # Whose word counts on where a request came from; without a proxy of ours, nobody's.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=2,
    )
    server = Server(config, opened)
    with _ended_by_terminate(), suppress(KeyboardInterrupt, SystemExit):
        server.run()
    if not server.started:
        ja, en = ELSE
        sys.stderr.write(f"{settings.host}:{settings.port}: {ja}\n    {en}\n")
        raise SystemExit(FAILED_TO_START)
