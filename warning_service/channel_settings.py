"""The parts of the settings that are about channels: where they lead, and what is unsafe about it.

An address of a webhook is a secret in itself (whoever has it can write into the staff room's chat),
and it decides where this service calls out to. So both are the operator's, in the settings, under a
name; boards choose among the names (alerts/routes.py), and no page or table holds an address.

Only shapes and places are judged here; whether anybody answers is for `kizashi channel test`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterator
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

TEAMS_HOSTS = (".logic.azure.com", ".api.powerplatform.com")
GOOGLE_CHAT_HOSTS = ("chat.googleapis.com",)
LINE_WORKS_HOSTS = ("auth.worksmobile.com", "www.worksapis.com")
"""Where the services are. Anything else needs a line in `channel_hosts`."""

PUSH_HOSTS = (
    "fcm.googleapis.com", "updates.push.services.mozilla.com", ".notify.windows.com",
    "web.push.apple.com",
)  # fmt: skip
"""Push services of the browsers. A device of any other is refused."""

MAIL_ADDRESS = r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$"
PUSH_KEY_BYTES = 32
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

INSIDE = (".local", ".localhost", ".internal", ".lan", ".home.arpa")
"""Endings of names that are never the internet's."""

KEY_BYTES = (24, 64)
"""So long a webhook's key may be, in bytes."""


def _address(value: SecretStr) -> SecretStr:
    parts = _split(value.get_secret_value())
    # The message must not quote it: it would stand on the operator's screen and in the journal.
    if parts is None:
        raise ValueError("is no http(s) address, or has a user name or a fragment in it")
    return value


def _split(url: str) -> tuple[str, str] | None:
    """(scheme, host) of an address that may be called at all."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (raises for what is no port)
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii():
        return None
    if parts.username is not None or parts.fragment or re.search(r"[\s\\]", url):
        return None
    return parts.scheme, parts.hostname


def _push_key(value: SecretStr) -> SecretStr:
    try:
        coded = value.get_secret_value()
        found = base64.b64decode(coded + "=" * (-len(coded) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != PUSH_KEY_BYTES or not 0 < int.from_bytes(found) < _P256_ORDER:
        raise ValueError("is no key: `kizashi channel new-push-key` makes one")
    return value


def key_bytes(key: str) -> bytes:
    """The bytes of a webhook's key `whsec_…` (base64). Raises ValueError."""
    prefix, _, coded = key.partition("_")
    try:
        found = base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if prefix != "whsec" or not KEY_BYTES[0] <= len(found) <= KEY_BYTES[1]:
        raise ValueError("is no key: `kizashi channel new-key` makes one")
    return found


def _key(value: SecretStr) -> SecretStr:
    key_bytes(value.get_secret_value())
    return value


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
"""What a destination is called in routes and on pages; never a person."""

Address = Annotated[SecretStr, AfterValidator(_address)]
Key = Annotated[SecretStr, AfterValidator(_key)]
PushKey = Annotated[SecretStr, AfterValidator(_push_key)]


class _Section(BaseModel):
    # An error that quoted what it was given would show keys on screens and in journals.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TeamsSettings(_Section):
    """`[teams]`: addresses of Workflows webhooks by name."""

    webhooks: dict[Name, Address] = Field(min_length=1)


class GoogleChatSettings(_Section):
    """`[google_chat]`: addresses of incoming webhooks by name."""

    webhooks: dict[Name, Address] = Field(min_length=1)


class LineWorksSettings(_Section):
    """`[line_works]`: a bot and the service account it speaks through."""

    bot_id: str = Field(pattern=r"^[0-9]{1,20}$")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    service_account: str = Field(min_length=1)
    private_key: SecretStr = Field(description="PEM, as the developer console gives it.")
    auth_url: Address = SecretStr("https://auth.worksmobile.com/oauth2/v2.0/token")
    api_url: Address = SecretStr("https://www.worksapis.com/v1.0")


class WebhookTarget(_Section):
    """One receiver of signed webhooks. `keys`: newest first; the second one while they change."""

    url: Address
    keys: list[Key] = Field(min_length=1, max_length=2)


class WebhookSettings(_Section):
    """`[webhook]`: receivers by name."""

    targets: dict[Name, WebhookTarget] = Field(min_length=1)


class MailSettings(_Section):
    """`[mail]`: the mail server that takes our mail, and who it is from."""

    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="none: in the clear, only to this very machine."
    )
    user: str = ""
    password: SecretStr | None = None
    sender: str = Field(pattern=MAIL_ADDRESS, description="The address mail is from.")
    sender_name: str = Field(default="兆し", max_length=40, pattern=r"^[^\r\n]*$")
    link_hours: int = Field(
        default=12, ge=1, le=72, description="So long a mail's link opens its alert."
    )

    @property
    def is_local(self) -> bool:
        """Does nothing leave this machine on the way to the server?"""
        return self.host in {"127.0.0.1", "::1", "localhost"}


class WebPushSettings(_Section):
    """`[web_push]`: our key (`kizashi channel new-push-key` makes one) and whom to ask about us."""

    private_key: PushKey
    contact: str = Field(
        pattern=r"^(mailto:[^@\s]+@[^@\s]+|https://\S+)$",
        description="Where a push service reaches the operator when something is wrong.",
    )
    hosts: list[str] = Field(
        default=list(PUSH_HOSTS),
        min_length=1,
        description="Hosts of push services; one that begins with a dot stands for all below it.",
    )


def unsafe_mail(mail: MailSettings) -> Iterator[str]:
    """What is unsafe about sending through this server."""
    if mail.security == "none" and not mail.is_local:
        yield "mail.security is none: what is sent, and the password, would be readable"


def unsafe_address(
    what: str, address: SecretStr, *, services: Collection[str] | None, own: Collection[str]
) -> Iterator[str]:
    """What is unsafe about calling `address`, in words that do not quote it.

    `services`: the hosts the service has (an ending begins with a dot); None when it may be any on
    the internet. `own`: hosts of the house that the operator has listed.
    """
    scheme, host = _split(address.get_secret_value()) or ("", "")
    if scheme != "https":
        yield f"{what} does not begin with https://: what it says would be readable"
    if host in own:
        return
    if services is None:
        if is_inside(host):
            yield f"{what} leads into a private network; if that is meant, put it in channel_hosts"
    elif not any(host == one or (one[0] == "." and host.endswith(one)) for one in services):
        yield f"{what} leads to none of the service's hosts; if that is meant, use channel_hosts"


def is_inside(host: str) -> bool:
    """Is this host, by its very name, one of a private network or of this machine?"""
    try:
        return not is_public(host)
    except ValueError:
        return "." not in host or host.endswith(INSIDE)


def is_public(address: str) -> bool:
    """Is this IP address one of the internet's? Raises ValueError for what is no address."""
    found = ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    found = mapped or found
    return found.is_global and not found.is_multicast
