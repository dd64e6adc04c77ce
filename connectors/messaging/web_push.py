"""Notices in the browsers of staff, also while the portal is closed: Web Push (RFC 8030).

What is sent is encrypted for the one browser (RFC 8291), always of the same length, and has what
`Message` has; the push service in between (the browser maker's) learns that there is a notice, when
and for which browser. We show who we are with our own key (VAPID, RFC 8292).

An address is a person; one message goes to each of their devices, and it is sent when one of them
has taken it. A device the service no longer knows (404, 410) is taken out of use. That a service
took a message does not say that anybody saw it: phones lie in drawers, and the escalation counts
acknowledgements, not notices. In a network that cannot reach the browser makers this channel does
not exist.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import timedelta
from typing import cast
from urllib.parse import urlsplit

import http_ece
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02

from connectors.messaging.posting import Poster
from connectors.messaging.registry import Kind
from warning_service.alerts.messages import TEST, Message, NotDelivered, RateLimited
from warning_service.alerts.outside.devices import CHANNEL, Device, Devices, may_call
from warning_service.channel_settings import WebPushSettings
from warning_service.clock import Clock
from warning_service.database import Database, StorageUnavailable
from warning_service.rooms import Rooms
from warning_service.settings import Settings

log = structlog.get_logger()

PLAIN_BYTES = 768
"""Every notice has this length before it is encrypted, so that its length says nothing."""

KEEP_SECONDS = {True: 4 * 3600, False: 12 * 3600}
"""So long a push service keeps an urgent (other) notice for a browser that is away. Later it would
call somebody to what others have long been called to."""

SIGNED_FOR = timedelta(hours=1)
GONE = frozenset({"http_404", "http_410"})


class WebPushChannel:
    """Encrypts and posts notices. One for the process, used by several threads."""

    name = CHANNEL
    can_update = True

    def __init__(self, settings: Settings, database: Database) -> None:
        if settings.web_push is None:
            raise ValueError("web_push is not set")
        self._settings = settings.web_push
        self._portal = settings.public_url.rstrip("/")
        self._poster = Poster(settings, public_only=True)
        self._devices = Devices(database)
        self._wall = Clock()
        self._vapid = Vapid02.from_raw(self._settings.private_key.get_secret_value().encode())

    def send(self, message: Message) -> str:
        """Tell every device of the person; return '' (a push service names nothing).

        Raises RateLimited or NotDelivered.
        """
        self._tell(message, urgent=message.urgent)
        return ""

    def update(self, remote_id: str, message: Message) -> None:  # noqa: ARG002
        """Put "somebody is on it" in the place of the notice, without a sound; nothing otherwise.

        A browser shows something for each push, so one about a record made would only disturb.
        """
        if message.state == "acknowledged":
            self._tell(message, urgent=False)

    def _tell(self, message: Message, *, urgent: bool) -> None:
        try:
            devices = self._devices.of(message.address, self._settings)
        except StorageUnavailable as error:
            raise NotDelivered("storage") from error
        if not devices:
            self._settle(message.address)
            raise NotDelivered("no_device", refused=True)
        plain = self.plain_of(message)
        reached, gone, troubles = [], [], []
        for device in devices:
            try:
                self._post(device, plain, message, urgent=urgent)
            except (RateLimited, NotDelivered) as error:
                if isinstance(error, NotDelivered) and error.why in GONE:
                    gone.append(device.id)
                else:
                    troubles.append(error)
            else:
                reached.append(device.id)
        self._note(reached, gone)
        if not reached:
            raise troubles[0] if troubles else NotDelivered("no_device", refused=True)

    def _settle(self, staff: str) -> None:
        try:
            self._devices.settle(staff)
        except StorageUnavailable as error:
            log.warning("push_devices_not_noted", error=str(error))

    def _note(self, reached: list[str], gone: list[str]) -> None:
        try:
            if gone:
                self._devices.gone(gone)
            if reached:
                self._devices.reached(reached)
        except StorageUnavailable as error:  # what was sent is sent
            log.warning("push_devices_not_noted", error=str(error))

    def plain_of(self, message: Message) -> bytes:
        """What the browser is told, padded to one length."""
        title = f"{'【至急】' if message.urgent and message.waiting else ''}{message.title}"
        known = {
            "title": title,
            "mark": "" if message.kind == TEST else f"#{message.reference}",
            "tag": message.alert_id,
            "path": message.link.removeprefix(self._portal),
            "quiet": message.state in {"acknowledged", "handled"},
        }
        return msgspec.json.encode(known).ljust(PLAIN_BYTES)

    def _post(self, device: Device, plain: bytes, message: Message, *, urgent: bool) -> None:
        if not may_call(self._settings, device.endpoint):  # the settings may have changed since
            raise NotDelivered("service_not_allowed", refused=True)
        topic = hashlib.sha256(message.alert_id.encode()).digest()[:24]
        headers = {
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(KEEP_SECONDS[message.urgent]),
            "urgency": "high" if urgent else "normal",
            # One that waits at the service is replaced by what came of it.
            "topic": base64.urlsafe_b64encode(topic).decode(),
            "authorization": self._signed(device.endpoint),
        }
        if self._poster.post(device.endpoint, encrypted(plain, device), headers).is_page:
            raise NotDelivered("unexpected_answer")  # a proxy's sign-in page, say

    def _signed(self, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        until = int((self._wall.now() + SIGNED_FOR).timestamp())
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": until,
            "sub": self._settings.contact,
        }
        return str(self._vapid.sign(claims)["Authorization"])


def encrypted(plain: bytes, device: Device) -> bytes:
    """For this browser alone, with a key and a salt that are used once."""
    once = ec.generate_private_key(ec.SECP256R1())
    return cast(
        bytes,
        http_ece.encrypt(
            plain, salt=secrets.token_bytes(16), private_key=once, dh=device.p256dh,
            auth_secret=device.auth, version="aes128gcm",
        ),
    )  # fmt: skip


def public_key(settings: WebPushSettings) -> str:
    """Our public key as browsers want it: the uncompressed point, base64url."""
    vapid = Vapid02.from_raw(settings.private_key.get_secret_value().encode())
    point = vapid.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


def new_private_key() -> str:
    """A key for `web_push.private_key`."""
    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return base64.urlsafe_b64encode(number.to_bytes(32)).rstrip(b"=").decode()


def _connect(rooms: Rooms) -> WebPushChannel | None:
    if rooms.settings.web_push is None:
        return None
    return WebPushChannel(rooms.settings, rooms.database)


KIND = Kind(
    name=CHANNEL,
    label="端末へのお知らせ",
    label_en="Notices on devices",
    hint="本人が「お知らせを受け取る端末」のページで登録します",
    hint_en="set by each person on the page for notices on this device",
    connect=_connect,
    fits=lambda _settings, _address: False,
    by_people=True,
)
