"""A push service as a real HTTPS server: checks who sends, and decrypts as the browser would."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from connectors.messaging.web_push import new_private_key
from warning_service.clock import Clock


def text_of(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def bytes_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Browser:
    """What a browser keeps of its subscription, and what it gives away."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._auth = secrets.token_bytes(16)
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.p256dh, self.auth = text_of(point), text_of(self._auth)

    def opened(self, body: bytes) -> dict[str, Any]:
        plain = http_ece.decrypt(
            body, private_key=self._key, auth_secret=self._auth, version="aes128gcm"
        )
        self.length = len(plain)
        found = json.loads(plain)
        assert isinstance(found, dict)
        return found


class PushService:
    """Subscriptions by their path, what came for each, and what is answered instead (`script`)."""

    def __init__(self, public_key: str) -> None:
        self.public_key = public_key
        self.browsers: dict[str, Browser] = {}
        self.shown: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.script: dict[str, deque[int | str]] = {}
        self.refused: list[str] = []
        self.address = ""

    def subscribe(self) -> Browser:
        path = f"/push/{secrets.token_urlsafe(16)}"
        self.browsers[path] = Browser(self.address + path)
        return self.browsers[path]

    def answers(self, browser: Browser, *replies: int | str) -> None:
        self.script[browser.endpoint.removeprefix(self.address)] = deque(replies)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """(status, Retry-After)"""
        self.headers.append(headers)
        self.bodies.append(body)
        if script := self.script.get(path):
            said = script.popleft()
            return (429, said) if isinstance(said, str) else (said, "")
        browser = self.browsers.get(path)
        if browser is None:
            return 404, ""
        if why := self._wrong(headers):
            self.refused.append(why)
            return 403, ""
        self.shown.append((path, browser.opened(body)))
        return 201, ""

    def _wrong(self, headers: dict[str, str]) -> str:
        """What a push service finds wrong with a sender (RFC 8030, 8188, 8292)."""
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        parts = dict(part.split("=", 1) for part in rest.split(",") if "=" in part)
        if scheme != "vapid" or parts.get("k") != self.public_key:
            return "key"
        head, claims_text, _ = parts["t"].split(".")
        if json.loads(bytes_of(head))["alg"] != "ES256":
            return "algorithm"
        if not Vapid02.verify(headers["authorization"]):
            return "signature"
        claims = json.loads(bytes_of(claims_text))
        now = Clock().now().timestamp()
        if claims["aud"] != self.address or not now < claims["exp"] <= now + 86400:
            return "claims"
        if not claims["sub"].startswith(("mailto:", "https:")):
            return "contact"
        if headers.get("content-encoding") != "aes128gcm" or not headers["ttl"].isdigit():
            return "headers"
        if headers.get("urgency") not in {"very-low", "low", "normal", "high"}:
            return "urgency"
        topic = headers.get("topic", "")
        if len(topic) > 32 or not topic.replace("-", "").replace("_", "").isalnum():
            return "topic"
        return ""


@contextmanager
def push_running(context: ssl.SSLContext, private_key: str) -> Iterator[PushService]:
    """A service on this machine that knows the public half of this key."""
    vapid = Vapid02.from_raw(private_key.encode())
    point = vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    service = PushService(text_of(point))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            known = {name.lower(): value for name, value in self.headers.items()}
            status, pause = service.take(self.path, known, body)
            self.send_response(status)
            if pause:
                self.send_header("Retry-After", pause)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    service.address = f"https://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


__all__ = ["Browser", "PushService", "new_private_key", "push_running"]
