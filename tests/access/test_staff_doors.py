"""The staff's doors: networks, proxies, cookies, confirmations, revocation in other processes."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec, module_from_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from pwdlib import PasswordHash
from pydantic import ValidationError

from tests import make
from tests.teacher_portal.conftest import HTML
from tests.teacher_portal.school import School
from warning_service import app
from warning_service.access.doors import sessions as sessions_module
from warning_service.access.doors.passwords import WeakPassword, fits, hash_secret, judge
from warning_service.access.doors.second_factors import code_now
from warning_service.access.doors.sessions import FRESH_SECONDS, SessionEnded, Sessions
from warning_service.access.doors.tokens import BadToken
from warning_service.access.roles import Ability, Role
from warning_service.access.tables import attempts, audit
from warning_service.clock import MovableClock, monotonic
from warning_service.listening import Server, listen
from warning_service.rooms import Rooms
from warning_service.settings import POWERFUL_ROLES, STAFF_ROLES, Settings

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@contextmanager
def listening(rooms: Rooms) -> Iterator[str]:
    """What `listen` starts, on a free port; its URL."""
    made: list[Server] = []
    open_now = threading.Event()

    def opened(server: Server) -> None:
        made.append(server)
        open_now.set()

    anywhere = rooms.settings.model_copy(update={"port": 0})
    thread = threading.Thread(
        target=lambda: listen(app.create_app(rooms), anywhere, opened=opened), daemon=True
    )
    thread.start()
    assert open_now.wait(20)
    yield f"http://127.0.0.1:{made[0].servers[0].sockets[0].getsockname()[1]}"
    made[0].should_exit = True
    thread.join(timeout=10)


def rebuilt(rooms: Rooms, **change: object) -> Rooms:
    """Another process of the same installation, with other settings."""
    return app.build(rooms.settings.model_copy(update=change), rooms.clock)


# -- networks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),  # the same, as a socket for both kinds tells it
        ("fd00::7", True),
        ("10.2.0.1", False),
        ("203.0.113.9", False),
        ("fd01::7", False),
        ("", False),
        ("testclient", False),
    ],
)
def test_a_duty_tied_to_a_network_is_in_force_from_there_only(
    rooms: Rooms, address: str, inside: bool
) -> None:
    School(rooms)
    allowed = [ip_network("10.1.0.0/16"), ip_network("fd00::/16")]
    tied = rebuilt(rooms, networks={Role.NURSE: allowed, Role.COMMITTEE: []})
    with rooms.database.writing() as conn:
        conn.exec_driver_sql(
            "INSERT INTO roster.duties (staff, role, place, from_day)"
            " VALUES ('staff-nurse', 'homeroom', 'sakura-1', '2026-04-01')"
        )
    who = tied.sessions.find(tied.sessions.start_staff("staff-nurse", make.BOARD))
    assert who is not None
    seen = tied.sessions.seen_from(who, address)
    assert seen.has(Role.NURSE) is inside
    assert seen.has(Role.HOMEROOM)  # not tied
    assert bool(seen.reach(Ability.SEE_STUDENT).schools) is inside
    committee = tied.sessions.find(tied.sessions.start_staff("staff-committee", make.BOARD))
    assert committee is not None
    assert not tied.sessions.seen_from(committee, address).duties  # from nowhere at all
    assert rooms.sessions.seen_from(who, address) == who  # no networks set: everywhere
    tied.database.close()


def test_from_elsewhere_there_is_a_clear_page_and_a_way_out(rooms: Rooms) -> None:
    School(rooms)
    tied = rebuilt(
        rooms,
        networks={Role.NURSE: [ip_network("10.1.0.0/16")], Role.GUIDANCE: []},
        second_factor_roles=frozenset({Role.NURSE}),
        trusted_proxies=["127.0.0.1"],
    )
    with rooms.database.writing() as conn:
        conn.exec_driver_sql(
            "INSERT INTO roster.duties (staff, role, place, from_day)"
            " VALUES ('staff-guidance', 'homeroom', 'sakura-1', '2026-04-01')"
        )
    at_school, at_home = {"x-forwarded-for": "10.1.9.9"}, {"x-forwarded-for": "203.0.113.9"}
    with listening(tied) as url, httpx.Client(base_url=url, trust_env=False) as one:
        given = {"login": "nurse", "password": make.PASSWORD}
        assert one.post("/portal/sign-in", data=given, headers=at_home).status_code == 303
        for path in ("/portal", "/portal/second-factor", "/portal/second-factor/set-up"):
            page = one.get(path, headers={**HTML, **at_home})
            assert page.status_code == 403
            assert "この場所からは使えません" in page.text
        assert (
            one.get("/portal/alerts/fragment", headers=at_home).json()["error"] == "not_from_here"
        )
        page = one.get("/portal", headers={**HTML, **at_school}, follow_redirects=True)
        assert page.url.path == "/portal/second-factor/set-up"
        who = tied.sessions.find(one.cookies["kizashi_staff"])
        assert who is not None
        out = one.post("/portal/sign-out", data={"csrf": who.csrf}, headers=at_home)
        assert out.status_code == 303
        # Two duties, one of them tied: the other goes on, and what only the tied one gives says so.
        given["login"] = "guidance"
        one.post("/portal/sign-in", data=given)
        assert one.get("/portal", headers=HTML).status_code == 200
        review = one.get("/portal/committee/x", headers=HTML)
        assert (review.status_code, "この場所からは" in review.text) == (403, True)
    tied.database.close()


@pytest.mark.parametrize(
    ("trusted", "claimed", "counted"),
    [
        ([], "10.1.2.3", "127.0.0.1"),  # nobody's word counts
        (["127.0.0.1"], "10.1.2.3", "10.1.2.3"),
        (["127.0.0.0/8"], "6.6.6.6, 10.1.2.3", "10.1.2.3"),  # what the sender put before is ignored
        (["10.9.9.9"], "10.1.2.3", "127.0.0.1"),
    ],
)
def test_only_a_trusted_proxy_tells_where_a_request_came_from(
    rooms: Rooms,
    monkeypatch: pytest.MonkeyPatch,
    trusted: list[str],
    claimed: str,
    counted: str,
) -> None:
    behind = rebuilt(rooms, trusted_proxies=trusted)
    seen: list[str] = []
    monkeypatch.setattr(
        behind.staff_door, "sign_in", lambda login, password, address: seen.append(address)
    )
    with listening(behind) as url:
        httpx.post(
            f"{url}/portal/sign-in",
            data={"login": "a", "password": "b"},
            headers={"x-forwarded-for": claimed},
            trust_env=False,
        )
    assert seen == [counted]
    behind.database.close()


# -- settings --------------------------------------------------------------------------------------


def test_who_needs_a_second_factor_by_default(secret_key: str) -> None:
    given = {"secret_keys": [secret_key], "public_url": "https://kizashi.example"}
    assert Settings(**given).roles_with_second_factor == STAFF_ROLES  # type: ignore[arg-type]
    assert Settings(environment="demo").roles_with_second_factor == POWERFUL_ROLES
    assert Settings(environment="test").roles_with_second_factor == frozenset()
    for change, word in (
        ({"second_factor_roles": ["nurse"]}, "second_factor_roles leaves out accounts, auditor"),
        ({"trusted_proxies": ["*"]}, "trusted_proxies"),
        ({"networks": {"child": ["10.0.0.0/8"]}}, "a child may ask for help"),
        ({"networks": {"nurse": ["10.0.0.1/8"]}}, "not a valid IPv4 network"),
    ):
        with pytest.raises(ValidationError, match=word):
            Settings(**{**given, **change})  # type: ignore[arg-type]


# -- cookies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("public_url", "name"),
    [
        ("https://portal.example", "__Host-kizashi_staff"),
        ("http://portal.example", "kizashi_staff"),
    ],
)
def test_over_https_the_cookie_is_this_hosts_alone(
    rooms: Rooms, public_url: str, name: str
) -> None:
    School(rooms)
    made = rebuilt(rooms, public_url=public_url, allowed_hosts=["portal.example"])
    given = {"login": "homeroom", "password": make.PASSWORD}

    async def walk() -> None:
        way = httpx.ASGITransport(app.create_app(made))
        async with httpx.AsyncClient(transport=way, base_url=public_url) as client:
            answer = await client.post("/portal/sign-in", data=given)
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith(f"{name}=")
            assert "HttpOnly" in cookie and "Path=/;" in cookie and "SameSite=lax" in cookie
            assert ("Secure" in cookie) is public_url.startswith("https")
            assert "Domain" not in cookie
            assert (await client.get("/portal", headers=HTML)).status_code == 200
            # Signing in again ends the session one had, and signing out takes the cookie back.
            old = client.cookies[name]
            await client.post("/portal/sign-in", data=given)
            assert made.sessions.find(old) is None
            who = made.sessions.find(client.cookies[name])
            assert who is not None
            await client.post("/portal/sign-out", data={"csrf": who.csrf})
            assert name not in client.cookies

    asyncio.run(walk())
    made.database.close()


@pytest.mark.parametrize(
    ("public_url", "name"),
    [
        ("https://portal.example", "__Secure-kizashi_child"),
        ("http://portal.example", "kizashi_child"),
    ],
)
def test_over_https_a_childs_cookie_cannot_be_planted(
    rooms: Rooms, public_url: str, name: str
) -> None:
    school = School(rooms)
    made = rebuilt(rooms, public_url=public_url, allowed_hosts=["portal.example"])

    async def walk() -> None:
        way = httpx.ASGITransport(app.create_app(made))
        token = made.sessions.start_child(school.children["sakura-1"][0], make.BOARD, "sakura-1")
        who = made.sessions.find(token)
        assert who is not None
        headers = {"x-kizashi-csrf": who.csrf, "content-type": "application/json"}
        for planted in ("kizashi_child", "__Secure-kizashi_child", "__Host-kizashi_child"):
            async with httpx.AsyncClient(transport=way, base_url=public_url) as client:
                cookie = {"cookie": f"lang=en; {planted}={token}"}
                page = await client.get("/child", headers={**HTML, **cookie})
                sent = await client.post(
                    "/child/api/check-ins", content="{}", headers=headers | cookie
                )
                assert (page.status_code == 200) is (planted == name)
                assert (sent.status_code == 422) is (planted == name), sent.text

    asyncio.run(walk())
    made.database.close()


# -- sessions --------------------------------------------------------------------------------------


def test_ending_a_session_reaches_other_processes_within_seconds(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    School(rooms)
    # Two processes that cannot hear each other: the worst case.
    here, deaf = (Sessions(rooms.database, rooms.clock, rooms.settings) for _ in range(2))
    token = here.start_staff("staff-homeroom", make.BOARD)
    assert here.find(token) and deaf.find(token)
    assert here.end_all("staff-homeroom") == 1
    assert here.find(token) is None
    assert deaf.find(token) is not None  # it remembers,
    now = monotonic()
    monkeypatch.setattr(
        sessions_module,
        "monotonic",
        lambda: now + sessions_module.REMEMBER_SECONDS["staff"] + 0.1,
    )
    assert deaf.find(token) is None  # but not for long


def test_a_confirmation_is_fresh_for_five_minutes_and_never_prolongs_the_session(
    rooms: Rooms, clock: MovableClock
) -> None:
    School(rooms)
    sessions, longest = rooms.sessions, rooms.settings.staff_session_longest
    token = sessions.start_staff("staff-homeroom", make.BOARD)
    began = clock.now()
    who = sessions.find(token)
    assert who is not None and not sessions.is_fresh(who)  # started, not confirmed
    while clock.now() + timedelta(minutes=20) < began + timedelta(seconds=longest):
        clock.move_by(timedelta(minutes=20))
        token = sessions.confirm(who)
        who = sessions.find(token)
        assert who is not None and sessions.is_fresh(who)
    clock.move_by(timedelta(seconds=FRESH_SECONDS))
    assert not sessions.is_fresh(who)
    clock.move_to(began + timedelta(seconds=longest))
    with pytest.raises(SessionEnded):
        sessions.confirm(who)


def test_a_provider_may_carry_a_factor(rooms: Rooms) -> None:
    School(rooms)
    strict = rebuilt(rooms, second_factor_roles=frozenset({Role.NURSE}))
    sessions = strict.sessions

    def who(**given: Any) -> Any:
        return sessions.find(sessions.start_staff("staff-nurse", make.BOARD, **given))

    assert who().owes_factor and not who().duties and who().waiting
    assert not who(factors=("provider",)).owes_factor
    assert sessions.is_fresh(who(factors=("provider",)))
    assert not sessions.is_fresh(who(factors=("provider",), confirmed=False))
    assert not sessions.is_fresh(who(confirmed=True))  # owes one still
    strict.database.close()


def test_one_ends_only_what_is_ones_own(rooms: Rooms) -> None:
    School(rooms)
    rooms.sessions.start_staff("staff-homeroom", make.BOARD)
    [living] = rooms.sessions.living("staff-homeroom")
    assert not rooms.sessions.end_one("staff-nurse", living.id)
    assert rooms.sessions.end_one("staff-homeroom", living.id)
    assert rooms.sessions.living("staff-homeroom") == []


# -- passwords -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "key"),
    [
        ("elevenchars", "short"),
        ("x" * 201, "long"),
        ("abcabcabcabc", "plain"),
        ("tanaka.hanako", "login"),
        ("Tanaka.Hanako2026", "login"),
    ],
)
def test_a_weak_password_is_refused(password: str, key: str) -> None:
    with pytest.raises(WeakPassword) as weak:
        judge(password, "tanaka.hanako")
    assert weak.value.key == key


def test_a_long_one_is_taken() -> None:
    judge("correct horse battery", "tanaka")
    judge("my dog hates tanaka's umbrella", "tanaka")
    judge("correct horse battery", "")


def test_a_hash_of_no_kind_we_know_opens_nothing() -> None:
    assert fits("secret", hash_secret("secret"))
    assert not fits("secret", hash_secret("other"))
    assert not fits("", "")
    assert not fits("nobody has this password", None)
    assert not fits("secret", "plaintext")


def test_an_unknown_login_costs_what_a_known_one_does() -> None:
    """What stands for nobody's password was hashed as the hasher hashes today."""
    found = find_spec("warning_service.access.doors.passwords")
    assert found is not None and found.loader is not None
    fresh = module_from_spec(found)  # apart from the one in which the tests hash cheaply
    found.loader.exec_module(fresh)
    today = PasswordHash.recommended()
    assert today.verify_and_update("nobody has this password", fresh._NOBODY) == (True, None)
    with pytest.MonkeyPatch.context() as patched:
        verified = []
        patched.setattr(PasswordHash, "verify", lambda _, *given: bool(verified.append(given)))
        assert not fresh.fits("secret", None)
        assert verified == [("secret", fresh._NOBODY)]


