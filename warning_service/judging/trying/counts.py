"""What a tried playbook's lists would have been, counted beside those of the one in force.

Numbers only: no child's key is in here, so that a result can be kept and shown to whoever may see
counts. Both sides come from the same play of the log (play.py) and are measured by the same
outcome. Small counts are in it as they are; whoever shows them hides them first. Who may try any
file could take one try's counts from another's; so each stands with a `grain`, made of the very
children it counts, by which it is blurred where it is shown: always alike for the same children.

What no play of the past can know: the children who would have been listed were not looked at, and
those who were listed were. Support that worked makes the list that led to it look wrong.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import msgspec

from models.labels import label, matures_on
from models.shares import wilson
from models.student_state import StudentState
from warning_service.judging.counted import Counted


@dataclass(frozen=True)
class OneList:
    """One school's list as it was played. Keys of children; used for counting, never kept.

    `ranked` is a tuple because a city's year of daily lists has tens of millions of them.
    """

    day: int
    school: str
    judge: str
    listed: frozenset[str]
    ranked: tuple[str, ...]
    new: int


@dataclass
class Yardstick:
    """By what both sides' lists are measured: an outcome, and how it went for each child."""

    outcome: str
    horizon: int
    delay: int
    closed: int
    states: Mapping[str, StudentState] = field(default_factory=dict)


class Right(Counted, frozen=True, kw_only=True):
    """How right the lists were whose outcomes are all known.

    `lists`: how many those are. `listed`, `ranked`: children counted once for each list they could
    be judged on; `children`: how many different ones were listed, on which the interval rests.
    """

    lists: int
    children: int
    grain: str = ""

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of `listed_rate`; a child on many lists makes nobody surer."""
        if not self.listed:
            return 0.0, 1.0
        return wilson(self.listed_hits / self.listed * self.children, self.children)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What lists ask of people. `entries`: places given; `looked_at`: children in the first meeting
    (the listed, or everybody on the roll where the playbook says so); `minutes` at its pace.
    """

    lists: int
    entries: int
    looked_at: int
    minutes: float


class OfDate(msgspec.Struct, frozen=True, kw_only=True):
    """All schools' lists of one date. A side that made none has None for its length."""

    on: date
    current: int | None
    tried: int | None
    entering: int
    leaving: int
    judge_current: str
    judge_tried: str
    grain: str = ""


class OfSchool(msgspec.Struct, frozen=True, kw_only=True):
    """One school over the whole time. `entering`: children the tried lists would have shown at
    least once and the current ones never; `leaving`: the other way round.
    """

    school: str
    current: Load
    tried: Load
    children_current: int
    children_tried: int
    entering: int
    leaving: int
    grain: str = ""


class OfItem(msgspec.Struct, frozen=True, kw_only=True):
    """What one item does in either playbook, and for how many of those who changed.

    `was`, `now`: points, mark, window, coefficient; None where the item is not in use.
    `more`: of those entering, for whom it counts more than now; `less`: of those leaving, less.
    """

    item: str
    label_ja: str
    label_en: str
    was: tuple[float, float, int, float] | None
    now: tuple[float, float, int, float] | None
    more: int
    less: int
    grain: str = ""

    @property
    def changed(self) -> bool:
        """Is it another item than before?"""
        return self.was != self.now


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """The whole result. `position`: up to where the log was played.

    `other_dates`: the tried playbook makes lists on days of its own. `same_as_shown`: lists of the
    current playbook, played again without families that refuse, that are those people were shown,
    of `shown`. `by_order`: entries and departures that no item explains: places, order, siblings.
    `right_own`: measured by the tried playbook's outcome, if that is another one. `shortened`: rows
    were deleted from the log, so early lists lack them. `excluded`: children whose families refuse,
    by the latest decision; none of what is known of them was used.
    """

    since: date
    until: date
    position: int
    playbook_current: str
    playbook_tried: str
    other_dates: bool
    dates: list[OfDate]
    schools: list[OfSchool]
    items: list[OfItem]
    by_order: int
    right: tuple[Right, Right]
    right_own: tuple[Right, Right] | None
    outcome: str
    same_as_shown: int
    shown: int
    shortened: bool
    excluded: int

    @property
    def load(self) -> tuple[Load, Load]:
        """Both sides, all schools together."""
        return (
            total_load(one.current for one in self.schools),
            total_load(one.tried for one in self.schools),
        )

    @property
    def months(self) -> int:
        """Months of the calendar from the first list to the end of what was played."""
        first = min((one.on for one in self.dates), default=self.until)
        return 12 * (self.until.year - first.year) + self.until.month - first.month + 1


