"""What a child sees when something is wrong, and which hosts the fast addresses answer to."""

from __future__ import annotations

import pytest

from tests.student_checkin.conftest import Town, check_in
from warning_service.database import StorageUnavailable

HTML = {"accept": "text/html"}


def test_a_childs_error_page_speaks_to_a_child_and_has_the_numbers(town: Town) -> None:
    with town.client(seat=1) as tablet:
        answer = tablet.get("/child/nowhere/secret-of-mine", headers=HTML)
    assert answer.status_code == 404
    assert "この ページは ありません" in answer.text
    assert "tel:" in answer.text
    assert "secret-of-mine" not in answer.text.replace("back=/child/nowhere/secret-of-mine", "")


def test_trouble_is_not_the_childs_fault(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise StorageUnavailable("gone")

    with town.client(seat=1) as tablet:
        monkeypatch.setattr(town.rooms.database, "reading", gone)
        answer = tablet.get("/child", headers=HTML)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "すこし まってね" in answer.text


def test_the_fast_address_answers_to_its_own_host_only(town: Town) -> None:
    with town.client(seat=1) as tablet:
        body = check_in(town.rooms)
        foreign = tablet.post("/child/api/check-ins", json=body, headers={"host": "evil.example"})
        assert foreign.status_code == 400
        assert tablet.post("/child/api/check-ins", json=body).status_code == 202
