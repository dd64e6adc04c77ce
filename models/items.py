"""What a model knows of a data item: an id, what kind of number it is, and which way is worse.

Nothing here or anywhere else in `models/` depends on what an item is called: a board's catalogue,
a questionnaire and a replay folder all come down to these few fields. Labels, owners and who may
see an item are the catalogue's; points are the playbook's.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["count", "measure", "flag"]
Worse = Literal["high", "low", "unknown"]

WINDOW = 28
"""Days the longest feature window looks back."""

SLACK = 7
"""Days kept beyond a window, so that a late DayClosed still finds what its day needs."""


FARTHEST = 1e12
"""A value beyond it, on either side, counts as this: it can only be a mistake, its sums and squares
would overflow, and one wrong row must not keep everybody else's list from being made."""


def bounded(value: float) -> float:
    """The value as far as it can be reckoned with."""
    return min(max(value, -FARTHEST), FARTHEST)


class ItemSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One item in use.

    `keep_days`: single days of it are remembered at least so long; older ones only as a sum. At
    least WINDOW + SLACK; longer when a points rule looks further back.
    """

    id: str
    kind: Kind
    worse: Worse
    keep_days: int = WINDOW + SLACK

    @property
    def direction(self) -> int:
        """+1 when a high value is worse, -1 when a low one is, 0 when nobody knows."""
        return {"high": 1, "low": -1, "unknown": 0}[self.worse]
