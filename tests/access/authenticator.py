"""A passkey authenticator in Python: what a security key does, byte for byte, and ways to cheat.

Written from the WebAuthn specification (attestation "none", ES256) for tests without a browser;
tests/browser/test_passkeys.py drives the same server with Chromium's own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

ORIGIN = "https://portal.example"
PRESENT, ATTESTED = 0x01, 0x40


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Authenticator:
    """One device with one key."""

    host: str = "portal.example"
    origin: str = ORIGIN
    count: int = 0
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def _client(self, kind: str, options: str) -> bytes:
        challenge = json.loads(options)["challenge"]
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _data(self, flags: int, rest: bytes = b"") -> bytes:
        host = hashlib.sha256(self.host.encode()).digest()
        return host + bytes([flags]) + self.count.to_bytes(4, "big") + rest

    def create(self, options: str) -> str:
        """The answer to registration options."""
        numbers = self.key.public_key().public_numbers()
        cose = {
            1: 2, 3: -7, -1: 1,
            -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big"),
        }  # fmt: skip
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        made = {"fmt": "none", "attStmt": {}, "authData": self._data(PRESENT | ATTESTED, attested)}
        return self._answer(
            {
                "clientDataJSON": b64(self._client("webauthn.create", options)),
                "attestationObject": b64(cbor2.dumps(made)),
            }
        )

    def get(self, options: str, *, flags: int = PRESENT) -> str:
        """The answer to authentication options; each one counts."""
        self.count += 1
        client, data = self._client("webauthn.get", options), self._data(flags)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer(
            {
                "clientDataJSON": b64(client),
                "authenticatorData": b64(data),
                "signature": b64(signature),
            }
        )

    def _answer(self, response: dict[str, Any]) -> str:
        id = b64(self.id)
        return json.dumps({"id": id, "rawId": id, "type": "public-key", "response": response})
