"""Buttons pressed in Slack: signature, who may, what comes of it, seen in both places."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi import FastAPI
from slack_sdk.signature import SignatureVerifier
from sqlalchemy import update

from connectors.messaging import slack_actions, slack_interactions
from connectors.messaging.slack import SlackChannel
from demo.slack_room import APP, TEAM, Member, make_router
from tests import make
from tests.alerts.town import CANARIES, Town, principal
from tests.messaging.slack_server import SECRET, served
from warning_service.alerts.deliver import Deliverer
from warning_service.alerts.outside.replays import first_time
from warning_service.alerts.outside.tables import seen_requests
from warning_service.alerts.service import Alerts
from warning_service.app import build
from warning_service.clock import Clock
from warning_service.database import Database
from warning_service.follow_up.service import FollowUps
from warning_service.rooms import Rooms
from warning_service.roster import tables as t
from warning_service.settings import Settings


@pytest.fixture
def rooms(town: Town, settings: Settings, database_url: str) -> Iterator[Rooms]:
    """The rooms around the small town, with the settings of the local Slack server."""
    built = build(settings.model_copy(update={"database_url": database_url}), town.log.clock)
    alerts = Alerts(town.log, town.playbooks, built.trail)
    yield replace(
        built,
        log=town.log,
        playbooks=town.playbooks,
        alerts=alerts,
        follow_ups=FollowUps(town.log, built.sealer, town.playbooks, alerts, built.gateway),
    )
    built.database.close()


def make_app(rooms: Rooms) -> FastAPI:
    app = FastAPI()
    app.state.rooms = rooms
    app.include_router(slack_interactions.router)
    return app


@contextmanager
def browsing(app: FastAPI) -> Iterator[httpx.Client]:
    with (
        served(app) as url,
        httpx.Client(base_url=url, follow_redirects=True, trust_env=False) as client,
    ):
        yield client


@pytest.fixture
def client(rooms: Rooms) -> Iterator[httpx.Client]:
    with browsing(make_app(rooms)) as client:
        yield client


@pytest.fixture
def alert(town: Town) -> str:
    town.asks("kid1")
    town.work()
    return town.alerts.of_student("kid1")[0].id


_numbers = iter(range(1_000_000))


def payload(alert_id: str, user: str | dict[str, str] = "U-hr11", **more: Any) -> str:
    return urlencode(
        {
            "payload": json.dumps(
                {
                    "type": "block_actions",
                    "team": {"id": TEAM},
                    "api_app_id": APP,
                    "user": {"id": user, "team_id": TEAM} if isinstance(user, str) else user,
                    "actions": [{"action_id": "acknowledge", "value": alert_id}],
                    "trigger_id": str(next(_numbers)),
                    **more,
                }
            )
        }
    )


def signed(body: str, *, secret: str = SECRET, age: int = 0) -> dict[str, str]:
    stamp = str(int(Clock().now().timestamp()) - age)
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=body)
    return {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": signature or "",
    }


def press(client: httpx.Client, alert_id: str, user: str = "U-hr11") -> str:
    body = payload(alert_id, user)
    answer = client.post("/slack/interactions", content=body, headers=signed(body))
    assert answer.status_code == 200
    assert answer.json()["response_type"] == "ephemeral"
    return str(answer.json()["text"])


def test_pressing_takes_the_alert_on_once(client: httpx.Client, town: Town, alert: str) -> None:
    assert press(client, alert) == slack_actions.DONE
    view = town.alerts.one(principal("hr11"), alert)
    assert (view.state, view.acknowledged_by, view.acknowledged_via) == (
        "acknowledged",
        "hr11",
        "slack",
    )
    assert press(client, alert, "U-nurse1") == slack_actions.TAKEN
    assert town.alerts.one(principal("hr11"), alert).acknowledged_by == "hr11"


def test_who_may_not_see_it_may_not_take_it_and_learns_nothing(
    client: httpx.Client, town: Town, alert: str
) -> None:
    missing = "00000000-0000-4000-8000-000000000000"
    for user in ("U-hr12", "U-nurse2", "U-board1", "U-unknown", ""):
        for wanted in (alert, missing, "'; DROP TABLE alerts; --"):
            assert press(client, wanted, user) == slack_actions.NOT_ALLOWED
    assert town.alerts.one(principal("hr11"), alert).state == "open"


def test_one_who_has_left_or_whose_id_two_claim_is_refused(
    client: httpx.Client, town: Town, alert: str
) -> None:
    with town.log.database.writing() as conn:
        conn.execute(update(t.staff).where(t.staff.c.staff == "hr11").values(active=False))
        conn.execute(update(t.staff).where(t.staff.c.staff == "hr12").values(slack_user="U-nurse1"))
    assert press(client, alert, "U-hr11") == slack_actions.NOT_ALLOWED
    assert press(client, alert, "U-nurse1") == slack_actions.NOT_ALLOWED
    assert town.alerts.of_student("kid1")[0].state == "open"


def test_who_was_not_told_of_a_call_cannot_take_it_on_in_chat(
    client: httpx.Client, town: Town, alert: str
) -> None:
    assert press(client, alert, "U-head1") == slack_actions.NOT_ALLOWED  # covers the child
    assert town.alerts.of_student("kid1")[0].state == "open"
    town.answers("kid1", vanish=1)
    town.work()
    answer = next(a for a in town.alerts.of_student("kid1") if a.kind == "critical")
    assert press(client, answer.id, "U-head1") == slack_actions.DONE


def spoil_signature(headers: dict[str, str]) -> None:
    headers["x-slack-signature"] = "v0=" + "0" * 64


def non_ascii_signature(headers: dict[str, str]) -> None:
    headers["x-slack-signature"] = "v0=é"


def no_signature(headers: dict[str, str]) -> None:
    del headers["x-slack-signature"]


def no_timestamp(headers: dict[str, str]) -> None:
    del headers["x-slack-request-timestamp"]


def odd_timestamp(headers: dict[str, str]) -> None:
    headers["x-slack-request-timestamp"] = "soon"


SPOILERS = [spoil_signature, non_ascii_signature, no_signature, no_timestamp, odd_timestamp]


def test_without_slacks_own_fresh_signature_401(
    client: httpx.Client, town: Town, alert: str
) -> None:
    body = payload(alert)
    wrong = [signed(body, secret="other"), signed(body, age=301), signed(body, age=-330)]
    for spoil in SPOILERS:
        headers = signed(body)
        spoil(headers)
        wrong.append(headers)
    for headers in wrong:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        answer = client.post("/slack/interactions", content=body, headers=raw)
        assert answer.status_code == 401, headers
    assert town.alerts.one(principal("hr11"), alert).state == "open"
    answer = client.post("/slack/interactions", content=body, headers=signed(body, age=290))
    assert answer.status_code == 200


def test_a_changed_body_and_a_replayed_request_401(
    client: httpx.Client, town: Town, alert: str
) -> None:
    body = payload(alert, "U-hr12")
    headers = signed(body)
    changed = body.replace("hr12", "hr11")
    assert client.post("/slack/interactions", content=changed, headers=headers).status_code == 401
    assert client.post("/slack/interactions", content=body, headers=headers).status_code == 200
    assert client.post("/slack/interactions", content=body, headers=headers).status_code == 401


def test_a_request_taken_by_one_process_is_refused_by_the_next(
    rooms: Rooms, town: Town, alert: str
) -> None:
    """Two applications over one database, as behind a balancer; the second press is a new one."""
    body = payload(alert, "U-hr12")
    headers = signed(body)
    with browsing(make_app(rooms)) as one, browsing(make_app(rooms)) as other:
        assert one.post("/slack/interactions", content=body, headers=headers).status_code == 200
        assert other.post("/slack/interactions", content=body, headers=headers).status_code == 401
        assert press(other, alert) == slack_actions.DONE


def test_marks_of_requests_go_when_their_signature_is_too_old_anyway(database: Database) -> None:
    window, now = timedelta(minutes=5), Clock().now()
    assert first_time(database, "slack", "v0=a", now=now, window=window)
    assert first_time(database, "other", "v0=a", now=now, window=window)
    assert not first_time(database, "slack", "v0=a", now=now + 2 * window, window=window)
    later = now + 2 * window + timedelta(seconds=1)
    assert first_time(database, "slack", "v0=b", now=later, window=window)
    assert len(make.rows(database, seen_requests)) == 1


def test_of_two_that_come_at_once_one_is_the_first(database: Database) -> None:
    now = Clock().now()
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(
                lambda _: first_time(
                    database, "slack", "v0=a", now=now, window=timedelta(minutes=5)
                ),
                range(16),
            )
        )
    assert found.count(True) == 1


ELSEWHERE: list[dict[str, Any]] = [
    {"team": {"id": "TOTHER"}},
    {"team": None},
    {"team": {"id": ""}},
    {"user": {"id": "U-hr11", "team_id": "TOTHER"}},
    {"api_app_id": "AOTHER"},
    {"api_app_id": ""},
]


def test_another_workspace_or_app_401(client: httpx.Client, town: Town, alert: str) -> None:
    """Rightly signed: somebody installed the app elsewhere, or was given our secret for theirs."""
    for more in ELSEWHERE:
        body = payload(alert, **more)
        answer = client.post("/slack/interactions", content=body, headers=signed(body))
        assert (answer.status_code, answer.content) == (401, b""), more
    assert town.alerts.one(principal("hr11"), alert).state == "open"


NONSENSE = [
    ("payload=", 400),
    ("payload=%7B", 400),
    ("nothing=1", 400),
    ("payload=[]", 400),
    (urlencode({"payload": '{"type":"block_actions","user":{"id":5}}'}), 400),
    (urlencode({"payload": '{"type":"view_submission","user":{"id":"U"}}'}), 401),
    (payload("", type="view_submission"), 200),
    (payload("", actions=[{"action_id": "open_portal"}]), 200),
    (payload("", actions=[]), 200),
    ("x" * (64 * 1024 + 1), 413),
]


def test_signed_nonsense(client: httpx.Client) -> None:
    for body, status in NONSENSE:
        answer = client.post("/slack/interactions", content=body, headers=signed(body))
        assert answer.status_code == status, body[:50]


def test_not_configured_401(rooms: Rooms, alert: str) -> None:
    import dataclasses

    without = dataclasses.replace(
        rooms, settings=rooms.settings.model_copy(update={"slack_signing_secret": None})
    )
    body = payload(alert)
    with browsing(make_app(without)) as client:
        answer = client.post("/slack/interactions", content=body, headers=signed(body, secret="x"))
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://hooks.slack.com/actions/T/1/x", True),
        ("http://hooks.slack.com/actions/T/1/x", False),
        ("https://hooks.slack.com.evil.test/x", False),
        ("https://hooks.slack.com@evil.test/x", False),
        ("http://169.254.169.254/latest", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_answers_go_to_slack_and_nowhere_else(settings: Settings, url: str, may: bool) -> None:
    assert slack_actions.may_answer_to(settings, url) is may
    real = settings.model_copy(update={"slack_api_url": "https://slack.com/api/"})
    assert slack_actions.may_answer_to(real, url) is may
    own = settings.slack_api_url
    assert slack_actions.may_answer_to(settings, own) is True
    assert slack_actions.may_answer_to(real, own) is False


def test_the_answer_does_not_wait_for_a_busy_database(
    client: httpx.Client, rooms: Rooms, alert: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = threading.Event()
    monkeypatch.setattr(slack_interactions, "ANSWER_WITHIN", 0.2)
    monkeypatch.setattr(rooms.alerts, "acknowledge", lambda *_: hold.wait(5))
    assert press(client, alert) == slack_actions.LATER
    hold.set()


def test_the_whole_way_through_the_rooms_page(rooms: Rooms, town: Town, tmp_path: Path) -> None:
    """Alert → chat → pressed on the room's page → acknowledged → the message in chat says so."""
    with served(make_app(rooms)) as service, browsing(_room(tmp_path, service)) as page:
        settings = rooms.settings.model_copy(
            update={"slack_api_url": f"{page.base_url}/demo/slack/api/"}
        )
        channel = SlackChannel(settings)
        deliverer = Deliverer(town.log, {"slack": channel}, public_url="http://portal.test")
        assert "まだ何も届いていません" in page.get("/demo/slack").text
        town.asks("kid1", ["homeroom"])
        town.work()
        assert deliverer.run_once() == 1
        alert = town.alerts.of_student("kid1")[0]
        shown = page.get("/demo/slack").text
        assert f"新しい相談 1件 #{alert.id[:8]}" in shown
        assert not [name for name in (*CANARIES, "kid1") if name in shown]
        ts, value = shown.split('name="button" value="')[1].split('"')[0].split(" ")
        form_token = shown.split('name="form_token" value="')[1].split('"')[0]
        form = {"button": f"{ts} {value}", "form_token": form_token}

        refused = page.post("/demo/slack/press", data={**form, "member": "U-hr12"})
        assert slack_actions.NOT_ALLOWED in refused.text
        assert town.alerts.one(principal("hr11"), alert.id).state == "open"
        done = page.post("/demo/slack/press", data={**form, "member": "U-hr11"})
        assert slack_actions.DONE in done.text
        assert town.alerts.one(principal("hr11"), alert.id).acknowledged_via == "slack"
        assert deliverer.run_once() == 1
        after = page.get("/demo/slack").text
        assert f"相談 1件:対応中 #{alert.id[:8]}" in after
        assert 'name="button"' not in after
        stale = page.post("/demo/slack/press", data={**form, "member": "U-hr11"})
        assert stale.status_code == 404
        forged = {**form, "member": "U-hr11", "form_token": "x"}
        assert page.post("/demo/slack/press", data=forged).status_code == 403
        assert page.post("/demo/slack/api/auth.test").json()["error"] == "invalid_auth"


def _room(tmp_path: Path, service: str) -> FastAPI:
    app = FastAPI()
    app.include_router(
        make_router(
            tmp_path / "room", SECRET, f"{service}/slack/interactions",
            members=lambda: [Member("U-hr12", "別の担任"), Member("U-hr11", "担任")],
        ),
        prefix="/demo/slack",
    )  # fmt: skip
    return app
