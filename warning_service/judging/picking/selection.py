"""Who of one scope gets a place on the list, and by which picks: the part that must be exact.

Arrays in, rows out; no database, no names, no clock. Rows stand in the order of student keys, so
that ties go by key whatever order the children came in. Shares are exact fractions, rounded up.
What each pick means is written in playbooks/judging.py; here it is done, in this order: left-out
children are no part of anything; picks name candidates; the second screening drops some of them;
places are given within the budget; siblings follow those who have one.

Everything is numpy over whole columns; only the chosen are ever gone through one by one. A state of
1.5 million children takes well under a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from warning_service.judging.picking import lists
from warning_service.judging.setup import exact, share_of
from warning_service.playbooks.judging import Bands, Difficulty, ListRule, Pick

Scores = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scope:
    """Everybody a list is picked from, one row each, in the order of student keys.

    `scores` rank (higher first); `marks` are what thresholds compare, in the method's own terms;
    `nothing`: the score is one of nothing. `by_type`: shape (types, rows), `type_of_nothing`: 0 in
    it is nothing. `households`: a number, below 0 for none; `schools`: a number for each child's
    school or nursery. `screened`: passes the second screening. What is None holds for nobody
    (`screened`: for everybody; `schools`: all are at one). `bases`: (pick, grade) -> of how many
    its share is, where these rows are a part of those it is of (near.py); None: of these.
    """

    scores: Scores
    marks: F64 | None = None
    nothing: Mask | None = None
    types: tuple[Difficulty, ...] = ()
    by_type: F64 | None = None
    type_of_nothing: bool = True
    grades: I64 | None = None
    basic: I64 | None = None
    other: I64 | None = None
    households: I64 | None = None
    schools: I64 | None = None
    supported: Mask | None = None
    left_out: Mask | None = None
    later: Mask | None = None
    screened: Mask | None = None
    bases: Mapping[tuple[str, int | None], int] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def ranked(self) -> Mask:
        """Who is not left out."""
        return ~self.mask(self.left_out)

    def base(self, pick: Pick, grade: int | None, mine: Mask) -> int:
        """Of how many the share of a pick is, in one grade or all; `mine`: these rows of them."""
        return int(mine.sum()) if self.bases is None else self.bases[pick.id, grade]

    def mask(self, held: Mask | None) -> Mask:
        """A mask that may have been left away."""
        return np.zeros(len(self), dtype=bool) if held is None else held


@dataclass(frozen=True)
class Chosen:
    """The rows that have a place, in the order of their places.

    For each the ids of the picks that took it, and of the types by which they did. No pick: it has
    its place by its score.
    """

    rows: I64
    picks: list[tuple[str, ...]] = field(default_factory=list)
    types: list[tuple[str, ...]] = field(default_factory=list)


def select(scope: Scope, rule: ListRule, budget: int | None) -> Chosen:
    """Who is listed. `budget`: at most so many (Setup.budget of those ranked); None: all picked.

    Raises ValueError without picks and without a budget.
    """
    if not rule.picks:
        rows = listed(scope, rule, budget)
        return Chosen(rows, [()] * len(rows), [()] * len(rows))
    taken, by_types = _taken(scope, rule)
    rows, followed = _placed(scope, rule, budget, taken)
    return Chosen(rows, *_reasons(rule, rows, taken, by_types, followed))


def listed(scope: Scope, rule: ListRule, budget: int | None) -> I64:
    """The rows of `select` without the reasons, which cost more than the choice."""
    if rule.picks:
        return _placed(scope, rule, budget, _taken(scope, rule)[0])[0]
    if budget is None:
        raise ValueError("a list needs picks or a budget")
    return by_score(scope, budget, new_first=rule.new_first)


def _placed(
    scope: Scope, rule: ListRule, budget: int | None, taken: Mapping[str, Mask]
) -> tuple[I64, dict[str, set[int]]]:
    """The rows in the order of their places, and whom each pick of siblings brought."""
    later = scope.mask(scope.later)
    candidates = np.zeros(len(scope), dtype=bool)
    for mask in taken.values():
        candidates |= mask
    if rule.second is not None and scope.screened is not None:
        candidates &= scope.screened
    placed: list[I64] = []
    followed: dict[str, set[int]] = {}
    left = len(scope) if budget is None else budget
    for late in (False, True):
        rows = _in_order(scope, rule, np.flatnonzero(candidates & (later == late)))
        rows = _in_turns(scope, rule, rows)[:left]
        placed.append(rows)
        left -= len(rows)
        for pick in rule.picks:
            if pick.by != "siblings":
                continue
            found = _siblings(scope, rule, pick, placed, candidates)
            if not late:
                found = found[~later[found]]
            found = found[:left]
            placed.append(found)
            left -= len(found)
            followed.setdefault(pick.id, set()).update(found.tolist())
    return np.concatenate(placed), followed


def by_score(scope: Scope, budget: int, *, new_first: bool) -> I64:
    """The rows of the highest scores, those who come later behind all others."""
    supported = scope.mask(scope.supported)
    if scope.left_out is None and scope.later is None:
        return lists.choose(scope.scores, budget, supported, new_first=new_first)
    later = scope.mask(scope.later)
    found: list[I64] = []
    for late in (False, True):
        rows = np.flatnonzero(scope.ranked & (later == late))
        chosen = lists.choose(
            scope.scores[rows], budget - sum(map(len, found)), supported[rows],
            new_first=new_first,
        )  # fmt: skip
        found.append(rows[chosen])
    return np.concatenate(found)


def _in_order(scope: Scope, rule: ListRule, rows: I64) -> I64:
    """Candidates in the order of places: without support first if so wanted, score, key."""
    rows = rows[lists.order(scope.scores[rows])]
    if rule.new_first and scope.supported is not None:
        busy = scope.supported[rows]
        rows = np.concatenate((rows[~busy], rows[busy]))
    return rows


def _in_turns(scope: Scope, rule: ListRule, rows: I64) -> I64:
    """The same rows with the schools taking turns, where the rule says so; support stays first."""
    if not rule.spread or scope.schools is None:
        return rows
    schools = scope.schools[rows]
    by_school = np.argsort(schools, kind="stable")
    starts = np.searchsorted(schools[by_school], schools[by_school])
    turn = np.empty(len(rows), dtype=np.int64)
    turn[by_school] = np.arange(len(rows)) - starts
    busy = scope.mask(scope.supported)[rows] & rule.new_first
    return rows[np.lexsort((turn, busy))]


# -- picks ----


def _taken(
    scope: Scope, rule: ListRule, more: int = 0, *, before: Mapping[str, Mask] | None = None
) -> tuple[dict[str, Mask], dict[str, dict[str, Mask]]]:
    """Whom each pick takes, and by which types of difficulty; siblings come later.

    `more`: so many next in line, too; then `before` says whom earlier picks really take.
    """
    taken: dict[str, Mask] = {}
    by_types: dict[str, dict[str, Mask]] = {}
    for pick in rule.picks:
        if pick.by == "siblings":
            continue
        base = scope.ranked & _of_grades(scope, pick)
        free = base.copy()
        for earlier in pick.unless:
            free &= ~(taken if before is None else before)[earlier]
        if pick.by == "type" or pick.each == "type":
            found = by_types[pick.id] = _by_type(scope, pick, base, free, more)
            taken[pick.id] = _any_of(len(scope), found.values())
        else:
            taken[pick.id] = _take(scope, pick, base, free, more)
    return taken, by_types


def next_in_line(scope: Scope, rule: ListRule, more: int) -> Mask:
    """Everybody a pick takes, and so many behind them in each order that a pick takes from."""
    wider, _ = _taken(scope, rule, more, before=_taken(scope, rule)[0])
    return _any_of(len(scope), wider.values())


def bases(scope: Scope, rule: ListRule) -> dict[tuple[str, int | None], int]:
    """Of how many each pick's share is, in all (None) and in each grade."""
    found: dict[tuple[str, int | None], int] = {}
    for pick in rule.picks:
        base = scope.ranked & _of_grades(scope, pick)
        found[pick.id, None] = int(base.sum())
        if scope.grades is not None:
            grades, many = np.unique(scope.grades[base], return_counts=True)
            found |= {(pick.id, g): n for g, n in zip(grades.tolist(), many.tolist(), strict=True)}
    return found


