"""The watchman: every minute, does everything add up, and is anything past its next step?

It has a thread of its own in every process that works or schedules, and needs neither: one process
makes a minute's look, whichever is first to put that minute's row down. What it finds twice in a
row becomes a notice to the operator ("system trouble"), and the notice is settled when it has not
been found for some looks. The figures are a page, and metrics.

A service that is down tells nobody. Where an outside address is set that expects to be asked for
every minute (`heartbeat_url`), it is asked with nothing in it, but not when the sums do not agree,
nor when help itself is stuck: then the silence is noticed outside.

It mends nothing; it is the one who says so.
"""

from __future__ import annotations

import secrets
import threading
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec
import structlog
from prometheus_client import Gauge
from sqlalchemy import Connection, delete, select, update

from warning_service.alerts import stuck
from warning_service.alerts.counting import Figures, Ledger, count
from warning_service.alerts.notices import SYSTEM_TROUBLE, Notices
from warning_service.alerts.stuck import Finding
from warning_service.alerts.tables import watchman_looks
from warning_service.clock import Clock
from warning_service.database import StorageUnavailable, insert_new
from warning_service.events.log import Log
from warning_service.playbooks.service import Playbooks
from warning_service.roster import queries as roster

log = structlog.get_logger()

MINUTE = timedelta(minutes=1)
KEPT = timedelta(days=7)
SETTLED_AFTER = 5
"""So many looks without it, and a trouble is over."""
HEARTBEAT_SECONDS = 10.0

SUMS = "sums"
NOT_COUNTED = "not_counted"
ABOUT = "watchman:"
_ABOUT_CHANNELS = (stuck.LATE, stuck.GIVEN_UP, stuck.CLAIM_EXPIRED)

AGREES = Gauge("kizashi_watchman_agrees", "1: all sums agreed at the last look")
LAST_LOOK = Gauge("kizashi_watchman_last_look", "When the watchman last looked (Unix time)")
FIGURES = Gauge("kizashi_watchman_calls", "Calls for help of the last day by place", ["place"])
TROUBLES = Gauge("kizashi_watchman_trouble", "What was found twice in a row", ["trouble"])


