"""Notices: alerts about a place rather than a child.

A list is out, a review is due, records are overdue, an extract did not come, the service itself is
in trouble. They are rows of `alerts` like any other, so they are acknowledged, escalated and
delivered by the same code; their `student` is '' and their events name no student. A notice never
holds a name, a score or a word: `about` is a code or an id, and who opens it is shown what their
own duties reach.

Raising is idempotent by (kind, place, about, slot): a job that runs again after a kill, or in two
processes at once, finds the notice there. What a notice was about may end by itself (the records
were written, the extract came): `settle` then closes it, and the log says that nobody had to.

Not here: when something is due (notices_due.py, notices_extracts.py), and what is told to whom and
by when (telling.py, the playbook).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import structlog
from prometheus_client import Counter
from sqlalchemy import Connection, select

from warning_service.access.principals import Principal
from warning_service.access.trail.audit import Trail
from warning_service.alerts import states
from warning_service.alerts.privacy import duties_of, where
from warning_service.alerts.tables import alerts
from warning_service.alerts.telling import RAISED, Place, Telling, owe_updates, put_deliveries
from warning_service.clock import Clock
from warning_service.database import insert_new
from warning_service.events.log import Log, UnitOfWork
from warning_service.events.types import AlertHandled, AlertRaised, NewEvent, derived_id
from warning_service.playbooks.service import Playbooks

log = structlog.get_logger()

ACTOR = "system:notices"
LIST_PUBLISHED = "list_published"
REVIEW_DUE = "review_due"
FOLLOW_UP_OVERDUE = "follow_up_overdue"
EXTRACT_MISSING = "extract_missing"
DUTY_GAP = "duty_gap"
LOOKING_ALARM = "looking_alarm"
REQUEST_DUE = "request_due"
SYSTEM_TROUBLE = "system_trouble"
KINDS = (
    LIST_PUBLISHED, REVIEW_DUE, FOLLOW_UP_OVERDUE, EXTRACT_MISSING, DUTY_GAP, LOOKING_ALARM,
    REQUEST_DUE, SYSTEM_TROUBLE,
)  # fmt: skip
"""Kinds of alert that are about no child."""

NO_CHILD = ""
"""In the column `student` of a notice."""

RAISED_TOTAL = Counter("kizashi_notices_raised_total", "Notices raised", ["kind"])


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice to be. `school` '': about the whole board; `class_id`: about one class.

    `about`: what it is about, a code or an id (a list's, a data item's, a trouble's), never words
    and nothing personal. `slot` tells two of the same apart, as a rule a day.
    """

    kind: str
    about: str
    slot: str
    school: str = ""
    class_id: str = ""

    def id_at(self, board: str) -> str:
        """The one id of this notice."""
        return derived_id(
            "notice", board, self.kind, self.school, self.class_id, self.about, self.slot
        )


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that knows who is told and by when; nothing is stored yet."""

    event: NewEvent
    body: AlertRaised
    owed: list[dict[str, Any]]


class Notices:
    """Raises and settles notices of all boards. Safe to share between threads.

    `tell=False` raises them without owing any message (playing a past year). `wall`: the real
    clock, for deliveries.
    """

    def __init__(
        self, log_: Log, playbooks: Playbooks, *, tell: bool = True, wall: Clock | None = None
    ) -> None:
        self._log = log_
        self._playbooks = playbooks
        self._tell = tell
        self._wall = wall or Clock()

    def raise_notice(
        self,
        board: str,
        kind: str,
        about: str,
        *,
        slot: str | None = None,
        school: str = "",
        class_id: str = "",
    ) -> str | None:
        """Raise one now; its alert id, or None when it is there already.

        With `slot` once for ever; without, once until it is closed: while an earlier one of the
        same kind, place and `about` stands, nothing is raised, and afterwards a new one is. Raises
        StorageUnavailable; KeyError for an unknown board, ValueError for a kind about a child.
        """
        if slot is None:
            with self._log.database.reading() as conn:
                before = _of(conn, board, kind, about, school=school, class_id=class_id)
            slot = free_slot(before)
            if slot is None:
                return None
        notice = Notice(kind=kind, about=about, slot=slot, school=school, class_id=class_id)
        planned = self.plan(board, [notice])
        with self._log.unit_of_work() as unit:
            stored = self.store(unit, planned)
        return stored[0] if stored else None

    def plan(self, board: str, wanted: Sequence[Notice]) -> list[Planned]:
        """Find out whom each is for and by when, without a transaction.

        Raises as `raise_notice`. A broken playbook falls back as for a call for help.
        """
        if not wanted:
            return []
        if wrong := {notice.kind for notice in wanted} - set(KINDS):
            raise ValueError(f"not a notice: {sorted(wrong)}")
        playbook = self._playbooks.for_help(board)
        now, wall = self._log.clock.now(), self._wall.now()
        places = [Place(notice.school, notice.class_id) for notice in wanted]
        with self._log.database.reading() as conn:
            telling = Telling(
                conn, board, playbook.escalation, places=set(places),
                urgencies={playbook.kinds.of(notice.kind).urgency for notice in wanted},
                now=self._log.clock.now(),
            )  # fmt: skip
        planned = []
        for notice, place in zip(wanted, places, strict=True):
            alert_id, urgency = notice.id_at(board), playbook.kinds.of(notice.kind).urgency
            chain = playbook.chain(notice.kind, urgency)
            told = telling.first(
                alert_id, chain, chain[0].duties, place,
                step=0, urgency=urgency, start=now,
                rings=playbook.rings_at_night(notice.kind, urgency),
            )  # fmt: skip
            body = AlertRaised(
                alert_id=alert_id, kind=notice.kind, urgency=urgency, rule=notice.kind,
                source=notice.about, school=place.school, class_id=place.class_id,
                step=told.step, duties=told.duties, beside=told.beside, raised_at=now,
                due_at=told.due_at,
            )  # fmt: skip
            owed = telling.deliveries(alert_id, told, place, purpose=RAISED, wall=wall)
            event = NewEvent(
                id=derived_id("alert_raised", alert_id), board=board, student=None,
                on=self._log.clock.today(), actor=ACTOR, body=body,
            )  # fmt: skip
            planned.append(Planned(event=event, body=body, owed=owed if self._tell else []))
        return planned

    def store(self, unit: UnitOfWork, planned: Sequence[Planned]) -> list[str]:
        """Store those that are not there yet, inside the caller's transaction; their ids."""
        stored = []
        for one in planned:
            row = states.raised(one.event.board, NO_CHILD, one.body)
            new = unit.conn.execute(
                insert_new(unit.conn, alerts).values(**row).returning(alerts.c.id)
            ).first()
            if new is None:
                continue  # raised before, or by another process at this moment
            unit.append(one.event)
            put_deliveries(unit, one.owed, self._log.wakeups)
            stored.append(one.body.alert_id)
            RAISED_TOTAL.labels(one.body.kind).inc()
            log.info("notice_raised", kind=one.body.kind, alert=one.body.alert_id)
        return stored

    def standing(
        self, board: str, kind: str, about: str | None = None, *, school: str = "",
        class_id: str = "",
    ) -> list[Any]:  # fmt: skip
        """Notices of that kind and place that are not closed (rows of `alerts`), oldest first.

        `about` None: whatever they are about.
        """
        with self._log.database.reading() as conn:
            return standing(conn, board, kind, about, school=school, class_id=class_id)

    def settle(
        self, board: str, kind: str, about: str | None = None, *, school: str = "",
        class_id: str = "",
    ) -> int:  # fmt: skip
        """What such notices were about is over: close them; return how many.

        Raises StorageUnavailable.
        """
        rows = self.standing(board, kind, about, school=school, class_id=class_id)
        if not rows:
            return 0
        with self._log.unit_of_work() as unit:
            return sum(self.close(unit, row, ACTOR) for row in rows)

    def end(self, alert_id: str, who: Principal, trail: Trail) -> bool:
        """A person says that it is done; False when it was over. Who may was asked before.

        Raises StorageUnavailable: without its line on the trail it is not ended.
        """
        with self._log.database.reading() as conn:
            row = conn.execute(select(alerts).where(alerts.c.id == alert_id)).one()
        with self._log.unit_of_work() as unit:
            if not self.close(unit, row, who.key):
                return False
            trail.write(unit.conn, [trail.look(who, "notice_done", row.id, row.kind)])
        return True

    def close(self, unit: UnitOfWork, row: Any, actor: str) -> bool:
        """Close one notice (a row of `alerts`) inside the caller's transaction; False when it was.

        Only for notices: an alert about a child is closed by a record of what was done.
        """
        if row.kind not in KINDS:
            raise ValueError("an alert about a child is closed by a record")
        body = AlertHandled(alert_id=row.id, follow_up_id="", at=self._log.clock.now())
        if not states.allowed(row, body) or not states.move(unit.conn, row, actor, body):
            return False
        unit.append(
            NewEvent(
                id=derived_id("alert_handled", row.id, str(row.version)), board=row.board,
                student=None, on=self._log.clock.today(), actor=actor, body=body,
            )
        )  # fmt: skip
        owe_updates(unit, row.id, states.HANDLED, wakeups=self._log.wakeups, wall=self._wall.now())
        return True


