"""Google Chat as a channel: a message into a space, through an incoming webhook.

An address is the name of a webhook in the settings (`[google_chat.webhooks]`). A webhook cannot
change what it has posted; all messages about one alert go into one thread (its key is the alert's
id), so that "taken on" stands right below the call. Where a space has no threads they simply
follow each other.
"""

from __future__ import annotations

import re
from typing import Any

import httpx
import msgspec

from connectors.messaging.posting import Poster
from connectors.messaging.registry import Kind
from warning_service.alerts.messages import Message, NotDelivered
from warning_service.rooms import Rooms
from warning_service.settings import Settings

REPLY = "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
_NAME = re.compile(r"spaces/[A-Za-z0-9_-]{1,80}/messages/[A-Za-z0-9._-]{1,120}", re.ASCII)


class GoogleChatChannel:
    """Posts to the webhooks of the settings."""

    name = "google_chat"
    can_update = False
    seconds_between = 1.0  # one message a second in a space; more is answered with 429

    def __init__(self, settings: Settings) -> None:
        if settings.google_chat is None:
            raise ValueError("google_chat is not set")
        self._webhooks = settings.google_chat.webhooks
        self._poster = Poster(settings)

    def send(self, message: Message) -> str:
        """Post into the alert's thread; return the message's name (`spaces/…/messages/…`).

        Raises RateLimited or NotDelivered.
        """
        webhook = self._webhooks.get(message.address)
        if webhook is None:
            raise NotDelivered("unknown_address")
        url = httpx.URL(webhook.get_secret_value())
        url = url.copy_merge_params({"messageReplyOption": REPLY})
        body = msgspec.json.encode(body_of(message))
        headers = {"content-type": "application/json; charset=UTF-8"}
        name = self._poster.post(str(url), body, headers).json().get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise NotDelivered("unexpected_answer")
        return name

    def update(self, remote_id: str, message: Message) -> None:  # noqa: ARG002
        """Say the new state in the same thread. Raises RateLimited or NotDelivered."""
        self.send(message)


def body_of(message: Message) -> dict[str, Any]:
    """A line and the link, in the thread of the alert."""
    urgent = message.urgent and message.state in {"open", "escalated"}
    line = f"{'【至急】' if urgent else ''}{_plain(message.title)} {message.marks}"
    return {
        "text": f"{line}\n<{message.link}|ポータルで開く>",
        "thread": {"threadKey": message.alert_id},
    }


def _plain(text: str) -> str:
    """Without the marks by which Chat calls people or makes links: a class's name is a name."""
    return re.sub(r"[<>*_~`|]", " ", text)


def _connect(rooms: Rooms) -> GoogleChatChannel | None:
    return None if rooms.settings.google_chat is None else GoogleChatChannel(rooms.settings)


def _choices(settings: Settings) -> list[str]:
    return sorted(settings.google_chat.webhooks) if settings.google_chat else []


KIND = Kind(
    name="google_chat",
    label="Google Chat",
    label_en="Google Chat",
    hint="設定の[google_chat.webhooks]にある名前",
    hint_en="a name from [google_chat.webhooks] of the settings",
    connect=_connect,
    fits=lambda settings, address: address in _choices(settings),
    choices=_choices,
)
