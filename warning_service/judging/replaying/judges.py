"""All judges of a replay on the same rows: who listed whom, and how right each was.

Each judge lists as many of a group as the service did, by its own probabilities, ties by student.
Figures carry what they are measured against: the base rate, and intervals that count a child once
however often it was listed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import msgspec
import numpy as np

from models import reliability
from models.curves import AT, auc_interval, average_precision, gain, read_until
from models.evaluation import within_groups
from models.shares import Share, lift, wilson

SERVICE = "service"
JUDGES = (SERVICE, "rules", "model", "challenger")
READ = 0.85


class Row(Protocol):
    """What is needed of a scored row. `said`: probability by judge, None for who was silent."""

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
    @property
    def said(self) -> Mapping[str, float | None]: ...


@dataclass(frozen=True)
class Told:
    """One judge on one row, and what happened (None: it does not count)."""

    list_date: date
    student: str
    group: str
    score: float
    listed: bool
    hit: bool | None


def each_judge(rows: Sequence[Row], hits: Sequence[bool | None]) -> dict[str, list[Told]]:
    """Every judge's own lists over the rows it scored; a date and group it was silent on has none.

    `hits`: of each row. The service's places are those that were published.
    """
    lists: dict[tuple[date, str], list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        lists[row.list_date, row.group].append(at)
    found: dict[str, list[Told]] = {judge: [] for judge in JUDGES}
    for held in (lists[key] for key in sorted(lists)):
        budget = sum(rows[at].listed for at in held)
        for judge in JUDGES:
            given = _scores(judge, [rows[at] for at in held])
            if given is None:
                continue
            ranked = sorted(range(len(held)), key=lambda n: (-given[n], rows[held[n]].student))
            chosen = set(ranked[:budget])
            for n, at in enumerate(held):
                row = rows[at]
                listed = row.listed if judge == SERVICE else n in chosen
                found[judge].append(
                    Told(row.list_date, row.student, row.group, given[n], listed, hits[at])
                )
    return found


def _scores(judge: str, rows: Sequence[Row]) -> list[float] | None:
    if judge == SERVICE:
        return [row.score for row in rows]
    given = [row.said.get(judge) for row in rows]
    said = [score for score in given if score is not None]
    return said if len(said) == len(rows) else None


def side_by_side(found: Mapping[str, Sequence[Told]]) -> dict[str, Any]:
    """Figures of each judge on what it scored, on the rows all of them scored, and date by date."""
    spoke = [{(one.list_date, one.student) for one in held} for held in found.values() if held]
    common = set.intersection(*spoke) if len(spoke) == len(JUDGES) else set()
    same = {
        judge: [one for one in held if (one.list_date, one.student) in common]
        for judge, held in found.items()
    }
    days = sorted({one.list_date for one in found[SERVICE]})
    return {
        "each": {judge: figures(held) for judge, held in found.items()},
        "same_rows": {judge: figures(held) for judge, held in same.items()} if common else {},
        "by_date": {
            day.isoformat(): {
                judge: short([one for one in held if one.list_date == day])
                for judge, held in found.items()
            }
            for day in days
        },
    }


def figures(told: Iterable[Told]) -> dict[str, Any]:
    """Everything one judge is measured by; None where there was nothing to measure."""
    rows = [one for one in told if one.hit is not None]
    hits = np.array([bool(one.hit) for one in rows], dtype=bool)
    scores = np.array([one.score for one in rows], dtype=np.float64)
    groups = [f"{one.list_date.isoformat()}\x1f{one.group}" for one in rows]
    whose = [one.student for one in rows]
    hit_children = {s for s, hit in zip(whose, hits.tolist(), strict=True) if hit}
    spared = {s for s, hit in zip(whose, hits.tolist(), strict=True) if not hit}
    right, pairs = within_groups(scores, hits, groups)
    auc = right / pairs if pairs else None
    met = read_until(scores, hits, groups)
    bins = reliability.bins(scores, hits, whose) if rows else []
    listed = [one for one in rows if one.listed]
    of_listed = Share(sum(bool(one.hit) for one in listed), len(listed))
    of_all = Share(int(hits.sum()), len(rows))
    return {
        "rows": len(rows),
        "children": len(set(whose)),
        "hits": of_all.hits,
        "base_rate": share(of_all, len(set(whose))),
        "auc_within_group": _round(auc),
        "auc_interval": None
        if auc is None
        else _pair(auc_interval(auc, len(hit_children), len(spared))),
        "listed": len(listed),
        "precision_listed": share(of_listed, len({one.student for one in listed})),
        "lift": _rounded(lift(of_listed, of_all)),
        "hits_listed": share(Share(of_listed.hits, of_all.hits), len(hit_children)),
        "pr_area": _round(average_precision(scores, hits)),
        "brier": _round(float(((scores - hits) ** 2).mean())) if rows else None,
        "calibration_error": _round(reliability.error(bins)),
        "calibration": [
            {
                "rows": one.n,
                "stated": _round(one.stated),
                "happened": _round(one.happened),
                "interval": _pair(one.interval),
            }
            for one in bins
        ],
        "gain": [[at, _round(y)] for at, y in zip(AT, gain(met), strict=False)],
        "read_for_85": _round(float(np.quantile(met, READ))) if len(met) else None,
    }


def short(told: Iterable[Told]) -> dict[str, Any] | None:
    """The figures of one list date; None for who was silent."""
    rows = [one for one in told if one.hit is not None]
    if not rows:
        return None
    whole = figures(rows)
    kept = (
        "rows", "hits", "base_rate", "auc_within_group", "listed", "precision_listed",
        "hits_listed", "brier",
    )  # fmt: skip
    return {name: whole[name] for name in kept}


def share(found: Share, children: int) -> dict[str, Any] | None:
    """A share with its interval, which no row counts into that repeats a child; None of nothing."""
    if found.value is None:
        return None
    return {
        "value": _round(found.value),
        "interval": _pair(wilson(found.value * children, children)),
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def _pair(found: tuple[float, float]) -> list[float]:
    return [round(found[0], 5), round(found[1], 5)]


def _rounded(found: msgspec.Struct | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {name: round(value, 3) for name, value in msgspec.structs.asdict(found).items()}
