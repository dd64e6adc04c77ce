"""How often the outcome happens, before a single label is sure: from the days children were there.

A label of day T is sure after horizon and delay only; outcomes themselves are known much sooner.
So until the first labels settle, the rule's scores become probabilities by the rate at which
outcomes began per day on the roll, taken up to the last day by which all of them are known. It is
about the group of one list alone, and a little of an assumed rate is mixed in. Afterwards the
calibration of models/learner.py takes over. This never moves a place on a list, only the number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from models.student_state import StudentState
from warning_service.judging.setup import Setup

ASSUMED, ASSUMED_OVER = 0.1, 10.0
"""The rate assumed (one in ten within a horizon), as if seen over so many horizons of one child."""

SLOPE = 0.5
"""Log-odds for a point, shared among the items when many give some."""


def rate(states: Iterable[StudentState], day: int, horizon: int, delay: int) -> float:
    """The chance of an outcome within `horizon` days, between 0 and 1, from what is known on `day`.

    Children who are inside an outcome are not at risk of one.
    """
    sure = day - delay
    began, days = 0, 0
    for state in states:
        there, _ = state.days_on_roll(sure)
        for found in state.outcomes:
            if found.on <= sure and found.known_on <= day:
                began += 1
                over = sure + 1 if found.over_on is None else min(sure + 1, found.over_on)
                there -= over - found.on
        days += max(0, there)
    expected = (began + ASSUMED * ASSUMED_OVER) / (days / horizon + ASSUMED_OVER)
    return 1.0 - math.exp(-expected)


def assumed(
    setup: Setup, states: Iterable[StudentState], day: int, items: int
) -> tuple[float, float]:
    """(slope, shift) from a rule's total to log-odds while no label is sure.

    `items`: how many items give points; their sum spreads with its root.
    """
    chance = rate(states, day, setup.horizon, setup.delay)
    return SLOPE / math.sqrt(max(1, items)), math.log(chance / (1.0 - chance))