def _any_of(size: int, masks: Iterable[Mask]) -> Mask:
    whole = np.zeros(size, dtype=bool)
    for mask in masks:
        whole |= mask
    return whole


def _of_grades(scope: Scope, pick: Pick) -> Mask:
    if pick.grades is None:
        return np.ones(len(scope), dtype=bool)
    if scope.grades is None:
        return np.zeros(len(scope), dtype=bool)
    low, high = pick.grades
    return np.asarray((scope.grades >= low) & (scope.grades <= high), dtype=bool)


def _by_type(scope: Scope, pick: Pick, base: Mask, free: Mask, more: int = 0) -> dict[str, Mask]:
    found: dict[str, Mask] = {}
    for at, kind in enumerate(scope.types):
        if scope.by_type is None:
            break
        own = scope.by_type[at]
        if pick.by == "type":
            if kind.at is not None:
                found[kind.id] = free & (own >= kind.at)
        elif pick.by == "at_least":
            assert pick.at is not None
            found[kind.id] = free & (own >= pick.at)
        else:
            some = free & (own > 0) if scope.type_of_nothing else free
            found[kind.id] = _best(own, some, _so_many(pick, scope.base(pick, None, base)) + more)
    return found


def _take(scope: Scope, pick: Pick, base: Mask, free: Mask, more: int = 0) -> Mask:
    """Whom a pick takes of `free`; shares are of `base`. `more`: so many next in line, too."""
    if pick.at is not None:
        marks = scope.scores if scope.marks is None else scope.marks
        return np.asarray(free & (marks >= pick.at), dtype=bool)
    if pick.by in ("items", "top_items"):
        return _by_items(scope, pick, free, more)
    some = free if scope.nothing is None else free & ~scope.nothing
    if pick.each != "grade" or scope.grades is None:
        return _best(scope.scores, some, _so_many(pick, scope.base(pick, None, base)) + more)
    found = np.zeros(len(scope), dtype=bool)
    for grade in np.unique(scope.grades[base]).tolist():
        here = scope.grades == grade
        many = _so_many(pick, scope.base(pick, grade, base & here))
        found |= _best(scope.scores, some & here, many + more)
    return found


