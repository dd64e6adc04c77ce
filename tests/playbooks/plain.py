"""The rules once more, child by child, in plain Python: what the product is held against.

Nothing here calls judging. Points, marks and windows are read from the shipped file with `tomllib`,
the city's facts are gone through one by one. Slow on purpose, and simple enough to be checked by
eye; if this and the product agree on a city, both say the same thing in different words.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from tests.playbooks.city import CATALOGUE, Grown, raw


class Plain:
    """One generated city, judged by hand."""

    def __init__(self, grown: Grown) -> None:
        city = grown.city
        self.file = raw(grown.playbook)
        self.day = city.day
        self.items: dict[str, dict[str, Any]] = {item["id"]: item for item in self.file["items"]}
        self.rows: dict[str, list[tuple[int, int, float]]] = {
            item: list(zip(f.rows.tolist(), f.days.tolist(), f.values.tolist(), strict=True))
            for item, f in city.facts.items()
        }
        assert city.grades is not None and city.households is not None
        assert city.present is not None
        assert city.supported_on is not None and city.judged_on is not None
        self.grade: list[int] = city.grades.tolist()
        self.home: list[int] = city.households.tolist()
        self.there = [child for child, is_there in enumerate(city.present.tolist()) if is_there]
        self.supported_on: list[int] = city.supported_on.tolist()
        self.judged_on: list[int] = city.judged_on.tolist()
        self.children = city.children
        self._values: dict[tuple[str, int], dict[int, float]] = {}

    # -- facts ----

    def known(self, item: str) -> dict[str, Any]:
        return CATALOGUE.get(item, {"kind": "measure", "worse": "high", "fresh_days": 45})

    def window(self, item: str) -> int:
        """How far back the item looks: as the file says, else as long as it is fresh; 28 days for
        what happens day by day.
        """
        held = self.items[item]
        if "window_days" in held:
            return int(held["window_days"])
        day_by_day = item not in CATALOGUE or self.known(item)["kind"] == "count"
        return 28 if day_by_day else int(self.known(item)["fresh_days"])

    def values(self, item: str, window: int | None = None) -> dict[int, float]:
        """Child -> sum, of a measure the mean, over the days before the list day."""
        days = window or self.window(item)
        if (item, days) not in self._values:
            sums: dict[int, float] = defaultdict(float)
            seen: Counter[int] = Counter()
            for child, day, value in self.rows[item]:
                if self.day - days <= day < self.day:
                    sums[child] += value
                    seen[child] += 1
            if self.known(item)["kind"] == "measure":
                sums = defaultdict(float, {child: sums[child] / seen[child] for child in sums})
            self._values[item, days] = sums
        return self._values[item, days]

    def met(self, item: str, at: float | None = None, window: int | None = None) -> set[int]:
        """Children that are at the item's mark or worse."""
        mark = float(self.items[item].get("at", 1)) if at is None else at
        found = self.values(item, window)
        if self.known(item)["worse"] != "low":
            return {child for child, value in found.items() if value >= mark}
        low = {child for child, value in found.items() if value <= mark}
        if self.known(item)["kind"] != "measure":  # no row of a flag or count means 0
            low |= {child for child in range(self.children) if child not in found}
        return low

    def on_record(self, item: str, *, ever: bool = False) -> set[int]:
        """Children with the item on record: now (as long as it is fresh), or ever before."""
        days = 10_000_000 if ever else int(self.known(item)["fresh_days"])
        return {child for child, day, _ in self.rows[item] if self.day - days <= day < self.day}

    def supported(self) -> set[int]:
        """Children somebody supported within the file's days."""
        return self._lately(self.supported_on)

    def judged(self) -> set[int]:
        """Children on whom a meeting decided within as many days."""
        return self._lately(self.judged_on)

    def _lately(self, when: list[int]) -> set[int]:
        days = int(self.file["list"]["supported_days"])
        return {child for child, on in enumerate(when) if on and self.day - on <= days}

    # -- scores ----

    def speaks(self, item: str, kind: str) -> bool:
        return not self.items[item].get("types") or kind in self.items[item]["types"]

    def points(self, kind: str = "") -> list[float]:
        """Points of every child; of one type of difficulty those of the items that speak for it."""
        return self._sum("points", kind)

    def counts(self, kind: str = "", of: Callable[[str], bool] = lambda item: True) -> list[float]:
        """How many items every child meets."""
        found = [0.0] * self.children
        for item in self.items:
            if of(item) and (not kind or self.speaks(item, kind)):
                for child in self.met(item):
                    found[child] += 1
        return found

    def _sum(self, what: str, kind: str) -> list[float]:
        found = [0.0] * self.children
        for item, held in self.items.items():
            if held.get(what) and (not kind or self.speaks(item, kind)):
                for child in self.met(item):
                    found[child] += held[what]
        return found

    def log_odds(self) -> list[float]:
        """Intercept and coefficients times values; what is only true or not counts once."""
        found = [float(self.file["judgement"]["intercept"])] * self.children
        for item, held in self.items.items():
            if weight := held.get("coefficient"):
                once = self.known(item)["kind"] == "flag"
                for child, value in self.values(item).items():
                    found[child] += weight * (min(value, 1) if once else value)
        return [round(value, 9) for value in found]

    def probability(self) -> list[float]:
        """Of every child, from the log-odds."""
        return [round(1 / (1 + math.exp(-value)), 9) for value in self.log_odds()]

    # -- order ----

    def best(self, scores: list[float], among: Iterable[int], most: int) -> list[int]:
        """The highest scores, ties by the child's key; nothing is no score."""
        order = sorted(among, key=lambda child: (-scores[child], child))
        return order[:most]

    def siblings(self, of: Iterable[int]) -> set[int]:
        """Who shares a household with one of them."""
        homes = {self.home[child] for child in of}
        return {child for child in self.there if self.home[child] in homes}


def basic(item: str) -> bool:
    """Is it one of the 19 基本連携データ項目?"""
    return "basic" in CATALOGUE.get(item, {})


def share(of: int, percent: int) -> int:
    """So many of a hundred, rounded up, in whole numbers."""
    return -(-of * percent // 100)
