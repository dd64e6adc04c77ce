"""docs/playbooks/ says what the files and the format say, in both languages."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from tests.playbooks import table
from warning_service.playbooks.judging import Condition, Judgement, ListRule, Method, Pick
from warning_service.playbooks.model import AlertRule, ItemInUse, Playbook


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_the_table_of_the_twenty_is_that_of_the_files(lang: str) -> None:
    assert table.FILES[lang].read_text("utf-8") == table.written(lang), (
        "python -m tests.playbooks.table writes it anew"
    )
    assert len(table.lines(lang)) == 2 + 20


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_every_part_and_every_way_is_named(lang: str) -> None:
    text = table.FILES[lang].read_text("utf-8")
    named = set(re.findall(r"`\[*([a-z_.]+)\]*`", text))
    parts = set(Playbook.model_fields) - {"name_en", "judgement", "list"}
    assert parts <= named | {"judgement", "list"}
    assert {
        "judgement",
        "list",
        "list.picks",
        "list.second",
        "list.leave_out",
        "list.later",
    } <= named
    ways = {*get_args(Method), *get_args(Pick.model_fields["by"].annotation)}
    ways |= set(get_args(AlertRule.model_fields["kind"].annotation))
    assert ways <= named
    assert set(ItemInUse.model_fields) - {"id"} <= named
    assert set(Judgement.model_fields) <= named
    assert {"cadence", "months", "scope", "budget_share", "budget_places"} <= named
    assert {"new_first", "supported_days"} <= set(ListRule.model_fields) & named
    assert "supported" in Condition.model_fields
