"""The challenger: deterministic, forgetful when asked, exact in its own arithmetic."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from models import challenger
from models.challenger import FOLDS, LEAST_HITS, Challenger, Forest, _boosted, _forest, halved
from models.memory import priority

COLUMNS = 8


def taught(days: int = 12, students: int = 60, columns: int = COLUMNS) -> Challenger:
    dice = np.random.default_rng(3)
    made = Challenger(columns)
    for day in range(days):
        names = [f"k{n:03d}" for n in range(students)]
        rows = dice.standard_normal((students, columns + 1)).astype(np.float32)
        chance = 1 / (1 + np.exp(-(2 * rows[:, 0] * (rows[:, 1] > 0) - 1)))
        hits = dice.random(students) < chance
        made.add(names, [priority(name, day) for name in names], hits, rows)
    return made


@pytest.fixture(scope="module")
def fitted() -> Challenger:
    made = taught()
    assert made.fit(1)
    assert made.forest is not None
    return made


def some_rows(n: int = 300) -> np.ndarray:
    return np.random.default_rng(9).standard_normal((n, COLUMNS)).astype(np.float32)


def test_it_is_silent_before_enough_hits() -> None:
    made = Challenger(COLUMNS)
    names = [f"k{n}" for n in range(400)]
    hits = np.arange(400) < LEAST_HITS - 1
    rows = np.random.default_rng(1).standard_normal((400, COLUMNS)).astype(np.float32)
    made.add(names, [priority(name, 1) for name in names], hits, rows)
    assert made.fit(5) and made.forest is None
    assert made.score(rows) is None
    assert not made.fit(5), "once for a date, silent or not"


def test_it_waits_until_a_quarter_more_is_known(fitted: Challenger) -> None:
    made = Challenger(COLUMNS)
    made.restore(fitted.to_bytes())
    before = made.forest
    hits, labels = made.fitted_from
    assert (hits, labels) == (made.sample.hits_seen, hits + made.sample.negatives_seen)
    more, rows = int(labels * 0.25), np.zeros((labels, COLUMNS), dtype=np.float32)
    names = [f"n{n}" for n in range(more + 1)]
    hashes = [priority(name, 99) for name in names]
    none = np.zeros(more + 1, dtype=bool)
    made.add(names[: more - 1], hashes[: more - 1], none[: more - 1], rows[: more - 1])
    assert made.fit(2) and made.forest is before, "asked for, but little is new"
    made.add(names[more - 1 :], hashes[more - 1 :], none[more - 1 :], rows[:2])
    assert not made.fit(2) and made.fit(3) and made.forest != before
    now = made.forest
    assert made.forget("n0") and made.fit(4) and made.forest != now, "a child taken out: at once"


def test_the_same_sample_gives_the_same_trees_in_any_order_of_arrival(fitted: Challenger) -> None:
    again = Challenger(COLUMNS)
    again.restore(fitted.to_bytes())
    assert again.to_bytes() == fitted.to_bytes()
    again.fitted_from = (0, 0)
    assert again.fit(2), "another date, and as if nothing had been known at the last fit"
    assert again.forest == fitted.forest
    assert fitted.forest is not None
    rows = some_rows()
    found = fitted.forest.score(rows)
    assert np.array_equal(fitted.forest.score(rows[::-1])[::-1], found)
    assert all(fitted.forest.score(rows[at : at + 1])[0] == found[at] for at in range(20))


def test_it_finds_what_no_line_through_the_data_shows(fitted: Challenger) -> None:
    rows = some_rows(2000)
    truth = 2 * rows[:, 0] * (rows[:, 1] > 0) - 1
    found = fitted.score(rows)
    assert found is not None
    assert np.corrcoef(found, truth)[0, 1] > 0.75


def test_our_walk_is_scikit_learns_own_score() -> None:
    made = taught()
    rows = made.sample.rows(COLUMNS, "<f2").astype(np.float32)
    labels, _ = made.sample.labels()
    part, wanted = _boosted(rows, labels, rows[::-1])
    ours = _forest([part] * FOLDS, (1.0, 0.0), 1, len(rows)).score(rows)
    assert np.allclose(ours, wanted[::-1], atol=1e-5)


def test_contributions_add_up_to_the_score(fitted: Challenger) -> None:
    forest = fitted.forest
    assert forest is not None
    values, roots = np.frombuffer(forest.values, "<f8"), np.frombuffer(forest.roots, "<i4")
    usual = (forest.base + values[roots].sum() / FOLDS) * forest.slope + forest.shift
    for row in some_rows(30):
        parts = forest.contributions(row)
        assert parts.sum() + usual == pytest.approx(float(forest.score(row[None, :])[0]), abs=1e-5)


def test_forgetting_a_child_is_never_having_had_it() -> None:
    whole, never = taught(), Challenger(COLUMNS)
    kept = [n for n in range(60) if n != 7]
    dice = np.random.default_rng(3)
    for day in range(12):
        rows = dice.standard_normal((60, COLUMNS + 1)).astype(np.float32)
        chance = 1 / (1 + np.exp(-(2 * rows[:, 0] * (rows[:, 1] > 0) - 1)))
        hits = dice.random(60) < chance
        names = [f"k{n:03d}" for n in kept]
        never.add(names, [priority(name, day) for name in names], hits[kept], rows[kept])
    assert whole.forget("k007") and not whole.forget("k007")
    assert (whole.sample.hits, whole.sample.negatives) == (
        never.sample.hits,
        never.sample.negatives,
    ), "a sample that is not full holds everything but the child"
    assert b"k007" not in whole.to_bytes()
    stored = taught().to_bytes()
    left = challenger.without(stored, ["k007"])
    assert left is not None and b"k007" not in left
    again = Challenger(COLUMNS)
    again.restore(left)
    assert again.fitted_from == (0, 0), "the next list fits without the child"
    assert challenger.without(left, ["k007"]) is None


def test_the_sample_is_bounded_and_uniform() -> None:
    wide = 200
    made = Challenger(wide)
    dice, most = random.Random(2), challenger.places(wide)
    for day in range(40):
        names = [f"k{n}" for n in range(200)]
        hits = np.array([dice.random() < 0.3 for _ in names])
        rows = np.zeros((200, wide), dtype=np.float32)
        made.add(names, [priority(name, day) for name in names], hits, rows)
    assert (len(made.sample.hits), len(made.sample.negatives)) == most
    assert made.sample.hits_seen + made.sample.negatives_seen == 8000
    assert len(made.to_bytes()) < challenger.SAMPLE_BYTES * 1.2
    days = {day for kept in made.sample.hits for day in range(40)
            if kept.priority == priority(kept.student, day)}  # fmt: skip
    assert len(days) > 35, "days early and late"


def test_large_numbers_do_not_overflow_half_precision() -> None:
    assert np.isfinite(halved(np.array([[1e9, -1e9]], dtype=np.float32))).all()


def test_a_forest_round_trips(fitted: Challenger) -> None:
    data = msgspec.msgpack.encode(fitted.forest)
    assert msgspec.msgpack.decode(data, type=Forest) == fitted.forest
