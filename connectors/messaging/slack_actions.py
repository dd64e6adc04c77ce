"""What follows from a button pressed in Slack, whichever way the news of it came.

The payload must be of our workspace and of our app. Who pressed is looked up by their Slack id and
needs what they would need in the portal: the ability, and the alert's class or school in scope.
Someone without it is told so and nothing else, not even whether the alert exists.

That the payload is Slack's own at all was seen to before: by the signature of a request
(slack_interactions.py), or because it came through a connection that we opened (slack_socket.py).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from connectors.messaging.slack import ACKNOWLEDGE, past_the_proxy
from warning_service.access.gateway import NotYours
from warning_service.access.roles import Ability
from warning_service.access.staff_lookup import by_slack_user
from warning_service.access.trail.audit import REFUSED
from warning_service.asking import on_behalf
from warning_service.rooms import Rooms
from warning_service.settings import Settings

log = structlog.get_logger()

_ALERT_ID = re.compile(r"[0-9a-f-]{36}")

DONE = "対応中にしました。"
TAKEN = "すでに対応中です。"
NOT_ALLOWED = "権限がありません。"
LATER = "いま受け付けられませんでした。ポータルで確認してください。"


class _Named(msgspec.Struct):
    id: str = ""


class _User(msgspec.Struct):
    id: str
    team_id: str = ""


class _Action(msgspec.Struct):
    action_id: str
    value: str = ""


class Interaction(msgspec.Struct):
    """The part of Slack's payload that we use."""

    type: str
    user: _User
    team: _Named | None = None
    api_app_id: str = ""
    actions: list[_Action] = []
    response_url: str = ""


def from_elsewhere(settings: Settings, pressed: Interaction) -> str:
    """What of it is not ours, 'team' or 'app'; '' when all is.

    A setting that is empty (in the demo, in tests; production refuses to start) checks nothing.
    Somebody of another workspace can meet our message in a shared channel: their team is another.
    """
    wanted = settings.slack_team_id
    if wanted and (
        (pressed.team.id if pressed.team else "") != wanted
        or (pressed.user.team_id or wanted) != wanted
    ):
        return "team"
    if settings.slack_app_id and pressed.api_app_id != settings.slack_app_id:
        return "app"
    return ""


def pressed_alert(pressed: Interaction) -> str | None:
    """The alert whose button was pressed; None for what we have nothing to do about.

    Slack also tells us when the button was pressed that only leads to the portal.
    """
    if pressed.type != "block_actions":
        return None
    chosen = [
        action.value
        for action in pressed.actions
        if action.action_id.partition(":")[0] == ACKNOWLEDGE
    ]
    return chosen[0] if chosen else None


def take_on(rooms: Rooms, slack_user: str, alert_id: str) -> str:
    """Take the alert on for whom Slack knows by that id; the words to answer with.

    Raises StorageUnavailable: nothing changed.
    """
    board = rooms.alerts.board_of(alert_id) if _ALERT_ID.fullmatch(alert_id) else None
    if board is None:
        return NOT_ALLOWED
    with rooms.database.as_service().reading() as conn:
        who = by_slack_user(conn, slack_user, board, rooms.clock.today())
    if who is None or Ability.SEE_ALERTS not in who.abilities:
        log.warning("slack_acknowledge_refused", alert=alert_id)
        return NOT_ALLOWED
    try:
        with on_behalf(rooms.gateway.scope_of(who)):
            rooms.alerts.one(who, alert_id)
    except NotYours:
        log.warning("slack_acknowledge_refused", alert=alert_id)
        rooms.gateway.note(who, REFUSED + "take_on", [alert_id], "slack", using=Ability.SEE_ALERTS)
        return NOT_ALLOWED
    first = rooms.alerts.acknowledge(alert_id, who, "slack")
    return DONE if first else TAKEN


def reply_of(answer: str) -> dict[str, Any]:
    """The words as Slack shows them: to the one who pressed, below the message."""
    return {"response_type": "ephemeral", "replace_original": False, "text": answer}


def may_answer_to(settings: Settings, url: str) -> bool:
    """Slack's own address for answers, or the configured compatible server's; nothing else."""
    target, api = urlsplit(url), urlsplit(settings.slack_api_url)
    if target.scheme == "https" and target.netloc == "hooks.slack.com":
        return True
    ours = (target.scheme, target.netloc) == (api.scheme, api.netloc)
    return ours and api.netloc != "slack.com"


def say(url: str, answer: str) -> None:
    """Show `answer` to the one who pressed; losing it loses nothing but a sentence."""
    try:
        client = past_the_proxy(WebhookClient(url, timeout=3), url)
        client.send_dict(reply_of(answer))
    except (OSError, SlackApiError) as error:
        log.warning("slack_answer_not_sent", error=type(error).__name__)