def total_load(parts: Iterable[Load]) -> Load:
    """Several schools together."""
    held = list(parts)
    return Load(
        lists=sum(one.lists for one in held),
        entries=sum(one.entries for one in held),
        looked_at=sum(one.looked_at for one in held),
        minutes=sum(one.minutes for one in held),
    )


def how_right(lists: Sequence[OneList], yardstick: Yardstick) -> Right:
    """Measure those lists whose outcomes are all known."""
    settled = [
        one
        for one in lists
        if matures_on(one.day, yardstick.horizon, yardstick.delay) <= yardstick.closed
    ]
    children: set[str] = set()
    told: set[tuple[str, str]] = set()
    listed = hits = ranked = ranked_hits = 0
    for one in settled:
        for student in one.ranked:
            state = yardstick.states.get(student)
            hit = None if state is None else label(state, one.day, yardstick.horizon)
            if hit is None:
                continue
            ranked += 1
            ranked_hits += hit
            if student in one.listed:
                children.add(student)
                listed += 1
                hits += hit
                told.add((f"{one.day}:{hit}", student))
    return Right(
        lists=len(settled), listed=listed, listed_hits=hits, children=len(children),
        ranked=ranked, ranked_hits=ranked_hits, grain=grain_of(told),
    )  # fmt: skip


def grain_of(told: Iterable[tuple[object, str]]) -> str:
    """Of pairs (where, child): the same for the same ones, and it leads back to none of them."""
    whole = hashlib.sha256()
    for where, student in sorted((str(where), student) for where, student in told):
        whole.update(f"{where}:{student};".encode())
    return whole.hexdigest()[:16]


def by_date(current: Sequence[OneList], tried: Sequence[OneList]) -> list[OfDate]:
    """Who enters and who leaves on each date on which either side made lists.

    Where only one side made lists there is nothing to compare: nobody enters or leaves.
    """
    sides: tuple[dict[int, list[OneList]], dict[int, list[OneList]]] = ({}, {})
    for held, lists in zip(sides, (current, tried), strict=True):
        for one in lists:
            held.setdefault(one.day, []).append(one)
    found = []
    for day in sorted(sides[0].keys() | sides[1].keys()):
        was, now = sides[0].get(day), sides[1].get(day)
        before, after = _listed(was or []), _listed(now or [])
        both = was is not None and now is not None
        found.append(
            OfDate(
                on=date.fromordinal(day),
                current=None if was is None else len(before),
                tried=None if now is None else len(after),
                entering=len(after - before) if both else 0,
                leaving=len(before - after) if both else 0,
                judge_current=_judges(was or []),
                judge_tried=_judges(now or []),
                grain=grain_of((day, student) for student in after),
            )
        )
    return found


def _listed(lists: Sequence[OneList]) -> set[str]:
    return {student for one in lists for student in one.listed}


def _judges(lists: Sequence[OneList]) -> str:
    return ", ".join(sorted({one.judge for one in lists}))


@dataclass(frozen=True)
class Pace:
    """How long a first meeting takes for one child, and whether it goes through the whole roll."""

    minutes: float
    whole_roll: bool

    def load(self, lists: Sequence[OneList]) -> Load:
        """What these lists ask for."""
        entries = sum(len(one.listed) for one in lists)
        looked_at = sum(len(one.ranked) for one in lists) if self.whole_roll else entries
        return Load(
            lists=len(lists), entries=entries, looked_at=looked_at,
            minutes=round(looked_at * self.minutes, 1),
        )  # fmt: skip


def by_school(
    current: Sequence[OneList], tried: Sequence[OneList], paces: tuple[Pace, Pace]
) -> list[OfSchool]:
    """Each school over the whole time, by id."""
    mine: dict[str, tuple[list[OneList], list[OneList]]] = defaultdict(lambda: ([], []))
    for side, lists in enumerate((current, tried)):
        for one in lists:
            mine[one.school][side].append(one)
    found = []
    for school, (was, now) in sorted(mine.items()):
        before, after = _listed(was), _listed(now)
        found.append(
            OfSchool(
                school=school,
                current=paces[0].load(was),
                tried=paces[1].load(now),
                children_current=len(before),
                children_tried=len(after),
                entering=len(after - before),
                leaving=len(before - after),
                grain=grain_of((one.day, student) for one in now for student in one.listed),
            )
        )
    return found
