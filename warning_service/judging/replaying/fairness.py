"""Whom a replay's lists served, and when: lead time, and errors by trait, each child once.

A child counts as *met* when it was on a list while an outcome of its was ahead (within the
horizon); as *missed* when it had such an outcome and was never listed then; as a *false alarm* when
it was listed and nothing came on any list date. Traits are known here only (`trait_*` columns); no
score was made with one. What is small is not shown, nor what would give it away.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from models.hiding import hide
from models.replay_folder import Folder
from models.shares import Share, apart
from warning_service.judging.replaying.judges import Told

MOST_GROUPS = 20


def lead_time(data: Folder, told: Sequence[Told]) -> dict[str, Any]:
    """Days from the first list on which a child stood to the outcome that was ahead.

    Only outcomes that at least one list date could have foreseen count.
    """
    by_child: dict[str, list[Told]] = defaultdict(list)
    for one in told:
        if one.hit:
            by_child[one.student].append(one)
    foreseeable, days = 0, list[int]()
    for outcome in data.outcomes:
        ahead = [
            one
            for one in by_child.get(outcome.student, ())
            if 0 < (outcome.on - one.list_date).days <= data.horizon
        ]
        foreseeable += bool(ahead)
        listed = [(outcome.on - one.list_date).days for one in ahead if one.listed]
        if listed:
            days.append(max(listed))
    days.sort()
    met = Share(len(days), foreseeable)
    return {
        "foreseeable": foreseeable,
        "met": len(days),
        "share_met": None if met.value is None else round(met.value, 5),
        "interval": [round(x, 5) for x in met.interval],
        "median_days": days[len(days) // 2] if days else None,
        "quartiles_days": [days[len(days) // 4], days[3 * len(days) // 4]] if days else None,
    }


def fairness(
    told: Sequence[Told], traits: Mapping[str, Mapping[str, str]]
) -> dict[str, list[dict[str, Any]]]:
    """Miss and false-alarm rates of each group of each trait, with intervals."""
    return {trait: _of(told, groups) for trait, groups in traits.items()}


def _of(told: Sequence[Told], groups: Mapping[str, str]) -> list[dict[str, Any]]:
    ahead: dict[str, bool] = {}
    met: set[str] = set()
    listed: set[str] = set()
    for one in told:
        if one.hit is None:
            continue
        ahead[one.student] = ahead.get(one.student, False) or one.hit
        if one.listed:
            listed.add(one.student)
            if one.hit:
                met.add(one.student)
    members: dict[str, list[str]] = defaultdict(list)
    for student in sorted(ahead):
        members[groups.get(student, "")].append(student)
    names = sorted(members, key=lambda name: (-len(members[name]), name))
    shares: dict[str, dict[str, Share]] = {"missed": {}, "false_alarms": {}}
    for name in names:
        hit = [s for s in members[name] if ahead[s]]
        spared = [s for s in members[name] if not ahead[s]]
        shares["missed"][name] = Share(sum(s not in met for s in hit), len(hit))
        shares["false_alarms"][name] = Share(sum(s in listed for s in spared), len(spared))
    shown = names[:MOST_GROUPS]
    held = hide([_parts(side, shown) for side in shares.values()]) if names else None
    return [
        {
            "group": name,
            "children": None if held is None or at in held.whole else len(members[name]),
            **{
                side: None
                if held is None or at in held.whole or at in held.parts[measure]
                else _rate(of[name], of.values())
                for measure, (side, of) in enumerate(shares.items())
            },
        }
        for at, name in enumerate(shown)
    ]


def _parts(shares: Mapping[str, Share], shown: Sequence[str]) -> list[tuple[int, int]]:
    """(part, rest) of each group that is shown, and of all others together: the sums are known
    from the other traits, so that what is not shown is had by subtracting.
    """
    parts = {name: (one.hits, one.of - one.hits) for name, one in shares.items()}
    others = [of for name, of in parts.items() if name not in shown]
    rest = [(sum(p for p, _ in others), sum(r for _, r in others))] if others else []
    return [*(parts[name] for name in shown), *rest]


def _rate(one: Share, everybody: Iterable[Share]) -> dict[str, Any] | None:
    """A group's rate and how it stands against all others together; None of nobody."""
    if one.value is None:
        return None
    held = list(everybody)
    rest = Share(sum(s.hits for s in held) - one.hits, sum(s.of for s in held) - one.of)
    others = apart(one, rest)
    return {
        "value": round(one.value, 5),
        "interval": [round(x, 5) for x in one.interval],
        "against_others": None if others is None else [round(x, 5) for x in others],
    }
