"""Staff through a provider: the whole way there and back, over HTTP, with every way to be refused.

Each refusal is compared with a journey that differs in nothing else and leads in.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import update

from tests import make
from tests.sign_in.conftest import TENANT, Browser, Browsers, Outside
from tests.sign_in.provider import CLIENT_ID
from warning_service.access.tables import audit, sessions
from warning_service.clock import MovableClock
from warning_service.rooms import Rooms
from warning_service.roster import tables as roster

VERIFIED = {"sub": "u-1", "email": "tanaka@school.example", "email_verified": True}
GOOGLE = {**VERIFIED, "hd": "school.example"}
ENTRA = {
    "sub": "pairwise", "tid": TENANT, "oid": "o-1", "preferred_username": "tanaka@school.example",
}  # fmt: skip

pytestmark = pytest.mark.usefixtures("town")


def linked(rooms: Rooms) -> list[tuple[str, str, str]]:
    return [(r.kind, r.subject, r.key) for r in make.rows(rooms.database, roster.identities)]


def factors(rooms: Rooms) -> list[tuple[str, bool]]:
    rows = make.rows(rooms.database, sessions)
    return [(row.factors, row.confirmed_at is not None) for row in rows]


def test_a_teacher_signs_in_and_lands_where_they_wanted(
    browser: Browser, outside: Outside, rooms: Rooms
) -> None:
    outside.is_like(claims=VERIFIED)
    answer = browser.sign_in("city", next="/portal/alerts")
    assert (answer.status_code, answer.headers["location"]) == (303, "/portal/alerts")
    assert browser.client.get("/portal/alerts").status_code == 200
    assert linked(rooms) == [("staff", "u-1", "staff-tanaka")]
    actions = [(r.action, r.actor) for r in make.rows(rooms.database, audit)]
    for action in ("account_linked", "provider_signed_in"):
        assert actions.count((action, "staff-tanaka")) == 1


def test_the_address_counts_only_the_first_time(
    browsers: Browsers, outside: Outside, rooms: Rooms
) -> None:
    outside.is_like(claims=VERIFIED)
    assert browsers().sign_in("city").headers["location"] == "/portal"
    outside.is_like(claims={"sub": "u-1", "email": "renamed@school.example"})
    assert browsers().sign_in("city").headers["location"] == "/portal"
    # The address has gone to somebody else at the provider: it is not the teacher's account.
    outside.is_like(claims={**VERIFIED, "sub": "u-2"})
    other = browsers()
    assert other.why_not(other.sign_in("city")) == "unknown"
    assert linked(rooms) == [("staff", "u-1", "staff-tanaka")]


@pytest.mark.parametrize(("name", "claims"), [("google", GOOGLE), ("entra", ENTRA)])
def test_each_kind_of_provider_leads_in(
    browser: Browser, outside: Outside, rooms: Rooms, name: str, claims: dict[str, Any]
) -> None:
    outside.is_like(claims=claims)
    assert browser.sign_in(name).headers["location"] == "/portal"
    subject = f"{TENANT}.o-1" if name == "entra" else "u-1"
    assert linked(rooms) == [("staff", subject, "staff-tanaka")]


STRANGERS: list[tuple[str, dict[str, Any], str]] = [
    ("google", {**GOOGLE, "hd": "school.example.evil"}, "not_the_boards"),
    ("google", VERIFIED, "not_the_boards"),  # a private account: no hd at all
    ("google", {**GOOGLE, "email_verified": False}, "unknown"),
    ("google", {**GOOGLE, "email_verified": "true"}, "unknown"),
    ("entra", {**ENTRA, "tid": TENANT.replace("1", "9")}, "not_the_boards"),
    ("entra", {k: v for k, v in ENTRA.items() if k != "tid"}, "not_believed"),
    ("entra", {k: v for k, v in ENTRA.items() if k != "oid"}, "not_believed"),
    ("entra", {**ENTRA, "preferred_username": "x@y", "email": VERIFIED["email"],
               "email_verified": True}, "unknown"),  # there, an address is no address
    ("city", {"sub": "u-9"}, "unknown"),
    ("city", {**VERIFIED, "email": "nobody@school.example"}, "unknown"),
    ("city", {**VERIFIED, "sub": ""}, "not_believed"),
    ("city", {**VERIFIED, "sub": "x" * 256}, "not_believed"),
    ("elsewhere", VERIFIED, "unknown"),  # a provider speaks for one board
]  # fmt: skip


def test_an_account_that_is_not_somebodys_here_is_refused(
    browsers: Browsers, outside: Outside, rooms: Rooms
) -> None:
    for name, claims, problem in STRANGERS:
        outside.is_like(claims=claims)
        browser = browsers()
        assert (name, claims, browser.why_not(browser.sign_in(name))) == (name, claims, problem)
    assert linked(rooms) == []
    assert make.rows(rooms.database, sessions) == []


def test_whoever_has_left_is_refused_linked_or_not(
    browsers: Browsers, outside: Outside, rooms: Rooms
) -> None:
    outside.is_like(claims=VERIFIED)
    assert browsers().sign_in("city").headers["location"] == "/portal"
    with rooms.database.writing() as conn:
        conn.execute(update(roster.staff).values(active=False))
    for sub in ("u-1", "u-2"):
        outside.is_like(claims={**VERIFIED, "sub": sub})
        late = browsers()
        assert late.why_not(late.sign_in("city")) == "inactive"


BAD_ANSWERS: list[tuple[dict[str, Any], str]] = [
    ({"sign": "none"}, "not_believed"),
    ({"sign": "HS256"}, "not_believed"),
    ({"sign": "foreign"}, "not_believed"),
    ({"replace": {"nonce": "another"}}, "not_believed"),
    ({"replace": {"nonce": None}}, "not_believed"),
    ({"replace": {"aud": "another"}}, "not_believed"),
    ({"replace": {"aud": None}}, "not_believed"),
    ({"replace": {"aud": [CLIENT_ID, "another"]}}, "not_believed"),  # and no azp
    ({"replace": {"azp": "another"}}, "not_believed"),
    ({"replace": {"iss": "https://evil.example"}}, "not_believed"),
    ({"replace": {"exp": int(time.time()) - 3600}}, "not_believed"),
    ({"replace": {"exp": None}}, "not_believed"),
    ({"replace": {"exp": True}}, "not_believed"),
    ({"replace": {"iat": int(time.time()) + 36000}}, "not_believed"),
    ({"replace": {"nbf": int(time.time()) + 36000}}, "not_believed"),
    ({"replace": {"sub": None}}, "not_believed"),
    ({"replace": {"at_hash": "AAAA"}}, "not_believed"),
    ({"replace": {"amr": "mfa"}}, "not_believed"),
    ({"status": {"/token": 400}}, "not_believed"),
    ({"body": {"/token": "{}"}}, "not_believed"),
    ({"body": {"/token": '{"id_token": "a.b.c"}'}}, "not_believed"),
    ({"error": "access_denied"}, "cancelled"),
    ({"error": "login_required"}, "not_believed"),
    ({"status": {"/token": 500}}, "down"),
    ({"body": {"/token": "no json"}}, "down"),
    ({"status": {"/jwks": 500}}, "down"),
    ({"body": {"/jwks": "no json"}}, "down"),
    ({"body": {"/jwks": "[]"}}, "down"),
    ({"body": {"/jwks": '{"keys": [{"kty": "oct", "k": 5}]}'}}, "down"),
    ({"body": {"/token": "x" * 300_000}}, "down"),
]


def test_a_bad_answer_of_the_provider_leads_nowhere(
    browsers: Browsers, outside: Outside, rooms: Rooms
) -> None:
    for bad, problem in BAD_ANSWERS:
        outside.is_like(claims=VERIFIED, rotate=True, **bad)
        browser = browsers()
        assert (bad, browser.why_not(browser.sign_in("city"))) == (bad, problem)
        assert linked(rooms) == []
    outside.is_like(claims=VERIFIED)
    assert browsers().sign_in("city").headers["location"] == "/portal"


def test_what_is_unusual_but_right_leads_in(browsers: Browsers, outside: Outside) -> None:
    for odd in (
        {"sign": "ES256"},
        {"replace": {"aud": [CLIENT_ID]}},
        {"replace": {"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID}},
    ):
        outside.is_like(claims=VERIFIED, **odd)
        assert (odd, browsers().sign_in("city").headers["location"]) == (odd, "/portal")


def test_a_client_secret_goes_the_way_the_provider_knows(
    browser: Browser, outside: Outside
) -> None:
    outside.is_like(claims=VERIFIED, auth_methods=["client_secret_basic"])
    assert browser.sign_in("city").headers["location"] == "/portal"


def test_the_provider_changes_its_keys(browsers: Browsers, outside: Outside) -> None:
    outside.is_like(claims=VERIFIED)
    assert browsers().sign_in("city").headers["location"] == "/portal"
    assert browsers().sign_in("city").headers["location"] == "/portal"
    assert outside.was_asked().count("/jwks") == 1  # kept
    outside.is_like(claims=VERIFIED, rotate=True)
    assert browsers().sign_in("city").headers["location"] == "/portal"
    assert outside.was_asked().count("/jwks") == 1  # asked again for the new one, once


def test_a_provider_whose_addresses_are_no_good_is_not_gone_to(
    browser: Browser, outside: Outside
) -> None:
    address = "/.well-known/openid-configuration"
    bad: list[dict[str, Any]] = [
        {"status": {address: 503}},
        {"status": {address: 302}},
        {"body": {address: "[]"}},
        {"body": {address: "x" * 300_000}},
        {"discovery": {"issuer": "https://evil.example"}},
        {"discovery": {"issuer": outside.url + "/"}},
        {"discovery": {"token_endpoint": "ftp://evil.example/token"}},
        {"discovery": {"token_endpoint": "/token"}},
        {"discovery": {"jwks_uri": None}},
    ]
    for one in bad:
        outside.is_like(**one)
        answer = browser.client.get("/portal/account/city/begin")
        assert (one, browser.why_not(answer)) == (one, "down")
    outside.is_like()
    assert browser.set_out("city").startswith(outside.url)


def test_a_slow_provider_is_given_up_and_the_boards_own_door_stays_open(
    browser: Browser, outside: Outside, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.sign_in.documents.WITHIN_SECONDS", 0.3)
    outside.is_like(delay={"/.well-known/openid-configuration": 6})
    begin = time.monotonic()
    assert browser.why_not(browser.client.get("/portal/account/city/begin")) == "down"
    assert time.monotonic() - begin < 5
    answer = browser.client.post(
        "/portal/sign-in", data={"login": "tanaka", "password": make.PASSWORD}
    )
    assert answer.status_code == 303


def test_a_state_works_once(browser: Browser, outside: Outside) -> None:
    outside.is_like(claims=VERIFIED)
    back = outside.authorize(browser.set_out("city"))
    assert browser.come_back(back).headers["location"] == "/portal"
    assert browser.why_not(browser.come_back(back)) == "too_late"


def test_an_address_from_another_browser_opens_nothing_and_spoils_nothing(
    browsers: Browsers, outside: Outside, rooms: Rooms
) -> None:
    outside.is_like(claims=VERIFIED)
    victim, attacker = browsers(), browsers()
    back = outside.authorize(victim.set_out("city"))
    assert attacker.why_not(attacker.come_back(back)) == "too_late"  # without a journey of its own
    attacker.set_out("city")
    assert attacker.why_not(attacker.come_back(back)) == "too_late"  # with one
    assert victim.come_back(back).headers["location"] == "/portal"


def test_a_code_of_another_journey_is_refused_by_pkce(browsers: Browsers, outside: Outside) -> None:
    outside.is_like(claims=VERIFIED)
    one, two = browsers(), browsers()
    stolen = parse_qs(urlsplit(outside.authorize(one.set_out("city"))).query)["code"][0]
    own = outside.authorize(two.set_out("city"))
    mixed = own.replace(parse_qs(urlsplit(own).query)["code"][0], stolen)
    assert two.why_not(two.come_back(mixed)) == "not_believed"


def test_two_tabs_may_be_under_way(browser: Browser, outside: Outside) -> None:
    outside.is_like(claims=VERIFIED)
    first, second = browser.set_out("city"), browser.set_out("city", next="/portal/alerts")
    assert browser.come_back(outside.authorize(first)).headers["location"] == "/portal"
    assert browser.come_back(outside.authorize(second)).headers["location"] == "/portal/alerts"


def test_garbage_for_a_state(browser: Browser) -> None:
    browser.set_out("city")
    for state in ("", "x", "a.b.c", "…", "é" * 3000):
        answer = browser.client.get(
            "/portal/account/city/back", params={"state": state, "code": "abc"}
        )
        assert browser.why_not(answer) == "too_late"


def test_a_state_of_another_provider_or_without_a_code(browser: Browser, outside: Outside) -> None:
    outside.is_like(claims=VERIFIED)
    back = outside.authorize(browser.set_out("city"))
    assert browser.why_not(browser.come_back(back.replace("/city/", "/google/"))) == "too_late"
    bare = back.replace("code=", "nothing=")
    assert browser.why_not(browser.come_back(bare)) == "not_believed"


def test_a_journey_that_takes_too_long(
    browser: Browser, outside: Outside, clock: MovableClock
) -> None:
    outside.is_like(claims=VERIFIED)
    back = outside.authorize(browser.set_out("city"))
    clock.move_by(timedelta(minutes=10))
    assert browser.why_not(browser.come_back(back)) == "too_late"


def test_no_way_leads_elsewhere_afterwards(browsers: Browsers, outside: Outside) -> None:
    outside.is_like(claims=VERIFIED)
    for wanted in (
        "https://evil.example/", "//evil.example", "/\\evil.example", "/child", "/portal\n/x",
        "/portal/" + "x" * 4000, "/portalx",
    ):  # fmt: skip
        path = browsers().sign_in("city", next=wanted).headers["location"]
        assert path == "/portal" or path == ("/portal/" + "x" * 4000)[:300]


def test_a_second_factor_counts_when_the_board_says_which(
    browsers: Browsers, outside: Outside, rooms: Rooms
) -> None:
    hour_ago = int(time.time()) - 3600
    cases: list[tuple[dict[str, Any], tuple[str, bool]]] = [
        ({}, ("", False)),
        ({"amr": ["pwd"]}, ("", False)),
        ({"amr": ["pwd", "mfa"]}, ("provider", False)),  # when is not said: not a fresh one
        ({"acr": "urn:strong"}, ("provider", False)),
        ({"amr": ["mfa"], "auth_time": hour_ago}, ("provider", False)),
        ({"amr": ["mfa"], "auth_time": hour_ago + 3580}, ("provider", True)),
        ({"auth_time": hour_ago + 3580}, ("", True)),
        ({"acr": ["urn:strong"]}, ("provider", False)),
        ({"acrs": ["c9", 5, None]}, ("", False)),
        ({"acrs": {"mfa": 1}}, ("", False)),
    ]
    for number, (claims, _) in enumerate(cases, 1):
        outside.is_like(claims={**VERIFIED, **claims})
        browsers().sign_in("city")
        assert len(factors(rooms)) == number
        assert (claims, sorted(factors(rooms))) == (claims, sorted(s for _, s in cases[:number]))


def test_what_each_kind_is_asked_for(browser: Browser) -> None:
    def asked(name: str) -> dict[str, list[str]]:
        return parse_qs(urlsplit(browser.set_out(name)).query)

    assert asked("google")["hd"] == ["school.example"]
    (claims,) = asked("entra")["claims"]
    assert json.loads(claims) == {"id_token": {"acrs": {"essential": True, "value": "c1"}}}
    assert not {"hd", "claims"} & set(asked("city"))
    assert asked("city")["redirect_uri"] == [f"{browser.client.base_url}/portal/account/city/back"]


def test_the_second_factor_of_entra(browser: Browser, outside: Outside, rooms: Rooms) -> None:
    outside.is_like(claims={**ENTRA, "acrs": ["c1"], "auth_time": int(time.time()) - 20})
    browser.sign_in("entra")
    assert factors(rooms) == [("provider", True)]


def test_the_page_shows_buttons_and_unknown_names_are_not_found(browser: Browser) -> None:
    page = browser.client.get("/portal/sign-in?next=/portal/alerts").text
    assert "/portal/account/city/begin?next=/portal/alerts" in page and "cityで入る" in page
    assert "pupils" not in page
    browser.client.cookies.set("lang", "en")
    assert "Sign in with city" in browser.client.get("/portal/sign-in").text
    for path in ("city2/begin", "pupils/begin", "pupils/back", "hacked", "trouble?why=down"):
        assert browser.client.get(f"/portal/account/{path}").status_code == 404


def test_an_old_session_ends_when_another_person_signs_in(
    browser: Browser, outside: Outside, rooms: Rooms
) -> None:
    outside.is_like(claims=VERIFIED)
    browser.sign_in("city")
    browser.sign_in("city")
    assert sorted(row.revoked for row in make.rows(rooms.database, sessions)) == [False, True]
