"""A list by types, levels, second screening, siblings and from the whole board, end to end."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from models.student_state import StudentState
from tests.judging.town import (
    BOARD,
    FIRST,
    SCHOOLS,
    _new,
    days_of_events,
    key,
    small_playbook,
    store,
)
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.events.types import (
    CheckInSubmitted,
    FollowUpRecorded,
    HouseholdKnown,
    ListDue,
    NewEvent,
    ObservationRecorded,
    OptOutRecorded,
    OptOutWithdrawn,
)
from warning_service.judging import queries
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.deriving.rebuild import rebuild
from warning_service.judging.judge import Judge
from warning_service.judging.picking import arrays
from warning_service.judging.picking.arrays import City
from warning_service.judging.picking.siblings import numbered
from warning_service.judging.rules import Flat
from warning_service.judging.setup import Setup, from_playbook
from warning_service.playbooks.model import Playbook

CHILDREN, DAYS = 44, 45
ON = FIRST + timedelta(days=DAYS)
NAMES: dict[str, str] = {"label": "名", "label_en": "name"}


def picking(**changed: Any) -> Playbook:
    """Points by two types, four ways onto the list, a second screening, levels, the whole board."""
    whole = small_playbook().model_dump()
    whole["hand_over"]["least_hits"] = 10_000  # the rule makes all of these lists
    whole["types"] = [{"id": "school", **NAMES, "at": 4}, {"id": "heart", **NAMES, "at": 3}]
    whole["items"] = [
        {"id": "absent_days", "points": 3, "at": 2, "types": ["school"]},
        {"id": "late_days", "points": 1.5, "at": 1, "types": ["school"]},
        {"id": "q.mood", "points": 2, "at": 1, "types": ["heart"]},
        {"id": "q.sleep", "points": 1, "at": 1, "types": ["heart"], "hidden": True},
    ]
    whole["judgement"] = {"method": "points", "sibling": {"at": 5, "points": 1}}
    whole["bands"] = {
        "scheme": "town.level", "scheme_label": "町のレベル", "scheme_label_en": "Level",
        "levels": [
            {"id": "A", "at": 6, "label": "高い", "label_en": "high"},
            {"id": "B", "share": 0.5, "label": "中", "label_en": "middle"},
            {"id": "C", "at": 0, "label": "低い", "label_en": "low"},
        ],
    }  # fmt: skip
    whole["list"] = {
        "cadence": "first_school_day_of_month", "scope": "board", "new_first": True,
        "supported_days": 60, "budget_places": 14,
        "picks": [
            {"id": "kind", "by": "type", **NAMES},
            {"id": "age", "by": "top_share", "share": 0.1, "each": "grade", **NAMES},
            {"id": "many", "by": "items", "n": 3, "unless": ["kind"], **NAMES},
            {"id": "home", "by": "siblings", **NAMES},
        ],
        "second": {
            "least": 1, "items": [{"id": "absent_days", "at": 2}, {"id": "q.mood", "at": 2}],
        },
        "later": [{"supported": True, **NAMES}],
    }  # fmt: skip
    whole.update(changed)
    return Playbook.model_validate(whole)


class Source:
    """Gives one playbook to the only board."""

    def __init__(self, playbook: Playbook) -> None:
        self.playbook = playbook

    def of(self, board: str) -> Playbook:
        return self.playbook


def town(*due: str) -> list[list[NewEvent]]:
    """The small town with households of three across both schools, and lists on the last day."""
    days = days_of_events(days=DAYS, children=CHILDREN)
    for events in days:
        events[:] = [event for event in events if not isinstance(event.body, ListDue)]
    for n in range(CHILDREN):
        lives = HouseholdKnown(household=f"h{n // 3}" if n % 7 else "")
        days[0].append(_new(FIRST, key(n), lives, "home", key(n)))
    days.append([_new(ON, None, ListDue(school=one), "due", one or "board") for one in due])
    return days


def play(log: Log, playbook: Playbook, days: list[list[NewEvent]]) -> list[tuple[Any, list[Any]]]:
    """Judge the log; the lists with their entries, by school."""
    store(log, days)
    Dispatcher(log, JudgingConsumer(log, Source(playbook)), BOARD).drain()
    with log.database.reading() as conn:
        found = [row for row in queries.lists_of_board(conn, BOARD) if row.list_date == ON]
        return [(row, queries.entries(conn, row.id)) for row in found]


def in_memory(playbook: Playbook, days: list[list[NewEvent]]) -> Judge:
    """The same without a database."""
    blocks: dict[int, bytes] = {}
    judge = Judge(BOARD, from_playbook(playbook), blocks.__getitem__)
    from warning_service.clock import at
    from warning_service.events.types import Event

    for position, new in enumerate((e for day in days for e in day), start=1):
        judge.take(
            Event(
                position=position, id=new.id, board=new.board, student=new.student, on=new.on,
                recorded_at=at(new.on), actor=new.actor, body=new.body,
            )
        )  # fmt: skip
        blocks.update(judge.changes.blocks)
    return judge


def as_arrays(setup: Setup, states: dict[str, StudentState], days: list[list[NewEvent]]) -> City:
    """The town read from its events once more, by other means, into arrays."""
    told: dict[str, list[tuple[int, int, float]]] = {use.spec.id: [] for use in setup.uses}
    supported = np.zeros(CHILDREN, dtype=np.int64)
    number = {key(n): n for n in range(CHILDREN)}
    for event in (e for day in days for e in day):
        if event.student is None:
            continue
        row, on = number[event.student], event.on.toordinal()
        if isinstance(event.body, ObservationRecorded):
            told[event.body.item].append((row, on, event.body.value))
        elif isinstance(event.body, CheckInSubmitted):
            for question, value in event.body.answers.items():
                if value is not None and f"q.{question}" in told:
                    told[f"q.{question}"].append((row, on, float(value)))
        elif isinstance(event.body, FollowUpRecorded):
            supported[row] = max(supported[row], on)
    facts = {}
    for item, rows in told.items():
        rows.sort(key=lambda one: one[:2])
        columns = [np.array([one[at] for one in rows]) for at in range(3)]
        facts[item] = Flat(columns[0], columns[1], columns[2].astype(float))
    day = ON.toordinal()
    return City(
        day, CHILDREN, facts,
        schools=np.array([n % 2 for n in range(CHILDREN)]),
        grades=np.full(CHILDREN, 5),
        households=numbered(f"h{n // 3}" if n % 7 else "" for n in range(CHILDREN)),
        supported_on=supported,
        present=np.array([not states[key(n)].inside_known(day) for n in range(CHILDREN)]),
    )  # fmt: skip


def test_the_lists_of_a_board_are_one_choice_frozen_with_its_reasons(log: Log) -> None:
    playbook, days = picking(), town("")
    lists = play(log, playbook, days)
    assert [row.school for row, _ in lists] == list(SCHOOLS)
    entries = [entry for _, held in lists for entry in held]
    assert 8 < len(entries) <= 14, "one budget for both schools"
    for row, held in lists:
        assert [entry.place for entry in held] == list(range(1, len(held) + 1))
        assert row.budget == len(held)
        why = queries.why_of(row)
        assert (why["scope"], why["budget"]) == ("board", 14)
        assert why["ranked_of_board"] == sum(one.ranked for one, _ in lists)
    setup = from_playbook(playbook)
    city = as_arrays(setup, in_memory(playbook, days).students, days)
    ((rows, made),) = arrays.choose(setup, city)
    expected = [key(n) for n in rows[made.rows].tolist()]
    told = {entry.student: queries.evidence_of(entry) for entry in entries}
    assert sorted(told, key=lambda one: told[one]["place_of_board"]) == expected
    judged, levels = arrays.judged(setup, city), arrays.levels_of(setup, city)
    seen = set()
    for place, child in enumerate(expected):
        found, n = told[child], int(child[1:])
        assert [pick["id"] for pick in found["picks"]] == list(made.picks[place])
        assert [kind["id"] for kind in found["types"] if kind["took"]] == list(made.types[place])
        assert [k["score"] for k in found["types"]] == judged.by_type[:, n].round(6).tolist()
        assert found["mark"] == round(float(judged.score[n]), 6)
        assert found["sibling_points"] == judged.sibling[n]
        assert found["level"]["key"] == f"town.level:{'ABC'[levels[n]]}"
        assert "home" in made.picks[place] or found["second"]["reached"] >= 1
        assert "q.sleep" not in {f["item"] for f in (*found["raising"], *found["lowering"])}
        lines = {f["item"]: f["share"] for f in found["raising"]}
        share = round(float(judged.sibling[n] / judged.total[n]), 4)
        assert abs(lines.get("household:sibling", 0.0) - share) < 2e-4
        seen |= {pick["id"] for pick in found["picks"]}
    assert seen >= {"kind", "home"} and len(set(levels[rows].tolist())) == 3
    assert {entry.level for entry in entries} >= {"town.level:A", "town.level:B"}
    assert judged.sibling.any() and not all(told[c]["sibling_points"] for c in told)
    report = rebuild(log, Source(playbook), BOARD)
    assert report.equal and report.lists == 2, report.differences


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_school_for_itself_knows_siblings_at_the_other(log: Log) -> None:
    playbook = picking()
    rule = playbook.list.model_copy(update={"scope": "school", "budget_places": 6})
    playbook = playbook.model_copy(update={"list": rule})
    days = town(*SCHOOLS)
    lists = play(log, playbook, days)
    setup = from_playbook(playbook)
    city = as_arrays(setup, in_memory(playbook, days).students, days)
    made = [[key(n) for n in rows[c.rows].tolist()] for rows, c in arrays.choose(setup, city)]
    assert [[entry.student for entry in held] for _, held in lists] == made
    points = arrays.judged(setup, city).sibling
    assert points.any()
    for _, held in lists:
        for entry in held:
            found = queries.evidence_of(entry)
            assert found["sibling_points"] == points[int(entry.student[1:])]


def test_the_order_of_the_days_events_changes_nothing() -> None:
    days = town("")
    first = in_memory(picking(), days).collect().lists
    dice = random.Random(5)
    for events in days[:-1]:
        # The close of the day stays the last; what came from where comes in any order.
        body = events[:-1]
        dice.shuffle(body)
        events[:] = [*body, events[-1]]
    again = in_memory(picking(), days).collect().lists
    assert [made.entries for made in first] == [made.entries for made in again]
    assert sum(len(made.entries) for made in first) > 8


def test_a_child_whose_family_refuses_neither_gives_nor_receives() -> None:
    days = town("")
    setup = from_playbook(picking())
    before = in_memory(picking(), days)
    city = as_arrays(setup, before.students, days)
    judged = arrays.judged(setup, city)
    assert city.households is not None
    # Whose score alone lifts its siblings: they lose the points with it.
    giver = next(
        n for n in range(CHILDREN)
        if judged.score[n] - judged.sibling[n] >= 5 and city.households[n] >= 0
        and sum(
            judged.score[m] - judged.sibling[m] >= 5
            for m in range(CHILDREN) if city.households[m] == city.households[n]
        ) == 1
        and (city.households == city.households[n]).sum() > 1
    )  # fmt: skip
    mates = [
        key(m)
        for m in range(CHILDREN)
        if m != giver and city.households[m] == city.households[giver]
    ]
    days[-1].insert(0, _new(ON - timedelta(days=1), key(giver), OptOutRecorded(), "no"))
    after = in_memory(picking(), days)
    assert key(giver) not in after.students
    assert after.away[key(giver)].homes, "kept, so that the family may change its mind"
    everybody = {row["student"]: row for made in after.changes.lists for row in made.scores}
    assert key(giver) not in everybody
    earlier = {row["student"]: row for made in before.changes.lists for row in made.scores}
    lost = [
        earlier[m]["rules_score"] - everybody[m]["rules_score"] for m in mates if m in everybody
    ]
    assert lost and all(points == 1 for points in lost)
    back = [*days[:-1], [*days[-1][:1]]]
    back.append([_new(ON, key(giver), OptOutWithdrawn(), "yes"), days[-1][-1]])
    again = in_memory(picking(), back)
    assert again.students[key(giver)].household_on(ON.toordinal())


def test_households_are_followed_by_day_and_a_move_takes_effect() -> None:
    state = StudentState()
    on = date(2026, 4, 8).toordinal()
    assert state.household_on(on) == ""
    assert state.live_in("h1", on) and state.live_in("h2", on + 30)
    assert not state.live_in("h2", on + 30)
    assert [state.household_on(on + n) for n in (-1, 0, 29, 30)] == ["", "h1", "h1", "h2"]
    assert state.live_in("", on + 60) and state.household_on(on + 90) == ""


def test_who_scores_nobody_makes_no_list_and_learns_nothing() -> None:
    whole = picking().model_dump()
    whole["judgement"], whole["review"]["of"] = {"method": "none"}, "cases"
    whole["list"] = {"cadence": "none", "new_first": True, "supported_days": 60}
    judge = in_memory(Playbook.model_validate(whole), town("", *SCHOOLS))
    assert not judge.changes.lists and not judge.changes.blocks and not judge.waiting


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("method", ["similarity", "formula"])
def test_likeness_and_formula_from_the_log_and_back(log: Log, method: str) -> None:
    judgement: dict[str, Any] = {"method": method}
    if method == "similarity":
        judgement["similar_to"] = {"supported": True, **NAMES}
    else:
        judgement["intercept"] = -2.0
    items = picking().model_dump()["items"]
    for item in items:
        item |= {"coefficient": 0.4 if method == "formula" else 0.0, "types": ()}
    mark = 0.3
    picks = [{"id": "risk", "by": "at_least", "at": mark, **NAMES}]
    rule = {**picking().model_dump()["list"], "picks": picks, "second": None, "later": ()}
    playbook = picking(items=items, judgement=judgement, bands=None, types=(), list=rule)
    playbook = Playbook.model_validate(playbook.model_dump())
    days = town("")
    for n in range(0, 12, 2):  # enough who were supported to weigh by
        done = FollowUpRecorded(
            follow_up_id=f"s{n}", action="talked", change="same", list_id=None, alert_id=None,
            sealed=None,
        )  # fmt: skip
        days[10].insert(0, _new(FIRST + timedelta(days=10), key(n), done, "done", key(n)))
    lists = play(log, playbook, days)
    setup = from_playbook(playbook)
    judge = in_memory(playbook, days)
    assert sum(judge.book.alike.values()) == pytest.approx(1.0 if method == "similarity" else 0.0)
    found = [queries.evidence_of(entry) for _, held in lists for entry in held]
    assert found and all(one["mark"] >= mark and one["method"] == method for one in found)
    everybody = {row["student"]: row for made in judge.changes.lists for row in made.scores}
    if method == "formula":  # not measured yet: the probability is the formula's own
        city = as_arrays(setup, judge.students, days)
        said = arrays.judged(setup, city)
        for child, row in everybody.items():
            assert abs(row["score"] - said.score[int(child[1:])]) < 1e-3
            assert row["rules_score"] == round(float(said.total[int(child[1:])]), 6)
    report = rebuild(log, Source(playbook), BOARD)
    assert report.equal, report.differences


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_refusal_in_a_household_leaves_the_models_exactly(log: Log) -> None:
    days = town("")
    refused = FIRST + timedelta(days=20)
    days[20].insert(0, _new(refused, key(3), OptOutRecorded(), "no"))
    # It moves afterwards: the roll is followed, so that the family may change its mind.
    moved = HouseholdKnown(household="elsewhere")
    days[30].insert(0, _new(FIRST + timedelta(days=30), key(3), moved, "moved"))
    lists = play(log, picking(), days)
    assert key(3) not in {entry.student for _, held in lists for entry in held}
    report = rebuild(log, Source(picking()), BOARD)
    assert report.equal and report.pending == 1, report.differences
    after = rebuild(log, Source(picking()), BOARD, replace=True)
    assert after.forgotten == [key(3)]
    last = rebuild(log, Source(picking()), BOARD)
    assert last.equal, last.differences
