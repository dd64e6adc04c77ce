"""Drift: found when a distribution moves, a feed stops or a model goes wrong, and not by chance."""

from __future__ import annotations

from datetime import date

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.drift import MONTHS, Item, Watch, by_chance, of_item, of_model, stability

DAY = date(2031, 4, 7).toordinal()
rng = np.random.default_rng


def months(values: list[np.ndarray], last_on: int | None = None) -> Watch:
    watch = Watch()
    for step, given_ in enumerate(values):
        day = DAY + 28 * step
        watch.look("it", day, given_.tolist(), day if last_on is None else last_on)
        watch.looked_on = day
    return watch


def state(watch: Watch) -> str:
    return of_item("it", watch.items["it"], watch.looked_on).state


def test_the_same_distribution_is_steady_however_few_children() -> None:
    for children in (25, 60, 400, 5000):
        alarms = 0
        for seed in range(20):
            dice = rng(seed)
            alarms += state(months([dice.poisson(2, children) * 1.0 for _ in range(6)])) != "steady"
        assert alarms <= 1, children


def test_a_moved_distribution_is_told() -> None:
    dice = rng(1)
    values = [dice.normal(0, 1, 500) for _ in range(5)]
    assert state(months([*values, dice.normal(1.2, 1, 500)])) == "marked"
    assert state(months([*values, dice.normal(0.45, 1, 2000)])) in ("slight", "marked")
    only_unknown = values[-1].copy()
    only_unknown[::2] = np.nan
    assert state(months([*values, only_unknown])) == "marked", "half are not known any more"


def test_against_last_month_and_against_before_are_two_questions() -> None:
    dice = rng(2)
    low, high = [dice.normal(0, 1, 800) for _ in range(4)], [dice.normal(2, 1, 800) for _ in "ab"]
    told = of_item("it", months([*low, *high]).items["it"], DAY + 28 * 5)
    assert told.against_last is not None and told.against_usual is not None
    assert told.against_last < 0.1 < 0.25 < told.against_usual
    assert told.state == "marked"


def test_a_vacation_is_no_drift_and_neither_is_its_end() -> None:
    dice = rng(4)
    values = [dice.poisson(2, 400) * 1.0 for _ in range(7)]
    values[3] = np.zeros(400)  # nothing can come
    values[6] = dice.poisson(7, 400) * 1.0  # and here something did change
    days = [DAY + 28 * n for n in range(7)]
    lessons = [day for day in range(DAY - 28, days[-1] + 1)
               if day % 7 < 5 and not days[2] < day <= days[3]]  # fmt: skip
    held = months(values).items["it"]
    by_month = [
        of_item("it", Item(held.edges, held.months[:n], min(day, days[2]) if n == 4 else day), day,
                lessons=lessons)
        for n, day in enumerate(days, 1)
    ]  # fmt: skip
    assert [one.state for one in by_month] == [
        "new", "steady", "steady", "vacation", "steady", "steady", "marked",
    ]  # fmt: skip
    vacation, after = by_month[3], by_month[4]
    assert vacation.against_last is None is vacation.against_usual
    assert after.against_last is not None and after.against_last < 0.1, (
        "against the month before it"
    )
    # Without a calendar all three would be told.
    plain = [of_item("it", Item(held.edges, held.months[:n], days[n - 1]), days[n - 1]).state
             for n in (4, 5)]  # fmt: skip
    assert plain == ["marked", "marked"]


def test_silence_is_counted_in_school_days_where_only_they_bring_anything() -> None:
    held = months([rng(5).poisson(2, 50) * 1.0 for _ in range(4)], last_on=DAY + 56).items["it"]
    until = DAY + 84 + 20
    lessons = list(range(DAY - 28, until + 1))
    assert of_item("it", held, until, lessons=lessons).state == "silent"
    closed = [day for day in lessons if not DAY + 60 < day <= DAY + 95]
    assert of_item("it", held, until, lessons=closed).state != "silent"
    assert of_item("it", held, until).state == "silent"


def test_a_silent_feed_is_told_before_all_else() -> None:
    dice = rng(3)
    watch = months([dice.poisson(1, 300) * 1.0 for _ in range(3)])
    day = DAY + 28 * 3
    watch.look("it", day, [0.0] * 300, DAY + 28 * 2)
    watch.looked_on = day
    assert of_item("it", watch.items["it"], day + 1).state == "silent"
    patient = of_item("it", watch.items["it"], day + 1, patience=400)
    assert patient.state != "silent", "an item of once a year is not silent after a month"
    never = Watch()
    never.look("it", DAY, [0.0] * 300, 0)
    assert of_item("it", never.items["it"], DAY).state == "new"


def test_what_is_kept_is_bounded_and_comes_back() -> None:
    dice = rng(4)
    watch = months([dice.normal(0, 1, 50) for _ in range(40)])
    assert len(watch.items["it"].months) == MONTHS
    for step in range(300):
        watch.settle(DAY + step, np.zeros(4), np.array([True, False, False, True]))
    data = msgspec.msgpack.encode(watch, order="deterministic")
    assert len(data) < 10_000
    again = msgspec.msgpack.decode(data, type=Watch)
    assert msgspec.msgpack.encode(again, order="deterministic") == data


counts = st.lists(st.integers(0, 200), min_size=2, max_size=7)


@settings(deadline=None)
@given(counts, st.integers(1, 5))
def test_the_index_is_nought_for_the_same_and_never_negative(row: list[int], times: int) -> None:
    assert stability(row, row) == pytest.approx(0.0)
    other = [times * n for n in reversed(row)]
    assert stability(row, other) >= 0
    assert by_chance(row, other) > 0


def settled(days: int, wrong_from: int | None, *, seed: int = 5) -> Watch:
    dice, watch = rng(seed), Watch()
    for step in range(days):
        odds = dice.normal(-2.5, 1.0, 400)
        truth = 1 / (1 + np.exp(-odds))
        if wrong_from is not None and step >= wrong_from:
            odds = -odds - 5.0  # the model says the opposite of what happens
        watch.settle(DAY + 7 * step, odds, dice.random(400) < truth)
    return watch


def test_a_model_that_says_what_happens_is_left_alone() -> None:
    for seed in range(6):
        assert settled(60, None, seed=seed).changed_on == 0
    watch = settled(40, None)
    told = of_model(watch, horizon=28)
    assert told is not None and abs(told.stated - told.happened) < told.doubt


def test_a_model_that_went_wrong_is_told_with_the_day() -> None:
    watch = settled(40, 24)
    assert watch.worse
    assert abs(watch.changed_on - (DAY + 7 * 24)) <= 7 * 8
    assert of_model(Watch(), 28) is None


def test_stating_too_much_is_beyond_chance() -> None:
    dice, watch = rng(6), Watch()
    for step in range(10):
        watch.settle(DAY + 7 * step, np.full(600, 0.0), dice.random(600) < 0.2)
    told = of_model(watch, horizon=28)
    assert told is not None and told.stated - told.happened > told.doubt
    assert told.stated == pytest.approx(0.5)
