"""Every operator's guide, walked: its settings are fit for production, its commands do as it says.

Each command of a guide is run as it stands there, in the guide's order, against a server of the
channel's kind and a queue with a sender. Both languages have the same settings and commands.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tomllib import loads
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.messaging import registry
from connectors.messaging.registry import kinds
from connectors.messaging.web_push import new_private_key
from tests import make
from tests.messaging.services import LineWorks
from tests.messaging.stands import KEY, STANDS, Stand
from warning_service.access.tables import audit
from warning_service.alerts.deliver import Deliverer
from warning_service.alerts.messages import NotDelivered, RateLimited
from warning_service.alerts.tables import deliveries, routes
from warning_service.app import build
from warning_service.cli import cli
from warning_service.clock import MovableClock
from warning_service.settings import Settings

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "channels"
NAMES = sorted(kinds())
LANGUAGES = ("md", "ja.md")
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def guide(name: str, language: str = "md") -> str:
    return (GUIDES / f"{name}.{language}").read_text("utf-8")


def blocks(text: str, kind: str) -> list[str]:
    """The fenced blocks of a kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.M | re.S)


def commands(text: str) -> list[str]:
    """The commands of a guide in order."""
    return [line for part in blocks(text, "sh") for line in part.splitlines() if line]


def test_every_channel_has_a_guide_in_both_languages() -> None:
    there = {file.name for file in GUIDES.glob("*.md")}
    wanted = {f"{name}.{language}" for name in (*NAMES, "README") for language in LANGUAGES}
    assert there == wanted
    for language in LANGUAGES:
        overview = guide("README", language)
        assert [name for name in NAMES if f"({name}.{language})" not in overview] == []


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_say_the_same(name: str) -> None:
    first, second = (guide(name, language) for language in LANGUAGES)
    assert blocks(first, "toml") == blocks(second, "toml")
    assert commands(first) == commands(second)
    codes = [re.findall(r"^\| `([a-z0-9_…]+)` \|", text, re.M) for text in (first, second)]
    assert codes[0] == codes[1] != []


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_of_the_guide_are_fit_for_production(
    name: str, tmp_path: Path, secret_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = "\n".join(blocks(guide(name), "toml"))
    if name == "line_works":
        written = written.replace("(the key file's lines)", "AAAA")
    if name == "webhook":
        written = written.replace("whsec_0000", KEY)
    if name == "web_push":
        written = written.replace('"0000"', f'"{new_private_key()}"')
    base = {"secret_keys": [secret_key], "public_url": "https://kizashi.town.example"}
    settings = Settings(**base, data_dir=tmp_path, **loads(written))  # type: ignore[arg-type]
    assert settings.environment == "production"
    for word in re.findall(r"`([a-z_]+)`", guide("README")):
        if word.startswith("channel_"):
            assert word in Settings.model_fields


@pytest.fixture
def walk(
    database_url: str, secret_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Run commands as an operator would, with the settings of a stand in a settings file."""
    with ExitStack() as stack:

        class Walk:
            def __init__(self, name: str) -> None:
                self.stand: Stand = stack.enter_context(STANDS[name](tmp_path / name))
                values = {
                    "environment": "test", "database_url": database_url,
                    "secret_keys": [secret_key], "data_dir": str(tmp_path / "data"),
                    "public_url": "https://portal.test", **self.stand.settings,
                }  # fmt: skip
                for field, value in values.items():
                    text = value if isinstance(value, str | Path) else json.dumps(value)
                    monkeypatch.setenv(f"KIZASHI_{field.upper()}", str(text))
                self.rooms = build(Settings(), MovableClock(make_start()))
                stack.callback(self.rooms.database.close)
                make.places(self.rooms.database)
                self.stand.prepare(self.rooms)
                channels = registry.connect(self.rooms)
                sender = Deliverer(self.rooms.log, channels, public_url="https://portal.test")
                sender.start()
                stack.callback(sender.stop)

            def run(self, line: str) -> tuple[int, str]:
                words = shlex.split(line)
                assert words[0] == "kizashi"
                done = CliRunner().invoke(cli, words[1:], env={"COLUMNS": "80"})
                assert not isinstance(done.exception, Exception), done.exception
                return done.exit_code, done.output

        yield Walk


def make_start() -> Any:
    from tests.conftest import START

    return START


@ON_SQLITE
@pytest.mark.parametrize("name", NAMES)
def test_walking_the_guide(name: str, walk: Any) -> None:
    made = walk(name)
    said = {}
    for line in commands(guide(name)):
        code, said[line] = made.run(line)
        assert code == 0, (line, said[line])
    listed = next(text for line, text in said.items() if line.endswith("channel list"))
    assert re.search(rf"{name} +│ yes", listed), listed
    tests = [text for line, text in said.items() if " channel test " in line]
    if made.stand.routable:
        assert len(tests) == 2, "straight, and through the queue"
        assert all(f"Taken by {name}" in text for text in tests)
        assert len(made.stand.payloads()) == 2
        assert made.stand.address in next(
            text for line, text in said.items() if line.endswith("channel routes")
        )
        assert "Back with: kizashi channel route" in said[commands(guide(name))[-1]]
        assert make.rows(made.rooms.database, routes) == []
        [owed] = make.rows(made.rooms.database, deliveries)
        assert (owed.purpose, owed.state, owed.alert_id) == ("test", "sent", "")
        actions = [row.action for row in make.rows(made.rooms.database, audit)]
        assert actions[-3:] == ["route_set", "route_tried", "route_removed"]


@ON_SQLITE
def test_what_can_go_wrong_is_said_and_is_status_1(walk: Any) -> None:
    made = walk("teams")
    for fault, words in (("404", "http_404"), ("closed", "closed"), ("page", "unexpected_answer")):
        made.stand.fault(fault)
        code, said = made.run("kizashi channel test teams sakura-nurse")
        assert (code, said.strip()) == (1, f"Not taken: {words}")
    made.stand.fault("429")
    assert "wait 7 s" in made.run("kizashi channel test teams sakura-nurse")[1]
    made.run("kizashi channel route teams sakura-nurse sakura nurse")
    made.stand.fault("404")
    code, said = made.run("kizashi channel test teams sakura-nurse --queue")
    assert (code, said.strip().splitlines()[-1]) == (1, "Not taken: http_404")
    for wrong, status in (
        ("test pigeon x", 2), ("test teams elsewhere", 2), ("test slack C1", 2),
        ("route teams sakura-nurse nowhere nurse", 2), ("route teams x sakura nurse", 2),
        ("unroute slack sakura nurse", 1), ("routes --board other", 2),
    ):  # fmt: skip
        code, said = made.run(f"kizashi channel {wrong}")
        assert (code, bool(said.strip())) == (status, True), wrong
    assert (
        "It was: sakura-nurse"
        in made.run("kizashi channel route teams sakura-nurse sakura nurse --turn 2")[1]
    )


@ON_SQLITE
def test_the_check_in_the_webhook_guide_believes_ours_and_nothing_else(walk: Any) -> None:
    [program] = blocks(guide("webhook"), "python")
    known: dict[str, Any] = {}
    exec(compile(program, "docs/channels/webhook.md", "exec"), known)  # our own guide
    believed = known["believed"]
    made = walk("webhook")
    assert made.run("kizashi channel test webhook board-desk")[0] == 0
    [call] = made.stand.service.calls
    [first, second] = made.rooms.settings.webhook.targets["board-desk"].keys
    new, old = first.get_secret_value(), second.get_secret_value()
    other = made.run("kizashi channel new-key")[1].strip()
    for keys in ([new], [old], [other, old]):  # while keys are exchanged, either is enough
        assert believed(call.headers, call.body, keys)
    assert not believed(call.headers, call.body, [other])
    assert not believed(call.headers, call.body + b" ", [new])
    for name, value in (
        ("webhook-id", "another"), ("webhook-timestamp", "1700000000"), ("webhook-timestamp", "²"),
        ("webhook-signature", "v1,é"), ("webhook-signature", ""),
    ):  # fmt: skip
        assert not believed({**call.headers, name: value}, call.body, [new])


@ON_SQLITE
def test_a_token_is_kept_renewed_and_fetched_anew(walk: Any) -> None:
    made = walk("line_works")
    line: LineWorks = made.stand.service
    channel = kinds()["line_works"].connect(made.rooms)
    assert channel is not None
    from tests.messaging.test_contract import message

    for _ in range(3):
        channel.send(message("channel:room-1"))
    assert len(line.tokens) == 1
    line.tokens.clear()  # the service ends the token early
    channel.send(message("user:u-1"))
    assert len(line.tokens) == 1
    line.lives = 2.0
    line.tokens.clear()
    channel.send(message("channel:room-1"))
    first = set(line.tokens)
    import threading

    threading.Event().wait(1.1)  # half of its life
    channel.send(message("channel:room-1"))
    assert set(line.tokens) > first or len(line.tokens) == 2


TOKEN_TROUBLE = [
    ((500, {}, b"x"), "token_http_500"),
    ((400, {}, b'{"error":"invalid_grant"}'), "token_http_400"),
    ((200, {}, b"{}"), "token_unexpected_answer"),
    ((200, {}, b"no json"), "token_unexpected_answer"),
    ((200, {}, b'{"access_token":"a b","expires_in":"10"}'), "token_unexpected_answer"),
    ((200, {}, b'{"access_token":"a","expires_in":true}'), "token_unexpected_answer"),
    ((200, {}, b'{"access_token":"a","expires_in":"soon"}'), "token_unexpected_answer"),
    ((302, {"location": "http://127.0.0.1:9/"}, b""), "token_redirect"),
]


@ON_SQLITE
@pytest.mark.parametrize(("reply", "why"), TOKEN_TROUBLE)
def test_no_token_is_not_delivered_and_asked_for_again_after_a_moment(
    reply: Any, why: str, walk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connectors.messaging import line_works
    from tests.messaging.test_contract import message

    made = walk("line_works")
    channel = kinds()["line_works"].connect(made.rooms)
    assert channel is not None
    made.stand.service.token_script.append(reply)
    for _ in range(2):  # the second one does not even ask
        with pytest.raises(NotDelivered) as caught:
            channel.send(message("channel:room-1"))
        assert (caught.value.why, caught.value.refused) == (why, False)
    assert len(made.stand.service.calls) == 1
    monkeypatch.setattr(line_works, "AFTER_A_FAILURE", 0.0)
    channel.send(message("channel:room-1"))
    made.stand.service.tokens.clear()
    made.stand.service.token_script.append((429, {"retry-after": "3"}, b""))
    with pytest.raises(RateLimited):
        channel.send(message("channel:room-1"))
