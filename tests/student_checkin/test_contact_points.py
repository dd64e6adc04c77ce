"""After asking to talk a child is shown who else there is; a broken playbook hides nothing else."""

from __future__ import annotations

import pytest

from tests import make
from tests.student_checkin.conftest import Town, consultation

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CONSULTATIONS = "/child/api/consultations"


def received(town: Town, *about: str) -> str:
    body = consultation(town.rooms, about=list(about))
    with town.client(seat=1) as tablet:
        assert tablet.post(CONSULTATIONS, json=body).status_code == 202
        answer = tablet.get(f"/child/received/{body['id']}")
        assert answer.status_code == 200
        return answer.text


def test_contact_points_that_fit_what_it_is_about(town: Town) -> None:
    page = received(town, "study")
    assert 'id="points"' in page and "センター" in page and "スクールカウンセラー" not in page
    assert "スクールカウンセラー" in received(town, "friends")
    assert 'id="points"' not in received(town, "life")  # the help lines are for that


def test_a_broken_playbook_hides_the_points_and_nothing_else(town: Town) -> None:
    folder = town.rooms.settings.data_dir / "playbooks"
    folder.mkdir(parents=True)
    (folder / "nishinomiya.toml").write_text("id = ", "utf-8")
    town.rooms.playbooks._by_board.pop(make.BOARD, None)
    page = received(town, "friends")
    assert 'id="points"' not in page and 'id="told"' in page
    with town.client(seat=1) as tablet:
        assert tablet.get("/child/consultation").status_code == 200
