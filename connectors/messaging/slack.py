"""Slack as a channel: one message per alert, changed in place when somebody has taken it on.

Texts come from `Message`, which has nothing personal to give away. Retrying, pausing and ordering
are the deliverer's; this module only says what Slack answered. The API address is a setting, so
that a closed network can put a compatible server of its own there (the demo does).
"""

from __future__ import annotations

import re
from functools import cached_property
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import (
    BaseHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
    proxy_bypass,
)

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient

from connectors.messaging.registry import Kind
from warning_service.alerts.messages import Message, NotDelivered, RateLimited
from warning_service.rooms import Rooms
from warning_service.settings import Settings

TIMEOUT_SECONDS = 3
ACKNOWLEDGE = "acknowledge"
OPEN_PORTAL = "open_portal"
UNEXPECTED = "unexpected_answer"
_CODE = re.compile(r"[a-z0-9_]{1,40}")
_ADDRESS = re.compile(r"[A-Z][A-Za-z0-9_-]{1,79}", re.ASCII)
_MOST_BUTTONS = 10  # of one message; for the rest there is the portal
_AGAIN_AFTER = 30.0  # Slack answered 429 without saying how long
_LONGEST_PAUSE = 900.0
_OF_ALL = frozenset(
    {
        "account_inactive", "fatal_error", "internal_error", "invalid_auth", "missing_scope",
        "not_authed", "request_timeout", "service_unavailable", "team_added_to_org",
        "token_expired", "token_revoked", UNEXPECTED,
    }
)  # fmt: skip
"""Answers that are not about one message: no other would be taken either."""


class _NoRedirects(HTTPRedirectHandler):
    """A redirect is an answer like any other that is not ours."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Lead nowhere; urllib then raises the answer itself as an HTTPError."""


class _Unled(WebClient):
    """The SDK's client, which of itself follows redirects and takes the token along."""

    def _perform_urllib_http_request_internal(
        self,
        url: str,  # noqa: ARG002 (the SDK's own signature)
        req: Request,
    ) -> dict[str, Any]:
        with self._opener.open(req, timeout=self.timeout) as answer:
            charset = answer.headers.get_content_charset() or "utf-8"
            body = answer.read().decode(charset)
            return {"status": answer.status, "headers": answer.headers, "body": body}

    @cached_property
    def _opener(self) -> OpenerDirector:
        """Made with the first call, when the proxy is settled; keeps nothing of a call."""
        handlers: list[BaseHandler] = [_NoRedirects(), HTTPSHandler(context=self.ssl)]
        if self.proxy is not None:
            handlers.append(ProxyHandler({"http": self.proxy, "https": self.proxy}))
        return build_opener(*handlers)


class SlackChannel:
    """Sends through `chat.postMessage` and `chat.update`. One client, used by several threads."""

    name = "slack"
    can_update = True
    seconds_between = 1.0  # one message a second in a channel; more is answered with 429

    def __init__(self, settings: Settings) -> None:
        if settings.slack_bot_token is None:
            raise ValueError("slack_bot_token is not set")
        url = settings.slack_api_url.rstrip("/") + "/"
        self._client = _Unled(
            token=settings.slack_bot_token.get_secret_value(),
            base_url=url,
            timeout=TIMEOUT_SECONDS,
            retry_handlers=[],  # the deliverer retries, where it is seen and bounded
        )
        past_the_proxy(self._client, url)

    def send(self, message: Message) -> str:
        """Post; return `channel:ts`. Raises RateLimited or NotDelivered."""
        answer = self._call(
            "chat.postMessage",
            {"channel": message.address, "text": text_of(message), "blocks": blocks_of(message)},
        )
        channel, ts = answer.get("channel") or message.address, answer.get("ts")
        if not (isinstance(channel, str) and isinstance(ts, str) and ts):
            # It may be there all the same; the mark lets people tell the repeat.
            raise NotDelivered(UNEXPECTED)
        return f"{channel}:{ts}"  # of a member's id (U…) the channel is their conversation's

    def update(self, remote_id: str, message: Message) -> None:
        """Change a posted message. Raises RateLimited or NotDelivered."""
        channel, _, ts = remote_id.rpartition(":")
        self._call(
            "chat.update",
            {
                "channel": channel, "ts": ts,
                "text": text_of(message), "blocks": blocks_of(message),
            },
        )  # fmt: skip

    def _call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        # unfurl: Slack's servers must not fetch the portal's address.
        body |= {"unfurl_links": False, "unfurl_media": False} if method.endswith("ssage") else {}
        try:
            answer = self._client.api_call(method, json=body).data
        except SlackApiError as error:
            raise _what_slack_said(error) from None
        except OSError as error:  # refused, unreachable, timed out
            raise NotDelivered(type(error).__name__) from None
        except (ValueError, HTTPException, AttributeError, TypeError):
            # Cut off in the middle, no HTTP at all, or JSON that the SDK takes for an object.
            raise NotDelivered(UNEXPECTED) from None
        if not isinstance(answer, dict):
            raise NotDelivered(UNEXPECTED)
        return answer


