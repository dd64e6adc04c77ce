"""Who makes the list, decided on figures made up to stand on each side of each line."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.paired import FIRST, HITS, OF, PARTS
from models.standing import CHALLENGER, EASILY, MODEL, TRUSTED, TRUSTS, Settled, Standing
from tests.judging.town import small_setup
from warning_service.judging.hand_over import CLEARLY, decide
from warning_service.judging.setup import Setup

CHILDREN = 40
OFF = 0.05


def parts(*shares: float) -> bytes:
    """Sums of a day: 40 children with 50 pairs each, that share of them right by each judge.

    The last judge, the challenger, is right for one half of the children OFF more than for the
    other, so that the error by children is known by hand.
    """
    held = np.zeros((FIRST + TRUSTED + len(TRUSTS), PARTS))
    held[OF, :CHILDREN], held[HITS, :CHILDREN] = 50.0, 1.0
    for judge, share in enumerate(shares):
        held[FIRST + judge, :CHILDREN] = 50.0 * share
    held[FIRST + CHALLENGER, :CHILDREN] += 50.0 * OFF * np.repeat([1, -1], CHILDREN // 2)
    return held.tobytes()


def standing(
    model: float, rules: float, challenger: float | None, *, hits: int = 40, days: int = 10
) -> Standing:
    """Days of 1,000 pairs each; `hits` compared on each."""
    recent = [
        Settled(
            day, 200, hits, 1000, hits, model * 1000, rules * 1000, [], [],
            None if challenger is None else challenger * 1000,
            parts(model, rules, challenger or 0.0),
        )
        for day in range(days)
    ]  # fmt: skip
    return Standing(recent=recent, hits=hits * days, counted=200 * days)


def by(setup: Setup, held: Standing, *, challenger: bool = True) -> tuple[str, str]:
    decision = decide(setup, held, challenger=challenger)
    assert decision.why["judge"] == decision.judge
    return decision.judge, decision.why["reason"]


@pytest.fixture
def setup() -> Setup:
    import dataclasses

    return dataclasses.replace(small_setup(), least_gain=0.0)


def test_the_rule_is_first_whatever_the_others_say(setup: Setup) -> None:
    few = standing(0.9, 0.5, 0.99, hits=0)
    assert by(setup, few) == ("rules", "too_few_outcomes")
    assert decide(setup, few, challenger=True).measured is False


def test_the_model_when_no_worse(setup: Setup) -> None:
    assert by(setup, standing(0.70, 0.70, None)) == ("model", "model_measured_no_worse")
    assert by(setup, standing(0.50, 0.70, None)) == ("rules", "rules_measured_better")
    unmeasured = Standing(hits=400, counted=4000)
    assert by(setup, unmeasured) == ("rules", "not_measured_yet")


def needed(days: int = 10) -> float:
    """CLEARLY paired errors: every child off by OFF of all its pairs, the same on every day."""
    error = math.sqrt(CHILDREN * (50 * days * OFF) ** 2 * CHILDREN / (CHILDREN - 1)) / (1000 * days)
    freedom = min(CHILDREN, days) - 1
    return CLEARLY * error * (1 + 5 / (4 * freedom) + 147 / (96 * freedom**2))


@pytest.mark.parametrize("present", ["model", "rules"])
def test_the_challenger_only_when_clearly_better_than_who_has_the_list(
    setup: Setup, present: str
) -> None:
    model, rules = (0.70, 0.65) if present == "model" else (0.40, 0.70)
    line = 0.70 + needed()
    assert by(setup, standing(model, rules, line - 0.002))[0] == present
    assert by(setup, standing(model, rules, line + 0.002)) == (
        "challenger",
        "challenger_measured_better",
    )
    why = decide(setup, standing(model, rules, line + 0.002), challenger=True).why
    assert why["against"] == present and why["auc_of_present"] == 0.70
    assert why["challenger_lead"] > why["challenger_needs"] > 0


def test_without_trees_it_makes_no_list_though_it_was_measured(setup: Setup) -> None:
    held = standing(0.6, 0.6, 0.95)
    assert by(setup, held, challenger=False) == ("model", "model_measured_no_worse")


def test_fewer_days_need_a_larger_lead(setup: Setup) -> None:
    lead = 0.70 + needed() + 0.002
    assert by(setup, standing(0.70, 0.65, lead))[0] == "challenger"
    assert needed(4) > needed() and by(setup, standing(0.70, 0.65, lead, days=4))[0] == "model"


def test_from_too_little_nobody_is_clearly_better(setup: Setup) -> None:
    held = standing(0.70, 0.65, 0.99, days=3)
    assert by(setup, held)[0] == "model", "three days"
    told = decide(setup, held, challenger=True).why
    one = math.sqrt(setup.horizon / setup.sample_every / (12 * 120))
    assert told["challenger"] == "too_little_compared"
    assert told["challenger_needs"] is None and told["auc_challenger"] == 0.99
    assert told["doubt"] == pytest.approx(one, abs=1e-4)


def test_the_model_may_be_behind_by_what_chance_easily_makes(setup: Setup) -> None:
    """Model and rule differ by the same for every child and day here: chance makes nothing of it.
    As the challenger's row shows, whoever differs from child to child may be behind by more.
    """
    assert by(setup, standing(0.699, 0.70, None))[0] == "rules"
    held = standing(0.699, 0.70, None)
    for day in held.recent:
        sums = day.sums.copy()
        sums[FIRST + MODEL, :CHILDREN] += 50.0 * OFF * np.repeat([1, -1], CHILDREN // 2)
        day.parts = sums.tobytes()
    assert by(setup, held)[0] == "model"
    assert decide(setup, held).why["doubt"] == pytest.approx(needed() * EASILY / CLEARLY, abs=1e-4)


def test_only_days_on_which_all_three_spoke_are_compared(setup: Setup) -> None:
    """The challenger came late, to easier days: the others are measured on the same."""
    early, late = standing(0.60, 0.55, None), standing(0.90, 0.85, 0.91)
    held = Standing(early.recent + late.recent, hits=800, counted=4000)
    assert held.three is not None and held.three.model == pytest.approx(0.90)
    assert by(setup, held)[0] == "model", "0.91 is no lead of a third"


def test_what_it_was_decided_on_is_the_same_for_equal_figures(setup: Setup) -> None:
    one = decide(setup, standing(0.7, 0.6, 0.72), challenger=True)
    assert one == decide(setup, standing(0.7, 0.6, 0.72), challenger=True)
    assert one.why["challenger"] == "not_clearly_better"
    assert decide(setup, standing(0.7, 0.6, None), challenger=True).why["challenger"] == "silent"
