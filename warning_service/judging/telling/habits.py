"""When a child's facts fall: in a row, on Mondays, after days off, more than the class. In words.

Told beside the reasons and apart from them: the score does not know these patterns. Only items that
may be named, only what stands out clearly, and never with anybody else's number: a class is small.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from models.features import F64, Extract
from models.patterns import patterns
from warning_service.judging.setup import Setup, Use
from warning_service.judging.telling.wording import Told

OFTEN = 1.5
"""Standard deviations above what is usual in the group, from which on a pattern is told."""
LEAST_TIMES = 3
LEAST_RUN = 3
LEAST_CLASS = 10
MOST = 4
Line = dict[str, Any]


@dataclass(frozen=True)
class Habits:
    """The patterns of one school's children on a list date. `classes`: each child's class."""

    setup: Setup
    extract: Extract
    classes: list[str]
    _found: dict[str, dict[str, F64]] = field(default_factory=dict)

    def told(self, row: int) -> list[Line]:
        """What stands out for the child in that row, the clearest of each item."""
        lines: list[Line] = []
        for use in self.setup.uses:
            if use.shown != "value" or use.spec.direction != 1 or use.spec.kind != "count":
                continue
            if not self.extract.items[use.spec.id].recent[row]:
                continue
            words = self._words(use, row)
            if words is not None:
                lines.append({"item": use.spec.id, "text_ja": words.ja, "text_en": words.en})
        return lines[:MOST]

    def _words(self, use: Use, row: int) -> Told | None:
        found = self._of(use)
        run, times = int(found["run"][row]), int(found["times"][row])
        if run >= LEAST_RUN:
            return Told(
                f"{use.label_ja}:続けて{run}日",
                f"{use.label_en}: {run} days running",
            )
        for name, ja, en in (
            ("after_off", "休み明け", "on the first day after days off"),
            ("monday", "月曜日", "on Mondays"),
        ):
            then = int(found[f"{name}_times"][row])
            if then >= LEAST_TIMES and found[name][row] >= OFTEN:
                return Told(
                    f"{use.label_ja}:{times}日のうち{then}日が{ja}",
                    f"{use.label_en}: {then} of {times} days {en}",
                )
        large = self.classes.count(self.classes[row]) >= LEAST_CLASS
        if large and found["class28"][row] >= OFTEN:
            return Told(
                f"{use.label_ja}:この4週間、学級の中で目立って多い",
                f"{use.label_en}: clearly more than usual in the class, these four weeks",
            )
        return None

    def _of(self, use: Use) -> dict[str, F64]:
        if use.spec.id not in self._found:
            self._found[use.spec.id] = patterns(self.extract, use.spec, self.classes)
        return self._found[use.spec.id]