def _what_slack_said(error: SlackApiError) -> RateLimited | NotDelivered:
    response = error.response
    status = status_of(response)
    if status == 429:
        return RateLimited(pause_of(dict(response.headers)))
    if status != 200:
        return NotDelivered(f"http_{status}")
    code = code_of(response)
    return NotDelivered(code, refused=code not in _OF_ALL)


def status_of(response: Any) -> int:
    """The HTTP status; of a body that is no JSON the SDK has kept it elsewhere."""
    found = response.get("status") if type(response) is dict else response.status_code
    return int(found or 0)


def code_of(response: Any) -> str:
    """Slack's word for a refusal; `unexpected_answer` for what is none.

    Only a code may go into our logs: an unexpected body is somebody else's text.
    """
    said = response if type(response) is dict else response.data
    code = said.get("error") if isinstance(said, dict) else None
    known = isinstance(code, str) and _CODE.fullmatch(code)
    return str(code) if known else UNEXPECTED


def pause_of(headers: dict[str, Any]) -> float:
    """Seconds of a 429's Retry-After, within what can be meant."""
    given = next((str(v) for k, v in headers.items() if k.lower() == "retry-after"), "")
    pause = float(given) if re.fullmatch(r"[0-9]{1,6}", given) else _AGAIN_AFTER
    return min(pause, _LONGEST_PAUSE)


_Client = TypeVar("_Client", WebClient, WebhookClient)


def past_the_proxy(client: _Client, url: str) -> _Client:
    """The same client, without the environment's proxy where no_proxy says so.

    The SDK takes a proxy from the environment and does not look at that.
    """
    if proxy_bypass(urlsplit(url).hostname or ""):
        client.proxy = None
    return client


def text_of(message: Message) -> str:
    """What a notification shows."""
    urgent = "【至急】" if message.urgent and message.state in {"open", "escalated"} else ""
    return f"{urgent}{message.title} {message.marks}"


def blocks_of(message: Message) -> list[dict[str, Any]]:
    """The message in Block Kit: a line, and what can be done about it."""
    waiting = message.waiting[:_MOST_BUTTONS]
    buttons: list[dict[str, Any]] = []
    for number, alert in enumerate(waiting):
        several = len(message.others) > 0
        buttons.append(
            {
                "type": "button",
                # Ids have to differ within a message; which alert it is stands in the value.
                "action_id": ACKNOWLEDGE if number == 0 else f"{ACKNOWLEDGE}:{number}",
                "style": "primary",
                "text": {
                    "type": "plain_text",
                    "text": f"#{alert[:8]} 対応します" if several else "対応します",
                },
                "value": alert,
            }
        )
    buttons.append(
        {
            "type": "button",
            "action_id": OPEN_PORTAL,
            "text": {"type": "plain_text", "text": "ポータルで開く"},
            "url": message.link,
        }
    )
    return [
        {
            "type": "section",
            "text": {"type": "plain_text", "text": text_of(message)},
        },
        {"type": "actions", "block_id": f"alert-{message.reference}", "elements": buttons},
    ]


def _connect(rooms: Rooms) -> SlackChannel | None:
    return None if rooms.settings.slack_bot_token is None else SlackChannel(rooms.settings)


KIND = Kind(
    name="slack",
    label="Slack",
    label_en="Slack",
    hint="チャンネルかメンバーのID(C…、U…)",
    hint_en="id of a channel or member (C…, U…)",
    connect=_connect,
    fits=lambda _settings, address: _ADDRESS.fullmatch(address) is not None,
)