def _by_items(scope: Scope, pick: Pick, free: Mask, more: int) -> Mask:
    zeros = np.zeros(len(scope), dtype=np.int64)
    basic = zeros if scope.basic is None else scope.basic
    other = zeros if scope.other is None else scope.other
    count = {"all": basic + other, "basic": basic, "other": other}[pick.of]
    assert pick.n is not None
    if pick.by == "items":
        return np.asarray(free & (count >= pick.n), dtype=bool)
    rows = np.flatnonzero(free & (count > 0))
    # By count, then score; both sorts are stable, so that what is left goes by key.
    rows = rows[lists.order(scope.scores[rows])]
    rows = rows[np.argsort(-count[rows], kind="stable")][: pick.n + more]
    found = np.zeros(len(scope), dtype=bool)
    found[rows] = True
    return found


def _so_many(pick: Pick, of: int) -> int:
    if pick.share is not None:
        return share_of(exact(pick.share), of)
    assert pick.n is not None
    return pick.n


def _best(scores: Scores, among: Mask, most: int) -> Mask:
    """The `most` highest scores among some rows."""
    rows = np.flatnonzero(among)
    found = np.zeros(len(among), dtype=bool)
    found[rows[lists.top(scores[rows], most)]] = True
    return found


def _siblings(scope: Scope, rule: ListRule, pick: Pick, placed: list[I64], candidates: Mask) -> I64:
    """Siblings of those who have a place and were picked for their own sake, in their order."""
    if scope.households is None:
        return np.zeros(0, dtype=np.int64)
    homes = scope.households
    first: dict[int, int] = {}
    for place, row in enumerate(np.concatenate(placed).tolist()):
        if candidates[row] and homes[row] >= 0:
            first.setdefault(int(homes[row]), place)
    free = scope.ranked & _of_grades(scope, pick) & np.isin(homes, list(first))
    free[np.concatenate(placed)] = False
    free &= ~candidates  # picked themselves: they have, or had, their own chance of a place
    rows = _in_order(scope, rule, np.flatnonzero(free))
    came_with = np.array([first[int(homes[row])] for row in rows.tolist()], dtype=np.int64)
    return rows[np.argsort(came_with, kind="stable")]


def _reasons(
    rule: ListRule,
    rows: I64,
    taken: dict[str, Mask],
    by_types: dict[str, dict[str, Mask]],
    followed: dict[str, set[int]],
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    picks, types = [], []
    for row in rows.tolist():
        picks.append(
            tuple(
                pick.id
                for pick in rule.picks
                if (row in followed.get(pick.id, ()) if pick.by == "siblings"
                    else bool(taken[pick.id][row]))
            )
        )  # fmt: skip
        mine: dict[str, None] = {}
        for found in by_types.values():
            mine.update(dict.fromkeys(kind for kind, mask in found.items() if mask[row]))
        types.append(tuple(mine))
    return picks, types


# -- levels ----


def levels(bands: Bands, scope: Scope) -> I64:
    """The number of each row's level (0: the worst); who fits none has the last."""
    if bands.each == "type":
        return np.asarray(levels_by_type(bands, scope).min(axis=0), dtype=np.int64)
    marks = scope.scores if scope.marks is None else scope.marks
    return _levels(bands, scope, scope.scores, marks, scope.mask(scope.nothing))


def levels_by_type(bands: Bands, scope: Scope) -> I64:
    """The same in every type of difficulty, shape (types, rows). Raises ValueError: no types."""
    if scope.by_type is None or not len(scope.by_type):
        raise ValueError("there are no types to have levels in")
    none = np.zeros(len(scope), dtype=bool)
    return np.stack([
        _levels(bands, scope, own, own, own <= 0 if scope.type_of_nothing else none)
        for own in scope.by_type
    ])  # fmt: skip


def _levels(bands: Bands, scope: Scope, order: Scores, marks: Scores, nothing: Mask) -> I64:
    ranked = np.flatnonzero(scope.ranked)
    ranks = np.full(len(scope), len(scope), dtype=np.int64)
    ranks[ranked[lists.order(order[ranked])]] = np.arange(len(ranked))
    found = np.full(len(scope), len(bands.levels) - 1, dtype=np.int64)
    for at in range(len(bands.levels) - 1, -1, -1):
        band = bands.levels[at]
        if band.at is not None:
            found[marks >= band.at] = at
        elif band.share is not None:
            within = ranks < share_of(exact(band.share), len(ranked))
            found[within & ~nothing] = at
    return found
