"""The page on which a board says where each duty is told: set, try, take off, undo, who may."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import select, update

from tests import make
from tests.messaging.http_server import serving
from tests.messaging.services import Teams
from tests.teacher_portal.conftest import Browsers
from warning_service.access.tables import audit
from warning_service.alerts.deliver import Deliverer
from warning_service.alerts.tables import deliveries, routes
from warning_service.rooms import Rooms
from warning_service.settings import Settings


@pytest.fixture
def teams() -> Iterator[tuple[Teams, str]]:
    service = Teams()
    with serving(service) as url:
        yield service, f"{url}{Teams.PATH}?{Teams.QUERY}"


@pytest.fixture
def settings(
    database_url: str, secret_key: str, tmp_path: object, teams: tuple[Teams, str]
) -> Settings:
    return Settings(
        environment="test",
        database_url=database_url,
        secret_keys=[secret_key],  # type: ignore[list-item]
        data_dir=f"{tmp_path}/data",  # type: ignore[arg-type]
        public_url="http://portal.test",
        teams={"webhooks": {"nurses": teams[1], "desk": teams[1]}},  # type: ignore[arg-type]
    )


@pytest.fixture
def clerk(rooms: Rooms) -> str:
    [room] = make.places(rooms.database)
    make.staff(rooms.database, "clerk", ("accounts", make.BOARD))
    make.staff(rooms.database, "hr", ("homeroom", room))
    return room


NURSE = {"duty": "nurse", "school": make.SCHOOL, "channel": "teams", "address": "nurses"}


def test_a_route_is_set_tried_changed_and_put_back(
    rooms: Rooms, clerk: str, browsers: Browsers, teams: tuple[Teams, str]
) -> None:
    who = browsers("clerk")
    assert "連絡先がまだありません" in who.get("/portal/channels")
    page = who.post("/portal/channels", **NURSE)
    assert page.status_code == 200
    assert "まだ送っていません" in page.text
    [route] = make.rows(rooms.database, routes)
    assert (route.place, route.duty, route.channel, route.address, route.priority) == (
        make.SCHOOL, "nurse", "teams", "nurses", 1,
    )  # fmt: skip

    key = {"place": make.SCHOOL, "duty": "nurse", "channel": "teams"}
    owed = who.post("/portal/channels/try", **key)
    assert owed.status_code == 303
    assert "試しの送信を待っています" in who.get(owed.headers["location"])
    assert _deliverer(rooms).run_once() == 1
    assert "受け取りました" in who.get(owed.headers["location"])
    assert "最後に届いた" in who.get("/portal/channels")
    [call] = teams[0].calls
    assert "送信の試験です".encode() in call.body
    assert b"http://portal.test/portal/channels" in call.body

    changed = who.post("/portal/channels", **(NURSE | {"address": "desk", "turn": "2"}))
    assert "前は:" in changed.text
    [route] = make.rows(rooms.database, routes)
    assert (route.address, route.priority) == ("desk", 2)
    who.post("/portal/channels", **_undo(changed.text))
    [route] = make.rows(rooms.database, routes)
    assert (route.address, route.priority) == ("nurses", 1)

    gone = who.post("/portal/channels/remove", **key)
    assert make.rows(rooms.database, routes) == []
    who.post("/portal/channels", **_undo(gone.text))
    assert len(make.rows(rooms.database, routes)) == 1
    assert "見てください" not in who.get("/portal/channels")

    lines = [row for row in make.rows(rooms.database, audit) if row.action.startswith("route_")]
    assert [row.action for row in lines] == [
        "route_set", "route_tried", "route_set", "route_set", "route_removed", "route_set",
    ]  # fmt: skip
    assert not [row for row in lines if "nurses" in f"{row.detail}{row.subject}"]


def _deliverer(rooms: Rooms) -> Deliverer:
    from connectors.messaging import registry

    channels = registry.connect(rooms)
    return Deliverer(rooms.log, channels, public_url=rooms.settings.public_url)


def _undo(page: str) -> dict[str, str]:
    notice = page.split('class="notice done"')[1].split("</form>", maxsplit=1)[0]
    return {
        name: value
        for name, value in re.findall(r'name="([a-z]+)" value="([^"]*)"', notice)
        if name != "csrf"
    }


def test_a_failed_trial_is_shown_with_what_it_means(
    rooms: Rooms, clerk: str, browsers: Browsers, teams: tuple[Teams, str]
) -> None:
    who = browsers("clerk")
    who.post("/portal/channels", **NURSE)
    teams[0].script.append("404")
    owed = who.post(
        "/portal/channels/try", place=make.SCHOOL, duty="nurse", channel="teams"
    ).headers["location"]
    assert _deliverer(rooms).run_once() == 0
    assert "あて先が見つかりませんでした" in who.get(owed)
    page = who.get("/portal/channels")
    assert "届いていない" in page
    with rooms.database.writing() as conn:
        conn.execute(update(deliveries).values(last_error="odd_code"))
    assert "odd_code" in who.get("/portal/channels")


WRONG = [
    ({"duty": "child"}, "担当を選んで"),
    ({"duty": "auditor"}, "担当を選んで"),
    ({"school": ""}, "学校・学年・学級"),
    ({"school": "elsewhere"}, "学校・学年・学級"),
    ({"duty": "homeroom", "room": "nowhere"}, "学校・学年・学級"),
    ({"duty": "grade_lead", "grade": "12"}, "学校・学年・学級"),
    ({"channel": "pigeon"}, "送りかたを選んで"),
    ({"address": "https://evil.example/"}, "あて先の形"),
    ({"address": ""}, "あて先の形"),
    ({"turn": "0"}, "順番は"),
    ({"turn": "x"}, "順番は"),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("change", "words"), WRONG)
def test_what_does_not_fit_is_refused_in_words(
    change: dict[str, str], words: str, rooms: Rooms, clerk: str, browsers: Browsers
) -> None:
    answer = browsers("clerk").post("/portal/channels", **(NURSE | change))
    assert answer.status_code == 422
    assert words in answer.text
    assert make.rows(rooms.database, routes) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_places_of_each_kind_and_the_address_stays_out_of_addresses(
    rooms: Rooms, clerk: str, browsers: Browsers
) -> None:
    who = browsers("clerk")
    for duty, more in (
        ("homeroom", {"room": clerk}),
        ("grade_lead", {"school": make.SCHOOL, "grade": "4"}),
        ("board", {}),
    ):
        answer = who.post("/portal/channels", duty=duty, channel="teams", address="desk", **more)
        assert answer.status_code == 200, answer.text
        assert "desk" not in str(answer.url)
    with rooms.database.reading() as conn:
        found = set(conn.execute(select(routes.c.place)).scalars())
    assert found == {clerk, f"{make.SCHOOL}:4", make.BOARD}
    page = who.get("/portal/channels")
    assert "教育委員会" in page


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_only_who_keeps_accounts_may_and_only_with_the_forms_own_mark(
    rooms: Rooms, clerk: str, browsers: Browsers
) -> None:
    teacher = browsers("hr")
    teacher.get("/portal/channels", status=403)
    assert teacher.post("/portal/channels", **NURSE).status_code == 403
    officer = browsers("clerk")
    assert officer.post("/portal/channels", csrf="x", **NURSE).status_code == 403
    for path in ("try", "remove"):
        answer = officer.post(
            f"/portal/channels/{path}", place=make.SCHOOL, duty="nurse", channel="teams"
        )
        assert answer.status_code == 422
        assert "もうありません" in answer.text
    assert make.rows(rooms.database, routes) == make.rows(rooms.database, deliveries) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_devices_of_people_are_no_routes_of_the_boards(
    rooms: Rooms, clerk: str, browsers: Browsers
) -> None:
    key = {"place": make.SCHOOL, "duty": "nurse", "channel": "web_push"}
    with rooms.database.writing() as conn:
        conn.execute(routes.insert().values(board=make.BOARD, **key, address="staff-clerk"))
    who = browsers("clerk")
    assert "staff-clerk" not in who.get("/portal/channels")
    for path in ("/try", "/remove"):
        assert who.post(f"/portal/channels{path}", **key).status_code == 422
    answer = who.post("/portal/channels", **(NURSE | {"channel": "web_push"}))
    assert answer.status_code == 422
    assert len(make.rows(rooms.database, routes)) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_route_of_a_channel_that_is_gone_from_the_settings_says_so(
    rooms: Rooms, clerk: str, browsers: Browsers
) -> None:
    with rooms.database.writing() as conn:
        conn.execute(
            routes.insert().values(
                board=make.BOARD, place=make.SCHOOL, duty="nurse", channel="slack", address="C1"
            )
        )
    page = browsers("clerk").get("/portal/channels")
    assert "設定がありません" in page
    assert "/portal/channels/try" not in page


def test_what_no_id_holds_is_no_error_of_ours(rooms: Rooms, clerk: str, browsers: Browsers) -> None:
    """A NUL above all, which PostgreSQL does not take."""
    who, odd = browsers("clerk"), "a\x00b"
    for field in ("school", "address", "duty", "channel", "turn", "place", "room", "grade"):
        answer = who.post("/portal/channels", **(NURSE | {field: odd}))
        assert answer.status_code in {200, 422}, field
        assert odd not in str(make.rows(rooms.database, routes))
    for path in ("try", "remove"):
        for place, duty in ((odd, "nurse"), ("日本", "😀")):
            answer = who.post(f"/portal/channels/{path}", place=place, duty=duty, channel="teams")
            assert answer.status_code == 422
    who.get("/portal/channels?tried=%00a")
