"""An open page in a real Chromium whose server is started again: it shows what it missed."""

from __future__ import annotations

import socket

import pytest
from playwright.sync_api import expect

from tests import make
from tests.browser import town
from tests.browser.test_passkeys import served
from tests.teacher_portal.school import School
from warning_service.app import build
from warning_service.clock import MovableClock
from warning_service.settings import Settings

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_came_while_the_server_was_away_is_shown_without_a_touch(
    settings: Settings, clock: MovableClock
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    ours = settings.model_copy(update={"public_url": f"http://localhost:{port}"})
    rooms = build(ours, clock)
    school = School(rooms)
    child = school.children["sakura-1"][0]

    with town.browser() as chromium:
        page = town.context(chromium, town.DESK).new_page()
        with served(rooms, port) as address:
            page.goto(f"{address}/portal/sign-in?next=/portal/alerts")
            page.fill("#login", "nurse")
            page.fill("#password", make.PASSWORD)
            page.get_by_role("button", name="サインイン", exact=True).click()
            state = page.locator("#live-state")
            expect(state).to_have_attribute("data-state", "on")
            expect(page.get_by_text("児1")).to_have_count(0)
        expect(state).not_to_have_attribute("data-state", "on", timeout=10_000)
        alert = school.alert(child)  # another process goes on; only the pages' server is away
        with served(build(ours, clock), port):
            link = page.locator(f'a[href="/portal/alerts/{alert}"]').first
            expect(link).to_be_visible(timeout=20_000)
            expect(state).to_have_attribute("data-state", "on", timeout=20_000)
