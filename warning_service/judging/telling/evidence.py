"""Says why a child is on a list, in sentences with the child's own numbers, frozen with the entry.

Model: the exact linear contributions (weight times distance from the average student, after the
scaler), added up per item, and what its column of rule's points adds, given to the items whose
points they are, against the average of this list's school; the sentence tells the fact behind the
strongest feature that pulls the item's way and shows what that side says (facts.py). Points rule:
its points.

A teacher reads a few lines: the largest facts by name, the rest as one line. Items the catalogue
shows as a value are named; "count_only" ones of other departments are only counted, and only where
a fact on record speaks on that side, not where a column moved a little for a child of whom nothing
is on record; "score_only" ones are never mentioned and in no line, so the shares shown add up to
one without theirs. Where the welfare office sits in a meeting, the same reasons are told twice: for
those at the school, and for the office that holds what the school only counts. Shares are
ten-thousandths, rounded so that they add up to exactly one over all factors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from models.features import F64, Extract
from models.online import Folded
from warning_service.judging.setup import Setup, Use
from warning_service.judging.telling.facts import Facts
from warning_service.judging.telling.facts_of_points import reached
from warning_service.judging.telling.wording import Told

LEAST_SHARE = 0.04
LEAST_SHARE_OTHERS = 0.02
MOST = {1: 5, -1: 3}
"""Named lines on the raising (1) and lowering (-1) side, other departments' line among them."""
PARTS = 10_000
Line = dict[str, Any]


@dataclass(frozen=True)
class Factor:
    """One item's part in a score. `features`: those that pull its way, the strongest first."""

    item: str
    share: float
    features: tuple[str, ...]


def from_model(
    setup: Setup, extract: Extract, folded: Folded, points: Mapping[str, F64], row: int
) -> list[Factor]:
    """Contributions per item; their absolute shares add up to one."""
    schema = setup.schema
    parts = folded.without_last().contributions(extract.block[row]).tolist()
    owned: dict[str, list[tuple[str, float]]] = {}
    for name, owner, part in zip(schema.names, schema.owner, parts, strict=True):
        owned.setdefault(owner, []).append((name, part))
    for item, given in points.items():
        usual = math.fsum(given.tolist()) / len(given)
        worth = float(folded.weights[-1]) * (float(given[row]) - usual)
        owned.setdefault(item, []).append((item, worth))
    sums = {owner: math.fsum(part for _, part in held) for owner, held in owned.items()}
    whole = math.fsum(abs(s) for s in sums.values()) or 1.0
    found = []
    for owner, held in owned.items():
        agree = [(name, part) for name, part in held if part * sums[owner] > 0]
        agree.sort(key=lambda h: -abs(h[1]))
        told_by = tuple(name for name, _ in agree if name != owner) or (owner,)
        found.append(Factor(owner, sums[owner] / whole, told_by))
    return found


def from_rules(setup: Setup, points: Mapping[str, Any], row: int) -> list[Factor]:
    """Points per item; items that could have given points and did not have share 0."""
    given = {item: float(values[row]) for item, values in points.items()}
    whole = math.fsum(abs(p) for p in given.values()) or 1.0
    worth = {use.spec.id: use.points for use in setup.uses}
    ordered = sorted(given, key=lambda item: (-worth.get(item, 0.0), item))
    return [Factor(item, given[item] / whole, (item,)) for item in ordered]


def in_parts(shares: Sequence[float]) -> list[int]:
    """Absolute shares in ten-thousandths that add up to the whole (largest remainders first)."""
    exact = [abs(share) * PARTS for share in shares]
    parts = [math.floor(e) for e in exact]
    missing = round(math.fsum(exact)) - sum(parts)
    by_rest = sorted(range(len(exact)), key=lambda at: (parts[at] - exact[at], at))
    for at in by_rest[:missing]:
        parts[at] += 1
    return parts


def told(
    facts: Facts, row: int, factors: list[Factor], *, by_points: bool, welfare: bool = False
) -> tuple[list[Line], list[Line]]:
    """(raising, lowering) with sentences, within what may be shown at a school; with `welfare`, at
    the welfare office.

    With `by_points` items that gave no points and speak against are told as lowering, share 0.
    """
    uses = {use.spec.id: use for use in facts.setup.uses}
    sides = {1: _Side(1), -1: _Side(-1)}
    parts = in_parts([factor.share for factor in factors])
    for factor, part in zip(factors, parts, strict=True):
        use = uses.get(factor.item)
        unscored = by_points and factor.share == 0
        shown = "value" if use is None else use.for_welfare if welfare else use.shown
        side = sides[1 if factor.share > 0 else -1]
        if shown == "score_only" or (unscored and shown != "value"):
            continue
        if unscored:
            if use is not None and _has_data(use, facts.extract, row):
                side.unscored(factor, facts.any_of(use, row, -1))
        elif part == 0:
            continue
        elif shown == "count_only" and abs(factor.share) < LEAST_SHARE_OTHERS:
            side.small(part)
        elif shown == "count_only" and (
            factor.features == (factor.item,)  # a rule's, which only speaks of what is there
            or _behind(facts, use, factor, row, by_points=by_points) is not None
        ):
            side.other_department(part)
        elif shown == "count_only":
            side.fact(factor, part, None)
        elif abs(factor.share) < LEAST_SHARE:
            side.small(part)
        else:
            side.fact(factor, part, _behind(facts, use, factor, row, by_points=by_points))
    return sides[1].lines(), sides[-1].lines()


