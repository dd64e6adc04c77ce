"""Makes one school's warning list from the states in memory: ranks, places, levels, evidence.

Only facts up to the last closed day count (a list made at seven in the morning does not know the
day it is made on). Students inside a known outcome are left out, they are noticed already; those
whose family refused are not even read. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec
import numpy as np

from models.features import extract
from models.learner import Learner
from models.student_state import StudentState
from warning_service.events.types import ListPublished, NewEvent, derived_id
from warning_service.judging import evidence, rules
from warning_service.judging.evidence_of_trees import from_trees
from warning_service.judging.facts import Facts
from warning_service.judging.hand_over import Decision, Name, decide
from warning_service.judging.lists import F32, choose, on_grid, order, probability, score_block
from warning_service.judging.setup import Setup

SCORES_KEPT = 12
_json = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True)
class Published:
    """A list as rows for the tables, and the event that tells of it."""

    row: dict[str, Any]
    entries: list[dict[str, Any]]
    scores: list[dict[str, Any]]
    event: NewEvent


@dataclass(frozen=True)
class Occasion:
    """Which list is wanted: school, list date, the last closed day, and where in the log."""

    board: str
    school: str
    day: int
    facts_until: int
    position: int
    at: datetime


def level(chance: float | None, base_rate: float | None) -> str:
    """A band against the base rate: high (4 times), raised (2 times), watch; or unmeasured."""
    if chance is None or not base_rate:
        return "unmeasured"
    if chance >= 4 * base_rate:
        return "high"
    return "raised" if chance >= 2 * base_rate else "watch"


def make(
    setup: Setup,
    occasion: Occasion,
    learner: Learner,
    *,
    model_version: str,
    states: Mapping[str, StudentState],
    previous: int,
) -> Published:
    """The list of one school. `states`: all students of its roll on the list date, by sorted key.

    Updates each ranked student's `scores`, and `listed_on` and `running` of the listed.
    `previous`: ordinal of the school's previous list, 0 for none.
    """
    students, held = list(states), list(states.values())
    group = extract(setup.schema, students, held, occasion.facts_until)
    points = rules.points_by_item(setup, group)
    total = rules.total(points, len(students))
    theirs = learner.ask_challenger(group.block)
    decision = decide(setup, learner.standing, challenger=theirs is not None, pool=learner.pool)
    if decision.judge == "challenger" and learner.challenger.forest is not None:
        model_version = learner.challenger.forest.version
    folded = learner.folded()
    slope, shift = learner.standing.rules
    everybody: dict[Name, F32 | None] = {
        "rules": on_grid((total * slope + shift).astype(np.float32)),
        "model": score_block(rules.beside(group.block, total), folded)
        if learner.learned
        else None,
        "challenger": None if theirs is None else on_grid(theirs),
    }
    judged = everybody[decision.judge]
    assert judged is not None
    scores = judged
    ranked = np.array(
        [at for at, s in enumerate(held) if not s.inside_known(occasion.day)], dtype=np.int64
    )
    scores = scores[ranked]
    supported = np.array(
        [
            bool(held[at].supported_on)
            and 0 <= occasion.day - held[at].supported_on <= setup.supported_days
            for at in ranked
        ],
        dtype=bool,
    )
    budget = setup.budget(len(ranked))
    chosen = choose(scores, budget, supported, new_first=setup.new_first).tolist()
    chances = [probability(z) for z in scores.tolist()]
    day = date.fromordinal(occasion.day)
    list_id = derived_id("list", occasion.board, occasion.school, day.isoformat())
    standing = learner.standing
    facts = Facts(setup, group, occasion.day)
    entries = []
    for place, at in enumerate(chosen, start=1):
        row = int(ranked[at])
        state = held[row]
        again = bool(previous) and state.listed_on == previous
        state.running = state.running + 1 if again else 1
        state.listed_on = occasion.day
        by_points = decision.judge == "rules" and setup.rules == "points"
        if decision.judge == "model":
            factors = evidence.from_model(setup, group, folded, points, row)
        elif decision.judge == "challenger":
            factors = from_trees(setup, group, learner.challenger, row)
        else:
            factors = evidence.from_rules(setup, points, row)
        raising, lowering = evidence.told(facts, row, factors, by_points=by_points)
        chance = chances[at] if decision.measured else None
        entries.append(
            {
                "list_id": list_id,
                "student": students[row],
                "place": place,
                "score": chances[at],
                "level": level(chance, standing.base_rate),
                "is_new": not again,
                "supported": bool(supported[at]),
                "times_running": state.running,
                "evidence": _json.encode(
                    {
                        "judge": decision.judge,
                        "score": chances[at],
                        "rules_points": round(float(total[row]), 6),
                        "probability": chance,
                        "base_rate": standing.base_rate if decision.measured else None,
                        "raising": raising,
                        "lowering": lowering,
                        "trend": _trend(state, day, chances[at]),
                        "data_age": evidence.data_ages(setup, group, row, occasion.day),
                        "model_version": model_version,
                        "playbook": setup.playbook,
                    }
                ).decode(),
            }
        )
    listed = set(chosen)
    ranks = {at: rank for rank, at in enumerate(order(scores).tolist(), start=1)}
    rows = []
    for at, chance in enumerate(chances):
        state, student = held[int(ranked[at])], students[int(ranked[at])]
        state.scores = [*state.scores, (occasion.day, chance)][-SCORES_KEPT:]
        rows.append(
            {
                "list_id": list_id,
                "student": student,
                "score": chance,
                "rules_score": round(float(total[int(ranked[at])]), 6),
                **said(everybody, int(ranked[at])),
                "rank": ranks[at],
                "listed": at in listed,
            }
        )
    return Published(
        _list_row(
            setup,
            occasion,
            decision,
            model_version=model_version,
            list_id=list_id,
            budget=budget,
            ranked=len(ranked),
        ),
        entries,
        rows,
        NewEvent(
            id=list_id,
            board=occasion.board,
            student=None,
            on=day,
            actor="system:judging",
            body=ListPublished(
                list_id=list_id,
                school=occasion.school,
                judge=decision.judge,
                model_version=model_version,
                listed=len(entries),
                ranked=len(rows),
            ),
        ),
    )


def said(everybody: Mapping[Name, F32 | None], row: int) -> dict[str, float | None]:
    """What each of the three judges would have said: probabilities; None for who is silent."""
    return {
        f"{name}_chance": None if given is None else probability(float(given[row]))
        for name, given in everybody.items()
    }


def _trend(state: StudentState, day: date, chance: float) -> list[dict[str, Any]]:
    past = [{"date": date.fromordinal(d).isoformat(), "score": s} for d, s in state.scores]
    return [*past, {"date": day.isoformat(), "score": chance}][-SCORES_KEPT:]


def _list_row(
    setup: Setup,
    occasion: Occasion,
    decision: Decision,
    *,
    model_version: str,
    list_id: str,
    budget: int,
    ranked: int,
) -> dict[str, Any]:
    return {
        "id": list_id,
        "board": occasion.board,
        "school": occasion.school,
        "list_date": date.fromordinal(occasion.day),
        "as_of": occasion.position,
        "judge": decision.judge,
        "judge_why": _json.encode(decision.why).decode(),
        "model_version": model_version,
        "playbook": setup.playbook,
        "budget": budget,
        "ranked": ranked,
        "published_at": occasion.at,
    }
