"""The plain rule that judges until a model has shown that it is better, and always runs beside it.

With a playbook: its method, on window values. An item is *reached* when the sum (counts, flags) or
mean (measures) over its window is at the playbook's mark or worse, in the direction the catalogue
calls worse; where no direction is known, reaching means from below, as for a high value. Then
`points` gives the item's points, `count` one, `similarity` the item's weight (alike.py), and a
`formula` gives its coefficient times the window value (of a flag: once), reached or not. What the
items give adds up to the child's total; an item speaks for its own types of difficulty only, so
each type has a sum of its own. A sibling's points (siblings.py) come on top of the total, once, and
of no type.

Without a playbook (replays of data nobody wrote one for): for every item with a known worse
direction, how far the student stands on the worse side: for counts of its group, by the share of
active days in the last 7 and 28 days, which says the less the shorter it has been there; for
measures asked every other day or more often (self-checks, for which everybody has a scale of their
own) of its own mean, for those asked seldom of its group; for flags of its group, by the days it
ever happened. Equal weights, nothing fitted; this form was picked after a look at the
development data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models import household
from models.features import Extract, ItemColumns
from models.items import WINDOW
from models.relative import place
from warning_service.judging.setup import Setup, Use

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

DECIMALS = 9
"""Scores are compared with marks after rounding: 0.1 + 0.2 reaches a mark of 0.3."""
SIBLING = household.OWNER
"""Stands for the sibling's points where parts of a score go by item."""
Alike = Mapping[str, float]
"""Item -> its weight in `similarity`; the weights of all items add up to one."""


class Flat(NamedTuple):
    """One item of many children: child (row), day (ordinal) and value, one entry a child and day.

    Sorted by row, then day, when a measure's last value is asked for; sums need no order.
    """

    rows: I64
    days: I64
    values: F64


class Window(NamedTuple):
    """An item's sum or mean over a window, for each child, and was there anything to judge by."""

    value: F64
    known: Mask


@dataclass(frozen=True)
class Judged:
    """What the rule says of a group of children (rows).

    `found`: item -> what it gives to each; items that can give nothing are left out. `total`: all
    of that and `sibling` added up, of a formula with its intercept (log-odds): the column the model
    learns from. `score`: what the playbook's thresholds compare: points, a count, a probability, a
    likeness. `by_type`: the same of each type of difficulty, shape (types, children). `basic`,
    `other`: how many of the 19 basic items, and of the others, are reached.
    """

    found: dict[str, F64]
    total: F64
    score: F64
    by_type: F64
    basic: I64
    other: I64
    sibling: F64

    @property
    def parts(self) -> dict[str, F64]:
        """All that adds up to the total but for a formula's intercept: items, and the sibling."""
        return {**self.found, SIBLING: self.sibling} if self.sibling.any() else self.found

    def with_siblings(self, extra: F64) -> Judged:
        """The same with a sibling's points on top (of points and counts; nothing else has any)."""
        total = self.total + extra
        return replace(self, total=total, score=np.round(total, DECIMALS), sibling=extra)


def window_value(
    use: Use, columns: ItemColumns, students: int, day: int, window: int | None = None
) -> Window:
    """The item over its own window, or over `window` days, up to the end of `day` (an ordinal)."""
    flat = Flat(columns.rows, columns.days, columns.values)
    return window_of(use, flat, students, day - (window or use.window))


def window_of(use: Use, flat: Flat, students: int, after: int) -> Window:
    """The same from flat arrays: what is dated after the day `after` counts."""
    recent = flat.days > after
    rows = flat.rows[recent]
    added = np.bincount(rows, weights=flat.values[recent], minlength=students).astype(np.float64)
    if use.spec.kind != "measure":
        return Window(added, np.ones(students, dtype=bool))
    count = np.bincount(rows, minlength=students)
    return Window(added / np.maximum(count, 1), count > 0)


def reaches(use: Use, window: Window, at: float) -> Mask:
    """Who is at the mark or worse."""
    value = np.round(window.value, DECIMALS)
    worse = value <= at if use.spec.worse == "low" else value >= at
    return np.asarray(window.known & worse, dtype=bool)


def judge(setup: Setup, extract: Extract, alike: Alike | None = None) -> Judged:
    """What the rule says of one group, siblings left aside. `alike`: weights of `similarity`."""
    n = len(extract.students)
    if setup.rules == "generic":
        return _generic(setup, extract, n)
    windows = {
        use.spec.id: window_value(use, extract.items[use.spec.id], n, extract.day)
        for use in setup.uses
    }
    return judge_windows(setup, windows, n, alike)


