"""How right a replay's lists were, counted from the folder's outcomes after everything is over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any, Protocol

import numpy as np

from models.evaluation import within_groups
from models.labels import label
from models.replay_folder import Folder
from models.student_state import Outcome, StudentState


class Row(Protocol):
    """What is needed of a scored row."""

    @property
    def list_date(self) -> date: ...
    @property
    def student(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def listed(self) -> bool: ...


def histories_of(data: Folder) -> dict[str, StudentState]:
    """All outcomes of all students, also those that become known after the last list."""
    found: dict[str, StudentState] = defaultdict(StudentState)
    for o in data.outcomes:
        over = None if o.over_on is None else o.over_on.toordinal()
        found[o.student].outcomes.append(Outcome(o.on.toordinal(), o.known_on.toordinal(), over))
    return found


def accuracy(data: Folder, scores: Sequence[Row]) -> dict[str, Any]:
    """Within-group AUC, precision in the listed, base rate, Brier score: in all and for each date.

    Student-dates inside an outcome nobody knew of yet are scored but do not count.
    """
    histories = histories_of(data)
    counted: list[tuple[Row, bool]] = []
    for row in scores:
        found = label(histories[row.student], row.list_date.toordinal(), data.horizon)
        if found is not None:
            counted.append((row, found))
    by_date: dict[date, list[tuple[Row, bool]]] = defaultdict(list)
    for row, hit in counted:
        by_date[row.list_date].append((row, hit))
    return {
        "accuracy": figures(counted),
        "accuracy_by_date": {d.isoformat(): figures(by_date[d]) for d in sorted(by_date)},
    }


def figures(counted: Sequence[tuple[Row, bool]]) -> dict[str, Any]:
    """The figures of one set of scored, labelled student-dates."""
    hits = np.array([hit for _, hit in counted], dtype=bool)
    scores = np.array([row.score for row, _ in counted], dtype=np.float64)
    groups = [f"{row.list_date.isoformat()}\x1f{row.group}" for row, _ in counted]
    right, pairs = within_groups(scores, hits, groups)
    listed = [hit for row, hit in counted if row.listed]
    return {
        "counted": len(counted),
        "hits": int(hits.sum()),
        "base_rate": _ratio(int(hits.sum()), len(counted)),
        "auc_within_group": _ratio(right, pairs),
        "listed": len(listed),
        "precision_listed": _ratio(sum(listed), len(listed)),
        "brier": _ratio(float(((scores - hits) ** 2).sum()), len(counted)),
    }


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 5) if whole else None
