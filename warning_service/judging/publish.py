"""Makes the schools' warning lists from the states in memory: ranks, places, levels, evidence.

Only facts up to the last closed day count (a list made at seven in the morning does not know the
day it is made on). Students inside a known outcome are left out, they are noticed already; those
whose family refused are not even read. Who gets a place is places.py's; here it becomes rows and
frozen words. `budget` of a list that has none of its own (a board-wide choice, or picks without a
budget) is its length. Nothing is written to a database here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from models.learner import Learner
from models.online import Folded
from models.student_state import StudentState
from warning_service.events.types import ListPublished, NewEvent, derived_id
from warning_service.judging.hand_over import Decision, decide
from warning_service.judging.picking import places
from warning_service.judging.picking.lists import order, probability
from warning_service.judging.picking.near import Near, near
from warning_service.judging.picking.places import Part, Place, Places, Said
from warning_service.judging.rules import F64
from warning_service.judging.scope import Group
from warning_service.judging.setup import Setup
from warning_service.judging.telling import evidence, formula, reasons, since_last
from warning_service.judging.telling.evidence_of_trees import from_trees
from warning_service.judging.telling.facts import Facts
from warning_service.judging.telling.habits import Habits
from warning_service.judging.telling.off_list import OffList

SCORES_KEPT = 12
_json = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True)
class Published:
    """A list as rows for the tables, and the event that tells of it.

    `trees`: the row of the challenger's trees, None for a list that somebody else made.
    """

    row: dict[str, Any]
    entries: list[dict[str, Any]]
    scores: list[dict[str, Any]]
    event: NewEvent
    trees: dict[str, Any] | None = None


@dataclass(frozen=True)
class Occasion:
    """Which lists are wanted: of which board and date, the last closed day, where in the log.

    `alike`: the weights of `similarity` the groups were judged by.
    """

    board: str
    day: int
    facts_until: int
    position: int
    at: datetime
    alike: Mapping[str, float] = field(default_factory=dict)


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
    groups: Sequence[Group],
    previous: Mapping[str, int],
) -> list[Published]:
    """The lists of these schools, picked from all their children together.

    `groups`: the children on the rolls on the list date, as of the last closed day (scope.gather).
    `previous`: school -> ordinal of its previous list. Updates each ranked student's `scores`, and
    `listed_on` and `running` of the listed.
    """
    theirs = [learner.ask_challenger(group.extract.block) for group in groups]
    ready = bool(theirs) and all(scores is not None for scores in theirs)
    decision = decide(setup, learner.standing, challenger=ready, pool=learner.pool)
    if decision.judge == "challenger" and learner.challenger.forest is not None:
        model_version = learner.challenger.forest.version
    parts = [
        places.part(
            setup, group,
            places.said(setup, group, learner, scores, decision.measured),
            decision, occasion.day,
        )
        for group, scores in zip(groups, theirs, strict=True)
    ]  # fmt: skip
    given = places.give(setup, parts, decision, occasion.day)
    writer = _Writer(setup, occasion, learner, decision, model_version, given)
    return [
        writer.published(number, part, previous.get(part.group.school, 0))
        for number, part in enumerate(parts)
    ]


@dataclass(frozen=True)
class _More:
    """What of a school's children is told beside the reasons. `levels`: (children, items)."""

    levels: F64
    off: OffList | None
    habits: Habits


