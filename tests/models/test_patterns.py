"""Patterns of the week and the class, by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from models.features import Schema, extract
from models.items import ItemSpec
from models.patterns import first_after_days_off, met_on, patterns
from models.relative import Scales, excess, place, place_within
from models.student_state import Spell, StudentState

MONDAY = date(2031, 4, 7).toordinal()
ABSENT = ItemSpec(id="absent", kind="count", worse="high")
MOOD = ItemSpec(id="mood", kind="measure", worse="high")
SCHEMA = Schema([ABSENT, MOOD])


def child(absent: list[int], mood: dict[int, float] | None = None) -> StudentState:
    state = StudentState(roll=[Spell(MONDAY, None, "s", "c", 5)])
    for step in absent:
        state.put(ABSENT, MONDAY + step, 1.0, 0)
    for step, value in (mood or {}).items():
        state.put(MOOD, MONDAY + step, value, 0)
    return state


def town() -> list[StudentState]:
    """Three weeks of Monday to Friday, days off before the third; somebody answers every day."""
    met = [d for d in range(19) if d % 7 < 5 and not 11 <= d < 14]
    everyday = dict.fromkeys(met, 1.0)
    return [child([0, 7, 14], {0: 3.0, 7: 3.0, 2: 1.0}), child([1, 2, 16, 17, 18], everyday),
            *(child([3 + n % 2]) for n in range(6))]  # fmt: skip


def test_mondays_days_off_and_runs_by_hand() -> None:
    states = town()
    group = extract(SCHEMA, [f"k{n}" for n in range(8)], states, MONDAY + 18)
    met = met_on(group.items.values())
    assert (first_after_days_off(met) - MONDAY).tolist() == [14], "a weekend is no days off"
    found = patterns(group, ABSENT, ["a"] * 4 + ["b"] * 4)
    assert found["times"].tolist() == [3, 5, 1, 1, 1, 1, 1, 1]
    assert found["monday_times"].tolist()[:2] == [3, 0]
    chance = 3 / 14
    wanted = (3 - 3 * chance) / (3 * chance * (1 - chance) + 1) ** 0.5
    assert found["monday"][0] == pytest.approx(wanted) and found["monday"][1] < 0
    assert found["after_off_times"].tolist()[:2] == [1, 0]
    assert found["run"].tolist()[:3] == [0, 3, 0]
    assert found["sum14"].tolist()[:2] == [2, 3]
    moods = patterns(group, MOOD, ["a"] * 8)
    assert moods["monday"][0] == pytest.approx(2.0) and moods["after_off"][0] == 0.0
    assert moods["age"][:2].tolist() == [11, 0] and np.isnan(moods["age"][2])


def test_a_place_in_another_group_is_that_groups() -> None:
    states = town()
    names = [f"k{n}" for n in range(8)]
    group = extract(SCHEMA, names, states, MONDAY + 18)
    for at in range(8):
        alone = extract(SCHEMA, ["k"], [states[at]], MONDAY + 18, among=group.scales)
        assert (alone.block[0] == group.block[at]).all(), "as it stood among the others"
    assert extract(SCHEMA, ["k"], [states[1]], MONDAY + 18).block[0].tolist() != (
        group.block[1].tolist()
    )


def test_places_and_excess() -> None:
    values = np.array([1.0, 2.0, 3.0, 9.0])
    assert place_within(values, ["a", "a", "b", "b"]).tolist() == [-1.0, 1.0, -1.0, 1.0]
    assert place(values[:1]).tolist() == [0.0]
    assert excess(np.array([1.0]), np.array([1.0]), 0.2)[0] < 1.5, "one occasion is no habit"
    kept = Scales()
    first = kept.place("x", values)
    assert (Scales(kept.found).place("x", values[2:3]) == first[2:3]).all()
    assert Scales({}).place("x", values).tolist() == [0.0] * 4
