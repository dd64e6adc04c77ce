"""Mail as a channel: for those who have no chat, and as the second way when chat is down.

One mail for one message, from the mail server the settings name: over TLS with a checked
certificate (STARTTLS or from the first byte), in the clear only on the same machine. Subject and
body have what `Message` has, which is nothing about anybody. The link in a mail about one alert can
be used once, after signing in, by those the address is there for (alerts/outside/ack_links.py).

A mail cannot be changed once it is sent. What follows is said in the same thread, and only where
somebody would otherwise set out for nothing: that an urgent alert has been taken on. Everything
else would be a mail that changes nothing for its reader.

A server's "later" (4xx, as greylisting servers say to strangers) and its "no" (5xx) are told apart;
trying again is the deliverer's. A mail that is sent again has the same Message-ID, by which most
mail programs show it once.
"""

from __future__ import annotations

import hashlib
import re
import smtplib
import ssl
from contextlib import closing, suppress
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from connectors.messaging.registry import Kind
from warning_service.alerts.messages import TEST, Message, NotDelivered, RateLimited
from warning_service.alerts.outside.ack_links import AckLinks
from warning_service.channel_settings import MAIL_ADDRESS
from warning_service.clock import JAPAN, Clock
from warning_service.database import Database, StorageUnavailable
from warning_service.rooms import Rooms
from warning_service.settings import Settings

log = structlog.get_logger()

TIMEOUT_SECONDS = 10.0
GREYLISTED_SECONDS = 60.0
"""After a "later" without a time: greylisting servers want between one and five minutes."""

_ADDRESS = re.compile(MAIL_ADDRESS, re.ASCII)
_LONGEST_ADDRESS = 254

WAITING = ("open", "escalated")


