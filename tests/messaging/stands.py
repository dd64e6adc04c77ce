"""For each channel a stand: a local server of its kind, and the settings that lead there.

`STANDS` has one for every channel there is. The contract test fails for a channel without one, so
that a file added to connectors/messaging/ is tried against something before anybody relies on it.
"""

from __future__ import annotations

import base64
import json
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from connectors.messaging.web_push import new_private_key
from tests import make
from tests.messaging.certificates import Authority
from tests.messaging.http_server import (
    HTTP_FAULTS,
    SECRET_OF_THE_SERVER,
    Call,
    Reply,
    Service,
    serving,
)
from tests.messaging.mail_server import PASSWORD, Post, mail_running
from tests.messaging.push_server import Browser
from tests.messaging.services import Elsewhere, GoogleChat, LineWorks, Receiver, Teams
from warning_service.access.principals import Principal
from warning_service.alerts.outside.devices import Devices
from warning_service.rooms import Rooms

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
OLD_KEY = "whsec_" + base64.b64encode(b"o" * 32).decode()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Stand(ABC):
    """A channel's server. `frame`: the words of the format itself, in which nothing is said.

    `secrets`: what may never be in a log or an error. `not_there`: faults this way of sending
    cannot have, each with the reason. `refuses`: faults that are about the one message. `routable`:
    may the board set a route to the address.
    """

    address = ""
    frame: frozenset[str] = frozenset()
    secrets: tuple[str, ...] = ()
    not_there: Mapping[str, str] = MappingProxyType({})
    routable = True
    refuses = frozenset({"400"})

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Settings of an installation that uses this server."""

    def prepare(self, rooms: Rooms) -> None:  # noqa: B027 (most need nothing)
        """What has to be in the database before anything can be sent."""

    @abstractmethod
    def fault(self, name: str) -> None:
        """Let the next call meet this fault (of HTTP_FAULTS, or what comes nearest to it)."""

    @abstractmethod
    def payloads(self) -> list[Any]:
        """What arrived that people or machines at the other end can read, oldest first."""

    def came_elsewhere(self) -> int:
        """Calls that a redirect led away."""
        return 0

    def link(self, link: str) -> str:
        """How a payload says where the portal is."""
        return link


class HttpStand(Stand):
    """A stand whose server speaks HTTP."""

    service: Service

    def __init__(self, url: str, elsewhere: Service) -> None:
        self.url = url
        self._elsewhere = elsewhere

    @abstractmethod
    def settings_at(self, url: str) -> dict[str, Any]:
        """The same with the server at `url`."""

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
    not_there = MappingProxyType(
        {
            "429 date": "Slack says seconds",
            "drip": "slack-sdk bounds each read, not the whole: such an answer holds one sender",
        }
    )
    refuses = frozenset[str]()
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
    not_there = MappingProxyType(
        {"401": "the token is fetched anew and the message said (test_line_works.py)"}
    )
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


class MailStand(Stand):
    """A real SMTP server; what HTTP says with a status, it says with a reply code."""

    address = "yogo@sakura.example"
    secrets = (PASSWORD,)
    frame = _words("subject line") | {
        "ポータルで開く(サインインが必要です)", "ポータルで見る", "--", "",
        "担当の人が対応をはじめました。ほかの人が向かう必要はありません。",
        "兆し:名前や内容は、このメールには書いていません。このメールには返信できません。",
        "ほかの人に転送しても、その人はリンクを使えません。",
        "このメールは届き先の確認です。何もする必要はありません。",
    }  # fmt: skip
    not_there = dict.fromkeys(
        ("429 date", "429 odd", "429 for ever", "502", "503", "404", "drip", "half", "page",
         "large", "redirect", "redirect 308"),
        "SMTP has no such answer; what a mail server does is tried in test_mail.py",
    )  # fmt: skip
    _REPLIES: ClassVar[dict[str, tuple[str, str]]] = {
        "429": ("RCPT", f"451 4.7.1 {SECRET_OF_THE_SERVER}"),
        "429 silent": ("RCPT", "450 4.2.1 later"),
        "500": ("DATA", f"554 5.3.0 {SECRET_OF_THE_SERVER}"),
        "401": ("MAIL", f"530 5.7.0 {SECRET_OF_THE_SERVER}"),
        "400": ("RCPT", f"550 5.1.1 {SECRET_OF_THE_SERVER}"),
        "hang": ("MAIL", "hang"),
        "closed": ("DATA", "close"),
        "no http": ("MAIL", SECRET_OF_THE_SERVER),
    }
    refuses = frozenset({"400", "500"})

    def __init__(self, post: Post, security: str) -> None:
        self.post = post
        self._security = security

    @property
    def settings(self) -> dict[str, Any]:
        mail = {"host": "127.0.0.1", "port": self.post.port, "sender": "alerts@kizashi.example"}
        return {"mail": mail | {"security": self._security}}

    def fault(self, name: str) -> None:
        stage, reply = self._REPLIES[name]
        self.post.replies[stage].append(reply)

    def payloads(self) -> list[Any]:
        return [
            {"subject": mail["Subject"], "line": str(mail.get_content()).splitlines()}
            for mail in self.post.mails
        ]


@contextmanager
def _mail(_folder: Path, tls: ssl.SSLContext | None = None) -> Iterator[MailStand]:
    with mail_running(tls=tls) as post:
        yield MailStand(post, "tls" if tls else "none")


class _PushService(Service):
    def __init__(self) -> None:
        super().__init__()
        self.browser = Browser("")

    def answer(self, call: Call) -> Reply:
        assert call.headers["authorization"].startswith("vapid ")
        assert call.headers["content-encoding"] == "aes128gcm"
        return 201, {}, b""


class WebPushStand(HttpStand):
    """A push service; what it cannot read, the browser behind it can."""

    address = "staff-nurse"
    frame = _words("title mark tag path quiet /portal/channels")
    routable = False
    not_there = MappingProxyType(
        {"404": "the device is gone and taken out of use (test_web_push.py)"}
    )

    def __init__(self, url: str, elsewhere: Service, authority: Path) -> None:
        super().__init__(url, elsewhere)
        self.service = self.push = _PushService()
        self._authority = authority
        self._key = new_private_key()
        self.secrets = (self._key, "push/one")

    def settings_at(self, url: str) -> dict[str, Any]:
        push = {
            "private_key": self._key,
            "contact": "mailto:it@town.example",
            "hosts": [url.removeprefix("https://")],
        }
        return {
            "web_push": push, "channel_hosts": ["127.0.0.1"], "channel_ca_file": self._authority,
        }  # fmt: skip

    def prepare(self, rooms: Rooms) -> None:
        key = make.staff(rooms.database, "nurse", ("nurse", make.SCHOOL))
        assert rooms.settings.web_push is not None
        who = Principal(kind="staff", key=key, board=make.BOARD, csrf="", duties=())
        self.push.browser = browser = Browser(f"{self.url}/push/one")
        Devices(rooms.database).add(
            who, rooms.settings.web_push, browser.endpoint, browser.p256dh, browser.auth
        )

    def payloads(self) -> list[Any]:
        return [self.push.browser.opened(call.body) for call in self.service.calls]

    def link(self, link: str) -> str:
        return link.removeprefix("https://portal.test")


@contextmanager
def _web_push(folder: Path, tls: ssl.SSLContext | None = None) -> Iterator[WebPushStand]:
    authority, elsewhere = Authority(folder / "authority"), Elsewhere()
    with serving(elsewhere) as other:
        stand = WebPushStand("", elsewhere, authority.file)
        stand.service.elsewhere = f"{other}/taken"
        with serving(stand.service, tls or authority.server()) as url:
            stand.url = url
            yield stand


STANDS: dict[str, Callable[..., AbstractContextManager[Any]]] = {
    "google_chat": _http(GoogleChatStand),
    "line_works": _http(LineWorksStand),
    "mail": _mail,
    "slack": _http(SlackStand),
    "teams": _http(TeamsStand),
    "web_push": _web_push,
    "webhook": _http(WebhookStand),
}

__all__ = ["HTTP_FAULTS", "KEY", "OLD_KEY", "STANDS", "HttpStand", "Stand"]
