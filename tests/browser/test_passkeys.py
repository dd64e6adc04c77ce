"""Passkeys in a real Chromium, with its own (virtual) authenticator: set up, sign in, confirm."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import CDPSession, Page, expect

from tests import make
from tests.browser import town
from tests.teacher_portal.school import School
from warning_service.access.roles import Role
from warning_service.app import build, create_app
from warning_service.clock import MovableClock, monotonic
from warning_service.rooms import Rooms
from warning_service.settings import Settings

pytestmark = pytest.mark.browser


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(settings: Settings, port: int) -> Settings:
    """Browsers know passkeys on localhost without https; nurses need a second factor."""
    return settings.model_copy(
        update={
            "public_url": f"http://localhost:{port}",
            "second_factor_roles": frozenset({Role.NURSE}),
        }
    )


@contextmanager
def served(rooms: Rooms, port: int) -> Iterator[str]:
    config = uvicorn.Config(
        create_app(rooms), port=port, log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    begin = monotonic()
    while not running.started:
        assert thread.is_alive() and monotonic() - begin < 20
        threading.Event().wait(0.01)
    yield rooms.settings.public_url
    running.should_exit = True
    thread.join(timeout=10)


def plug_in(page: Page) -> tuple[CDPSession, str]:
    """A USB key whose owner touches it at once; Chromium's own implementation of it."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    made = devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2", "transport": "usb", "hasResidentKey": False,
                "hasUserVerification": True, "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )  # fmt: skip
    return devtools, str(made["authenticatorId"])


def sign_in(page: Page, address: str) -> None:
    page.goto(f"{address}/portal/sign-in?next=/portal/alerts")
    page.fill("#login", "nurse")
    page.fill("#password", make.PASSWORD)
    page.get_by_role("button", name="サインイン", exact=True).click()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_nurse_sets_up_a_passkey_and_signs_in_with_it(
    settings: Settings, clock: MovableClock, port: int, tmp_path: Path
) -> None:
    rooms = build(settings, clock)
    School(rooms)
    with served(rooms, port) as address, town.browser() as chromium:
        context = town.context(chromium, town.DESK)
        page = context.new_page()
        devtools, device = plug_in(page)
        sign_in(page, address)
        expect(page.locator("h1")).to_have_text("もう一つの確認を登録する")
        page.fill("#passkey-name", "青いキー")
        page.get_by_role("button", name="パスキーを登録する").click()
        expect(page.locator("h1")).to_have_text("予備のコード")
        page.get_by_role("button", name="コードを作って表示する").click()
        expect(page.locator(".codes li")).to_have_count(10)
        page.get_by_role("link", name="控えたので、次へ進む").click()
        page.wait_for_url(f"{address}/portal/alerts")
        held = devtools.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]
        assert [one["rpId"] for one in held] == ["localhost"]

        # The next morning: password, touch, in.
        clock.move_by(timedelta(hours=20))
        sign_in(page, address)
        expect(page.locator("h1")).to_have_text("もう一つの確認")
        page.get_by_role("button", name="パスキーで確認する").click()
        page.wait_for_url(f"{address}/portal/alerts")

        other_tab = context.new_page()
        other_tab.goto(f"{address}/portal/alerts")
        expect(other_tab.locator("#live-state")).to_have_attribute("data-state", "on")

        # Six minutes later something grave asks again, and leads back.
        clock.move_by(timedelta(minutes=6))
        page.goto(f"{address}/portal/security")
        expect(page.locator("main")).to_contain_text("青いキー")
        page.get_by_role("link", name="本人確認へ進む").click()
        page.get_by_role("button", name="パスキーで確認する").click()
        page.wait_for_url(f"{address}/portal/security")
        expect(page.get_by_role("button", name="パスワードを変える")).to_be_visible()

        # The other tab's stream belonged to the old token; it goes on by itself.
        with other_tab.expect_response("**/portal/live?*", timeout=15_000):
            pass
        expect(other_tab.locator("#live-state")).to_have_attribute("data-state", "on")
        other_tab.close()

        # Without the key the page says so and offers another way.
        devtools.send("WebAuthn.removeCredential", {
            "authenticatorId": device, "credentialId": held[0]["credentialId"],
        })  # fmt: skip
        clock.move_by(timedelta(hours=20))
        sign_in(page, address)
        expect(page.locator("#passkey-trouble")).to_be_hidden()
        page.get_by_role("button", name="パスキーで確認する").click()
        expect(page.locator("#passkey-trouble")).to_be_visible(timeout=15_000)
        page.locator("summary").click()
        expect(page.get_by_label(re.compile("予備のコード"))).to_be_visible()
        context.close()
    rooms.database.close()
