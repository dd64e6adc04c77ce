"""Sudden rises of risk: told on the day they happen, not at the next list.

At the close of a day the model looks again at the children about whom something new was known that
day. Whose probability is high enough, and far enough above that of the latest list, gets an event;
the alerts make of it what the playbook says (a same-day alert), so that a broken model can never
hold back anything of theirs. Only while the model makes the lists, and only against a list it made:
points and probabilities are not compared. One rise a child and rule until the next list.

A rise is a question to people like every score, and no measure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from models.learner import Learner
from models.student_state import StudentState
from warning_service.events.types import NewEvent, RiskRose, derived_id
from warning_service.judging import rules
from warning_service.judging.hand_over import decide
from warning_service.judging.picking.lists import probability, score_block
from warning_service.judging.rules import Alike
from warning_service.judging.scope import gather
from warning_service.judging.setup import Setup

ACTOR = "system:judging"


def find(
    setup: Setup,
    learner: Learner,
    schools: Mapping[str, Mapping[str, StudentState]],
    by_model: Mapping[str, int],
    *,
    board: str,
    day: int,
    model_version: str,
    weights: Alike | None = None,
) -> list[NewEvent]:
    """Events of the rises of `day` (an ordinal); notes in each state that it was told.

    `schools`: students on the roll by school, keys sorted; `by_model`: school -> the day of its
    latest list, if the model made it. `weights`: those of a playbook that judges by similarity.
    """
    if not setup.rises or decide(setup, learner.standing, pool=learner.pool).judge != "model":
        return []
    folded = learner.folded()
    found = []
    for school, states in schools.items():
        listed = by_model.get(school, 0)
        news = {
            student: state
            for student, state in states.items()
            if state.scores and state.scores[-1][0] == listed and listed < day
            if not state.inside_known(day) and _news(state, day)
        }
        if not news:
            continue
        (group,) = gather(setup, {school: news}, schools, day, weights)
        scores = score_block(rules.beside(group.extract.block, group.judged.total), folded)
        for (student, state), score in zip(news.items(), scores.tolist(), strict=True):
            now, before = probability(score), state.scores[-1][1]
            for rise in setup.rises:
                told = state.risen.get(rise.rule) == listed
                if told or now < rise.at or now - before < rise.by:
                    continue
                state.risen[rise.rule] = listed
                body = RiskRose(
                    rule=rise.rule, score=now, before=before,
                    listed_on=date.fromordinal(listed), model_version=model_version,
                )  # fmt: skip
                found.append(_event(board, student, day, body))
    return found


def _news(state: StudentState, day: int) -> bool:
    return any(item.days and item.days[-1] == day for item in state.items.values())


def _event(board: str, student: str, day: int, body: RiskRose) -> NewEvent:
    return NewEvent(
        id=derived_id("risk_rose", board, student, body.rule, body.listed_on.isoformat()),
        board=board, student=student, on=date.fromordinal(day), actor=ACTOR, body=body,
    )  # fmt: skip
