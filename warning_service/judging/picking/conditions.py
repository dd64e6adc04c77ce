"""For which children something holds that a list's rule asks about. Arrays in, masks out.

The running service (scope.py) and arrays.py both ask here, so that "on record" and "supported" are
the same in both. Days are ordinals.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from warning_service.judging.setup import Setup, Use
from warning_service.playbooks.judging import Condition

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def nothing(setup: Setup, score: F64) -> Mask:
    """Whose score is one of nothing; a probability never is."""
    return np.zeros(len(score), dtype=bool) if setup.method == "formula" else score <= 0


def on_record(condition: Condition, use: Use, latest: I64, day: int) -> Mask:
    """For whom a condition on an item holds on `day`. `latest`: its last row, 0 for none."""
    if condition.state == "ever":
        return latest > 0
    return np.asarray((latest > 0) & (day - latest <= use.fresh_days), dtype=bool)


def supported(setup: Setup, supported_on: I64, day: int) -> Mask:
    """Who has been supported lately: within the playbook's days, the list date included."""
    return _lately(setup, supported_on, day)


def judged(setup: Setup, judged_on: I64, day: int) -> Mask:
    """On whom a meeting has decided within as many days."""
    return _lately(setup, judged_on, day)


def _lately(setup: Setup, when: I64, day: int) -> Mask:
    days = day - when
    return np.asarray((when > 0) & (days >= 0) & (days <= setup.supported_days), dtype=bool)
