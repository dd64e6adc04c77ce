"""Counts whether every call for help became an alert, and where every alert is.

Two sums for each board, over the last day: what was submitted is stored, joined to an earlier call
(many_calls.py) or still on its way to the consumer; what is stored is with somebody, delivered,
moved on to the next step, on its way to a channel, in the portal of those who have no channel, or
given up and shown to the operator. Nothing is derived by taking one figure from another: each call
and each alert is looked up, and one that is in none of these places is counted as lost.

Reads only, and knows nobody: keys and ids stay in memory, figures are numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, case, func, select

from warning_service.alerts import rules, states
from warning_service.alerts.many_calls import MOST_CALLS, WITHIN
from warning_service.alerts.outbox import FAILED, SENT, WAITING
from warning_service.alerts.privacy import CONSULTATION
from warning_service.alerts.tables import alerts, deliveries
from warning_service.alerts.telling import UPDATE
from warning_service.events.log import Log, head
from warning_service.events.tables import consumers, events
from warning_service.events.types import (
    CheckInSubmitted,
    ConsultationRequested,
    decode,
    derived_id,
    tag_of,
)
from warning_service.playbooks.model import AlertRule

WINDOW = timedelta(days=1)
CRITICAL_BEHIND = timedelta(minutes=15)
"""So far back critical answers are looked for at the start: older ones may have met other rules."""

AT_ONCE = 500


class Figures(msgspec.Struct, kw_only=True):
    """One board's sums. `surplus`: alerts of calls for help that nobody submitted."""

    submitted: int = 0
    stored: int = 0
    joined: int = 0
    on_the_way: int = 0
    lost: int = 0
    surplus: int = 0
    taken: int = 0
    delivered: int = 0
    moved_on: int = 0
    pending: int = 0
    in_portal: int = 0
    given_up: int = 0
    unaccounted: int = 0

    @property
    def agrees(self) -> bool:
        """Is everything where it should be?"""
        return (
            self.lost == self.surplus == self.unaccounted == 0
            and self.submitted == self.stored + self.joined + self.on_the_way
            and self.stored
            == self.taken + self.delivered + self.moved_on + self.pending + self.in_portal
            + self.given_up
        )  # fmt: skip


class _Call(msgspec.Struct, frozen=True):
    """Something in the log that has to become an alert."""

    event_id: str
    student: str
    position: int
    at: datetime
    kind: str


class Ledger:
    """A board's calls for help and critical answers of the last day, read from the log as it grows.

    In memory only; a new one reads the last day once.
    """

    def __init__(self, board: str) -> None:
        self.board = board
        self._position: int | None = None
        self._rules: tuple[AlertRule, ...] = ()
        self._critical_from: datetime | None = None
        self.calls: dict[str, _Call] = {}  # by the id its alert has to have

    def read(self, log: Log, conn: Connection, all_rules: Sequence[AlertRule]) -> None:
        """Take in what has come; forget what is older than a day."""
        now = log.clock.now()
        since = now - WINDOW
        mine = tuple(rule for rule in all_rules if rule.kind == "critical")
        if self._position is None:
            self._position, self._critical_from = log.position_before(since), now - CRITICAL_BEHIND
        elif mine != self._rules:
            # Which rules the consumer had for an answer just before is not known here.
            self._critical_from = now
            self.calls = {k: c for k, c in self.calls.items() if c.kind == CONSULTATION}
        self._rules = mine
        self.calls = {k: c for k, c in self.calls.items() if c.at >= since}
        end = head(conn, self.board)
        for row in _rows(conn, self.board, self._position, end):
            if row.recorded_at >= since and row.student:
                for rule, kind in self._alerts_of(row):
                    self.calls[derived_id("alert", row.id, rule)] = _Call(
                        row.id, row.student, row.position, row.recorded_at, kind
                    )
        self._position = max(self._position, end)

    def _alerts_of(self, row: Any) -> Iterator[tuple[str, str]]:
        if row.type == tag_of(ConsultationRequested):
            yield CONSULTATION, CONSULTATION
            return
        if self._critical_from is None or row.recorded_at < self._critical_from:
            return
        body = decode(row.body)
        assert isinstance(body, CheckInSubmitted)
        for rule in self._rules:
            if rules.critical(rule, body.answers):
                yield rule.id, "critical"


def _rows(conn: Connection, board: str, after: int, end: int) -> Iterator[Any]:
    e = events.c
    wanted = [tag_of(ConsultationRequested), tag_of(CheckInSubmitted)]
    while True:
        rows = conn.execute(
            select(e.position, e.id, e.type, e.student, e.recorded_at, e.body)
            .where(e.board == board, e.position > after, e.position <= end, e.type.in_(wanted))
            .order_by(e.position)
            .limit(5000)
        ).all()
        yield from rows
        if len(rows) < 5000:
            return
        after = rows[-1].position


