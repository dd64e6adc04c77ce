"""Features of one group of students as of the end of one day, as one float32 block.

Per item: how much lately (7 and 28 days) and ever, change against the child's own past, how long
since, how much is missing, how long a bad run lasts, and where the child stands in its group that
day. Heavy-tailed amounts enter as square roots. Columns have fixed names in a fixed order, and a
hash over them travels with every model.

Only what is dated on or before the day is looked at. Every row goes through the same element-wise
arithmetic and group means are exact sums (`fsum`), so two students with equal data get equal rows
wherever they stand in the block. No immutable trait can enter: a state does not hold any.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from models import household
from models.items import WINDOW, ItemSpec
from models.relative import Scale, Scales
from models.student_state import StudentState

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]

VERSION = "3"
LONGEST = 400  # days; recency and time on the roll are capped here

STATS = {
    "count": ("rate7", "rate28", "rate_ever", "change7", "change28", "active7", "active28",
              "since", "place7", "place28"),
    "measure": ("last", "mean7", "mean_ever", "change", "since", "seen28", "missing", "bad_run",
                "place"),
    "flag": ("days28", "days_ever", "since", "ever"),
}  # fmt: skip
GENERAL = ("roll:days", "outcome:before", "outcome:since")


class Schema:
    """The named columns of a block for the items in use; with `homes` also what siblings show."""

    def __init__(self, specs: Sequence[ItemSpec], *, homes: bool = False) -> None:
        self.specs = tuple(sorted(specs, key=lambda s: s.id))
        self.homes = homes
        names = [f"{s.id}:{stat}" for s in self.specs for stat in STATS[s.kind]]
        names += [*GENERAL, *(household.COLUMNS if homes else ())]
        self.names: tuple[str, ...] = tuple(names)
        self.owner: tuple[str, ...] = tuple(name.rpartition(":")[0] for name in self.names)
        told = [VERSION, *(f"{s.id}/{s.kind}/{s.worse}/{s.keep_days}" for s in self.specs)]
        self.hash = hashlib.sha256("\n".join([*told, *self.names]).encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.names)


@dataclass
class ItemColumns:
    """One item of a group of n students as arrays: single days flat, and the numbers people read.

    `rows`, `days`, `values`: one entry per remembered student-day, sorted by student, then day.
    `recent`: sum of the last 28 days (measures: the last value). `usual`: the child's own usual
    before that, per 28 days; NaN with less than a week of it (measures: the mean of the earlier
    values, NaN with fewer than two of them).
    `last_on`: ordinal of the last row, 0 for none.
    """

    rows: I64
    days: I64
    values: F64
    recent: F64
    usual: F64
    last_on: I64
    stats: dict[str, F64] = field(default_factory=dict)


@dataclass
class Extract:
    """A group's features on one day: `block` is float32 of shape (students, columns).

    `stay`: days of each student's present unbroken stay on the roll. `scales`: the group's means
    and deviations that went in; `own`: the first student's values placed in another group's.
    """

    day: int
    students: list[str]
    block: F32
    items: dict[str, ItemColumns]
    stay: F64
    scales: dict[str, Scale] = field(default_factory=dict)
    own: dict[str, float] = field(default_factory=dict)

    def with_homes(self, shown: F64) -> Extract:
        """The same with what siblings show (household.columns) in the block's last columns."""
        block = self.block.copy()
        block[:, -shown.shape[1] :] = shown
        return replace(self, block=block)


def extract(
    schema: Schema,
    students: Sequence[str],
    states: Sequence[StudentState],
    day: int,
    *,
    among: Mapping[str, Scale] | None = None,
    instead: Mapping[str, float] | None = None,
) -> Extract:
    """Features of one group (all students on its roll) as of the end of `day`.

    `among`: place them in another group, by its scales, instead of in their own; each in the place
    of that group's member whose own values `instead` are (another extract's `own`). What siblings
    show is zero here: it needs the rule's points, which need these features (`Extract.with_homes`).
    """
    scales = Scales(among, instead)
    n = len(students)
    totals = [state.days_on_roll(day) for state in states]
    total = np.array([t for t, _ in totals], dtype=np.float64).reshape(n)
    stay = np.array([s for _, s in totals], dtype=np.float64).reshape(n)
    found = {
        spec.id: _item(spec, states, day, total=total, stay=stay, scales=scales)
        for spec in schema.specs
    }
    columns: list[F64] = [
        found[spec.id].stats[stat] for spec in schema.specs for stat in STATS[spec.kind]
    ]
    columns += _general(states, day, total)
    block = np.zeros((n, len(schema)), dtype=np.float32)
    for at, column in enumerate(columns):
        block[:, at] = column
    return Extract(day, list(students), block, found, stay, scales.found, scales.own)


