"""A real HTTP(S) server in a thread that answers as a service does, or misbehaves by script.

Plain sockets and the standard library, because half of what has to be tried (a connection closed
without an answer, an answer that trickles, words that are no HTTP) no web framework would send.
"""

from __future__ import annotations

import socket
import ssl
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from warning_service.clock import Clock

SECRET_OF_THE_SERVER = "body-of-the-server-that-must-stay-out-of-logs"
PAGE = f"<!doctype html><html><title>Sign in</title>{SECRET_OF_THE_SERVER}</html>".encode()

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Call:
    """One request as it arrived."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class Service(ABC):
    """What a kind of server answers; `script`: faults for the next calls, in order."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.script: deque[str] = deque()
        self.elsewhere = ""
        self.over = threading.Event()

    @abstractmethod
    def answer(self, call: Call) -> Reply:
        """The service's own answer. Also judges the call as the service would."""

    def faulty(self, call: Call) -> bool:
        """May a scripted fault hit this call?"""
        return True


HTTP_FAULTS = (
    "429", "429 date", "429 silent", "429 odd", "429 for ever", "500", "502", "503", "404", "401",
    "400", "hang", "drip", "closed", "half", "no http", "page", "large", "redirect", "redirect 308",
)  # fmt: skip
"""What `Handler` can do wrong."""


def wrong(fault: str, elsewhere: str) -> Reply | None:
    """The answer to give for a fault that is a proper HTTP answer."""
    body = SECRET_OF_THE_SERVER.encode()
    date = format_datetime(Clock().now() + timedelta(seconds=9), usegmt=True)
    known: dict[str, Reply] = {
        "429": (429, {"retry-after": "7"}, body),
        "429 date": (429, {"retry-after": date}, body),
        "429 silent": (429, {}, body),
        "429 odd": (429, {"retry-after": "soon; please"}, body),
        "429 for ever": (429, {"retry-after": "99999999999999"}, body),
        "page": (200, {"content-type": "text/html; charset=utf-8"}, PAGE),
        "large": (200, {"content-type": "application/json"}, b" " * 3_000_000 + b"{}"),
        "redirect": (302, {"location": elsewhere}, body),
        "redirect 308": (308, {"location": elsewhere}, body),
    }
    if fault.isdigit() and fault not in known:
        return int(fault), {"content-type": "text/plain"}, body
    return known.get(fault)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Service

    def log_message(self, *_: Any) -> None:
        """Nothing: tests read `calls`."""

    def _any(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        parts = urlsplit(self.path)
        call = Call(
            path=parts.path,
            query=parse_qs(parts.query),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
        )
        service = self.service
        service.calls.append(call)
        fault = service.script.popleft() if service.script and service.faulty(call) else ""
        if not fault:
            self._say(service.answer(call))
        elif (reply := wrong(fault, service.elsewhere)) is not None:
            self._say(reply)
        else:
            self._break(fault)
        self.close_connection = True

    do_POST = do_GET = do_PUT = _any

    def _say(self, reply: Reply) -> None:
        status, headers, body = reply
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _break(self, fault: str) -> None:
        if fault == "hang":
            self.service.over.wait(30)
        elif fault == "drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
            while not self.service.over.wait(0.2):
                self.wfile.write(b"a")
        elif fault == "closed":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "half":
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")
        elif fault == "no http":
            self.wfile.write(SECRET_OF_THE_SERVER.encode() + b"\r\n\r\n")
        else:
            raise AssertionError(fault)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that go away are what is being tried."""


@contextmanager
def serving(service: Service, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """`service` on a free port of this machine; its address without a slash at the end."""
    handler = type("Handler", (_Handler,), {"service": service})
    server = _Server(("127.0.0.1", 0), handler)
    if tls is not None:
        # Shaken hands in the connection's own thread, so that a refusal stops nobody else.
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    scheme = "https" if tls else "http"
    try:
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        service.over.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