def count(log: Log, ledger: Ledger, all_rules: Sequence[AlertRule]) -> Figures:
    """A board's sums now. Raises StorageUnavailable.

    How far the consumer was is read first: what it had read by then must be stored.
    """
    figures = Figures()
    with log.database.reading() as conn:
        read = conn.execute(
            select(consumers.c.position).where(
                consumers.c.name == "alerts", consumers.c.board == ledger.board
            )
        ).scalar_one_or_none()
    with log.database.reading() as conn:
        ledger.read(log, conn, all_rules)
    with log.database.reading() as conn:
        places = _places(conn, list(ledger.calls))
        missing = {k: c for k, c in ledger.calls.items() if k not in places}
        behind = {k for k, c in missing.items() if c.position > (read or 0)}
        joined = _joined(conn, {k: c for k, c in missing.items() if k not in behind})
        gone = _erased(conn, [missing[k] for k in missing.keys() - behind - joined])
        surplus = _surplus(conn, ledger, log.clock.now() - WINDOW)
    # What retention or a stop of use has taken out of the log was not lost.
    for key in [k for k, c in missing.items() if c.event_id in gone]:
        del ledger.calls[key], missing[key]
    figures.submitted, figures.stored = len(ledger.calls), len(places)
    figures.on_the_way, figures.joined = len(behind), len(joined)
    figures.lost = len(missing) - len(behind) - len(joined)
    figures.surplus = surplus
    for place, number in Counter(places.values()).items():
        setattr(figures, place, number)
    return figures


def _places(conn: Connection, ids: Sequence[str]) -> dict[str, str]:
    """Alert id -> where it is, of those of `ids` that are stored."""
    a, d = alerts.c, deliveries.c

    def number(state: str) -> Any:
        return func.coalesce(func.sum(case((d.state == state, 1), else_=0)), 0).label(state)

    found: dict[str, str] = {}
    for part in _parts(ids):
        rows = conn.execute(
            select(
                a.id, a.state.label("alert_state"), a.version, a.delivered_at,
                func.count(d.id).label("messages"), number(SENT), number(WAITING), number(FAILED),
            )
            .select_from(
                alerts.outerjoin(deliveries, (d.alert_id == a.id) & (d.purpose != UPDATE))
            )
            .where(a.id.in_(part))
            .group_by(a.id, a.state, a.version, a.delivered_at)
        )  # fmt: skip
        found |= {row.id: _place(row) for row in rows}
    return found


def _place(row: Any) -> str:
    if row.alert_state != states.OPEN:
        return "taken"
    if row.sent or row.delivered_at is not None:
        return "delivered"
    if row.version:  # the next step was told; that is seen in the portal and on its channels
        return "moved_on"
    if row.waiting:
        return "pending"
    if row.failed:
        return "given_up"
    return "in_portal" if not row.messages else "unaccounted"


def _joined(conn: Connection, missing: dict[str, _Call]) -> set[str]:
    """Those calls that came after so many of the same child within the hour that they join them."""
    students = sorted({c.student for c in missing.values() if c.kind == CONSULTATION})
    rang: dict[str, list[datetime]] = {}
    for part in _parts(students):
        rows = conn.execute(
            select(alerts.c.student, alerts.c.raised_at).where(
                alerts.c.student.in_(part), alerts.c.kind == CONSULTATION
            )
        )
        for student, at in rows:
            rang.setdefault(student, []).append(at)
    return {
        key
        for key, call in missing.items()
        if call.kind == CONSULTATION
        and sum(call.at - WITHIN < at <= call.at for at in rang.get(call.student, ())) >= MOST_CALLS
    }


def _erased(conn: Connection, calls: Sequence[_Call]) -> set[str]:
    wanted = {call.event_id for call in calls}
    return wanted - _there(conn, wanted)


def _surplus(conn: Connection, ledger: Ledger, since: datetime) -> int:
    a = alerts.c
    rows = conn.execute(
        select(a.id, a.source).where(
            a.board == ledger.board, a.kind == CONSULTATION, a.raised_at >= since
        )
    )
    unknown = {row.source for row in rows if row.id not in ledger.calls}
    return len(unknown - _there(conn, unknown))


def _there(conn: Connection, ids: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for part in _parts(sorted(ids)):
        found |= set(conn.execute(select(events.c.id).where(events.c.id.in_(part))).scalars())
    return found


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), AT_ONCE):
        yield values[start : start + AT_ONCE]
