"""Signed webhooks: the same small message for whatever else a board runs.

An address is the name of a receiver in the settings (`[webhook.targets]`). What is sent and how to
check it is the open convention "Standard Webhooks", so that receivers have libraries for it: three
headers carry the delivery's id, the time and one HMAC-SHA256 over both and the body for each of up
to two keys (while a key is exchanged, a receiver may know either). A repeat after a lost answer has
the same id; the receiver keeps the ids it has taken. Any 2xx means taken.

A change of state is sent as a further request about the same alert, and it is for the receiver to
change what it shows. Body and check are described in docs/channels/webhook.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import msgspec

from connectors.messaging.posting import Poster
from connectors.messaging.registry import Kind
from warning_service.alerts.messages import Message, NotDelivered
from warning_service.channel_settings import key_bytes
from warning_service.clock import Clock
from warning_service.rooms import Rooms
from warning_service.settings import Settings


class WebhookChannel:
    """Posts signed messages to the receivers of the settings."""

    name = "webhook"
    can_update = True

    def __init__(self, settings: Settings) -> None:
        if settings.webhook is None:
            raise ValueError("webhook is not set")
        self._targets = settings.webhook.targets
        self._poster = Poster(settings, public_only=True)
        self._wall = Clock()

    def send(self, message: Message) -> str:
        """Post; return the delivery's id. Raises RateLimited or NotDelivered."""
        target = self._targets.get(message.address)
        if target is None:
            raise NotDelivered("unknown_address")
        body = msgspec.json.encode(body_of(message))
        seconds = int(self._wall.now().timestamp())
        keys = [key_bytes(key.get_secret_value()) for key in target.keys]
        headers = {
            "content-type": "application/json",
            "webhook-id": message.delivery,
            "webhook-timestamp": str(seconds),
            "webhook-signature": signatures(keys, message.delivery, seconds, body),
        }
        answer = self._poster.post(target.url.get_secret_value(), body, headers)
        if answer.is_page:
            raise NotDelivered("unexpected_answer")
        return message.delivery

    def update(self, remote_id: str, message: Message) -> None:  # noqa: ARG002
        """Tell the new state of the same alert. Raises RateLimited or NotDelivered."""
        self.send(message)


def signatures(keys: Sequence[bytes], delivery: str, seconds: int, body: bytes) -> str:
    """One `v1,…` for each key, by spaces, over id, time (seconds since 1970) and body."""
    signed = f"{delivery}.{seconds}.".encode() + body
    found = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(one).decode()}" for one in found)


def body_of(message: Message) -> dict[str, Any]:
    """What is sent; `class_name` is '' unless the installation allows it."""
    return {
        "type": f"alert.{message.state}",
        "data": {
            "alert_id": message.alert_id,
            "reference": message.reference,
            "kind": message.kind,
            "state": message.state,
            "urgent": message.urgent,
            "count": message.count,
            "others": [{"alert_id": one.alert_id, "state": one.state} for one in message.others],
            "class_name": message.class_name,
            "title": message.title,
            "link": message.link,
        },
    }


def _connect(rooms: Rooms) -> WebhookChannel | None:
    return None if rooms.settings.webhook is None else WebhookChannel(rooms.settings)


def _choices(settings: Settings) -> list[str]:
    return sorted(settings.webhook.targets) if settings.webhook else []


KIND = Kind(
    name="webhook",
    label="Webhook",
    label_en="Webhook",
    hint="設定の[webhook.targets]にある名前",
    hint_en="a name from [webhook.targets] of the settings",
    connect=_connect,
    fits=lambda settings, address: address in _choices(settings),
    choices=_choices,
)
