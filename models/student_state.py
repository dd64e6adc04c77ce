"""What is remembered about one student, and its canonical bytes.

A state is updated event by event and never looks at another student. Days are ordinals
(`date.toordinal`), so that arithmetic is plain. The same history gives the same bytes: dictionary
keys are sorted when encoding, and single days are folded into sums by the calendar only (never by
how many events came in one batch).

Not here: names, free words, and what the numbers mean for risk (features, rules).
"""

from __future__ import annotations

from bisect import bisect_left

import msgspec

from models.items import ItemSpec

VERSION = 5
"""Grows when the same history gives other bytes: stored states are then derived again."""


class Spell(msgspec.Struct, array_like=True):
    """On the roll of a class from `start` until before `until` (None: still)."""

    start: int
    until: int | None
    school: str
    class_id: str
    grade: int

    def covers(self, day: int) -> bool:
        """Is `day` within the spell?"""
        return self.start <= day and (self.until is None or day < self.until)


class Outcome(msgspec.Struct, array_like=True):
    """It began `on`, was known at the end of `known_on`, and is over from `over_on` (None: not)."""

    on: int
    known_on: int
    over_on: int | None

    def holds(self, day: int) -> bool:
        """Is the student inside it on `day`, as far as is known now?"""
        return self.on <= day and (self.over_on is None or day < self.over_on)


class ItemHistory(msgspec.Struct, array_like=True):
    """One item of one student: single days (sorted), and what is older as a sum.

    `refused`: days on which the question was asked and the child would rather not say.
    """

    days: list[int] = []
    values: list[float] = []
    old_n: int = 0
    old_sum: float = 0.0
    old_last: int = 0
    old_last_value: float = 0.0
    refused: list[int] = []


