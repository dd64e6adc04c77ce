"""Which fact of a child stands behind a feature, told so that it agrees with the side it is on.

A streak feature tells the streak, a recency feature how long ago, a change the child's own usual,
a place the school's average. On the raising side a fact is told only when it shows something worse
than the child's usual, than the school, or than nothing at all; on the lowering side only when it
shows something better. A feature whose weight disagrees with what it shows (a linear model may
balance one column against another) has no plain fact: None, and evidence.py says so.

`side` is +1 for raising and -1 for lowering throughout; `up` is the way the *value* has to differ
for that: +1 high, -1 low, 0 either (nobody knows which direction is worse). The group compared with
is everybody on the school's roll; its averages are told from LEAST_GROUP children on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from models.features import F64, Extract, ItemColumns
from models.items import WINDOW
from models.relative import place
from warning_service.judging.rules import SIBLING
from warning_service.judging.setup import Setup, Use
from warning_service.judging.telling.wording import (
    Told,
    ago,
    amount,
    answer,
    asked,
    dated,
    number,
    than,
)

LEAST_GROUP = 10
APART = 0.5  # standard deviations from the school's average that are worth a word
FAR_APART = 1.0  # the same where nobody knows which direction is worse
MORE = 0.5  # days, times or points of a scale that are worth a word
NEWLY = 90  # days on the roll that count as new
USUAL = {
    "count": ("place28", "place7", "change28", "rate28"),
    "measure": ("last", "place", "bad_run"),
    "flag": ("ever",),
}
"""Features a fact is sought behind where a rule gives no single one, the most telling first."""


def fits(difference: float, up: int, least: float) -> bool:
    """Does a value differ the way it has to?"""
    return difference * up >= least if up else abs(difference) >= least


def _square(value: float) -> float:
    return value * abs(value)


@dataclass
class Facts:
    """The facts of one group of students on one list date `today` (ordinal)."""

    setup: Setup
    extract: Extract
    today: int
    _places: dict[tuple[str, str], F64] = field(default_factory=dict)

    def behind(self, use: Use, stat: str, row: int, side: int) -> Told | None:
        """The fact behind one feature of an item, if it belongs on that side."""
        columns = self.extract.items[use.spec.id]
        if side < 0 and not use.spec.direction:
            return None  # nobody knows that it is good
        if use.spec.kind == "count":
            return self._count(use, columns, stat, row, side)
        if use.spec.kind == "flag":
            return self._flag(use, columns, stat, row, side)
        if not columns.last_on[row]:
            return self._never(use, columns, stat, side)
        if use.answers:
            return self._answer(use, columns, stat, row, side)
        return self._record(use, columns, stat, row, side)

    def any_of(self, use: Use, row: int, side: int) -> Told | None:
        """The most telling fact of an item for that side, whatever the feature."""
        for stat in USUAL[use.spec.kind]:
            found = self.behind(use, stat, row, side)
            if found is not None:
                return found
        return None

    def general(self, name: str, row: int, side: int) -> Told | None:
        """The fact behind a feature that belongs to no item."""
        names, block = self.setup.schema.names, self.extract.block
        if name == SIBLING:
            return Told("きょうだいによる加点", "Points for a sibling") if side > 0 else None
        if name.startswith(SIBLING):
            # A learned weight may move the score of a child of whose home nothing is on record.
            if side < 0 or not block[row, names.index(name)]:
                return None
            return Told("同じ世帯の子どもの記録", "Records of another child of the home")
        if name == "roll:days":
            days = round(float(block[row, names.index("roll:days")]) ** 2)
            if side < 0 or days >= NEWLY:
                return None
            return Told(f"名簿に載って{days}日", f"On the roll for {days} days")
        times = round(float(block[row, names.index("outcome:before")]))
        ja, en = self.setup.outcome_ja, self.setup.outcome_en
        if side > 0:
            return (
                Told(f"これまでの{ja} {times}回", f"Earlier: {en}, {times} times")
                if times
                else None
            )
        return None if times else Told(f"これまでに{ja}はない", f"Never so far: {en}")

    # -- counts ----

    def _count(self, use: Use, columns: ItemColumns, stat: str, row: int, side: int) -> Told | None:
        up = side * use.spec.direction
        if stat == "since":
            return self._count_since(use, columns, row, side)
        if stat == "rate_ever":
            return self._count_ever(use, columns, row, up)
        week = stat.endswith("7")
        value = self._week(columns, row) if week else float(columns.recent[row])
        span = Told("この1週間で", "in the last week") if week else Told("28日で", "in 28 days")
        said = Told(
            f"{use.label_ja} {span.ja}{amount(use, value)}",
            f"{use.label_en}: {number(value)} {span.en}",
        )
        if value == 0 and (up > 0 or not use.spec.direction):
            return None
        if week and side < 0 and columns.recent[row] == 0:
            return self._count(use, columns, stat[:-1] + "28", row, side)
        if not stat.startswith("place"):
            own = self._own(use, float(columns.usual[row]), value, side, week=week)
            if own is not None or stat.startswith("change"):
                return own and Told(said.ja + own.ja, said.en + own.en)
        if self._apart(use, "place7" if week else "place28", columns, row, up):
            return self._school(said, use, value, None if week else columns.recent, up)
        plain = value == 0 and side < 0 and up < 0 and not stat.startswith("place")
        return said if plain else None

    def _own(self, use: Use, usual: float, value: float, side: int, *, week: bool) -> Told | None:
        if math.isnan(usual):
            return None
        up = side * use.spec.direction
        scaled = usual * 7 / WINDOW if week else usual
        if not fits(value - scaled, up, MORE / (2 if week else 1)):
            if value or side > 0 or up > 0:
                return None
            if usual == 0:
                return Told("(ふだんもない)", " (usually none either)")
            return Told("(ふだんもほとんどない)", " (usually hardly any either)")
        if number(usual) == "0":
            return Told("(ふだんはほとんどない)", " (usually hardly any)")
        rate = Told("の割合", "rate of ") if week else Told("", "")
        more = than(value > scaled, use)
        return Told(
            f"(ふだん月{amount(use, usual)}{rate.ja}より{more.ja})",
            f" ({more.en} than the usual {rate.en}{number(usual)} a month)",
        )

    def _count_since(self, use: Use, columns: ItemColumns, row: int, side: int) -> Told | None:
        up, last = side * use.spec.direction, int(columns.last_on[row])
        if not last:
            return (
                Told(f"{use.label_ja}の記録は一度もない", f"{use.label_en}: none on record")
                if up < 0
                else None
            )
        if last > self.extract.day - WINDOW:
            when = ago(last, self.today)
            said = Told(f"最後の{use.label_ja}は{when.ja}", f"{use.label_en}: last {when.en}")
            return said if up > 0 else None
        days = self.today - last
        said = Told(f"{use.label_ja}は{days}日間ない", f"{use.label_en}: none for {days} days")
        return said if up < 0 else None

    def _count_ever(self, use: Use, columns: ItemColumns, row: int, up: int) -> Told | None:
        everyone = columns.stats["rate_ever"]
        mean = _square(float(everyone[row])) * WINDOW
        if (mean == 0 and up >= 0) or not self._apart(use, "rate_ever", columns, row, up):
            return None
        said = Told(
            f"{use.label_ja} これまで平均して月{amount(use, mean)}",
            f"{use.label_en}: {number(mean)} a month on average so far",
        )
        return self._school(said, use, mean, everyone * np.abs(everyone) * WINDOW, up)

    def _week(self, columns: ItemColumns, row: int) -> float:
        first, last = np.searchsorted(columns.rows, (row, row + 1))
        late = columns.days[first:last] > self.extract.day - 7
        return math.fsum(columns.values[first:last][late].tolist())

    # -- measures: answers ----

    def _answer(
        self, use: Use, columns: ItemColumns, stat: str, row: int, side: int
    ) -> Told | None:
        last = int(columns.last_on[row])
        days = self.today - last
        if stat == "missing":
            refused = round(float(columns.stats["missing"][row]))
            if side < 0 or not refused:
                return None
            return Told(
                f"{use.label_ja}:「答えたくない」が28日で{refused}回",
                f"{use.label_en}: “I would rather not say” in the last 28 days: {refused}",
            )
        if stat in ("since", "seen28"):
            return self._silence(use, columns, row, side)
        up = side * use.spec.direction
        if stat == "mean_ever":
            if not self._apart(use, stat, columns, row, up):
                return None
            worse = Told("悪い", "worse") if side > 0 else Told("よい", "better")
            old = Told(f"(最後は{days}日前)", f" (last one {days} days ago)")
            tail = old if days > use.fresh_days else Told("", "")
            return Told(
                f"{use.label_ja}:これまでの答えは学校の平均より{worse.ja}{tail.ja}",
                f"{use.label_en}: answers so far {worse.en} than the school's average{tail.en}",
            )
        if stat == "bad_run":
            run = round(float(columns.stats["bad_run"][row]))
            if side > 0 and run >= 2 and days <= use.fresh_days:
                return Told(
                    f"{use.label_ja}:ふだんより悪い答えが{run}回続く",
                    f"{use.label_en}: {run} answers running worse than usual",
                )
        return self._last_answer(use, columns, stat, row, up)

    def _last_answer(
        self, use: Use, columns: ItemColumns, stat: str, row: int, up: int
    ) -> Told | None:
        last, value = int(columns.last_on[row]), float(columns.recent[row])
        difference = value - float(columns.usual[row])  # NaN fits nothing
        marks = [known for known, _, _ in use.answers]
        middle = (min(marks) + max(marks)) / 2
        worse = Told("悪い", "worse") if up * use.spec.direction > 0 else Told("よい", "better")
        if stat != "place" and fits(difference, up, MORE):
            tail = Told(f"、ふだんより{worse.ja}", f", {worse.en} than usual")
        elif stat == "change":
            return None
        elif self._apart(use, "place", columns, row, up):
            tail = Told(f"、学校の平均より{worse.ja}", f", {worse.en} than the school's average")
        elif stat != "place" and fits(value - middle, up, MORE):
            tail = Told("", "")
        else:
            return None
        words, when = answer(use, value), ago(last, self.today)
        if self.today - last > use.fresh_days:
            if up * use.spec.direction < 0:
                return None  # an old good answer says nothing of today
            on = dated(last, self.today)
            return Told(
                f"{use.label_ja}:最後の答え{words.ja}は古い({on.ja}、{when.ja})",
                f"{asked(use)}: the last answer, {words.en}, is old ({on.en}, {when.en})",
            )
        return Told(
            f"{use.label_ja}:{words.ja}({when.ja}){tail.ja}",
            f"{asked(use)}: {words.en} ({when.en}){tail.en}",
        )

    def _silence(self, use: Use, columns: ItemColumns, row: int, side: int) -> Told | None:
        """Not answering is a fact of the child only where the school does answer."""
        last = int(columns.last_on[row])
        days = self.today - last
        if side < 0:
            if days > WINDOW:
                return None
            when = ago(last, self.today)
            return Told(
                f"最後の答えは{when.ja}",
                f"last answered {when.en}",
                ((use.label_ja, use.label_en),),
            )
        seen = columns.last_on[columns.last_on > 0]
        if days <= use.fresh_days or last + 7 > float(np.median(seen)):
            return None
        return Told(
            f"{days}日こたえていない",
            f"not answered for {days} days",
            ((use.label_ja, use.label_en),),
        )

    def _never(self, use: Use, columns: ItemColumns, stat: str, side: int) -> Told | None:
        if side < 0 or stat not in ("since", "seen28", "missing"):
            return None  # the rest of an unseen measure is filled in, not known
        if np.count_nonzero(columns.last_on) * 2 <= len(columns.last_on):
            return None
        if use.answers:
            return Told(f"{use.label_ja}:答えの記録なし", f"{use.label_en}: no answer on record")
        return Told(f"{use.label_ja} 記録なし", f"{use.label_en}: nothing on record")

    # -- measures: what others recorded; and flags ----

    def _record(
        self, use: Use, columns: ItemColumns, stat: str, row: int, side: int
    ) -> Told | None:
        last, value = int(columns.last_on[row]), float(columns.recent[row])
        on, late = dated(last, self.today), self.today - last > use.fresh_days
        if stat in ("since", "seen28", "missing"):
            if side < 0 or not late:
                return None
            return Told(
                f"{use.label_ja} 最後の記録が古い({on.ja})",
                f"{use.label_en}: the last record is old ({on.en})",
            )
        up = side * use.spec.direction
        if value == 0 and up > 0:
            return None
        old = Told("、古い", ", old") if late else Told("", "")
        said = Told(
            f"{use.label_ja} {amount(use, value)}({on.ja}{old.ja})",
            f"{use.label_en}: {number(value)} ({on.en}{old.en})",
        )
        usual = float(columns.usual[row])
        if stat != "place" and up and fits(value - usual, up, MORE):
            more = than(value > usual, use)
            return Told(
                f"{said.ja}、前の{amount(use, usual)}より{more.ja}",
                f"{said.en}, {more.en} than {number(usual)} before",
            )
        if stat == "change":
            return None
        if not self._apart(use, "place", columns, row, up):
            return None
        return self._school(said, use, value, columns.recent, up)

    def _flag(self, use: Use, columns: ItemColumns, stat: str, row: int, side: int) -> Told | None:
        last, up = int(columns.last_on[row]), side * use.spec.direction
        if not last:
            return Told(f"{use.label_ja} なし", f"{use.label_en}: no") if up < 0 else None
        if up < 0 or (not up and stat == "since"):
            return None
        on = dated(last, self.today)
        old = self.today - last > use.fresh_days
        return Told(
            f"{use.label_ja} あり({on.ja}{'、古い' if old else ''})",
            f"{use.label_en}: yes ({on.en}{', old' if old else ''})",
        )

    # -- against the school ----

    def _apart(self, use: Use, stat: str, columns: ItemColumns, row: int, up: int) -> bool:
        """Is the child far enough from the school's average, the way it has to be?"""
        key = (use.spec.id, stat)
        if key not in self._places:
            held = columns.stats[stat]
            if stat == "mean_ever":
                held = place(held, columns.last_on > 0)
            elif stat == "rate_ever":
                held = place(held)
            self._places[key] = held
        return fits(float(self._places[key][row]), up, APART if up else FAR_APART)

    def _school(
        self, said: Told, use: Use, value: float, everyone: F64 | None, up: int
    ) -> Told | None:
        """Against the average; None when it is the same number or (skewed data) the other way."""
        if everyone is None:
            more = than(up > 0, use)
            return Told(
                f"{said.ja}(学校の平均より{more.ja})",
                f"{said.en} ({more.en} than the school's average)",
            )
        known = everyone[~np.isnan(everyone)]
        middle = math.fsum(known.tolist()) / len(known)
        if number(middle) == number(value) or (up and not fits(value - middle, up, 0.0)):
            return None
        if use.spec.kind == "count" and number(middle) == "0":
            return Told(f"{said.ja}(学校ではほとんどない)", f"{said.en} (hardly any in the school)")
        more = than(value > middle, use)
        figure = Told("", "")
        if len(known) >= LEAST_GROUP:
            figure = Told(amount(use, middle), f", {number(middle)}")
        inner = Told(
            f"学校の平均{figure.ja}より{more.ja}",
            f"{more.en} than the school's average{figure.en}",
        )
        if use.spec.kind == "measure":  # has its date in brackets already
            return Told(f"{said.ja}、{inner.ja}", f"{said.en}, {inner.en}")
        return Told(f"{said.ja}({inner.ja})", f"{said.en} ({inner.en})")
