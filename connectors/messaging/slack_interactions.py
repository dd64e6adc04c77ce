"""What people press in Slack, told to us by request: POST /slack/interactions.

The door is open to the network and guarded by Slack's signature over body and timestamp; an old
one, a wrong one, one that any process here has taken before, and one of another workspace or app
are all 401, without a word on which. What a pressed button does is in slack_actions.py.

Slack waits three seconds for an answer. The visible result comes by itself: the acknowledgement
owes every message about the alert a change.
"""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Annotated
from urllib.parse import parse_qs

import msgspec
import structlog
from fastapi import APIRouter, BackgroundTasks, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier

from connectors.messaging.slack_actions import (
    LATER,
    Interaction,
    from_elsewhere,
    may_answer_to,
    pressed_alert,
    reply_of,
    say,
    take_on,
)
from warning_service.access.web import OPEN
from warning_service.alerts.outside.replays import first_time
from warning_service.clock import Clock
from warning_service.database import StorageUnavailable
from warning_service.rooms import Rooms, rooms_of
from warning_service.settings import Settings

log = structlog.get_logger()
router = APIRouter()

LARGEST_BODY = 64 * 1024
ANSWER_WITHIN = 2.5
WINDOW = timedelta(minutes=5)
"""How old a signature may be; the SDK's own bound."""


class _WallClock(SignatureClock):
    """Slack signs with the real time, wherever the demo's clock may be."""

    def now(self) -> float:
        """Seconds since 1970."""
        return Clock().now().timestamp()


@router.post("/slack/interactions", dependencies=[Depends(OPEN)])
async def interactions(
    request: Request, background: BackgroundTasks, rooms: Annotated[Rooms, Depends(rooms_of)]
) -> Response:
    """Take a pressed button. 401 unless Slack signed it just now; 400 for what is no payload."""
    body = await _body(request)
    if body is None:
        return Response(status_code=413)
    signature = _signed(rooms.settings, body, request)
    if signature is None:
        log.warning("slack_signature_refused")
        return Response(status_code=401)
    try:
        pressed = msgspec.json.decode(parse_qs(body.decode())["payload"][0], type=Interaction)
    except (KeyError, UnicodeDecodeError, msgspec.DecodeError):
        return Response(status_code=400)
    if part := from_elsewhere(rooms.settings, pressed):
        log.warning("slack_interaction_from_elsewhere", part=part)
        return Response(status_code=401)
    alert_id = pressed_alert(pressed)
    if alert_id is None:
        return Response(status_code=200)
    answer = await _in_time(rooms, signature, pressed.user.id, alert_id)
    if answer is None:
        log.warning("slack_signature_refused")
        return Response(status_code=401)
    if may_answer_to(rooms.settings, pressed.response_url):
        background.add_task(say, pressed.response_url, answer)
    return JSONResponse(reply_of(answer))


async def _body(request: Request) -> bytes | None:
    """The raw body; None when it is larger than anything Slack sends for a button."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            return None
        parts.append(part)
    return b"".join(parts)


def _signed(settings: Settings, body: bytes, request: Request) -> str | None:
    """The signature, if it is Slack's over this body and of now."""
    secret = settings.slack_signing_secret
    timestamp = request.headers.get("x-slack-request-timestamp", "")
    signature = request.headers.get("x-slack-signature", "")
    if secret is None or not re.fullmatch(r"\d{1,12}", timestamp, re.ASCII):
        return None
    if not signature.isascii():  # compare_digest would raise
        return None
    verifier = SignatureVerifier(secret.get_secret_value(), clock=_WallClock())
    try:
        fits = verifier.is_valid(body, timestamp, signature)
    except UnicodeDecodeError:  # the verifier reads the body as UTF-8
        return None
    return signature if fits else None


async def _in_time(rooms: Rooms, signature: str, slack_user: str, alert_id: str) -> str | None:
    """Do it within Slack's time; the words to answer with, None for a request seen before."""

    def act() -> str | None:
        now = Clock().now()
        if not first_time(rooms.database, "slack", signature, now=now, window=WINDOW):
            return None
        return take_on(rooms, slack_user, alert_id)

    try:
        return await asyncio.wait_for(run_in_threadpool(act), ANSWER_WITHIN)
    except (TimeoutError, StorageUnavailable) as error:
        log.error("slack_acknowledge_late", error=type(error).__name__)
        return LATER
