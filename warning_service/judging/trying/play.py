"""Tries a changed playbook on a board's own past: what would its lists have been?

The log is played once more, from its beginning, through two judges of the ordinary kind: one as the
playbook in force has it, one as the tried one. Both learn, hand over and make lists as they would
have; neither is given anything before it stood in the log, so nothing after a list's date reaches
it. Of families that refuse by now nothing is used but the place on the roll, which makes them part
of nothing. Nothing is written anywhere, and a tried playbook does not come into force by this.

Lists fall due when the log says they did. A tried playbook with another cadence or scope makes its
lists on its own days of the school calendar instead. Judging several years of a large city again
takes as long as deriving its models anew; `progress` is told and may stop it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlalchemy import Connection, select

from warning_service.events.log import Log, head
from warning_service.events.types import DayClosed, Event, ListDue, derived_id
from warning_service.judging.consumer import events_until, position_of
from warning_service.judging.deriving import gone
from warning_service.judging.judge import Gone, Judge
from warning_service.judging.scope import Group, gather
from warning_service.judging.setup import Use, from_playbook
from warning_service.judging.tables import list_entries, warning_lists
from warning_service.judging.trying.counts import (
    OfItem,
    OneList,
    Pace,
    Tried,
    Yardstick,
    by_date,
    by_school,
    grain_of,
    how_right,
)
from warning_service.list_dates import NOT_BEFORE, falls_on
from warning_service.playbooks.judging import ListRule
from warning_service.playbooks.model import Playbook
from warning_service.roster.calendar import SchoolCalendar

ACTOR = "system:trying"
TELL_EVERY = 200
"""Events between two words of progress; with them goes the chance to stop."""
TIMES_ANEW = 3
"""So often it begins again when a family refuses meanwhile."""

Progress = Callable[[int, int, date | None], None]
"""Told (how far, of how far, which day); raising Cancelled ends the try."""


class Cancelled(Exception):
    """Whoever asked for the try wants it no more. Nothing is left behind."""


def try_playbook(
    log: Log,
    board: str,
    current: Playbook,
    tried: Playbook,
    since: date,
    *,
    progress: Progress | None = None,
) -> Tried:
    """The lists since that date, by the playbook in force and by the tried one.

    Played is what judging has read, or the whole log where it has not begun. Raises Cancelled as
    `progress` does.
    """
    for _ in range(TIMES_ANEW):
        with log.database.reading() as conn:
            known = head(conn, board)
            until = position_of(conn, board) or known
            left = gone.gone_by(conn, board, known)
            play = _Play(
                log, board, (current, tried), since=since, until=until, left=left,
                own=_own_days(conn, board, current, tried),
            )  # fmt: skip
        play.run(progress or (lambda _done, _of, _day: None))
        with log.database.reading() as conn:
            now = head(conn, board)
            if not any(event.student for event in gone.asks(conn, board, known, now)):
                return play.result(conn)
    raise Cancelled("families refused again and again meanwhile")


# -- which days ----


@dataclass(frozen=True)
class _OwnDays:
    """Days on which the tried playbook makes lists, when they are not those of the log."""

    calendar: SchoolCalendar
    rule: ListRule

    def due(self, day: date, first: date, schools: Iterable[str]) -> list[str]:
        """Whose list is due that day: ids of schools, or '' for the whole board.

        `first`: the first day of data; `schools`: those with children on the roll.
        """
        rule = self.rule
        if rule.cadence == "none" or day < first + timedelta(days=NOT_BEFORE[rule.cadence]):
            return []
        wanted = [""] if rule.scope == "board" else sorted(schools)
        return [school for school in wanted if falls_on(self.calendar, rule, school, day)]


def _own_days(conn: Connection, board: str, current: Playbook, tried: Playbook) -> _OwnDays | None:
    was, now = current.list, tried.list
    if (was.cadence, was.months, was.scope) == (now.cadence, now.months, now.scope):
        return None
    return _OwnDays(SchoolCalendar(conn, board), now)


# -- playing ----


class _Side:
    """One judge, and the lists it made since the date."""

    def __init__(self, board: str, playbook: Playbook, left: Gone) -> None:
        self.kept: dict[int, bytes] = {}
        self.setup = from_playbook(playbook)
        self.judge = Judge(board, self.setup, self.kept.__getitem__, left)
        self.lists: list[OneList] = []

    def take(self, event: Event) -> list[OneList]:
        """Take in an event; the lists that came of it."""
        self.judge.take(event)
        changes = self.judge.collect()
        self.kept.update(changes.blocks)
        for day in changes.settled:
            del self.kept[day]
        return [
            OneList(
                day=made.row["list_date"].toordinal(),
                school=made.row["school"],
                judge=made.row["judge"],
                listed=frozenset(row["student"] for row in made.entries),
                ranked=tuple(row["student"] for row in made.scores),
                new=sum(row["is_new"] for row in made.entries),
            )
            for made in changes.lists
        ]

    def groups(self, schools: set[str], day: int) -> dict[str, Group]:
        """What the rule says of these schools' children, as of the facts a list of `day` has."""
        judge = self.judge
        known = day if judge.book.closed >= day else day - 1
        everyone = judge.by_school(day)
        wanted = {school: everyone[school] for school in sorted(schools & everyone.keys())}
        found = gather(self.setup, wanted, everyone, known, judge.book.alike)
        return {group.school: group for group in found}


