"""How right a replay's lists were, counted from the folder's outcomes after everything is over.

All judges side by side (judges.py), lead time and fairness (fairness.py), and what
such data cannot say. Nothing of it feeds a score.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

from models.labels import label
from models.replay_folder import Folder
from models.student_state import Outcome, StudentState
from warning_service.judging.replaying.fairness import fairness, lead_time
from warning_service.judging.replaying.judges import (
    SERVICE,
    Row,
    Told,
    each_judge,
    figures,
    short,
    side_by_side,
)

FEW_HITS = 50
SILENT_DAYS = 28


def histories_of(data: Folder) -> dict[str, StudentState]:
    """All outcomes of all students, also those that become known after the last list."""
    found: dict[str, StudentState] = defaultdict(StudentState)
    for o in data.outcomes:
        over = None if o.over_on is None else o.over_on.toordinal()
        found[o.student].outcomes.append(Outcome(o.on.toordinal(), o.known_on.toordinal(), over))
    return found


def results(
    data: Folder, scores: Sequence[Row], traits: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Everything the report says of the lists, beyond how many there were.

    Student-dates inside an outcome nobody knew of yet are scored but do not count.
    """
    histories = histories_of(data)
    hits = [label(histories[r.student], r.list_date.toordinal(), data.horizon) for r in scores]
    judges = each_judge(scores, hits)
    ours: list[Told] = judges[SERVICE]
    days = sorted({one.list_date for one in ours})
    return {
        "accuracy": figures(ours),
        "accuracy_by_date": {
            d.isoformat(): short([one for one in ours if one.list_date == d]) for d in days
        },
        "side_by_side": side_by_side(judges),
        "lead_time": lead_time(data, ours),
        "fairness": fairness(ours, traits),
        "cannot_say": cannot_say(data, ours, traits),
        "folder": about(data),
    }


def about(data: Folder) -> dict[str, Any]:
    """What was in the folder, and the silences of each item within its own rows."""
    seen: dict[str, list[date]] = defaultdict(list)
    for fact in data.observations:
        days = seen[fact.item]
        if not days or days[-1] != fact.on:
            days.append(fact.on)
    return {
        "groups": len({s.group for s in data.students}),
        "horizon_days": data.horizon,
        "label_delay_days": data.delay,
        "list_share": float(data.share),
        "outcomes": len(data.outcomes),
        "items": [
            {
                "item": item.spec.id,
                "label": item.label,
                "kind": item.spec.kind,
                "worse": item.spec.worse,
                "first": seen[item.spec.id][0].isoformat() if seen[item.spec.id] else None,
                "last": seen[item.spec.id][-1].isoformat() if seen[item.spec.id] else None,
                "silences": [
                    [a.isoformat(), b.isoformat()]
                    for a, b in pairwise(seen[item.spec.id])
                    if (b - a).days > SILENT_DAYS
                ],
            }
            for item in data.items
        ],
    }


def cannot_say(
    data: Folder, ours: Sequence[Told], traits: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Keys of what this folder leaves open; the page has the words. The first five always hold."""
    hits = {one.student for one in ours if one.hit}
    found = ["other_children", "acted_on", "entered_later", "cause", "leaving"]
    if len(hits) < FEW_HITS:
        found.append("few_hits")
    if len({one.list_date for one in ours}) < 6:
        found.append("few_dates")
    if not traits:
        found.append("no_traits")
    if len(data.items) == 1:
        found.append("one_item")
    rows = {fact.item for fact in data.observations}
    if any(item.spec.id not in rows for item in data.items):
        found.append("empty_items")
    return found