def is_told(who: Principal, row: Any) -> bool:
    """Has a duty of the asker's been told of this notice (a row or a view), at its place?"""
    if row.board != who.board:
        return False
    if row.acknowledged_by == who.key:
        return True
    told = duties_of(row.duties)
    at = {"board": row.board, "school": row.school, "class_id": row.class_id}
    return any(
        duty.role in told
        and (
            duty.place == where(duty.role, **at) or (row.class_id and row.class_id in duty.classes)
        )
        for duty in who.duties
    )


def free_slot(before: Sequence[Any]) -> str | None:
    """The slot of the next notice of one kind, place and `about`; None while one of them stands.

    `before`: all there have been (rows). It says after which ones the next comes, so that two
    processes that see the same past make the same notice.
    """
    if any(row.state in states.WAITING for row in before):
        return None
    return derived_id("after", *sorted(row.id for row in before))


def all_of(conn: Connection, board: str) -> list[Any]:
    """Every notice a board has had (rows of `alerts`), oldest first."""
    a = alerts
    query = select(a).where(a.c.board == board, a.c.student == NO_CHILD)
    return list(conn.execute(query.order_by(a.c.raised_at, a.c.id)))


def standing(
    conn: Connection, board: str, kind: str, about: str | None = None, *, school: str = "",
    class_id: str = "",
) -> list[Any]:  # fmt: skip
    """As `Notices.standing`, on a connection of the caller's."""
    found = _of(conn, board, kind, about, school=school, class_id=class_id)
    return [row for row in found if row.state in states.WAITING]


def _of(
    conn: Connection, board: str, kind: str, about: str | None, *, school: str, class_id: str
) -> list[Any]:
    a = alerts
    query = select(a).where(
        a.c.board == board, a.c.kind == kind, a.c.school == school, a.c.class_id == class_id
    )
    if about is not None:
        query = query.where(a.c.source == about)
    return list(conn.execute(query.order_by(a.c.raised_at, a.c.id)))
