"""A tablet of the class, in a real Chromium: card, number, pictures, done, the next child."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests import make
from tests.student_checkin.conftest import HTML, Town
from tests.student_checkin.test_api import stored
from tests.student_checkin.test_offline import answer, tablet
from warning_service.access.principals import Principal
from warning_service.access.tables import sessions

__all__ = ["tablet"]
ROOM = "sakura-1"


def teacher(town: Town) -> Principal:
    make.staff(town.rooms.database, "mori", ("homeroom", ROOM))
    found = town.rooms.sessions.find(town.rooms.sessions.start_staff("staff-mori", make.BOARD))
    assert found is not None
    return found


def card_of(town: Town) -> str:
    return f"{town.url}/child/card/{town.rooms.cards.new_card(teacher(town), ROOM)}"


def living(town: Town) -> int:
    return sum(
        not row.revoked and row.kind == "child" for row in make.rows(town.rooms.database, sessions)
    )


def press(page: Page, seat: int) -> None:
    """As a child does: its number, its three pictures."""
    page.locator("ul.seats a", has_text=re.compile(rf"^{seat}$")).click()
    for picture in ("cat", "sun", "boat"):
        page.locator(f"button[name=pick][value={picture}]").click()
    page.wait_for_url("**/child")


@pytest.mark.browser
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_from_the_card_to_the_next_child(town: Town, tablet: BrowserContext) -> None:
    page = tablet.new_page()
    page.goto(card_of(town))
    expect(page).to_have_url(f"{town.url}/child/class")  # the card's secret is not in the address
    press(page, 2)
    expect(page.locator("h1")).to_contain_text("児2")
    answer(page, town, 1)
    expect(page.locator("#received")).to_be_visible()
    page.locator("#received .next-child button").click()
    expect(page).to_have_url(f"{town.url}/child/class")
    assert living(town) == 0
    # Nothing of the child behind the back button, however often it is pressed.
    for _ in range(4):
        page.go_back()
        page.wait_for_load_state()
        expect(page.locator("body")).not_to_contain_text("児2")
        assert re.search(r"/child/(class|sign-in)|about:blank", page.url), page.url
        if page.url == "about:blank":
            break
    page.goto(f"{town.url}/child")
    press(page, 3)
    expect(page.locator("h1")).to_contain_text("児3")
    assert [event.student for event in stored(town)] == [town.children[1]]
    # The card is lost: the open page leads to the door with its next step.
    town.rooms.cards.stop_card(_again(town), ROOM)
    page.reload()
    expect(page).to_have_url(f"{town.url}/child/sign-in")
    expect(page.locator("[role=alert]")).to_contain_text("カード")


def _again(town: Town) -> Principal:
    found = town.rooms.sessions.find(town.rooms.sessions.start_staff("staff-mori", make.BOARD))
    assert found is not None
    return found


@pytest.mark.browser
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_tablet_put_down_counts_down_and_goes_back_to_the_numbers(
    town: Town, tablet: BrowserContext
) -> None:
    page = tablet.new_page()
    page.clock.install()
    page.goto(card_of(town))
    press(page, 1)
    expect(page.locator("#idle")).to_be_hidden()
    page.clock.run_for(121_000)
    expect(page.locator("#idle")).to_be_visible()
    assert 0 < int(page.locator("#idle-left").inner_text()) <= 30
    page.locator("#idle-stay").click()
    expect(page.locator("#idle")).to_be_hidden()
    # Whoever is writing gets more time before being asked.
    page.goto(f"{town.url}/child/consultation")
    page.fill("#words", "ひみつの ことば")
    page.clock.run_for(300_000)
    expect(page.locator("#idle")).to_be_hidden()
    # At one jump: played through, the sign-out's own time limit would pass before it is answered.
    page.clock.fast_forward(300_000)
    page.wait_for_url(f"{town.url}/child/class")
    assert living(town) == 0
    page.go_back()
    page.wait_for_load_state()
    assert "ひみつの ことば" not in page.content()
    assert stored(town) == []


# -- the same without a browser, on both databases -------------------------------------------------


def test_without_script_the_page_goes_to_the_numbers_when_the_session_ends(town: Town) -> None:
    with httpx.Client(base_url=town.url, verify=False, headers=HTML) as shared:
        shared.get(card_of(town))
        done = shared.post("/child/class/2", data={"chosen": "cat-sun", "pick": "boat"})
        assert done.headers["location"] == "/child"
        page = shared.get("/child").text
        seconds = town.rooms.settings.shared_session_idle
        assert f'http-equiv="refresh" content="{seconds};url=/child/sign-in"' in page
        assert "つぎの" in page
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)
        assert csrf is not None
        form = {"csrf": csrf.group(1)}
        assert shared.post("/child/stay", data=form).status_code == 204
        assert shared.post("/child/stay", data={"csrf": "x"}).status_code == 403
        out = shared.post("/child/sign-out", data=form)
        assert out.headers["location"] == "/child/sign-in"
        # Pressed once more by the next child: no error, the numbers; anything else says the truth.
        assert shared.post("/child/sign-out", data=form).headers["location"] == "/child/sign-in"
        late = shared.post(
            "/child/consultation", data={**form, "words": "x"}, follow_redirects=True
        )
        assert late.url.path == "/child/class"
        plain = re.sub("<rt>.*?</rt>|<rp>.*?</rp>|<[^>]+>", "", late.text)
        assert "とどいていません" in plain and "何番" in plain


def test_an_own_device_has_no_next_child_and_no_countdown(town: Town) -> None:
    token = town.rooms.sessions.start_child(town.children[0], make.BOARD, "")
    with httpx.Client(
        base_url=town.url, verify=False, headers=HTML, cookies={"kizashi_child": token}
    ) as own:
        page = own.get("/child").text
    assert "児1" in page and "idle" not in page and "おわる" in page and "refresh" not in page


def test_digits_are_typed_on_one_page(town: Town) -> None:
    town.grade(7)
    made = town.rooms.cards.renew(teacher(town), ROOM)
    with httpx.Client(base_url=town.url, verify=False, headers=HTML) as shared:
        shared.get(f"{town.url}/child/card/{town.rooms.cards.new_card(_again(town), ROOM)}")
        page = shared.get("/child/class/1").text
        assert 'name="digits"' in page and 'type="password"' in page and "pictures" not in page
        assert shared.post("/child/class/1", data={"digits": ""}).status_code == 200
        wrong = shared.post("/child/class/1", data={"digits": made[0].secret + "0"})
        assert wrong.status_code == 422 and 'role="alert"' in wrong.text
        wide = made[0].secret.translate({ord("0") + n: ord("０") + n for n in range(10)})
        done = shared.post("/child/class/1", data={"digits": f" {wide} "})
        assert done.headers["location"] == "/child"
        for n in range(5):
            shared.post("/child/class/2", data={"digits": f"000{n}"})
        wait = shared.post("/child/class/2", data={"digits": made[1].secret})
        assert wait.status_code == 429 and wait.headers["retry-after"]


def test_a_tablet_without_a_class_asks_for_one(town: Town) -> None:
    with httpx.Client(base_url=town.url, verify=False, headers=HTML) as shared:
        assert shared.get("/child/class").headers["location"] == "/child/sign-in"
        for path in ("/child/class/1", "/child/class/99"):
            assert shared.get(path).headers["location"] == "/child/sign-in?other=1"
            assert shared.post(path).headers["location"] == "/child/sign-in?other=1"
        stale = shared.get("/child/card/nothing")
        assert stale.status_code == 404 and "/child/help" in stale.text
        shared.get(card_of(town))
        assert shared.get("/child/class/99").headers["location"] == "/child/sign-in?other=1"
        assert shared.get("/child/sign-in").headers["location"] == "/child/class"
        # Set by hand instead: the card's door is left.
        chosen = shared.post("/child/sign-in", data={"code": town.code})
        assert chosen.headers["location"] == f"/child/sign-in/{town.code}"
        assert shared.get("/child/class").headers["location"] == "/child/sign-in"
        assert shared.get("/child/sign-in").headers["location"] == f"/child/sign-in/{town.code}"
