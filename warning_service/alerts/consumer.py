"""Turns what children say into alerts: the consumer named `alerts`.

A consultation always raises one; a check-in does when a same-day rule of the playbook fires. The
alert's row, its event and the messages owed are written in the transaction that moves the offset,
and the alert's id follows from its source, so that neither a kill nor a replay can double it.

It knows no model and needs none. Who has opted out still raises alerts by asking for help or by a
critical answer; streaks and falls are not looked for. A rule that breaks is logged and passed over:
it must not hold back the consultation behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, Protocol

import msgspec
import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, insert, select

from warning_service.alerts import rules, states
from warning_service.alerts.deadlines import URGENT
from warning_service.alerts.listeners import chosen_duties, is_life_or_death, places
from warning_service.alerts.many_calls import ManyCalls
from warning_service.alerts.outbox import Owed
from warning_service.alerts.privacy import CONSULTATION
from warning_service.alerts.tables import alerts
from warning_service.alerts.telling import NOT_BEFORE, RAISED, Telling, put_deliveries
from warning_service.clock import Clock, day_of
from warning_service.events.dispatcher import Effects, nothing
from warning_service.events.log import Log, UnitOfWork
from warning_service.events.tables import events as event_rows
from warning_service.events.types import (
    AlertRaised,
    CheckInSubmitted,
    ConsultationRequested,
    Event,
    NewEvent,
    RiskRose,
    decode,
    derived_id,
    tag_of,
)
from warning_service.events.wakeups import Wakeups
from warning_service.playbooks.model import AlertRule, Playbook
from warning_service.playbooks.service import Playbooks
from warning_service.roster.tables import opt_outs

log = structlog.get_logger()

ACTOR = "system:alerts"
CRITICAL = "critical"
SAME_DAY = "same_day"
SAME_DAY_WITHIN = timedelta(days=7)
"""An answer for a day longer ago raises no same-day alert any more; a critical one always does."""

RAISED_TOTAL = Counter("kizashi_alerts_raised_total", "Alerts raised", ["kind"])
RULE_FAILED = Counter("kizashi_alert_rules_failed_total", "Rules that broke on an event")


class Draft(msgspec.Struct, frozen=True):
    """An alert to be, before it is known where the child is and who is told."""

    event: Event
    kind: str
    urgency: str
    rule: str
    duties: tuple[str, ...]

    @property
    def alert_id(self) -> str:
        """The one id for this rule on this event."""
        return derived_id("alert", self.event.id, self.rule)

    @property
    def student(self) -> str:
        """The child's key."""
        assert self.event.student is not None
        return self.event.student

    @property
    def may_join(self) -> bool:
        """A call for help that need not ring when the child called often just before."""
        body = self.event.body
        return isinstance(body, ConsultationRequested) and not is_life_or_death(body.about)

    @property
    def day(self) -> date:
        """The day on which it was stored."""
        return day_of(self.event.recorded_at)


class Direct(Protocol):
    """A deliverer in the same process, which takes messages without looking for them first."""

    def reserve(
        self, rows: Sequence[dict[str, Any]], raised: Mapping[str, AlertRaised]
    ) -> list[Owed]:
        """Mark those of the delivery `rows` as claimed that this process will send."""

    def take(self, owed: Sequence[Owed]) -> None:
        """They are durable now: send them."""


