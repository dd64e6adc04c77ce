"""The few rows of a scope among which one child's change is decided.

When one child's facts are otherwise and everybody else's as they were, only those who have a place,
those next in line for one, and the siblings of both can come or go. A city's scope of tens of
thousands of rows becomes some thousand, so that many changes can be tried. How many a share is of
is counted in the whole scope and handed along. That both give the same answer for any change of any
child is a property that tests try on random scopes; it is exact, not an estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from warning_service.judging.picking import lists, selection
from warning_service.judging.picking.selection import I64, Mask, Scope
from warning_service.playbooks.judging import ListRule

MOST_PICKS = 6
"""One child's change moves at most two rows of the first pick, four of the next, and so on."""


@dataclass(frozen=True)
class Near:
    """`scope`: the kept rows, in the order of the whole's; `where`: (part, row of its group) of
    each of them.
    """

    scope: Scope
    where: Sequence[tuple[int, int]]
    rule: ListRule | None
    budget: int
    new_first: bool

    @cached_property
    def _spots(self) -> dict[tuple[int, int], int]:
        return {spot: at for at, spot in enumerate(self.where)}

    def spot(self, part: int, row: int) -> int:
        """Where a child's row stands in the scope. Raises KeyError for a row that is not kept."""
        return self._spots[part, row]

    def listed(self, scope: Scope) -> I64:
        """The listed rows of a scope like this one, with a child's changed."""
        if self.rule is None:
            return selection.by_score(scope, self.budget, new_first=self.new_first)
        return selection.listed(scope, self.rule, self.budget)


def near(
    whole: Scope,
    where: Sequence[tuple[int, int]],
    rule: ListRule | None,
    budget: int,
    *,
    new_first: bool,
) -> Near:
    """The rows that matter to who of `whole` is listed, whichever one listed child changes."""
    if rule is None or not rule.picks:
        kept = _by_score(whole, budget)
    elif len(rule.picks) > MOST_PICKS:
        kept = np.ones(len(whole), dtype=bool)
    else:
        kept = _by_picks(whole, rule)
    rows = np.flatnonzero(kept)
    return Near(
        _of_rows(whole, rows, rule), [where[row] for row in rows.tolist()], rule, budget, new_first
    )  # fmt: skip


def _of_rows(whole: Scope, rows: I64, rule: ListRule | None) -> Scope:
    """Only these rows; shares are of what they were of."""
    held = {name.name: getattr(whole, name.name) for name in fields(Scope)}
    columns: dict[str, Any] = {
        name: of[..., rows] for name, of in held.items() if isinstance(of, np.ndarray)
    }
    bases = None if rule is None else selection.bases(whole, rule)
    return replace(whole, **columns, bases=bases)


def _by_score(whole: Scope, budget: int) -> Mask:
    kept = np.zeros(len(whole), dtype=bool)
    later = whole.mask(whole.later)
    for late in (False, True):
        rows = np.flatnonzero(whole.ranked & (later == late))
        kept[rows[lists.top(whole.scores[rows], lists.NEW_FIRST_POOL * budget + 2)]] = True
    return kept


def _by_picks(whole: Scope, rule: ListRule) -> Mask:
    """Whom any pick takes, as many next in line as can move up, and the siblings of both."""
    kept = selection.next_in_line(whole, rule, 2 ** (len(rule.picks) + 1))
    if whole.households is not None and any(pick.by == "siblings" for pick in rule.picks):
        homes = np.unique(whole.households[kept])
        kept |= np.isin(whole.households, homes[homes >= 0])
    return kept & whole.ranked
