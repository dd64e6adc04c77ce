"""Welfare departments' playbooks, each on a city of its size: the rules of SYSTEMS.md, restated."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from tests.playbooks.plain import Plain, basic, share
from tests.playbooks.seen import SIZES, Seen, look, town
from warning_service.judging.picking.arrays import choose, judged, levels_of
from warning_service.judging.setup import from_playbook
from warning_service.playbooks.model import shipped


def new_first(seen: Seen, children: list[int], scores: list[float]) -> list[int]:
    """The order of places: unsupported before supported, then by score, then by key."""
    busy = seen.plain.supported()
    return sorted(children, key=lambda child: (child in busy, -scores[child], child))


def at_council_or_was(seen: Seen) -> set[int]:
    """Now at 要対協, or at any time before."""
    now = seen.plain.on_record("youtaikyo_case")
    return now | seen.plain.on_record("youtaikyo_past", ever=True)


def test_fukuoka_looks_for_children_of_three_to_six_outside_nursery_by_likeness() -> None:
    seen = look("fukuoka")
    plain = seen.plain
    history = plain.on_record("support_history", ever=True) & set(plain.there)
    weights = {}
    for item in plain.items:
        if item == "support_history":
            continue
        met = plain.met(item) & set(plain.there)
        mine, others = len(met & history), len(met - history)
        odds = (mine + 1) / (len(history) + 2)
        odds /= (others + 1) / (len(plain.there) - len(history) + 2)
        weights[item] = max(0.0, math.log(odds))
    whole = sum(weights.values())
    weights = {item: round(weight / whole, 9) for item, weight in weights.items()}
    like = [0.0] * plain.children
    for item in sorted(weights):
        for child in plain.met(item) if weights[item] else ():
            like[child] += weights[item]
    outside = plain.on_record("nursery_use")
    scope = [c for c in plain.there if c not in outside and -2 <= plain.grade[c] <= 0]
    like = [round(value, 9) for value in like]
    wanted = [c for c in plain.best(like, scope, share(len(scope), 16)) if like[c] > 0]
    assert set(seen.listed) == set(wanted)
    assert 1000 < len(scope) < 10_000 and 100 < len(wanted) < 1_500
    found = judged(seen.setup, seen.grown.city).found
    assert weights["abuse_report"] > 0 and "support_history" not in found
    first = seen.listed[0]
    behind = {item for item, part in found.items() if part[first] > 0}
    assert behind == {item for item in weights if weights[item] and first in plain.met(item)}


def test_toyonaka_weighs_points_and_puts_supported_children_behind_all_others() -> None:
    seen = look("toyonaka")
    points = seen.plain.points()
    assert seen.plain.items["dv_history"]["points"] == 5
    assert seen.plain.items["youtaikyo_case"]["points"] == 3
    high = [child for child in seen.plain.there if points[child] >= 10]
    assert seen.listed == new_first(seen, high, points)
    assert set(high) & seen.plain.supported()
    assert shipped("toyonaka").sharing.welfare_sees == ("q.*",)


def test_hirakata_lists_who_is_over_the_set_value_of_a_risk() -> None:
    seen = look("hirakata")
    over: set[int] = set()
    for kind in seen.plain.file["types"]:
        points = seen.plain.points(kind["id"])
        mine = {child for child in seen.plain.there if points[child] >= kind["at"]}
        assert mine, f"somebody is over the mark of {kind['id']}"
        over |= mine
    assert seen.listed == new_first(seen, sorted(over), seen.plain.points())


def test_tsukuba_lists_the_top_tenth_of_each_age_with_what_raises_and_what_lowers() -> None:
    seen = look("tsukuba")
    odds = seen.plain.log_odds()
    wanted: set[int] = set()
    for age in sorted(set(seen.plain.grade)):
        here = [child for child in seen.plain.there if seen.plain.grade[child] == age]
        wanted |= set(seen.plain.best(odds, here, share(len(here), 10)))
    assert set(seen.listed) == wanted
    assert len(set(seen.plain.grade)) == 15
    found = judged(seen.setup, seen.grown.city).found
    lowers = {item for item, part in found.items() if part.min() < 0}
    assert lowers == {"after_school_care", "postnatal_care"}
    assert any(
        found["after_school_care"][child] < 0 < found["absent_days"][child] for child in wanted
    )
    assert [c.id for c in shipped("tsukuba").review.classes] == ["a", "b", "c", "d"]


def test_izumi_lists_exactly_two_hundred_and_nobody_now_at_the_council() -> None:
    seen = look("izumi")
    at_council = seen.plain.on_record("youtaikyo_case")
    points = seen.plain.points()
    scope = [child for child in seen.plain.there if child not in at_council]
    wanted = seen.plain.best(points, scope, 200)
    assert len(seen.listed) == 200 and set(seen.listed) == set(wanted)
    assert not set(seen.listed) & at_council
    assert len(set(seen.plain.best(points, seen.plain.there, 200)) & at_council) > 0


def test_beppu_lists_twenty_by_basic_items_and_ten_more_by_the_others() -> None:
    seen = look("beppu")
    by_basic, by_other = seen.plain.counts(of=basic), seen.plain.counts(of=lambda i: not basic(i))
    every = seen.plain.counts()
    first = sorted(seen.plain.there, key=lambda c: (-by_basic[c], -every[c], c))[:20]
    rest = [child for child in seen.plain.there if child not in first]
    more = sorted(rest, key=lambda c: (-by_other[c], -every[c], c))[:10]
    assert {c for c in seen.listed if "basic" in seen.picks[c]} == set(first)
    assert {c for c in seen.listed if "other" in seen.picks[c]} == set(more)
    assert len(seen.listed) == 30


def test_nobeoka_lists_level_a_of_a_type_or_four_basic_items() -> None:
    seen = look("nobeoka")
    level_a: set[int] = set()
    for kind in seen.plain.file["types"]:
        points = seen.plain.points(kind["id"])
        some = [child for child in seen.plain.there if points[child] > 0]
        level_a |= set(seen.plain.best(points, some, share(len(seen.plain.there), 2)))
    met = seen.plain.counts(of=basic)
    four = {child for child in seen.plain.there if met[child] >= 4}
    assert {c for c in seen.listed if "level_a" in seen.picks[c]} == level_a
    worst = levels_of(seen.setup, seen.grown.city)
    assert {child for child in seen.plain.there if worst[child] == 0} == level_a
    assert {c for c in seen.listed if "four_basic" in seen.picks[c]} == four
    assert four - level_a and level_a - four, "each rule finds children the other does not"
    assert len(seen.plain.file["types"]) == 6


def test_sado_lists_fifty_points_and_more_and_known_cases_later() -> None:
    seen = look("sado")
    points = seen.plain.points()
    fifty = [child for child in seen.plain.there if points[child] >= 50]
    known = seen.plain.on_record("youtaikyo_case") | seen.plain.on_record(
        "youtaikyo_past", ever=True
    )
    new = [child for child in fifty if child not in known]
    old = [child for child in fifty if child in known]
    assert new and old
    assert seen.listed == new_first(seen, new, points) + new_first(seen, old, points)
    assert {"chain_generations", "chain_households"} <= set(seen.plain.items)


def test_sado_2023_has_its_points_on_trial() -> None:
    seen = look("sado_2023")
    points = seen.plain.points()
    listed = [child for child in seen.plain.there if points[child] >= 40]
    assert seen.listed == new_first(seen, listed, points) and listed
    dropped_later = {"nursery_fee_unpaid", "first_consult_age", "protected_address"}
    assert dropped_later <= set(seen.plain.items)
    assert not dropped_later & {use.spec.id for use in from_playbook(shipped("sado")).uses}


def test_fuchu_city_has_a_mark_for_each_age_leaves_the_council_out_and_adds_siblings() -> None:
    seen = look("fuchu_city")
    risk = seen.plain.probability()
    record = seen.plain.on_record("youtaikyo_case", ever=True)
    record |= seen.plain.on_record("youtaikyo_past", ever=True)
    free = [child for child in seen.plain.there if child not in record]
    marks = {child: 0.3 if seen.plain.grade[child] <= 0 else 0.4 for child in free}
    high = {child for child in free if risk[child] >= marks[child]}
    added = (seen.plain.siblings(high) - high) & set(free)
    assert set(seen.listed) == high | added
    assert not set(seen.listed) & record
    assert any(risk[child] < 0.1 for child in added), "also with a low score"
    assert any(0.3 <= risk[child] < 0.4 and seen.plain.grade[child] >= 1 for child in free)
    assert {c for c in seen.listed if seen.picks[c] == ("siblings",)} == added


def test_fuchu_town_screens_a_second_time_and_puts_a_history_later() -> None:
    seen = look("fuchu_town")
    risk = seen.plain.probability()
    many = seen.plain.met("late_days", 4, 28)
    many |= seen.plain.met("dental_untreated", 3, 400) | seen.plain.met("nurse_visits", 5, 28)
    high = {child for child in seen.plain.there if risk[child] >= 0.15}
    known = seen.plain.on_record("youtaikyo_case") | seen.plain.on_record(
        "youtaikyo_past", ever=True
    )
    odds = seen.plain.log_odds()
    first = new_first(seen, sorted((high & many) - known), odds)
    later = new_first(seen, sorted(high & many & known), odds)
    assert seen.listed == first + later and first and later
    assert len(high & many) < len(high), "the second screening drops some"


def test_kaisei_counts_a_point_an_item_and_has_five_places_for_those_not_yet_supported() -> None:
    seen = look("kaisei")
    at_risk: Counter[int] = Counter()
    for kind in seen.plain.file["types"]:
        met = seen.plain.counts(kind["id"])
        at_risk.update(child for child in seen.plain.there if met[child] >= kind["at"])
    every = seen.plain.counts()
    known = seen.plain.supported() | seen.plain.judged()
    new = new_first(seen, [child for child in at_risk if child not in known], every)
    old = new_first(seen, [child for child in at_risk if child in known], every)
    assert len(new) > 5 and seen.grown.city.schools is not None
    at = seen.grown.city.schools.tolist()
    firsts = [child for n, child in enumerate(new) if at[child] not in {at[c] for c in new[:n]}]
    assert seen.listed == firsts[:5] != new[:5], "five institutions, each with its first child"
    assert old
    by_count = sorted(at_risk, key=lambda child: (-every[child], child))[:20]
    assert set(by_count) & known, "some with many items were supported or judged already"
    assert not set(seen.listed) & known
    assert len(seen.plain.file["types"]) == 6


def test_lbbd_sees_whole_households_within_its_budget_and_in_colours() -> None:
    seen = look("lbbd")
    risk = seen.plain.probability()
    high = [child for child in seen.plain.there if risk[child] >= 0.2]
    order = new_first(seen, high, seen.plain.log_odds())
    places = max(5, share(len(seen.plain.there), 2))
    home = seen.plain.siblings(high) - set(high)
    assert home and len(high) + len(home) <= places, "the budget holds whole households here"
    assert seen.listed[: len(high)] == order and set(seen.listed) == set(high) | home
    colours = levels_of(seen.setup, seen.grown.city).tolist()
    for child in seen.plain.there:
        assert colours[child] == (0 if risk[child] >= 0.4 else 1 if risk[child] >= 0.2 else 2)
    assert shipped("lbbd").outcome.horizon_days == 270


@pytest.mark.parametrize("playbook", ["takarazuka", "yuki", "child_link"])
def test_where_nobody_is_scored_there_is_no_list(playbook: str) -> None:
    grown = town(playbook)
    assert grown.city.children == SIZES[playbook][0]
    setup = from_playbook(shipped(playbook))
    with pytest.raises(ValueError, match="scores nobody"):
        choose(setup, grown.city)
    said = judged(setup, grown.city)
    assert not said.found and not said.score.any()
    assert shipped(playbook).list.cadence == "none" and not shipped(playbook).list.picks


def test_the_plain_restatement_can_be_wrong() -> None:
    """A mark moved by a hair changes what it says, so agreeing with it means something."""
    seen = look("sado")
    shifted = Plain(seen.grown)
    shifted.items["absent_days"]["points"] = 11
    assert shifted.points() != seen.plain.points()
