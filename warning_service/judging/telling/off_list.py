"""What would have kept a child off this list: the smallest changes in reachable facts, tried out.

Each change is carried through: features, the rule, the judge in charge, and then the places are
given again among the same other children. So "off the list" is exact under the one assumption that
is said beside it: everybody else as they were. A single fact is tried first, in ever larger steps;
where none is enough, two together; then all of them. "Two days or less" is only said where every
smaller amount would do as well: a learned judge need not find less better. When nothing would do,
it says so: registers, the past, a sibling or a place the playbook gives cannot be wished away.

These are sums on frozen numbers, made with the list. They do not say what helps a child.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

from models.challenger import Forest
from models.student_state import StudentState
from warning_service.judging.hand_over import Decision
from warning_service.judging.picking import conditions, places
from warning_service.judging.picking.near import Near
from warning_service.judging.picking.places import Part
from warning_service.judging.picking.selection import Scope
from warning_service.judging.scope import Group
from warning_service.judging.setup import Setup
from warning_service.judging.telling import reachable
from warning_service.judging.telling.formula import Formula
from warning_service.judging.telling.reachable import Now
from warning_service.judging.telling.wording import Told

MOST = 3
"""Single changes that are told, those of the fewest steps first."""
MOST_TRIED = 200
"""So many ways of several changes at once are tried out; of more, only the farthest is told."""
Wish = Mapping[Now, float]


@dataclass(frozen=True)
class OffList:
    """Tries changes for the children of one school's list. `trees`: of a list of the challenger."""

    setup: Setup
    formula: Formula
    near: Near
    part: Part
    number: int
    decision: Decision
    day: int
    trees: Forest | None = None

    def told(self, row: int) -> dict[str, Any]:
        """What is frozen with the entry of the child in that row of the group.

        `way`: "one" (each line by itself would do), "together" (only all of a line's changes),
        "nothing" (no reachable change would), or "no_facts" (nothing reachable counts against it).
        """
        state = self.part.group.states[self.part.group.extract.students[row]]
        facts = reachable.reachable(self.setup.uses, state, self.formula.until)
        if not facts:
            return {"way": "no_facts", "lines": []}
        singles: list[tuple[int, Wish]] = []
        for tries in self._each(row, state, facts):
            step = _from([off for _, off in tries])
            if step < len(tries):
                singles.append((step, tries[step][0]))
        if singles:
            singles.sort(key=lambda held: (held[0], next(iter(held[1])).use.spec.id))
            return {"way": "one", "lines": [_line(wish) for _, wish in singles[:MOST]]}
        together = self._together(row, state, facts)
        if together is None:
            return {"way": "nothing", "lines": []}
        return {"way": "together", "lines": [_line(together)]}

    def _each(
        self, row: int, state: StudentState, facts: Sequence[Now]
    ) -> list[list[tuple[Wish, bool]]]:
        wishes: list[list[Wish]] = [[{now: value} for value in now.steps] for now in facts]
        tried = iter(self._off(row, state, [wish for held in wishes for wish in held]))
        return [[(wish, next(tried)) for wish in held] for held in wishes]

    def _together(self, row: int, state: StudentState, facts: Sequence[Now]) -> Wish | None:
        """Two facts at their best, or all; then each brought back as far as it may be, if all that
        is said by it holds.
        """
        best = {now: now.steps[-1] for now in facts}
        sets: list[Wish] = [dict(pair) for pair in combinations(best.items(), 2)]
        if len(facts) > 2:
            sets.append(best)
        off = self._off(row, state, sets)
        first = next((wish for wish, is_off in zip(sets, off, strict=True) if is_off), None)
        if first is None:
            return None
        found = dict(first)
        for now in first:
            milder = [{**found, now: value} for value in now.steps]
            found = milder[_from(self._off(row, state, milder))]
        rest = [now.steps[now.steps.index(value) :] for now, value in found.items()]
        if math.prod(map(len, rest)) > MOST_TRIED:
            return first
        every = [dict(zip(found, values, strict=True)) for values in product(*rest)]
        return found if all(self._off(row, state, every)) else first

    def _off(self, row: int, state: StudentState, wishes: Sequence[Wish]) -> list[bool]:
        """For each wish: would the child be off the list?"""
        if not wishes:
            return []
        until, setup = self.formula.until, self.setup
        states = [reachable.changed(state, until, wish) for wish in wishes]
        from_siblings = self.part.group.from_siblings(row)
        found, judged = self.formula.judged(setup, states, from_siblings, was=state)
        scores = self.formula.scores(found, judged, self.trees)
        group = Group("", dict(zip(found.students, states, strict=True)), found, judged)
        as_if = places.part(setup, group, {self.decision.judge: scores}, self.decision, self.day)
        at = self.near.spot(self.number, row)
        return [not self._listed(at, as_if, one) for one in range(len(states))]

    def _listed(self, at: int, as_if: Part, one: int) -> bool:
        """Has the child in that row of the scope a place, with the facts of `one`?"""
        setup, whole = self.setup, self.near.scope
        assert whole.marks is not None
        assert whole.by_type is not None
        judged = as_if.group.judged
        marks = _put(whole.marks, at, as_if.marks[one])
        by_type = whole.by_type.copy()
        by_type[:, at] = judged.by_type[:, one]
        screened = whole.screened
        if screened is not None and setup.rule is not None and setup.rule.second is not None:
            screened = _put(screened, at, as_if.screened[one] >= setup.rule.second.least)
        scope: Scope = replace(
            whole,
            scores=_put(whole.scores, at, as_if.order[one]),
            marks=marks,
            nothing=None if whole.nothing is None else conditions.nothing(setup, marks),
            by_type=by_type,
            basic=None if whole.basic is None else _put(whole.basic, at, judged.basic[one]),
            other=None if whole.other is None else _put(whole.other, at, judged.other[one]),
            screened=screened,
        )
        return bool((self.near.listed(scope) == at).any())


def _from(off: Sequence[bool]) -> int:
    """The step from which on all are off the list; their number when the last one is not."""
    step = len(off)
    while step and off[step - 1]:
        step -= 1
    return step


def _put(column: Any, at: int, value: Any) -> Any:
    copy = column.copy()
    copy[at] = value
    return copy


def _line(wish: Wish) -> dict[str, Any]:
    """A change in words. `items`: all it speaks of, for readers who may not see one of them."""
    said: list[Told] = [reachable.words(now, value) for now, value in wish.items()]
    return {
        "items": [now.use.spec.id for now in wish],
        "text_ja": "、".join(one.ja for one in said),
        "text_en": "; ".join(one.en for one in said),
    }
