"""The room pages ask how the lists did: reads what is needed, keeps it while nothing changed.

It reads with the service's own rights, because counting needs every child of the board and a
board's reader may see none of them by key. So what comes out of here is numbers; where children's
keys come out (`missed`, for those who may see names), they are of the schools asked for only, and
the page asks the gateway for each name. Figures are derived on the spot and stored nowhere.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from datetime import date, timedelta
from typing import Any, TypeVar

import msgspec
from sqlalchemy import func, select

from models.reliability import Bin
from models.shares import Share
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.traits import Traits, recorded_items
from warning_service.catalogue.traits import all_traits
from warning_service.clock import Clock
from warning_service.database import Database
from warning_service.events.recorded import Recorded
from warning_service.follow_up.evaluating import agreement as evaluation_agreement
from warning_service.follow_up.evaluating import children as by_child
from warning_service.follow_up.evaluating import effects as evaluation_effects
from warning_service.follow_up.evaluating.agreement import Views
from warning_service.follow_up.evaluating.children import Figures, Missed, MissedCounts, Spread
from warning_service.follow_up.evaluating.days import Town
from warning_service.follow_up.evaluating.effects import (
    BeforeAfter,
    Break,
    Corrected,
    Schools,
    Steps,
)
from warning_service.follow_up.evaluating.fairness import Fairness, by_trait
from warning_service.follow_up.evaluating.lists import Known, ListsRead, Scored
from warning_service.follow_up.opinions import ENTRY, Thought, thoughts
from warning_service.follow_up.tables import follow_ups, opinions, reviews
from warning_service.judging.tables import model_snapshots
from warning_service.playbooks.service import Playbooks
from warning_service.roster import queries as roster

YEAR = timedelta(days=364)
Got = TypeVar("Got")


class OfDate(msgspec.Struct, frozen=True, kw_only=True):
    """The lists of one month. `figures` is None until they are settled on `known_on`. `stated`: did
    any of them state probabilities?
    """

    month: date
    lists: int
    judges: tuple[str, ...]
    known_on: date
    figures: Figures | None
    stated: bool


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """How right the lists were. `year`: each child once, over the settled lists."""

    first: date  # the first list, settled or not
    last: date | None  # the latest settled list
    lists: int
    settled: int
    months: tuple[OfDate, ...]
    year: Figures
    lead: Spread | None
    new_to_us: Share
    bins: tuple[Bin, ...]


class Effects(msgspec.Struct, frozen=True, kw_only=True):
    """What can be said of effects, and what cannot. `countable`: the outcome is made of days."""

    countable: bool
    before_after: BeforeAfter
    listed: Corrected
    supported: Corrected
    schools: Schools
    breaks: tuple[Break, ...]
    steps: Steps


class Evaluation:
    """Counts for a board's pages and a school's. Safe to share between threads."""

    def __init__(
        self, database: Database, clock: Clock, playbooks: Playbooks, traits: Traits,
        recorded: Recorded,
    ) -> None:  # fmt: skip
        self._database, self._clock, self._playbooks = database, clock, playbooks
        self._traits, self._recorded = traits, recorded
        self._lists = ListsRead(database)
        self._kept: dict[tuple[str, ...], tuple[object, Any]] = {}
        self._lock = threading.Lock()

    @property
    def today(self) -> date:
        """The day up to which is counted."""
        return self._clock.today()

    def known(self, board: str) -> Known:
        """The board's lists of the last year with what became of the children."""
        today = self._clock.today()
        return self._lists.of(
            board, self._playbooks.of(board), (today - YEAR).replace(day=1), today
        )

    def right(self, board: str, school: str = "") -> Right:
        """How right the settled lists of the last year were, of one school or all."""
        known = self.known(board)
        return self._once(("right", board, school), (known.serial,), lambda: right(known, school))

    def fairness(self, who: Principal, *, using: Ability) -> list[Fairness]:
        """Errors by trait over the asker's board, with a line on the trail each time it is asked.

        Raises StorageUnavailable when that line cannot be written.
        """
        known = self.known(who.board)
        children = by_child.standings(known.settled)
        on = max((one.on for one in known.settled), default=known.today)
        grouped = self._traits.of(
            who, [child.student for child in children], on, using=using, detail=on.isoformat()
        )
        return by_trait(children, grouped, all_traits())

    def effects(self, board: str, school: str = "") -> Effects:
        """Before and after, around the cut, between schools, over breaks, and the funnel."""
        known = self.known(board)

        def made() -> Effects:
            town = self._town(board, known)
            with self._database.reading() as conn:
                schools = [row.id for row in roster.schools(conn, board)]
            return Effects(
                countable=town.countable,
                before_after=evaluation_effects.before_and_after(town, known, school),
                listed=evaluation_effects.corrected(town, known, supported_only=False),
                supported=evaluation_effects.corrected(town, known, supported_only=True),
                schools=evaluation_effects.schools_apart(town, known, schools),
                breaks=tuple(evaluation_effects.breaks(town, known.refusing, school)),
                steps=evaluation_effects.steps(town, known, school),
            )

        return self._once(("effects", board, school), self._stamp(board, known), made)

    def missed(self, board: str) -> tuple[list[Missed], dict[str, MissedCounts]]:
        """Children never listed before they were affected or supported; counts by school."""
        known = self.known(board)

        def made() -> tuple[list[Missed], dict[str, MissedCounts]]:
            town = self._town(board, known)
            start = min((one.on for one in known.lists), default=known.today)
            ends = known.today + timedelta(days=1)
            given = {
                student: day
                for student in town.acts
                if (day := town.first_support(student, start, ends)) is not None
            }
            return by_child.missed(known, given, town.schools())

        return self._once(("missed", board), self._stamp(board, known), made)

    def views(self, board: str) -> Views | None:
        """Self-reports beside the school's records, as of the last closed day."""
        with self._database.reading() as conn:
            m = model_snapshots.c
            at = conn.execute(
                select(func.max(m.position)).where(m.board == board)
            ).scalar()  # judging has read so far
        known = self.known(board)

        def made() -> Views | None:
            with self._database.reading() as conn:
                return evaluation_agreement.views(
                    conn, board, self._playbooks.of(board), known.today
                )

        return self._once(("views", board), (at, known.serial, known.today), made)

    def thought(self, board: str, schools: Collection[str] | None = None) -> Thought:
        """What staff thought of the entries of the year's lists (of these schools; None: all)."""
        lists = [one for one in self.known(board).lists if schools is None or one.school in schools]
        with self._database.reading() as conn:
            return thoughts(conn, board, ENTRY, _entries(lists))

    def thought_by_month(self, board: str) -> list[Thought]:
        """The same month by month: what the counts of single months tell elsewhere."""
        months: dict[date, list[Scored]] = {}
        for one in self.known(board).lists:
            months.setdefault(one.on.replace(day=1), []).append(one)
        with self._database.reading() as conn:
            return [
                thoughts(conn, board, ENTRY, _entries(months[month])) for month in sorted(months)
            ]

    def _town(self, board: str, known: Known) -> Town:
        playbook = self._playbooks.of(board)
        item = playbook.outcome.item
        adds = {i.id: i.kind == "count" for i in playbook.catalogue_items().values()}
        record = self._recorded.of(board, {**recorded_items(), item: adds.get(item, True)})
        with self._database.reading() as conn:
            return Town(conn, board, playbook, record=record, first=known.first, today=known.today)

    def _stamp(self, board: str, known: Known) -> tuple[object, ...]:
        """Something that differs when a record, a review, a fact or a list does."""
        with self._database.reading() as conn:
            told = [
                conn.execute(
                    select(func.count(), func.max(table.c.at)).where(table.c.board == board)
                ).one()
                for table in (follow_ups, opinions)
            ]
            decided = conn.execute(select(func.count(), func.max(reviews.c.at))).one()
            m = model_snapshots.c
            read = conn.execute(select(func.max(m.position)).where(m.board == board)).scalar()
        return (known.serial, known.today, *map(tuple, told), tuple(decided), read)

    def _once(self, key: tuple[str, ...], stamp: object, make: Callable[[], Got]) -> Got:
        """What was made for this stamp, or made now."""
        with self._lock:
            held = self._kept.get(key)
        if held is not None and held[0] == stamp:
            found: Got = held[1]
            return found
        found = make()
        with self._lock:
            self._kept[key] = (stamp, found)
        return found