class _Named(NamedTuple):
    """A line before it is written. `part`: its share in ten-thousandths."""

    part: int
    feature: str
    item: str
    words: Told

    def written(self) -> Line:
        """The line as it is frozen."""
        ja, en = self.words.whole()
        return {
            "feature": self.feature,
            "item": self.item,
            "share": self.part / PARTS,
            "text_ja": ja,
            "text_en": en,
        }


class _Side:
    """What is collected for one side, and its lines."""

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.named: list[_Named] = []
        self.others = self.others_part = 0
        self.smaller = self.smaller_part = 0
        self.figures = self.figures_part = 0
        self.without_points = 0

    def fact(self, factor: Factor, part: int, found: tuple[str, Told] | None) -> None:
        if found is None:
            self.figures += 1
            self.figures_part += part
        else:
            self._put(_Named(part, found[0], factor.item, found[1]))

    def unscored(self, factor: Factor, words: Told | None) -> None:
        if words is None or len(self.named) >= MOST[self.sign]:
            self.without_points += 1
        else:
            self._put(_Named(0, factor.item, factor.item, words))

    def _put(self, new: _Named) -> None:
        """Add a fact; one that says the same of another item goes into that one's line."""
        for at, old in enumerate(self.named):
            if new.words.about and old.words.about and old.words[:2] == new.words[:2]:
                words = old.words._replace(about=old.words.about + new.words.about)
                first = old if old.part >= new.part else new
                self.named[at] = _Named(old.part + new.part, first.feature, first.item, words)
                return
        self.named.append(new)

    def other_department(self, part: int) -> None:
        self.others += 1
        self.others_part += part

    def small(self, part: int) -> None:
        self.smaller += 1
        self.smaller_part += part

    def lines(self) -> list[Line]:
        """The largest facts, then what is only counted."""
        self.named.sort(key=lambda held: -held.part)
        room = MOST[self.sign] - bool(self.others)
        for left in self.named[room:]:
            if left.part:
                self.smaller += max(1, len(left.words.about))
                self.smaller_part += left.part
            else:
                self.without_points += 1
        named = self.named[:room]
        if self.others:
            mark = "+" if self.sign > 0 else "\u2212"
            words = Told(
                f"他部署のデータ: {mark}{self.others}", f"Other departments: {mark}{self.others}"
            )
            named.append(_Named(self.others_part, "other_departments", "", words))
            named.sort(key=lambda held: -held.part)
        rest = (
            (
                self.figures,
                _Named(self.figures_part, "figures_only", "", _figures(self.figures, self.sign)),
            ),
            (self.smaller, _Named(self.smaller_part, "smaller", "", _smaller(self.smaller))),
            (
                self.without_points,
                _Named(0, "without_points", "", _without_points(self.without_points)),
            ),
        )
        return [line.written() for line in (*named, *(line for count, line in rest if count))]


def _smaller(count: int) -> Told:
    return Told(f"そのほか小さな事実 {count}件", f"{count} smaller fact{'s' * (count != 1)}")


def _figures(count: int, sign: int) -> Told:
    ja, en = ("心配", "worry") if sign > 0 else ("安心", "relief")
    return Told(
        f"計算上だけのちがい {count}件(それだけでは{ja}のしるしではない)",
        f"{count} difference{'s' * (count != 1)} in the figures only (no sign of {en} alone)",
    )


def _without_points(count: int) -> Told:
    return Told(
        f"そのほか点がつかなかった項目 {count}件",
        f"{count} more item{'s' * (count != 1)} without points",
    )


def _behind(
    facts: Facts, use: Use | None, factor: Factor, row: int, *, by_points: bool
) -> tuple[str, Told] | None:
    """(feature, sentence) of the strongest feature that has a plain fact on the factor's side."""
    sign = 1 if factor.share > 0 else -1
    if use is not None and factor.features == (use.spec.id,):  # a rule's, which has no features
        words = reached(facts, use, row) if by_points else facts.any_of(use, row, sign)
        return words and (factor.item, words)
    for feature in factor.features:
        words = (
            facts.general(feature, row, sign)
            if use is None
            else facts.behind(use, feature.rpartition(":")[2], row, sign)
        )
        if words is not None:
            return feature, words
    return None


def _has_data(use: Use, extract: Extract, row: int) -> bool:
    return use.spec.kind == "count" or bool(extract.items[use.spec.id].last_on[row])


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
