"""Shares, lift, calibration bins and agreement: known values, and what must hold for any counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from models.agreement import Agreement
from models.reliability import bins, error
from models.shares import Share, apart, lift, wilson

COUNT = st.integers(0, 300)


@st.composite
def shares(draw: st.DrawFn) -> Share:
    of = draw(st.integers(1, 400))
    return Share(draw(st.integers(0, of)), of)


@given(shares())
def test_an_interval_holds_its_share_and_is_one(one: Share) -> None:
    low, high = one.interval
    assert one.value is not None
    assert 0.0 <= low <= one.value <= high <= 1.0 and low < high


@given(shares(), st.integers(2, 9))
def test_more_children_make_surer_and_repeated_rows_do_not(one: Share, times: int) -> None:
    low, high = one.interval
    more = Share(one.hits * times, one.of * times).interval
    assert more[1] - more[0] < high - low
    # Rows of the same children, put on the number of children, are as sure as the children are.
    assert wilson(one.hits * times / (one.of * times) * one.of, one.of) == pytest.approx(
        (low, high)
    )


def test_a_share_of_nothing_is_none_and_not_zero() -> None:
    assert Share(0, 0).value is None and Share(0, 0).interval == (0.0, 1.0)
    assert apart(Share(0, 0), Share(1, 2)) is None


def test_lift_by_hand() -> None:
    found = lift(Share(44, 305), Share(71, 1984))
    assert found is not None
    assert found.value == pytest.approx((44 / 305) / (71 / 1984))
    # Katz: ln(44.5/305.5) - ln(27.5/1679.5) = 2.1857, spread .23297; RR 5.636 to 14.05.
    assert (found.low, found.high) == pytest.approx((3.286, 4.677), abs=2e-3)
    assert lift(Share(0, 10), Share(0, 100)) is None  # nobody it came to
    assert lift(Share(5, 100), Share(5, 100)) is None  # everybody listed


@given(COUNT, COUNT, COUNT, COUNT)
def test_lift_lies_in_its_interval(a: int, b: int, c: int, d: int) -> None:
    found = lift(Share(a, a + b), Share(a + c, a + b + c + d))
    if found is not None:
        assert 0.0 <= found.low <= found.value <= found.high


@given(shares(), shares())
def test_a_difference_lies_in_its_interval_and_turns_round(one: Share, other: Share) -> None:
    found, back = apart(one, other), apart(other, one)
    assert found is not None and back is not None
    assert found[1] - 1e-12 <= found[0] <= found[2] + 1e-12
    assert back == pytest.approx((-found[0], -found[2], -found[1]))


def test_newcombes_own_example() -> None:
    # Newcombe 1998, method 10: 56/70 against 48/80.
    found = apart(Share(56, 70), Share(48, 80))
    assert found == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_bins_hold_everybody_and_show_no_single_child() -> None:
    rng = np.random.default_rng(3)
    chances = np.round(rng.beta(1, 20, 900), 3)
    hits = rng.random(900) < chances
    whose = [f"k{n % 300}" for n in range(900)]
    found = bins(chances, hits, whose)
    assert len(found) > 2
    assert sum(one.n for one in found) == 900 and sum(one.hits for one in found) == hits.sum()
    assert [one.stated for one in found] == sorted(one.stated for one in found)
    for one in found:
        assert one.hit_children == 0 or one.hit_children >= 5
        low, high = one.interval
        assert low <= one.happened <= high
    # Three rows of each child: the interval is that of the children, not of the rows.
    widest = max(found, key=lambda one: one.hits)
    narrow = Share(widest.hits, widest.n).interval
    assert widest.interval[1] - widest.interval[0] > narrow[1] - narrow[0]


def test_two_few_hits_give_no_bin_at_all() -> None:
    chances, whose = np.linspace(0, 1, 60), [f"k{n}" for n in range(60)]
    hits = np.zeros(60, dtype=bool)
    hits[-3:] = True
    assert bins(chances, hits, whose) == [] and error([]) is None


def test_equal_probabilities_are_never_parted() -> None:
    chances = np.repeat([0.1, 0.5], 50)
    hits = np.tile([True, False, False, False, False], 20)
    found = bins(chances, hits, [f"k{n}" for n in range(100)])
    assert [(one.n, one.stated) for one in found] == [(50, pytest.approx(0.1)), (50, 0.5)]
    assert error(found) == pytest.approx((abs(0.1 - 0.2) + abs(0.5 - 0.2)) / 2)


def test_agreement_by_hand_and_by_scikit_learn() -> None:
    # 20 both, 5 the first only, 10 the second only, 15 neither: the textbook's .40.
    one = Agreement(both=20, first_only=5, second_only=10, neither=15)
    assert one.agreed == Share(35, 50)
    assert one.kappa is not None and one.kappa[0] == pytest.approx(0.4)
    first = [1] * 25 + [0] * 25
    second = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert one.kappa[0] == pytest.approx(cohen_kappa_score(first, second))
    assert Agreement(both=9, first_only=0, second_only=0, neither=0).kappa is None


@given(COUNT, COUNT, COUNT, COUNT)
def test_kappa_lies_in_its_interval(a: int, b: int, c: int, d: int) -> None:
    found = Agreement(both=a, first_only=b, second_only=c, neither=d).kappa
    if found is not None:
        assert -1.0 <= found[1] <= found[0] <= found[2] <= 1.0