def test_changing_a_password_is_for_people_who_are_there(rooms: Rooms) -> None:
    School(rooms)
    with pytest.raises(KeyError):
        rooms.passwords.change("staff-nobody", "correct horse battery")
    assert rooms.passwords.change("staff-nurse", "another horse battery", actor="staff-admin") == 0
    last = make.rows(rooms.database, audit)[-1]
    assert (last.actor, last.action, last.subject) == (
        "staff-admin",
        "password_changed",
        "staff-nurse",
    )
    assert rooms.passwords.login_of("staff-nobody") == ""
    assert not rooms.passwords.has_one("staff-nobody")


def test_an_invitation_ends_with_time_with_use_and_with_another_change(
    rooms: Rooms, clock: MovableClock
) -> None:
    School(rooms)
    with pytest.raises(BadToken):
        rooms.passwords.invite("staff-nobody")
    late = rooms.passwords.invite("staff-nurse", seconds=3600)
    assert rooms.passwords.invited(late) == "staff-nurse"
    clock.move_by(timedelta(hours=1))
    with pytest.raises(BadToken):
        rooms.passwords.accept(late, "another horse battery")
    first, second = (rooms.passwords.invite("staff-nurse") for _ in range(2))
    with pytest.raises(WeakPassword):
        rooms.passwords.accept(first, "short")
    assert rooms.passwords.accept(first, "another horse battery") == ("staff-nurse", make.BOARD)
    for used in (first, second):
        with pytest.raises(BadToken):
            rooms.passwords.accept(used, "a third horse battery")
    left = rooms.passwords.invite("staff-nurse")
    with rooms.database.writing() as conn:
        conn.exec_driver_sql(
            "UPDATE roster.staff SET active = "
            + ("0" if conn.dialect.name == "sqlite" else "false")
        )
    with pytest.raises(BadToken):
        rooms.passwords.invited(left)


