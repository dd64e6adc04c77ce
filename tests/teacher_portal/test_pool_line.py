"""A list in which other boards' numbers had a part says so, and how much they count."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import update

from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.judging.tables import warning_lists


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_list_says_how_much_comes_from_other_boards(school: School, browsers: Browsers) -> None:
    list_id = school.warning_list(school.children["sakura-1"][:2])
    nurse, page = browsers("nurse"), f"/portal/lists/{list_id}"
    assert "教育委員会のモデル" not in nurse.get(page)
    why = {
        "reason": "pool_measured_no_worse", "hits": 3, "pool_boards": 3, "pool_labels": 12_345,
        "pool_made_on": "2026-03-01", "own_share": 0.125,
    }  # fmt: skip
    with school.rooms.database.writing() as conn:
        conn.execute(
            update(warning_lists)
            .where(warning_lists.c.id == list_id)
            .values(judge="model", judge_why=json.dumps(why))
        )
    text = nurse.get(page)
    for words in (
        "ほかの3つの教育委員会",
        "のべ12,345件",
        "2026年3月1日(日)",
        "重みは12%",
        "ほかの教育委員会での測定",
    ):
        assert words in text, words
    nurse.client.cookies.set("lang", "en")
    assert "Numbers of 3 other boards" in nurse.get(page)