class AlertsConsumer:
    """Reads one board's events. Keeps no state of its own.

    `tell=False` raises alerts without owing any message: for playing a past year, which must not
    ring anybody's phone. `direct`: a deliverer of this process, which spares each message a look
    into the database and a transaction. `wall` is the real clock, for deliveries.
    """

    name = "alerts"

    def __init__(
        self,
        log_: Log,
        playbooks: Playbooks,
        *,
        tell: bool = True,
        direct: Direct | None = None,
        wall: Clock | None = None,
    ) -> None:
        self._log = log_
        self._playbooks = playbooks
        self._tell = tell
        self._direct = direct
        self._wall = wall or Clock()
        self._board = ""

    def load(self, conn: Connection, board: str) -> None:  # noqa: ARG002 (nothing stored to read)
        """Take on `board`; there is no state to load."""
        self._board = board

    def work(self, events: list[Event]) -> Effects:
        """Find the alerts of a batch; return what stores them."""
        asked = [e for e in events if isinstance(e.body, ConsultationRequested) and e.student]
        answered = [e for e in events if isinstance(e.body, CheckInSubmitted) and e.student]
        rose = [e for e in events if isinstance(e.body, RiskRose) and e.student]
        if not asked and not answered and not rose:
            return nothing
        playbook = self._playbooks.for_help(self._board)
        drafts = [
            Draft(e, CONSULTATION, URGENT, CONSULTATION, _asked_for(e, playbook)) for e in asked
        ]
        drafts += self._critical(answered, playbook.alert_rules)
        suspects = _suspects(answered, playbook.alert_rules)
        if not drafts and not suspects and not rose:
            return nothing
        with self._log.database.reading() as conn:
            if suspects:
                drafts += _by_rules(conn, suspects, playbook.alert_rules)
            drafts += _risen(conn, rose, playbook.alert_rules)
            if not drafts:
                return nothing
            raised, owed = self._settle(conn, drafts)
        return _Write(raised, owed, self._log.wakeups, self._direct)

    def _critical(self, answered: Sequence[Event], all_rules: Sequence[AlertRule]) -> list[Draft]:
        found = []
        for event in answered:
            assert isinstance(event.body, CheckInSubmitted)
            found += [
                Draft(event, CRITICAL, rule.urgency, rule.id, ())
                for rule in all_rules
                if rules.critical(rule, event.body.answers)
            ]
        return found

    def _settle(
        self, conn: Connection, drafts: Sequence[Draft]
    ) -> tuple[list[NewEvent], dict[str, list[dict[str, Any]]]]:
        """Where each child is, who is told and by when: events to append, and messages owed."""
        playbook = self._playbooks.for_help(self._board)
        where = places(conn, {(draft.student, draft.day) for draft in drafts})
        telling = Telling(
            conn, self._board, playbook.escalation, places=set(where.values()),
            urgencies={draft.urgency for draft in drafts}, now=self._log.clock.now(),
        )  # fmt: skip
        wall = self._wall.now()
        calls = [draft for draft in drafts if draft.kind == CONSULTATION]
        many = ManyCalls(
            conn,
            {draft.student for draft in calls},
            min((draft.event.recorded_at for draft in calls), default=wall),
        )
        raised, owed = [], {}
        for draft in drafts:
            event, place = draft.event, where[draft.student, draft.day]
            chain = playbook.chain(draft.kind, draft.urgency)
            told = telling.first(
                draft.alert_id, chain, draft.duties or chain[0].duties, place,
                step=0, urgency=draft.urgency, start=event.recorded_at,
                rings=playbook.rings_at_night(draft.kind, draft.urgency),
            )  # fmt: skip
            if draft.may_join and many.joins(
                draft.alert_id, draft.student, event.recorded_at, told.duties
            ):
                log.warning("call_joins_an_earlier_alert", alert=draft.alert_id)
                continue
            raised.append(
                NewEvent(
                    id=derived_id("alert_raised", draft.alert_id),
                    board=self._board, student=draft.student,
                    on=draft.day, actor=ACTOR,
                    body=AlertRaised(
                        alert_id=draft.alert_id, kind=draft.kind, urgency=draft.urgency,
                        rule=draft.rule, source=event.id, school=place.school,
                        class_id=place.class_id, step=told.step,
                        duties=told.duties, beside=told.beside,
                        raised_at=event.recorded_at, due_at=told.due_at,
                    ),
                )
            )  # fmt: skip
            if self._tell:
                owed[draft.alert_id] = telling.deliveries(
                    draft.alert_id, told, place, purpose=RAISED, wall=wall
                )
        return raised, owed


class _Write:
    """Stores what is not there yet; called inside the dispatcher's transaction."""

    def __init__(
        self,
        raised: Sequence[NewEvent],
        owed: dict[str, list[dict[str, Any]]],
        wakeups: Wakeups,
        direct: Direct | None,
    ) -> None:
        self._raised = raised
        self._owed = owed
        self._wakeups = wakeups
        self._direct = direct

    def __call__(self, unit: UnitOfWork) -> None:
        bodies = {e.id: e.body for e in self._raised if isinstance(e.body, AlertRaised)}
        wanted = [body.alert_id for body in bodies.values()]
        known: set[str] = set()
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            known |= set(
                unit.conn.execute(select(alerts.c.id).where(alerts.c.id.in_(part))).scalars()
            )
        rows, owed = [], []
        for event in self._raised:
            body = bodies[event.id]
            if body.alert_id in known:
                continue
            assert event.student is not None
            rows.append(states.raised(event.board, event.student, body))
            owed += self._owed.get(body.alert_id, [])
            unit.append(event)
            RAISED_TOTAL.labels(body.kind).inc()
        if rows:
            unit.conn.execute(insert(alerts), rows)
        if self._direct is not None and owed:
            by_alert = {body.alert_id: body for body in bodies.values()}
            # What waits for the end of quiet hours is the claimer's, when its time comes.
            now = [row for row in owed if row["next_at"] == NOT_BEFORE]
            if mine := self._direct.reserve(now, by_alert):
                unit.afterwards(partial(self._direct.take, mine))
        put_deliveries(unit, owed, self._wakeups)