def judge_windows(
    setup: Setup, windows: Mapping[str, Window], students: int, alike: Alike | None = None
) -> Judged:
    """What the playbook's rule says of `students` children, by each item's window value.

    Raises KeyError for an item in use that is not in `windows`.
    """
    found: dict[str, F64] = {}
    counts = {True: np.zeros(students, np.int64), False: np.zeros(students, np.int64)}
    weights = usual_weights(setup) if alike is None else alike
    for use in setup.uses:
        window = windows[use.spec.id]
        hit = reaches(use, window, use.at)
        counts[use.basic] += hit
        given = _given(setup, use, window, hit, weights)
        if given is not None:
            found[use.spec.id] = given
    total = added(found, students)
    if setup.method == "formula":
        total = total + setup.intercept
    by_type = np.zeros((len(setup.types), students))
    for at, kind in enumerate(setup.types):
        mine = {u.spec.id: found[u.spec.id] for u in setup.uses
                if u.spec.id in found and u.speaks_for(kind.id)}  # fmt: skip
        whole = sum(weights.get(item, 0.0) for item in mine)
        by_type[at] = _scored(setup, added(mine, students), whole)
    whole = sum(weights.get(item, 0.0) for item in found)
    score = _scored(setup, total - (setup.intercept if setup.method == "formula" else 0.0), whole)
    zeros = np.zeros(students)
    return Judged(found, total, score, by_type, counts[True], counts[False], zeros)


def _given(setup: Setup, use: Use, window: Window, hit: Mask, weights: Alike) -> F64 | None:
    if setup.method == "formula":
        value = np.where(window.known, window.value, 0.0)
        if use.spec.kind == "flag":  # told anew by every extract, and true once
            value = np.minimum(value, 1.0)
        return use.coefficient * value if use.coefficient else None
    worth = {"points": use.points, "count": 1.0, "similarity": weights.get(use.spec.id, 0.0)}
    given = worth.get(setup.method, 0.0)
    return np.where(hit, given, 0.0) if given else None


def _scored(setup: Setup, parts: F64, whole: float) -> F64:
    """The score items add up to. `whole`: the weights of all items that were asked (similarity)."""
    if setup.method == "formula":
        return np.round(1.0 / (1.0 + np.exp(-np.clip(parts + setup.intercept, -50, 50))), DECIMALS)
    if setup.method == "similarity":
        parts = parts / whole if whole else parts
    return np.round(parts, DECIMALS)


def usual_weights(setup: Setup) -> dict[str, float]:
    """Weights of `similarity` before enough children with a support history are known.

    Each item's points, or one for each when none has any.
    """
    mine = [use for use in setup.uses if not _is_history(setup, use)]
    any_points = any(use.points for use in mine)
    worth = {use.spec.id: use.points if any_points else 1.0 for use in mine}
    whole = sum(worth.values()) or 1.0
    return {item: value / whole for item, value in worth.items()}


def _is_history(setup: Setup, use: Use) -> bool:
    """Is it the item by which children with a support history are known? It says nothing more."""
    return setup.similar_to is not None and setup.similar_to.item == use.spec.id


def points_by_item(setup: Setup, extract: Extract, alike: Alike | None = None) -> dict[str, F64]:
    """What each item gives to every student; items that can give nothing are left out."""
    return judge(setup, extract, alike).found


def added(found: Mapping[str, F64], students: int) -> F64:
    """All items' parts added up in the order of their ids."""
    parts = np.zeros(students)
    for item in sorted(found):
        parts = parts + found[item]
    return parts


def total(found: Mapping[str, F64], students: int) -> F64:
    """The items' parts of a method without an intercept and without siblings, added up."""
    return added(found, students)


def beside(block: F32, total: F64) -> F32:
    """The block with the rule's total as one more column: what the online model looks at."""
    return np.column_stack((block, total.astype(np.float32)))


# -- without a playbook ----


def _generic(setup: Setup, extract: Extract, students: int) -> Judged:
    found = {}
    for use in setup.uses:
        given = _generic_item(use, extract)
        if given is not None:
            found[use.spec.id] = given
    total = added(found, students)
    none = np.zeros(students, dtype=np.int64)
    return Judged(
        found, total, np.round(total, DECIMALS), np.zeros((0, students)), none, none,
        np.zeros(students),
    )  # fmt: skip


def _generic_item(use: Use, extract: Extract) -> F64 | None:
    direction = use.spec.direction
    if not direction:
        return None
    columns = extract.items[use.spec.id]
    stats, stay = columns.stats, np.minimum(extract.stay, float(WINDOW))
    if use.spec.kind == "count":
        told = np.where(stay >= 7, stay / WINDOW, 0.0)  # as little as a usual amount is known
        worse = told * (place(stats["active7"]) + place(stats["active28"])) / 2.0
    elif use.spec.kind == "measure":
        own = _own_scale(extract, columns)
        worse = own * place(stats["last"] - stats["mean_ever"]) + (1.0 - own) * stats["place"]
    else:
        worse = place(stats["days_ever"]) / 2.0
    return direction * worse


def _own_scale(extract: Extract, columns: ItemColumns) -> float:
    """1 for a measure asked at least every other day lately, less in proportion to 0 for never."""
    since = extract.day - WINDOW
    there = np.minimum(extract.stay, float(WINDOW))[columns.last_on > since]
    days = math.fsum(there.tolist())
    return min(1.0, 2.0 * float(np.count_nonzero(columns.days > since)) / days) if days else 0.0
