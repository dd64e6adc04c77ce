"""Does the list err more often for some children than for others? By trait, each child once.

For each group: of the children the outcome did not come to, how many were listed all the same
(false alarms); of those it did come to, how many had not been (misses). Beside each rate stands its
interval, and the difference from all other children of the trait with its own, because groups
differ in how often the outcome comes and small groups differ by chance. A difference says that the
list works differently, not why. Traits come from access/traits.py; small cells are the page's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from models.shares import apart
from warning_service.access.traits import Grouped
from warning_service.catalogue.traits import Trait
from warning_service.follow_up.evaluating.children import Figures, Standing, figures

Difference = tuple[float, float, float]


class GroupFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One group. `block`: groups of one block stand beside the same total (a stage of school).

    `false_apart`, `miss_apart`: this group's rate minus that of all other children, with 95 %.
    """

    group: str
    block: str
    figures: Figures
    false_apart: Difference | None
    miss_apart: Difference | None


class Fairness(msgspec.Struct, frozen=True, kw_only=True):
    """One trait. `unknown`: children counted nowhere in it (no longer known, or use stopped).

    They are shown nowhere either, but follow from the year's figures and the groups'.
    """

    trait: Trait
    groups: tuple[GroupFigures, ...]
    unknown: Figures


def by_trait(
    children: Sequence[Standing], grouped: Grouped, traits: Iterable[Trait]
) -> list[Fairness]:
    """Every trait over these children, groups in the order of the catalogue, grade or id."""
    found = []
    for trait in traits:
        of = grouped.groups.get(trait.id, {})
        held: dict[tuple[str, str], list[Standing]] = {}
        for child in children:
            group = of.get(child.student)
            if group is not None:
                by_stage = trait.source in ("grade", "school")
                block = grouped.stage.get(child.student, "") if by_stage else ""
                held.setdefault((block, group), []).append(child)
        whole = figures(child for members in held.values() for child in members)
        counted = {child.student for members in held.values() for child in members}
        keys = sorted(held, key=lambda key: _place(trait, *key))
        found.append(
            Fairness(
                trait=trait,
                groups=tuple(_group(group, block, held[block, group], whole)
                             for block, group in keys),
                unknown=figures(child for child in children if child.student not in counted),
            )
        )  # fmt: skip
    return found


def _group(group: str, block: str, members: Sequence[Standing], whole: Figures) -> GroupFigures:
    mine = figures(members)
    rest = Figures(
        listed=whole.listed - mine.listed, listed_hits=whole.listed_hits - mine.listed_hits,
        ranked=whole.ranked - mine.ranked, hits=whole.hits - mine.hits,
    )  # fmt: skip
    return GroupFigures(
        group=group, block=block, figures=mine,
        false_apart=apart(mine.false_alarms, rest.false_alarms),
        miss_apart=apart(mine.missed, rest.missed),
    )  # fmt: skip


_STAGES: Mapping[str, int] = {"home": 0, "nursery": 1, "primary": 2, "junior_high": 3}


def _place(trait: Trait, block: str, group: str) -> tuple[object, ...]:
    named = [one.id for one in trait.groups]
    at = named.index(group) if group in named else len(named)
    whole = int(group) if group.lstrip("-").isdigit() else 0
    return (_STAGES.get(block, 4), block, at, whole, group)
