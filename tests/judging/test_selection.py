"""Who gets a place: the vectorised choice against the rules read out one child at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warning_service.judging.picking.selection import Chosen, Scope, levels, select
from warning_service.playbooks.judging import Bands, Difficulty, ListRule, Pick

TYPES = (
    Difficulty(id="a", label="x", label_en="x", at=2.0),
    Difficulty(id="b", label="x", label_en="x"),
)
Child = dict[str, Any]

child = st.fixed_dictionaries(
    {
        "score": st.integers(0, 6),
        "a": st.integers(0, 4), "b": st.integers(0, 4),
        "grade": st.integers(-2, 3), "basic": st.integers(0, 4), "other": st.integers(0, 4),
        "home": st.integers(-1, 4),
        "supported": st.booleans(), "out": st.booleans(), "later": st.booleans(),
        "passes": st.booleans(),
    }
)  # fmt: skip


@st.composite
def picks(draw: st.DrawFn) -> tuple[Pick, ...]:
    found: list[Pick] = []
    for at in range(draw(st.integers(1, 4))):
        by = draw(
            st.sampled_from(
                ["top", "top_share", "at_least", "type", "items", "top_items", "siblings"]
            )
        )
        if by == "siblings" and at == 0:
            by = "top"
        numbers: dict[str, Any] = {
            "top": {"n": draw(st.integers(1, 5))},
            "top_share": {"share": draw(st.sampled_from([0.1, 0.2, 0.25, 1 / 3, 0.5, 1.0]))},
            "at_least": {"at": float(draw(st.integers(0, 6)))},
            "items": {"n": draw(st.integers(1, 5))},
            "top_items": {"n": draw(st.integers(1, 5))},
        }.get(by, {})
        if by in ("top", "top_share", "at_least"):
            numbers["each"] = draw(st.sampled_from(["scope", "grade", "type"]))
        if by in ("items", "top_items"):
            numbers["of"] = draw(st.sampled_from(["all", "basic", "other"]))
        if by != "siblings":
            earlier = [p.id for p in found if p.by != "siblings"]
            numbers["unless"] = tuple(one for one in earlier if draw(st.booleans()))
        if draw(st.booleans()):
            low = draw(st.integers(-2, 3))
            numbers["grades"] = (low, low + draw(st.integers(0, 3)))
        found.append(Pick(id=f"p{at}", by=by, label="x", label_en="x", **numbers))
    return tuple(found)


def rule(**more: Any) -> ListRule:
    held = {"cadence": "first_school_day_of_month", "new_first": False, "supported_days": 60}
    return ListRule(**(held | more))


def scope(children: Sequence[Child]) -> Scope:
    def column(name: str, kind: Any) -> Any:
        return np.array([c[name] for c in children], dtype=kind)

    score = column("score", float)
    return Scope(
        scores=score, marks=score, nothing=score <= 0, types=TYPES,
        by_type=np.array([column("a", float), column("b", float)]).reshape(2, len(children)),
        grades=column("grade", np.int64), basic=column("basic", np.int64),
        other=column("other", np.int64), households=column("home", np.int64),
        supported=column("supported", bool), left_out=column("out", bool),
        later=column("later", bool), screened=column("passes", bool),
    )  # fmt: skip


# -- the rules of playbooks/judging.py, one child at a time ----


def _first(children: Sequence[Child], rows: list[int], value: Any, n: int) -> set[int]:
    return set(sorted(rows, key=lambda r: (-value(children[r]), r))[:n])


def _take(children: Sequence[Child], pick: Pick, taken: dict[str, set[int]]) -> set[int]:
    base = [r for r, c in enumerate(children) if not c["out"]]
    if pick.grades:
        base = [r for r in base if pick.grades[0] <= children[r]["grade"] <= pick.grades[1]]
    free = [r for r in base if not any(r in taken[one] for one in pick.unless)]
    if pick.by == "type":
        return {r for r in free if children[r]["a"] >= 2}
    if pick.by in ("items", "top_items"):
        names = {"all": ("basic", "other")}.get(pick.of, (pick.of,))

        def count(c: Child) -> int:
            return sum(c[name] for name in names)

        assert pick.n is not None
        if pick.by == "items":
            return {r for r in free if count(children[r]) >= pick.n}
        some = [r for r in free if count(children[r])]
        return set(
            sorted(some, key=lambda r: (-count(children[r]), -children[r]["score"], r))[: pick.n]
        )

    def one(rows: list[int], of: int, value: Any) -> set[int]:
        if pick.at is not None:
            return {r for r in rows if value(children[r]) >= pick.at}
        share = None if pick.share is None else Fraction(str(pick.share))
        n = pick.n if share is None else ceil(share * of)
        return _first(children, [r for r in rows if value(children[r]) > 0], value, n or 0)

    if pick.each == "type":
        return one(free, len(base), lambda c: c["a"]) | one(free, len(base), lambda c: c["b"])
    if pick.each == "grade":
        found: set[int] = set()
        for grade in {children[r]["grade"] for r in base}:
            here = [r for r in free if children[r]["grade"] == grade]
            of = sum(children[r]["grade"] == grade for r in base)
            found |= one(here, of, lambda c: c["score"])
        return found
    return one(free, len(base), lambda c: c["score"])


def by_hand(children: Sequence[Child], asked: ListRule, budget: int) -> list[int]:
    taken: dict[str, set[int]] = {}
    for pick in asked.picks:
        if pick.by != "siblings":
            taken[pick.id] = _take(children, pick, taken)
    candidates = set().union(*taken.values())
    if asked.second:
        candidates = {r for r in candidates if children[r]["passes"]}

    def place(r: int) -> tuple[Any, ...]:
        c = children[r]
        return (asked.new_first and c["supported"], -c["score"], r)

    listed: list[int] = []
    for late in (False, True):
        own = sorted((r for r in candidates if children[r]["later"] == late), key=place)
        listed += own[: budget - len(listed)]
        for pick in asked.picks:
            if pick.by != "siblings":
                continue
            homes: list[int] = []
            for r in listed:
                home = children[r]["home"]
                if r in candidates and home >= 0 and home not in homes:
                    homes.append(home)
            low, high = pick.grades or (-9, 9)
            found = [
                r for r, c in enumerate(children)
                if c["home"] in homes and not c["out"] and low <= c["grade"] <= high
                and r not in listed and r not in candidates and (late or not c["later"])
            ]  # fmt: skip
            found.sort(key=lambda r: (homes.index(children[r]["home"]), place(r)))
            listed += found[: budget - len(listed)]
    return listed


SECOND = {"least": 1, "items": [{"id": "x", "at": 1}]}


@settings(max_examples=150, deadline=None)
@given(st.lists(child, max_size=14), picks(), st.integers(0, 15), st.booleans(), st.booleans())
def test_the_choice_is_the_one_by_hand(
    children: list[Child], chosen: tuple[Pick, ...], budget: int, new_first: bool, second: bool
) -> None:
    asked = rule(picks=chosen, new_first=new_first, second=SECOND if second else None)
    held = scope(children)
    made = select(held, asked, budget)
    rows = made.rows.tolist()
    assert rows == by_hand(children, asked, budget)
    assert len(rows) == len(set(rows)) <= budget, "the budget is never exceeded"
    assert not any(children[r]["out"] for r in rows), "who is left out is never listed"
    assert all(made.picks), "everybody has a reason"
    free = select(held, asked, None).rows.tolist()
    assert free == select(held, asked, len(children)).rows.tolist()
    if budget >= len(free):
        assert rows == free


@given(st.lists(child, max_size=14), st.integers(0, 10), st.booleans())
def test_without_picks_later_children_fill_what_is_left(
    children: list[Child], budget: int, new_first: bool
) -> None:
    asked = rule(budget_places=5, new_first=new_first)
    rows = select(scope(children), asked, budget).rows.tolist()
    able = [r for r, c in enumerate(children) if not c["out"]]
    assert len(rows) == min(budget, len(able)) and set(rows) <= set(able)
    waits = [children[r]["later"] for r in rows]
    assert waits == sorted(waits)
    if any(waits):
        assert all(r in rows for r in able if not children[r]["later"])


def test_nobody_is_chosen_by_nothing() -> None:
    with pytest.raises(ValueError, match="budget"):
        select(scope([]), rule(budget_places=1), None)
    zeros = Scope(scores=np.zeros(3), nothing=np.ones(3, dtype=bool))
    top = Pick(id="t", by="top", n=2, label="x", label_en="x")
    assert select(zeros, rule(picks=(top,)), None) == Chosen(pytest.approx([]), [], [])


@given(
    st.lists(child, max_size=14),
    st.integers(1, 15),
    st.lists(st.integers(0, 3), min_size=14, max_size=14),
    st.booleans(),
)
def test_spread_over_schools_nobody_has_a_second_place_before_all_had_a_first(
    children: list[Child], budget: int, drawn: list[int], new_first: bool
) -> None:
    top = Pick(id="t", by="at_least", at=1, label="x", label_en="x")
    asked = rule(picks=(top,), new_first=new_first, scope="board", spread=True)
    schools = np.array(drawn[: len(children)], dtype=np.int64)
    rows = select(replace(scope(children), schools=schools), asked, budget).rows.tolist()
    left = [r for r, c in enumerate(children) if c["score"] >= 1 and not c["out"]]
    waits = [(c["later"], new_first and c["supported"]) for c in children]
    by_hand: list[int] = []
    while left and len(by_hand) < budget:
        late = min(waits[r][0] for r in left)
        had = Counter(drawn[r] for r in by_hand if waits[r][0] == late)
        best = min(left, key=lambda r: (*waits[r], had[drawn[r]], -children[r]["score"], r))
        by_hand.append(best)
        left.remove(best)
    assert rows == by_hand
    one_school = select(scope(children), asked, budget).rows.tolist()
    asked = asked.model_copy(update={"spread": False})
    assert one_school == select(scope(children), asked, budget).rows.tolist()


def test_types_say_by_which_a_child_was_taken() -> None:
    top = Pick(id="t", by="top", n=1, each="type", label="x", label_en="x")
    reached = Pick(id="r", by="type", label="x", label_en="x")
    base = {
        "score": 1, "grade": 1, "basic": 0, "other": 0, "home": -1,
        "supported": False, "out": False, "later": False, "passes": True,
    }  # fmt: skip
    children = [{**base, "a": 3, "b": 0}, {**base, "a": 2, "b": 4}, {**base, "a": 1, "b": 1}]
    made = select(scope(children), rule(picks=(top, reached)), None)
    assert made.rows.tolist() == [0, 1]
    assert made.types == [("a",), ("b", "a")]
    assert made.picks == [("t", "r"), ("t", "r")]


def bands(*marks: dict[str, float]) -> Bands:
    held = [{"id": f"l{n}", "label": "x", "label_en": "x", **mark} for n, mark in enumerate(marks)]
    return Bands.model_validate(
        {"scheme": "s", "scheme_label": "x", "scheme_label_en": "x", "levels": held}
    )


@given(st.lists(child, max_size=20))
def test_levels_by_marks_and_by_shares(children: list[Child]) -> None:
    held = scope(children)
    by_marks = levels(bands({"at": 5}, {"at": 2}, {"at": 1}), held).tolist()
    assert by_marks == [0 if c["score"] >= 5 else 1 if c["score"] >= 2 else 2 for c in children]
    by_share = levels(bands({"share": 0.1}, {"share": 0.5}, {"share": 1.0}), held)
    ranked = [r for r, c in enumerate(children) if not c["out"]]
    first = _first(children, ranked, lambda c: c["score"], ceil(Fraction(len(ranked), 10)))
    scored = {r for r in first if children[r]["score"] > 0}
    assert set(np.flatnonzero(by_share == 0).tolist()) == scored
    worse = sorted(ranked, key=lambda r: (-children[r]["score"], r))
    found = by_share[worse].tolist()
    assert found == sorted(found), "nobody with a higher score has a milder level"
