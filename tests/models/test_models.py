from __future__ import annotations

import random
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import linear_model, optim

from models.features import Schema, extract
from models.items import ItemSpec
from models.labels import label
from models.learner import Learner, TrainingBlock
from models.memory import HITS, NEGATIVES, Kept, Memory, priority
from models.online import AVERAGE_EVERY, INTERCEPT_RATE, L2, LEARNING_RATE, OnlineModel
from models.student_state import Outcome, Spell, StudentState, from_bytes, to_bytes

DAY = date(2031, 4, 7).toordinal()
ABSENT = ItemSpec(id="absent", kind="count", worse="high")
MOOD = ItemSpec(id="mood", kind="measure", worse="high")
FLAG = ItemSpec(id="flag", kind="flag", worse="high")
SCHEMA = Schema([MOOD, FLAG, ABSENT])


def on_roll(start: int = DAY, until: int | None = None) -> StudentState:
    return StudentState(roll=[Spell(start, until, "s", "c", 5)])


def values(state: StudentState, day: int) -> dict[str, float]:
    block = extract(SCHEMA, ["k"], [state], day).block
    return dict(zip(SCHEMA.names, block[0].tolist(), strict=True))


# -- features ----


def test_a_count_by_hand() -> None:
    state = on_roll()
    for step, amount in ((0, 1.0), (30, 2.0), (38, 4.0), (40, 3.0)):
        state.put(ABSENT, DAY + step, amount, DAY + step)
    day = DAY + 41  # 42 days on the roll
    row = values(state, day)
    assert row["absent:rate7"] == pytest.approx((7 / 7) ** 0.5)
    assert row["absent:rate28"] == pytest.approx((9 / 28) ** 0.5)
    assert row["absent:rate_ever"] == pytest.approx((10 / 42) ** 0.5)
    assert row["absent:change28"] == pytest.approx((9 / 28) ** 0.5 - (1 / 14) ** 0.5)
    assert row["absent:active28"] == pytest.approx(3 / 28)
    assert row["absent:since"] == pytest.approx(1.0)
    assert row["roll:days"] == pytest.approx(42**0.5)


def test_a_measure_by_hand() -> None:
    state = on_roll()
    for step, value in ((0, 1.0), (10, 1.0), (20, 1.0), (39, 3.0), (40, 3.0)):
        state.put(MOOD, DAY + step, value, DAY + step)
    state.put_refused(MOOD, DAY + 41, DAY + 41)
    row = values(state, DAY + 41)
    assert row["mood:last"] == 3 and row["mood:mean7"] == 3
    assert row["mood:mean_ever"] == pytest.approx(9 / 5)
    assert row["mood:change"] == pytest.approx(2.0)
    assert row["mood:bad_run"] == 2 and row["mood:missing"] == 1
    assert row["mood:seen28"] == pytest.approx(3**0.5)
    assert values(on_roll(), DAY + 1)["mood:missing"] == 1, "never seen is missing"


observations = st.lists(
    st.tuples(st.sampled_from([ABSENT, MOOD, FLAG]), st.integers(0, 120), st.integers(0, 4)),
    max_size=60,
    unique_by=lambda o: (o[0].id, o[1]),
)


@settings(deadline=None)
@given(observations, st.integers(0, 120))
def test_nothing_after_the_day_moves_a_feature(
    seen: list[tuple[ItemSpec, int, int]], until: int
) -> None:
    whole, past = on_roll(), on_roll()
    for spec, step, value in sorted(seen, key=lambda o: o[1]):
        whole.put(spec, DAY + step, float(value), DAY + until + 1)
        if step <= until:
            past.put(spec, DAY + step, float(value), DAY + until + 1)
    assert values(whole, DAY + until) == values(past, DAY + until)


@settings(deadline=None)
@given(observations, st.randoms(use_true_random=False))
def test_late_facts_end_up_in_their_day(
    seen: list[tuple[ItemSpec, int, int]], dice: random.Random
) -> None:
    """Whole numbers, so that sums are exact: any order of arrival gives the same features."""
    in_time, late = on_roll(), on_roll()
    for spec, step, value in sorted(seen, key=lambda o: o[1]):
        in_time.put(spec, DAY + step, float(value), DAY + step)
    shuffled = list(seen)
    dice.shuffle(shuffled)
    for spec, step, value in shuffled:
        late.put(spec, DAY + step, float(value), DAY + 121)
    assert values(in_time, DAY + 121) == values(late, DAY + 121)


