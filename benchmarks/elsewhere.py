"""Do the figures of judgement.py hold on folders nothing was chosen on? Altered ones, at least.

    python benchmarks/elsewhere.py FOLDER [--seed N]

From one folder with history it makes others and plays each as judgement.py does: random halves of
the students, lists two weeks later, lists half as long, half the horizon, half of the items, the
groups in the other order, and the largest group split in two, one half a year's place later. They
share students with the folder the constants were chosen on, so this is weaker than other data: it
shows what hangs on one split or one date. One line each; the last has median and worst of each
figure (worst: the one farthest to the bad side).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and scikit-learn are imported

import argparse
import contextlib
import io
import logging
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from judgement import play, told

from models.replay_folder import Folder, read_folder
from models.replay_traits import read_traits

BETTER_HIGH = (
    "auc_gap",
    "p10_ratio",
    "p10_rule_ratio",
    "prauc_ratio",
    "cold_gap",
    "cold_p10_ratio",
)
BETTER_LOW = ("brier_ratio", "ece", "read85_more", "cpu_ratio", "recall_apart_more", "state_mb")


def of_students(data: Folder, kept: set[str]) -> Folder:
    """Only these students."""
    return replace(
        data,
        students=tuple(s for s in data.students if s.student in kept),
        observations=tuple(o for o in data.observations if o.student in kept),
        outcomes=tuple(o for o in data.outcomes if o.student in kept),
    )


def of_items(data: Folder, kept: set[str]) -> Folder:
    """Only these items."""
    return replace(
        data,
        items=tuple(i for i in data.items if i.spec.id in kept),
        observations=tuple(o for o in data.observations if o.item in kept),
    )


def moved(data: Folder, days: Mapping[str, int]) -> Folder:
    """Each student's whole life so many days later; list dates as they are."""
    by = {student: timedelta(days=n) for student, n in days.items()}
    return replace(
        data,
        students=tuple(
            replace(s, start=s.start + by[s.student], until=s.until and s.until + by[s.student])
            for s in data.students
        ),
        observations=tuple(sorted(replace(o, on=o.on + by[o.student]) for o in data.observations)),
        outcomes=tuple(
            replace(
                o,
                on=o.on + by[o.student],
                known_on=o.known_on + by[o.student],
                over_on=o.over_on and o.over_on + by[o.student],
            )
            for o in data.outcomes
        ),
    )


def starts(data: Folder) -> dict[str, int]:
    """Group -> ordinal of its first day, the earliest first."""
    found: dict[str, int] = {}
    for s in data.students:
        found[s.group] = min(found.get(s.group, s.start.toordinal()), s.start.toordinal())
    return dict(sorted(found.items(), key=lambda held: held[1]))


def in_the_other_order(data: Folder) -> Folder:
    """The groups' places in time handed out from the other end, list dates with them."""
    when = starts(data)
    shift = {
        group: new - when[group]
        for group, new in zip(when, reversed(list(when.values())), strict=True)
    }
    dates = []
    for day in data.list_dates:
        group = max((g for g in when if when[g] <= day.toordinal()), key=lambda g: when[g])
        dates.append(day + timedelta(days=shift[group]))
    turned = moved(data, {s.student: shift[s.group] for s in data.students})
    return replace(turned, list_dates=tuple(sorted(set(dates))))


def twice(data: Folder, dice: random.Random) -> Folder:
    """The largest group alone, a random half of it later by what parts the first two groups."""
    when = list(starts(data).values())
    sizes: dict[str, list[str]] = {}
    for s in data.students:
        sizes.setdefault(s.group, []).append(s.student)
    largest = max(sorted(sizes), key=lambda group: len(sizes[group]))
    later = set(dice.sample(sorted(sizes[largest]), len(sizes[largest]) // 2))
    gap = when[1] - when[0]
    only = of_students(data, set(sizes[largest]))
    until = max(o.on for o in only.observations)
    dates = [day for day in data.list_dates if day <= until]
    split = moved(only, {s.student: gap * (s.student in later) for s in only.students})
    return replace(
        split,
        students=tuple(
            replace(s, group=f"{s.group}, later") if s.student in later else s
            for s in split.students
        ),
        list_dates=tuple(sorted({*dates, *(day + timedelta(days=gap) for day in dates)})),
    )


def variants(data: Folder, dice: random.Random) -> Iterator[tuple[str, Folder]]:
    """Other folders made of one."""
    for number in (1, 2):
        everybody = sorted(s.student for s in data.students)
        half = set(dice.sample(everybody, len(everybody) // 2))
        yield f"half of the students, {number}a", of_students(data, half)
        yield f"half of the students, {number}b", of_students(data, set(everybody) - half)
    later = tuple(day + timedelta(days=14) for day in data.list_dates)
    yield "lists two weeks later", replace(data, list_dates=later)
    yield "lists half as long", replace(data, share=data.share / 2)
    yield "half the horizon", replace(data, horizon=data.horizon // 2)
    items = sorted(i.spec.id for i in data.items)
    half = set(dice.sample(items, len(items) // 2))
    yield "half of the items, a", of_items(data, half)
    yield "half of the items, b", of_items(data, set(items) - half)
    if len(starts(data)) > 1:
        yield "the groups in the other order", in_the_other_order(data)
        yield "the largest group twice, 1", twice(data, dice)
        yield "the largest group twice, 2", twice(data, dice)


def main() -> None:
    """Play them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    data, traits = read_folder(given.folder), read_traits(given.folder)
    found: list[dict[str, float]] = []
    for name, altered in variants(data, random.Random(given.seed)):
        result = play(altered, traits)
        with contextlib.redirect_stdout(io.StringIO()):
            found.append(told([(altered, result, False)]))
        print(f"{name:32s}", " ".join(f"{k}={v:.4f}" for k, v in found[-1].items()), flush=True)
    parts = []
    for name in (*BETTER_HIGH, *BETTER_LOW):
        values = [one[name] for one in found if name in one]
        if values:
            worst = min(values) if name in BETTER_HIGH else max(values)
            parts.append(f"{name}_median={np.median(values):.4f} {name}_worst={worst:.4f}")
    print(" ".join(parts))


if __name__ == "__main__":
    main()
