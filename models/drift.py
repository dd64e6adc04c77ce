"""Is what comes in still like what came before, and do stated probabilities still come true?

Once in four weeks the distribution of each item over all children is kept as a few counts in bins
(the bins are laid at the item's own quantiles when it is first seen), for a year. What is told is
the population stability index against the month before and against the months before that, beside
what it would easily be by chance with so many children. An item of which nothing came for longer
than its data stay fresh is silent, which matters most. Of items that come on school days only,
months of few school days are compared with nothing: a vacation is no drift, and neither is its end.
For the model, each settled day keeps how many hits were stated, how many there were, and the
log-loss; River's Page-Hinkley test looks for a change in it.

Only counts over the whole board are kept: no child is in here. A drift proves nothing wrong: a new
form and a new grade move a distribution, too. It says where to look.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

MONTHS = 13
DAYS = 104
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
LEAST_SEEN = 20
"""Children of whom an item is known before its bins are laid."""
MARKED = 0.25
"""From this index on a change is marked; below .1 there is none to speak of (Siddiqi 2006)."""
SLIGHT = 0.1
SURE = 3.0
"""Standard deviations above what the index is by chance."""
LEAST_DAYS = 8
"""Settled days before a change of the model can be seen."""
USUAL = 6
"""Months before the last one that are the reference."""
SCHOOL_WEEK = 5 / 7
"""School days of a day, where lessons go on."""

State = Literal["steady", "slight", "marked", "silent", "new", "vacation"]


class Month(msgspec.Struct, array_like=True):
    """One item on one day: children by bin, and of how many nothing is known."""

    day: int
    counts: list[int]
    unknown: int

    @property
    def all(self) -> list[int]:
        """The bins, and the unknown as one more."""
        return [*self.counts, self.unknown]


class Item(msgspec.Struct, array_like=True):
    """One item's bins (inner edges) and months, and the last day of which anything is known."""

    edges: list[float] = []
    months: list[Month] = []
    last_on: int = 0


class Settled(msgspec.Struct, array_like=True):
    """The model on one settled day. `stated`: the sum of its probabilities; `loss`: log-loss."""

    day: int
    counted: int
    hits: int
    stated: float
    loss: float


class Watch(msgspec.Struct, array_like=True):
    """All that is watched of one board.

    `changed_on`: the settled day at which a change was last seen, 0 for none; `worse`: is the
    model's loss higher since? Kept, so that whoever reads this needs no River.
    """

    items: dict[str, Item] = {}
    days: list[Settled] = []
    looked_on: int = 0
    changed_on: int = 0
    worse: bool = False

    def due(self, day: int) -> bool:
        """Is it time to look at the items again?"""
        return day - self.looked_on >= 28

    def look(self, item: str, day: int, values: Sequence[float], last_on: int) -> None:
        """Keep one item's month. `values`: one for each child, NaN where nothing is known."""
        held = self.items.setdefault(item, Item())
        given = np.array(values, dtype=np.float64)
        known = given[~np.isnan(given)]
        held.last_on = max(held.last_on, last_on)
        if not held.edges:
            if len(known) < LEAST_SEEN or not last_on:
                return
            held.edges = sorted(set(np.quantile(known, QUANTILES, method="lower").tolist()))
        bins = np.searchsorted(np.array(held.edges), known, side="left")
        counts = np.bincount(bins, minlength=len(held.edges) + 1).tolist()
        held.months.append(Month(day, counts, len(given) - len(known)))
        del held.months[:-MONTHS]

    def settle(self, day: int, log_odds: F64, hits: npt.NDArray[np.bool_]) -> None:
        """Keep how the model did on a settled day, by the scores it gave then."""
        odds = np.clip(log_odds, -30.0, 30.0)
        stated = 1.0 / (1.0 + np.exp(-odds))
        loss = np.log1p(np.exp(np.where(hits, -odds, odds)))
        self.days.append(
            Settled(day, len(hits), int(hits.sum()), float(stated.sum()), float(loss.sum()))
        )
        del self.days[:-DAYS]
        self.changed_on, self.worse = _change(self.days)


