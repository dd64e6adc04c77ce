"""What people press in Slack: POST /slack/interactions.

The door is open to the network and guarded by Slack's signature over body and timestamp; an old
one, a wrong one and one seen before are all 401. Who pressed is looked up by their Slack id and
needs what they would need in the portal: the ability, and the alert's class or school in scope.
Someone without it is told so and nothing else, not even whether the alert exists.

Slack waits three seconds for an answer. The visible result comes by itself: the acknowledgement
owes every message about the alert a change.
"""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import msgspec
import structlog
from fastapi import APIRouter, BackgroundTasks, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier
from slack_sdk.webhook import WebhookClient

from connectors.messaging.slack import ACKNOWLEDGE
from warning_service.access.gateway import NotYours
from warning_service.access.roles import Ability
from warning_service.access.staff_lookup import by_slack_user
from warning_service.access.trail.audit import REFUSED
from warning_service.access.web import OPEN
from warning_service.asking import on_behalf
from warning_service.clock import Clock, monotonic
from warning_service.database import StorageUnavailable
from warning_service.rooms import Rooms, rooms_of
from warning_service.settings import Settings

log = structlog.get_logger()
router = APIRouter()

LARGEST_BODY = 64 * 1024
ANSWER_WITHIN = 2.5
WINDOW_SECONDS = 5 * 60
_ALERT_ID = re.compile(r"[0-9a-f-]{36}")

DONE = "対応中にしました。"
TAKEN = "すでに対応中です。"
NOT_ALLOWED = "権限がありません。"
LATER = "いま受け付けられませんでした。ポータルで確認してください。"


class _WallClock(SignatureClock):
    """Slack signs with the real time, wherever the demo's clock may be."""

    def now(self) -> float:
        """Seconds since 1970."""
        return Clock().now().timestamp()


class SeenSignatures:
    """Signatures met within the window, so that a recorded request cannot be played again.

    In this process only; elsewhere a repeat meets an alert that is acknowledged already.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}

    def first_time(self, signature: str) -> bool:
        """Remember `signature`; False when it was here before."""
        now = monotonic()
        with self._lock:
            # The window reaches as far into the future as into the past (clocks differ).
            for old in [s for s, at in self._seen.items() if now - at > 2 * WINDOW_SECONDS]:
                del self._seen[old]
            if signature in self._seen:
                return False
            self._seen[signature] = now
            return True


class _User(msgspec.Struct):
    id: str


class _Action(msgspec.Struct):
    action_id: str
    value: str = ""


class Interaction(msgspec.Struct):
    """The part of Slack's payload that we use."""

    type: str
    user: _User
    actions: list[_Action] = []
    response_url: str = ""


_seen = SeenSignatures()


@router.post("/slack/interactions", dependencies=[Depends(OPEN)])
async def interactions(
    request: Request, background: BackgroundTasks, rooms: Annotated[Rooms, Depends(rooms_of)]
) -> Response:
    """Take a pressed button. 401 unless Slack signed it just now; 400 for what is no payload."""
    body = await _body(request)
    if body is None:
        return Response(status_code=413)
    if not _signed(rooms.settings, body, request):
        log.warning("slack_signature_refused")
        return Response(status_code=401)
    try:
        pressed = msgspec.json.decode(parse_qs(body.decode())["payload"][0], type=Interaction)
    except (KeyError, UnicodeDecodeError, msgspec.DecodeError):
        return Response(status_code=400)
    chosen = [
        action.value
        for action in pressed.actions
        if action.action_id.partition(":")[0] == ACKNOWLEDGE
    ]
    if pressed.type != "block_actions" or not chosen:
        return Response(status_code=200)  # the link button also tells us that it was pressed
    answer = await _acknowledge(rooms, pressed.user.id, chosen[0])
    reply = {"response_type": "ephemeral", "replace_original": False, "text": answer}
    if _may_answer_to(rooms.settings, pressed.response_url):
        background.add_task(_say, pressed.response_url, reply)
    return JSONResponse(reply)


async def _body(request: Request) -> bytes | None:
    """The raw body; None when it is larger than anything Slack sends for a button."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            return None
        parts.append(part)
    return b"".join(parts)


def _signed(settings: Settings, body: bytes, request: Request) -> bool:
    secret = settings.slack_signing_secret
    timestamp = request.headers.get("x-slack-request-timestamp", "")
    signature = request.headers.get("x-slack-signature", "")
    if secret is None or not re.fullmatch(r"\d{1,12}", timestamp, re.ASCII):
        return False
    if not signature.isascii():  # compare_digest would raise
        return False
    verifier = SignatureVerifier(secret.get_secret_value(), clock=_WallClock())
    try:
        fits = verifier.is_valid(body, timestamp, signature)
    except UnicodeDecodeError:  # the verifier reads the body as UTF-8
        return False
    return fits and _seen.first_time(signature)


async def _acknowledge(rooms: Rooms, slack_user: str, alert_id: str) -> str:
    """Do it within Slack's time; the words to answer with."""
    try:
        return await asyncio.wait_for(
            run_in_threadpool(_take_on, rooms, slack_user, alert_id), ANSWER_WITHIN
        )
    except (TimeoutError, StorageUnavailable) as error:
        log.error("slack_acknowledge_late", error=type(error).__name__)
        return LATER


def _take_on(rooms: Rooms, slack_user: str, alert_id: str) -> str:
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


def _may_answer_to(settings: Settings, url: str) -> bool:
    """Slack's own address for answers, or the configured compatible server's; nothing else."""
    target, api = urlsplit(url), urlsplit(settings.slack_api_url)
    if target.scheme == "https" and target.netloc == "hooks.slack.com":
        return True
    ours = (target.scheme, target.netloc) == (api.scheme, api.netloc)
    return ours and api.netloc != "slack.com"


def _say(url: str, reply: dict[str, object]) -> None:
    """Show `reply` to the one who pressed; losing it loses nothing but a sentence."""
    try:
        WebhookClient(url, timeout=3).send_dict(reply)
    except (OSError, SlackApiError) as error:
        log.warning("slack_answer_not_sent", error=type(error).__name__)
