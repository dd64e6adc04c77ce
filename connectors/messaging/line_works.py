"""LINE WORKS as a channel: a bot that speaks to a talk room or to one member.

An address is `channel:` and the room's id, or `user:` and the member's id. The bot speaks through a
service account: an assertion signed with the account's key is exchanged for a token, which is kept
until shortly before its end and fetched anew when the service no longer takes it. A bot cannot
change what it has said, so "taken on" is said in a further message.
"""

from __future__ import annotations

import re
import threading
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from connectors.messaging.posting import Poster
from connectors.messaging.registry import Kind
from warning_service.alerts.messages import Message, NotDelivered, RateLimited
from warning_service.clock import Clock, monotonic
from warning_service.rooms import Rooms
from warning_service.settings import Settings

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "bot"
ASSERTION_SECONDS = 10 * 60
RENEW_BEFORE = 10 * 60.0
"""A token is renewed that many seconds before its end, or at half of its life if that is short."""

SHORTEST_TOKEN = 1.0
LONGEST_TEXT = 300  # of a message with a button
AFTER_A_FAILURE = 2.0
"""So long nobody else asks for a token after the one who asked got none: they would all hang."""

ADDRESS = re.compile(r"(channel|user):([A-Za-z0-9][A-Za-z0-9._@+-]{0,99})", re.ASCII)
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}", re.ASCII)


class LineWorksChannel:
    """Speaks through the bot of the settings; one token for all threads."""

    name = "line_works"
    can_update = False

    def __init__(self, settings: Settings) -> None:
        if settings.line_works is None:
            raise ValueError("line_works is not set")
        self._settings = settings.line_works
        self._poster = Poster(settings)
        try:
            self._key = RSAKey.import_key(self._settings.private_key.get_secret_value())
        except (JoseError, ValueError):
            # Not the library's own words: they may quote the key.
            raise ValueError("line_works.private_key is no RSA key in PEM") from None
        if not self._key.is_private:
            raise ValueError("line_works.private_key is a public key")
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = 0.0
        self._failed: tuple[float, NotDelivered | RateLimited] | None = None

    def send(self, message: Message) -> str:
        """Say it; the service names no message, so the delivery's id is what it is called here.

        Raises RateLimited or NotDelivered.
        """
        found = ADDRESS.fullmatch(message.address)
        if found is None:
            raise NotDelivered("unknown_address")
        kind, to = found.groups()
        base = self._settings.api_url.get_secret_value().rstrip("/")
        url = f"{base}/bots/{self._settings.bot_id}/{kind}s/{quote(to, safe='')}/messages"
        body = msgspec.json.encode(body_of(message))
        token = self._current()
        try:
            self._say(url, body, token)
        except NotDelivered as error:
            if error.why != "http_401":
                raise
            # The service has ended the token early (a new key, a clock set right): once more.
            self._say(url, body, self._current(not_this=token))
        return message.delivery

    def update(self, remote_id: str, message: Message) -> None:  # noqa: ARG002
        """Say the new state in a further message. Raises RateLimited or NotDelivered."""
        self.send(message)

    def _say(self, url: str, body: bytes, token: str) -> None:
        headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        if self._poster.post(url, body, headers).is_page:
            raise NotDelivered("unexpected_answer")

    def _current(self, *, not_this: str = "") -> str:
        """The token in force, fetched by whoever first needs it. Raises as `send`."""
        with self._lock:
            now = monotonic()
            if self._token and self._token != not_this and now < self._renew_at:
                return self._token
            if self._failed is not None and now - self._failed[0] < AFTER_A_FAILURE:
                raise self._failed[1]
            try:
                self._token, lives = self._fetch()
            except (NotDelivered, RateLimited) as error:
                self._token, self._failed = "", (monotonic(), error)
                raise
            self._failed = None
            self._renew_at = now + max(lives - RENEW_BEFORE, lives / 2)
            return self._token

    def _fetch(self) -> tuple[str, float]:
        asked = {
            "assertion": self._assertion(),
            "grant_type": GRANT,
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.get_secret_value(),
            "scope": SCOPE,
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        url = self._settings.auth_url.get_secret_value()
        try:
            given = self._poster.post(url, urlencode(asked).encode(), headers).json()
        except NotDelivered as error:
            # Whatever is wrong with the token is wrong for every message, not for this one.
            raise NotDelivered(f"token_{error.why}") from None
        token = given.get("access_token")
        lives = _seconds(given.get("expires_in"))
        if not isinstance(token, str) or not _TOKEN.fullmatch(token) or lives < SHORTEST_TOKEN:
            raise NotDelivered("token_unexpected_answer")
        return token, lives

    def _assertion(self) -> str:
        issued = int(Clock().now().timestamp())
        claims = {
            "iss": self._settings.client_id,
            "sub": self._settings.service_account,
            "iat": issued,
            "exp": issued + ASSERTION_SECONDS,
        }
        return jwt.encode({"alg": "RS256"}, claims, self._key, algorithms=["RS256"])


def _seconds(given: object) -> float:
    """How long a token lives: the service says it as a number, or as one in quotes."""
    if isinstance(given, str) and re.fullmatch(r"\d{1,9}", given, re.ASCII):
        return float(given)
    number = isinstance(given, int | float) and not isinstance(given, bool)
    return float(given) if number and 0 < given < 1e9 else 0.0  # type: ignore[operator,arg-type]


def body_of(message: Message) -> dict[str, Any]:
    """A line with a button that leads to the portal."""
    urgent = message.urgent and message.state in {"open", "escalated"}
    said = f"{'【至急】' if urgent else ''}{message.title} {message.marks}"
    return {
        "content": {
            "type": "button_template",
            "contentText": said[:LONGEST_TEXT],
            "actions": [{"type": "uri", "label": "ポータルで開く", "uri": message.link}],
        }
    }


def _connect(rooms: Rooms) -> LineWorksChannel | None:
    return None if rooms.settings.line_works is None else LineWorksChannel(rooms.settings)


KIND = Kind(
    name="line_works",
    label="LINE WORKS",
    label_en="LINE WORKS",
    hint="channel:トークルームのID、またはuser:メンバーのID",
    hint_en="channel: and the talk room's id, or user: and the member's id",
    connect=_connect,
    fits=lambda _settings, address: ADDRESS.fullmatch(address) is not None,
)
