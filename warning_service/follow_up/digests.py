"""Digests: in the morning and at the week's end, what waits for one person, and when nothing does.

One row for each person, kind and day, made by a job for whoever has a page with something to do.
The counts are of what that person's duties reach, as of the moment the job ran: their alerts and
notices, and listed children of theirs without a record. A message says how many in all and links
to the page; it is owed like any other (alerts/deliver.py) to one address of the person's own, and
who has none finds the digest on the first page. Whoever does not want a kind says so once.

A digest is a convenience, not an alarm: it escalates nothing, and one that was missed is not made
up for on another day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection, delete, select

from warning_service.access import staff_lookup
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.alerts import states
from warning_service.alerts.messages import digest_kind
from warning_service.alerts.outside.devices import CHANNEL as PUSH
from warning_service.alerts.outside.tables import push_devices
from warning_service.alerts.service import Alerts
from warning_service.alerts.telling import delivery, put_deliveries
from warning_service.clock import Clock, at, day_of
from warning_service.database import insert_new
from warning_service.events.log import Log
from warning_service.events.tables import job_runs
from warning_service.events.types import derived_id
from warning_service.follow_up.notice_job import Board, read_board
from warning_service.follow_up.tables import digest_choices, digests
from warning_service.playbooks.service import Playbooks
from warning_service.roster.calendar import SchoolCalendar
from warning_service.roster.each_board import each_board

log = structlog.get_logger()

MORNING = "morning"
WEEK = "week"
KINDS = (MORNING, WEEK)
AT: Mapping[str, tuple[int, int]] = {MORNING: (7, 30), WEEK: (15, 30)}
"""From when on a digest is made, hour and minute in Japan: after the night's quiet hours."""
SLACK = "slack"
FOR = frozenset({Ability.SEE_ALERTS, Ability.SEE_LIST, Ability.SEE_COUNTS, Ability.OPERATE})
"""Who gets one: whoever has a page on which something can wait for them."""

WAITING = ("open", "mine", "notices", "records")
"""What waits: open alerts, alerts one has taken on, notices, listed children without a record."""
OF_WEEK = ("raised", "answered")
"""Of the week besides: alerts that came, and those of them somebody took on."""


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """One person's digest as a page shows it."""

    kind: str
    day: date
    made_at: datetime
    counts: dict[str, int]
    total: int


class Digests:
    """Somebody's own digests, for pages. Every question is about the asker alone."""

    def __init__(self, log_: Log) -> None:
        self._log = log_
        # With the service's own rights: nobody's are in anybody's scope, and none but one's own
        # are asked for.
        self._whole = log_.database.as_service()

    def latest(self, who: Principal, *, days: int = 1) -> list[Digest]:
        """The asker's digests of the last so many days, newest first."""
        d, since = digests.c, self._log.clock.today() - timedelta(days=days)
        query = select(digests).where(d.staff == who.key, d.board == who.board, d.day > since)
        with self._whole.reading() as conn:
            rows = conn.execute(query.order_by(d.made_at.desc(), d.kind.desc())).all()
        return [
            Digest(
                kind=row.kind, day=row.day, made_at=row.made_at, total=row.total,
                counts=msgspec.json.decode(row.counts, type=dict[str, int]),
            )
            for row in rows
        ]  # fmt: skip

    def unwanted(self, who: Principal) -> set[str]:
        """Kinds the asker does not want."""
        with self._whole.reading() as conn:
            return _unwanted(conn, [who.key]).get(who.key, set())

    def choose(self, who: Principal, kind: str, *, wanted: bool) -> None:
        """Get a kind of digest from now on, or not. Raises KeyError for none of KINDS."""
        if kind not in KINDS:
            raise KeyError(kind)
        c = digest_choices.c
        with self._whole.writing() as conn:
            conn.execute(delete(digest_choices).where(c.staff == who.key, c.kind == kind))
            if not wanted:
                conn.execute(
                    digest_choices.insert().values(
                        staff=who.key, kind=kind, board=who.board, at=self._log.clock.now()
                    )
                )


