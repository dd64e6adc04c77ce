"""What retention will do in the coming night, and what it did in the last ones, to be shown.

Counts by kind of data, of one board and of the installation; nobody's name or key. What is coming
is the dry run itself, asked for the day of the coming night; what was done is read off the trail,
where each batch has its line, and off the slots of the job, so that a night in which nothing was
due, or which never ran, can be told from one in which something went.

This reads with the service's own rights (the tables are everybody's, and only counts leave here);
it deletes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta

import msgspec
from sqlalchemy import select

from warning_service.access import retention
from warning_service.access.tables import audit
from warning_service.access.trail.audit import Trail
from warning_service.clock import JAPAN, at, day_of
from warning_service.database import Database
from warning_service.events.log import Log
from warning_service.events.tables import job_runs
from warning_service.keeping.night import JOB, SWEEP_UNTIL
from warning_service.keeping.sweep import ACTION, ACTOR, Line, Retention
from warning_service.settings import Settings

NIGHTS = 14
"""So many days back the last nights are told."""

_DETAIL = re.compile(r"(\d+): (\d{4}-\d\d-\d\d)/(\d{4}-\d\d-\d\d)", re.ASCII)


class Coming(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of data: its clock, and what of it will go. `rows` 0: nothing is due."""

    clock: retention.Clock
    before: date
    rows: int = 0
    oldest: date | None = None
    newest: date | None = None
    whole: bool = False
    """Is it a kind of the whole installation, not of one board?"""


class Went(msgspec.Struct, frozen=True, kw_only=True):
    """What of one kind was deleted on one day."""

    kind: str
    rows: int
    oldest: date | None
    newest: date | None


class Night(msgspec.Struct, frozen=True, kw_only=True):
    """A day in whose night the job ran (`ran`), or on which something was deleted by command."""

    day: date
    ran: bool
    went: tuple[Went, ...]


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """`night`: the day of the coming night. `unfit`: the installation's own file of clocks cannot
    be read, so nothing will be deleted; then `coming` is empty.
    """

    night: date
    unfit: bool
    coming: tuple[Coming, ...]
    nights: tuple[Night, ...]
    clocks: Mapping[str, retention.Clock]


def outlook(log_: Log, trail: Trail, settings: Settings, board: str) -> Outlook:
    """What goes and what went, for one board. Raises StorageUnavailable."""
    database = log_.database.as_service()
    now = log_.clock.now()
    early = now.astimezone(JAPAN).hour < SWEEP_UNTIL
    night = day_of(now) if early else day_of(now) + timedelta(days=1)
    nights = _nights(database, board, day_of(now))
    try:
        clocks = retention.clocks(settings.data_dir)
    except ValueError:
        return Outlook(
            night=night, unfit=True, coming=(), nights=nights, clocks=retention.shipped_clocks()
        )
    due = Retention(Log(database, log_.clock, log_.wakeups), trail, clocks).due(night, {board, ""})
    found = {line.kind: line for line in due}
    coming = [_coming(clock, night, found.get(kind)) for kind, clock in clocks.items()]
    return Outlook(night=night, unfit=False, coming=tuple(coming), nights=nights, clocks=clocks)


def _coming(clock: retention.Clock, night: date, line: Line | None) -> Coming:
    if line is None:
        return Coming(clock=clock, before=clock.before(night))
    return Coming(
        clock=clock, before=line.before, rows=line.rows, oldest=line.oldest, newest=line.newest,
        whole=not line.board,
    )  # fmt: skip


def _nights(database: Database, board: str, today: date) -> tuple[Night, ...]:
    """The last nights, the newest first."""
    since = today - timedelta(days=NIGHTS)
    a = audit.c
    with database.reading() as conn:
        ran = {
            date.fromisoformat(slot)
            for slot in conn.execute(
                select(job_runs.c.slot).where(
                    job_runs.c.job == JOB, job_runs.c.slot >= since.isoformat()
                )
            ).scalars()
        }
        lines = conn.execute(
            select(a.at, a.subject, a.detail)
            .where(a.action == ACTION, a.actor == ACTOR, a.board.in_([board, ""]))
            .where(a.at >= at(since))
            .order_by(a.seq)
        ).all()
    went: dict[date, dict[str, Went]] = {day: {} for day in ran}
    for line in lines:
        of_day = went.setdefault(day_of(line.at), {})
        of_day[line.subject] = _and(of_day.get(line.subject), line.subject, line.detail)
    return tuple(
        Night(day=day, ran=day in ran, went=tuple(went[day].values()))
        for day in sorted(went, reverse=True)
    )


def _and(before: Went | None, kind: str, detail: str) -> Went:
    """What a batch's line says ("12: 2019-04-01/2019-05-31"), added to what went before it."""
    said = _DETAIL.fullmatch(detail)
    rows = int(detail.partition(":")[0]) if said is None else int(said[1])
    days = [] if said is None else [date.fromisoformat(said[2]), date.fromisoformat(said[3])]
    if before is not None:
        rows += before.rows
        days += [day for day in (before.oldest, before.newest) if day is not None]
    return Went(
        kind=kind, rows=rows, oldest=min(days, default=None), newest=max(days, default=None)
    )
