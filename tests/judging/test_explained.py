"""What is frozen with an entry beside its reasons: since the last list, and what would take it off.

The town is judged once; every claim in the evidence is then tried in another way than it was made.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from models.features import extract
from models.student_state import StudentState, from_bytes, to_bytes
from tests.judging.town import BOARD, days_of_events, small_setup
from warning_service.events.types import Event
from warning_service.judging.judge import Judge
from warning_service.judging.picking.lists import probability
from warning_service.judging.picking.siblings import FromSiblings
from warning_service.judging.publish import Published
from warning_service.judging.telling import formula, off_list, reachable

SETUP = small_setup()
Made = tuple[Published, dict[str, StudentState]]


@pytest.fixture(scope="module")
def made() -> list[Made]:
    """Every list of the town, and all children's states as of it."""
    blocks: dict[int, bytes] = {}
    judge, position, found = Judge(BOARD, SETUP, blocks.__getitem__), 0, []
    for events in days_of_events(120, 60):
        for e in events:
            position += 1
            judge.take(
                Event(
                    position=position, id=e.id, board=e.board, student=e.student, on=e.on,
                    recorded_at=datetime(2000, 1, 1, tzinfo=UTC), actor=e.actor, body=e.body,
                )
            )  # fmt: skip
            changes = judge.collect()
            blocks.update(changes.blocks)
            for published in changes.lists:
                states = {key: from_bytes(to_bytes(s)) for key, s in judge.students.items()}
                found.append((published, states))
    return found


def kept(published: Published) -> formula.Formula:
    found = formula.kept_in(json.loads(published.row["judge_why"]))
    assert found is not None
    assert found.fits(SETUP)
    return found


def scores(made_by: formula.Formula, states: list[StudentState]) -> list[float]:
    return [
        probability(z)
        for z in made_by.scores(*made_by.judged(SETUP, states, FromSiblings())).tolist()
    ]