class StudentState(msgspec.Struct, array_like=True):
    """Everything judging remembers about one student.

    `data_from`: facts count from this day (set when a refusal is taken back). `year`, `year_sum`:
    the outcome item's total in that school year. `supported_on`: last day someone supported the
    child. `listed_on`, `running`: the last list date it was listed on and how many lists in a row.
    `scores`: (list date, score); `marks`: of each of them what the points rule said in its own
    terms, and whether scores were measured probabilities then.
    `risen`: rule -> the list date against which a sudden rise was told.
    `stopped`: items whose use was stopped at the family's request, and on which day.
    `levels`: of each item in use, in the order of their ids, where the child stood on its latest
    list date `levels_on` (amount in four weeks, last value, or whether it was); None for nothing.
    `judged_on`: the last day a meeting decided on the child, whatever it decided.
    `homes`: (from which day, the random key of the household), sorted; a key of '' is none known.
    """

    roll: list[Spell] = []
    data_from: int = 0
    items: dict[str, ItemHistory] = {}
    outcomes: list[Outcome] = []
    year: int = 0
    year_sum: float = 0.0
    supported_on: int = 0
    listed_on: int = 0
    running: int = 0
    scores: list[tuple[int, float]] = []
    stopped: dict[str, int] = {}
    risen: dict[str, int] = {}
    homes: list[tuple[int, str]] = []
    levels_on: int = 0
    levels: list[float | None] = []
    judged_on: int = 0
    marks: list[tuple[float, bool]] = []

    def known_by(self, day: int) -> list[Outcome]:
        """The outcomes of the child that have begun, and been known, by `day`."""
        return [one for one in self.outcomes if one.on <= day and one.known_on <= day]

    # -- the household ----

    def live_in(self, household: str, day: int) -> bool:
        """The child's household from `day` on; False when it was so already."""
        kept = [(on, key) for on, key in self.homes if on != day]
        kept.append((day, household))
        kept.sort()
        if kept == self.homes:
            return False
        self.homes = kept
        return True

    def household_on(self, day: int) -> str:
        """The key of the household the child lived in on `day`, '' for none that is known."""
        for on, household in reversed(self.homes):
            if on <= day:
                return household
        return ""

    # -- the roll ----

    def spell_on(self, day: int) -> Spell | None:
        """The spell in force on `day`; the latest when two overlap."""
        for spell in reversed(self.roll):
            if spell.covers(day):
                return spell
        return None

    def enrol(self, spell: Spell) -> bool:
        """Add a spell; False when it was there already."""
        if any(s.start == spell.start and s.class_id == spell.class_id for s in self.roll):
            return False
        self.roll.append(spell)
        self.roll.sort(key=lambda s: (s.start, s.class_id))
        return True

    def leave(self, class_id: str, day: int) -> bool:
        """End the open spell in a class from `day`; False when there is none."""
        for spell in reversed(self.roll):
            if spell.class_id == class_id and spell.until is None:
                spell.until = day
                if day <= spell.start:
                    self.roll.remove(spell)
                return True
        return False

    def days_on_roll(self, day: int) -> tuple[int, int]:
        """(days on the roll up to and with `day`, days since the present unbroken stay began)."""
        total, since, end = 0, day + 1, 0
        for spell in self.roll:
            if spell.start > day:
                break
            stop = day + 1 if spell.until is None else min(spell.until, day + 1)
            if spell.start > end:
                since = spell.start
            total += max(0, stop - max(spell.start, end))
            end = max(end, stop)
        return total, max(1, day + 1 - since)

    # -- outcomes ----

    def inside_known(self, day: int) -> bool:
        """Is the student inside an outcome that is known by the end of `day`?"""
        return any(o.known_on <= day and o.holds(day) for o in self.outcomes)

    def put_outcome(self, found: Outcome) -> bool:
        """Add an outcome or replace the one that began on the same day; False for no change."""
        for at, held in enumerate(self.outcomes):
            if held.on == found.on:
                if held == found:
                    return False
                self.outcomes[at] = found
                return True
        self.outcomes.append(found)
        self.outcomes.sort(key=lambda o: o.on)
        return True

    # -- facts ----

    def put(self, spec: ItemSpec, day: int, value: float, today: int) -> None:
        """Take in one observation, into its own day, however late it arrives.

        A count or flag of 0 says the same as no row, and is treated the same. Several of one day:
        counts add up, a flag is the highest, of measures the later one stands. `today` (0: unknown)
        says which days are old enough to be folded into the sum.
        """
        if value == 0 and spec.kind != "measure":
            return
        held = self.items.get(spec.id)
        if held is None:
            held = self.items[spec.id] = ItemHistory()
        line = today - spec.keep_days if today else 0
        if held.days and held.days[0] < line:
            _fold(held, line)
        if day < line:
            _to_old(held, day, value)
            return
        days, values = held.days, held.values
        at = len(days) if not days or day > days[-1] else bisect_left(days, day)
        if at == len(days) or days[at] != day:
            days.insert(at, day)
            values.insert(at, value)
        elif spec.kind == "count":
            values[at] += value
        elif spec.kind == "flag":
            values[at] = max(values[at], value)
        else:
            values[at] = value

    def correct(self, spec: ItemSpec, day: int, was: float, value: float | None) -> None:
        """Have `value` stand where `was` was put on that day; None: it was never so.

        Of several on one day, a count loses the difference only. Days folded into the sums are
        corrected there; their last value stands when another was later.
        """
        held = self.items.get(spec.id)
        if held is None:
            return
        new = 0.0 if value is None else value
        gone = value is None or (value == 0 and spec.kind != "measure")
        at = bisect_left(held.days, day)
        if at == len(held.days) or held.days[at] != day:
            if held.old_n and day <= held.old_last:
                held.old_sum += new - was
                held.old_n -= gone
                if held.old_last == day:
                    held.old_last_value = new
            return
        if spec.kind == "count":
            new += held.values[at] - was
            gone = new == 0
        if gone:
            del held.days[at], held.values[at]
        else:
            held.values[at] = new

    def stop(self, items: tuple[str, ...], day: int) -> None:
        """Forget these items, and take none of them in again."""
        for item in items:
            self.stopped.setdefault(item, day)
            self.items.pop(item, None)
        self.levels_on, self.levels = 0, []

    def stopped_after(self, day: int) -> bool:
        """Was the use of an item stopped on that day or later? Then its features hold too much."""
        return any(on >= day for on in self.stopped.values())

    def put_refused(self, spec: ItemSpec, day: int, today: int) -> None:
        """Remember that the question was asked on `day` and not answered."""
        held = self.items.setdefault(spec.id, ItemHistory())
        line = today - spec.keep_days if today else 0
        kept = {d for d in held.refused if d >= line}
        if day >= line:
            kept.add(day)
        held.refused = sorted(kept)


def _to_old(held: ItemHistory, day: int, value: float) -> None:
    held.old_n += 1
    held.old_sum += value
    if day >= held.old_last:
        held.old_last, held.old_last_value = day, value


def _fold(held: ItemHistory, line: int) -> None:
    cut = bisect_left(held.days, line)
    for day, value in zip(held.days[:cut], held.values[:cut], strict=True):
        _to_old(held, day, value)
    del held.days[:cut], held.values[:cut]


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(StudentState)


def to_bytes(state: StudentState) -> bytes:
    """The state's canonical bytes."""
    return _encoder.encode(state)


def from_bytes(data: bytes) -> StudentState:
    """The state back. Raises msgspec.ValidationError for anything else."""
    return _decoder.decode(data)
