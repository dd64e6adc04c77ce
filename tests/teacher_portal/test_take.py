"""The link of a mail: for whom it was meant, once, in time; and one answer to everybody else."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import insert, select, update

from tests import make
from tests.teacher_portal.conftest import HTML, Browser, Browsers
from tests.teacher_portal.school import School
from warning_service.access.tables import audit
from warning_service.alerts.outside.ack_links import AckLinks
from warning_service.alerts.outside.tables import ack_links
from warning_service.alerts.service import Alerts
from warning_service.alerts.tables import alerts, routes
from warning_service.clock import Clock
from warning_service.database import StorageUnavailable
from warning_service.rooms import Rooms

TO = "yogo@sakura.example"
ALWAYS = timedelta(hours=12)


def routed(rooms: Rooms, duty: str, place: str, address: str = TO) -> None:
    with rooms.database.writing() as conn:
        conn.execute(
            insert(routes).values(
                board=make.BOARD, place=place, duty=duty, channel="mail", address=address
            )
        )


@pytest.fixture
def alert(school: School) -> str:
    routed(school.rooms, "nurse", make.SCHOOL)
    return school.alert(school.children["sakura-1"][0], words="ひみつの言葉")


def link(rooms: Rooms, alert: str, address: str = TO, good_for: timedelta = ALWAYS) -> str:
    token = AckLinks(rooms.database).make(alert, "mail", address, good_for=good_for)
    assert token is not None
    return f"/portal/take/{token}"


def state_of(rooms: Rooms, alert: str) -> tuple[str, str, str]:
    with rooms.database.reading() as conn:
        row = conn.execute(select(alerts).where(alerts.c.id == alert)).one()
    return row.state, row.acknowledged_by, row.acknowledged_via


def test_after_signing_in_one_tap_takes_it_on(
    school: School, browsers: Browsers, alert: str
) -> None:
    path = link(school.rooms, alert)
    browser = browsers()
    answer = browser.client.get(path, headers=HTML)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/portal/sign-in?next={path}"
    nurse = browsers("nurse")
    page = nurse.get(path)
    assert "相談が1件あります" in page and "対応します" in page
    assert "ひみつ" not in page and "児1" not in page
    assert nurse.get(path), "looking uses nothing up"
    done = nurse.post(path)
    assert done.status_code == 303
    assert done.headers["location"] == f"/portal/alerts/{alert}?saved=acknowledged"
    assert state_of(school.rooms, alert) == ("acknowledged", "staff-nurse", "mail")
    [kept] = make.rows(school.rooms.database, ack_links)
    assert kept.used_by == "staff-nurse"


def refusals(school: School, browsers: Browsers, alert: str) -> dict[str, tuple[Browser, str]]:
    """Every way in which a link opens nothing, with who tries."""
    rooms, nurse = school.rooms, browsers("nurse")
    used, old = link(rooms, alert), link(rooms, alert, good_for=timedelta(0))
    AckLinks(rooms.database).use(school.who("nurse"), used.rpartition("/")[2])
    routed(rooms, "nurse", "school2", "elsewhere@x.example")
    routed(rooms, "board", make.BOARD, "board@x.example")
    routed(rooms, "person", "staff-nurse", "own@x.example")
    return {
        "used": (nurse, used),
        "expired": (nurse, old),
        "unknown": (nurse, "/portal/take/" + "x" * 43),
        "odd": (nurse, "/portal/take/%E5%85%86"),
        "another's duty": (browsers("homeroom"), link(rooms, alert)),
        "another's own": (browsers("counsellor"), link(rooms, alert, "own@x.example")),
        "another school's": (browsers("nurse2"), link(rooms, alert)),
        "not in scope": (browsers("nurse2"), link(rooms, alert, "elsewhere@x.example")),
        "wrong role": (browsers("board"), link(rooms, alert, "board@x.example")),
    }


def same(answer: httpx.Response) -> tuple[int, str]:
    """Status and words, without what differs between people."""
    start = answer.text.index("<main")
    return answer.status_code, answer.text[start : answer.text.index("</main>")]


def test_all_refusals_are_one_and_the_same(school: School, browsers: Browsers, alert: str) -> None:
    tries = refusals(school, browsers, alert)
    seen = {}
    for what, (browser, path) in tries.items():
        seen["look " + what] = same(browser.client.get(path, headers=HTML))
        seen["press " + what] = same(browser.post(path))
    assert {status for status, _ in seen.values()} == {404}
    assert len(set(seen.values())) == 1, seen
    assert state_of(school.rooms, alert)[0] == "open"
    with school.rooms.database.reading() as conn:
        lines = conn.execute(select(audit).where(audit.c.action == "refused:take_on")).all()
    assert len(lines) == len(seen)
    assert {(row.subject, row.detail) for row in lines} == {("/portal/take", "mail")}


def test_a_persons_own_link_is_theirs(school: School, browsers: Browsers, alert: str) -> None:
    routed(school.rooms, "person", "staff-homeroom", "own@x.example")
    done = browsers("homeroom").post(link(school.rooms, alert, "own@x.example"))
    assert done.headers["location"].endswith("saved=acknowledged")


def test_somebody_was_first(school: School, browsers: Browsers, alert: str) -> None:
    path = link(school.rooms, alert)
    school.rooms.alerts.acknowledge(alert, school.who("homeroom"), "portal")
    nurse = browsers("nurse")
    assert "すでに対応がはじまっています" in nurse.get(path)
    assert nurse.post(path).headers["location"].endswith("saved=too_late")
    assert state_of(school.rooms, alert)[1] == "staff-homeroom"


def test_without_the_pages_own_token_nothing_is_taken_on(
    school: School, browsers: Browsers, alert: str
) -> None:
    assert browsers("nurse").post(link(school.rooms, alert), csrf="x").status_code == 403
    assert state_of(school.rooms, alert)[0] == "open"


def test_what_could_not_be_stored_can_be_tried_again(
    school: School, browsers: Browsers, alert: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> bool:
        raise StorageUnavailable("gone")

    path, nurse = link(school.rooms, alert), browsers("nurse")
    with monkeypatch.context() as broken:
        broken.setattr(Alerts, "acknowledge", away)
        assert nurse.post(path).status_code == 503
    assert nurse.post(path).headers["location"].endswith("saved=acknowledged")


def test_of_two_at_the_same_moment_one_has_it(school: School, alert: str) -> None:
    links, nurse = AckLinks(school.rooms.database), school.who("nurse")
    token = link(school.rooms, alert).rpartition("/")[2]
    assert links.look(nurse, token) == links.look(nurse, token) == alert
    assert links.use(nurse, token) == alert
    with pytest.raises(PermissionError):
        links.use(nurse, token)


def test_its_time_runs_out_between_looking_and_pressing(
    school: School, browsers: Browsers, alert: str
) -> None:
    path, nurse = link(school.rooms, alert), browsers("nurse")
    assert nurse.get(path)
    with school.rooms.database.writing() as conn:
        conn.execute(update(ack_links).values(expires_at=Clock().now() - timedelta(seconds=1)))
    assert nurse.post(path).status_code == 404


def test_an_address_nobody_is_routed_to_gets_no_link(school: School, alert: str) -> None:
    links = AckLinks(school.rooms.database)
    assert links.make(alert, "mail", "nobody@x.example", good_for=ALWAYS) is None
    assert links.make("no-such-alert", "mail", TO, good_for=ALWAYS) is None
    assert make.rows(school.rooms.database, ack_links) == []


def test_who_sees_no_childs_alert_takes_on_a_notice_that_was_for_them(
    school: School, browsers: Browsers
) -> None:
    """An operator is called at night, and the link in the mail has to work."""
    rooms = school.rooms
    make.staff(rooms.database, "op", ("operator", make.BOARD))
    routed(rooms, "operator", make.BOARD)
    notice = rooms.notices.raise_notice(make.BOARD, "system_trouble", "watchman:behind")
    assert notice is not None
    path = link(rooms, notice)
    assert browsers("nurse").client.get(path, headers=HTML).status_code == 404
    operator = browsers("op")
    page = operator.get(path)
    assert f"/portal/notices/{notice}" in page and "/portal/alerts/" not in page
    done = operator.post(path)
    assert done.headers["location"] == f"/portal/notices/{notice}?saved=notice_taken"
    assert state_of(rooms, notice) == ("acknowledged", "staff-op", "mail")
    assert "あなたが引き受けました" in operator.get(done.headers["location"])
