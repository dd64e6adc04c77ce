"""The playbook's own methods: what each item gives, per type, with siblings, by likeness."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from warning_service.judging import alike, rules
from warning_service.judging.picking import arrays, siblings
from warning_service.judging.picking.arrays import City
from warning_service.judging.rules import Flat, Window, judge_windows
from warning_service.judging.setup import Setup, from_playbook
from warning_service.playbooks.judging import Sibling
from warning_service.playbooks.model import Playbook, shipped

DAY = 740_000


def playbook(**parts: Any) -> Playbook:
    """Nishinomiya's file with another judging."""
    whole = shipped("nishinomiya").model_dump()
    whole["list"] = {
        "cadence": "first_school_day_of_month", "new_first": False, "supported_days": 60,
        "budget_places": 3,
    }  # fmt: skip
    for name, part in parts.items():
        whole[name] = {**whole["list"], **part} if name == "list" else part
    return Playbook.model_validate(whole)


ITEMS = [
    {"id": "absent_days", "points": 3, "at": 3, "types": ["school"]},
    {"id": "late_days", "points": 2, "at": 3},
    {"id": "star_norms", "points": 0.1, "at": 10, "window_days": 400, "types": ["home"]},
    {"id": "dental_untreated", "points": 0.2, "at": 2, "window_days": 400, "types": ["home"]},
    {"id": "youtaikyo_case", "points": 5, "at": 1, "window_days": 400, "types": ["home"]},
]
TYPES = [
    {"id": "school", "label": "名", "label_en": "x", "at": 5},
    {"id": "home", "label": "名", "label_en": "x"},
]
N = len(ITEMS)


def setup(method: str = "points", **judgement: Any) -> Setup:
    items = [dict(item) for item in ITEMS]
    if method == "formula":
        for item, coefficient in zip(items, (0.5, -0.25, 0.01, 0.0, 2.0), strict=True):
            item["coefficient"] = coefficient
    return from_playbook(
        playbook(items=items, types=TYPES, judgement={"method": method, **judgement})
    )


def windows(of: Setup, values: list[list[float | None]]) -> dict[str, Window]:
    """Children (rows) with values of the items in ITEMS's order; None: nothing known."""
    found = {}
    for at, item in enumerate(ITEMS):
        column = [row[at] for row in values]
        found[str(item["id"])] = Window(
            np.array([0.0 if v is None else v for v in column]),
            np.array([v is not None for v in column], dtype=bool),
        )
    return found


row = st.lists(st.none() | st.integers(0, 12).map(float), min_size=N, max_size=N)


@given(st.lists(row, min_size=1, max_size=8), st.sampled_from(["points", "count"]))
def test_scores_are_their_parts(values: list[list[float | None]], method: str) -> None:
    of = setup(method)
    held = judge_windows(of, windows(of, values), len(values))
    for child in range(len(values)):
        parts = {item: float(given_[child]) for item, given_ in held.found.items()}
        assert math.isclose(held.score[child], math.fsum(parts.values()), abs_tol=1e-8)
        school = parts["absent_days"] + parts["late_days"]
        assert math.isclose(held.by_type[0][child], school, abs_tol=1e-8)
        assert math.isclose(
            held.by_type[1][child], math.fsum(parts.values()) - parts["absent_days"], abs_tol=1e-8
        )
        reached = held.basic[child] + held.other[child]
        assert reached == sum(part > 0 for part in parts.values())


@given(row, st.integers(0, N - 1), st.sampled_from(["points", "count", "similarity"]))
def test_a_worse_value_never_lowers_a_score(
    before: list[float | None], at: int, method: str
) -> None:
    more = {"similar_to": {"supported": True, "label": "名", "label_en": "x"}}
    of = setup(method, **(more if method == "similarity" else {}))
    low = ITEMS[at]["id"] == "star_norms"
    now = before[at]
    worse = list(before)
    worse[at] = (12.0 if low else 0.0) if now is None else now + (-1.0 if low else 1.0)
    held = judge_windows(of, windows(of, [before, worse]), 2)
    assert held.score[1] >= held.score[0]
    assert (held.by_type[:, 1] >= held.by_type[:, 0]).all()
    assert (held.basic + held.other)[1] >= (held.basic + held.other)[0]


def test_tenths_add_up_to_the_mark() -> None:
    of = setup()
    held = judge_windows(of, windows(of, [[0.0, 0.0, 5.0, 2.0, 0.0]]), 1)
    assert held.found["star_norms"][0] + held.found["dental_untreated"][0] != 0.3
    assert held.score[0] == 0.3


@given(st.lists(row, min_size=1, max_size=6), st.floats(-3, 1))
def test_a_formula_is_a_probability_with_parts_that_lower(
    values: list[list[float | None]], intercept: float
) -> None:
    of = setup("formula", intercept=intercept)
    held = judge_windows(of, windows(of, values), len(values))
    assert "dental_untreated" not in held.found, "no coefficient, no part"
    for child, one in enumerate(values):
        absent, late, weight, _, case = (v or 0.0 for v in one)
        log_odds = intercept + 0.5 * absent - 0.25 * late + 0.01 * weight
        log_odds += 2.0 if case else 0.0  # a flag is true once, however often it was told
        assert math.isclose(held.total[child], log_odds, abs_tol=1e-9)
        assert math.isclose(held.score[child], 1 / (1 + math.exp(-log_odds)), abs_tol=1e-8)
        assert held.found["late_days"][child] <= 0
        own = intercept + 0.5 * absent - 0.25 * late
        assert math.isclose(held.by_type[0][child], 1 / (1 + math.exp(-own)), abs_tol=1e-8)


