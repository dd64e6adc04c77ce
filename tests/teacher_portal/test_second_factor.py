"""The second step of signing in, step-up, my security and invitations, through the real server."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import update

from tests import make
from tests.access.authenticator import Authenticator
from tests.teacher_portal.conftest import HTML, Browsers
from tests.teacher_portal.school import School
from warning_service.access.doors.second_factors import code_now
from warning_service.access.doors.tries import ACCOUNT_FREE_TRIES
from warning_service.access.roles import Role
from warning_service.access.tables import audit
from warning_service.clock import MovableClock
from warning_service.rooms import Rooms
from warning_service.roster.tables import staff
from warning_service.settings import Settings

NURSE = "staff-nurse"
NEW = "まどべのとけいがなる、あさ8じ"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Nurses need a second factor, the others do not."""
    return settings.model_copy(update={"second_factor_roles": frozenset({Role.NURSE})})


class Person:
    """Somebody at a browser, as far as the password."""

    def __init__(self, browsers: Browsers, login: str) -> None:
        self.client: httpx.Client = browsers().client
        self.csrf = ""
        self.last = self.client.post(
            "/portal/sign-in", data={"login": login, "password": make.PASSWORD}
        )
        assert self.last.status_code == 303

    def get(self, path: str, *, follow: bool = True) -> httpx.Response:
        self.last = self.client.get(path, headers=HTML, follow_redirects=follow)
        found = re.search(r'name="csrf" value="([^"]+)"', self.last.text)
        self.csrf = found.group(1) if found else self.csrf
        return self.last

    def post(self, path: str, **fields: str) -> httpx.Response:
        self.last = self.client.post(
            path,
            data={"csrf": self.csrf, **fields},
            headers={**HTML, "referer": f"{self.client.base_url}/portal/security"},
        )
        return self.last

    @property
    def token(self) -> str:
        return self.client.cookies["kizashi_staff"]

    def at(self) -> str:
        return self.last.url.path


@pytest.fixture
def secret(rooms: Rooms, school: School) -> str:
    """The nurse has an app already."""
    secret = rooms.factors.offer_totp(NURSE, "session")
    assert rooms.factors.prove_totp(NURSE, code_now(secret, rooms.clock.now()), "session")
    move(rooms, minutes=1)
    return secret


def move(rooms: Rooms, **step: int) -> None:
    assert isinstance(rooms.clock, MovableClock)
    rooms.clock.move_by(timedelta(**step))


def actions(rooms: Rooms) -> list[str]:
    return [row.action for row in make.rows(rooms.database, audit)]


def test_the_first_sign_in_sets_up_an_app_and_gives_codes_on_paper(
    school: School, browsers: Browsers, rooms: Rooms
) -> None:
    nurse = Person(browsers, "nurse")
    half = nurse.token
    page = nurse.get("/portal/alerts").text
    assert nurse.at() == "/portal/second-factor/set-up"
    assert "<svg" in page and "わたしのサインイン" not in page
    secret = re.search(r"<code>([A-Z2-7 ]+)</code>", page).group(1).replace(" ", "")  # type: ignore[union-attr]
    assert (
        nurse.post("/portal/second-factor/set-up", code="12", next="/portal/alerts").status_code
        == 422
    )
    answer = nurse.post(
        "/portal/second-factor/set-up",
        code=code_now(secret, rooms.clock.now()),
        next="/portal/alerts",
    )
    assert answer.headers["location"] == "/portal/second-factor/codes?next=/portal/alerts"
    assert nurse.token != half
    assert rooms.sessions.find(half) is None
    nurse.get(answer.headers["location"])
    shown = nurse.post("/portal/second-factor/codes", next="/portal/alerts").text
    codes = re.findall(r"<code>([A-Z2-9-]{19})</code>", shown)
    assert len(codes) == 10
    assert nurse.get("/portal/alerts").status_code == 200
    assert nurse.at() == "/portal/alerts"
    assert {"factor_failed", "factor_added", "factor_shown", "recovery_codes"} <= set(
        actions(rooms)
    )
    again = Person(browsers, "nurse")
    assert "予備のコード" in again.get("/portal").text
    assert again.at() == "/portal/second-factor"
    assert again.post("/portal/second-factor", code=codes[3]).status_code == 303
    assert again.get("/portal").status_code == 200


