"""The Slack channel against a real local server: what it sends, and how it reads the answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.messaging.slack import SlackChannel
from demo.slack_room import Room
from tests.messaging.slack_server import SlackServer
from warning_service.alerts.messages import Message, NotDelivered, RateLimited
from warning_service.settings import Settings

MESSAGE = Message(
    address="C1",
    alert_id="0f1e2d3c-0000-4000-8000-000000000000",
    kind="consultation",
    urgent=True,
    state="open",
    class_name="",
    link="http://portal.test/portal/alerts/0f1e2d3c-0000-4000-8000-000000000000",
)


def with_state(**values: object) -> Message:
    return Message(**{**{f: getattr(MESSAGE, f) for f in MESSAGE.__struct_fields__}, **values})


def test_posts_and_changes_a_message(channel: SlackChannel, slack: SlackServer) -> None:
    remote = channel.send(MESSAGE)
    [sent] = slack.posted("C1")
    assert sent["text"] == "【至急】新しい相談 1件 #0f1e2d3c"
    [acknowledge, link] = sent["blocks"][1]["elements"]
    assert (acknowledge["action_id"], acknowledge["value"]) == ("acknowledge", MESSAGE.alert_id)
    assert link["url"] == MESSAGE.link
    assert sent["unfurl_links"] is False
    channel.update(remote, with_state(state="acknowledged", class_name="3年2組"))
    changed = slack.posted("C1")[1]
    assert changed["method"] == "update"
    assert changed["text"] == "相談 1件:対応中(3年2組) #0f1e2d3c"
    assert len(changed["blocks"][1]["elements"]) == 1


def test_429_is_read_with_its_pause(channel: SlackChannel, slack: SlackServer) -> None:
    slack.faults.script["C1"].append(("429", 7))
    with pytest.raises(RateLimited) as caught:
        channel.send(MESSAGE)
    assert caught.value.seconds == 7


def test_500_and_a_refusal_are_told_apart(channel: SlackChannel, slack: SlackServer) -> None:
    slack.faults.script["C1"].append(("500", 0))
    with pytest.raises(NotDelivered) as down:
        channel.send(MESSAGE)
    assert (down.value.why, down.value.refused) == ("http_500", False)
    with pytest.raises(NotDelivered) as refused:
        channel.update("C1:1.0", MESSAGE)
    assert (refused.value.why, refused.value.refused) == ("message_not_found", True)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>a proxy's page</html>", b'{"ok": true, "channel": "C1"', b"[]", b"", b"null",
        b'{"ok": true, "channel": "C1"}', b'{"ok": true, "channel": 5, "ts": "1.0"}',
        b'{"ok": true, "channel": "C1", "ts": ""}', b'{"ok": false, "error": "a b <script>"}',
        b'{"ok": false}', b'{"ok": true, "channel": "C1", "ts": 17}', b"\xff\xfe",
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_not_taken_for_one(
    channel: SlackChannel, slack: SlackServer, answer: bytes
) -> None:
    slack.faults.answers["C1"].append(answer)
    with pytest.raises(NotDelivered) as caught:
        channel.send(MESSAGE)
    assert (caught.value.why, caught.value.refused) == ("unexpected_answer", False)


def test_what_is_no_http_at_all(settings: Settings) -> None:
    with talking_nonsense(b"SSH-2.0-OpenSSH_9.6\r\n") as port:
        other = settings.model_copy(update={"slack_api_url": f"http://127.0.0.1:{port}/api"})
        with pytest.raises(NotDelivered) as caught:
            SlackChannel(other).send(MESSAGE)
    assert caught.value.why in {"unexpected_answer", "ConnectionResetError"}


@pytest.mark.parametrize(
    ("given", "seconds"), [("7", 7), ("0", 0), ("", 30), ("soon", 30), ("-5", 30), ("999999", 900)]
)
def test_pauses_that_cannot_be_meant(
    channel: SlackChannel, slack: SlackServer, given: str, seconds: float
) -> None:
    slack.faults.script["C1"].append(("429", given))
    with pytest.raises(RateLimited) as caught:
        channel.send(MESSAGE)
    assert caught.value.seconds == seconds


def test_to_a_member_it_is_a_conversation_with_them(
    channel: SlackChannel, slack: SlackServer
) -> None:
    """Slack posts to a member's id, and calls the conversation by another one from then on."""
    slack.faults.answers["U-hr11"].append(b'{"ok": true, "channel": "D77", "ts": "1.000001"}')
    direct = with_state(address="U-hr11")
    remote = channel.send(direct)
    assert remote == "D77:1.000001"
    slack.faults.answers["D77"].append(b'{"ok": true, "channel": "D77", "ts": "1.000001"}')
    channel.update(remote, direct)
    assert slack.posted()[-1]["channel"] == "D77"


def test_what_is_wrong_with_the_whole_token_is_not_this_messages_fault(
    channel: SlackChannel, slack: SlackServer
) -> None:
    for code, refused in (("token_revoked", False), ("is_archived", True)):
        slack.faults.answers["C1"].append(f'{{"ok": false, "error": "{code}"}}'.encode())
        with pytest.raises(NotDelivered) as caught:
            channel.send(MESSAGE)
        assert (caught.value.why, caught.value.refused) == (code, refused)


@contextmanager
def talking_nonsense(words: bytes) -> Iterator[int]:
    """A port where somebody else answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    met, _ = server.accept()
                    with met:
                        met.recv(65536)
                        met.sendall(words)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def test_nobody_listening(settings: Settings) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nowhere = settings.model_copy(update={"slack_api_url": f"http://127.0.0.1:{port}/api"})
    with pytest.raises(NotDelivered):
        SlackChannel(nowhere).send(MESSAGE)


def test_a_wrong_token_is_refused(settings: Settings) -> None:
    other = settings.model_copy(update={"slack_bot_token": SecretStr("xoxb-other")})
    with pytest.raises(NotDelivered) as caught:
        SlackChannel(other).send(MESSAGE)
    assert caught.value.why == "invalid_auth"


def test_a_channel_that_hangs_is_left_after_a_few_seconds(
    channel: SlackChannel, slack: SlackServer
) -> None:
    slack.faults.script["C1"].append(("hang", 10))
    with pytest.raises(NotDelivered) as caught:
        channel.send(MESSAGE)
    assert caught.value.why == "TimeoutError"


def test_the_room_keeps_its_messages_over_a_restart_and_no_more_than_it_may(
    tmp_path: Path,
) -> None:
    room = Room(tmp_path)
    for number in range(205):
        room.post("C1", f"m{number}", [])
    changed = room.shown("C1")[-1]
    assert room.change("C1", changed.ts, "changed", [])
    assert not room.change("C1", "0.0", "x", [])
    room.close()
    again = Room(tmp_path)
    assert [posted.text for posted in again.shown("C1")][-2:] == ["m203", "changed"]
    assert again.channels() == ["C1"]
    assert again.post("C2", "x", []).ts > changed.ts
