"""Gives the places of a list: whom the judge in charge ranks, picked as the playbook's rule says.

One scope may be several schools (a board-wide choice), so that a place is first given among all of
them and then handed to each school's list, in the same order. What thresholds compare, and what
ranks, depends on who judges: playbooks/judging.py says what holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.learner import Learner
from warning_service.judging import base_rate, rules, scope
from warning_service.judging.hand_over import Decision, Name
from warning_service.judging.picking import conditions, selection
from warning_service.judging.picking.lists import F32, on_grid, probability, score_block
from warning_service.judging.picking.selection import Scope, Scores
from warning_service.judging.picking.siblings import numbered
from warning_service.judging.rules import F64, I64, Mask
from warning_service.judging.scope import Group
from warning_service.judging.setup import Setup

Said = dict[Name, F32 | None]


@dataclass(frozen=True)
class Part:
    """One school in a scope: its group, what each judge says (log-odds), and for the judge in
    charge the `order`, the `marks` and the probabilities of every child of the group.

    `ranked`: rows of the group that are ranked. `screened`: items of the second screening reached.
    """

    group: Group
    said: Said
    order: Scores
    marks: F64
    chances: list[float]
    ranked: I64
    supported: Mask
    later: Mask
    screened: I64


@dataclass(frozen=True)
class Place:
    """A place in the whole scope, of the child in that `row` of the part's group.

    `picks`, `types`: what took it. `band`: the number of its level; `type_bands`: of that in every
    type, where the playbook gives one to each.
    """

    row: int
    picks: tuple[str, ...]
    types: tuple[str, ...]
    band: int | None
    in_scope: int
    type_bands: tuple[int, ...] = ()


@dataclass(frozen=True)
class Places:
    """The places of each part, in their order; the budget and how many were ranked in all.

    `whole`: all ranked as one scope; `where`: (part, row of its group) of each of its rows.
    """

    of: list[list[Place]]
    budget: int
    ranked: int
    whole: Scope
    where: list[tuple[int, int]]


def calibration(
    setup: Setup, group: Group, learner: Learner, *, measured: bool
) -> tuple[float, float]:
    """(slope, shift) by which the rule's total becomes log-odds.

    A formula's total is that by itself until enough outcomes are known; with no label at all an
    assumed rate stands in (base_rate.py).
    """
    if setup.method == "formula" and setup.rules == "points" and not measured:
        return 1.0, 0.0
    if not learner.standing.counted:
        items = len(group.judged.found)
        return base_rate.assumed(setup, group.states.values(), group.extract.day, items)
    return learner.standing.rules


def said(setup: Setup, group: Group, learner: Learner, theirs: F32 | None, measured: bool) -> Said:
    """What each judge says of a group, as log-odds on the grid; None for who is silent."""
    slope, shift = calibration(setup, group, learner, measured=measured)
    total = group.judged.total
    return {
        "rules": on_grid((total * slope + shift).astype(np.float32)),
        "model": score_block(rules.beside(group.extract.block, total), learner.folded())
        if learner.learned
        else None,
        "challenger": None if theirs is None else on_grid(theirs),
    }


def part(setup: Setup, group: Group, given: Said, decision: Decision, day: int) -> Part:
    """One school's part in a scope, as the judge in charge has it."""
    scores = given[decision.judge]
    assert scores is not None
    chances = [probability(z) for z in scores.tolist()]
    by_rule = decision.judge == "rules" and setup.rules == "points"
    # On the grid a rule's last few points would be one with the clip: places need the exact total.
    order = np.round(group.judged.total, rules.DECIMALS) if by_rule else scores
    by_chance = setup.method == "formula" and not by_rule
    rule = setup.rule
    held = list(group.states.values())
    out = np.array([state.inside_known(day) for state in held], dtype=bool)
    out |= scope.any_holds(setup, group, rule.leave_out if rule is not None else (), day)
    return Part(
        group, given, order,
        np.array(chances, dtype=np.float64) if by_chance else group.judged.score,
        chances, np.flatnonzero(~out),
        scope.supported(setup, group, day),
        scope.any_holds(setup, group, rule.later if rule is not None else (), day),
        scope.screened(setup, group),
    )  # fmt: skip


def give(setup: Setup, parts: Sequence[Part], decision: Decision, day: int) -> Places:
    """The places among all parts together."""
    where = [(at, row) for at, one in enumerate(parts) for row in one.ranked.tolist()]
    keys = [parts[at].group.extract.students[row] for at, row in where]
    turn = sorted(range(len(keys)), key=keys.__getitem__)
    where = [where[at] for at in turn]
    whole = _scope(setup, parts, np.array(turn, dtype=np.int64), decision, day)
    budget = setup.budget(len(where))
    if setup.rule is None:
        rows = selection.by_score(whole, budget, new_first=setup.new_first)
        made = selection.Chosen(rows, [()] * len(rows), [()] * len(rows))
    else:
        made = selection.select(whole, setup.rule, budget)
    bands = None if setup.bands is None else selection.levels(setup.bands, whole).tolist()
    by_type = None
    if setup.bands is not None and setup.bands.each == "type":
        by_type = selection.levels_by_type(setup.bands, whole).T.tolist()
    found: list[list[Place]] = [[] for _ in parts]
    for number, at in enumerate(made.rows.tolist()):
        of, row = where[at]
        found[of].append(
            Place(
                row, made.picks[number], made.types[number],
                None if bands is None else bands[at], number + 1,
                () if by_type is None else tuple(by_type[at]),
            )
        )  # fmt: skip
    return Places(found, budget, len(where), whole, where)


def _scope(setup: Setup, parts: Sequence[Part], turn: I64, decision: Decision, day: int) -> Scope:
    """All ranked children of the parts as one scope, in the order of their keys."""

    def gathered(columns: Sequence[Scores]) -> Scores:
        taken = [column[one.ranked] for column, one in zip(columns, parts, strict=True)]
        return np.concatenate(taken)[turn] if taken else np.zeros(0)

    judged = [one.group.judged for one in parts]
    marks = gathered([one.marks for one in parts])
    by_rule = decision.judge == "rules" and setup.rules == "points"
    homes = None
    if setup.needs_households:
        keys = [key for one in parts for key in one.group.households(day)]
        numbers, cuts = numbered(keys), np.cumsum([len(one.group) for one in parts])[:-1]
        homes = gathered(np.split(numbers, cuts))
    second = setup.rule.second if setup.rule is not None else None
    return Scope(
        scores=gathered([one.order for one in parts]),
        marks=marks,
        nothing=conditions.nothing(setup, marks) if by_rule else None,
        types=setup.types,
        by_type=np.array(
            [gathered([j.by_type[at] for j in judged]) for at in range(len(setup.types))]
        ).reshape(len(setup.types), len(marks)),
        type_of_nothing=setup.method != "formula",
        grades=gathered([one.group.grades(day) for one in parts]),
        basic=gathered([j.basic for j in judged]),
        other=gathered([j.other for j in judged]),
        households=homes,
        schools=gathered([np.full(len(one.group), at) for at, one in enumerate(parts)]),
        supported=gathered([one.supported for one in parts]).astype(bool),
        later=gathered([one.later for one in parts]).astype(bool),
        screened=None
        if second is None
        else gathered([one.screened for one in parts]) >= second.least,
    )
