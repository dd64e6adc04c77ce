"""A few rows decide on one child's change as the whole scope does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.judging.test_selection import SECOND, picks, rule, scope
from warning_service.judging.picking.near import near
from warning_service.judging.picking.selection import Scope, by_score, select
from warning_service.playbooks.judging import ListRule, Pick

CHILDREN = 160
NAMES = ("score", "a", "b", "grade", "basic", "other", "home")
SPANS = ((0, 40), (0, 25), (0, 25), (-2, 4), (0, 5), (0, 5), (-1, 70))


def town(dice: np.random.Generator) -> Scope:
    """Everybody of a scope, none left out (who is ranked is in it)."""
    numbers = np.stack([dice.integers(low, high, CHILDREN) for low, high in SPANS])
    marks = dice.random((3, CHILDREN)) < [[0.2], [0.15], [0.6]]
    found = scope([
        dict(zip(NAMES, numbers[:, at].tolist(), strict=True))
        | dict(zip(("supported", "later", "passes"), marks[:, at].tolist(), strict=True))
        | {"out": False}
        for at in range(CHILDREN)
    ])  # fmt: skip
    return replace(found, schools=dice.integers(0, 4, CHILDREN))


def changed(whole: Scope, at: int, dice: np.random.Generator) -> Scope:
    """The same with one child's facts otherwise: better, worse, or nothing left."""
    score = float(dice.choice([0, dice.integers(0, 40)]))
    columns = {}
    for name, value in {
        "scores": score, "marks": score, "nothing": score <= 0,
        "basic": dice.integers(0, 5), "other": dice.integers(0, 5),
        "screened": dice.random() < 0.5,
    }.items():  # fmt: skip
        columns[name] = np.array(getattr(whole, name))
        columns[name][at] = value
    assert whole.by_type is not None
    columns["by_type"] = whole.by_type.copy()
    columns["by_type"][:, at] = dice.integers(0, 25, 2)
    return replace(whole, **columns)


def agree(whole: Scope, asked: ListRule | None, budget: int, dice: np.random.Generator) -> int:
    """Ask both about changes of every listed child; how many rows were enough."""
    places = [(0, row) for row in range(CHILDREN)]
    few = near(whole, places, asked, budget, new_first=False)
    rows = np.array([row for _, row in few.where], dtype=np.int64)
    listed = rows[few.listed(few.scope)].tolist()

    def of(given: Scope) -> list[int]:
        if asked is None:
            return by_score(given, budget, new_first=False).tolist()
        return select(given, asked, budget).rows.tolist()

    assert listed == of(whole)
    for row in listed[:6]:
        at, seed = few.spot(0, row), int(dice.integers(1 << 30))
        one = changed(few.scope, at, np.random.default_rng(seed))
        same = changed(whole, row, np.random.default_rng(seed))
        assert rows[few.listed(one)].tolist() == of(same)
    return len(few.where)


@settings(max_examples=120, deadline=None)
@given(
    picks(), st.integers(0, 2**30), st.integers(1, 60), st.booleans(), st.booleans(), st.booleans()
)
def test_a_few_rows_decide_as_all_do(
    chosen: tuple[Pick, ...], seed: int, budget: int, new_first: bool, second: bool, spread: bool
) -> None:
    asked = rule(
        picks=chosen, new_first=new_first, second=SECOND if second else None,
        scope="board", spread=spread,
    )  # fmt: skip
    dice = np.random.default_rng(seed)
    agree(town(dice), asked, budget, dice)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**30), st.integers(1, 40), st.booleans())
def test_by_score_alone(seed: int, budget: int, new_first: bool) -> None:
    dice = np.random.default_rng(seed)
    agree(town(dice), rule(budget_places=budget, new_first=new_first), budget, dice)
    agree(town(dice), None, budget, dice)


def test_few_are_enough() -> None:
    dice = np.random.default_rng(1)
    top = Pick(id="t", by="top_share", share=0.1, label="x", label_en="x")
    assert agree(town(dice), rule(picks=(top,)), 160, dice) <= 16 + 4
    assert agree(town(dice), None, 5, dice) <= 2 * (2 * 5 + 2)
