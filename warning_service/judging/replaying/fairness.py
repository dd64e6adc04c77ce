"""Whom a replay's lists served, and when: lead time, and errors by trait, each child once.

A child counts as *met* when it was on a list while an outcome of its was ahead (within the
horizon); as *missed* when it had such an outcome and was never listed then; as a *false alarm* when
it was listed and nothing came on any list date. Traits are known here only (`trait_*` columns); no
score was made with one. Groups with fewer than SMALL children behind a rate are not shown, and then
neither is the smallest other one, which could be had by subtracting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from models.replay_folder import Folder
from models.shares import Share, apart
from warning_service.judging.replaying.judges import Told

SMALL = 5
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
    sides: dict[str, dict[str, Share]] = {"missed": {}, "false_alarms": {}}
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
    names = sorted(members, key=lambda name: (-len(members[name]), name))[:MOST_GROUPS]
    for name in names:
        hit = [s for s in members[name] if ahead[s]]
        spared = [s for s in members[name] if not ahead[s]]
        sides["missed"][name] = Share(sum(s not in met for s in hit), len(hit))
        sides["false_alarms"][name] = Share(sum(s in listed for s in spared), len(spared))
    shown = {side: _shown(held) for side, held in sides.items()}
    small = _hidden({name: len(members[name]) for name in names})
    return [
        {
            "group": name,
            "children": None if name in small else len(members[name]),
            **{side: shown[side][name] for side in sides},
        }
        for name in names
    ]


def _shown(held: Mapping[str, Share]) -> dict[str, dict[str, Any] | None]:
    """Each group's rate; None where it would tell of single children."""
    hidden = _hidden({name: one.of for name, one in held.items()})
    hidden |= _hidden({name: one.hits for name, one in held.items()})
    hidden |= _hidden({name: one.of - one.hits for name, one in held.items()})
    whole = Share(sum(s.hits for s in held.values()), sum(s.of for s in held.values()))
    found: dict[str, dict[str, Any] | None] = {}
    for name, one in held.items():
        if name in hidden or one.value is None:
            found[name] = None
            continue
        others = apart(one, Share(whole.hits - one.hits, whole.of - one.of))
        found[name] = {
            "value": round(one.value, 5),
            "interval": [round(x, 5) for x in one.interval],
            # Against all other groups together; with a hidden one among them it would tell of it.
            "against_others": None if hidden or others is None else [round(x, 5) for x in others],
        }
    return found


def _hidden(counts: Mapping[str, int]) -> set[str]:
    """Names of small counts, and of the smallest other one when a single count would stand out."""
    small = {name for name, count in counts.items() if 0 < count < SMALL}
    rest = sorted((count, name) for name, count in counts.items() if name not in small and count)
    if len(small) == 1 and rest:
        small.add(rest[0][1])
    return small