def _asked_for(event: Event, playbook: Playbook) -> tuple[str, ...]:
    """The duties a child's call is for."""
    assert isinstance(event.body, ConsultationRequested)
    return chosen_duties(playbook, event.body.whom, event.body.about)


def _suspects(answered: Sequence[Event], all_rules: Sequence[AlertRule]) -> list[Event]:
    """Check-ins on which a rule with history could fire and that are fresh enough for it."""
    found = []
    for event in answered:
        assert isinstance(event.body, CheckInSubmitted)
        if day_of(event.recorded_at) - event.on > SAME_DAY_WITHIN:
            continue
        answers = event.body.answers
        if any(rules.needs_history(rule, answers) for rule in all_rules):
            found.append(event)
    return found


def _by_rules(
    conn: Connection, suspects: Sequence[Event], all_rules: Sequence[AlertRule]
) -> list[Draft]:
    """Streaks and falls among `suspects`, of children who have not opted out."""
    students = sorted({event.student for event in suspects if event.student})
    first = min(event.on for event in suspects) - rules.look_back(all_rules)
    last = max(event.position for event in suspects)
    history = _histories(conn, students, first, last)
    refusals = _refusals(conn, students)
    found = []
    for event in suspects:
        assert isinstance(event.body, CheckInSubmitted) and event.student is not None
        if any(
            row.from_at <= event.recorded_at
            and (row.until_at is None or row.until_at > event.recorded_at)
            for row in refusals.get(event.student, ())
        ):
            continue
        new = rules.Answered(event.position, event.on, event.body.answers)
        before = [one for one in history.get(event.student, ()) if one.position < event.position]
        for rule in all_rules:
            try:
                fires = rules.fires(rule, before, new)
            except Exception as error:  # one broken rule must not hold back what comes after it
                RULE_FAILED.inc()
                log.error(
                    "alert_rule_failed",
                    reason=rule.id,
                    position=event.position,
                    error=type(error).__name__,
                )
                continue
            if fires:
                found.append(Draft(event, SAME_DAY, rule.urgency, rule.id, ()))
    return found


def _risen(conn: Connection, rose: Sequence[Event], all_rules: Sequence[AlertRule]) -> list[Draft]:
    """Sudden rises of risk, of children who have not opted out; the rule's own urgency, or today's.

    One of long ago (a log played again) is nothing to look at today any more.
    """
    urgency = {rule.id: rule.urgency for rule in all_rules if rule.kind == "rise"}
    refusals = _refusals(conn, sorted({event.student for event in rose if event.student}))
    found = []
    for event in rose:
        assert isinstance(event.body, RiskRose) and event.student is not None
        if event.body.rule not in urgency or any(
            row.until_at is None or row.until_at > event.recorded_at
            for row in refusals.get(event.student, ())
            if row.from_at <= event.recorded_at
        ):
            continue
        if day_of(event.recorded_at) - event.on <= SAME_DAY_WITHIN:
            rule = event.body.rule
            found.append(Draft(event, SAME_DAY, urgency[rule], rule, ()))
    return found


def _histories(
    conn: Connection, students: Sequence[str], first: date, last: int
) -> dict[str, list[rules.Answered]]:
    """Check-ins by student from day `first` on, up to position `last`."""
    e = event_rows
    found: dict[str, list[rules.Answered]] = {}
    for start in range(0, len(students), 500):
        rows = conn.execute(
            select(e.c.student, e.c.position, e.c.day, e.c.body).where(
                e.c.student.in_(students[start : start + 500]),
                e.c.type == tag_of(CheckInSubmitted),
                e.c.day >= first,
                e.c.position <= last,
            )
        )
        for student, position, day, text in rows:
            body = decode(text)
            assert isinstance(body, CheckInSubmitted)
            found.setdefault(student, []).append(rules.Answered(position, day, body.answers))
    return found


def _refusals(conn: Connection, students: Sequence[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for start in range(0, len(students), 500):
        part = students[start : start + 500]
        for row in conn.execute(select(opt_outs).where(opt_outs.c.student.in_(part))):
            found.setdefault(row.student, []).append(row)
    return found