@given(observations)
def test_state_bytes_round_trip(seen: list[tuple[ItemSpec, int, int]]) -> None:
    state = on_roll(until=DAY + 200)
    for spec, step, value in seen:
        state.put(spec, DAY + step, value / 3, DAY + 121)
    state.put_outcome(Outcome(DAY + 3, DAY + 30, None))
    state.scores, state.marks = [(DAY, 0.125)], [(4.0, False)]
    data = to_bytes(state)
    assert to_bytes(from_bytes(data)) == data and from_bytes(data) == state


def test_equal_students_have_equal_rows_anywhere() -> None:
    dice = random.Random(3)
    states = []
    for _ in range(31):
        state = on_roll()
        for step in range(60):
            if dice.random() < 0.2:
                state.put(ABSENT, DAY + step, dice.random(), DAY + step)
                state.put(MOOD, DAY + step, dice.random(), DAY + step)
        states.append(state)
    twin = from_bytes(to_bytes(states[0]))
    found = extract(SCHEMA, [str(n) for n in range(32)], [*states, twin], DAY + 60)
    assert found.block[0].tobytes() == found.block[31].tobytes()
    backwards = extract(SCHEMA, [str(n) for n in range(32)], [twin, *states[::-1]], DAY + 60)
    assert np.array_equal(backwards.block[1:], found.block[:31][::-1])


def test_the_schema_hash_knows_what_matters() -> None:
    assert Schema([ABSENT, MOOD, FLAG]).hash == SCHEMA.hash
    other = ItemSpec(id="absent", kind="count", worse="low")
    assert Schema([other, MOOD, FLAG]).hash != SCHEMA.hash
    assert len(extract(SCHEMA, [], [], DAY).block) == 0


def test_roll_days_over_two_spells() -> None:
    state = on_roll(DAY, DAY + 10)
    state.enrol(Spell(DAY + 10, DAY + 20, "s", "d", 6))
    state.enrol(Spell(DAY + 30, None, "s", "e", 6))
    assert state.days_on_roll(DAY + 34) == (25, 5)
    assert state.days_on_roll(DAY + 14) == (15, 15)
    assert state.spell_on(DAY + 25) is None


# -- labels ----


def test_labels_of_the_format() -> None:
    state = on_roll()
    state.outcomes = [Outcome(DAY + 20, DAY + 30, DAY + 40), Outcome(DAY + 90, DAY + 95, None)]
    assert label(state, DAY, 20) is True
    assert label(state, DAY, 19) is False
    assert label(state, DAY + 20, 28) is None, "inside from the day it began"
    assert label(state, DAY + 39, 28) is None
    assert label(state, DAY + 40, 28) is False, "at risk again from over_on"
    assert label(state, DAY + 62, 28) is True
    assert label(state, DAY + 300, 28) is None, "never over"
    point = StudentState(outcomes=[Outcome(DAY, DAY, DAY)])
    assert label(point, DAY, 28) is False, "a point event holds on no day"


# -- online model ----

NAMES = tuple(f"f{n:02d}" for n in range(20))


def taught(rows: int, seed: int = 1) -> OnlineModel:
    dice = random.Random(seed)
    model = OnlineModel(NAMES)
    for _ in range(rows):
        row = [dice.gauss(0, 1 + at) for at in range(20)] + [1.0]
        model.learn(row, row[0] + dice.gauss(0, 0.3) > 0)
    return model


@pytest.mark.parametrize("rows", [0, 1, 300])
def test_model_bytes_round_trip_and_go_on_alike(rows: int) -> None:
    model = taught(rows)
    again = OnlineModel.from_bytes(NAMES, model.to_bytes())
    assert again.to_bytes() == model.to_bytes()
    dice = random.Random(9)
    for _ in range(100):
        row = [dice.gauss(0, 2) for _ in model.names]
        for one in (model, again):
            one.learn(row, row[3] > 0)
    assert again.to_bytes() == model.to_bytes()


def test_folded_score_is_rivers_own() -> None:
    model = taught(500)
    dice = random.Random(5)
    block = np.array([[dice.gauss(0, 3) for _ in model.names] for _ in range(50)], dtype=np.float32)
    assert np.corrcoef(model.folded().score(block), block[:, 0])[0, 1] > 0.9, "as it was taught"
    # River itself knows the latest weights only: with those as the average the two are one.
    model.average, model.average_intercept = model.latest(), model.regression.intercept
    folded = model.folded()
    odds = folded.score(block)
    for row, found in zip(block, odds, strict=True):
        own = model.predict(row.tolist())
        assert 1 / (1 + np.exp(-float(found))) == pytest.approx(own, abs=1e-5)
        parts = folded.contributions(row).sum()
        average = folded.constant + folded.weights @ folded.means
        assert parts + average == pytest.approx(float(found), abs=1e-4)


