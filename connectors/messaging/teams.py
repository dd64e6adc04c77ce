"""Microsoft Teams as a channel: an adaptive card into a team's channel, through Workflows.

An address is the name of a webhook in the settings (`[teams.webhooks]`). Workflows takes the card
and answers 202 before it is posted: "sent" here means taken by Workflows, not seen in Teams; if the
flow then fails, only its own history in Power Automate tells (docs/channels/teams.md). It gives
nothing back by which a card could be changed, so that somebody has taken an alert on is said in a
further card.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from connectors.messaging.posting import Poster
from connectors.messaging.registry import Kind
from warning_service.alerts.messages import Message, NotDelivered
from warning_service.rooms import Rooms
from warning_service.settings import Settings

CARD = "application/vnd.microsoft.card.adaptive"
_RUN = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)


class TeamsChannel:
    """Sends cards to the webhooks of the settings."""

    name = "teams"
    can_update = False

    def __init__(self, settings: Settings) -> None:
        if settings.teams is None:
            raise ValueError("teams is not set")
        self._webhooks = settings.teams.webhooks
        self._poster = Poster(settings)

    def send(self, message: Message) -> str:
        """Hand the card to Workflows; return the id of its run, or the delivery's if it names none.

        Raises RateLimited or NotDelivered.
        """
        webhook = self._webhooks.get(message.address)
        if webhook is None:
            raise NotDelivered("unknown_address")
        body = msgspec.json.encode(card_of(message))
        headers = {"content-type": "application/json"}
        answer = self._poster.post(webhook.get_secret_value(), body, headers)
        if answer.is_page:
            raise NotDelivered("unexpected_answer")
        run = answer.headers.get("x-ms-workflow-run-id", "")
        return run if _RUN.fullmatch(run) else message.delivery

    def update(self, remote_id: str, message: Message) -> None:  # noqa: ARG002
        """Say the new state in a further card. Raises RateLimited or NotDelivered."""
        self.send(message)


def card_of(message: Message) -> dict[str, Any]:
    """The message as Workflows wants it: one attachment, a card with a line and a link."""
    waiting = message.state in {"open", "escalated"}
    urgent = message.urgent and waiting
    line: dict[str, Any] = {
        "type": "TextBlock",
        "text": f"{'【至急】' if urgent else ''}{message.title} {message.marks}",
        "wrap": True,
        "weight": "Bolder" if waiting else "Default",
    }
    if urgent:
        line["color"] = "Attention"
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [line],
        "actions": [{"type": "Action.OpenUrl", "title": "ポータルで開く", "url": message.link}],
    }
    return {"type": "message", "attachments": [{"contentType": CARD, "content": card}]}


def _connect(rooms: Rooms) -> TeamsChannel | None:
    return None if rooms.settings.teams is None else TeamsChannel(rooms.settings)


def _choices(settings: Settings) -> list[str]:
    return sorted(settings.teams.webhooks) if settings.teams else []


KIND = Kind(
    name="teams",
    label="Microsoft Teams",
    label_en="Microsoft Teams",
    hint="設定の[teams.webhooks]にある名前",
    hint_en="a name from [teams.webhooks] of the settings",
    connect=_connect,
    fits=lambda settings, address: address in _choices(settings),
    choices=_choices,
)
