"""Alarms on odd looking: read off the trail as it grows, a few minutes late, each raised once.

`Watch.run` reads the rows it has not seen, counts what their people did that day and compares it
with the figures of `alarm_rules.toml`: the hour, the day, the person's own usual, refusals, nights,
free days, files, accounts one officer both let in and gave power, and children whom unusually
many people opened. What it found and how far it came
are stored in one transaction that another process's run cannot repeat.

Nothing is blocked by an alarm: an auditor asks, and writes down what came of it. The log and the
metric tell rule, board and number only.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from statistics import mean, median
from typing import Any

import msgspec
import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, func, select, update

from warning_service.access.tables import audit, looking, looking_alarms
from warning_service.access.trail import audit as trail
from warning_service.access.trail.actions import of_kind
from warning_service.access.trail.alarm_rules import AlarmRules, limit_for
from warning_service.access.trail.audit import REFUSED
from warning_service.access.trail.halves import GIVES_POWER, LETS_IN, done_by
from warning_service.clock import JAPAN, Clock, at, day_of
from warning_service.database import Database, insert_new, upsert
from warning_service.events.tables import facts
from warning_service.events.types import derived_id
from warning_service.roster.calendar import SchoolCalendar

log = structlog.get_logger()

RAISED = Counter("kizashi_looking_alarms_total", "Alarms on odd looking", ["rule"])
POSITION = "looking_position"
"""The fact that holds the last row of the trail that was looked at."""
HEAD_LOGGED = "audit_head_logged"
AT_ONCE = 2000
HOUR = timedelta(hours=1)
RULES = (
    "hour", "day", "shown", "usual", "refused", "night", "free_day", "export", "alone", "watched",
)  # fmt: skip


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """Something to ask about. `subject`: a staff key, or for `watched` a student key."""

    rule: str
    board: str
    subject: str
    day: date
    count: int
    threshold: int
    last_seq: int
    usual: float = 0.0

    @property
    def id(self) -> str:
        """The same for one person, rule and day, until the count has doubled."""
        level = int(math.log2(self.count / self.threshold))
        when = self.day.isoformat()
        if self.rule == "watched":  # a week's matter
            when = "{}-{}".format(*self.day.isocalendar())
        return derived_id("looking_alarm", self.rule, self.board, self.subject, when, str(level))


class _Day(msgspec.Struct, kw_only=True):
    """What one person did in one day."""

    staff: str
    board: str
    day: date
    opened: list[tuple[datetime, str]] = msgspec.field(default_factory=list)
    shown: set[str] = msgspec.field(default_factory=set)
    refused: set[str] = msgspec.field(default_factory=set)
    exports: int = 0
    accounts: set[str] = msgspec.field(default_factory=set)  # let in, or given power
    roles: set[str] = msgspec.field(default_factory=set)
    last_seq: int = 0

    def children(self) -> set[str]:
        return {subject for _, subject in self.opened}


class Watch:
    """Reads the trail and raises alarms. Run it from one process; a second one does no harm."""

    def __init__(self, database: Database, clock: Clock, rules: AlarmRules) -> None:
        self._database = database
        self._clock = clock
        self._rules = rules

    def run(self) -> int:
        """Read what is new on the trail; return how many alarms were raised.

        Raises StorageUnavailable; then nothing was stored and the next run reads the same rows.
        """
        raised = 0
        while True:
            step = self._step()
            if step is None:
                break
            raised += step
        self._log_head()
        return raised

    def _step(self) -> int | None:
        with self._database.reading() as conn:
            position = _position(conn)
            new = conn.execute(
                select(audit.c.seq, audit.c.at, audit.c.board, audit.c.actor, audit.c.action,
                       audit.c.subject)
                .where(audit.c.seq > position)
                .order_by(audit.c.seq)
                .limit(AT_ONCE)
            ).all()  # fmt: skip
            if not new:
                return None
            last = int(new[-1].seq)
            days = list(self._days(conn, new, last))
            alarms = [alarm for one in days for alarm in self._of_person(conn, one)]
            alarms += self._watched(conn, new, last)
        return self._store(position, last, days, alarms)

    def _store(
        self, position: int, last: int, days: Sequence[_Day], alarms: Sequence[Alarm]
    ) -> int | None:
        raised = []
        now = self._clock.now()
        with self._database.writing() as conn:
            if position == 0:
                conn.execute(insert_new(conn, facts).values(name=POSITION, value="0"))
            moved = conn.execute(
                update(facts)
                .where(facts.c.name == POSITION, facts.c.value == str(position))
                .values(value=str(last))
                .returning(facts.c.name)
            ).first()
            if moved is None:
                return None  # another process read these rows
            for one in days:
                conn.execute(
                    upsert(conn, looking, ["staff", "day"]).values(
                        staff=one.staff, day=one.day, board=one.board,
                        opened=len(one.children()), shown=len(one.shown),
                        refused=len(one.refused), exports=one.exports,
                    )
                )  # fmt: skip
            for alarm in alarms:
                first = conn.execute(
                    insert_new(conn, looking_alarms)
                    .values(id=alarm.id, raised_at=now, **msgspec.structs.asdict(alarm))
                    .returning(looking_alarms.c.id)
                ).first()
                if first is not None:
                    raised.append(alarm)
        for alarm in raised:
            RAISED.labels(alarm.rule).inc()
            log.warning("looking_alarm", kind=alarm.rule, board=alarm.board, count=alarm.count)
        return len(raised)

    # -- one person's day ----------------------------------------------------------------------

    def _days(self, conn: Connection, new: Sequence[Any], last: int) -> Iterator[_Day]:
        """Each person's whole day so far, for those who did something in the new rows."""
        people: dict[date, set[str]] = {}
        for row in new:
            if row.actor and not row.actor.startswith("system:"):
                people.setdefault(day_of(row.at), set()).add(row.actor)
        for day, actors in sorted(people.items()):
            found: dict[str, _Day] = {}
            for row in _rows_of(conn, sorted(actors), day, last):
                one = found.setdefault(row.actor, _Day(staff=row.actor, board=row.board, day=day))
                _count(one, row)
            yield from found.values()

    def _of_person(self, conn: Connection, one: _Day) -> Iterator[Alarm]:
        rules = self._rules
        children = one.children()

        def alarm(rule: str, count: int, threshold: int, usual: float = 0.0) -> Iterator[Alarm]:
            if count >= threshold:
                yield Alarm(
                    rule=rule, board=one.board, subject=one.staff, day=one.day, count=count,
                    threshold=threshold, last_seq=one.last_seq, usual=usual,
                )  # fmt: skip

        yield from alarm("hour", most_within(one.opened, HOUR), limit_for(rules.hour, one.roles))
        yield from alarm("day", len(children), limit_for(rules.day, one.roles))
        yield from alarm("shown", len(one.shown), limit_for(rules.shown, one.roles))
        yield from alarm("refused", len(one.refused), rules.refused.limit)
        yield from alarm("export", one.exports, rules.export.limit)
        yield from alarm("alone", self._alone(conn, one), rules.alone.limit)
        night = {
            subject
            for when, subject in one.opened
            if rules.night.covers(when.astimezone(JAPAN).hour)
        }
        yield from alarm("night", len(night), rules.night.limit)
        if not SchoolCalendar(None, one.board).is_school_day(one.day):
            yield from alarm("free_day", len(children), rules.free_day.limit)
        elif len(children) >= rules.free_day.closed_limit and not SchoolCalendar(
            conn, one.board
        ).is_school_day(one.day):
            yield from alarm("free_day", len(children), rules.free_day.closed_limit)
        if len(children) >= rules.usual.least and (usual := self._usual(conn, one)) is not None:
            threshold = max(rules.usual.least, math.ceil(rules.usual.factor * usual))
            yield from alarm("usual", len(children), threshold, usual)

    def _alone(self, conn: Connection, one: _Day) -> int:
        """Accounts this person both let in and gave power, the later half on this day."""
        since = at(one.day - timedelta(days=self._rules.alone.days))
        found = one.accounts
        for half in (LETS_IN, GIVES_POWER):
            if found:
                found = done_by(conn, one.staff, found, half, since=since, upto=one.last_seq)
        return len(found)

    def _usual(self, conn: Connection, one: _Day) -> float | None:
        """Children opened on an ordinary day before this one; None while too few are known."""
        known = conn.execute(
            select(looking.c.opened).where(
                looking.c.staff == one.staff,
                looking.c.day < one.day,
                looking.c.day >= one.day - timedelta(days=self._rules.usual.days),
                looking.c.opened > 0,
            )
        ).scalars().all()  # fmt: skip
        return mean(known) if len(known) >= self._rules.usual.known_days else None

    # -- one child -----------------------------------------------------------------------------

    def _watched(self, conn: Connection, new: Sequence[Any], last: int) -> Iterator[Alarm]:
        rule = self._rules.watched
        opened = of_kind("opened")
        seen: dict[tuple[str, date], dict[str, int]] = {}
        for row in new:
            if row.action in opened and row.actor and not row.actor.startswith("system:"):
                seen.setdefault((row.board, day_of(row.at)), {})[row.subject] = int(row.seq)
        for (board, day), students in seen.items():
            many = {
                student: people
                for student, people in self._people(conn, board, day, last, list(students)).items()
                if people >= rule.limit
            }
            if not many:
                continue
            # Only now, because it reads the whole board's week.
            middle = median(self._people(conn, board, day, last).values())
            for student, people in many.items():
                if people > rule.factor * middle:
                    yield Alarm(
                        rule="watched", board=board, subject=student, day=day, count=people,
                        threshold=rule.limit, last_seq=students[student], usual=float(middle),
                    )  # fmt: skip

    def _people(
        self,
        conn: Connection,
        board: str,
        day: date,
        last: int,
        students: Sequence[str] | None = None,
    ) -> dict[str, int]:
        """How many people opened each child (or each of these) in the days up to `day`."""
        a = audit.c
        query = (
            select(a.subject, func.count(func.distinct(a.actor)).label("people"))
            .where(
                a.board == board,
                a.at >= at(day - timedelta(days=self._rules.watched.days - 1)),
                a.at < at(day + timedelta(days=1)),
                a.seq <= last,
                a.action.in_(of_kind("opened")),
                a.actor.not_like("system:%"),
            )
            .group_by(a.subject)
        )
        if students is None:
            return {row.subject: row.people for row in conn.execute(query)}
        found: dict[str, int] = {}
        for start in range(0, len(students), 500):
            part = query.where(a.subject.in_(students[start : start + 500]))
            found |= {row.subject: row.people for row in conn.execute(part)}
        return found

    def _log_head(self) -> None:
        """Tell the log once a day where the trail ends: logs are mostly kept elsewhere."""
        today = self._clock.today().isoformat()
        with self._database.reading() as conn:
            head = trail.head(conn)
            told = conn.execute(
                select(facts.c.value).where(facts.c.name == HEAD_LOGGED)
            ).scalar_one_or_none()
        if head is None or told == today:
            return
        with self._database.writing() as conn:
            conn.execute(upsert(conn, facts, ["name"]).values(name=HEAD_LOGGED, value=today))
        log.warning("audit_trail_head", position=head.seq, state=str(head))


