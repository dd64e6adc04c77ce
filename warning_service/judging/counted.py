"""Children ranked and listed, and to how many of them the outcome came: the counts behind a rate.

How they are counted, over which lists and until when, is whose figures they are.
"""

from __future__ import annotations

import msgspec


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """`ranked` children of whom `listed` were listed; of each, how many the outcome came to."""

    listed: int
    listed_hits: int
    ranked: int
    ranked_hits: int

    @property
    def missed(self) -> int:
        """Ranked, not listed, and the outcome came."""
        return self.ranked_hits - self.listed_hits

    @property
    def listed_rate(self) -> float | None:
        """Hits among the listed; None without any."""
        return self.listed_hits / self.listed if self.listed else None

    @property
    def base_rate(self) -> float | None:
        """Hits among all ranked; None without any."""
        return self.ranked_hits / self.ranked if self.ranked else None
