"""The yearly review's pages: seen, filtered, decided, taken as a file."""

from __future__ import annotations

import csv
import io
import re

import pytest

from teacher_portal.rights_review import PER_PAGE
from tests import make
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.access.tables import rights_reviews
from warning_service.access.trail.audit import Look

PAGE = "/portal/rights-review"


@pytest.fixture
def office(school: School) -> School:
    make.staff(school.rooms.database, "accounts", ("accounts", make.BOARD))
    make.staff(school.rooms.database, "head", ("management", "sakura"))
    school.rooms.trail.record(
        [Look(board=make.BOARD, actor="staff-nurse", action=action, subject="k", duty="nurse")
         for action in ("student", "class", "refused:student")]
    )  # fmt: skip
    return school


def test_decided_with_a_date_and_a_name(office: School, browsers: Browsers) -> None:
    manager = browsers("accounts")
    page = manager.get(PAGE)
    assert "2026年度 権限とアクセスの点検" in page and "先生nurse" in page
    assert "この年度に3回使った" in page and "二つめの確認がない" in page
    assert "自分の権限は、自分では決められません" in page
    answer = manager.post(f"{PAGE}/staff-nurse", decision="end", note="異動", year=2026)
    assert answer.headers["location"] == f"{PAGE}?year=2026&only=all&page=1&decided=1#s-staff-nurse"
    page = manager.get(f"{PAGE}?only=to_be_ended&decided=1")
    assert "決定を記録しました" in page and "異動" in page and "先生 accounts" in page
    assert "/portal/accounts/staff-nurse" in page and "先生homeroom" not in page
    assert ">先生nurse <" not in manager.get(f"{PAGE}?only=undecided")
    assert "あてはまるアカウントはありません" in manager.get(f"{PAGE}?only=long_unused")
    assert "先生nurse" in manager.get(f"{PAGE}?only=nonsense&year=1999")
    unfit = manager.post(f"{PAGE}/staff-nurse", decision="perhaps", note="あとで")
    assert unfit.status_code == 422 and "まだ記録していません" in unfit.text
    assert "あとで" in unfit.text
    assert manager.post(f"{PAGE}/staff-accounts", decision="keep").status_code == 404
    assert [row.decision for row in make.rows(office.rooms.database, rights_reviews)] == ["end"]


def test_management_sees_its_own_school(office: School, browsers: Browsers) -> None:
    head = browsers("head")
    page = head.get(PAGE)
    assert "先生nurse" in page and "先生nurse2" not in page and "/portal/accounts/" not in page
    assert head.post(f"{PAGE}/staff-nurse", decision="keep").status_code == 303
    assert head.post(f"{PAGE}/staff-nurse2", decision="keep").status_code == 404


def test_as_a_file(office: School, browsers: Browsers) -> None:
    manager = browsers("accounts")
    manager.post(f"{PAGE}/staff-nurse", decision="keep", note="=danger")
    manager.client.cookies.set("lang", "en")
    text = manager.client.get(f"{PAGE}/file").text.removeprefix("\ufeff")
    rows = {row[1]: row for row in csv.reader(io.StringIO(text))}
    assert rows["Login"][0] == "Name"
    nurse = rows["nurse"]
    assert nurse[3] == "school nurse sakura小学校 2026-04-01– (3)"
    assert nurse[5:10] == ["1", "1", "1", "0", "no"]
    assert nurse[11] == "keep" and nurse[13] == "'=danger"


def test_a_large_board_comes_page_by_page(office: School, browsers: Browsers) -> None:
    for n in range(PER_PAGE):
        make.staff(office.rooms.database, f"more{n:02d}", ("nurse", "school2"))
    manager = browsers("accounts")
    first, second = manager.get(PAGE), manager.get(f"{PAGE}?page=2")
    assert first.count('<section class="card" id="s-') == PER_PAGE
    assert 'rel="next"' in first and 'rel="prev"' not in first and "2ページ" in first
    assert 'rel="prev"' in second and 'rel="next"' not in second
    shown = re.findall(r'id="s-(staff-\w+)"', first + second)
    whole = re.findall(r'id="s-(staff-\w+)"', manager.get(f"{PAGE}?whole=1"))
    assert shown == whole and len(set(shown)) == len(shown) > PER_PAGE
    last = shown[-1]
    answer = manager.post(f"{PAGE}/{last}", decision="keep", year=2026, page=2)
    assert "&page=2&decided=1#" in answer.headers["location"]
    unfit = manager.post(f"{PAGE}/{last}", decision="perhaps", page=2)
    assert unfit.status_code == 422 and "まだ記録していません" in unfit.text
    assert manager.get(f"{PAGE}?page=99").count('rel="prev"') == 1


@pytest.mark.parametrize("login", ["homeroom", "board"])
def test_nobody_else(office: School, browsers: Browsers, login: str) -> None:
    browser = browsers(login)
    assert browser.client.get(PAGE).status_code == 403
    assert browser.client.get(f"{PAGE}/file").status_code == 403
    assert browser.post(f"{PAGE}/staff-nurse", decision="keep").status_code == 403
