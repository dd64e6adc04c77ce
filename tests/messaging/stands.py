"""For each channel a stand: a local server of its kind, and the settings that lead there.

`STANDS` has one for every channel there is. The contract test fails for a channel without one, so
that a file added to connectors/messaging/ is tried against something before anybody relies on it.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tests.messaging.http_server import HTTP_FAULTS, Call, Reply, Service, serving
from tests.messaging.services import Elsewhere, GoogleChat, LineWorks, Receiver, Teams
from warning_service.rooms import Rooms

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
OLD_KEY = "whsec_" + base64.b64encode(b"o" * 32).decode()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Stand:
    """A channel's server. `frame`: the words of the format itself, in which nothing is said.

    `secrets`: what may never be in a log or an error. `not_there`: faults this way of sending
    cannot have, each with the reason.
    """

    address = ""
    frame: frozenset[str] = frozenset()
    secrets: tuple[str, ...] = ()
    not_there: Mapping[str, str] = {}

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of an installation that uses this server."""
        raise NotImplementedError

    def prepare(self, rooms: Rooms) -> None:
        """What has to be in the database before anything can be sent."""

    def fault(self, name: str) -> None:
        """Let the next call meet this fault (of HTTP_FAULTS, or what comes nearest to it)."""
        raise NotImplementedError

    def payloads(self) -> list[Any]:
        """What arrived that people or machines at the other end can read, oldest first."""
        raise NotImplementedError

    def came_elsewhere(self) -> int:
        """Calls that a redirect led away."""
        return 0


class HttpStand(Stand):
    """A stand whose server speaks HTTP."""

    service: Service

    def __init__(self, url: str, elsewhere: Service) -> None:
        self.url = url
        self._elsewhere = elsewhere

    def settings_at(self, url: str) -> dict[str, Any]:
        """The same with the server at `url`."""
        raise NotImplementedError

    @property
    def settings(self) -> dict[str, Any]:
        return self.settings_at(self.url)

    def fault(self, name: str) -> None:
        self.service.script.append(name)

    def messages(self) -> list[Call]:
        """The calls that carried a message."""
        return self.service.calls

    def payloads(self) -> list[Any]:
        return [json.loads(call.body) for call in self.messages()]

    def came_elsewhere(self) -> int:
        return len(self._elsewhere.calls)


class _SlackApi(Service):
    def answer(self, call: Call) -> Reply:
        body = json.loads(call.body)
        known = call.headers.get("authorization") == "Bearer xoxb-stand" and body.get("channel")
        said = (
            {"ok": True, "channel": body["channel"], "ts": f"17.{len(self.calls)}"}
            if known
            else {"ok": False, "error": "invalid_auth"}
        )
        return 200, {"content-type": "application/json"}, json.dumps(said).encode()


class SlackStand(HttpStand):
    address = "C1"
    secrets = ("xoxb-stand",)
    not_there = {
        "429 date": "Slack says seconds",
        "drip": "slack-sdk bounds each read, not the whole: an answer that trickles holds one sender",
    }
    frame = _words(
        "channel text blocks unfurl_links unfurl_media type section plain_text actions block_id"
        " elements button action_id acknowledge open_portal style primary value url ts 17.1"
        " 対応します ポータルで開く alert-0f1e2d3c acknowledge:1"
    )

    def __init__(self, url: str, elsewhere: Service) -> None:
        super().__init__(url, elsewhere)
        self.service = _SlackApi()

    def settings_at(self, url: str) -> dict[str, Any]:
        return {
            "slack_api_url": f"{url}/api/",
            "slack_bot_token": "xoxb-stand",
            "slack_signing_secret": "signing",
        }


class TeamsStand(HttpStand):
    address = "sakura-nurse"
    secrets = ("sig=Zm9vYmFy", "Zm9vYmFy")
    frame = _words(
        "type message attachments contentType content $schema AdaptiveCard version 1.4 body actions"
        " application/vnd.microsoft.card.adaptive TextBlock text wrap weight Bolder Default color"
        " http://adaptivecards.io/schemas/adaptive-card.json Attention Action.OpenUrl title url"
        " ポータルで開く"
    )

    def __init__(self, url: str, elsewhere: Service) -> None:
        super().__init__(url, elsewhere)
        self.service = Teams()

    def settings_at(self, url: str) -> dict[str, Any]:
        return {"teams": {"webhooks": {self.address: f"{url}{Teams.PATH}?{Teams.QUERY}"}}}


class GoogleChatStand(HttpStand):
    address = "sakura-nurse"
    secrets = ("AIza-test", "tok-test")
    frame = _words("text thread threadKey")

    def __init__(self, url: str, elsewhere: Service) -> None:
        super().__init__(url, elsewhere)
        self.service = GoogleChat()

    def settings_at(self, url: str) -> dict[str, Any]:
        address = f"{url}{GoogleChat.PATH}?{GoogleChat.QUERY}"
        return {"google_chat": {"webhooks": {self.address: address}}}


class LineWorksStand(HttpStand):
    address = "channel:room-1"
    secrets = (LineWorks.CLIENT_SECRET, "token-1", "BEGIN PRIVATE KEY")
    not_there = {"401": "the token is fetched anew and the message said (test_line_works.py)"}
    frame = _words("content type button_template contentText actions uri label ポータルで開く")

    def __init__(self, url: str, elsewhere: Service) -> None:
        super().__init__(url, elsewhere)
        self.service = self.line = LineWorks()

    def settings_at(self, url: str) -> dict[str, Any]:
        return {
            "line_works": {
                "bot_id": LineWorks.BOT,
                "client_id": LineWorks.CLIENT,
                "client_secret": LineWorks.CLIENT_SECRET,
                "service_account": LineWorks.ACCOUNT,
                "private_key": self.line.private_pem,
                "auth_url": f"{url}/oauth2/v2.0/token",
                "api_url": f"{url}/v1.0",
            }
        }

    def messages(self) -> list[Call]:
        return [call for call in self.service.calls if call.path.endswith("/messages")]


class WebhookStand(HttpStand):
    address = "board-desk"
    secrets = (KEY, KEY[6:], OLD_KEY)
    frame = _words(
        "type alert.open alert.acknowledged alert.escalated alert.handled data alert_id reference"
        " kind consultation test state open acknowledged urgent count others class_name title link"
        " 1"
    )

    def __init__(self, url: str, elsewhere: Service) -> None:
        super().__init__(url, elsewhere)
        self.service = self.receiver = Receiver(KEY)

    def settings_at(self, url: str) -> dict[str, Any]:
        target = {"url": f"{url}/kizashi?desk=1", "keys": [KEY, OLD_KEY]}
        return {"webhook": {"targets": {self.address: target}}, "channel_hosts": ["127.0.0.1"]}


def _http(made: Callable[[str, Service], HttpStand]) -> Callable[..., Any]:
    @contextmanager
    def standing(_folder: Path, tls: ssl.SSLContext | None = None) -> Iterator[HttpStand]:
        elsewhere = Elsewhere()
        with serving(elsewhere) as other:
            stand = made("", elsewhere)
            stand.service.elsewhere = f"{other}/taken"
            with serving(stand.service, tls) as url:
                stand.url = url
                yield stand

    return standing


STANDS: dict[str, Callable[..., AbstractContextManager[Any]]] = {
    "google_chat": _http(GoogleChatStand),
    "line_works": _http(LineWorksStand),
    "slack": _http(SlackStand),
    "teams": _http(TeamsStand),
    "webhook": _http(WebhookStand),
}

__all__ = ["HTTP_FAULTS", "KEY", "OLD_KEY", "STANDS", "HttpStand", "Stand"]