def _position(conn: Connection) -> int:
    kept = conn.execute(select(facts.c.value).where(facts.c.name == POSITION)).scalar_one_or_none()
    return 0 if kept is None else int(kept)


def _rows_of(conn: Connection, actors: Collection[str], day: date, last: int) -> Iterator[Any]:
    a = audit.c
    wanted = list(actors)
    for start in range(0, len(wanted), 500):
        yield from conn.execute(
            select(a.seq, a.at, a.board, a.actor, a.action, a.subject, a.duty)
            .where(a.actor.in_(wanted[start : start + 500]), a.seq <= last)
            .where(a.at >= at(day), a.at < at(day + timedelta(days=1)))
            .order_by(a.seq)
        )


def _count(one: _Day, row: Any) -> None:
    one.last_seq = int(row.seq)
    one.roles |= set(filter(None, row.duty.split(",")))
    if row.action.startswith(REFUSED):
        one.refused.add(row.subject)
    elif row.action in of_kind("opened"):
        one.opened.append((row.at, row.subject))
        one.shown.add(row.subject)
    elif row.action in of_kind("shown"):
        one.shown.add(row.subject)
    elif row.action in LETS_IN or row.action in GIVES_POWER:
        one.accounts.add(row.subject)
    elif row.action in of_kind("export"):
        one.exports += 1


def most_within(looks: Sequence[tuple[datetime, str]], span: timedelta) -> int:
    """The most different children within any `span`, of looks in the order of time."""
    most, first = 0, 0
    inside: dict[str, int] = {}
    for when, subject in looks:
        inside[subject] = inside.get(subject, 0) + 1
        while when - looks[first][0] > span:
            old = looks[first][1]
            inside[old] -= 1
            if not inside[old]:
                del inside[old]
            first += 1
        most = max(most, len(inside))
    return most
