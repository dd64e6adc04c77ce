"""Who looks after accounts notes addresses and unlinks; nobody else, and nobody for oneself."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from tests import make
from tests.sign_in.conftest import Browser, Browsers, Outside
from tests.sign_in.test_staff import VERIFIED
from warning_service.access.tables import audit
from warning_service.access.web import STAFF_COOKIE
from warning_service.rooms import Rooms
from warning_service.roster import tables as roster

CHILD = {"sub": "c-1", "email": "child1@school.example", "email_verified": True}
PAGE = "/portal/accounts/staff-tanaka/provider"


class Officer:
    """A signed-in member of staff who posts with the CSRF token."""

    def __init__(self, browser: Browser, rooms: Rooms, key: str, *, fresh: bool) -> None:
        factors = ("totp",) if fresh else ()
        token = rooms.sessions.start_staff(key, make.BOARD, factors=factors)
        browser.client.cookies.set(STAFF_COOKIE, token)
        found = rooms.sessions.find(token)
        assert found is not None
        self._csrf, self._client = found.csrf, browser.client

    def get(self, path: str) -> httpx.Response:
        return self._client.get(path)

    def post(self, path: str, **fields: object) -> httpx.Response:
        return self._client.post(path, data={"csrf": self._csrf, **fields})


Officers = Callable[..., Officer]


@pytest.fixture
def officers(browsers: Browsers, rooms: Rooms, town: list[str]) -> Officers:
    make.staff(rooms.database, "clerk", ("accounts", make.BOARD))
    make.seats(rooms.database, rooms.sealer, "sakura-1", town, "dog cat sun")

    def one(key: str = "staff-clerk", *, fresh: bool = True) -> Officer:
        return Officer(browsers(), rooms, key, fresh=fresh)

    return one


def identities(rooms: Rooms) -> list[tuple[str, str]]:
    return [(row.subject, row.key) for row in make.rows(rooms.database, roster.identities)]


def test_an_officer_notes_an_address_and_the_account_comes_in(
    officers: Officers, browsers: Browsers, outside: Outside, rooms: Rooms
) -> None:
    clerk = officers()
    assert "tanaka@school.example" in clerk.get(PAGE).text
    answer = clerk.post(PAGE, address=" New@School.example")
    assert answer.headers["location"] == f"{PAGE}?done=noted"
    assert "new@school.example" in clerk.get(f"{PAGE}?done=noted").text
    outside.is_like(claims=VERIFIED)
    old = browsers()
    assert old.why_not(old.sign_in("city")) == "unknown"
    outside.is_like(claims={**VERIFIED, "email": "new@school.example"})
    assert browsers().sign_in("city").headers["location"] == "/portal"
    page = clerk.get(PAGE).text
    assert "cityで入る" in page and "provider/unlink" in page and "u-1" not in page


def test_what_does_not_fit_is_said_and_changes_nothing(officers: Officers, rooms: Rooms) -> None:
    clerk = officers()
    for bad in ("no address", "x" * 260 + "@school.example"):
        answer = clerk.post(PAGE, address=bad)
        assert answer.status_code == 422 and 'role="alert"' in answer.text
    assert rooms.identities.expected("staff", "staff-tanaka") == ["tanaka@school.example"]
    own = "/portal/accounts/staff-clerk/provider"
    assert clerk.post(own, address="clerk@school.example").status_code == 422
    assert clerk.post(f"{own}/unlink").status_code == 422
    assert "<input" not in clerk.get(own).text.split("<main")[1]
    assert rooms.identities.expected("staff", "staff-clerk") == []


def test_unlinking_ends_the_sessions(
    officers: Officers, browsers: Browsers, outside: Outside, rooms: Rooms
) -> None:
    outside.is_like(claims=VERIFIED)
    teacher = browsers()
    teacher.sign_in("city")
    assert teacher.client.get("/portal/alerts").status_code == 200
    clerk = officers(fresh=False)  # what takes power away is urgent: no confirmation is asked for
    assert clerk.post(f"{PAGE}/unlink").headers["location"] == f"{PAGE}?done=unlinked"
    assert identities(rooms) == []
    assert teacher.client.get("/portal/alerts").headers["location"].startswith("/portal/sign-in")
    rows = [(r.actor, r.action, r.subject) for r in make.rows(rooms.database, audit)]
    assert ("staff-clerk", "account_unlinked", "staff-tanaka") in rows


def test_giving_asks_for_a_fresh_confirmation(officers: Officers, rooms: Rooms) -> None:
    answer = officers(fresh=False).post(PAGE, address="x@school.example")
    assert "done=noted" not in answer.headers.get("location", "")
    assert rooms.identities.expected("staff", "staff-tanaka") == ["tanaka@school.example"]


def test_a_teacher_sees_which_numbers_are_linked_and_unlinks_one(
    officers: Officers, browsers: Browsers, outside: Outside, rooms: Rooms, town: list[str]
) -> None:
    outside.is_like(claims=CHILD)
    child = browsers()
    child.sign_in("pupils", "child")
    teacher = officers("staff-tanaka", fresh=False)
    here = "/portal/cards/sakura-1/accounts"
    page = teacher.get(here).text
    assert page.count("accounts/unlink") == 1 and "pupilsで入る" in page
    assert "child1@" not in page and "児1" not in page
    for seat in (2, 77):
        assert teacher.post(f"{here}/unlink", seat=seat).status_code == (303 if seat == 2 else 404)
    assert identities(rooms) == [("c-1", town[0])]
    assert teacher.post(f"{here}/unlink", seat=1).headers["location"] == f"{here}?done=unlinked"
    assert identities(rooms) == []
    assert child.client.get("/child").status_code == 303
    assert "notice done" in teacher.get(f"{here}?done=unlinked").text


def test_nobody_else_gets_there(officers: Officers, rooms: Rooms) -> None:
    make.staff(rooms.database, "nurse", ("nurse", "another-school"))
    nurse, teacher = officers("staff-nurse"), officers("staff-tanaka")
    assert teacher.get(PAGE).status_code == 403
    assert teacher.post(f"{PAGE}/unlink").status_code == 403
    assert nurse.get("/portal/cards/sakura-1/accounts").status_code in {403, 404}
    assert nurse.post("/portal/cards/sakura-1/accounts/unlink", seat=1).status_code in {403, 404}
    assert officers().get("/portal/accounts/nobody/provider").status_code == 404