def test_a_password_alone_opens_nothing(school: School, browsers: Browsers, secret: str) -> None:
    nurse = Person(browsers, "nurse")
    for path in (
        "/portal",
        "/portal/alerts",
        "/portal/classes",
        "/portal/security",
        "/portal/confirm",
    ):
        answer = nurse.get(path, follow=False)
        assert (answer.status_code, answer.headers["location"]) == (
            303, f"/portal/second-factor?next={path}",
        )  # fmt: skip
    quiet = nurse.client.get("/portal/alerts/fragment")
    assert (quiet.status_code, quiet.json()["error"]) == (401, "second_factor")
    assert nurse.client.get("/portal/live").status_code == 401
    assert nurse.post("/portal/security/sessions/end-others").status_code == 401
    # Nor may it set up a factor of its own, where there is one to show.
    nurse.get("/portal/second-factor")
    answer = nurse.get("/portal/second-factor/set-up", follow=False)
    assert answer.headers["location"].startswith("/portal/second-factor?")
    assert nurse.post("/portal/second-factor/set-up", code="123456").status_code == 401
    assert nurse.client.post(
        "/portal/passkeys/ask-new", headers={"x-kizashi-csrf": nurse.csrf}
    ).status_code == 401  # fmt: skip
    assert nurse.post("/portal/sign-out").status_code == 303


def test_the_second_step_leads_to_where_one_wanted_to_go(
    school: School, browsers: Browsers, rooms: Rooms, secret: str
) -> None:
    nurse = Person(browsers, "nurse")
    page = nurse.get("/portal/alerts?tab=done").text
    assert 'value="/portal/alerts?tab=done"' in page
    answer = nurse.post(
        "/portal/second-factor",
        code=code_now(secret, rooms.clock.now()),
        next="/portal/alerts?tab=done",
    )
    assert answer.headers["location"] == "/portal/alerts?tab=done"
    assert (
        nurse.get("/portal/second-factor?next=//evil.example/", follow=False).headers["location"]
        == "/portal"
    )
    other = Person(browsers, "nurse")
    other.get("/portal")
    reused = other.post("/portal/second-factor", code=code_now(secret, rooms.clock.now()))
    assert reused.status_code == 422
    assert "一度使った数字は使えません" in reused.text


def test_guessing_codes_slows_the_guesser_down_and_nobody_else(
    school: School, browsers: Browsers, rooms: Rooms, secret: str
) -> None:
    nurse = Person(browsers, "nurse")
    nurse.get("/portal")
    for _ in range(ACCOUNT_FREE_TRIES):
        assert nurse.post("/portal/second-factor", code="000").status_code == 422
    slowed = nurse.post("/portal/second-factor", code=code_now(secret, rooms.clock.now()))
    assert slowed.status_code == 429
    wait = int(slowed.headers["retry-after"])
    assert "秒待って" in slowed.text
    json = nurse.client.post(
        "/portal/passkeys/show", json={"answer": {}}, headers={"x-kizashi-csrf": nurse.csrf}
    )
    assert (json.status_code, json.json()["error"]) == (429, "wait")
    assert Person(browsers, "homeroom").get("/portal").status_code == 200
    move(rooms, seconds=wait + 1)
    assert nurse.post(
        "/portal/second-factor", code=code_now(secret, rooms.clock.now())
    ).status_code == 303  # fmt: skip