def _general(states: Sequence[StudentState], day: int, total: F64) -> list[F64]:
    before, since = [], []
    for state in states:
        known = [one.on for one in state.known_by(day)]
        before.append(min(3.0, float(len(known))))
        since.append(math.sqrt(min(LONGEST, day - known[-1])) if known else 0.0)
    return [
        np.sqrt(np.minimum(total, LONGEST)),
        np.array(before, dtype=np.float64),
        np.array(since, dtype=np.float64),
    ]


# -- one item ----


def _item(
    spec: ItemSpec,
    states: Sequence[StudentState],
    day: int,
    *,
    total: F64,
    stay: F64,
    scales: Scales,
) -> ItemColumns:
    n = len(states)
    counts: list[int] = []
    days: list[int] = []
    values: list[float] = []
    old: list[tuple[int, float, int, float]] = []
    refused: list[int] = []
    for state in states:
        held = state.items.get(spec.id)
        if held is None:
            counts.append(0)
            old.append((0, 0.0, 0, 0.0))
            refused.append(0)
            continue
        counts.append(len(held.days))
        days += held.days
        values += held.values
        old.append((held.old_n, held.old_sum, held.old_last, held.old_last_value))
        refused.append(sum(1 for d in held.refused if day - WINDOW < d <= day))
    rows = np.repeat(np.arange(n, dtype=np.int64), np.array(counts, dtype=np.int64).reshape(n))
    when = np.array(days, dtype=np.int64)
    what = np.array(values, dtype=np.float64)
    past = when <= day
    if not past.all():
        rows, when, what = rows[past], when[past], what[past]
    older = np.array(old, dtype=np.float64).reshape(n, 4)
    last_on = older[:, 2].astype(np.int64)
    last_on[rows] = when  # sorted by day: the latest of a student stands
    if spec.kind == "measure":
        columns = _measure(
            spec, (rows, when, what), older, last_on, day=day, stay=stay, scales=scales
        )
        missing = np.minimum(np.array(refused, dtype=np.float64).reshape(n), 4.0)
        columns.stats["missing"] = missing + (last_on == 0)
        return columns
    columns = ItemColumns(rows, when, what, _sum(n, rows, what, when > day - WINDOW), older[:, 1],
                          last_on)  # fmt: skip
    if spec.kind == "count":
        _count(spec, columns, older, day=day, total=total, stay=stay, scales=scales)
    else:
        _flag(columns, older, day, total, stay)
    return columns


def _sum(n: int, rows: I64, values: F64, where: npt.NDArray[np.bool_]) -> F64:
    """Per-student sums, added in day order."""
    return np.bincount(rows[where], weights=values[where], minlength=n).astype(np.float64)


def _root(values: F64) -> F64:
    return np.sign(values) * np.sqrt(np.abs(values))


def _since(last_on: I64, day: int, otherwise: F64) -> F64:
    """Square root of the days since, capped; `otherwise` (days) where it never was."""
    days = np.where(last_on > 0, day - last_on.astype(np.float64), otherwise)
    return np.sqrt(np.minimum(np.maximum(days, 0.0), LONGEST))


def _usual(older: F64, columns: ItemColumns, day: int, total: F64, stay: F64) -> F64:
    """Amount per day before the last 28 days; NaN with less than a week of it."""
    n = len(total)
    ever = older[:, 1] + _sum(n, columns.rows, columns.values, columns.days <= day - WINDOW)
    days = total - np.minimum(stay, WINDOW)
    return np.where(days >= 7, ever / np.maximum(days, 1.0), np.nan)


