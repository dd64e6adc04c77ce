"""Judges a whole city given as arrays: the playbook's own rule and picks, nothing learned, no log.

For a board that wants to know what a playbook would do with its city, for tests of the shipped
playbooks, and for towns of a million children, where one Python object a child would not fit. The
same functions decide here as in the running service (rules.py, alike.py, siblings.py, selection.py,
conditions.py); only the way in differs: flat arrays instead of states. What is not here:
the learned model, evidence, and who was on earlier lists.

    setup = from_playbook(shipped("tsukuba"))
    city = City(day=..., children=n, facts={"absent_days": Flat(rows, days, values), ...}, ...)
    chosen = choose(setup, city)        # [(rows of the scope, Chosen), ...], one for each scope

From events or states instead, also without a database: `Judge.take` (judge.py) for a log in memory,
or `scope.gather` and `places.give` for states; they take a Python object a child.

`facts` has an entry for each item in use that anything is known of; rows are child numbers from 0,
in the order of student keys. 1.47 million children with 30 items are judged in some seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from warning_service.judging import alike, rules
from warning_service.judging.picking import conditions, siblings
from warning_service.judging.picking.selection import (
    Chosen,
    Scope,
    levels,
    levels_by_type,
    select,
)
from warning_service.judging.rules import I64, Flat, Judged, Mask, Window
from warning_service.judging.setup import Setup, Use
from warning_service.playbooks.judging import Condition

_EMPTY = Flat(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True)
class City:
    """A board's children on one list day, as arrays with one entry a child.

    `day`: the list date as an ordinal; facts of the day itself are not looked at. `schools`: a
    number for each child's school. `households`: a number, below 0 for none. `supported_on`:
    ordinal of the last day somebody supported the child, 0 for never; `judged_on`: of the last day
    a meeting decided on it. `present`: who is on the
    roll, has not refused, and is not inside a known outcome (None: everybody). A child that is on
    no roll or has refused must have no facts and no household.
    """

    day: int
    children: int
    facts: Mapping[str, Flat] = field(default_factory=dict)
    schools: I64 | None = None
    grades: I64 | None = None
    households: I64 | None = None
    supported_on: I64 | None = None
    judged_on: I64 | None = None
    present: Mask | None = None


def choose(setup: Setup, city: City) -> list[tuple[I64, Chosen]]:
    """Who is listed, scope by scope: the whole board, or each school in the order of its number.

    Gives (the rows of the ranked children of the scope, the choice); `Chosen.rows` count within
    those. Raises ValueError for a playbook that scores nobody.
    """
    return [(rows, made) for rows, _, made in _choices(setup, city)]


def listed(setup: Setup, city: City) -> I64:
    """The listed children's rows in the city, scope by scope, in the order of their places."""
    found = [rows[made.rows] for rows, made in choose(setup, city)]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def levels_of(setup: Setup, city: City) -> I64:
    """The number of each child's level in the playbook's bands; -1 for who is not ranked.

    Raises ValueError without bands.
    """
    if setup.bands is None:
        raise ValueError("the playbook has no bands")
    found = np.full(city.children, -1, dtype=np.int64)
    for rows, scope, _ in _choices(setup, city):
        found[rows] = levels(setup.bands, scope)
    return found


def levels_by_type_of(setup: Setup, city: City) -> I64:
    """The same in every type of difficulty, shape (types, children).

    Raises ValueError without bands or types.
    """
    if setup.bands is None:
        raise ValueError("the playbook has no bands")
    found = np.full((len(setup.types), city.children), -1, dtype=np.int64)
    for rows, scope, _ in _choices(setup, city):
        found[:, rows] = levels_by_type(setup.bands, scope)
    return found


