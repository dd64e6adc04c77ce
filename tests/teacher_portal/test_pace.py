"""A script with somebody's session is slowed down, with a page that says so."""

from __future__ import annotations

import pytest

from tests.teacher_portal.conftest import HTML, Browsers
from tests.teacher_portal.school import School
from warning_service.access import web
from warning_service.access.pace import Bucket


def test_copying_page_after_page_is_slowed_down(
    school: School, browsers: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "SESSION", Bucket(20, 0.01))
    script, person = browsers("homeroom"), browsers("nurse")
    answers = [script.client.get("/portal/alerts", headers=HTML) for _ in range(25)]
    assert [answer.status_code for answer in answers[:10]] == [200] * 10
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert "待" in answers[-1].text
    assert person.get("/portal/alerts")


def test_a_city_behind_one_address_comes_in(
    school: School, browsers: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "ADDRESS", Bucket(5, 0.01))
    tablets, knocker = browsers(), browsers()
    doors = [tablets.client.get("/child/sign-in/SAKURA-1", headers=HTML) for _ in range(30)]
    assert {answer.status_code for answer in doors} == {200}
    knocks = [knocker.client.get("/portal/sign-in", headers=HTML) for _ in range(10)]
    assert knocks[-1].status_code == 429
    assert school.classes
