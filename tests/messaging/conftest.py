from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.messaging.slack import SlackChannel
from demo.slack_room import APP, TEAM
from tests.alerts.town import Town
from tests.messaging.slack_server import SECRET, TOKEN, SlackServer, running
from warning_service.clock import monotonic
from warning_service.events.log import Log
from warning_service.settings import Settings


@pytest.fixture
def town(log: Log, tmp_path: Path) -> Town:
    """A small town on the test's database."""
    return Town(log, tmp_path)


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[SlackServer]:
    """A local Slack-compatible server."""
    with running(tmp_path / "slack") as server:
        yield server


@pytest.fixture
def settings(slack: SlackServer, tmp_path: Path, secret_key: str) -> Settings:
    """Settings that lead to the local server."""
    return Settings(
        environment="test",
        data_dir=tmp_path,
        secret_keys=[SecretStr(secret_key)],
        public_url="http://portal.test",
        slack_api_url=slack.api_url,
        slack_bot_token=SecretStr(TOKEN),
        slack_signing_secret=SecretStr(SECRET),
        slack_team_id=TEAM,
        slack_app_id=APP,
    )


@pytest.fixture
def channel(settings: Settings) -> SlackChannel:
    """The real channel against the local server."""
    return SlackChannel(settings)


@pytest.fixture
def soon() -> Callable[..., None]:
    """Wait until something holds; fail when it does not within the time."""

    def wait(holds: Callable[[], bool], seconds: float = 5.0) -> None:
        import threading

        begin = monotonic()
        while not holds():
            assert monotonic() - begin < seconds, "did not come about in time"
            threading.Event().wait(0.01)

    return wait
