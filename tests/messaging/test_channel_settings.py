"""What the settings refuse about channels, and where a webhook may lead when it is called."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from connectors.messaging import posting
from connectors.messaging.posting import Poster
from tests.messaging.certificates import Authority
from tests.messaging.http_server import serving
from tests.messaging.services import Receiver
from tests.messaging.stands import KEY, OLD_KEY
from tests.messaging.test_contract import message
from warning_service.alerts.messages import NotDelivered
from warning_service.channel_settings import is_public, key_bytes
from warning_service.settings import Settings, UnsafeSettings

TEAMS = "https://prod-1.japaneast.logic.azure.com/workflows/a?sig=secret-part"
CHAT = "https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=secret-part"
LINE = {
    "bot_id": "1", "client_id": "c", "client_secret": "s", "service_account": "a",
    "private_key": "k",
}  # fmt: skip


def production(secret_key: str, tmp_path: Path, **channels: Any) -> Settings:
    return Settings(
        secret_keys=[SecretStr(secret_key)],
        public_url="https://kizashi.town.example",
        data_dir=tmp_path,
        **channels,
    )


def teams(url: str) -> dict[str, Any]:
    return {"teams": {"webhooks": {"n": url}}}


def chat(url: str) -> dict[str, Any]:
    return {"google_chat": {"webhooks": {"n": url}}}


def hook(url: str, *keys: str) -> dict[str, Any]:
    return {"webhook": {"targets": {"n": {"url": url, "keys": list(keys or (KEY,))}}}}


GOOD = [
    teams(TEAMS),
    teams("https://default0.b1.environment.api.powerplatform.com/powerautomate/x?sig=s"),
    chat(CHAT),
    hook("https://desk.town.example/in?a=1"),
    hook("https://desk.town.example:8443/in", KEY, OLD_KEY),
    hook("https://10.0.0.7/in") | {"channel_hosts": ["10.0.0.7"]},
    teams("https://chat.town.lan/hook") | {"channel_hosts": ["chat.town.lan"]},
    {"line_works": LINE},
]


@pytest.mark.parametrize("channels", GOOD)
def test_good_settings(channels: dict[str, Any], secret_key: str, tmp_path: Path) -> None:
    assert production(secret_key, tmp_path, **channels).environment == "production"


UNSAFE = [
    (teams(TEAMS.replace("https", "http")), "https://"),
    (teams("https://logic.azure.com.evil.example/x"), "none of the service's hosts"),
    (teams("https://evil-logic.azure.com.example/x"), "none of the service's hosts"),
    (teams("https://10.1.2.3/x"), "none of the service's hosts"),
    (chat(CHAT.replace("https", "http")), "https://"),
    (chat("https://xchat.googleapis.com/v1"), "none of the service's hosts"),
    (hook("http://desk.town.example/in"), "https://"),
    (hook("https://10.0.0.7/in"), "private network"),
    (hook("https://127.0.0.1/in"), "private network"),
    (hook("https://[::1]/in"), "private network"),
    (hook("https://[::ffff:10.0.0.1]/in"), "private network"),
    (hook("https://169.254.169.254/latest"), "private network"),
    (hook("https://localhost/in"), "private network"),
    (hook("https://desk/in"), "private network"),
    (hook("https://desk.town.local/in"), "private network"),
    (hook("https://desk.internal/in"), "private network"),
    ({"line_works": LINE | {"auth_url": "https://elsewhere.example/token"}}, "service's hosts"),
    ({"line_works": LINE | {"api_url": "http://www.worksapis.com/v1.0"}}, "https://"),
]


@pytest.mark.parametrize(("channels", "words"), UNSAFE)
def test_unsafe_outside_the_demo(
    channels: dict[str, Any], words: str, secret_key: str, tmp_path: Path
) -> None:
    with pytest.raises((UnsafeSettings, ValidationError), match=words) as caught:
        production(secret_key, tmp_path, **channels)
    assert "secret-part" not in str(caught.value)


NEVER = [
    teams("ftp://prod.logic.azure.com/x"),
    teams("https://user:pw@prod.logic.azure.com/x"),
    teams("https://prod.logic.azure.com/x#y"),
    teams("https://prod.logic.azure.com:99999/x"),
    teams("prod.logic.azure.com/x"),
    teams("https:///x"),
    teams("https://prod.logic.azure.com\\@evil.example/x"),
    {"teams": {"webhooks": {}}},
    {"teams": {"webhooks": {"兆 花子": TEAMS}}},
    {"teams": {"webhook": {"n": TEAMS}}},
    hook("https://desk.town.example/in", "short"),
    hook("https://desk.town.example/in", "whsec_c2hvcnQ="),
    hook("https://desk.town.example/in", KEY, OLD_KEY, KEY),
    {"webhook": {"targets": {"n": {"url": "https://desk.town.example/", "keys": []}}}},
    {"line_works": LINE | {"bot_id": "../1"}},
]


@pytest.mark.parametrize("channels", NEVER)
def test_never_fit(channels: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        Settings(environment="demo", data_dir=tmp_path, **channels)


def test_what_is_refused_does_not_stand_on_the_operators_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    from warning_service.console import settings_or_exit

    file = tmp_path / "kizashi.toml"
    file.write_text(
        'environment = "demo"\n[teams.webhooks]\nn = "https://u:pw@x.example/?sig=secret-part"\n'
        '[webhook.targets.d]\nurl = "https://d.example/"\nkeys = ["whsec_secret-part"]\n'
    )
    monkeypatch.setenv("KIZASHI_SETTINGS_FILE", str(file))
    with pytest.raises(typer.Exit):
        settings_or_exit()
    said = capsys.readouterr().err
    assert "teams.webhooks.n" in said
    assert "secret-part" not in said


PUBLIC = [
    ("8.8.8.8", True), ("2001:4860:4860::8888", True), ("10.0.0.1", False), ("127.0.0.1", False),
    ("169.254.1.1", False), ("::1", False), ("fe80::1%eth0", False), ("::ffff:192.168.0.1", False),
    ("224.0.0.1", False), ("0.0.0.0", False), ("100.64.0.1", False), ("192.168.1.1", False),
]  # fmt: skip


@pytest.mark.parametrize(("address", "public"), PUBLIC)
def test_which_addresses_are_the_internets(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_keys() -> None:
    assert key_bytes(KEY) == b"k" * 32
    for odd in ("", "whsec_", KEY[6:], KEY + "!", "whsec_" + "A" * 200):
        with pytest.raises(ValueError, match="is no key"):
            key_bytes(odd)


def _resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let the name service of this machine say this; everything behind it stays real."""

    async def said(_loop: Any, _host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(asyncio.base_events.BaseEventLoop, "getaddrinfo", said)


@pytest.mark.parametrize(
    "addresses", [("127.0.0.1",), ("8.8.8.8", "10.0.0.1"), ("169.254.169.254",), ()]
)
def test_a_name_that_leads_inside_is_refused_when_it_is_called(
    addresses: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _resolving(monkeypatch, *addresses)
    settings = Settings(environment="test", data_dir=tmp_path)
    with pytest.raises(NotDelivered, match="private_address"):
        Poster(settings, public_only=True).post("https://desk.town.example/in", b"{}", {})


def test_the_address_that_was_looked_at_is_called_with_the_names_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No second look-up in between; the certificate is checked for the name, not the address."""
    authority, receiver = Authority(tmp_path / "a"), Receiver(KEY)
    monkeypatch.setattr(posting, "is_public", lambda _address: True)
    with serving(receiver, authority.server("desk.town.example")) as url:
        port = url.rsplit(":", 1)[1]
        _resolving(monkeypatch, "127.0.0.1")
        settings = Settings(
            environment="test", data_dir=tmp_path, channel_ca_file=authority.file,
            **hook(f"https://desk.town.example:{port}/in"),
        )  # fmt: skip
        from connectors.messaging.webhook import WebhookChannel

        channel = WebhookChannel(settings)
        assert channel.send(message("n")) == message("n").delivery
        assert receiver.calls[0].headers["host"] == f"desk.town.example:{port}"
        other = Settings(
            environment="test", data_dir=tmp_path, channel_ca_file=authority.file,
            **hook(f"https://other.example:{port}/in"),
        )  # fmt: skip
        with pytest.raises(NotDelivered, match="not_trusted"):
            WebhookChannel(other).send(message("n"))
    assert len(receiver.calls) == 1


def test_a_receiver_tells_a_repeat_and_both_keys_are_good_while_they_change(
    tmp_path: Path,
) -> None:
    from connectors.messaging.webhook import WebhookChannel

    new, old = Receiver(KEY), Receiver(OLD_KEY)
    for receiver in (new, old):
        with serving(receiver) as url:
            settings = Settings(
                environment="test", data_dir=tmp_path, channel_hosts=["127.0.0.1"],
                **hook(f"{url}/in", KEY, OLD_KEY),
            )  # fmt: skip
            channel = WebhookChannel(settings)
            channel.send(message("n"))
            channel.send(message("n"))  # its answer was lost: the same delivery once more
            channel.send(message("n", delivery="another"))
        assert (len(receiver.taken), receiver.repeats) == (2, 1)
