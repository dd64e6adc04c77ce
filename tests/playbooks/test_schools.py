"""Education boards' playbooks, each on a city of its size: the rules of SYSTEMS.md, restated."""

from __future__ import annotations

import numpy as np

from tests.playbooks.city import CATALOGUE
from tests.playbooks.plain import share
from tests.playbooks.seen import Seen, look
from warning_service.judging.picking.arrays import judged, levels_by_type_of, levels_of
from warning_service.playbooks.model import shipped


def rolls(seen: Seen) -> dict[int, list[int]]:
    """The children of each school, by the school's number."""
    schools = seen.grown.city.schools
    assert schools is not None
    where: dict[int, list[int]] = {}
    for child in seen.plain.there:
        where.setdefault(int(schools[child]), []).append(child)
    return dict(sorted(where.items()))


def highest_of_each_school(seen: Seen, percent: int, least: int) -> list[int]:
    """So many of a hundred, at least `least`; of twice as many the unsupported come first."""
    points, supported = seen.plain.points(), seen.plain.supported()
    wanted: list[int] = []
    for roll in rolls(seen).values():
        places = max(least, share(len(roll), percent))
        pool = seen.plain.best(points, roll, 2 * places)
        new = [child for child in pool if child not in supported]
        known = [child for child in pool if child in supported]
        wanted += (new + known)[:places]
    return wanted


def test_nishinomiya_lists_the_highest_points_of_each_school_new_children_first() -> None:
    seen = look("nishinomiya")
    assert len(rolls(seen)) == 62
    assert seen.listed == highest_of_each_school(seen, 3, 3)
    points = seen.plain.points()
    by_points = {c for roll in rolls(seen).values() for c in seen.plain.best(points, roll, 30)}
    assert by_points & seen.plain.supported() and not set(seen.listed) & seen.plain.supported()


def test_aizumisato_lists_a_fifth_screens_everybody_and_hides_what_is_weakly_related() -> None:
    seen = look("aizumisato")
    assert seen.listed == highest_of_each_school(seen, 20, 3)
    points = seen.plain.points()
    levels = levels_of(seen.setup, seen.grown.city).tolist()
    for roll in rolls(seen).values():
        by_level = [[points[c] for c in roll if levels[c] == level] for level in range(3)]
        assert len(by_level[0]) == share(len(roll), 5)
        assert len(by_level[0]) + len(by_level[1]) == share(len(roll), 20)
        assert min(by_level[0]) >= max(by_level[1]) and min(by_level[1]) >= max(by_level[2])
    book = shipped("aizumisato")
    assert book.review.of == "roll"
    assert [direction.id for direction in book.meetings[0].directions] == ["A", "B", "C"]
    hidden = [use for use in seen.setup.uses if use.hidden]
    assert {use.shown for use in hidden} == {"score_only"} and len(hidden) >= 5
    found = judged(seen.setup, seen.grown.city).found
    assert all(found[use.spec.id].any() for use in hidden), "they feed the score all the same"


def test_yamagata_gives_a_to_g_for_each_child_and_type_and_lists_who_has_an_a() -> None:
    seen = look("yamagata")
    said = judged(seen.setup, seen.grown.city)
    types = [one["id"] for one in seen.plain.file["types"]]
    assert types == ["futoko", "bullying", "growth", "conduct"]
    marks = {band["id"]: band["at"] for band in seen.plain.file["bands"]["levels"]}
    assert list(marks) == list("ABCDEFG")
    by_type = levels_by_type_of(seen.setup, seen.grown.city)
    with_an_a: set[int] = set()
    there = seen.plain.there
    for number, kind in enumerate(types):
        points = seen.plain.points(kind)
        assert said.by_type[number].tolist() == points
        assert seen.plain.file["types"][number]["at"] == marks["A"]
        letters = [next(m for m, at in marks.items() if p >= at) for p in points]
        assert [list("ABCDEFG")[at] for at in by_type[number, there]] == [
            letters[child] for child in there
        ]
        assert set(letters) >= set("ADEFG")
        with_an_a |= {child for child in there if letters[child] == "A"}
    assert sorted(seen.listed) == sorted(
        child for school in rolls(seen).values() for child in school if child in with_an_a
    )
    assert 20 < len(with_an_a) < 300
    worst = levels_of(seen.setup, seen.grown.city)
    assert {child for child in there if worst[child] == 0} == with_an_a
    assert all(use.hidden for use in seen.setup.uses), "only the result is joined to a name"


def test_takagi_adds_for_a_sibling_at_high_risk_and_splits_the_score_in_two() -> None:
    seen = look("takagi")
    own = seen.plain.points()
    high = {child for child in seen.plain.there if own[child] >= 7}
    homes: dict[int, set[int]] = {}
    for child in high:
        homes.setdefault(seen.plain.home[child], set()).add(child)
    whole = [
        own[child] + (2 if homes.get(seen.plain.home[child], set()) - {child} else 0)
        for child in range(seen.plain.children)
    ]
    listed = [child for child in seen.plain.there if whole[child] >= 7]
    assert sorted(seen.listed) == listed
    assert 10 <= len(listed) <= 60, "43 of 576 were discussed"
    said = judged(seen.setup, seen.grown.city)
    assert said.score[listed].tolist() == [whole[child] for child in listed]
    by_sibling = [child for child in listed if own[child] < 7]
    assert by_sibling, "somebody is listed for a sibling's sake alone"
    school = sum(p for item, p in said.found.items() if CATALOGUE[item]["department"] == "school")
    other = sum(p for item, p in said.found.items() if CATALOGUE[item]["department"] != "school")
    assert np.asarray(school).max() > 0 and np.asarray(other).max() > 0
    assert np.array_equal(np.asarray(school) + np.asarray(other) + said.sibling, said.score)


def test_support_is_agreed_where_it_is_agreed_and_not_a_meeting_earlier() -> None:
    """Else a child one only thinks of would stand as "already supported" on the next list."""
    yamagata, aizumisato = shipped("yamagata"), shipped("aizumisato")
    assert yamagata.support_classes == {("yamagata.committee", "A"), ("yamagata.targets", "1")}
    assert aizumisato.support_classes == {("aizumisato.team", "1")}
