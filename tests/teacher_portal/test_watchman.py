"""The operator's pages: the figures of the watchman, and messages that did not arrive."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import insert, update

from tests import make
from tests.teacher_portal.conftest import Browser, Browsers
from tests.teacher_portal.school import School
from warning_service.alerts import stuck
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.alerts.counting import Figures
from warning_service.alerts.stuck import Finding
from warning_service.alerts.tables import deliveries, watchman_looks
from warning_service.alerts.telling import delivery
from warning_service.alerts.watchman import NOT_COUNTED, SUMS, Seen, Watchman
from warning_service.clock import Clock, MovableClock
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.types import new_id


@pytest.fixture
def operator(school: School, browsers: Browsers) -> Browser:
    make.staff(school.rooms.database, "operator", ("operator", make.BOARD))
    return browsers("operator")


def failed(school: School, count: int) -> list[str]:
    """Given-up messages about a child's calls."""
    rooms = school.rooms
    student = school.children["sakura-1"][0]
    make.append(rooms.log, *[make.consultation(student, rooms.clock, "nurse")
                             for _ in range(count)])  # fmt: skip
    Dispatcher(rooms.log, AlertsConsumer(rooms.log, rooms.playbooks), make.BOARD).drain()
    alerts = [one.id for one in rooms.alerts.of_student(student)][:count]
    rows = [
        delivery(
            new_id(), alert=alert, channel="slack", address="C-SECRET", purpose="raised",
            wall=Clock().now(),
        )
        | {"state": "failed", "attempts": 120, "last_error": "channel_not_found"}
        for alert in alerts
    ]  # fmt: skip
    with rooms.database.writing() as conn:
        conn.execute(insert(deliveries), rows)
    return [row["id"] for row in rows]


def test_before_the_first_look_the_page_says_what_to_start(operator: Browser) -> None:
    assert "kizashi work" in operator.get("/portal/watchman")


def test_the_last_look_is_shown_with_its_sums(school: School, operator: Browser) -> None:
    failed(school, 2)
    rooms = school.rooms
    assert Watchman(rooms.log, rooms.playbooks, rooms.notices).look() is not None
    page = operator.get("/portal/watchman")
    assert "合っています" in page
    assert '送れず、ここに示した</th><td class="number">2</td>' in page
    metrics = operator.get("/metrics")
    assert "kizashi_watchman_agrees 1.0" in metrics
    assert 'kizashi_watchman_calls{place="given_up"} 2.0' in metrics


def test_every_trouble_has_words_and_an_old_look_is_called_old(
    school: School, operator: Browser
) -> None:
    kinds = [
        SUMS, NOT_COUNTED, stuck.OVERDUE, stuck.LATE, stuck.GIVEN_UP, stuck.NOTHING_SENT,
        stuck.CLAIM_EXPIRED, stuck.BEHIND, stuck.STOPPED, stuck.LOG_STUCK, stuck.SCHEDULE,
    ]  # fmt: skip
    findings = [Finding(f"{kind}:x", make.BOARD, 3) for kind in kinds]
    seen = Seen(figures={make.BOARD: Figures(submitted=3, stored=1, lost=2, surplus=4)},
                findings=findings)  # fmt: skip
    for heartbeat in ("pinged", "refused", "failed", "none"):
        with school.rooms.database.writing() as conn:
            conn.execute(watchman_looks.delete())
            conn.execute(
                insert(watchman_looks).values(
                    minute=Clock().now() - timedelta(minutes=9), owner="x", agrees=False,
                    ended_at=Clock().now(), heartbeat=heartbeat,
                    figures=msgspec.json.encode(seen).decode(),
                    troubles=msgspec.json.encode(findings).decode(),
                )
            )  # fmt: skip
        page = operator.get("/portal/watchman")
    assert "3分以上" in page
    assert page.count('<tr><th scope="row">') >= len(kinds)
    assert "合いません" in page
    assert "4件あります" in page
    assert "kizashi_watchman_agrees 0.0" in operator.get("/metrics")


def test_given_up_messages_are_sent_again_one_by_one_or_all(
    school: School, operator: Browser, clock: MovableClock
) -> None:
    ids = failed(school, 3)
    page = operator.get("/portal/messages")
    assert page.count("channel_not_found") == 3
    assert "C-SECRET" not in page
    assert "#" + school.rooms.alerts.of_student(school.children["sakura-1"][0])[0].id[:8] in page
    assert operator.post("/portal/messages/again", message=ids[0]).status_code == 303
    page = operator.get("/portal/messages?again=1")
    assert "1件を送り直しています" in page
    assert page.count("channel_not_found") == 2
    assert operator.post("/portal/messages/again", message="").status_code == 303
    assert "送るのをやめたメッセージはありません" in operator.get("/portal/messages")
    states = {(row.state, row.attempts) for row in make.rows(school.rooms.database, deliveries)}
    assert states == {("waiting", 0)}


def test_late_messages_are_shown_below(school: School, operator: Browser) -> None:
    failed(school, 1)
    with school.rooms.database.writing() as conn:
        conn.execute(update(deliveries).values(
            state="waiting", created_at=Clock().now() - timedelta(minutes=5)))  # fmt: skip
    page = operator.get("/portal/messages")
    assert "まだ送れていないもの(1件)" in page