class Seen(msgspec.Struct, kw_only=True):
    """What one look found; stored as JSON. `positions`: board -> reader -> position."""

    figures: dict[str, Figures] = msgspec.field(default_factory=dict)
    positions: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    findings: list[Finding] = msgspec.field(default_factory=list)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look as it is stored. `troubles`: what was found in the look before as well."""

    minute: datetime
    ended_at: datetime | None
    agrees: bool
    heartbeat: str
    seen: Seen
    troubles: list[Finding]


class Watchman:
    """Looks once a minute. Several processes may each have one.

    `heartbeat_url` '': nobody outside is told. `wall`: the real clock.
    """

    def __init__(
        self,
        log_: Log,
        playbooks: Playbooks,
        notices: Notices,
        *,
        heartbeat_url: str = "",
        wall: Clock | None = None,
    ) -> None:
        self._log = log_
        self._playbooks = playbooks
        self._notices = notices
        self._heartbeat_url = heartbeat_url
        self._wall = wall or Clock()
        self._owner = uuid.uuid4().hex
        self._ledgers: dict[str, Ledger] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchman", daemon=True)

    def start(self) -> None:
        """Look from the next minute on."""
        self._thread.start()

    def stop(self) -> None:
        """End after the look in hand."""
        self._stopping.set()
        self._thread.join(timeout=HEARTBEAT_SECONDS + 5)

    def look(self) -> Look | None:
        """Look, unless some process has for this minute (None). Raises StorageUnavailable."""
        now = self._wall.now()
        minute = now.replace(second=0, microsecond=0)
        if not self._first(minute):
            return None
        before = self._before(minute)
        seen = self._see(before)
        suspected = {one.key for one in before.seen.findings} if before else set()
        troubles = [one for one in seen.findings if one.key in suspected]
        agrees = all(figures.agrees for figures in seen.figures.values()) and not any(
            one.code in {SUMS, NOT_COUNTED} for one in seen.findings
        )
        for one in troubles:
            log.error("watchman_found", trouble=one.code, board=one.board, count=one.count)
        heartbeat = self._heartbeat(agrees, troubles)
        self._end(minute, seen, troubles, agrees=agrees, heartbeat=heartbeat)
        self._tell(troubles)
        return Look(
            minute=minute, ended_at=self._wall.now(), agrees=agrees, heartbeat=heartbeat,
            seen=seen, troubles=troubles,
        )  # fmt: skip

    # -- looking -----------------------------------------------------------------------------------

    def _first(self, minute: datetime) -> bool:
        with self._log.database.writing() as conn:
            mine = conn.execute(
                insert_new(conn, watchman_looks)
                .values(
                    minute=minute, owner=self._owner, agrees=False, heartbeat="", figures="{}",
                    troubles="[]",
                )
                .returning(watchman_looks.c.minute)
            ).first()  # fmt: skip
            if mine is not None:
                conn.execute(delete(watchman_looks).where(watchman_looks.c.minute < minute - KEPT))
        return mine is not None

    def _before(self, minute: datetime) -> Look | None:
        """The last finished look, if it is of the last minutes."""
        with self._log.database.reading() as conn:
            found = looks(conn, before=minute, limit=1)
        return found[0] if found and found[0].minute >= minute - SETTLED_AFTER * MINUTE else None

    def _see(self, before: Look | None) -> Seen:
        seen = Seen()
        with self._log.database.reading() as conn:
            boards = [row.id for row in roster.boards(conn)]
        for board in boards:
            try:
                self._see_board(seen, board, before.seen.positions.get(board, {}) if before else {})
            except StorageUnavailable:
                raise
            except Exception as error:  # one board's trouble must not hide another's
                log.exception("watchman_failed", board=board, error=type(error).__name__)
                seen.findings.append(Finding(NOT_COUNTED, board))
        seen.findings += stuck.log_stuck(self._log.database)
        return seen

    def _see_board(self, seen: Seen, board: str, positions: dict[str, int]) -> None:
        ledger = self._ledgers.setdefault(board, Ledger(board))
        playbook = self._playbooks.for_help(board)
        figures = count(self._log, ledger, playbook.alert_rules)
        seen.figures[board] = figures
        if not figures.agrees:
            log.error("watchman_sums_differ", board=board, **msgspec.structs.asdict(figures))
            seen.findings.append(Finding(SUMS, board, figures.lost + figures.unaccounted))
        now, wall = self._log.clock.now(), self._wall.now()
        with self._log.database.reading() as conn:
            behind, seen.positions[board] = stuck.readers_stuck(conn, board, positions, wall)
            seen.findings += [
                *stuck.alerts_overdue(conn, board, now),
                *stuck.messages_stuck(conn, board, wall),
                *behind,
                *stuck.schedule_stuck(conn, board, now),
            ]

    # -- telling -----------------------------------------------------------------------------------

    def _heartbeat(self, agrees: bool, troubles: Sequence[Finding]) -> str:
        if not self._heartbeat_url:
            return "none"
        # One channel that is down is told inside, on the others; outside is for when that fails.
        if not agrees or any(not one.code.startswith(_ABOUT_CHANNELS) for one in troubles):
            return "refused"
        try:
            answer = httpx.get(self._heartbeat_url, timeout=HEARTBEAT_SECONDS)
        except httpx.HTTPError as error:
            log.error("heartbeat_failed", error=type(error).__name__)
            return "failed"
        if answer.status_code >= 300:
            log.error("heartbeat_failed", error=f"http_{answer.status_code}")
            return "failed"
        return "pinged"

    def _end(
        self,
        minute: datetime,
        seen: Seen,
        troubles: Sequence[Finding],
        *,
        agrees: bool,
        heartbeat: str,
    ) -> None:
        with self._log.database.writing() as conn:
            conn.execute(
                update(watchman_looks)
                .where(watchman_looks.c.minute == minute)
                .values(
                    ended_at=self._wall.now(), agrees=agrees, heartbeat=heartbeat,
                    figures=msgspec.json.encode(seen).decode(),
                    troubles=msgspec.json.encode(list(troubles)).decode(),
                )
            )  # fmt: skip

    def _tell(self, troubles: Sequence[Finding]) -> None:
        """Raise a notice for each trouble, settle those that have not been found for some looks."""
        with self._log.database.reading() as conn:
            lately = looks(conn, limit=SETTLED_AFTER)
            boards = [row.id for row in roster.boards(conn)]
        found = {
            (board, one.code)
            for look in lately
            for one in look.seen.findings
            for board in ([one.board] if one.board else boards)
        }
        for board in boards:
            for code in sorted({one.code for one in troubles if one.board in {"", board}}):
                self._notices.raise_notice(board, SYSTEM_TROUBLE, ABOUT + code)
            if len(lately) < SETTLED_AFTER:
                continue
            for row in self._notices.standing(board, SYSTEM_TROUBLE):
                code = str(row.source).removeprefix(ABOUT)
                if code != row.source and (board, code) not in found:
                    self._notices.settle(board, SYSTEM_TROUBLE, ABOUT + code)

    def _run(self) -> None:
        while not self._stopping.is_set():
            now = self._wall.now()
            # Not all processes at the same instant, and not when everybody else's jobs begin.
            into = 1.0 + secrets.randbelow(4000) / 1000
            wait = 60.0 - now.second - now.microsecond / 1e6 + into
            if self._stopping.wait(wait):
                return
            try:
                self.look()
            except StorageUnavailable as error:
                log.error("watchman_storage_unavailable", error=str(error))
            except Exception as error:  # the next look must come, whatever this one met
                log.exception("watchman_failed", error=type(error).__name__)


def looks(conn: Connection, *, before: datetime | None = None, limit: int) -> list[Look]:
    """The last finished looks, newest first."""
    w = watchman_looks.c
    query = select(watchman_looks).where(w.ended_at.is_not(None))
    if before is not None:
        query = query.where(w.minute < before)
    rows = conn.execute(query.order_by(w.minute.desc()).limit(limit)).all()
    return [_look(row) for row in rows]


def measure(conn: Connection) -> None:
    """Set the metrics by the last look, whichever process made it."""
    found = looks(conn, limit=1)
    TROUBLES.clear()
    FIGURES.clear()
    if not found:
        return
    last = found[0]
    AGREES.set(last.agrees)
    LAST_LOOK.set(last.minute.timestamp())
    for name in Figures.__struct_fields__:
        FIGURES.labels(name).set(sum(getattr(one, name) for one in last.seen.figures.values()))
    for one in last.troubles:
        TROUBLES.labels(one.code).inc(one.count)


def _look(row: Any) -> Look:
    return Look(
        minute=row.minute,
        ended_at=row.ended_at,
        agrees=row.agrees,
        heartbeat=row.heartbeat,
        seen=msgspec.json.decode(row.figures, type=Seen),
        troubles=msgspec.json.decode(row.troubles, type=list[Finding]),
    )
