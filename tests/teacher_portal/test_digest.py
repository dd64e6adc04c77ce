"""The digest on pages: one's own counts, on the first page too, and the two switches."""

from __future__ import annotations

from datetime import date

from tests import make
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.clock import MovableClock, at
from warning_service.follow_up.digests import MORNING, DigestJob
from warning_service.follow_up.tables import digests


def made(school: School) -> int:
    rooms = school.rooms
    return DigestJob(rooms.log, rooms.playbooks, rooms.alerts).run_all()


def test_counts_with_links_and_nothing_is_said_too(
    school: School, browsers: Browsers, clock: MovableClock
) -> None:
    child = school.children["sakura-1"][0]
    clock.move_to(at(date(2026, 5, 18), 8))
    school.alert(child)
    assert made(school) > 0
    page = browsers("homeroom").get("/portal")
    assert "けさのまとめ" in page
    assert 'href="/portal/alerts">対応を待つお知らせ</a></dt><dd>1<small>件' in page
    quiet = browsers("nurse2").get("/portal/digest")
    assert "待っているものはありません" in quiet
    assert child not in quiet
    board = browsers("board").get("/portal/digest")
    assert "/portal/alerts" not in board.split('id="newest-head"')[1]


def test_before_the_first_and_the_switches(
    school: School, browsers: Browsers, clock: MovableClock
) -> None:
    nurse = browsers("nurse")
    assert "まとめはまだありません" in nurse.get("/portal/digest")
    answer = nurse.post("/portal/digest/choice", kind=MORNING, wanted="no")
    assert answer.headers["location"] == "/portal/digest"
    assert nurse.get("/portal/digest").count("受け取るのをやめる</button>") == 1
    clock.move_to(at(date(2026, 5, 18), 8))
    made(school)
    assert "staff-nurse" not in {r.staff for r in make.rows(school.rooms.database, digests)}
    nurse = browsers("nurse")
    nurse.post("/portal/digest/choice", kind=MORNING, wanted="yes")
    assert nurse.get("/portal/digest").count("受け取るのをやめる</button>") == 2
    assert nurse.post("/portal/digest/choice", kind="hourly", wanted="no").status_code == 404
