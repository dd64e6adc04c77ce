"""Parameters of several boards: what is told, how it is averaged, and what a board does with it."""

from __future__ import annotations

import random
from datetime import date

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import pooling
from models.learner import Learner, TrainingBlock
from models.online import Folded
from models.pooling import (
    CARRIERS,
    Measured,
    NotAlike,
    Pool,
    Shared,
    TooFew,
    blend,
    combine,
    own_share,
    share,
)

NAMES = ("often", "rare", "seldom", "unlike")
SCHEMA, TERMS, DAY = "schema", "terms", date(2031, 4, 7)
WEIGHTS = st.one_of(st.none(), st.floats(-3, 3))


def told(board: str, *weights: float | None, labels: int = 1000, **other: object) -> Shared:
    """What a board tells, the rule's column among the weights."""
    whole = {
        "board": board, "terms": TERMS, "schema": SCHEMA, "made_on": DAY, "labels": labels,
        "hits": labels // 10, "measured": Measured(100, 10, 80.0, 70.0), "intercept": -2.0,
        "means": tuple(None if w is None else 1.0 for w in weights), "weights": weights,
    }  # fmt: skip
    return Shared(**{**whole, **other})  # type: ignore[arg-type]


def learned(children: int = 90, days: int = 12, seed: int = 3) -> Learner:
    """A learner after some settled days: `rare` is carried by one child too few, `seldom` by as
    many as it takes, `unlike` by all but a few."""
    learner, dice = Learner(NAMES, SCHEMA), random.Random(seed)
    students = [f"child-{n:03d}" for n in range(children)]
    for day in range(days):
        rows = [
            [
                dice.gauss(n % 3, 1.0), float(n < CARRIERS - 1), float(n < CARRIERS),
                float(n >= CARRIERS - 1), dice.gauss(n % 3, 0.5),
            ]
            for n in range(children)
        ]  # fmt: skip
        block = TrainingBlock(
            day, SCHEMA, learner.learned, students, ["s"] * children,
            np.zeros(children, dtype="<f4").tobytes(), np.array(rows, dtype="<f4").tobytes(),
        )  # fmt: skip
        learner.settle(block, [n % 3 == 2 and dice.random() < 0.5 for n in range(children)])
    return learner


# -- telling ----


def test_a_column_of_a_few_children_is_not_told_and_no_child_is() -> None:
    learner = learned()
    found = share(learner, "b", TERMS, DAY)
    kept = {k.student for k in (*learner.memory.hits, *learner.memory.negatives)}
    assert len(kept) == 90, "all are in the memory here, so that carriers are counted whole"
    assert [w is None for w in found.weights] == [False, True, False, True, False]
    assert [m is None for m in found.means] == [w is None for w in found.weights]
    assert found.labels == 12 * 90 and found.hits == learner.standing.hits
    text = pooling.to_bytes(found)
    assert b"child" not in text and not any(row.row in text for row in learner.memory.hits)
    assert all(len(f"{abs(w):.10g}".replace(".", "").strip("0")) <= 4 for w in found.weights if w)


def test_what_is_told_scores_like_the_model_it_is_of() -> None:
    """But for the columns that are not told, which count as for the average child."""
    learner = learned()
    own, found = learner.online.folded(), share(learner, "b", TERMS, DAY)
    rows = learner.memory.rows(learner.columns).astype(np.float64)
    use = np.array([w is not None for w in found.weights])
    rows = np.where(use, rows, own.means)
    theirs = np.array([w or 0.0 for w in found.weights])
    at = np.array([m or 0.0 for m in found.means])
    score = found.intercept + ((rows - np.where(use, at, rows)) * theirs).sum(axis=1)
    assert score == pytest.approx(rows @ own.weights + own.constant, abs=0.02)


def test_a_board_that_knows_few_tells_nothing() -> None:
    with pytest.raises(TooFew):
        share(learned(days=5), "b", TERMS, DAY)  # 450 labels
    with pytest.raises(TooFew):
        share(learned(children=50, days=12), "b", TERMS, DAY)  # fewer than 50 never had it
    few = learned()
    kept = sorted({k.student for k in few.memory.hits})
    for student in kept[pooling.HIT_CHILDREN - 1 :]:
        few.forget(student)
    with pytest.raises(TooFew):
        share(few, "b", TERMS, DAY)


# -- combining ----


def test_the_average_by_hand() -> None:
    files = [
        told("a", 1.0, None, None, labels=3000, made_on=date(2031, 4, 1)),
        told("b", 2.0, 4.0, None, labels=1000, intercept=-1.0),
        told("me", 9.0, 9.0, 9.0, labels=9000),
    ]
    pool = combine(files, "me")
    assert pool.boards == ("a", "b") and pool.receiver == "me"
    assert pool.weights == pytest.approx((1.25, 4.0, None))
    assert pool.means == (1.0, 1.0, None)
    assert pool.intercept == pytest.approx(-1.75)
    assert (pool.labels, pool.hits, pool.made_on) == (4000, 400, date(2031, 4, 1))
    assert pool.measured == Measured(200, 20, 160.0, 140.0)
    assert combine(files[::-1], "me") == pool, "the order of the files carries no meaning"


@pytest.mark.parametrize(
    "files",
    [
        [told("a", 1.0), told("me", 1.0)],
        [told("a", 1.0), told("a", 2.0), told("b", 1.0)],
        [told("a", 1.0), told("b", 1.0, terms="other")],
        [told("a", 1.0), told("b", 1.0, schema="other")],
        [told("a", 1.0), told("b", 1.0, 2.0)],
        [told("a", 1.0), told("b", 1.0), told("me", 1.0, terms="other")],
    ],
    ids=["one other", "twice", "points differ", "columns differ", "more columns", "mine differs"],
)
def test_what_cannot_be_combined(files: list[Shared]) -> None:
    with pytest.raises(NotAlike):
        combine(files, "me")


