"""The pages for cards and for accounts, over real HTTP: shown once, one click, the right people."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests import make
from tests.teacher_portal.conftest import Browser, Browsers
from tests.teacher_portal.school import School
from warning_service.access.tables import audit
from warning_service.clock import MovableClock
from warning_service.roster import service
from warning_service.roster import tables as t

ROOM = "sakura-1"
Clerk = Callable[[], Browser]


def actions(school: School) -> list[str]:
    return [row.action for row in make.rows(school.rooms.database, audit)]


def text(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


# -- cards -----------------------------------------------------------------------------------------


def test_a_class_card_is_made_printed_lost_and_replaced(school: School, browsers: Browsers) -> None:
    teacher = browsers("homeroom")
    assert teacher.client.get("/portal/cards").headers["location"] == f"/portal/cards/{ROOM}"
    assert "まだありません" in teacher.get(f"/portal/cards/{ROOM}")
    first = teacher.post(f"/portal/cards/{ROOM}/card")
    assert first.status_code == 200
    assert "no-store" in first.headers["cache-control"]
    assert "<svg" in first.text and "viewBox" in first.text and "4年1組" in first.text
    assert not re.search(r"<[a-z]+[^>]* (style|on[a-z]+)=", first.text)  # the picture, too
    address = _address(first.text)
    tablet = browsers()
    assert tablet.client.get(address).headers["location"] == "/child/class"
    assert "何番" in re.sub("<rt>.*?</rt>|<rp>.*?</rp>|<[^>]+>", "", tablet.get("/child/class"))
    again = teacher.get(f"/portal/cards/{ROOM}")
    assert "使用中" in again and "なくした" in again and address not in again
    second = teacher.post(f"/portal/cards/{ROOM}/card")
    assert _address(second.text) != address
    assert tablet.client.get("/child/class").headers["location"] == "/child/sign-in"
    assert "カードを" in tablet.get("/child/sign-in")
    assert browsers().client.get(address, headers={"accept": "text/html"}).status_code == 404
    gone = teacher.post(f"/portal/cards/{ROOM}/stop")
    assert gone.headers["location"] == f"/portal/cards/{ROOM}?stopped=1"
    assert "止めました" in teacher.get(gone.headers["location"])
    assert actions(school).count("class_card_made") == 2
    assert actions(school).count("class_card_stopped") == 1


def _address(page: str) -> str:
    found = re.search(r'class="card-address">http[^<]*?(/child/card/[\w-]{43})<', page)
    assert found is not None
    return found.group(1)


def test_children_get_new_cards_and_names_only_when_asked_for(
    school: School, browsers: Browsers
) -> None:
    teacher = browsers("homeroom")
    one = teacher.post(f"/portal/cards/{ROOM}/children", seat=3)
    assert one.status_code == 200 and one.text.count("pictures.svg#") == 3
    assert "児3" not in one.text and "child_cards" not in actions(school)
    named = teacher.post(f"/portal/cards/{ROOM}/children", seat=3, names="true")
    assert "児3" in named.text and "児4" not in named.text
    assert "child_cards" in actions(school)
    everybody = teacher.post(f"/portal/cards/{ROOM}/children", whom="all")
    assert everybody.text.count("pictures.svg#") == 3 * 6
    pictures = re.findall(r"pictures\.svg#(\w+)", everybody.text)[:3]
    tablet = browsers()
    done = tablet.client.post(
        "/child/sign-in/SAKURA-1/1",
        data={"chosen": "-".join(pictures[:2]), "pick": pictures[2]},
    )
    assert done.headers["location"] == "/child"
    none = teacher.post(f"/portal/cards/{ROOM}/children", whom="missing")
    assert "ありませんでした" in none.text
    nothing = teacher.post(f"/portal/cards/{ROOM}/children")
    assert nothing.headers["location"] == f"/portal/cards/{ROOM}"
    assert teacher.post(f"/portal/cards/{ROOM}/children", seat=77).status_code == 404
    assert teacher.post(f"/portal/cards/{ROOM}/children", whom="x").status_code == 422
    clock = school.rooms.clock
    assert isinstance(clock, MovableClock)
    clock.move_by(timedelta(minutes=6))
    made = actions(school).count("child_secret_made")
    for whom in ("all", "missing"):
        late = teacher.post(f"/portal/cards/{ROOM}/children", whom=whom)
        assert late.status_code == 401 and "本人の確認" in late.text
    assert actions(school).count("child_secret_made") == made
    assert teacher.post(f"/portal/cards/{ROOM}/children", seat=3).status_code == 200
    assert "press the number" in _in_english(teacher, f"/portal/cards/{ROOM}")


def _in_english(browser: Browser, path: str) -> str:
    browser.client.cookies.set("lang", "en")
    try:
        return browser.get(path)
    finally:
        browser.client.cookies.delete("lang")


def test_cards_of_other_classes_are_not_there(school: School, browsers: Browsers) -> None:
    other, nurse = browsers("other"), browsers("nurse")
    other.get(f"/portal/cards/{ROOM}", 404)
    for path in ("card", "stop", "children"):
        assert other.post(f"/portal/cards/{ROOM}/{path}", whom="all").status_code == 404
        assert nurse.post(f"/portal/cards/{ROOM}/{path}", whom="all").status_code == 403
        refused = other.post(f"/portal/cards/sakura-2/{path}", csrf="x", whom="all")
        assert refused.status_code == 403
    nurse.get("/portal/cards", 403)
    assert "class_card_made" not in actions(school)


def test_management_sees_all_classes(school: School, browsers: Browsers) -> None:
    make.staff(school.rooms.database, "head", ("management", "sakura"))
    head = browsers("head")
    head.post(f"/portal/cards/{ROOM}/card")
    page = head.get("/portal/cards")
    assert page.count("使用中") == 1 and page.count("まだありません") == 1
    assert "先生 head" in head.get(f"/portal/cards/{ROOM}")


# -- accounts --------------------------------------------------------------------------------------


@pytest.fixture
def clerk(school: School, browsers: Browsers) -> Browser:
    make.staff(school.rooms.database, "clerk", ("accounts", make.BOARD))
    return browsers("clerk")


def test_a_clerk_lands_on_the_accounts_and_finds_people(school: School, clerk: Browser) -> None:
    assert clerk.client.get("/portal").headers["location"] == "/portal/accounts"
    page = clerk.get("/portal/accounts")
    assert "先生nurse2" in page and "養護教諭" in page
    wanted = _searched(clerk, words="nurse", role="nurse", school="school2")
    found = clerk.get(f"{wanted}&sort=login&dir=desc")
    assert "先生nurse2" in found and "先生homeroom" not in found
    assert 'aria-sort="descending"' in found and "role=nurse" in found
    assert "あてはまる人はいません" in clerk.get(_searched(clerk, words="兆 児1"))
    assert "児1" not in clerk.get("/portal/accounts?staff=児1&words=児1&school=sakura")
    kept = _searched(clerk, staff="staff-nurse2,児1", role="nurse", school="山田")
    assert kept == "/portal/accounts?role=nurse&staff=staff-nurse2"
    assert _searched(clerk) == "/portal/accounts"
    assert "先生nurse2" in clerk.get("/portal/accounts?sort=x&state=x&role=x&page=-1")
    assert clerk.client.get("/portal/accounts?page=x").status_code == 422
    for person in range(60):
        _person(school, f"p{person:02d}")
    first = clerk.get("/portal/accounts?sort=login")
    assert 'rel="next"' in first and 'rel="prev"' not in first
    assert "p59" in clerk.get("/portal/accounts?sort=login&page=2")
    many = clerk.get(_searched(clerk, words="人 p"))
    assert "はじめの50人だけ" in many and "p49" in many and "p50" not in many
    assert "accounts_list" in actions(school)


def _searched(clerk: Browser, **form: str) -> str:
    """Where a search leads: to an address with keys and without any word that was typed."""
    answer = clerk.post("/portal/accounts/search", **form)
    assert answer.status_code == 303, answer.text[:500]
    address = answer.headers["location"]
    assert "%" not in address.replace("%2C", ""), address
    return address.replace("%2C", ",")


def _person(school: School, login: str) -> None:
    with school.rooms.database.writing() as conn:
        service.put_rows(
            conn, t.staff, ["staff"],
            [
                {
                    "staff": f"staff-{login}", "board": make.BOARD, "login": login,
                    "name": f"人 {login}", "password_hash": "", "slack_user": None, "active": True,
                }
            ],
        )  # fmt: skip


def test_a_person_from_the_form_to_the_first_sign_in(
    school: School, clerk: Browser, browsers: Browsers
) -> None:
    assert "職員を加える" in clerk.get("/portal/accounts/new")
    wrong = clerk.post("/portal/accounts", login="nurse", name="佐藤 花")
    assert wrong.status_code == 422 and "別のもの" in wrong.text and "佐藤 花" in wrong.text
    made = clerk.post("/portal/accounts", login="sato", name="佐藤 花").headers["location"]
    here = made.split("?")[0]
    assert "担当を決めてください" in clerk.get(made)
    first = school.rooms.clock.today().isoformat()
    duties: list[tuple[dict[str, str], int]] = [
        ({"role": "homeroom", "room": ROOM, "first": first}, 303),
        ({"role": "grade_lead", "school": "sakura", "grade": "4", "first": first}, 303),
        ({"role": "nurse", "school": "sakura", "first": first, "last": first}, 303),
        ({"role": "board", "first": first}, 303),
        ({"role": "board", "first": first}, 422),
        ({"role": "nurse", "first": first}, 422),
        ({"role": "nurse", "school": "sakura", "first": "x"}, 422),
        ({"role": "nurse", "school": "sakura", "first": first, "last": "2026-05-10"}, 422),
        ({"role": "king", "school": "sakura", "first": first}, 422),
        ({}, 422),
    ]
    for form, status in duties:
        answer = clerk.post(f"{here}/duties", **form)
        assert answer.status_code == status, (form, text(answer.text)[:500])
    page = text(clerk.get(here))
    for words in ("4年1組", "4年", "学年主任", "教育委員会"):
        assert words in page
    assert "Grade 4" in text(_in_english(clerk, here))
    assert 'value="7">中1<' in clerk.get(here) and "7〜9" not in page
    end = {"role": "nurse", "place": "sakura", "from_day": first}
    assert clerk.post(f"{here}/duties/end", **end).headers["location"].endswith("duty_ended")
    assert clerk.post(f"{here}/duties/end", **end).status_code == 404
    assert clerk.post(f"{here}/duties/end", **{**end, "from_day": "x"}).status_code == 422
    invitation = clerk.post(f"{here}/invitation")
    assert invitation.status_code == 200 and "no-store" in invitation.headers["cache-control"]
    found = re.search(r"http[^<]*?(/portal/invitation/[\w.-]+)", invitation.text)
    assert found is not None
    person = browsers()
    assert person.client.get(found.group(1)).headers["location"] == "/portal/invitation"
    assert found.group(1) not in clerk.get(here)
    alone = clerk.post(f"{here}/duties", role="auditor", first=first)
    assert alone.status_code == 422 and "もう一人のアカウント管理者" in alone.text


def test_an_account_is_closed_opened_and_its_factors_reset(
    school: School, clerk: Browser, browsers: Browsers
) -> None:
    nurse = browsers("nurse")
    here = "/portal/accounts/staff-nurse"
    assert clerk.post(f"{here}/close").headers["location"] == f"{here}?done=closed"
    assert (
        nurse.client.get("/portal", headers={"accept": "text/html"})
        .headers["location"]
        .startswith("/portal/sign-in")
    )
    assert "停止中" in clerk.get(here)
    assert clerk.post(f"{here}/invitation").status_code == 422
    assert clerk.post(f"{here}/open").headers["location"] == f"{here}?done=opened"
    assert clerk.post(f"{here}/factors").headers["location"] == f"{here}?done=factors_reset"
    assert "登録しなおします" in clerk.get(f"{here}?done=factors_reset")
    clerk.get(f"{here}?done=nonsense")


def test_ones_own_account_and_other_boards_are_out_of_reach(school: School, clerk: Browser) -> None:
    own = clerk.get("/portal/accounts/staff-clerk")
    assert "自分では変えられません" in own and "/close" not in own
    first = school.rooms.clock.today().isoformat()
    for path, form in (
        ("close", {}), ("factors", {}), ("invitation", {}),
        ("duties", {"role": "management", "school": "sakura", "first": first}),
        ("duties/end", {"role": "accounts", "place": make.BOARD, "from_day": "2026-04-01"}),
    ):  # fmt: skip
        assert clerk.post(f"/portal/accounts/staff-clerk/{path}", **form).status_code == 422
    clerk.get("/portal/accounts/nobody", 404)
    assert clerk.post("/portal/accounts/nobody/close").status_code == 404


def test_accounts_are_for_their_duty_only(school: School, browsers: Browsers) -> None:
    for login in ("homeroom", "board"):
        browser = browsers(login)
        browser.get("/portal/accounts", 403)
        browser.get("/portal/accounts/staff-nurse", 403)
        assert browser.post("/portal/accounts/staff-nurse/close").status_code == 403
        assert browser.post("/portal/accounts", login="x1", name="x").status_code == 403