def test_likeness_weighs_what_sets_the_supported_apart() -> None:
    condition = {"item": "youtaikyo_case", "state": "ever", "label": "名", "label_en": "x"}
    of = setup("similarity", similar_to=condition)
    with_history = [[4.0, 0.0, 50.0, 0.0, 1.0]] * 6
    others = [[0.0, 4.0, 50.0, 0.0, 0.0]] * 10 + [[4.0, 0.0, 5.0, 0.0, 0.0]]
    held = windows(of, [*with_history, *others])
    history = np.array([True] * 6 + [False] * 11)
    weights = alike.learn(of, held, history)
    assert "youtaikyo_case" not in weights, "the history itself is no likeness"
    assert math.isclose(sum(weights.values()), 1.0, abs_tol=1e-8)
    assert weights["absent_days"] > 0.9 and weights["late_days"] == 0
    judged = judge_windows(of, held, 17, weights)
    assert judged.score[0] == judged.score[16] > 0.9 and judged.score[6] == 0
    few = alike.learn(of, held, np.array([True] * 4 + [False] * 13))
    assert few == rules.usual_weights(of), "four children make no pattern"


homes = st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 3)), max_size=10)


@given(homes, st.integers(0, 9))
def test_a_sibling_gives_its_points_once_and_hands_nothing_on(
    children: list[tuple[int, int]], at: int
) -> None:
    rule = Sibling(at=float(at), points=2.5)
    half = len(children) // 2
    scores = np.array([float(score) for score, _ in children])
    numbers = np.array([home for _, home in children], dtype=np.int64)
    extra = siblings.extra_points(rule, scores, numbers)
    for n, (_, home) in enumerate(children):
        mates = [s for m, (s, h) in enumerate(children) if m != n and h == home >= 0]
        assert extra[n] == (2.5 if any(score >= at for score in mates) else 0.0)
    apart = [(home, float(score)) for score, home in children[half:]]
    near = siblings.extra_points(rule, scores[:half], numbers[:half], apart)
    assert near.tolist() == extra[:half].tolist(), "it is the same where they are at other schools"
    assert not siblings.extra_points(None, scores, numbers).any()


def test_households_are_numbered_and_nobody_shares_none() -> None:
    assert siblings.numbered(["x", "", "y", "x", ""]).tolist() == [0, -1, 1, 0, -1]


# -- a city as arrays ----


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 60), st.booleans())
def test_a_city_in_arrays_keeps_to_its_budget_and_its_conditions(
    seed: int, children: int, board: bool
) -> None:
    dice = np.random.default_rng(seed)
    of = from_playbook(
        playbook(
            items=ITEMS, types=TYPES,
            judgement={"method": "points", "sibling": {"at": 5, "points": 1}},
            list={
                "scope": "board" if board else "school",
                "picks": [
                    {"id": "t", "by": "top_share", "share": 0.3, "label": "名", "label_en": "x"},
                    {"id": "s", "by": "siblings", "label": "名", "label_en": "x"},
                ],
                "leave_out": [{"item": "youtaikyo_case", "label": "名", "label_en": "x"}],
                "later": [{"supported": True, "label": "名", "label_en": "x"}],
            },
        )
    )  # fmt: skip
    facts = {}
    for item in ITEMS:
        rows = np.sort(dice.integers(0, children, children * 2))
        facts[str(item["id"])] = Flat(
            rows, DAY - dice.integers(0, 200, len(rows)), dice.integers(0, 6, len(rows)) * 1.0
        )
    city = City(
        DAY, children, facts, schools=dice.integers(0, 3, children),
        households=dice.integers(-1, children // 2 + 1, children),
        supported_on=np.where(dice.random(children) < 0.3, DAY - 5, 0),
        present=dice.random(children) < 0.8,
    )  # fmt: skip
    assert city.present is not None and city.schools is not None
    case = next(use for use in of.uses if use.spec.id == "youtaikyo_case")
    flat = facts["youtaikyo_case"]
    fresh = (flat.days < DAY) & (flat.days >= DAY - case.fresh_days) & (flat.values != 0)
    on_register = set(flat.rows[fresh].tolist())
    made = arrays.choose(of, city)
    assert len(made) == (1 if board else len(set(city.schools.tolist())))
    for rows, chosen in made:
        listed = rows[chosen.rows].tolist()
        assert len(listed) <= min(3, len(rows))
        assert not set(listed) & on_register and city.present[listed].all()
        assert board or len(set(city.schools[rows].tolist())) <= 1
    # What is dated on the day of the list or later changes nothing.
    more = {
        item: Flat(*(np.append(a, b) for a, b in zip(held, (0, DAY, 9.0), strict=True)))
        for item, held in facts.items()
    }
    after = arrays.listed(of, replace(city, facts=more))
    assert after.tolist() == arrays.listed(of, city).tolist()
