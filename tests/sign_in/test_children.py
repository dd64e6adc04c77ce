"""Children with an account of their own: the same way in, and a place from the roll."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from tests import make
from tests.sign_in.conftest import Browser, Browsers, Outside
from warning_service.access.tables import sessions
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.clock import MovableClock
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.tables import events
from warning_service.events.types import new_id
from warning_service.rooms import Rooms
from warning_service.roster import tables as roster

CHILD = {"sub": "c-1", "email": "child1@school.example", "email_verified": True}


def test_a_child_comes_in_and_its_answers_count(
    browser: Browser, outside: Outside, rooms: Rooms, town: list[str]
) -> None:
    outside.is_like(claims=CHILD)
    answer = browser.sign_in("pupils", "child")
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert "SameSite=strict" in cookie and "HttpOnly" in cookie and "Path=/child" in cookie
    assert 'url=/child"' in answer.text
    row = make.rows(rooms.database, sessions)[0]
    assert (row.kind, row.key, row.class_id) == ("child", town[0], "")
    home = browser.client.get("/child")
    assert home.status_code == 200
    pages = re.findall(r'href="(/child/questionnaires/[a-z_]+)"', home.text)
    assert pages and browser.client.get(pages[0]).status_code == 200


def test_a_child_without_a_class_asks_for_help_and_is_put_to_its_class(
    browser: Browser, outside: Outside, rooms: Rooms, town: list[str]
) -> None:
    outside.is_like(claims=CHILD)
    browser.sign_in("pupils", "child")
    csrf = re.search(r'name="csrf" value="([^"]+)"', browser.client.get("/child/consultation").text)
    assert csrf is not None
    answer = browser.client.post(
        "/child/consultation",
        data={"csrf": csrf[1], "id": new_id(), "whom": "anyone", "about": "friends"},
    )
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith("/child")
    with rooms.database.reading() as conn:
        stored = conn.execute(select(events).where(events.c.type == "consultation_requested")).one()
    assert stored.student == town[0]
    consumer = AlertsConsumer(rooms.log, rooms.playbooks, tell=False)
    dispatcher = Dispatcher(rooms.log, consumer, make.BOARD)
    dispatcher.drain()
    dispatcher.release()
    alert = rooms.alerts.of_student(town[0])[0]
    assert (alert.school, alert.class_id) == ("sakura", "sakura-1")


def test_what_a_provider_says_about_staff_opens_no_childs_door(
    browsers: Browsers, outside: Outside, rooms: Rooms, town: list[str]
) -> None:
    outside.is_like(claims={**CHILD, "email": "tanaka@school.example"})
    one = browsers()
    assert one.why_not(one.sign_in("pupils", "child")) == "unknown"
    outside.is_like(claims=CHILD)
    two = browsers()
    assert two.sign_in("pupils", "child").status_code == 200
    # The same account at the staff's door is nobody's.
    assert two.why_not(two.sign_in("city")) == "unknown"
    assert two.client.get("/child/account/city/begin").status_code == 404


def test_a_child_that_has_left_is_told_kindly_where_help_is(
    browser: Browser, outside: Outside, rooms: Rooms, clock: MovableClock, town: list[str]
) -> None:
    with rooms.database.writing() as conn:
        conn.execute(update(roster.enrolments).values(until_day=clock.today() - timedelta(days=1)))
    outside.is_like(claims=CHILD)
    answer = browser.sign_in("pupils", "child")
    assert browser.why_not(answer) == "inactive"
    page = browser.client.get(answer.headers["location"]).text
    assert "/child/help" in page and "/child/sign-in" in page


def test_a_journey_of_a_child_ends_like_that_of_an_adult_when_it_goes_wrong(
    browser: Browser, outside: Outside, town: list[str]
) -> None:
    outside.is_like(claims=CHILD, status={"/.well-known/openid-configuration": 500})
    assert browser.why_not(browser.client.get("/child/account/pupils/begin")) == "down"
    outside.is_like(claims=CHILD, error="access_denied")
    assert browser.why_not(browser.sign_in("pupils", "child")) == "cancelled"
    assert browser.client.get("/child/account/x").status_code == 404


def test_the_next_child_ends_the_session_of_the_one_before(
    browser: Browser, outside: Outside, rooms: Rooms, town: list[str]
) -> None:
    outside.is_like(claims=CHILD)
    browser.sign_in("pupils", "child")
    browser.sign_in("pupils", "child")
    assert sorted(row.revoked for row in make.rows(rooms.database, sessions)) == [False, True]


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_door_shows_the_button(browser: Browser, lang: str) -> None:
    browser.client.cookies.set("lang", lang)
    for path in ("/child/sign-in", "/child/sign-in?other=1"):
        page = browser.client.get(path).text
        assert "/child/account/pupils/begin" in page and "/city/" not in page
        assert ("Sign in with pupils" if lang == "en" else "pupilsで入る") in page
