"""What Teams, Google Chat and LINE WORKS are told, and what "changed" looks like in each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.messaging.google_chat import GoogleChatChannel
from connectors.messaging.line_works import LineWorksChannel
from connectors.messaging.line_works import body_of as said_in_line_works
from connectors.messaging.teams import TeamsChannel, card_of
from tests.messaging.services import GoogleChat
from tests.messaging.stands import STANDS
from tests.messaging.test_contract import ALERT, SECOND, message
from warning_service.alerts.messages import NotDelivered, Other
from warning_service.settings import Settings


def connected(name: str, folder: Path, stand: Any, made: Any) -> Any:
    return made(Settings(environment="test", data_dir=folder, **stand.settings))


def test_google_chat_keeps_one_alert_in_one_thread(tmp_path: Path) -> None:
    with STANDS["google_chat"](tmp_path) as stand:
        channel = connected("google_chat", tmp_path, stand, GoogleChatChannel)
        first = channel.send(message("sakura-nurse"))
        channel.update(first, message("sakura-nurse", state="acknowledged"))
        other = channel.send(message("sakura-nurse", alert_id=SECOND))
        service: GoogleChat = stand.service
        assert set(service.threads) == {ALERT, SECOND}
        assert first.split(".")[0] != other.split(".")[0]
        lines = [json.loads(call.body)["text"].splitlines()[0] for call in service.calls]
    assert lines == [
        "【至急】新しい相談 1件 #0f1e2d3c", "相談 1件:対応中 #0f1e2d3c",
        "【至急】新しい相談 1件 #1a2b3c4d",
    ]  # fmt: skip


def test_a_classs_name_calls_nobody_and_links_nowhere_in_google_chat(tmp_path: Path) -> None:
    with STANDS["google_chat"](tmp_path) as stand:
        channel = connected("google_chat", tmp_path, stand, GoogleChatChannel)
        channel.send(message("sakura-nurse", class_name="<users/all> *3年*"))
        [call] = stand.service.calls
    assert "<users/all>" not in json.loads(call.body)["text"]


def test_a_name_the_settings_do_not_have_is_never_called(tmp_path: Path) -> None:
    for name, made in (("google_chat", GoogleChatChannel), ("teams", TeamsChannel)):
        with STANDS[name](tmp_path) as stand:
            channel = connected(name, tmp_path, stand, made)
            for address in ("other", stand.url, ""):
                with pytest.raises(NotDelivered, match="unknown_address"):
                    channel.send(message(address))
            assert stand.service.calls == []


def test_a_card_is_loud_only_while_somebody_is_waited_for() -> None:
    [waiting] = card_of(message("n"))["attachments"][0]["content"]["body"]
    [taken] = card_of(message("n", state="acknowledged"))["attachments"][0]["content"]["body"]
    assert (waiting["color"], waiting["weight"]) == ("Attention", "Bolder")
    assert ("color" in taken, taken["weight"]) == (False, "Default")
    assert waiting["text"] == "【至急】新しい相談 1件 #0f1e2d3c"


def test_line_works_stays_within_its_lengths_and_to_known_places(tmp_path: Path) -> None:
    many = tuple(Other(alert_id=f"{n:08d}", state="acknowledged") for n in range(40))
    said = said_in_line_works(message("user:u-1", others=many, count=41, class_name="3年2組" * 30))
    assert len(said["content"]["contentText"]) <= 300
    with STANDS["line_works"](tmp_path) as stand:
        channel = connected("line_works", tmp_path, stand, LineWorksChannel)
        for address in ("room-1", "group:1", "user:../../x", "user:a/b", "channel:"):
            with pytest.raises(NotDelivered, match="unknown_address"):
                channel.send(message(address))
        assert stand.service.calls == []


def test_a_wrong_key_says_so_without_quoting_it(tmp_path: Path) -> None:
    with STANDS["line_works"](tmp_path) as stand:
        for key in (
            "secret-rubbish",
            "-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----",
        ):
            wrong = {"line_works": stand.settings["line_works"] | {"private_key": key}}
            with pytest.raises(ValueError, match="no RSA key in PEM") as caught:
                LineWorksChannel(Settings(environment="test", data_dir=tmp_path, **wrong))
            assert "rubbish" not in str(caught.value)
