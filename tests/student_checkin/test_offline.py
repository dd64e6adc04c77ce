"""A shared tablet in bad Wi-Fi, in a real Chromium: nothing lost, pretended or mixed up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.browser.provide import MISSING, provide
from tests.student_checkin.conftest import Town
from tests.student_checkin.test_api import stored

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]


@pytest.fixture
def tablet() -> Iterator[BrowserContext]:
    where = provide()
    assert where, MISSING
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=where, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 768, "height": 1024}, has_touch=True)
        yield context
        browser.close()


def sign_in(page: Page, town: Town, seat: int) -> None:
    page.goto(f"{town.url}/child/sign-in/{town.code}/{seat}")
    for picture in ("cat", "sun", "boat"):
        page.click(f"[value={picture}]")
    page.wait_for_url(f"{town.url}/child")


def until(page: Page, script: str) -> None:
    """Wait for a script to be true (playwright's own waiting evaluates, which our CSP forbids)."""
    for _ in range(100):
        if page.evaluate(script):
            return
        page.wait_for_timeout(50)
    raise AssertionError(script)


def answer(page: Page, town: Town, choice: int) -> None:
    page.goto(f"{town.url}/child/questionnaires/kokoro_daily")
    for n in range(3):
        question = page.locator("fieldset.question").nth(n)
        expect(question).to_be_visible()
        question.locator(".answers .answer").nth(choice).click()
    page.locator("#finish button").click()


def test_an_answer_waits_for_its_own_child_and_arrives_once(
    town: Town, tablet: BrowserContext
) -> None:
    page = tablet.new_page()
    sign_in(page, town, 1)
    tablet.route("**/child/api/check-ins", lambda route: route.abort())
    answer(page, town, 3)
    expect(page.locator("#not-yet")).to_be_visible()
    expect(page.locator("#received")).to_be_hidden()
    expect(page.locator("#not-yet")).to_contain_text("0120-0-78310")
    assert stored(town) == []

    # Another child's turn: it sees nothing of the first one's answer and does not send it.
    page.click(".head-turn button")
    tablet.unroute("**/child/api/check-ins")
    sign_in(page, town, 2)
    page.wait_for_load_state("networkidle")
    expect(page.locator("#unsent")).to_be_hidden()
    answer(page, town, 0)
    expect(page.locator("#received")).to_be_visible()
    kept = page.evaluate(
        """() => new Promise((done) => {
          const open = indexedDB.open("kizashi-child", 1);
          open.onsuccess = () => {
            const all = open.result.transaction("unsent").objectStore("unsent").getAll();
            all.onsuccess = () => done(all.result.map((entry) => Object.keys(entry).sort().join()));
          };
        })"""
    )
    assert kept == ["child,data,id,iv,state"]  # the other child's answer, as ciphertext alone
    assert [event.student for event in stored(town)] == [town.children[1]]

    # The first child is back: now it goes out, by itself, once.
    page.click(".head-turn button")
    sign_in(page, town, 1)
    expect(page.locator("#unsent.good")).to_be_visible(timeout=20_000)
    expect(page.locator("[data-questionnaire=kokoro_daily]")).to_be_hidden()
    first, second = stored(town)
    assert (first.student, second.student) == (town.children[1], town.children[0])
    assert second.body.answers == {"mood": 3, "sleep": 3, "body": 3}


def test_a_lost_confirmation_is_asked_for_again_and_counts_once(
    town: Town, tablet: BrowserContext
) -> None:
    page = tablet.new_page()
    sign_in(page, town, 1)
    lost = []

    def lose_the_first(route) -> None:  # type: ignore[no-untyped-def]
        answered = route.fetch()  # the server has stored it; the tablet never hears of it
        lost.append(answered.status)
        route.abort() if len(lost) == 1 else route.fulfill(response=answered)

    tablet.route("**/child/api/check-ins", lose_the_first)
    answer(page, town, 1)
    expect(page.locator("#not-yet")).to_be_visible()
    expect(page.locator("#received")).to_be_visible(timeout=15_000)  # retried by itself
    assert lost == [202, 202]
    assert len(stored(town)) == 1


def test_without_network_the_shell_opens_and_says_so(town: Town, tablet: BrowserContext) -> None:
    page = tablet.new_page()
    sign_in(page, town, 1)
    until(page, "navigator.serviceWorker.controller !== null")
    page.reload()  # controlled from the start: asks the worker to keep the question pages
    until(page, "caches.open('child-pages').then((c) => c.keys()).then((k) => k.length > 1)")
    tablet.set_offline(True)
    page.goto(f"{town.url}/child/consultation")
    page.locator(".chip", has_text="先生").first.click()
    page.locator("#consultation button").click()
    expect(page.locator("#not-yet")).to_be_visible()
    page.goto(f"{town.url}/child")
    expect(page.locator("#unsent")).to_contain_text("1けん")
    assert "児1" not in page.content()  # no name is kept on the tablet
    tablet.set_offline(False)
    page.goto(f"{town.url}/child")
    # A try just before the network was back puts the next one off by some seconds.
    expect(page.locator("#unsent.good")).to_be_visible(timeout=20_000)
    (event,) = stored(town)
    assert event.body.whom == ("homeroom",)
    page.click(".head-turn button")
    until(page, "caches.has('child-pages').then((there) => !there)")
