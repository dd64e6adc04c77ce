"""From the states in memory to what the rule says and what a list's rule asks about, per school.

The running judge, its training samples, sudden rises and lists all come through `gather`, so that a
siblings count the same in all of them. Siblings are looked for on the whole board's rolls,
also where only one school's list is made; children whose families refuse are on none.

Not here: who gets a place (selection.py) and the words (publish.py, evidence.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import starmap

import numpy as np

from models import household
from models.features import Extract, extract
from models.student_state import StudentState
from warning_service.judging import alike, rules
from warning_service.judging.picking import conditions, siblings
from warning_service.judging.picking.siblings import FromSiblings
from warning_service.judging.rules import I64, Alike, Judged, Mask
from warning_service.judging.setup import Setup
from warning_service.playbooks.judging import Condition

Schools = Mapping[str, Mapping[str, StudentState]]
"""School -> student -> state, both in the order of their keys."""


@dataclass(frozen=True)
class Group:
    """One school's children, features and rule, in the order of student keys."""

    school: str
    states: Mapping[str, StudentState]
    extract: Extract
    judged: Judged
    homes: bool = False
    """Do the last columns of the block show what siblings do?"""

    def __len__(self) -> int:
        return len(self.states)

    def from_siblings(self, row: int) -> FromSiblings:
        """What siblings give to the child in that row."""
        shown = self.extract.block[row, -len(household.COLUMNS) :] if self.homes else ()
        return FromSiblings(float(self.judged.sibling[row]), tuple(float(x) for x in shown))

    def households(self, day: int) -> list[str]:
        """Each child's household on `day`, '' for none that is known."""
        return [state.household_on(day) for state in self.states.values()]

    def classes(self, day: int) -> list[str]:
        """Each child's class on `day`, '' for none."""
        spells = [state.spell_on(day) for state in self.states.values()]
        return ["" if s is None else s.class_id for s in spells]

    def grades(self, day: int) -> I64:
        """Each child's grade on `day`."""
        spells = [state.spell_on(day) for state in self.states.values()]
        return np.array([0 if s is None else s.grade for s in spells], dtype=np.int64)


def gather(
    setup: Setup, wanted: Schools, everyone: Schools, day: int, weights: Alike | None = None
) -> list[Group]:
    """The wanted children as of the end of `day`, school by school.

    `everyone`: all on the board's rolls, for the siblings. `weights`: of `similarity`.
    """
    found = [_group(setup, school, states, day, weights) for school, states in wanted.items()]
    return _with_siblings(setup, found, everyone, day, weights) if setup.schema.homes else found


def _group(
    setup: Setup,
    school: str,
    states: Mapping[str, StudentState],
    day: int,
    weights: Alike | None,
) -> Group:
    held = extract(setup.schema, list(states), list(states.values()), day)
    return Group(school, states, held, rules.judge(setup, held, weights or None))


def _with_siblings(
    setup: Setup, groups: list[Group], everyone: Schools, day: int, weights: Alike | None
) -> list[Group]:
    keys = [key for group in groups for key in group.households(day)]
    here, homes = {student for group in groups for student in group.states}, set(keys) - {""}
    kin = {
        student: state
        for states in everyone.values()
        for student, state in states.items()
        if student not in here and state.household_on(day) in homes
    }
    numbers = siblings.numbered([*keys, *(state.household_on(day) for state in kin.values())])
    all_of_them = [*groups, *([_group(setup, "", kin, day, weights)] if kin else [])]
    everybody = list(
        starmap(
            household.Shows,
            zip(
                numbers.tolist(),
                (score for group in all_of_them for score in group.judged.score.tolist()),
                (bool(s.known_by(day)) for group in all_of_them for s in group.states.values()),
                strict=True,
            ),
        )
    )
    children, elsewhere = everybody[: len(keys)], everybody[len(keys) :]
    extra = siblings.extra_points(
        setup.sibling,
        np.array([one.points for one in children]),
        numbers[: len(keys)],
        [(one.home, one.points) for one in elsewhere],
    )
    shown = household.columns(children, elsewhere)
    made, start = [], 0
    for group in groups:
        mine = slice(start, start + len(group))
        judged = group.judged
        if setup.sibling is not None:
            judged = judged.with_siblings(extra[mine])
        told = group.extract.with_homes(shown[mine])
        made.append(replace(group, extract=told, judged=judged, homes=True))
        start += len(group)
    return made


def alike_of(setup: Setup, groups: Sequence[Group], day: int) -> dict[str, float]:
    """The weights of `similarity`, from all children of a board; {} for another method."""
    if setup.similar_to is None:
        return {}
    reached: dict[str, tuple[int, int]] = {use.spec.id: (0, 0) for use in setup.uses}
    known = others = 0
    for group in groups:
        history = holds(setup, group, setup.similar_to, day)
        known, others = known + int(history.sum()), others + int((~history).sum())
        for use in setup.uses:
            window = rules.window_value(
                use, group.extract.items[use.spec.id], len(group), group.extract.day
            )
            hit = rules.reaches(use, window, use.at)
            mine, theirs = reached[use.spec.id]
            reached[use.spec.id] = (
                mine + int((hit & history).sum()),
                theirs + int((hit & ~history).sum()),
            )
    return alike.weights(setup, reached, known, others)


def holds(setup: Setup, group: Group, condition: Condition, day: int) -> Mask:
    """For which of a group's children a condition holds on `day`."""
    if condition.supported:
        return supported(setup, group, day)
    if condition.judged:
        when = [state.judged_on for state in group.states.values()]
        return conditions.judged(setup, np.array(when, dtype=np.int64), day)
    use = next(use for use in setup.uses if use.spec.id == condition.item)
    return conditions.on_record(condition, use, group.extract.items[use.spec.id].last_on, day)


def any_holds(setup: Setup, group: Group, asked: Sequence[Condition], day: int) -> Mask:
    """For which of them one of several conditions holds."""
    found = np.zeros(len(group), dtype=bool)
    for condition in asked:
        found |= holds(setup, group, condition, day)
    return found


def supported(setup: Setup, group: Group, day: int) -> Mask:
    """Whom somebody has supported lately."""
    days = [state.supported_on for state in group.states.values()]
    return conditions.supported(setup, np.array(days, dtype=np.int64), day)


def screened(setup: Setup, group: Group) -> I64:
    """How many items of the second screening each child reaches; zeros without one."""
    count = np.zeros(len(group), dtype=np.int64)
    second = setup.rule.second if setup.rule is not None else None
    uses = {use.spec.id: use for use in setup.uses}
    for one in second.items if second is not None else ():
        use = uses[one.id]
        window = rules.window_value(
            use, group.extract.items[one.id], len(group), group.extract.day, one.window_days
        )
        count += rules.reaches(use, window, one.at)
    return count
