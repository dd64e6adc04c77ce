"""What is frozen with an entry about its way onto the list: picks, types, level, counts.

In the playbook's own words, so that an old entry reads the same after the playbook has changed. No
item is named here and no condition's label: who comes later because of a register that school staff
may not see is only "later".
"""

from __future__ import annotations

from typing import Any

from warning_service.judging.picking.places import Part, Place
from warning_service.judging.setup import Setup


def band(setup: Setup, number: int) -> dict[str, str]:
    """A level as it is frozen. `key`: scheme and level, for a letter means nothing alone."""
    assert setup.bands is not None
    held, scheme = setup.bands.levels[number], setup.bands
    return {
        "key": f"{scheme.scheme}:{held.id}",
        "scheme": scheme.scheme_label,
        "scheme_en": scheme.scheme_label_en,
        "label": held.label,
        "label_en": held.label_en,
    }


def why(setup: Setup, part: Part, place: Place, level: dict[str, str] | None) -> dict[str, Any]:
    """The reasons of one entry. Of a list without picks, types and bands: the method and mark.

    `mark`: what the playbook's thresholds compare. `types`: every type's score; `took`: the child
    is listed by it; `reached`: at the playbook's mark, None where there is none; `level`: its own,
    where the playbook gives one to each type.
    """
    judged, row = part.group.judged, place.row
    found: dict[str, Any] = {
        "method": setup.method if setup.rules == "points" else setup.rules,
        "mark": round(float(part.marks[row]), 6),
    }
    if setup.rules == "points":
        found["items_reached"] = {
            "basic": int(judged.basic[row]), "other": int(judged.other[row])
        }  # fmt: skip
    if setup.rules == "points" and setup.method in ("points", "count"):
        found["held"] = _held(setup, part, row)
    if setup.sibling is not None:
        found["sibling_points"] = round(float(judged.sibling[row]), 6)
    if setup.schema.homes:
        found["siblings_show"] = part.group.from_siblings(row).shown
    if level is not None:
        found["level"] = level
    if setup.types:
        scores = judged.by_type[:, row].tolist()
        found["types"] = [
            {
                "id": kind.id,
                "label": kind.label,
                "label_en": kind.label_en,
                "score": round(score, 6),
                "reached": None if kind.at is None else score >= kind.at,
                "took": kind.id in place.types,
                **({"level": band(setup, place.type_bands[at])} if place.type_bands else {}),
            }
            for at, (kind, score) in enumerate(zip(setup.types, scores, strict=True))
        ]
    rule = setup.rule
    if rule is None:
        return found
    if rule.picks:
        found["picks"] = [
            {"id": pick.id, "label": pick.label, "label_en": pick.label_en}
            for pick in rule.picks
            if pick.id in place.picks
        ]
    if rule.second is not None:
        found["second"] = {"reached": int(part.screened[row]), "least": rule.second.least}
    if rule.later:
        found["later"] = bool(part.later[row])
    if rule.scope == "board":
        found["place_of_board"] = place.in_scope
    return found


def _held(setup: Setup, part: Part, row: int) -> dict[str, float]:
    given = part.group.judged.found
    mine = {True: 0.0, False: 0.0}
    for use in setup.uses:
        if use.spec.id in given:
            mine[use.at_school] += float(given[use.spec.id][row])
    return {"school": round(mine[True], 6), "others": round(mine[False], 6)}