def _count(
    spec: ItemSpec,
    columns: ItemColumns,
    older: F64,
    *,
    day: int,
    total: F64,
    stay: F64,
    scales: Scales,
) -> None:
    n = len(total)
    rows, days, values = columns.rows, columns.days, columns.values
    active = values != 0
    last_active = np.where(older[:, 3] != 0, older[:, 2], 0).astype(np.int64)
    last_active[rows[active]] = days[active]
    week, month = np.minimum(stay, 7.0), np.minimum(stay, float(WINDOW))
    sum7 = _sum(n, rows, values, days > day - 7)
    usual = _usual(older, columns, day, total, stay)
    ever = older[:, 1] + _sum(n, rows, values, np.ones(len(rows), dtype=bool))
    rate7, rate28 = _root(sum7 / week), _root(columns.recent / month)
    own = _root(np.where(np.isnan(usual), columns.recent / month, usual))
    ones = np.ones(len(rows))
    columns.usual = usual * WINDOW
    columns.stats = {
        "rate7": rate7,
        "rate28": rate28,
        "rate_ever": _root(ever / np.maximum(total, 1.0)),
        "change7": rate7 - own,
        "change28": rate28 - own,
        "active7": _sum(n, rows, ones, active & (days > day - 7)) / week,
        "active28": _sum(n, rows, ones, active & (days > day - WINDOW)) / month,
        "since": _since(last_active, day, total),
        "place7": scales.place(f"{spec.id}:place7", rate7),
        "place28": scales.place(f"{spec.id}:place28", rate28),
    }


def _flag(columns: ItemColumns, older: F64, day: int, total: F64, stay: F64) -> None:
    ever = older[:, 1] + _sum(
        len(total), columns.rows, columns.values, np.ones(len(columns.rows), dtype=bool)
    )
    columns.usual = _usual(older, columns, day, total, stay) * WINDOW
    columns.stats = {
        "days28": _root(columns.recent),
        "days_ever": _root(ever),
        "since": _since(columns.last_on, day, total),
        "ever": (ever > 0).astype(np.float64),
    }


def _measure(
    spec: ItemSpec,
    flat: tuple[I64, I64, F64],
    older: F64,
    last_on: I64,
    *,
    day: int,
    stay: F64,
    scales: Scales,
) -> ItemColumns:
    rows, days, values = flat
    n = len(older)
    seen = last_on > 0
    ones = np.ones(len(rows))
    everything = np.ones(len(rows), dtype=bool)
    week = days > day - 7
    count7, sum7 = _sum(n, rows, ones, week), _sum(n, rows, values, week)
    count = older[:, 0] + _sum(n, rows, ones, everything)
    total = older[:, 1] + _sum(n, rows, values, everything)
    last = older[:, 3].copy()
    last[rows] = values
    middle = scales.middle(f"{spec.id}:middle", last[seen])
    last = np.where(seen, last, middle)
    ever = np.where(seen, total / np.maximum(count, 1.0), middle)
    earlier = count - count7
    usual = np.where(earlier > 0, (total - sum7) / np.maximum(earlier, 1.0), np.nan)
    mean7 = np.where(count7 > 0, sum7 / np.maximum(count7, 1.0), last)
    change = np.where(np.isnan(usual), 0.0, mean7 - np.where(np.isnan(usual), 0.0, usual))
    # A bad run: the latest observations in a row, of the last 28 days, worse than the own mean.
    lately = days > day - WINDOW
    runs = rows[lately]
    bad = (values[lately] - ever[runs]) * (spec.direction or 1) > 0
    held = np.bincount(runs, minlength=n)
    ends = np.cumsum(held)
    last_good = ends - held - 1
    last_good[runs[~bad]] = np.flatnonzero(~bad)
    run = (ends - 1 - last_good).astype(np.float64)
    own = np.where(count >= 3, (total - last) / np.maximum(count - 1, 1.0), np.nan)
    return ItemColumns(
        rows, days, values, np.where(seen, last, np.nan), own, last_on,
        {
            "last": last,
            "mean7": mean7,
            "mean_ever": ever,
            "change": change,
            "since": _since(last_on, day, stay),
            "seen28": _root(_sum(n, rows, ones, days > day - WINDOW)),
            "bad_run": np.minimum(run, 10.0),
            "place": scales.place(f"{spec.id}:place", last, seen),
        },
    )  # fmt: skip