def test_the_weights_that_judge_are_a_running_average() -> None:
    model, dice, seen = OnlineModel(NAMES), random.Random(4), []
    for _ in range(10 * AVERAGE_EVERY):
        row = [dice.gauss(0, 1) for _ in model.names]
        model.learn(row, row[1] > 0)
        seen.append(model.latest())
    wanted = np.mean(seen[AVERAGE_EVERY - 1 :: AVERAGE_EVERY], axis=0)
    assert np.allclose(model.average, wanted) and not np.allclose(model.average, seen[-1])


def test_a_model_that_has_learned_little_follows_the_rule() -> None:
    model, dice = OnlineModel(NAMES), random.Random(6)
    model.begin(10, 40)
    for _ in range(40):
        rule = dice.gauss(0, 1)
        model.learn([dice.gauss(0, 1) for _ in NAMES] + [rule], rule > 0.5)
    block = np.array([[dice.gauss(0, 1) for _ in model.names] for _ in range(200)], dtype="<f4")
    assert np.corrcoef(model.folded().score(block), block[:, -1])[0, 1] > 0.7


def test_our_adagrad_is_rivers_to_the_bit() -> None:
    model, dice = OnlineModel(NAMES), random.Random(2)
    plain = linear_model.LogisticRegression(
        optim.AdaGrad(LEARNING_RATE), l2=L2, intercept_lr=INTERCEPT_RATE
    )
    for _ in range(200):
        x = {name: dice.gauss(0, 1) for name in NAMES}
        for one in (model.regression, plain):
            one.learn_one(x, x["f01"] > 0.5, 0.7)
    assert plain.weights == model.regression.weights and plain.intercept != 0
    assert plain.intercept == model.regression.intercept


def test_bytes_of_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="columns"):
        OnlineModel.from_bytes(NAMES[:-1], taught(3).to_bytes())


# -- memory and learner ----


def kept(n: int) -> Kept:
    return Kept(priority(f"k{n}", 5), f"k{n}", b"\0" * 8)


def test_memory_is_the_same_in_any_order_and_bounded() -> None:
    one, other = Memory(), Memory()
    every = [kept(n) for n in range(2000)]
    one.add(every[:700], every[700:])
    for at in range(700, 0, -70):
        other.add(every[at - 70 : at], [])
    other.add([], every[1300:])
    other.add([], every[700:1300])
    assert (one.hits, one.negatives) == (other.hits, other.negatives)
    assert (len(one.hits), len(one.negatives)) == (HITS, NEGATIVES)
    assert one.rows(2).shape == (HITS + NEGATIVES, 2)
    hits, weights = one.labels()
    assert hits.sum() == HITS and weights.sum() == pytest.approx(HITS + NEGATIVES)
    assert weights[hits].sum() / weights.sum() == pytest.approx(700 / 2000), "as it occurred"
    student = one.hits[0].student
    assert one.forget(student) and not one.forget(student)


def block(
    learner: Learner, day: int, learned: int, students: int = 40
) -> tuple[TrainingBlock, list[bool | None]]:
    dice = random.Random(day)
    hits: list[bool | None] = [dice.random() < 0.3 for _ in range(students)]
    rows = np.array(
        [[dice.gauss(2.0 * bool(hit), 1) for _ in learner.names] + [0.0] for hit in hits],
        dtype="<f4",
    )
    raw = learner.folded().score(rows).astype("<f4")
    return (
        TrainingBlock(
            day, "h", learned, [f"k{n:02d}" for n in range(students)], ["g"] * students,
            raw.tobytes(), rows.tobytes(),
        ),
        hits,
    )  # fmt: skip


def test_learner_measures_before_it_learns_and_comes_back_from_bytes() -> None:
    learner = Learner(NAMES, "h")
    for day in range(1, 6):
        learner.settle(*block(learner, day, learner.online.steps))
        if day == 1:
            assert learner.standing.auc_model is None, "an untaught model is not measured"
    assert learner.standing.auc_model is not None and learner.standing.auc_model > 0.9
    assert learner.standing.auc_rules == pytest.approx(0.5), "all rules' points were equal"
    again = Learner(NAMES, "h")
    again.restore(learner.model_bytes(), learner.memory_bytes())
    next_day = block(learner, 7, 1)
    for one in (learner, again):
        one.settle(*next_day)
    assert again.model_bytes() == learner.model_bytes()
    assert again.memory_bytes() == learner.memory_bytes()
    with pytest.raises(ValueError, match="columns"):
        Learner(NAMES, "other").settle(*block(learner, 8, 1))


def test_what_does_not_count_is_not_learned() -> None:
    learner = Learner(NAMES, "h")
    found, _ = block(learner, 1, 0)
    before = learner.model_bytes()
    learner.settle(found, [None] * 40)
    assert learner.model_bytes() == before
