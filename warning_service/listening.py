"""Answering requests: the web server around the wired application, and the moment it is open.

The address of a service is worth telling only once somebody answers there. Uvicorn opens its
sockets after the application has started, so this is the one place that knows. It wires nothing
(`app.py` does).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from warning_service.settings import Settings

FAILED_TO_START = 3
"""Exit status when the sockets could not be opened: uvicorn's own."""


class Server(uvicorn.Server):
    """Uvicorn's server that says when its sockets are open; asking it sooner is refused."""

    def __init__(self, config: uvicorn.Config, opened: Callable[[Server], None]) -> None:
        super().__init__(config)
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._opened(self)


def listen(
    application: FastAPI,
    settings: Settings,
    *,
    opened: Callable[[Server], None] = lambda _: None,
) -> None:
    """Answer requests until told to stop; pages that listen for news are let go after 2 s.

    Calls `opened` once, as soon as requests are answered. Raises SystemExit (3) when that never
    comes about, such as when the port is taken; the log says why.
    """
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
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise SystemExit(FAILED_TO_START)
