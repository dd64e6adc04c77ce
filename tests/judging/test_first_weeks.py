"""Judging with little to go by: the generic rule, an assumed base rate, trust in a young model."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from models.features import extract
from models.items import ItemSpec
from models.learner import HITS_A_COLUMN, Learner
from models.student_state import Outcome, Spell, StudentState
from tests.judging.town import small_setup
from warning_service.judging import base_rate, rules
from warning_service.judging.setup import Setup, Use

DAY = date(2031, 4, 7).toordinal()
MOOD = ItemSpec(id="mood", kind="measure", worse="high")
VISITS = ItemSpec(id="visits", kind="count", worse="low")
SETUP = replace(
    small_setup(), rules="generic", rule=None, sibling=None,
    uses=(Use(MOOD, "気分", "Mood"), Use(VISITS, "来た日", "Visits")),
)  # fmt: skip


def there(moods: dict[int, float], visits: int = 0, start: int = DAY) -> StudentState:
    state = StudentState(roll=[Spell(start, None, "s", "c", 5)])
    for step, value in moods.items():
        state.put(MOOD, start + step, value, 0)
    for step in range(visits):
        state.put(VISITS, start + step, 1.0, 0)
    return state


def points(setup: Setup, states: list[StudentState], day: int) -> dict[str, np.ndarray]:
    group = extract(setup.schema, [f"k{n}" for n in range(len(states))], states, day)
    return rules.points_by_item(setup, group)


def test_daily_answers_are_judged_by_the_own_scale_and_rare_ones_by_the_group() -> None:
    daily = [
        there(dict.fromkeys(range(6), 4.0)),
        there({**dict.fromkeys(range(5), 1.0), 5: 2.0}),
        there(dict.fromkeys(range(6), 1.0)),
    ]
    found = points(SETUP, daily, DAY + 5)["mood"]
    assert found.argmax() == 1, "who always answers 4 is as usual; who went from 1 to 2 is not"
    assert found[0] == found[2]
    rare = [there({0: 4.0, 27: 4.0}), there({0: 1.0, 27: 2.0}), there({0: 1.0, 27: 1.0})]
    assert points(SETUP, rare, DAY + 27)["mood"].argmax() == 0


def test_a_count_says_nothing_in_the_first_week_and_little_in_the_first_weeks() -> None:
    states = [there({}, visits=n) for n in (0, 3, 6)]
    assert points(SETUP, states, DAY + 5)["visits"].tolist() == [0.0, 0.0, 0.0]
    early = points(SETUP, states, DAY + 13)["visits"]
    assert early[0] > early[2] and early[0] < 4 * 0.5 + 1e-9


def test_the_base_rate_before_any_label_by_hand() -> None:
    quiet = [StudentState(roll=[Spell(DAY, None, "s", "c", 5)]) for _ in range(10)]
    assumed = 1 - np.exp(-base_rate.ASSUMED)
    assert base_rate.rate([], DAY, 7, 0) == pytest.approx(assumed)
    nobody = base_rate.rate(quiet, DAY + 69, 7, 0)
    assert nobody == pytest.approx(1 - np.exp(-1.0 / (700 / 7 + 10)))
    for state in quiet[:5]:
        state.outcomes = [Outcome(DAY + 60, DAY + 60, None)]
    some = base_rate.rate(quiet, DAY + 69, 7, 0)
    assert some == pytest.approx(1 - np.exp(-6.0 / ((700 - 50) / 7 + 10)))
    for state in quiet[:5]:
        state.outcomes = [Outcome(DAY + 60, DAY + 80, None)]
    assert base_rate.rate(quiet, DAY + 69, 7, 0) == pytest.approx(nobody), "not known yet"
    assert base_rate.rate(quiet, DAY + 69, 7, 20) < nobody * 2, "only days that are surely known"


def test_little_evidence_stays_near_the_rule() -> None:
    learner = Learner(SETUP.schema.names, SETUP.schema.hash)
    assert learner.trust == 0.0
    trusts = []
    for hits in (1, 10, int(HITS_A_COLUMN * learner.columns), 100_000):
        learner.standing.hits, learner.standing.counted = hits, hits * 20
        trusts.append(learner.trust)
    assert trusts == sorted(trusts) and trusts[0] < 0.01 and trusts[-1] > 0.99
    assert trusts[2] == pytest.approx(0.5)
    learner.standing.counted = learner.standing.hits + 3
    assert learner.trust < 0.01, "as few negatives as hits say as little"
    dice = np.random.default_rng(1)
    for _ in range(200):
        row = dice.standard_normal(learner.columns)
        learner.online.learn(row.tolist(), bool(row[0] > 0))
    learner.standing.hits = learner.standing.counted = 0
    shy = learner.folded().weights
    assert not shy[:-1].any() and shy[-1] == learner.online.folded().weights[-1]
