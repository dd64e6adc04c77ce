"""More that can be said of any item, computed when asked for: the class, the week, the calendar.

Per item of whatever name: amounts over 14 days, the place within the child's class, how long the
present run is, the age of the data, and whether it falls on Mondays or on the first day after days
off more often than in the group. Days off are nobody's plan here: runs of at least
DAYS_OFF days on which nobody in the group has any row.

These serve explanations. Weekday, days off, 14 days and runs were tried as columns of the model by
time-forward validation and moved nothing that chance does not move (docs/models.md); in the folders
there are to try it on, a class is the whole group, so its place could not be tried. A column costs
time for every child and day, so none of them is in a model's block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from models.features import I64, Extract, ItemColumns
from models.items import ItemSpec
from models.relative import F64, excess, place_within

DAYS_OFF = 3
"""So many days without anybody's rows are days off; a weekend has two."""


def met_on(columns: Iterable[ItemColumns]) -> I64:
    """Sorted days on which anybody in the group has a row of any of the items."""
    days = [held.days for held in columns]
    return np.unique(np.concatenate(days)) if days else np.zeros(0, dtype=np.int64)


def first_after_days_off(met: I64) -> I64:
    """Those of the days that are the first after days off."""
    return met[1:][np.diff(met) > DAYS_OFF]


def patterns(extract: Extract, spec: ItemSpec, classes: Sequence[str]) -> dict[str, F64]:
    """Every pattern of one item, one number for each student. `classes`: their class ids.

    Counts and flags: `sum14`, `class7`, `class28` (place within the class), `run` (days the group
    met, in a row up to the last one, with it), `times` (remembered days with it), of them
    `monday_times`, `after_off_times`, and `monday`, `after_off` (how much more often than in the
    group, in standard deviations). Measures: `mean14` (NaN without any), `class` (place of the
    last value), `monday`, `after_off` (mean then, against the mean of other days; 0 without both).
    All: `age` (days since the last row, NaN without one). Refusals, runs of bad answers and places
    in the whole group are columns of features.py.
    """
    columns, day, n = extract.items[spec.id], extract.day, len(extract.students)
    met = met_on(extract.items.values())
    monday = (columns.days - 1) % 7 == 0  # ordinal 1 is a Monday
    after = np.isin(columns.days, first_after_days_off(met))
    age = np.where(columns.last_on > 0, day - columns.last_on.astype(np.float64), np.nan)
    found = {"age": age}
    late = columns.days > day - 14
    if spec.kind == "measure":
        seen = columns.last_on > 0
        count = _count(columns, late, n)
        total = _total(columns, late, n)
        found["mean14"] = np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
        found["class"] = place_within(columns.stats["last"], classes, seen)
        found["monday"], found["after_off"] = (
            _then_against_usual(columns, which, n) for which in (monday, after)
        )
        return found
    found["sum14"] = _total(columns, late, n)
    if spec.kind == "count":
        found["class7"] = place_within(columns.stats["rate7"], classes)
        found["class28"] = place_within(columns.stats["rate28"], classes)
    else:
        found["class28"] = place_within(columns.stats["days28"], classes)
    active = columns.values != 0
    times = _count(columns, active, n)
    found["times"] = times
    for name, which in (("monday", monday), ("after_off", after)):
        found[f"{name}_times"] = then = _count(columns, active & which, n)
        usual = float(then.sum() / times.sum()) if times.sum() else 0.0
        found[name] = excess(then, times, usual)
    found["run"] = _run(columns, active, met, n)
    return found


def _count(columns: ItemColumns, which: np.ndarray, n: int) -> F64:
    return np.bincount(columns.rows[which], minlength=n).astype(np.float64)


def _total(columns: ItemColumns, which: np.ndarray, n: int) -> F64:
    return np.bincount(columns.rows[which], weights=columns.values[which], minlength=n).astype(
        np.float64
    )


def _then_against_usual(columns: ItemColumns, which: np.ndarray, n: int) -> F64:
    then, all_ = _count(columns, which, n), _count(columns, np.ones(len(columns.rows), bool), n)
    mean = _total(columns, which, n) / np.maximum(then, 1.0)
    rest = (_total(columns, ~which, n)) / np.maximum(all_ - then, 1.0)
    return np.where((then > 0) & (all_ > then), mean - rest, 0.0)


def _run(columns: ItemColumns, active: np.ndarray, met: I64, n: int) -> F64:
    """Days the group met in a row, up to the last of them, on which it happened."""
    if not len(met):
        return np.zeros(n)
    held = np.zeros((n, len(met)), dtype=bool)
    held[columns.rows[active], np.searchsorted(met, columns.days[active])] = True
    broken = ~held[:, ::-1]
    return np.where(broken.any(axis=1), broken.argmax(axis=1), len(met)).astype(np.float64)
