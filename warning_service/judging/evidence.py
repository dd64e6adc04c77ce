"""Says why a child is on a list, in sentences with the child's own numbers, frozen with the entry.

Model: the exact linear contributions (weight times distance from the average student, after the
scaler), added up per item. Points rule: its points. Items the catalogue shows as a value are named;
"count_only" ones of other departments are only counted; "score_only" ones are never mentioned, so
the shares shown need not add up to one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from models.features import Extract, ItemColumns
from models.online import Folded
from warning_service.judging.setup import Setup, Use

LEAST_SHARE = 0.02
MOST = 8
Factor = dict[str, Any]


def number(value: float) -> str:
    """A number as people write it: whole where it is whole, else one decimal."""
    rounded = round(float(value), 1)
    return str(int(rounded)) if rounded == int(rounded) else f"{rounded:.1f}"


def sentence(use: Use, columns: ItemColumns, row: int, day: int) -> tuple[str, str]:
    """(Japanese, English) about one item of one child."""
    recent, usual = float(columns.recent[row]), float(columns.usual[row])
    last_on = int(columns.last_on[row])
    unit, known = use.unit, not math.isnan(usual)
    if use.spec.kind == "count":
        ja = f"{use.label_ja} 28日で{number(recent)}{unit}"
        en = f"{use.label_en}: {number(recent)} in 28 days"
        if known:
            ja += f"(ふだん月{number(usual)}{unit})"
            en += f" (usually {number(usual)} a month)"
        return ja, en
    if last_on == 0:
        if use.spec.kind == "flag":
            return f"{use.label_ja} なし", f"{use.label_en}: no"
        return f"{use.label_ja} 記録なし", f"{use.label_en}: never recorded"
    ago = day - last_on
    if use.spec.kind == "flag":
        return (
            f"{use.label_ja} あり(最終{ago}日前)",
            f"{use.label_en}: yes (last {ago} days ago)",
        )
    ja = f"{use.label_ja} 直近{number(recent)}{unit}({ago}日前"
    en = f"{use.label_en}: latest {number(recent)} ({ago} days ago"
    if known:
        ja += f"、ふだん{number(usual)}{unit}"
        en += f", usually {number(usual)}"
    return ja + ")", en + ")"


def from_model(setup: Setup, extract: Extract, folded: Folded, row: int) -> list[Factor]:
    """Contributions per item, raising (positive `share`) and lowering (negative)."""
    parts = folded.contributions(extract.block[row]).tolist()
    schema = setup.schema
    owned: dict[str, list[tuple[str, float]]] = {}
    for name, owner, part in zip(schema.names, schema.owner, parts, strict=True):
        owned.setdefault(owner, []).append((name, part))
    sums = {owner: math.fsum(part for _, part in held) for owner, held in owned.items()}
    whole = math.fsum(abs(s) for s in sums.values()) or 1.0
    main = {owner: max(held, key=lambda h: abs(h[1]))[0] for owner, held in owned.items()}
    return [{"feature": main[owner], "item": owner, "share": sums[owner] / whole} for owner in sums]


def from_rules(setup: Setup, points: Mapping[str, Any], row: int) -> list[Factor]:
    """Points per item; items that could have given points and did not lower with share 0."""
    given = {item: float(values[row]) for item, values in points.items()}
    whole = math.fsum(abs(p) for p in given.values()) or 1.0
    worth = {use.spec.id: use.points for use in setup.uses}
    ordered = sorted(given, key=lambda item: (-worth[item], item))
    return [{"feature": item, "item": item, "share": given[item] / whole} for item in ordered]


def told(
    setup: Setup, extract: Extract, row: int, factors: list[Factor], *, by_points: bool
) -> tuple[list[Factor], list[Factor]]:
    """(raising, lowering) with sentences, within what the catalogue allows to be shown."""
    uses = {use.spec.id: use for use in setup.uses}
    raising: list[Factor] = []
    lowering: list[Factor] = []
    hidden = {1: [0, 0.0], -1: [0, 0.0]}
    for factor in factors:
        share, use = factor["share"], uses.get(factor["item"])
        sign = 1 if share > 0 else -1
        unscored = by_points and share == 0
        if not unscored and abs(share) < LEAST_SHARE:
            continue
        if use is not None and use.shown != "value":
            if use.shown == "count_only" and not unscored:
                hidden[sign][0] += 1
                hidden[sign][1] += abs(share)
            continue
        if unscored and use is not None and not _has_data(use, extract, row):
            continue
        ja, en = _sentence(setup, use, factor["item"], extract, row)
        side = raising if sign > 0 else lowering
        side.append({**factor, "share": round(abs(share), 4), "text_ja": ja, "text_en": en})
    for sign, side in ((1, raising), (-1, lowering)):
        count, share = hidden[sign]
        if count:
            mark = "+" if sign > 0 else "−"
            side.append(
                {
                    "feature": "other_departments",
                    "item": "",
                    "share": round(share, 4),
                    "text_ja": f"他部署のデータ: {mark}{count}",
                    "text_en": f"Other departments: {mark}{count}",
                }
            )
        side.sort(key=lambda f: -f["share"])
        del side[MOST:]
    return raising, lowering


def _has_data(use: Use, extract: Extract, row: int) -> bool:
    return use.spec.kind == "count" or bool(extract.items[use.spec.id].last_on[row])


def _sentence(
    setup: Setup, use: Use | None, item: str, extract: Extract, row: int
) -> tuple[str, str]:
    if use is not None:
        return sentence(use, extract.items[use.spec.id], row, extract.day)
    if item == "roll":
        days = round(float(extract.block[row][setup.schema.names.index("roll:days")]) ** 2)
        return f"名簿に載って{days}日", f"{days} days on the roll"
    times = round(float(extract.block[row][setup.schema.names.index("outcome:before")]))
    return (
        f"これまでの{setup.outcome_ja} {times}回",
        f"Earlier: {setup.outcome_en}, {times} times",
    )


def data_ages(setup: Setup, extract: Extract, row: int, day: int) -> list[dict[str, Any]]:
    """How old the data behind an entry are on the list date `day`, for items that may be named.

    Of a measure the child's own last observation counts. Of counts and flags no row means "none",
    so there the newest row of the whole school tells whether the feed is alive.
    """
    ages = []
    for use in setup.uses:
        if use.shown != "value":
            continue
        last = extract.items[use.spec.id].last_on
        newest = int(last[row]) if use.spec.kind == "measure" else int(last.max(initial=0))
        days = day - newest if newest else None
        ages.append(
            {
                "item": use.spec.id,
                "label_ja": use.label_ja,
                "label_en": use.label_en,
                "last_on": date.fromordinal(newest).isoformat() if newest else None,
                "days": days,
                "stale": days is None or days > use.fresh_days,
            }
        )
    return ages