def judged(setup: Setup, city: City) -> Judged:
    """What the playbook's rule says of every child, its siblings' points included."""
    windows = {
        use.spec.id: rules.window_of(
            use, _facts(city, use), city.children, city.day - 1 - use.window
        )
        for use in setup.uses
    }
    weights = None
    if setup.similar_to is not None:
        history = _holds(setup, city, setup.similar_to) & _present(city)
        weights = alike.learn(setup, _only(windows, _present(city)), history[_present(city)])
    found = rules.judge_windows(setup, windows, city.children, weights)
    if setup.sibling is not None and city.households is not None:
        extra = siblings.extra_points(setup.sibling, found.score, city.households)
        found = found.with_siblings(extra)
    return found


def _choices(setup: Setup, city: City) -> list[tuple[I64, Scope, Chosen]]:
    rule = setup.rule
    if rule is None or setup.method == "none":
        raise ValueError("this playbook scores nobody")
    said = judged(setup, city)
    out = ~_present(city)
    for condition in rule.leave_out:
        out |= _holds(setup, city, condition)
    later = np.zeros(city.children, dtype=bool)
    for condition in rule.later:
        later |= _holds(setup, city, condition)
    supported = _supported(setup, city)
    screened = _screened(setup, city)
    order = np.round(said.total, rules.DECIMALS)
    made = []
    for whole in _scopes(setup, city):
        rows = whole[~out[whole]]
        scope = Scope(
            scores=order[rows], marks=said.score[rows],
            nothing=conditions.nothing(setup, said.score[rows]),
            types=setup.types, by_type=said.by_type[:, rows],
            type_of_nothing=setup.method != "formula",
            grades=None if city.grades is None else city.grades[rows],
            basic=said.basic[rows], other=said.other[rows],
            households=None if city.households is None else city.households[rows],
            schools=None if city.schools is None else city.schools[rows],
            supported=supported[rows], later=later[rows],
            screened=None if screened is None else screened[rows],
        )  # fmt: skip
        made.append((rows, scope, select(scope, rule, setup.budget(len(rows)))))
    return made


def _scopes(setup: Setup, city: City) -> list[I64]:
    if setup.whole_board or city.schools is None:
        return [np.arange(city.children, dtype=np.int64)]
    order = np.argsort(city.schools, kind="stable")
    cuts = np.flatnonzero(np.diff(city.schools[order])) + 1
    return [part for part in np.split(order, cuts) if len(part)]


def _present(city: City) -> Mask:
    return np.ones(city.children, dtype=bool) if city.present is None else city.present


def _only(windows: Mapping[str, Window], mask: Mask) -> dict[str, Window]:
    return {item: Window(held.value[mask], held.known[mask]) for item, held in windows.items()}


def _facts(city: City, use: Use) -> Flat:
    """The item's facts up to the day before the list; a count or flag of 0 says nothing."""
    flat = city.facts.get(use.spec.id, _EMPTY)
    told = flat.days < city.day
    if use.spec.kind != "measure":
        told &= flat.values != 0
    return flat if told.all() else Flat(flat.rows[told], flat.days[told], flat.values[told])


def _holds(setup: Setup, city: City, condition: Condition) -> Mask:
    if condition.supported:
        return _supported(setup, city)
    if condition.judged:
        never = np.zeros(city.children, dtype=np.int64)
        when = never if city.judged_on is None else city.judged_on
        return conditions.judged(setup, when, city.day)
    use = next(use for use in setup.uses if use.spec.id == condition.item)
    flat = _facts(city, use)
    latest = np.zeros(city.children, dtype=np.int64)
    np.maximum.at(latest, flat.rows, flat.days)
    return conditions.on_record(condition, use, latest, city.day)


def _supported(setup: Setup, city: City) -> Mask:
    if city.supported_on is None:
        return np.zeros(city.children, dtype=bool)
    return conditions.supported(setup, city.supported_on, city.day)


def _screened(setup: Setup, city: City) -> Mask | None:
    if setup.rule is None or setup.rule.second is None:
        return None
    uses = {use.spec.id: use for use in setup.uses}
    second = setup.rule.second
    count = np.zeros(city.children, dtype=np.int64)
    for one in second.items:
        use = uses[one.id]
        after = city.day - 1 - one.window_days
        count += rules.reaches(
            use, rules.window_of(use, _facts(city, use), city.children, after), one.at
        )
    return count >= second.least
