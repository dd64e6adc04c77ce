from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teacher_portal.frame import local_path
from tests import make
from tests.teacher_portal.conftest import HTML, Browsers
from tests.teacher_portal.school import School
from warning_service.access.doors.tries import ACCOUNT_FREE_TRIES

ELSEWHERE = [
    "https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example",
    "/\t/evil.example", "javascript:alert(1)", "/a\r\nSet-Cookie: x=1", "evil", "", " /portal",
    "///evil.example", "/\x7f",
]  # fmt: skip


@pytest.mark.parametrize("wanted", ELSEWHERE)
def test_no_path_leads_to_another_site(wanted: str) -> None:
    assert local_path(wanted, "/portal") == "/portal"


@given(st.text())
def test_a_local_path_begins_with_one_slash_and_holds_no_control_character(wanted: str) -> None:
    found = local_path(wanted, "/portal")
    assert found.startswith("/") and not found.startswith(("//", "/\\"))
    assert all(ord(c) > 0x20 for c in found)


def test_signing_in_goes_to_the_page_asked_for_and_never_elsewhere(
    school: School, browsers: Browsers
) -> None:
    for wanted, reached in (
        ("/portal/alerts", "/portal/alerts"),
        ("https://evil.example/", "/portal"),
        ("//evil.example/portal", "/portal"),
        ("/child/check-in", "/portal"),
        ("/portalevil", "/portal"),
    ):
        answer = browsers().client.post(
            "/portal/sign-in",
            data={"login": "nurse", "password": make.PASSWORD, "next": wanted},
        )
        assert answer.status_code == 303
        assert answer.headers["location"] == reached
        assert "HttpOnly" in answer.headers["set-cookie"]


def test_a_wrong_password_is_said_kindly_and_then_one_waits(
    school: School, browsers: Browsers
) -> None:
    browser = browsers()
    for _ in range(ACCOUNT_FREE_TRIES):
        answer = browser.client.post("/portal/sign-in", data={"login": "nurse", "password": "x"})
        assert answer.status_code == 401
        assert "ちがうようです" in answer.text
    answer = browser.client.post(
        "/portal/sign-in", data={"login": "nurse", "password": make.PASSWORD}
    )
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


def test_an_unknown_login_is_told_the_same_as_a_wrong_password(
    school: School, browsers: Browsers
) -> None:
    one = browsers().client.post("/portal/sign-in", data={"login": "nobody", "password": "x"})
    two = browsers().client.post("/portal/sign-in", data={"login": "nurse", "password": "x"})
    assert (one.status_code, one.text) == (two.status_code, two.text)


def test_a_sign_in_form_of_another_site_is_refused(school: School, browsers: Browsers) -> None:
    answer = browsers().client.post(
        "/portal/sign-in",
        data={"login": "nurse", "password": make.PASSWORD},
        headers={"sec-fetch-site": "cross-site"},
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_signing_out_ends_the_session_itself(school: School, browsers: Browsers) -> None:
    browser = browsers("nurse")
    cookie = dict(browser.client.cookies)
    assert browser.post("/portal/sign-out", csrf="wrong").status_code == 403
    assert browser.get("/portal")
    assert browser.post("/portal/sign-out").status_code == 303
    again = browser.client.get("/portal", headers=HTML, cookies=cookie)
    assert again.status_code == 303
    assert again.headers["location"] == "/portal/sign-in?next=/portal"


def test_the_language_switch_stays_on_this_site(school: School, browsers: Browsers) -> None:
    browser = browsers()
    answer = browser.client.get("/lang?to=en&back=//evil.example")
    assert answer.headers["location"] == "/portal"
    answer = browser.client.get("/lang?to=en&back=/portal/sign-in")
    assert answer.headers["location"] == "/portal/sign-in"
    assert "Staff sign-in" in browser.get("/portal/sign-in")
