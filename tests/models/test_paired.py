"""The paired error, by hand; and what of the learned is used when settled days measure it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models import paired
from models.learner import Learner, TrainingBlock
from models.memory import priority
from models.paired import FIRST, HITS, OF, PARTS, apart, aucs, in_order, sums
from models.standing import TRUSTED, TRUSTS, Settled, Standing


def test_pairs_of_each_child_by_hand() -> None:
    scores = np.array([[3.0, 1.0, 2.0, 1.0, 9.0, 5.0]])
    hits = np.array([True, False, True, False, True, False])
    right, of = in_order(scores, hits, ["g", "g", "g", "g", "alone", "other"])
    assert of.tolist() == [2, 2, 2, 2, 0, 0], "a hit without negatives beside it stands in no pair"
    assert right.tolist() == [[2, 2, 2, 2, 0, 0]]
    tie, _ = in_order(np.array([[1.0, 1.0, 0.0]]), hits[:3], ["g"] * 3)
    assert tie.tolist() == [[0.5, 0.5, 0.0]], "equal ones count half, with both"


def test_every_pair_is_counted_with_both_its_children() -> None:
    dice = np.random.default_rng(1)
    scores, hits = dice.standard_normal((2, 90)), dice.random(90) < 0.3
    right, of = in_order(scores, hits, [f"g{n % 4}" for n in range(90)])
    assert of[hits].sum() == of[~hits].sum()
    assert right[:, hits].sum(axis=1) == pytest.approx(right[:, ~hits].sum(axis=1))
    day = sums([f"k{n}" for n in range(90)], hits, right, of)
    assert day.shape == (FIRST + 2, PARTS) and day[HITS].sum() == hits.sum()
    assert aucs([day]) == pytest.approx(right[:, hits].sum(axis=1) / of[hits].sum())
    part = priority("k7", 0) % PARTS
    assert day[OF, part] >= of[7], "a child is always in the same part"


def made(leads: list[list[float]]) -> list[np.ndarray]:
    """Days on which each part has 10 pairs and one hit, and the first judge leads by so many."""
    days = []
    for lead in leads:
        day = np.zeros((FIRST + 2, PARTS))
        day[OF, : len(lead)], day[HITS, : len(lead)] = 10.0, 1.0
        day[FIRST, : len(lead)] = lead
        days.append(day)
    return days


def test_the_error_by_hand() -> None:
    """Eight children, four days; the lead differs from child to child, and is the same each day."""
    each = [0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 2.0]
    found = apart(made([each] * 4), 0, 1)
    assert found is not None
    assert found.lead == pytest.approx(0.1), "one of ten pairs, on the mean"
    # Pairs 4 x 8 x 10 / 2 = 160. Each child is off by 4 days x 1; every day is off by nothing.
    children = 8 * 4.0**2 * 8 / 7
    wider = 1 + 5 / (4 * 3) + 147 / (96 * 9)  # three degrees of freedom: four days
    assert found.error == pytest.approx(wider * math.sqrt(children) / 160)


def test_a_lead_that_comes_and_goes_is_none() -> None:
    steady, moving = [[1.0] * 8] * 4, [[4.0] * 8, [-2.0] * 8, [4.0] * 8, [-2.0] * 8]
    one, other = apart(made(steady), 0, 1), apart(made(moving), 0, 1)
    assert one is not None and other is not None
    assert one.lead == pytest.approx(other.lead) and one.error == 0.0
    # Every day is off by 3 x 8 pairs of its children, half of that as pairs.
    days = 4 * 12.0**2 * 4 / 3
    wider = 1 + 5 / (4 * 3) + 147 / (96 * 9)
    both = days - 32 * 9.0
    assert other.error == pytest.approx(wider * math.sqrt(max(both, days)) / 160)
    assert other.lead < 2 * other.error


def test_too_few_children_or_days_bear_no_error() -> None:
    assert apart([], 0, 1) is None
    assert apart(made([[1.0] * (paired.LEAST_OUTCOMES - 1)] * 9), 0, 1) is None
    assert apart(made([[1.0] * 9] * (paired.LEAST_DAYS - 1)), 0, 1) is None


def test_the_error_is_what_other_draws_make_of_it() -> None:
    """Against the spread of the lead over many invented towns of other children."""
    dice, leads, errors = np.random.default_rng(5), [], []
    names = [f"k{n:03d}" for n in range(150)]
    for _ in range(60):
        risk = dice.standard_normal(150)
        hits = dice.random(150) < 1 / (1 + np.exp(2 - 2 * risk))
        days = []
        for _ in range(12):
            seen = risk + dice.standard_normal(150) * 0.3
            worse = seen + dice.standard_normal(150) * 0.8
            days.append(sums(names, hits, *in_order(np.array([seen, worse]), hits, ["g"] * 150)))
        found = apart(days, 0, 1)
        assert found is not None
        leads.append(found.lead)
        errors.append(found.error)
    assert 0.8 < np.mean(errors) / np.std(leads) < 2.0, "never too narrow, nor by far too wide"


# -- trust ----

NAMES = tuple(f"c{n}" for n in range(30))


def settled(learner: Learner, days: int, *, known: bool) -> None:
    """Few hits a day; what was learned beside the rule tells them (`known`), or tells nothing."""
    dice = np.random.default_rng(7)
    names = [f"k{n:03d}" for n in range(200)]
    for day in range(1, days + 1):
        hits = dice.random(200) < 0.05
        rows = dice.standard_normal((200, len(NAMES) + 1)).astype("<f4")
        rows[:, -1] = dice.standard_normal(200) + 0.5 * hits
        if known:
            rows[hits, 0] += 3.0
        weights = np.zeros(len(NAMES) + 1)
        weights[0], weights[-1] = 1.0, 1.0
        scores = rows[:, -1].astype("<f4").tobytes()
        block = TrainingBlock(
            day, "h", 1, names, ["g"] * 200, scores, rows.tobytes(), b"",
            weights.astype("<f8").tobytes(),
        )  # fmt: skip
        learner.settle(block, hits.tolist())


def test_trust_rises_when_it_is_measured() -> None:
    learner = Learner(NAMES, "h")
    settled(learner, 3, known=True)
    assert learner.standing.trust == 0.0, "three days bear no error"
    settled(learner, 9, known=True)
    assert learner.assumed_trust < 0.5 < 1.0
    assert learner.trust == learner.standing.trust >= 0.5
    right = aucs([day.sums for day in learner.standing.recent])[TRUSTED:]
    assert right[0] < right[-1] and learner.trust in TRUSTS
    again = Learner(NAMES, "h")
    again.restore(learner.model_bytes(), learner.memory_bytes())
    assert again.trust == learner.trust and again.model_bytes() == learner.model_bytes()
    used = learner.online.folded(learner.trust).weights
    assert np.array_equal(learner._raw().weights, used)


def test_trust_stays_when_nothing_bears_it_out() -> None:
    learner = Learner(NAMES, "h")
    settled(learner, 12, known=False)
    assert learner.standing.trust == 0.0 and learner.trust == learner.assumed_trust


def test_days_before_anything_was_learned_measure_no_trust() -> None:
    empty = Settled(1, 10, 5, 25, 5, 20.0, 20.0, [], [])
    assert Standing(recent=[empty] * 12).measured_trust(0.0) == 0.0


def test_a_block_keeps_what_was_learned_that_day() -> None:
    learner = Learner(NAMES, "h")
    assert learner.beside_rule == b"", "nothing was learned yet"
    settled(learner, 1, known=True)
    held = np.frombuffer(learner.beside_rule, dtype="<f8")
    assert np.array_equal(held, learner.online.folded().weights), "all of it, whatever is trusted"