def evidence(entry: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(entry["evidence"])
    return told


def test_every_score_comes_out_of_the_formula_kept_with_the_list(made: list[Made]) -> None:
    judges = set()
    for published, states in made:
        rows = published.scores
        again = scores(kept(published), [states[row["student"]] for row in rows])
        assert again == [row["score"] for row in rows]
        assert scores(kept(published), [states[rows[-1]["student"]]]) == again[-1:], "one by itself"
        judges.add(published.row["judge"])
    assert judges == {"rules", "model"}


def off(published: Published, states: dict[str, StudentState], student: str, wish: Any) -> bool:
    """Would the child be off the list? By hand: its new score among all others' old ones."""
    made_by = kept(published)
    changed = reachable.changed(states[student], made_by.until, wish)
    exact = published.row["judge"] == "rules"
    was = states[student]
    found, judged = made_by.judged(SETUP, [changed], FromSiblings(), was=was)
    new = float(judged.total[0]) if exact else probability(float(made_by.scores(found, judged)[0]))
    column = "rules_score" if exact else "score"
    ranked = sorted(
        (-(new if row["student"] == student else row[column]), row["student"])
        for row in published.scores
    )
    places = [key for _, key in ranked]
    return places.index(student) >= published.row["budget"]


def from_where_on(each: list[bool]) -> list[int]:
    """The steps from which on every one is off the list: "or less" has to hold for all of them."""
    return [step for step in range(len(each)) if all(each[step:])]


@pytest.mark.parametrize(
    ("each", "step"),
    [([], 0), ([True], 0), ([False], 1), ([True, False], 2), ([True, False, True], 2),
     ([False, True, True], 1), ([False, True, False], 3)],
)  # fmt: skip
def test_less_is_only_said_where_every_lesser_amount_would_do(each: list[bool], step: int) -> None:
    assert off_list._from(each) == step


def tried(entry: dict[str, Any], states: dict[str, StudentState], until: int) -> list[Any]:
    return reachable.reachable(SETUP.uses, states[entry["student"]], until)


def test_what_takes_a_child_off_the_list_does_and_nothing_smaller_would(made: list[Made]) -> None:
    ways = set()
    for published, states in made:
        ranked = [states[row["student"]] for row in published.scores]
        if any(state.supported_on for state in ranked):
            continue  # places are then not by the score alone
        for entry in published.entries:
            told, student = evidence(entry)["off_list"], entry["student"]
            facts = tried(entry, states, kept(published).until)
            alone = {
                now.use.spec.id: from_where_on(
                    [off(published, states, student, {now: value}) for value in now.steps]
                )
                for now in facts
            }
            ways.add(told["way"])
            if told["way"] == "one":
                for line in told["lines"]:
                    (item,) = line["items"]
                    now = next(now for now in facts if now.use.spec.id == item)
                    first = now.steps[alone[item][0]]
                    assert line["text_ja"] == reachable.words(now, first).ja
            else:
                assert not any(alone.values())
            if told["way"] in ("nothing", "no_facts"):
                best = {now: now.steps[-1] for now in facts}
                assert not off(published, states, student, best) or not facts
            assert (told["way"] == "no_facts") == (not facts)
    assert {"one", "together"} <= ways and ways & {"nothing", "no_facts"}


def test_a_changed_fact_gives_what_the_school_so_changed_gives(made: list[Made]) -> None:
    """The school's means move with the child: the row is that of everybody placed anew."""
    moved = 0
    for published, states in made[-2:]:
        made_by, day = kept(published), published.row["list_date"].toordinal()
        there = {
            key: state
            for key, state in sorted(states.items())
            if (spell := state.spell_on(day)) and spell.school == published.row["school"]
        }
        for entry in published.entries:
            student = entry["student"]
            for now in tried(entry, states, made_by.until):
                changed = reachable.changed(states[student], made_by.until, {now: now.steps[-1]})
                school = {**there, student: changed}
                whole = extract(SETUP.schema, list(school), list(school.values()), made_by.until)
                was = states[student]
                told, _ = made_by.judged(SETUP, [changed, was], FromSiblings(), was=was)
                row = whole.block[whole.students.index(student)]
                np.testing.assert_allclose(told.block[0], row, rtol=2e-7, atol=1e-7)
                alone, _ = made_by.judged(SETUP, [changed, was], FromSiblings())
                assert (told.block[1] == alone.block[1]).all(), "as it was: to the last digit"
                moved += bool((told.block[0] != alone.block[0]).any())
    assert moved > 3


def test_scales_from_before_they_counted_are_read(made: list[Made]) -> None:
    found = kept(made[-1][0])
    old = {name: (scale.mean, scale.spread) for name, scale in found.scales.items()}
    data = msgspec.msgpack.encode(msgspec.structs.replace(found, scales=old))
    read = msgspec.msgpack.decode(data, type=formula.Formula)
    assert {scale.of for scale in read.scales.values()} == {0}
    state = made[-1][1][made[-1][0].entries[0]["student"]]
    assert scores(read, [state]) == scores(found, [state])


def test_a_change_leaves_the_childs_own_state_alone(made: list[Made]) -> None:
    published, states = made[-1]
    for entry in published.entries:
        state = states[entry["student"]]
        before = to_bytes(state)
        for now in tried(entry, states, kept(published).until):
            reachable.changed(state, kept(published).until, {now: now.steps[-1]})
        assert to_bytes(state) == before


def test_since_the_last_list_tells_score_and_facts_of_both_dates(made: list[Made]) -> None:
    ways, judges, compared = set(), set(), 0
    earlier: dict[str, tuple[Published, dict[str, StudentState]]] = {}
    for published, states in made:
        school = published.row["school"]
        for entry in published.entries:
            told = evidence(entry)["since_last"]
            ways.add(told["way"])
            if school not in earlier:
                assert told == {"way": "first"}
                continue
            old_list, old_states = earlier[school]
            old = next(r for r in old_list.scores if r["student"] == entry["student"])
            assert told["since"] == old_list.row["list_date"].isoformat()
            assert (told["score_before"], told["score"]) == (old["score"], entry["score"])
            assert (told["way"] == "entering") == (not old["listed"])
            new = next(r for r in published.scores if r["student"] == entry["student"])
            assert (told["mark_before"], told["mark"]) == (old["rules_score"], new["rules_score"])
            both = (one.entries[0]["evidence"] for one in (old_list, published))
            measured = all(json.loads(text)["probability"] is not None for text in both)
            assert told["by"] == ("chance" if measured else "rule")
            then, then_now = "score" if measured else "mark", told["score" if measured else "mark"]
            if told["way"] == "rising":
                assert then_now > told[f"{then}_before"]
            if told["way"] == "falling":
                assert then_now < told[f"{then}_before"]
            judges.add(told["by"])
            trend = evidence(entry)["trend"]
            assert [trend[-2]["score"], trend[-1]["score"]] == [told[f"{then}_before"], then_now]
            was, now = (
                _absent(held[entry["student"]], kept(one).until)
                for one, held in ((old_list, old_states), (published, states))
            )
            said = [line for line in told["worse"] if line["item"] == "absent_days"]
            assert bool(said) == (now > was)
            if said:
                assert said[0]["text_ja"] == f"欠席 28日で{was:.0f}日 → {now:.0f}日"
                compared += 1
        earlier[school] = (published, states)
    assert compared and {"first", "entering"} <= ways and judges == {"chance", "rule"}


def _absent(state: StudentState, until: int) -> float:
    held = state.items.get("absent_days")
    if held is None:
        return 0.0
    days = zip(held.days, held.values, strict=True)
    return sum(value for day, value in days if until - 28 < day <= until)


def test_use_that_was_stopped_is_forgotten_in_what_is_remembered(made: list[Made]) -> None:
    _, states = made[-1]
    state = next(s for s in states.values() if s.levels)
    copy = from_bytes(to_bytes(state))
    copy.stop(("absent_days",), 800000)
    assert not copy.levels and "absent_days" not in copy.items


def test_a_formula_of_another_way_of_judging_is_not_used(made: list[Made]) -> None:
    published, _ = made[-1]
    why = json.loads(published.row["judge_why"])
    assert formula.kept_in({**why, formula.KEY: "bm90IG9uZQ=="}) is None
    assert formula.kept_in({}) is None
    other = msgspec.structs.replace(kept(published), playbook="another:1:00")
    assert not other.fits(SETUP)