@given(st.lists(st.tuples(st.integers(500, 10**6), WEIGHTS), min_size=2, max_size=6))
def test_an_average_lies_between_what_was_told(boards: list[tuple[int, float | None]]) -> None:
    pool = combine([told(f"b{n}", w, labels=c) for n, (c, w) in enumerate(boards)], "me")
    known = [w for _, w in boards if w is not None]
    if not known:
        assert pool.weights == (None,)
    else:
        assert pool.weights[0] is not None
        assert min(known) - 1e-9 <= pool.weights[0] <= max(known) + 1e-9


@pytest.mark.parametrize(
    "change",
    [{"labels": 5}, {"means": (1.0,)}, {"means": (None, 1.0)}, {"boards": ("a", "me")}, {"x": 1}],
)
def test_a_pool_that_makes_no_sense_is_none(change: dict[str, object]) -> None:
    whole = msgspec.to_builtins(combine([told("a", 1.0, 2.0), told("b", 1.0, 2.0)], "me"))
    assert msgspec.convert(whole, Pool)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**whole, **change}, Pool)


# -- using ----


@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(-2, 2), WEIGHTS), min_size=1, max_size=6),
    st.integers(0, 5000),
    st.integers(0, 99),
)
@settings(max_examples=60)
def test_the_score_lies_between_own_and_pool(
    columns: list[tuple[float, float, float | None]], hits: int, seed: int
) -> None:
    weights, means, theirs = (np.array(c) for c in zip(*columns, strict=True))
    own = Folded(weights.astype(float), -1.0, means.astype(float))
    pool = combine([told("a", *theirs.tolist()), told("b", *theirs.tolist())], "me")
    rows = np.random.default_rng(seed).normal(size=(5, len(columns)))
    both = blend(own, pool, hits, learned=True)
    mine = rows @ own.weights + own.constant
    known = np.array([w is not None for w in theirs])
    weight = np.where(known, np.array([w or 0.0 for w in theirs]), own.weights)
    at = np.where(known, 1.0, own.means)
    others = -2.0 + (rows - at) @ weight
    part = own_share(hits)
    score = rows @ both.weights + both.constant
    assert score == pytest.approx(part * mine + (1 - part) * others, abs=1e-9)
    assert (both.means == own.means).all()


def test_own_counts_for_more_with_every_hit_and_for_nothing_without() -> None:
    parts = [own_share(hits) for hits in range(0, 3000, 50)]
    assert parts[0] == 0.0 and parts == sorted(set(parts)) and parts[-1] < 1.0


def pool_of(learner: Learner, weight: float = 0.5) -> Pool:
    weights = [weight] * learner.columns
    return combine([told("a", *weights), told("b", *weights)], "me")


def test_the_own_model_learns_as_if_there_were_no_pool() -> None:
    alone, beside = learned(days=4), learned(days=4)
    assert beside.use_pool(pool_of(beside))
    rest = learned(days=6)  # what both go on learning
    for learner in (alone, beside):
        for day in (4, 5):
            block = TrainingBlock(
                day, SCHEMA, learner.learned, ["x", "y"], ["s", "s"],
                np.zeros(2, dtype="<f4").tobytes(),
                rest.memory.rows(rest.columns)[:2].astype("<f4").tobytes(),
            )  # fmt: skip
            learner.settle(block, [True, False])
    assert alone.online.to_bytes() == beside.online.to_bytes()
    assert alone.memory_bytes() == beside.memory_bytes()
    assert not np.array_equal(alone.folded().weights, beside.folded().weights)
    assert share(learned(), "b", TERMS, DAY).weights == share(_using(), "b", TERMS, DAY).weights


def _using() -> Learner:
    learner = learned()
    learner.use_pool(pool_of(learner))
    return learner


def test_a_pool_put_away_leaves_nothing_and_stored_bytes_bring_it_back() -> None:
    before, using = learned(), _using()
    again = Learner(NAMES, SCHEMA)
    again.restore(using.model_bytes(), using.memory_bytes(), using.pool_bytes())
    assert again.pool == using.pool and again.pool_bytes() == using.pool_bytes()
    assert np.array_equal(again.folded().weights, using.folded().weights)
    using.use_pool(None)
    assert using.pool_bytes() == b"" and using.model_bytes() == before.model_bytes()


def test_a_pool_of_other_columns_is_not_used() -> None:
    learner = learned()
    good = pool_of(learner)
    for bad in (
        msgspec.structs.replace(good, schema="other"),
        msgspec.structs.replace(good, means=(1.0,), weights=(1.0,)),
    ):
        assert not learner.use_pool(bad) and learner.pool is None


def test_before_anything_was_learned_the_pool_judges() -> None:
    learner = Learner(NAMES, SCHEMA)
    learner.use_pool(pool_of(learner))
    folded = learner.folded()
    assert learner.learned == 2000 and folded.weights.tolist() == [0.5] * 5
    assert folded.means.tolist() == [1.0] * 5, "against which average child it is explained"
    assert folded.constant == pytest.approx(-2.0 - 2.5)


def test_measurements_need_pairs() -> None:
    assert Measured(0, 0, 0.0, 0.0).aucs() == (None, None, None)
    model, rules, doubt = Measured(100, 12, 80.0, 70.0).aucs()
    assert (model, rules) == (0.8, 0.7) and doubt == pytest.approx((1 / 144) ** 0.5)