def test_a_factor_one_has_is_asked_for_even_where_no_duty_needs_it(
    school: School, browsers: Browsers, rooms: Rooms
) -> None:
    rooms.factors.give_totp("staff-homeroom", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    teacher = Person(browsers, "homeroom")
    teacher.get("/portal")
    assert teacher.at() == "/portal/second-factor"


def test_who_has_no_factor_confirms_with_the_password(
    school: School, browsers: Browsers, rooms: Rooms
) -> None:
    teacher = Person(browsers, "homeroom")
    page = teacher.get("/portal/security").text
    assert "パスワードを変える</button>" in page  # just signed in: no need to ask again
    move(rooms, minutes=6)
    assert "パスワードを変える</button>" not in teacher.get("/portal/security").text
    assert teacher.get("/portal/second-factor/set-up", follow=False).headers["location"] == (
        "/portal/confirm?next=/portal/second-factor/set-up"
    )
    asked = teacher.post("/portal/security/password", new=NEW, again=NEW)
    assert asked.status_code == 401
    assert "/portal/confirm?next=/portal/security" in asked.text
    assert teacher.client.post(
        "/portal/security/password", headers={"x-kizashi-csrf": teacher.csrf}
    ).json() == {"error": "confirm", "detail": ""}  # fmt: skip
    before = teacher.token
    teacher.get("/portal/confirm?next=/portal/security")
    assert teacher.post("/portal/confirm", password="wrong").status_code == 422
    assert teacher.post("/portal/confirm", code="123456").status_code == 422
    csrf = teacher.csrf
    done = teacher.post("/portal/confirm", password=make.PASSWORD, next="/portal/security")
    assert done.headers["location"] == "/portal/security"
    assert teacher.token != before
    assert "パスワードを変える</button>" in teacher.get("/portal/security").text
    assert teacher.csrf == csrf  # a half-written note in another tab can still be sent


def test_who_has_a_factor_confirms_with_it_and_not_with_the_password(
    school: School, browsers: Browsers, rooms: Rooms, secret: str
) -> None:
    nurse = Person(browsers, "nurse")
    nurse.get("/portal")
    nurse.post("/portal/second-factor", code=code_now(secret, rooms.clock.now()))
    move(rooms, minutes=6)
    page = nurse.get("/portal/confirm").text
    assert 'name="code"' in page and 'name="password"' not in page
    assert nurse.post("/portal/confirm", password=make.PASSWORD).status_code == 422
    assert (
        nurse.post("/portal/confirm", code=code_now(secret, rooms.clock.now())).status_code == 303
    )
    who = rooms.sessions.find(nurse.token)
    assert who is not None and rooms.sessions.is_fresh(who)


def test_who_came_by_a_provider_confirms_there(
    school: School, browsers: Browsers, rooms: Rooms
) -> None:
    client = browsers().client
    token = rooms.sessions.start_staff(NURSE, make.BOARD, factors=("provider",), confirmed=False)
    client.cookies.set("kizashi_staff", token)
    assert client.get("/portal", headers=HTML).status_code == 200  # the provider's factor counts
    page = client.get("/portal/confirm", headers=HTML).text
    assert "共通アカウント" in page and 'name="password"' not in page


def test_a_new_password_ends_every_other_session(
    school: School, browsers: Browsers, rooms: Rooms
) -> None:
    here, there = Person(browsers, "homeroom"), Person(browsers, "homeroom")
    here.get("/portal/security")
    for new, again, words in (
        ("short", "short", "短すぎます"),
        ("あ" * 201, "あ" * 201, "長すぎます"),
        ("ababababababab", "ababababababab", "同じ文字"),
        ("homeroom1234", "homeroom1234", "ログイン名"),
        (NEW, NEW + "x", "ちがいます"),
    ):
        wrong = here.post("/portal/security/password", new=new, again=again)
        assert wrong.status_code == 422
        assert words in wrong.text
    assert there.get("/portal").status_code == 200
    before = here.token
    done = here.post("/portal/security/password", new=NEW, again=NEW)
    assert done.headers["location"] == "/portal/security?done=password_changed"
    assert "ほかの場所のサインインはすべて終わりました" in here.get(done.headers["location"]).text
    assert before != here.token
    assert there.get("/portal", follow=False).headers["location"].startswith("/portal/sign-in")
    answer = browsers().client.post("/portal/sign-in", data={"login": "homeroom", "password": NEW})
    assert answer.status_code == 303
    assert "password_changed" in actions(rooms)


def test_one_sees_and_ends_ones_sessions(school: School, browsers: Browsers, rooms: Rooms) -> None:
    here, there, third = (Person(browsers, "homeroom") for _ in range(3))
    stranger = Person(browsers, "other")
    move(rooms, minutes=10)
    page = here.get("/portal/security").text
    assert page.count("終わらせる</button>") == 3  # two others, and all others
    there_hash = next(
        one for one in rooms.sessions.living("staff-homeroom")
        if (found := rooms.sessions.find(there.token)) and one.token_hash == found.token_hash
    )  # fmt: skip
    stranger.get("/portal/security")
    stranger.post("/portal/security/sessions/end", session=there_hash.id)
    assert there.get("/portal").status_code == 200
    here.post("/portal/security/sessions/end", session=there_hash.id)
    assert there.get("/portal", follow=False).status_code == 303
    assert third.get("/portal").status_code == 200
    assert here.post("/portal/security/sessions/end-others").status_code == 303
    assert third.get("/portal", follow=False).status_code == 303
    assert here.get("/portal/security").text.count("終わらせる</button>") == 0


def test_the_last_factor_stays_where_a_duty_needs_one(
    school: School, browsers: Browsers, rooms: Rooms, secret: str
) -> None:
    nurse = Person(browsers, "nurse")
    nurse.get("/portal")
    nurse.post("/portal/second-factor", code=code_now(secret, rooms.clock.now()))
    page = nurse.get("/portal/security").text
    assert "アプリを外す" not in page and "最後の一つは外せません" in page
    assert nurse.post("/portal/security/app/remove").status_code == 422
    assert (
        nurse.post("/portal/security/passkeys/remove", passkey="x").status_code == 303
    )  # none such
    assert rooms.factors.of(NURSE).any
    rooms.factors.give_totp("staff-homeroom", secret)
    teacher = Person(browsers, "homeroom")
    teacher.get("/portal")
    teacher.post("/portal/second-factor", code=code_now(secret, rooms.clock.now()))
    assert "アプリを外す" in teacher.get("/portal/security").text
    assert teacher.post("/portal/security/app/remove").headers["location"].endswith("app_removed")
    assert not rooms.factors.of("staff-homeroom").any
    assert teacher.post("/portal/second-factor/codes").headers["location"] == "/portal/security"
    assert teacher.client.post(
        "/portal/passkeys/ask", headers={"x-kizashi-csrf": teacher.csrf}
    ).status_code == 409  # fmt: skip


def test_an_invitation_sets_the_first_password_once(
    school: School, browsers: Browsers, rooms: Rooms
) -> None:
    token = rooms.passwords.invite("staff-homeroom")
    client = browsers().client
    followed = client.get(f"/portal/invitation/{token}", headers=HTML)
    assert followed.headers["location"] == "/portal/invitation"
    page = client.get("/portal/invitation", headers=HTML)
    assert "homeroom" in page.text
    assert token not in page.text
    weak = client.post("/portal/invitation", data={"new": "x", "again": "x"})
    assert weak.status_code == 422  # and the link still works
    assert client.post("/portal/invitation", data={"new": NEW, "again": "y"}).status_code == 422
    cross = client.post(
        "/portal/invitation", data={"new": NEW, "again": NEW},
        headers={"sec-fetch-site": "cross-site"},
    )  # fmt: skip
    assert cross.status_code == 403
    done = client.post("/portal/invitation", data={"new": NEW, "again": NEW})
    assert done.headers["location"] == "/portal"
    assert client.get("/portal", headers=HTML).status_code == 200
    own = client.get("/portal/security", headers=HTML).text
    assert "招待のリンクでパスワードが決められた日時" in own
    assert "本人確認の手段を取り消した日時" not in own
    second = browsers().client
    second.get(f"/portal/invitation/{token}")
    over = second.get("/portal/invitation", headers=HTML)
    assert over.status_code == 410
    assert "このリンクは使えません" in over.text
    assert second.post("/portal/invitation", data={"new": NEW, "again": NEW}).status_code == 410
    assert rooms.passwords.is_it("staff-homeroom", NEW)


def test_an_invited_nurse_goes_on_to_set_up_a_factor(
    school: School, browsers: Browsers, rooms: Rooms
) -> None:
    client = browsers().client
    client.get(f"/portal/invitation/{rooms.passwords.invite(NURSE)}")
    client.post("/portal/invitation", data={"new": NEW, "again": NEW})
    page = client.get("/portal", headers=HTML, follow_redirects=True)
    assert page.url.path == "/portal/second-factor/set-up"


def test_a_session_ended_meanwhile_cannot_be_confirmed(
    school: School, browsers: Browsers, rooms: Rooms
) -> None:
    teacher = Person(browsers, "homeroom")
    teacher.get("/portal/confirm")
    who = rooms.sessions.find(teacher.token)
    assert who is not None
    with rooms.database.writing() as conn:  # by another process, a moment ago
        conn.exec_driver_sql(
            "UPDATE sessions SET revoked = " + ("1" if rooms.database.is_sqlite else "true")
        )
    assert teacher.post("/portal/confirm", password=make.PASSWORD).status_code == 401


def test_somebody_who_left_is_signed_out(school: School, browsers: Browsers, rooms: Rooms) -> None:
    teacher = Person(browsers, "homeroom")
    with rooms.database.writing() as conn:
        conn.execute(update(staff).where(staff.c.login == "homeroom").values(active=False))
    assert teacher.get("/portal", follow=False).headers["location"].startswith("/portal/sign-in")


def test_a_passkey_comes_and_goes_through_the_pages_script(
    school: School, browsers: Browsers, rooms: Rooms
) -> None:
    device = Authenticator(host="127.0.0.1", origin=rooms.settings.public_url)
    nurse = Person(browsers, "nurse")
    nurse.get("/portal/second-factor/set-up")

    def ask(path: str, **body: object) -> httpx.Response:
        return nurse.client.post(
            f"/portal/passkeys/{path}", json=body, headers={"x-kizashi-csrf": nurse.csrf}
        )

    wrong = ask("new", answer={}, name="x")
    assert (wrong.status_code, wrong.json()) == (422, {"error": "wrong"})
    made = json.loads(device.create(ask("ask-new").text))
    before = nurse.token
    answer = ask("new", answer=made, name="青いキー", next="/portal/alerts")
    assert answer.json() == {"next": "/portal/second-factor/codes?next=/portal/alerts"}
    assert nurse.token != before
    nurse.get("/portal/second-factor/codes")
    nurse.post("/portal/second-factor/codes")
    page = nurse.get("/portal/security").text
    assert "青いキー" in page

    again = Person(browsers, "nurse")
    assert "登録したパスキー" in again.get("/portal/alerts").text
    nurse, first = again, nurse
    fits = ask("show", answer=json.loads(device.get(ask("ask").text)), next="/portal/alerts")
    assert fits.json() == {"next": "/portal/alerts"}
    who = rooms.sessions.find(nurse.token)
    assert who is not None and who.factors == {"passkey"} and rooms.sessions.is_fresh(who)
    nurse.get("/portal/security")
    replayed = ask("show", answer=json.loads(device.get('{"challenge": "AAAA"}')))
    assert replayed.status_code == 422
    nurse.get("/portal/security")
    second = Authenticator(host="127.0.0.1", origin=rooms.settings.public_url)
    more = ask(
        "new", answer=json.loads(second.create(ask("ask-new").text)), next="/portal/security"
    )
    assert more.json() == {"next": "/portal/security"}  # there are recovery codes already
    [kept, newer] = rooms.passkeys.of(NURSE)
    assert nurse.post("/portal/security/passkeys/remove", passkey=kept.id).status_code == 303
    assert nurse.post("/portal/security/passkeys/remove", passkey=newer.id).status_code == 422
    assert [one.id for one in rooms.passkeys.of(NURSE)] == [newer.id]
    assert {"factor_added", "factor_removed", "factor_failed"} <= set(actions(rooms))
    assert first.get("/portal").status_code == 200  # the other session is not touched
    assert rooms.passwords.find("nurse") == (NURSE, make.BOARD)
    assert rooms.passwords.find("nobody") is None
