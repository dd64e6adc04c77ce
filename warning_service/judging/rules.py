"""The plain rule that judges until a model has shown that it is better, and always runs beside it.

With a playbook: its points. An item gives its points when the sum (counts, flags) or mean
(measures) over its window reaches the playbook's mark, in the direction the catalogue calls worse;
where no direction is known, reaching means from below, as for a high value.

Without a playbook (replays of data nobody wrote one for): for every item with a known worse
direction, how far the student stands on the worse side of its group: the share of active days in
the last 7 and 28 days (counts), the last value, and the last value against the student's own mean
(measures), the days it ever happened (flags). Equal weights, nothing fitted; this form was picked
after a look at the development data.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.features import Extract, ItemColumns, place
from warning_service.judging.setup import Setup, Use

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]


def points_by_item(setup: Setup, extract: Extract) -> dict[str, F64]:
    """Points of every student, item by item; items that can give none are left out."""
    give: Any = _points if setup.rules == "points" else _generic
    found: dict[str, F64] = {}
    for use in setup.uses:
        given = give(use, extract)
        if given is not None:
            found[use.spec.id] = given
    return found


def total(found: dict[str, F64], students: int) -> F64:
    """All items' points added up in the order of their ids."""
    points = np.zeros(students)
    for item in sorted(found):
        points = points + found[item]
    return points


def beside(block: F32, points: F64) -> F32:
    """The block with the rule's points as one more column: what the online model looks at."""
    return np.column_stack((block, points.astype(np.float32)))


def window_value(
    use: Use, columns: ItemColumns, students: int, day: int
) -> tuple[F64, npt.NDArray[np.bool_]]:
    """(sum or mean over the rule's window, was there anything to judge by)."""
    recent = columns.days > day - use.window
    rows = columns.rows[recent]
    added = np.bincount(rows, weights=columns.values[recent], minlength=students).astype(np.float64)
    if use.spec.kind != "measure":
        return added, np.ones(students, dtype=bool)
    count = np.bincount(rows, minlength=students)
    return added / np.maximum(count, 1), count > 0


def _points(use: Use, extract: Extract) -> F64 | None:
    if not use.points:
        return None
    columns = extract.items[use.spec.id]
    value, known = window_value(use, columns, len(extract.students), extract.day)
    reached = value <= use.at if use.spec.worse == "low" else value >= use.at
    return np.where(known & reached, use.points, 0.0)


def _generic(use: Use, extract: Extract) -> F64 | None:
    direction = use.spec.direction
    if not direction:
        return None
    stats = extract.items[use.spec.id].stats
    if use.spec.kind == "count":
        worse = place(stats["active7"]) + place(stats["active28"])
    elif use.spec.kind == "measure":
        worse = (stats["place"] + place(stats["last"] - stats["mean_ever"])) / 2.0
    else:
        worse = place(stats["days_ever"])
    return direction * worse / 2.0