@dataclass(frozen=True)
class _Writer:
    """Puts one school's places into rows and words."""

    setup: Setup
    occasion: Occasion
    learner: Learner
    decision: Decision
    model_version: str
    given: Places

    @cached_property
    def date(self) -> date:
        """The list date."""
        return date.fromordinal(self.occasion.day)

    @cached_property
    def folded(self) -> Folded:
        """The model in charge."""
        return self.learner.folded()

    @cached_property
    def near(self) -> Near:
        """Those among whom a listed child's change is decided, of all schools together."""
        setup, given = self.setup, self.given
        return near(given.whole, given.where, setup.rule, given.budget, new_first=setup.new_first)

    def published(self, number: int, part: Part, previous: int) -> Published:
        """One school's list: that of the part of this number."""
        held = self.given.of[number]
        school, board = part.group.school, self.occasion.board
        list_id = derived_id("list", board, school, self.date.isoformat())
        facts = Facts(self.setup, part.group.extract, self.occasion.day)
        levels = since_last.levels(self.setup, part.group.extract)
        kept = self._formula(part)
        more = _More(
            levels,
            None if kept is None else self._off_list(kept, part, number),
            Habits(self.setup, part.group.extract, part.group.classes(self.occasion.day)),
        )
        entries = [
            {
                "list_id": list_id,
                "place": at,
                **self._entry(part, one, facts, previous, more),
            }
            for at, one in enumerate(held, start=1)
        ]
        rows = self._scores(part, {one.row for one in held}, list_id, levels)
        told = ListPublished(
            list_id=list_id,
            school=school,
            judge=self.decision.judge,
            model_version=self.model_version,
            listed=len(entries),
            ranked=len(rows),
            why=dict(self.decision.why),
        )
        event = NewEvent(
            id=list_id, board=board, student=None, on=self.date, actor="system:judging", body=told
        )
        row = self._row(school, list_id, len(entries), len(rows), kept)
        return Published(row, entries, rows, event, None if kept is None else self._trees())

    def _formula(self, part: Part) -> formula.Formula | None:
        """What of the judge in charge is kept with the list."""
        setup, measured = self.setup, self.decision.measured
        return formula.freeze(
            setup,
            self.decision.judge,
            part.group.extract,
            folded=self.folded,
            calibration=places.calibration(setup, part.group, self.learner, measured=measured),
            alike=dict(self.occasion.alike),
        )

    def _trees(self) -> dict[str, Any] | None:
        """What has to be kept beside the formula when the challenger is in charge."""
        forest = self.learner.challenger.forest
        if self.decision.judge != "challenger" or forest is None:
            return None
        board = self.occasion.board
        return {"board": board, "version": forest.version, "trees": forest.to_bytes()}

    def _off_list(self, kept: formula.Formula, part: Part, number: int) -> OffList:
        decision, day, trees = self.decision, self.occasion.day, self.learner.challenger.forest
        return OffList(self.setup, kept, self.near, part, number, decision, day, trees)

    def _entry(
        self,
        part: Part,
        place: Place,
        facts: Facts,
        previous: int,
        more: _More,
    ) -> dict[str, Any]:
        row, day, group = place.row, self.occasion.day, part.group.extract
        student = group.students[row]
        state = part.group.states[student]
        again = bool(previous) and state.listed_on == previous
        state.running = state.running + 1 if again else 1
        state.listed_on = day
        judged, standing = part.group.judged, self.learner.standing
        raising, lowering = self._told(part, facts, row, welfare=False)
        chance = part.chances[row] if self.decision.measured else None
        band = None if place.band is None else reasons.band(self.setup, place.band)
        words = {
            "judge": self.decision.judge,
            "score": part.chances[row],
            "rules_points": round(float(judged.total[row]), 6),
            "probability": chance,
            "base_rate": standing.base_rate if self.decision.measured else None,
            "raising": raising,
            "lowering": lowering,
            "trend": _trend(state, self.date, part.chances[row], self._mark(part, row)),
            "data_age": evidence.data_ages(self.setup, group, row, day),
            "model_version": self.model_version,
            "playbook": self.setup.playbook,
            "since_last": since_last.told(
                self.setup,
                state,
                more.levels[row],
                part.chances[row],
                self._mark(part, row),
                was_listed=again,
            ),
            **reasons.why(self.setup, part, place, band),
        }
        if self.setup.welfare_sits:
            theirs = self._told(part, facts, row, welfare=True)
            words["welfare"] = dict(zip(("raising", "lowering"), theirs, strict=True))
        if more.off is not None:
            words["habits"] = more.habits.told(row)
            words["off_list"] = more.off.told(row)
        return {
            "student": student,
            "score": part.chances[row],
            "level": band["key"] if band is not None else level(chance, standing.base_rate),
            "is_new": not again,
            "supported": bool(part.supported[row]),
            "times_running": state.running,
            "evidence": _json.encode(words).decode(),
        }

    def _mark(self, part: Part, row: int) -> tuple[float, bool]:
        """What the points rule says in its own terms, and are the scores measured?"""
        return round(float(part.group.judged.score[row]), 6), self.decision.measured

    def _told(
        self, part: Part, facts: Facts, row: int, *, welfare: bool
    ) -> tuple[list[Any], list[Any]]:
        """Raising and lowering facts in words, for a school or for the welfare office."""
        setup, group, points = self.setup, part.group.extract, part.group.judged.parts
        reached = setup.rules == "points" and setup.method != "formula"
        by_points = self.decision.judge == "rules" and reached
        if self.decision.judge == "model":
            factors = evidence.from_model(setup, group, self.folded, points, row)
        elif self.decision.judge == "challenger":
            factors = from_trees(setup, group, self.learner.challenger, row)
        else:
            factors = evidence.from_rules(setup, points, row)
        return evidence.told(facts, row, factors, by_points=by_points, welfare=welfare)

    def _scores(
        self, part: Part, listed: set[int], list_id: str, levels: F64
    ) -> list[dict[str, Any]]:
        """Every ranked child's score; each state remembers its own, and where the child stands."""
        students, found = part.group.extract.students, []
        ranks = np.empty(len(part.ranked), dtype=np.int64)
        ranks[order(part.order[part.ranked])] = np.arange(1, len(part.ranked) + 1)
        for row, rank in zip(part.ranked.tolist(), ranks.tolist(), strict=True):
            state, chance = part.group.states[students[row]], part.chances[row]
            state.scores = [*state.scores, (self.occasion.day, chance)][-SCORES_KEPT:]
            state.marks = [*state.marks, self._mark(part, row)][-SCORES_KEPT:]
            since_last.remember(state, self.occasion.day, levels[row])
            found.append(
                {
                    "list_id": list_id,
                    "student": students[row],
                    "score": chance,
                    "rules_score": round(float(part.group.judged.total[row]), 6),
                    **said(part.said, row),
                    "rank": rank,
                    "listed": row in listed,
                }
            )
        return found

    def _row(
        self, school: str, list_id: str, listed: int, ranked: int, kept: formula.Formula | None
    ) -> dict[str, Any]:
        why, budget = dict(self.decision.why), self.given.budget
        if kept is not None:
            why[formula.KEY] = kept.text()
        if self.setup.whole_board:
            why |= {"scope": "board", "ranked_of_board": self.given.ranked}
            why["budget"] = budget if self.setup.has_budget else None
        if not self.setup.has_budget:
            why["places"] = "picked"
        if self.setup.whole_board or not self.setup.has_budget:
            budget = listed
        return {
            "id": list_id,
            "board": self.occasion.board,
            "school": school,
            "list_date": self.date,
            "as_of": self.occasion.position,
            "judge": self.decision.judge,
            "judge_why": _json.encode(why).decode(),
            "model_version": self.model_version,
            "playbook": self.setup.playbook,
            "budget": budget,
            "ranked": ranked,
            "published_at": self.occasion.at,
        }


def said(everybody: Said, row: int) -> dict[str, float | None]:
    """What each of the three judges would have said: probabilities; None for who is silent."""
    return {
        f"{name}_chance": None if given is None else probability(float(given[row]))
        for name, given in everybody.items()
    }


def _trend(
    state: StudentState, day: date, chance: float, mark: tuple[float, bool]
) -> list[dict[str, Any]]:
    """The measured chances of this list and those before; what the rule said, where one is none.

    A score that is not measured stands on an assumed rate, and would jump when that is replaced.
    """
    points = [*zip(state.scores, state.marks, strict=True), ((day.toordinal(), chance), mark)]
    known = [(on, score) for (on, score), (_, measured) in points if measured]
    if not mark[1] or len(known) < 2:
        known = [(on, said) for (on, _), (said, _) in points]
    told = [{"date": date.fromordinal(on).isoformat(), "score": score} for on, score in known]
    return told[-SCORES_KEPT:]
