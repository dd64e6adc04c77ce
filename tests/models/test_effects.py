"""Effects that are there are found, and one that is only regression to the mean is not told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.effects import adjusted, difference_in_differences, paired, sign_flip

DIFFERENCES = st.lists(st.integers(-9, 9), min_size=1, max_size=9)


@settings(max_examples=30, deadline=None)
@given(DIFFERENCES)
def test_the_sign_flip_test_is_scipys_exact_one(found: list[int]) -> None:
    if len(found) < 2:
        return
    theirs = stats.permutation_test(
        (np.array(found, dtype=float),), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip(found) == pytest.approx(min(1.0, theirs.pvalue), abs=1e-9)


@given(DIFFERENCES)
def test_its_p_does_not_depend_on_order_or_direction(found: list[int]) -> None:
    p = sign_flip(found)
    assert 0.0 < p <= 1.0
    assert sign_flip(found[::-1]) == p and sign_flip([-one for one in found]) == p


def test_before_and_after_by_hand() -> None:
    before, after = [3, 4, 5, 6, 2, 3, 4, 5, 6, 2], [2, 3, 4, 5, 1, 2, 3, 4, 5, 1]
    found = paired(before, after)
    assert found is not None
    assert (found.n, found.before, found.after, found.change) == (10, 4.0, 3.0, -1.0)
    assert found.p == pytest.approx(2 / 2**10) and found.low == found.high == -1.0
    assert paired(before[:9], after[:9]) is None  # too few to say
    rng = np.random.default_rng(1)
    one, two = rng.poisson(4, 40).tolist(), rng.poisson(3, 40).tolist()
    known = stats.ttest_rel(two, one).confidence_interval()
    got = paired(one, two)
    assert got is not None and (got.low, got.high) == pytest.approx((known.low, known.high))


def test_difference_in_differences_is_welchs() -> None:
    one, two = [-2.0, -1.5, -2.5, -1.0], [0.5, -0.5, 0.0]
    found = difference_in_differences(one, two)
    known = stats.ttest_ind(one, two, equal_var=False).confidence_interval()
    assert found is not None and found.value == pytest.approx(-1.75)
    assert (found.low, found.high) == pytest.approx((known.low, known.high))
    assert found.told_apart and (found.n, found.n_others) == (4, 3)
    assert difference_in_differences(one, two[:2]) is None  # two schools say nothing


def town(seed: int, helped: float) -> tuple[list[float], list[bool], list[list[float]], float]:
    """Children with a lasting tendency to be absent, listed by what was before plus noise.

    `helped`: the share of absences that listing takes away. Also the p of the plain before/after.
    """
    rng = np.random.default_rng(seed)
    tendency = rng.gamma(0.6, 2.5, 1500)
    before, after = rng.poisson(tendency), rng.poisson(tendency)
    score = np.log(before + 0.5) + 0.3 * np.log(tendency + 0.3) + rng.normal(0, 0.3, 1500)
    order = np.argsort(-score)
    after[order[:200]] = rng.binomial(after[order[:200]], 1 - helped)
    listed = order[:200]
    plain = paired(before[listed].tolist(), after[listed].tolist())
    assert plain is not None
    near = order[100:300]  # the lower half of the listed, and as many below the cut
    picked = [True] * 100 + [False] * 100
    return after[near].tolist(), picked, [before[near].tolist(), score[near].tolist()], plain.p


def test_regression_to_the_mean_looks_like_an_effect_until_it_is_corrected() -> None:
    plain = corrected = 0
    for seed in range(40):
        after, picked, equal, p = town(seed, helped=0.0)
        found = adjusted(after, picked, equal)
        assert found is not None and (found.n, found.n_others) == (100, 100)
        plain += p < 0.05
        corrected += found.told_apart
    assert plain >= 38, "the town has no regression to the mean to be caught by"
    assert corrected <= 5  # one in twenty by chance: 2 expected, more than 5 in 1.4 % of such tests


def test_an_effect_that_is_there_is_found() -> None:
    found = 0
    for seed in range(20):
        after, picked, equal, _ = town(seed, helped=0.6)
        gap = adjusted(after, picked, equal)
        assert gap is not None
        found += gap.told_apart and gap.value < 0
    assert found >= 17


def test_too_few_or_nothing_to_tell_apart_is_said() -> None:
    after, picked, equal, _ = town(0, helped=0.0)
    assert adjusted(after[:109], picked[:109], [column[:109] for column in equal]) is None
    # A column that is the picking itself cannot be held equal.
    assert adjusted(after, picked, [[float(one) for one in picked]]) is None
    # One that is the same for all says nothing and does no harm.
    same = adjusted(after, picked, [equal[0], [7.0] * 200])
    alone = adjusted(after, picked, [equal[0]])
    assert same is not None and alone is not None and same.value == pytest.approx(alone.value)
