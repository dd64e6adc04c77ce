"""The good way through a provider that others wrote: oidc-provider-mock, in a process of its own.

Once with a plain HTTP client, once in Chromium, where cookies keep the rules of a real browser.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from urllib.parse import urljoin

import httpx
import pytest

from tests import make
from tests.browser.provide import MISSING, provide
from tests.sign_in.conftest import TENANT, Browser, configured, free_port
from warning_service.access.tables import sessions
from warning_service.clock import MovableClock
from warning_service.rooms import Rooms
from warning_service.roster import tables as roster
from warning_service.settings import SignInProvider

# What is tried here is another provider; what is stored of it is tried on both in test_staff.py.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TEACHER = {
    "sub": "teacher", "email": "tanaka@school.example", "email_verified": True,
    "hd": "school.example", "tid": TENANT, "oid": "o-1",
    "preferred_username": "Tanaka@school.example",
}  # fmt: skip
CHILD = {"sub": "child", "email": "child1@school.example", "email_verified": True}


@pytest.fixture(scope="module")
def other_provider() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    for claims in (TEACHER, CHILD):
        command += ["--user-claims", json.dumps(claims)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{url}/jwks", trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                assert process.poll() is None and time.monotonic() < deadline, process.stderr
                time.sleep(0.05)
        yield url
        process.terminate()


@pytest.fixture
def providers(other_provider: str) -> list[SignInProvider]:
    return [
        configured("city", other_provider),
        configured("google", other_provider, kind="google", hosted_domain="school.example"),
        configured("entra", other_provider, kind="entra", tenant=TENANT),
        configured("pupils", other_provider, people="children"),
    ]


def authorize(address: str, sub: str) -> str:
    """What a person does at the provider: reads the page, sends its form; where it leads."""
    with httpx.Client(trust_env=False, timeout=20) as client:
        page = client.get(address)
        found = re.search(r'<form[^>]*action="([^"]*)"', page.text)
        action = urljoin(address, unescape(found[1])) if found else address
        answer = client.post(action, data={"sub": sub})
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])


@pytest.mark.usefixtures("town")
@pytest.mark.parametrize(
    ("name", "subject"), [("city", "teacher"), ("google", "teacher"), ("entra", f"{TENANT}.o-1")]
)
def test_staff_come_in(browser: Browser, rooms: Rooms, name: str, subject: str) -> None:
    back = authorize(browser.set_out(name, next="/portal/alerts"), "teacher")
    answer = browser.come_back(back)
    assert answer.headers["location"] == "/portal/alerts"
    rows = make.rows(rooms.database, roster.identities)
    assert [(row.subject, row.key) for row in rows] == [(subject, "staff-tanaka")]
    assert browser.client.get("/portal").status_code == 200


def test_a_child_comes_in_and_a_stranger_does_not(
    browser: Browser, rooms: Rooms, town: list[str]
) -> None:
    stranger = authorize(browser.set_out("pupils", "child"), "someone@school.example")
    assert browser.why_not(browser.come_back(stranger)) == "unknown"
    answer = browser.come_back(authorize(browser.set_out("pupils", "child"), "child"))
    assert answer.status_code == 200
    assert [row.key for row in make.rows(rooms.database, sessions)] == [town[0]]


@pytest.mark.browser
@pytest.mark.usefixtures("town")
def test_in_a_real_browser(server: str, rooms: Rooms, clock: MovableClock) -> None:
    from playwright.sync_api import expect, sync_playwright

    clock.move_to(datetime.now(UTC))  # a browser drops cookies by its own time
    path = provide()
    assert path, MISSING
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = chromium.new_page(locale="ja-JP")
        page.goto(f"{server}/portal/sign-in?next=/portal/alerts")
        page.get_by_role("link", name="cityで入る").click()
        page.get_by_role("button", name="teacher").click()
        page.wait_for_url(f"{server}/portal/alerts")
        page = chromium.new_page(locale="ja-JP")
        page.goto(f"{server}/child/sign-in")
        page.get_by_role("link", name="pupilsで入る").click()
        page.get_by_role("button", name="child", exact=True).click()
        page.wait_for_url(f"{server}/child")
        expect(page.locator(".head-home")).to_be_visible()
        page.locator(".head-turn button").click()
        page.wait_for_url(re.compile(r"/child/sign-in"))
        page.goto(f"{server}/portal/account/unknown")
        expect(page.get_by_role("alert")).to_contain_text("登録されていません")
        page.get_by_role("link", name="English").click()
        expect(page.get_by_role("alert")).to_contain_text("Nobody has registered")
        chromium.close()