class DigestJob:
    """Makes the digests that are due. `channels`: names of those that are connected."""

    def __init__(
        self,
        log_: Log,
        playbooks: Playbooks,
        alerts: Alerts,
        *,
        channels: Collection[str] = (),
        wall: Clock | None = None,
    ) -> None:
        self._log = log_
        self._playbooks = playbooks
        self._alerts = alerts
        self._channels = frozenset(channels)
        self._wall = wall or Clock()

    def run_all(self) -> int:
        """Make what is due in every board; return how many digests. Raises StorageUnavailable."""
        return each_board(self._log.database, self._run_due, "digests_of_board_failed")

    def _run_due(self, board: str) -> int:
        return sum(self._run(board, kind) for kind in self._due(board))

    def _due(self, board: str) -> list[str]:
        """Kinds of today's digests whose hour has come and that were not made yet."""
        now = self._log.clock.now()
        today = day_of(now)
        with self._log.database.reading() as conn:
            calendar = SchoolCalendar(conn, board)
            ran = set(
                conn.execute(
                    select(job_runs.c.job).where(
                        job_runs.c.job.in_([_job(kind, board) for kind in KINDS]),
                        job_runs.c.slot == today.isoformat(),
                    )
                ).scalars()
            )
        days = {MORNING: calendar.is_school_day(today), WEEK: _ends_week(calendar, today)}
        return [
            kind
            for kind in KINDS
            if days[kind] and now >= at(today, *AT[kind]) and _job(kind, board) not in ran
        ]

    def _run(self, board: str, kind: str) -> int:
        """One kind for everybody of a board: thought out first, then stored in one transaction."""
        now = self._log.clock.now()
        today = day_of(now)
        playbook = self._playbooks.for_help(board)
        with self._log.database.reading() as conn:
            people = staff_lookup.everybody(conn, board, today)
            seen = read_board(conn, playbook, board, now)
            unwanted = _unwanted(conn, people)
            reached = set(conn.execute(select(push_devices.c.staff)).scalars())
        rows, owed = [], []
        for key, (who, slack_user) in people.items():
            if kind in unwanted.get(key, ()) or FOR.isdisjoint(who.abilities):
                continue
            counts = self._counts(who, seen, kind, today)
            total = sum(counts[name] for name in WAITING)
            digest_id = derived_id("digest", key, kind, today.isoformat())
            rows.append(
                {
                    "id": digest_id, "staff": key, "board": board, "kind": kind, "day": today,
                    "made_at": now, "total": total, "counts": msgspec.json.encode(counts).decode(),
                }
            )  # fmt: skip
            if (address := self._address(key, slack_user, reached)) is not None:
                owed.append(
                    delivery(
                        derived_id("digest_delivery", digest_id), alert="", channel=address[0],
                        address=address[1], purpose=digest_kind(kind, total),
                        wall=self._wall.now(),
                    )
                )  # fmt: skip
        with self._log.unit_of_work() as unit:
            first = unit.conn.execute(
                insert_new(unit.conn, job_runs)
                .values(job=_job(kind, board), slot=today.isoformat(), ran_at=now)
                .returning(job_runs.c.slot)
            ).first()
            if first is None:
                return 0  # another process was quicker
            if rows:
                unit.conn.execute(insert_new(unit.conn, digests), rows)
            put_deliveries(unit, owed, self._log.wakeups)
        log.info("digests_made", board=board, kind=kind, count=len(rows))
        return len(rows)

    def _counts(self, who: Principal, seen: Board, kind: str, today: date) -> dict[str, int]:
        """What is this person's, and nobody else's: see the module's head."""
        found = dict.fromkeys(WAITING, 0)
        monday = at(today - timedelta(days=today.weekday()))
        if who.may(Ability.SEE_ALERTS):
            mine = self._alerts.inbox(who, include_done=kind == WEEK)
            waiting = [a for a in mine if a.state in states.WAITING]
            found["open"] = sum(a.state == states.OPEN for a in waiting)
            found["mine"] = sum(a.acknowledged_by == who.key for a in waiting)
            if kind == WEEK:
                came = [a for a in mine if a.raised_at >= monday]
                found["raised"] = len(came)
                found["answered"] = sum(a.state != states.OPEN for a in came)
        found["notices"] = len(self._alerts.notices_for(who))
        if who.may(Ability.RECORD_FOLLOW_UP):
            found["records"] = _unrecorded(who, seen)
        return found

    def _address(self, staff: str, slack_user: str, reached: set[str]) -> tuple[str, str] | None:
        """A way of this person's own: a browser of theirs, else a direct message; None: neither."""
        if PUSH in self._channels and staff in reached:
            return (PUSH, staff)
        if SLACK in self._channels and slack_user:
            return (SLACK, slack_user)
        return None


def _job(kind: str, board: str) -> str:
    return f"digest_{kind}:{board}"


def _ends_week(calendar: SchoolCalendar, day: date) -> bool:
    """Is it the last school day before the weekend?"""
    rest = (day + timedelta(days=n) for n in range(1, 7 - day.weekday()))
    return calendar.is_school_day(day) and not any(calendar.is_school_day(d) for d in rest)


def _unrecorded(who: Principal, seen: Board) -> int:
    """Children on the newest lists whom the person's duties reach, without a record since."""
    extent = who.reach(Ability.RECORD_FOLLOW_UP)
    count = 0
    for school, lists in seen.lists.items():
        newest = lists[0]
        for student, class_id in newest.classes.items():
            last = seen.records.get(student)
            if extent.covers(school=school, class_id=class_id) and (
                last is None or last < newest.row.published_at
            ):
                count += 1
    return count


def _unwanted(conn: Connection, staff: Iterable[str]) -> dict[str, set[str]]:
    wanted = sorted(staff)
    found: dict[str, set[str]] = {}
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        rows: Any = conn.execute(select(digest_choices).where(digest_choices.c.staff.in_(part)))
        for row in rows:
            found.setdefault(row.staff, set()).add(row.kind)
    return found