# -- what the trail and the log say ----------------------------------------------------------------


def test_the_trail_knows_who_came_in_and_who_tried(rooms: Rooms) -> None:
    School(rooms)
    rooms.factors.give_totp("staff-nurse", SECRET)
    door = rooms.staff_door
    assert door.sign_in("nurse", "wrong", "a") is None
    assert door.sign_in("my password in the wrong field", "x", "a") is None
    token = door.sign_in("nurse", make.PASSWORD, "a")
    assert token is not None
    who = rooms.sessions.find(token)
    assert who is not None
    assert rooms.confirming.show_password(who, make.PASSWORD, "a") is None
    assert rooms.confirming.show_code(who, "000 00", "a") is None
    assert rooms.confirming.show_code(who, code_now(SECRET, rooms.clock.now()), "a")
    rows = [(row.actor, row.action, row.detail) for row in make.rows(rooms.database, audit)]
    assert rows == [
        ("staff-nurse", "sign_in_failed", ""),
        ("unknown", "sign_in_failed", ""),
        ("staff-nurse", "signed_in", ""),
        ("staff-nurse", "factor_failed", "recovery"),
        ("staff-nurse", "factor_shown", "totp"),
    ]


def test_no_secret_reaches_a_log(
    rooms: Rooms, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    School(rooms)
    caplog.set_level(logging.DEBUG)
    invitation = rooms.passwords.invite("staff-homeroom")
    with listening(rooms) as url, httpx.Client(base_url=url, trust_env=False) as one:
        followed = one.get(f"/portal/invitation/{invitation}", headers=HTML, follow_redirects=True)
        assert followed.url.path == "/portal/invitation"
        assert followed.headers["referrer-policy"] == "same-origin"
        one.post(
            "/portal/invitation",
            data={"new": "another horse battery", "again": "another horse battery"},
        )
        one.get("/portal/second-factor/set-up", headers=HTML)
    said = capsys.readouterr()
    ours = "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("http")
    )
    for secret in (
        invitation,
        "another horse",
        rooms.factors.offer_totp("staff-homeroom", "session"),
    ):
        assert secret not in said.out + said.err + ours


def test_what_is_remembered_has_a_bound_and_never_brings_an_ended_session_back(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    School(rooms)
    monkeypatch.setattr(sessions_module, "MOST_REMEMBERED", 1)
    sessions = rooms.sessions
    assert sessions.find("") is None
    tokens = [sessions.start_staff("staff-homeroom", make.BOARD) for _ in range(4)]
    assert all(sessions.find(token) for token in tokens)
    assert len(sessions._found) <= 2
    whom = sessions.find(tokens[3])
    for token in tokens:
        sessions.sign_out(token)
    assert len(sessions._revoked) <= 2
    # A look that began before the end and comes back after it is not kept.
    assert whom is not None
    sessions._remember(whom.token_hash, whom, rooms.clock.now() + timedelta(hours=1))
    assert sessions.find(tokens[3]) is None


def test_what_was_typed_as_a_login_is_not_kept(rooms: Rooms) -> None:
    assert rooms.staff_door.sign_in("MyPassword-in-the-wrong-field", "x", "9.9.9.9") is None
    kept = str(make.rows(rooms.database, attempts))
    assert len(make.rows(rooms.database, attempts)) == 2
    assert "MyPassword" not in kept and "9.9.9.9" not in kept