class MailChannel:
    """Hands mails to the configured server, a connection for each. Used by several threads."""

    name = "mail"
    can_update = False

    def __init__(self, settings: Settings, database: Database) -> None:
        if settings.mail is None:
            raise ValueError("mail is not set")
        self._mail = settings.mail
        self._portal = settings.public_url.rstrip("/")
        self._ours = urlsplit(self._portal).hostname or "localhost"
        self._trusted = _trusted(settings.channel_ca_file)
        self._links = AckLinks(database)
        self._wall = Clock()

    def send(self, message: Message) -> str:
        """Send; return the Message-ID. Raises RateLimited or NotDelivered."""
        name = root = self._name_of(message, "")
        if message.state != "open":
            name = self._name_of(message, f"{message.state}:{message.delivery}")
        mail = self._written(message, name, after="" if name == root else root)
        body = [message.title, message.marks, ""]
        if message.kind == TEST:
            body += ["このメールは届き先の確認です。何もする必要はありません。"]
        else:
            body += self._ways(message)
        mail.set_content("\n".join([*body, "", *self._foot()]), charset="utf-8", cte="base64")
        self._hand_over(mail, message.address)
        return name

    def update(self, remote_id: str, message: Message) -> None:
        """Say in the thread that an urgent alert is being seen to; nothing otherwise.

        Raises RateLimited or NotDelivered.
        """
        if not message.urgent or message.state != "acknowledged":
            return
        name = self._name_of(message, "acknowledged:" + remote_id)
        mail = self._written(message, name, after=remote_id)
        body = [
            message.title, message.marks, "",
            "担当の人が対応をはじめました。ほかの人が向かう必要はありません。", message.link,
        ]  # fmt: skip
        mail.set_content("\n".join([*body, "", *self._foot()]), charset="utf-8", cte="base64")
        self._hand_over(mail, message.address)

    # -- what it says ------------------------------------------------------------------------------

    def _written(self, message: Message, name: str, *, after: str) -> EmailMessage:
        if not fits(message.address):
            raise NotDelivered("bad_address", refused=True)
        mail = EmailMessage(policy=SMTP)
        urgent = message.urgent and message.state in WAITING and message.kind != TEST
        mark = "【至急】" if urgent else ""
        user, _, domain = self._mail.sender.partition("@")
        mail["From"] = Address(self._mail.sender_name, user, domain)
        mail["To"] = message.address
        mail["Subject"] = f"{mark}{message.title} #{message.reference}"
        mail["Date"] = format_datetime(self._wall.now().astimezone(JAPAN))
        mail["Message-ID"] = name
        if after:
            mail["In-Reply-To"] = after
            mail["References"] = after
        mail["Auto-Submitted"] = "auto-generated"  # so that nobody's absence notice answers it
        mail["X-Auto-Response-Suppress"] = "All"
        mail["List-Id"] = f"<kizashi-alerts.{domain}>"
        if urgent:
            mail["Importance"] = "high"
            mail["X-Priority"] = "1"
        return mail

    def _ways(self, message: Message) -> list[str]:
        """What the reader can do: take it on by a link of its own, or open the portal."""
        if message.others or message.alert_id not in message.waiting:
            return ["ポータルで開く(サインインが必要です)", message.link]
        token = self._token(message)
        if token is None:
            return ["ポータルで開く(サインインが必要です)", message.link]
        hours = self._mail.link_hours
        return [
            f"対応する(サインインのあと、1回だけ使えます。{hours}時間以内)",
            f"{self._portal}/portal/take/{token}", "",
            "ポータルで見る", message.link,
        ]  # fmt: skip

    def _token(self, message: Message) -> str | None:
        try:
            return self._links.make(
                message.alert_id,
                self.name,
                message.address,
                good_for=timedelta(hours=self._mail.link_hours),
            )
        except StorageUnavailable as error:
            # The mail is what matters; its reader comes in by the portal.
            log.error("mail_without_link", error=str(error))
            return None

    @staticmethod
    def _foot() -> list[str]:
        return [
            "-- ",
            "兆し:名前や内容は、このメールには書いていません。このメールには返信できません。",
            "ほかの人に転送しても、その人はリンクを使えません。",
        ]

    def _name_of(self, message: Message, what: str) -> str:
        """The Message-ID of one telling of an alert at one address; what: '' for the thread's."""
        parts = f"{message.alert_id}\n{message.address}\n{what}"
        mark = hashlib.sha256(parts.encode()).hexdigest()[:32]
        return f"<{mark}@{self._mail.sender.partition('@')[2]}>"

    # -- handing it over -----------------------------------------------------------------------

    def _hand_over(self, mail: EmailMessage, address: str) -> None:
        named = False
        try:
            with closing(self._connection()) as server:
                if self._mail.user and self._mail.password is not None:
                    server.login(self._mail.user, self._mail.password.get_secret_value())
                named = True
                server.send_message(mail, self._mail.sender, [address])
                with suppress(smtplib.SMTPException, OSError):
                    server.quit()  # it has the mail, whatever comes of this
        except smtplib.SMTPRecipientsRefused as error:
            raise _refusal(next(iter(error.recipients.values()))[0], ours=False) from None
        except smtplib.SMTPSenderRefused as error:
            raise _refusal(error.smtp_code, ours=True) from None
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, ours=not named) from None
        except smtplib.SMTPServerDisconnected as error:
            waited = isinstance(error.__context__, TimeoutError)
            raise NotDelivered("timeout" if waited else "disconnected") from None
        except smtplib.SMTPNotSupportedError:
            raise NotDelivered("no_tls_or_sign_in") from None
        except smtplib.SMTPException as error:
            raise NotDelivered(type(error).__name__) from None
        except ssl.SSLCertVerificationError:
            raise NotDelivered("not_trusted") from None
        except ssl.SSLError:
            raise NotDelivered("tls") from None
        except TimeoutError:
            raise NotDelivered("timeout") from None
        except (OSError, ValueError) as error:  # refused, unreachable; a line that is no reply
            raise NotDelivered(type(error).__name__) from None

    def _connection(self) -> smtplib.SMTP:
        host, port, ours = self._mail.host, self._mail.port, self._ours
        if self._mail.security == "tls":
            return smtplib.SMTP_SSL(
                host, port, ours, timeout=TIMEOUT_SECONDS, context=self._trusted
            )
        server = smtplib.SMTP(host, port, ours, timeout=TIMEOUT_SECONDS)
        if self._mail.security == "none":
            return server
        try:
            # Without it nothing is said: a server (or somebody in between) that does not offer it
            # gets neither password nor mail.
            server.starttls(context=self._trusted)
        except BaseException:
            server.close()
            raise
        return server


def _refusal(code: int, *, ours: bool) -> RateLimited | NotDelivered:
    """What a server's reply means. `ours`: it is about us, and no mail would be taken."""
    if code in {450, 451} and not ours:
        return RateLimited(GREYLISTED_SECONDS)
    if not 100 <= code <= 599:  # no reply at all: smtplib says -1
        return NotDelivered("unexpected_answer")
    return NotDelivered(f"smtp_{code}", refused=not ours and 500 <= code < 600)


def fits(address: str) -> bool:
    """Can it be a mail address? One that could end a header or name two people never is."""
    return len(address) <= _LONGEST_ADDRESS and _ADDRESS.fullmatch(address) is not None


@cache
def _trusted(own_authority: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if own_authority is not None:
        context.load_verify_locations(cafile=own_authority)
    return context


def _connect(rooms: Rooms) -> MailChannel | None:
    return None if rooms.settings.mail is None else MailChannel(rooms.settings, rooms.database)


KIND = Kind(
    name="mail",
    label="メール",
    label_en="Mail",
    hint="メールアドレス(係の共用アドレスか、本人のもの)",
    hint_en="a mail address (of a duty, or a person's own)",
    connect=_connect,
    fits=lambda _settings, address: fits(address),
)
