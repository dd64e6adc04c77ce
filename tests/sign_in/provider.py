"""A small OpenID Connect provider in a process of its own, good or bad as a test tells it.

It does what a real one does (discovery, keys, codes that work once and only with their PKCE
verifier, signed ID tokens) and, told so over POST /control, what a broken or hostile one would. The
good way is also tested against a provider that others wrote (test_other_provider.py).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

CLIENT_ID = "kizashi-client"
CLIENT_SECRET = "a secret + of / the client"
GOOD: dict[str, Any] = {
    "claims": {"sub": "u-1"},  # beside iss, aud, exp, iat and nonce
    "replace": {},  # claims put in the place of the right ones; null takes one out
    "sign": "RS256",  # RS256, ES256, none, HS256 (with the public key as secret), foreign
    "kid": True,
    "discovery": {},  # fields put in the place of the right ones
    "delay": {},  # path -> seconds before the answer
    "status": {},  # path -> status instead of an answer
    "body": {},  # path -> text instead of an answer
    "error": "",  # what /authorize sends back instead of a code
    "auth_methods": ["client_secret_basic", "client_secret_post"],
}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _number(n: int, length: int = 0) -> str:
    return b64(n.to_bytes(length or (n.bit_length() + 7) // 8, "big"))


class Keys:
    """A signing key of each kind, under names of their own."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(65537, 2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.name = secrets.token_hex(4)

    def published(self) -> list[dict[str, str]]:
        r = self.rsa.public_key().public_numbers()
        e = self.ec.public_key().public_numbers()
        return [
            {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": f"r{self.name}",
             "n": _number(r.n), "e": _number(r.e)},
            {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": f"e{self.name}",
             "x": _number(e.x, 32), "y": _number(e.y, 32)},
        ]  # fmt: skip

    def public_pem(self) -> bytes:
        return self.rsa.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def token(self, how: str, claims: dict[str, Any], *, kid: bool) -> str:
        alg = {"foreign": "RS256"}.get(how, how)
        header = {"alg": alg, "typ": "JWT"}
        if kid:
            header["kid"] = ("e" if how == "ES256" else "r") + self.name
        text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
        return f"{text}.{b64(self._signature(how, text.encode()))}"

    def _signature(self, how: str, text: bytes) -> bytes:
        if how == "none":
            return b""
        if how == "HS256":
            return hmac.digest(self.public_pem(), text, "sha256")
        if how == "ES256":
            r, s = decode_dss_signature(self.ec.sign(text, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        key = rsa.generate_private_key(65537, 2048) if how == "foreign" else self.rsa
        return key.sign(text, padding.PKCS1v15(), hashes.SHA256())


class State:
    def __init__(self) -> None:
        self.told = dict(GOOD)
        self.keys = Keys()
        self.codes: dict[str, dict[str, str]] = {}
        self.seen: list[str] = []


STATE = State()


class Provider(BaseHTTPRequestHandler):
    """The provider's addresses."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("content-length", 0))))

    def _answer(self, body: bytes) -> None:
        url = urlsplit(self.path)
        if url.path == "/control":
            told = json.loads(body)
            if told.pop("rotate", False):
                STATE.keys = Keys()
            STATE.told, STATE.seen = {**GOOD, **told}, []
            return self._send(200, {})
        if url.path == "/seen":
            return self._send(200, STATE.seen)
        STATE.seen.append(url.path)
        time.sleep(STATE.told["delay"].get(url.path, 0))
        if status := STATE.told["status"].get(url.path):
            return self._send(status, {"error": "server_error"})
        if (text := STATE.told["body"].get(url.path)) is not None:
            return self._send(200, text)
        if url.path == "/.well-known/openid-configuration":
            return self._send(200, self._discovery())
        if url.path == "/jwks":
            return self._send(200, {"keys": STATE.keys.published()})
        if url.path == "/authorize":
            return self._authorize(dict(parse_qsl(url.query)))
        if url.path == "/token" and self.command == "POST":
            return self._token({k: v[0] for k, v in parse_qs(body.decode()).items()})
        return self._send(404, {})

    @property
    def _issuer(self) -> str:
        host, port = self.server.server_address[:2]
        return f"http://{host!s}:{port}"

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self._issuer,
            "authorization_endpoint": self._issuer + "/authorize?tenant=one",
            "token_endpoint": self._issuer + "/token",
            "jwks_uri": self._issuer + "/jwks",
            "token_endpoint_auth_methods_supported": STATE.told["auth_methods"],
            **STATE.told["discovery"],
        }

    def _authorize(self, asked: dict[str, str]) -> None:
        right = {"response_type": "code", "client_id": CLIENT_ID, "tenant": "one",
                 "code_challenge_method": "S256"}  # fmt: skip
        if any(asked.get(k) != v for k, v in right.items()) or "openid" not in asked["scope"]:
            return self._send(400, {"error": "invalid_request"})
        if STATE.told["error"]:
            back = {"error": STATE.told["error"], "error_description": "<b>言葉</b>"}
        else:
            code = secrets.token_urlsafe(16)
            STATE.codes[code] = asked
            back = {"code": code}
        self.send_response(302)
        self.send_header(
            "location", f"{asked['redirect_uri']}?{urlencode({**back, 'state': asked['state']})}"
        )
        self.send_header("content-length", "0")
        self.end_headers()
        return None

    def _client_is_right(self, form: dict[str, str]) -> bool:
        given = self.headers.get("authorization", "")
        if not given:
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        both = base64.b64decode(given.removeprefix("Basic ")).decode().split(":")
        return [dict(parse_qsl("v=" + part))["v"] for part in both] == [CLIENT_ID, CLIENT_SECRET]

    def _token(self, form: dict[str, str]) -> None:
        asked = STATE.codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "")
        if (
            asked is None
            or not self._client_is_right(form)
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != asked["redirect_uri"]
            or not 43 <= len(verifier) <= 128
            or b64(hashlib.sha256(verifier.encode()).digest()) != asked["code_challenge"]
        ):
            return self._send(400, {"error": "invalid_grant"})
        told = STATE.told
        now = int(time.time())
        claims = {
            "iss": self._issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], **told["claims"], **told["replace"],
        }  # fmt: skip
        claims = {k: v for k, v in claims.items() if v is not None}
        answer = {"access_token": secrets.token_urlsafe(8), "token_type": "Bearer"}
        answer["id_token"] = STATE.keys.token(told["sign"], claims, kid=told["kid"])
        return self._send(200, answer)

    def _send(self, status: int, what: object) -> None:
        body = what.encode() if isinstance(what, str) else json.dumps(what).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    running = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    print(running.server_address[1], flush=True)
    running.serve_forever()
