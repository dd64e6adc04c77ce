"""By which types of difficulty the children of a list are on it, to look into one of them.

In the words frozen with the entries, in the order of their playbook. Reads the reasons as a reader
may see them (lists.entry_as_seen): to whom types are not shown, nobody is listed by any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Evidence = Mapping[str, Any]


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """A type of difficulty by which `count` children are listed."""

    id: str
    label: str
    label_en: str
    count: int


def took(evidence: Evidence) -> set[str]:
    """The ids of the types by which a child is listed."""
    return {kind["id"] for kind in evidence.get("types", []) if kind["took"]}


def risks_of(every: Sequence[Evidence]) -> dict[str, Risk]:
    """The types by which anybody is listed."""
    order = {kind["id"]: kind for one in every for kind in one.get("types", [])}
    counts = Counter(name for one in every for name in took(one))
    return {
        name: Risk(id=name, label=kind["label"], label_en=kind["label_en"], count=counts[name])
        for name, kind in order.items()
        if counts[name]
    }
