"""Finds what is past its next step: alerts, messages, readers of the log, the log, the schedule.

Each finding is a code with a board and a number, never an id. What it finds may be a matter of a
moment; the watchman believes it when it finds it twice in a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import msgspec
from sqlalchemy import Connection, and_, func, select, text

from warning_service.alerts import states
from warning_service.alerts.dead_letters import late
from warning_service.alerts.outbox import FAILED, SENT, WAITING
from warning_service.alerts.tables import alerts, deliveries
from warning_service.clock import day_of, monotonic
from warning_service.database import Database
from warning_service.events.log import APPEND_LOCK, head
from warning_service.events.tables import consumers, job_runs
from warning_service.roster.tables import enrolments

PATIENCE = timedelta(minutes=1)
SCHEDULE_PATIENCE = timedelta(minutes=15)
LOCK_SECONDS = 5.0

OVERDUE = "overdue"
LATE = "late"
GIVEN_UP = "given_up"
NOTHING_SENT = "nothing_sent"
CLAIM_EXPIRED = "claim_expired"
BEHIND = "behind"
STOPPED = "stopped"
LOG_STUCK = "log_stuck"
SCHEDULE = "schedule"


class Finding(msgspec.Struct, frozen=True, order=True):
    """`code`, with what it is about behind a colon (`late:slack`); `board` '': everybody's."""

    code: str
    board: str
    count: int = 1

    @property
    def key(self) -> str:
        """What has to be found twice."""
        return f"{self.board}|{self.code}"


def alerts_overdue(conn: Connection, board: str, now: datetime) -> list[Finding]:
    """Alerts for which something had to follow by itself and has not. `now`: the school's clock."""
    number = conn.execute(
        select(func.count())
        .select_from(alerts)
        .where(
            alerts.c.board == board,
            alerts.c.state != states.CLOSED,
            alerts.c.due_at < now - PATIENCE,
        )
    ).scalar_one()
    return [Finding(OVERDUE, board, int(number))] if number else []


def messages_stuck(conn: Connection, board: str, wall: datetime) -> list[Finding]:
    """Messages about a board's open alerts that do not arrive. `wall`: the real time."""
    d = deliveries.c
    about = and_(d.alert_id == alerts.c.id, alerts.c.board == board)
    joined = deliveries.join(alerts, about)
    found = []
    for code, where in (
        (LATE, and_(late(wall), alerts.c.state == states.OPEN)),
        (GIVEN_UP, and_(d.state == FAILED, alerts.c.state == states.OPEN)),
        (CLAIM_EXPIRED, and_(d.state == WAITING, d.claimed_until < wall - PATIENCE)),
    ):
        rows = conn.execute(
            select(d.channel, func.count())
            .select_from(joined).where(where).group_by(d.channel).order_by(d.channel)
        )  # fmt: skip
        found += [Finding(f"{code}:{channel}", board, int(number)) for channel, number in rows]
    if any(one.code.startswith((LATE, GIVEN_UP)) for one in found):
        sent = conn.execute(
            select(func.count())
            .select_from(joined)
            .where(d.state == SENT, d.sent_at > wall - 10 * PATIENCE)
        ).scalar_one()
        if not sent:
            found.append(Finding(NOTHING_SENT, board))
    return found


def readers_stuck(
    conn: Connection, board: str, before: Mapping[str, int], wall: datetime
) -> tuple[list[Finding], dict[str, int]]:
    """Readers with something to read that have not moved since the last look, or have no owner.

    `before`: reader -> its position at the last look. Also returns those of now.
    """
    end = head(conn, board)
    rows = conn.execute(select(consumers).where(consumers.c.board == board)).all()
    positions = {row.name: int(row.position) for row in rows}
    found = []
    for row in rows:
        if row.position >= end:
            continue
        if row.owner == "" or row.lease_until < wall - PATIENCE:
            found.append(Finding(f"{STOPPED}:{row.name}", board, end - row.position))
        elif before.get(row.name) == row.position:
            found.append(Finding(f"{BEHIND}:{row.name}", board, end - row.position))
    if end and "alerts" not in positions:
        found.append(Finding(f"{STOPPED}:alerts", board, end))
    return found, positions


def schedule_stuck(conn: Connection, board: str, now: datetime) -> list[Finding]:
    """Was yesterday closed? The slots of the schedule are rows; none is there when nobody runs."""
    yesterday = day_of(now - SCHEDULE_PATIENCE) - timedelta(days=1)
    first = conn.execute(
        select(func.min(enrolments.c.from_day)).where(enrolments.c.board == board)
    ).scalar_one_or_none()
    if first is None or first > yesterday:
        return []
    last = conn.execute(
        select(func.max(job_runs.c.slot)).where(job_runs.c.job == f"day_closed:{board}")
    ).scalar_one_or_none()
    missed = (yesterday - (first - timedelta(days=1) if last is None else _day(last))).days
    return [Finding(SCHEDULE, board, missed)] if missed > 0 else []


def log_stuck(database: Database) -> list[Finding]:
    """Can anything be appended? (PostgreSQL; SQLite answers by taking any write at all.)

    Appends wait for one lock; a transaction that never ends would keep it.
    """
    if database.is_sqlite:
        return []
    until = monotonic() + LOCK_SECONDS
    with database.writing() as conn:
        while monotonic() < until:
            got = conn.execute(
                text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": APPEND_LOCK}
            ).scalar_one()
            if got:
                return []
            conn.execute(text("SELECT pg_sleep(0.05)"))
    return [Finding(LOG_STUCK, "")]


def _day(slot: str) -> date:
    return date.fromisoformat(slot)
