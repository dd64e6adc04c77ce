"""The twenty files themselves: complete, short, honest about what no source says."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

import pytest
from pydantic import ValidationError

from tests.playbooks.city import CATALOGUE, NOT_NO_14, counted, raw
from tests.playbooks.seen import SIZES
from warning_service.catalogue.questionnaires import questionnaire
from warning_service.playbooks.checking.check import check
from warning_service.playbooks.model import Playbook, shipped

COUNTS = {
    "nishinomiya": (20, 14), "aizumisato": (59, 10), "yamagata": (22, 5), "takagi": (28, 15),
    "fukuoka": (26, 11), "toyonaka": (29, 14), "hirakata": (19, None), "tsukuba": (23, 8),
    "izumi": (19, 13), "beppu": (20, 14), "nobeoka": (27, 17), "sado": (41, 18),
    "fuchu_city": (38, None), "fuchu_town": (20, None), "kaisei": (37, None),
}  # fmt: skip
"""Items and basic items, as SYSTEMS.md counts them; None: it does not say."""


def text(playbook: str) -> str:
    return files("warning_service.playbooks").joinpath("shipped", f"{playbook}.toml").read_text()


def test_every_system_has_its_file_and_every_file_its_system() -> None:
    folder = files("warning_service.playbooks").joinpath("shipped")
    assert {f.name.removesuffix(".toml") for f in folder.iterdir()} == set(SIZES)


@pytest.mark.parametrize("playbook", SIZES)
def test_a_file_says_what_a_board_wants_to_know_first(playbook: str) -> None:
    book = shipped(playbook)
    assert book.id == playbook and book.name and book.name_en and book.source
    assert text(playbook).startswith("# "), "it begins with the way of working, in plain words"
    schemes = [book.review.scheme, *(meeting.scheme for meeting in book.meetings)]
    schemes += [book.bands.scheme] if book.bands else []
    assert all(scheme.startswith(f"{playbook}.") for scheme in schemes)
    assert len(text(playbook).split("\n")) < 400
    assert all(len(line) <= 105 for line in text(playbook).split("\n"))


@pytest.mark.parametrize("playbook", SIZES)
def test_the_check_a_board_runs_finds_no_error(playbook: str) -> None:
    found = check(text(playbook))
    assert not found.errors and found.playbook == shipped(playbook)


@pytest.mark.parametrize("playbook", COUNTS)
def test_items_are_as_many_as_the_source_counts(playbook: str) -> None:
    items, basic = counted(playbook)
    wanted, wanted_basic = COUNTS[playbook]
    assert items == wanted
    assert wanted_basic in (None, basic)


@pytest.mark.parametrize("playbook", SIZES)
def test_the_number_behind_an_item_is_its_basic_number(playbook: str) -> None:
    told = re.findall(r'^(?:    \{ )?id = "([a-z_.0-9]+)".*?#\s*(\d+)$', text(playbook), re.M)
    numbers = {item: int(number) for item, number in told}
    for item in raw(playbook)["items"]:
        at = CATALOGUE.get(item["id"], {}).get("basic")
        if item["id"].startswith("q.") and not set(raw(playbook)["questionnaires"]) & NOT_NO_14:
            at = 14
        assert numbers.get(item["id"]) == at, item["id"]


@pytest.mark.parametrize("playbook", SIZES)
def test_what_no_source_gives_is_marked(playbook: str) -> None:
    lines = text(playbook).split("\n")
    outcome = lines.index("[outcome]")
    horizon = next(line for line in lines[outcome:] if line.startswith("horizon_days"))
    assert "example value" in horizon or "months" in horizon
    if shipped(playbook).list.cadence == "none":
        return
    assert any("example value" in line for line in lines if line.startswith("# ")), "of the items"
    supported = next(line for line in lines if line.startswith("supported_days"))
    assert "example value" in supported


def test_all_nineteen_basic_items_are_in_the_catalogue_once() -> None:
    numbers = sorted(item["basic"] for item in CATALOGUE.values() if "basic" in item)
    assert numbers == list(range(1, 20))


def test_every_item_of_the_catalogue_is_used_by_somebody() -> None:
    used = {item["id"] for playbook in SIZES for item in raw(playbook)["items"]}
    used |= {raw(playbook)["outcome"]["item"] for playbook in SIZES}
    assert set(CATALOGUE) <= used


def test_no_playbook_judges_by_what_a_child_is_born_with_or_its_parents_earn() -> None:
    forbidden = re.compile(r"sex|gender|nationality|foreign|income|tax")
    assert not [item for item in CATALOGUE if forbidden.search(item)]


@pytest.mark.parametrize("playbook", SIZES)
def test_questions_that_count_or_alert_are_asked(playbook: str) -> None:
    book = shipped(playbook)
    asked = {q.item for name in book.questionnaires for q in questionnaire(name).questions}
    assert {item.id for item in book.items if item.id.startswith("q.")} <= asked
    if book.questionnaires:
        told = {f"q.{rule.question}" for rule in book.alert_rules if rule.question}
        assert told <= asked | {"q.vanish"}


def test_an_item_looks_back_as_long_as_it_is_fresh_unless_the_file_says_otherwise() -> None:
    items = {item.id: item for item in shipped("takagi").items}
    assert items["absent_days"].window_days == 365, "as the file says"
    assert items["early_leave_days"].window_days == 28, "day by day"
    assert items["temporary_custody"].window_days == CATALOGUE["temporary_custody"]["fresh_days"]
    assert {item.window_days for item in shipped("beppu").items if item.id[:2] == "q."} == {28}


def test_a_file_can_leave_out_what_is_standard_but_not_how_help_is_told() -> None:
    told = raw("izumi")
    book = shipped("izumi")
    assert not {"escalation", "kinds", "follow_up", "alert_rules", "hand_over"} & set(told)
    assert book.escalation.urgent[0].duties == ("homeroom", "nurse")
    assert [rule.urgency for rule in book.alert_rules] == ["urgent"]
    assert book.kinds.consultation.quiet_hours == "ignore"


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('method = "count"', 'method = "guess"'),
        ("n = 20", "n = 0"),
        ('unless = ["basic"]', 'unless = ["nobody"]'),
        ('{ id = "q.supper", at = 2 }', '{ id = "q_supper" }'),
        ('of = "basic"', 'of = "best"'),
        ('scope = "board"', 'scope = "world"'),
    ],
)
def test_a_slip_in_a_file_is_refused(was: str, becomes: str) -> None:
    whole = text("beppu")
    assert whole.count(was) == 1
    Playbook.model_validate(tomllib.loads(whole))
    with pytest.raises(ValidationError):
        Playbook.model_validate(tomllib.loads(whole.replace(was, becomes)))
