from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation import calibrate, pairs_in_order, sigmoid
from models.online import Folded
from tests.judging.town import small_setup
from warning_service.judging.picking.lists import (
    choose,
    on_grid,
    order,
    probability,
    score_block,
    top,
)


def grid(values: list[int]) -> np.ndarray:
    return on_grid(np.array(values, dtype=np.float32) / np.float32(512))


@given(st.lists(st.integers(-30, 30), min_size=0, max_size=60), st.integers(0, 70))
def test_top_is_a_stable_sort_cut_off(values: list[int], places: int) -> None:
    scores = grid(values)
    assert top(scores, places).tolist() == order(scores)[:places].tolist()
    assert order(scores).tolist() == sorted(range(len(values)), key=lambda at: (-values[at], at))


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.booleans()), max_size=40),
    st.integers(0, 12),
    st.booleans(),
)
def test_never_more_than_the_budget_and_new_ones_first(
    rows: list[tuple[int, bool]], places: int, new_first: bool
) -> None:
    scores = grid([value for value, _ in rows])
    supported = np.array([busy for _, busy in rows], dtype=bool)
    chosen = choose(scores, places, supported, new_first=new_first).tolist()
    assert len(chosen) == len(set(chosen)) == min(places, len(rows))
    pool = set(order(scores)[: 2 * places].tolist())
    assert set(chosen) <= pool
    if new_first:
        left_out = [at for at in pool - set(chosen) if not supported[at]]
        assert not left_out or not supported[chosen].any()
    else:
        assert chosen == order(scores)[:places].tolist()


@given(
    st.lists(st.floats(-40, 40, width=32), min_size=2, max_size=50).map(
        lambda values: on_grid(np.array(values, dtype=np.float32)).tolist()
    )
)
def test_order_by_score_is_order_by_what_is_written(scores: list[float]) -> None:
    written = [f"{probability(score):.13f}" for score in scores]
    by_score = sorted(range(len(scores)), key=lambda at: (-scores[at], at))
    by_text = sorted(range(len(scores)), key=lambda at: (-float(written[at]), at))
    assert by_score == by_text


@settings(deadline=None)
@given(st.integers(1, 130), st.integers(1, 40), st.integers(0, 10_000))
def test_equal_rows_score_equal_wherever_they_stand(columns: int, n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    row = random.standard_normal(columns).astype(np.float32)
    block = random.standard_normal((n, columns)).astype(np.float32)
    twice = np.ascontiguousarray(np.vstack([row, block, row, row]))
    folded = Folded(random.standard_normal(columns), -1.5, np.zeros(columns))
    scores = score_block(twice, folded)
    assert scores[0] == scores[n + 1] == scores[n + 2]
    assert np.array_equal(score_block(np.ascontiguousarray(twice[::-1]), folded), scores[::-1])


def test_budgets_are_exact() -> None:
    setup = small_setup()
    assert setup.share == Fraction(1, 10)
    assert [setup.budget(n) for n in (0, 1, 2, 10, 20, 21, 30, 31)] == [0, 1, 2, 2, 2, 3, 3, 4]


@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), max_size=60))
def test_calibration_never_turns_the_order_round(pairs: list[tuple[float, bool]]) -> None:
    raw, hits = np.array([x for x, _ in pairs]), np.array([y for _, y in pairs], dtype=bool)
    slope, shift = calibrate(raw, hits, slope=0.5, shift=-4.0)
    assert 0.05 <= slope < 50 and abs(shift) < 60
    twice = calibrate(raw, hits, slope=0.5, shift=-4.0, weights=np.full(len(raw), 2.0), trust=8.0)
    assert np.allclose(twice, (slope, shift), atol=1e-6), "weights and trust are student-dates"


def test_calibration_finds_the_rate() -> None:
    raw = np.array([0.0, 1.0] * 1000)
    hits = np.array([at % 20 == 0 for at in range(0, 2000)])  # only among raw 0: one in ten
    slope, shift = calibrate(raw, hits, slope=0.5, shift=-4.0)
    assert abs(sigmoid(shift) - 0.1) < 0.02
    hits = np.array([(at // 2) % (4 if at % 2 else 20) == 0 for at in range(0, 2000)])
    slope, shift = calibrate(raw, hits, slope=0.5, shift=-4.0)
    assert abs(sigmoid(shift) - 0.05) < 0.01 and abs(sigmoid(slope + shift) - 0.25) < 0.03


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_pairs_are_counted_as_by_hand(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([float(s) for s, _ in rows])
    hits = np.array([h for _, h in rows], dtype=bool)
    by_hand = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a, hit in rows if hit
        for b, other in rows if not other
    ]  # fmt: skip
    assert pairs_in_order(scores, hits) == (sum(by_hand), len(by_hand))