class ItemDrift(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of one item. Indices are None where there is no month to compare with.

    `few`: fewer than LEAST_SEEN children are not like most, so its last day may be one child's.
    `counted`: (children it is known of, the others) now and the month before, for whoever shows
    a share and must hide a small number behind it.
    """

    item: str
    state: State
    against_last: float | None
    against_usual: float | None
    by_chance: float
    unknown: float
    unknown_before: float | None
    looked_on: int
    last_on: int
    few: bool = True
    counted: tuple[tuple[int, int], ...] = ()


class ModelDrift(msgspec.Struct, frozen=True, kw_only=True):
    """The model lately. `changed_on`: the settled day a change was last seen at, None for none.

    `doubt`: how far stated and happened are easily apart by chance (two standard deviations, the
    hits of overlapping days counted once).
    """

    days: int
    counted: int
    hits: int
    stated: float
    happened: float
    doubt: float
    changed_on: int | None
    worse: bool


def stability(now: Sequence[int], before: Sequence[int]) -> float:
    """Population stability index of two rows of counts; half a child is added to each bin."""
    bins = len(now)
    p = (np.array(now) + 0.5) / (sum(now) + 0.5 * bins)
    q = (np.array(before) + 0.5) / (sum(before) + 0.5 * bins)
    return float(((p - q) * np.log(p / q)).sum())


def by_chance(now: Sequence[int], before: Sequence[int]) -> float:
    """How large the index easily is when nothing changed: it goes as chi-square of the bins."""
    free = max(1, sum(1 for a, b in zip(now, before, strict=True) if a + b) - 1)
    spread = 1.0 / max(1, sum(now)) + 1.0 / max(1, sum(before))
    return (free + SURE * math.sqrt(2.0 * free)) * spread


def of_item(
    item: str, held: Item, today: int, patience: int = 28, lessons: Sequence[int] | None = None
) -> ItemDrift:
    """What is to be told of an item on `today`; silent after more than `patience` days.

    `lessons`: the school days so far, in order, of an item that comes on those only; then its
    silence is counted in them, and a month with fewer than half as many as the fullest is compared
    with nothing and nothing with it. "Last month" is the latest that can be compared.
    """
    months, vacation = held.months, False
    if lessons is not None and months:
        taught = [_between(lessons, month.day - 28, month.day) for month in months]
        full = [month for month, n in zip(months, taught, strict=True) if 2 * n >= max(taught)]
        vacation = full[-1:] != months[-1:]
        months = [*full, months[-1]] if vacation else full
    if not months:
        return ItemDrift(
            item=item, state="new", against_last=None, against_usual=None, by_chance=0.0,
            unknown=1.0, unknown_before=None, looked_on=0, last_on=held.last_on,
        )  # fmt: skip
    now, before = months[-1], [] if vacation else months[:-1]
    last = before[-1].all if before else None
    usual = [sum(column) for column in zip(*(m.all for m in before[-USUAL:]), strict=True)]
    found = [(stability(now.all, row), by_chance(now.all, row)) for row in (last, usual) if row]
    state: State = "steady" if before else "new"
    if any(index >= max(SLIGHT, line) for index, line in found):
        state = "slight"
    if any(index >= max(MARKED, line) for index, line in found):
        state = "marked"
    if vacation:
        state = "vacation"
    if lessons is None:
        quiet = today - held.last_on > patience
    else:
        quiet = _between(lessons, held.last_on, today) > patience * SCHOOL_WEEK
    if held.last_on and quiet:
        state = "silent"
    return ItemDrift(
        item=item, state=state,
        against_last=found[0][0] if last else None,
        against_usual=found[-1][0] if usual else None,
        by_chance=max((line for _, line in found), default=0.0),
        unknown=now.unknown / max(1, sum(now.all)),
        unknown_before=before[-1].unknown / max(1, sum(before[-1].all)) if before else None,
        looked_on=now.day, last_on=held.last_on,
        few=sum(now.counts) - max(now.counts, default=0) < LEAST_SEEN,
        counted=tuple((sum(m.counts), m.unknown) for m in (now, *before[-1:])),
    )  # fmt: skip


def _between(days: Sequence[int], after: int, until: int) -> int:
    """How many of the days lie after the one and not after the other."""
    return bisect_right(days, until) - bisect_right(days, after)


def of_model(watch: Watch, horizon: int, lately: int = 8) -> ModelDrift | None:
    """How the model does lately against what it stated; None before anything settled."""
    if not watch.days:
        return None
    recent = watch.days[-lately:]
    counted = sum(d.counted for d in recent)
    stated, hits = sum(d.stated for d in recent), sum(d.hits for d in recent)
    # An outcome is a hit on every day of its horizon: those are one accident.
    step = max(1, (recent[-1].day - recent[0].day) // max(1, len(recent) - 1))
    alike = max(1.0, min(len(recent), horizon / step))
    rate = max(stated, 1.0) / counted
    doubt = 2.0 * math.sqrt(rate * (1.0 - min(rate, 1.0)) / counted * alike)
    return ModelDrift(
        days=len(recent), counted=counted, hits=hits, stated=stated / counted,
        happened=hits / counted, doubt=doubt,
        changed_on=watch.changed_on or None, worse=watch.worse,
    )  # fmt: skip


def _change(days: Sequence[Settled]) -> tuple[int, bool]:
    """(the last settled day at which a change was seen or 0, is the loss higher since?).

    Page and Hinkley's test looks at the log-loss beyond that of knowing each day's own rate, so
    that a month with more outcomes alone is no change of the model; in robust standard deviations
    of all days kept, with the usual allowance of half a one and a threshold that days which share
    outcomes do not reach by themselves.
    """
    from river.drift import PageHinkley  # River takes a second to import

    made: Any = PageHinkley  # River has no types here
    watcher = made(min_instances=LEAST_DAYS, delta=0.5, threshold=10.0, mode="both")
    beyond = [_beyond(day) for day in days]
    middle = float(np.median(beyond))
    spread = 1.4826 * float(np.median(np.abs(np.array(beyond) - middle)))
    found: int | None = None
    for at, value in enumerate(beyond):
        watcher.update((value - middle) / spread if spread > 0 else 0.0)
        if watcher.drift_detected:
            found = at
    if found is None:
        return 0, False
    earlier, since = beyond[:found], beyond[found:]
    worse = bool(earlier) and sum(since) / len(since) > sum(earlier) / len(earlier)
    return days[found].day, worse


def _beyond(day: Settled) -> float:
    rate = min(1.0 - 1e-9, max(1e-9, day.hits / day.counted))
    known = -(rate * math.log(rate) + (1.0 - rate) * math.log(1.0 - rate))
    return day.loss / day.counted - known
