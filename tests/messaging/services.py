"""Servers shaped like Teams' Workflows, Google Chat, LINE WORKS and a careful webhook receiver.

Each refuses what the real service is documented to refuse. They are written from documentation: the
real services could not be reached from where this was made.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jose import JWTError, jwt

from tests.messaging.http_server import SECRET_OF_THE_SERVER, Call, Reply, Service
from warning_service.clock import Clock, monotonic

JSON = {"content-type": "application/json; charset=utf-8"}


def _reply(status: int, body: Any) -> Reply:
    return status, JSON, json.dumps(body).encode()


def _body(call: Call) -> Any:
    try:
        return json.loads(call.body)
    except ValueError:
        return None


class Teams(Service):
    """Workflows: "when a Teams webhook request is received"."""

    PATH = "/workflows/0a1b/triggers/manual/paths/invoke"
    QUERY = "api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=Zm9vYmFy"

    def answer(self, call: Call) -> Reply:
        if call.path != self.PATH or call.query.get("sig") != ["Zm9vYmFy"]:
            return _reply(401, {"error": {"code": "DirectApiAuthorizationRequired"}})
        body = _body(call)
        if len(call.body) > 28 * 1024 or not isinstance(body, dict):
            return _reply(400, {"error": {"code": "InvalidRequestContent"}})
        [attached] = body["attachments"]
        card = attached["content"]
        assert body["type"] == "message"
        assert attached["contentType"] == "application/vnd.microsoft.card.adaptive"
        assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
        assert all(part["type"] == "TextBlock" and part["text"] for part in card["body"])
        assert [one["type"] for one in card["actions"]] == ["Action.OpenUrl"]
        run = f"0858{len(self.calls):016d}CU00"
        return 202, {"x-ms-workflow-run-id": run}, b""


class GoogleChat(Service):
    """`spaces.messages.create` by an incoming webhook."""

    PATH = "/v1/spaces/AAQA1234/messages"
    QUERY = "key=AIza-test&token=tok-test"

    def __init__(self) -> None:
        super().__init__()
        self.threads: dict[str, str] = {}

    def answer(self, call: Call) -> Reply:
        if call.path != self.PATH or call.query.get("token") != ["tok-test"]:
            return _reply(403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}})
        body = _body(call)
        if not isinstance(body, dict) or not body.get("text"):
            return _reply(400, {"error": {"code": 400, "status": "INVALID_ARGUMENT"}})
        thread = f"new{len(self.calls)}"
        if call.query.get("messageReplyOption") == ["REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"]:
            thread = self.threads.setdefault(body["thread"]["threadKey"], thread)
        name = f"spaces/AAQA1234/messages/{thread}.m{len(self.calls)}"
        return _reply(
            200,
            {"name": name, "thread": {"name": f"spaces/AAQA1234/threads/{thread}"},
             "text": body["text"]},
        )  # fmt: skip


class LineWorks(Service):
    """The token endpoint and the bot API of LINE WORKS (API 2.0)."""

    BOT, CLIENT, ACCOUNT = "6811111", "client-1", "abcde.serviceaccount@school"
    CLIENT_SECRET = "client-secret-1"
    ROOMS = ("bots/6811111/channels/room-1", "bots/6811111/users/u-1")

    def __init__(self) -> None:
        super().__init__()
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.private_pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()
        self._public = (
            key.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )
        self.tokens: dict[str, float] = {}
        self.lives = 86_400.0
        self.token_script: list[Reply] = []
        self.fault_on = "messages"

    def faulty(self, call: Call) -> bool:
        return call.path.endswith(self.fault_on)

    def answer(self, call: Call) -> Reply:
        if call.path == "/oauth2/v2.0/token":
            return self._token(call)
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        if monotonic() >= self.tokens.get(token, 0.0):
            return _reply(401, {"code": "UNAUTHORIZED", "description": SECRET_OF_THE_SERVER})
        found = re.fullmatch(r"/v1\.0/(bots/\d+/(?:channels|users)/[^/]+)/messages", call.path)
        if found is None or found.group(1) not in self.ROOMS:
            return _reply(404, {"code": "NOT_FOUND", "description": SECRET_OF_THE_SERVER})
        content = _body(call)["content"]
        assert content["type"] == "button_template"
        assert 0 < len(content["contentText"]) <= 300
        [action] = content["actions"]
        assert action["type"] == "uri"
        assert len(action["label"]) <= 20
        assert len(action["uri"]) <= 1000
        return 201, {}, b""

    def _token(self, call: Call) -> Reply:
        if self.token_script:
            return self.token_script.pop(0)
        asked = {name: values[0] for name, values in parse_qs(call.body.decode()).items()}
        fits = (
            asked.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer"
            and asked.get("client_id") == self.CLIENT
            and asked.get("client_secret") == self.CLIENT_SECRET
            and asked.get("scope") == "bot"
        )
        try:
            claims = jwt.decode(asked.get("assertion", ""), self._public, algorithms=["RS256"])
        except JWTError:
            claims = {}
        now = Clock().now().timestamp()
        fits = fits and (claims.get("iss"), claims.get("sub")) == (self.CLIENT, self.ACCOUNT)
        if not fits or not now - 60 < claims["iat"] <= claims["exp"] <= claims["iat"] + 3600:
            return _reply(400, {"error": "invalid_grant"})
        token = f"token-{len(self.tokens) + 1}"
        self.tokens[token] = monotonic() + self.lives
        return _reply(
            200,
            {"access_token": token, "refresh_token": "r", "token_type": "Bearer",
             "expires_in": str(int(self.lives)), "scope": "bot"},
        )  # fmt: skip


class Receiver(Service):
    """A receiver of signed webhooks that checks and takes each delivery once."""

    WINDOW = 300

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.taken: dict[str, Any] = {}
        self.repeats = 0

    def answer(self, call: Call) -> Reply:
        if not self.believes(call):
            return _reply(401, {"error": "signature"})
        delivery = call.headers["webhook-id"]
        self.repeats += delivery in self.taken
        self.taken[delivery] = _body(call)
        return 204, {}, b""

    def believes(self, call: Call) -> bool:
        """Is it signed with our key, and of these minutes?"""
        stamp = call.headers.get("webhook-timestamp", "")
        if not stamp.isdigit() or abs(Clock().now().timestamp() - int(stamp)) > self.WINDOW:
            return False
        signed = f"{call.headers['webhook-id']}.{stamp}.".encode() + call.body
        secret = base64.b64decode(self.key.removeprefix("whsec_"))
        wanted = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        given = call.headers.get("webhook-signature", "").split(" ")
        return any(hmac.compare_digest(one, f"v1,{wanted}") for one in given)


class Elsewhere(Service):
    """Where a redirect would lead: nobody may ever come here."""

    def answer(self, call: Call) -> Reply:
        return 200, JSON, b'{"name": "spaces/A/messages/B", "ok": true}'