@dataclass
class _Parts:
    """How often an item made a difference to those who entered or left."""

    more: dict[str, int] = field(default_factory=dict)
    less: dict[str, int] = field(default_factory=dict)
    by_order: int = 0


class _Play:
    def __init__(
        self,
        log: Log,
        board: str,
        playbooks: tuple[Playbook, Playbook],
        *,
        since: date,
        until: int,
        left: Gone,
        own: _OwnDays | None,
    ) -> None:
        self._log, self._board, self._until = log, board, until
        self._playbooks, self._since = playbooks, since
        self._own = own
        self._sides = (_Side(board, playbooks[0], left), _Side(board, playbooks[1], left))
        self._parts = _Parts()
        self._first: date | None = None
        # What one day's lists are until both sides have made theirs.
        self._open: tuple[list[OneList], list[OneList]] = ([], [])

    def run(self, progress: Progress) -> None:
        """Play the whole log."""
        day: date | None = None
        progress(0, self._until, None)
        for number, event in enumerate(events_until(self._log, self._board, self._until)):
            self._take(event)
            if isinstance(event.body, DayClosed):
                day = event.on
            if number % TELL_EVERY == 0:
                progress(event.position, self._until, day)
        self._compare()
        progress(self._until, self._until, day)

    def _take(self, event: Event) -> None:
        if isinstance(event.body, ListDue):
            self._list(event, self._sides[:1] if self._own is not None else self._sides)
            return
        closes = isinstance(event.body, DayClosed)
        if closes:
            self._compare()
        for side in self._sides:
            side.take(event)
        if not closes:
            return
        self._first = self._first or event.on
        if self._own is None:
            return
        tomorrow, judge = event.on + timedelta(days=1), self._sides[1].judge
        for school in self._own.due(tomorrow, self._first, judge.by_school(tomorrow.toordinal())):
            self._list(_due(event, tomorrow, school), self._sides[1:])

    def _list(self, event: Event, sides: tuple[_Side, ...]) -> None:
        for side in sides:
            made = side.take(event)
            if event.on >= self._since:
                side.lists += made
                self._open[self._sides.index(side)].extend(made)

    def _compare(self) -> None:
        """Before anything else is learned: which items made the difference on the day's lists."""
        was, now = self._open
        self._open = ([], [])
        for day in sorted({one.day for one in was} & {one.day for one in now}):
            before = {s: one.school for one in was if one.day == day for s in one.listed}
            after = {s: one.school for one in now if one.day == day for s in one.listed}
            changed = {**before, **after}
            for student in before.keys() & after.keys():
                del changed[student]
            if changed:
                self._difference(day, changed, after)

    def _difference(self, day: int, changed: Mapping[str, str], after: Mapping[str, str]) -> None:
        schools = set(changed.values())
        was, now = (side.groups(schools, day) for side in self._sides)
        for student, school in sorted(changed.items()):
            old, new = _found(was.get(school), student), _found(now.get(school), student)
            entering = student in after
            told = False
            for item in sorted(old.keys() | new.keys()):
                by = new.get(item, 0.0) - old.get(item, 0.0)
                if (by > 0) if entering else (by < 0):
                    count = self._parts.more if entering else self._parts.less
                    count[item] = count.get(item, 0) + 1
                    told = True
            self._parts.by_order += not told

    # -- results ----

    def result(self, conn: Connection) -> Tried:
        """Everything counted. `conn`: to read which lists people were shown."""
        one, other = self._sides
        current, tried = self._playbooks
        yardsticks = [self._yardstick(side) for side in self._sides]
        differs = current.outcome != tried.outcome
        same, shown = self._as_shown(conn)
        paces = (_pace(current), _pace(tried))
        return Tried(
            since=self._since,
            until=date.fromordinal(max(one.judge.book.closed, *self._days_of_lists())),
            position=self._until,
            playbook_current=one.setup.playbook,
            playbook_tried=other.setup.playbook,
            other_dates=self._own is not None,
            dates=by_date(one.lists, other.lists),
            schools=by_school(one.lists, other.lists, paces),
            items=list(self._items()),
            by_order=self._parts.by_order,
            right=(how_right(one.lists, yardsticks[0]), how_right(other.lists, yardsticks[0])),
            right_own=(how_right(one.lists, yardsticks[1]), how_right(other.lists, yardsticks[1]))
            if differs
            else None,
            outcome=current.outcome.id,
            same_as_shown=same,
            shown=shown,
            shortened=bool(gone.shortened_at(conn, self._board, self._until)),
            excluded=len(one.judge.away),
        )

    def _days_of_lists(self) -> list[int]:
        """Ordinals of all lists' dates, and of the day asked about."""
        made = [one.day for side in self._sides for one in side.lists]
        return [self._since.toordinal(), *made]

    @staticmethod
    def _yardstick(side: _Side) -> Yardstick:
        setup = side.setup
        return Yardstick(
            setup.outcome, setup.horizon, setup.delay, side.judge.book.closed, side.judge.students
        )

    def _as_shown(self, conn: Connection) -> tuple[int, int]:
        """How many of the current side's lists hold the children people were shown."""
        lists, entries = warning_lists, list_entries
        shown: dict[tuple[str, int], set[str]] = {}
        rows = conn.execute(
            select(lists.c.school, lists.c.list_date, entries.c.student)
            .join_from(lists, entries, entries.c.list_id == lists.c.id, isouter=True)
            .where(lists.c.board == self._board, lists.c.list_date >= self._since)
        )
        for row in rows:
            held = shown.setdefault((row.school, row.list_date.toordinal()), set())
            if row.student is not None:
                held.add(row.student)
        mine = {(one.school, one.day): one.listed for one in self._sides[0].lists}
        same = sum(shown[key] == mine[key] for key in shown.keys() & mine.keys())
        return same, len(shown.keys() & mine.keys())

    def _items(self) -> Iterator[OfItem]:
        was, now = ({use.spec.id: use for use in side.setup.uses} for side in self._sides)
        grain = grain_of(
            (one.day, student) for one in self._sides[1].lists for student in one.listed
        )
        for item in sorted(was.keys() | now.keys()):
            use = now.get(item) or was[item]
            yield OfItem(
                item=item,
                label_ja=use.label_ja,
                label_en=use.label_en,
                was=_numbers(was.get(item)),
                now=_numbers(now.get(item)),
                more=self._parts.more.get(item, 0),
                less=self._parts.less.get(item, 0),
                grain=grain,
            )


def _due(closed: Event, on: date, school: str) -> Event:
    """A list that would have been due: at the end of the day before, with that day's facts."""
    return Event(
        position=closed.position,
        id=derived_id("tried", closed.board, school, on.isoformat()),
        board=closed.board,
        student=None,
        on=on,
        recorded_at=closed.recorded_at,
        actor=ACTOR,
        body=ListDue(school=school),
    )


def _found(group: Group | None, student: str) -> dict[str, float]:
    """What each item gives to one child; nothing when it is not there."""
    if group is None or student not in group.states:
        return {}
    row = group.extract.students.index(student)
    return {item: round(float(given[row]), 9) for item, given in group.judged.found.items()}


def _numbers(use: Use | None) -> tuple[float, float, int, float] | None:
    return None if use is None else (use.points, use.at, use.window, use.coefficient)


def _pace(playbook: Playbook) -> Pace:
    return Pace(playbook.review.minutes, playbook.review.of == "roll")