def _entries(lists: Iterable[Scored]) -> list[tuple[str, str]]:
    return [(one.id, child.student) for one in lists for child in one.children if child.listed]


def right(known: Known, school: str = "") -> Right:
    """Every figure of how right these lists were, of one school's lists or all."""
    lists = [one for one in known.lists if school in ("", one.school)]
    settled = [one for one in lists if one.settled]
    children = by_child.standings(settled)
    by_month: dict[date, list[Scored]] = {}
    for one in lists:
        by_month.setdefault(one.on.replace(day=1), []).append(one)
    return Right(
        first=min((one.on for one in lists), default=known.first),
        last=max((one.on for one in settled), default=None),
        lists=len(lists),
        settled=len(settled),
        months=tuple(_of_month(month, by_month[month]) for month in sorted(by_month, reverse=True)),
        year=by_child.figures(children),
        lead=by_child.lead(children),
        new_to_us=by_child.new_to_us(children),
        bins=tuple(by_child.calibration(settled)),
    )


def _of_month(month: date, lists: list[Scored]) -> OfDate:
    """A month's lists together; of a school with several, the first, so that no child is twice."""
    first: dict[str, Scored] = {}
    for one in sorted(lists, key=lambda one: (one.on, one.id)):
        first.setdefault(one.school, one)
    settled = all(one.settled for one in first.values())
    return OfDate(
        month=month,
        lists=len(lists),
        judges=tuple(sorted({one.judge for one in lists})),
        known_on=max(one.known_on for one in first.values()),
        figures=by_child.of_lists(first.values()) if settled else None,
        stated=any(child.chance is not None for one in lists for child in one.children),
    )
