"""What people do with alerts, from taking one on to closing it; each step once, whoever is first.

Every change reads the alert's row under a lock, asks the one table of states.py whether it is
allowed, and changes it with its event by compare-and-set: of two hands that reach for it at once
exactly one wins, whichever process or channel they came through. Every message that shows the alert
is then owed a change, so that chat never offers a button for what is already done.

The line on the audit trail is in the same transaction. Taking on ends the telling of others, so one
that cannot be recorded is not made: whoever tapped is told so (503, or the words in chat), and the
alert stays open and goes on to the next. A call for help itself waits for no line of the trail.

`acknowledge` trusts its caller to have asked `one`; everything else here asks it itself and raises
NotYours. Handing over is in handing_over.py; what follows by itself in escalation.py and waking.py.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from prometheus_client import Counter
from sqlalchemy import select

from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.alerts import states
from warning_service.alerts.deadlines import URGENT, due_after
from warning_service.alerts.privacy import duties_of
from warning_service.alerts.seeing import Seeing
from warning_service.alerts.tables import alerts
from warning_service.alerts.telling import (
    ESCALATED,
    Place,
    Telling,
    Told,
    owe_updates,
    put_deliveries,
)
from warning_service.database import StorageUnavailable
from warning_service.events.log import UnitOfWork
from warning_service.events.types import (
    AlertAcknowledged,
    AlertClosed,
    AlertDelivered,
    AlertHandled,
    AlertOpenedAgain,
    AlertSeen,
    AlertSnoozed,
    AlertTakenOver,
    NewEvent,
    OfAlert,
    derived_id,
    tag_of,
)
from warning_service.roster.calendar import SchoolCalendar

log = structlog.get_logger()

ACKNOWLEDGED_TOTAL = Counter("kizashi_alerts_acknowledged_total", "Alerts taken on", ["via"])
UNLESS_KNOWN = timedelta(days=1)
"""How long an acknowledgement holds when the board's calendar or playbook cannot be read."""

Make = Callable[[Any], OfAlert | None]
"""From the alert's row as it is under the lock to the change wanted; None: then not."""


def just(body: OfAlert) -> Make:
    """The same change whatever the row is like."""
    return lambda _: body


class SnoozeRefused(ValueError):
    """The playbook does not allow this snooze. `why`: reason, past, urgent or too_long."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Life(Seeing):
    """Alerts of all boards, to act upon. Safe to share between threads.

    What returns bool returns False when somebody was first or the alert's state does not allow it;
    all raise StorageUnavailable (nothing changed).
    """

    # -- taking on -----------------------------------------------------------------------------

    def acknowledge(self, alert_id: str, who: Principal, via: str) -> bool:
        """Take an alert on; False when somebody was first or there is no such alert."""
        until = self._record_by(alert_id)
        won = self._by_hand(
            who,
            alert_id,
            "take_on",
            just(
                AlertAcknowledged(alert_id=alert_id, via=via, at=self._log.clock.now(), until=until)
            ),
        )
        if won:
            ACKNOWLEDGED_TOTAL.labels(via).inc()
            log.info("alert_acknowledged", alert=alert_id, channel=via)
        return won

    def take_over(self, alert_id: str, who: Principal, via: str) -> bool:
        """Take on what somebody else has; one that is open meanwhile is simply taken on."""
        self.one(who, alert_id)
        until = self._record_by(alert_id)

        def over(row: Any) -> OfAlert | None:
            now = self._log.clock.now()
            if row.state != states.ACKNOWLEDGED:
                return AlertAcknowledged(alert_id=alert_id, via=via, at=now, until=until)
            if row.acknowledged_by == who.key:
                return None
            return AlertTakenOver(
                alert_id=alert_id, before=row.acknowledged_by, accepted=False, via=via, at=now,
                until=until,
            )  # fmt: skip

        return self._by_hand(who, alert_id, "take_over", over)

    def undo(self, alert_id: str, who: Principal) -> bool:
        """やっぱり戻す: within the playbook's minutes, who took it on gives it back to all.

        It is open as it was: everybody told so far is told again, and the deadline of their step
        holds. False for anybody else, and later.
        """
        view = self.one(who, alert_id)
        again = self._told_again(view, duties_of(view.duties), "undo")

        def back(row: Any) -> OfAlert | None:
            now = self._log.clock.now()
            minutes = self._playbooks.for_help(row.board).alert_life.undo_minutes
            if row.acknowledged_by != who.key or row.acknowledged_at is None:
                return None
            if now > row.acknowledged_at + timedelta(minutes=minutes):
                return None
            return AlertOpenedAgain(
                alert_id=alert_id, why=states.UNDONE, step=row.step, duties=(),
                due_at=max(row.step_due_at or now, now), at=now,
            )  # fmt: skip

        return self._by_hand(who, alert_id, "put_back", back, owing=again)

    # -- not now -------------------------------------------------------------------------------

    def snooze(self, alert_id: str, who: Principal, until: datetime, reason: str) -> bool:
        """Not now, but at `until` again, for a reason the playbook offers.

        An alert somebody else has is not theirs to put off (False). Raises SnoozeRefused.
        """
        view = self.one(who, alert_id)
        life = self._playbooks.for_help(view.board).alert_life
        now = self._log.clock.now()
        longest = (
            timedelta(minutes=life.snooze_urgent)
            if view.urgency == URGENT
            else timedelta(days=life.snooze_days)
        )
        if reason not in {one.id for one in life.snooze_reasons}:
            raise SnoozeRefused("reason")
        if not longest:
            raise SnoozeRefused("urgent")
        if until <= now:
            raise SnoozeRefused("past")
        if until - now > longest:
            raise SnoozeRefused("too_long")

        def later(row: Any) -> OfAlert | None:
            if row.state == states.ACKNOWLEDGED and row.acknowledged_by != who.key:
                return None
            return AlertSnoozed(alert_id=alert_id, reason=reason, until=until, at=now)

        return self._by_hand(who, alert_id, "snooze", later)

    # -- answered ------------------------------------------------------------------------------

    def handle(self, unit: UnitOfWork, alert_id: str, follow_up_id: str, author: str) -> bool:
        """Answer an alert with a follow-up record, inside the caller's transaction.

        An alert nobody has taken on yet is taken on by `author` in the same breath. False when it
        was handled before or there is none. The record's own line on the trail stands for both.
        """
        now = self._log.clock.now()
        taken = AlertAcknowledged(alert_id=alert_id, via="portal", at=now)
        self._change(unit, alert_id, author, just(taken))

        def done(row: Any) -> OfAlert:
            days = self._playbooks.for_help(row.board).alert_life.close_days
            return AlertHandled(
                alert_id=alert_id, follow_up_id=follow_up_id, at=now,
                closes_at=now + timedelta(days=days),
            )  # fmt: skip

        return self._change(unit, alert_id, author, done)

    def close(self, alert_id: str, who: Principal) -> bool:
        """What was recorded is over. Only after a record: see states.py."""
        self.one(who, alert_id)
        return self._by_hand(
            who,
            alert_id,
            "close_alert",
            just(AlertClosed(alert_id=alert_id, at=self._log.clock.now())),
        )

    def reopen(self, alert_id: str, who: Principal) -> bool:
        """An adult is needed after all: open again, and those first told are told again."""
        view = self.one(who, alert_id)
        again = self._told_again(view, view.readers, "reopen", afresh=True)

        def opened(row: Any) -> OfAlert:
            assert again is not None
            told = again[0]
            return AlertOpenedAgain(
                alert_id=row.id, why=states.REOPENED, step=told.step,
                duties=(*told.duties, *told.beside), due_at=told.due_at, at=self._log.clock.now(),
            )  # fmt: skip

        return self._by_hand(who, alert_id, "reopen", opened, owing=again)

    # -- delivered, seen -------------------------------------------------------------------------

    def seen(self, alert_id: str, who: Principal) -> None:
        """Somebody entitled has opened it; noted the first time. Never stops the page."""
        body = AlertSeen(alert_id=alert_id, at=self._log.clock.now())
        try:
            with self._log.unit_of_work() as unit:
                self._change(unit, alert_id, who.key, just(body), telling=False)
        except StorageUnavailable as error:
            log.warning("seen_not_noted", alert=alert_id, error=str(error))

    def shown(self, alert_ids: list[str], who: Principal) -> None:
        """A page of the portal has these; noted for those that nothing had before."""
        try:
            with self._log.unit_of_work() as unit:
                for alert_id in sorted(alert_ids):
                    body = AlertDelivered(alert_id=alert_id, via="portal", at=self._log.clock.now())
                    self._change(unit, alert_id, who.key, just(body), telling=False)
        except StorageUnavailable as error:
            log.warning("delivered_not_noted", error=str(error))

    # -- how -----------------------------------------------------------------------------------

    def _by_hand(
        self,
        who: Principal,
        alert_id: str,
        action: str,
        make: Make,
        *,
        owing: tuple[Told, list[dict[str, Any]]] | None = None,
    ) -> bool:
        """One person's change with its line on the trail, and what it owes to whom."""
        with self._log.unit_of_work() as unit:
            if not self._change(unit, alert_id, who.key, make):
                return False
            child = unit.conn.execute(
                select(alerts.c.student).where(alerts.c.id == alert_id)
            ).scalar_one()
            # A notice is about no child: then the line is about the notice.
            line = self._trail.look(
                who, action, child or alert_id, alert_id, using=Ability.SEE_ALERTS
            )
            self._trail.write(unit.conn, [line])
            if owing is not None:
                put_deliveries(unit, owing[1], self._log.wakeups)
        return True

    def _change(
        self, unit: UnitOfWork, alert_id: str, actor: str, make: Make, *, telling: bool = True
    ) -> bool:
        row = unit.conn.execute(
            select(alerts).where(alerts.c.id == alert_id).with_for_update()
        ).one_or_none()
        body = None if row is None else make(row)
        if row is None or body is None or not states.allowed(row, body):
            return False
        if not states.move(unit.conn, row, actor, body):
            return False
        unit.append(
            NewEvent(
                id=derived_id(tag_of(body), alert_id, str(row.version)),
                board=row.board, student=row.student or None,
                on=self._log.clock.today(), actor=actor, body=body,
            )
        )  # fmt: skip
        if telling:
            owe_updates(
                unit, alert_id, f"{tag_of(body)}:{row.version}",
                wakeups=self._log.wakeups, wall=self._wall.now(),
            )  # fmt: skip
        return True

    def _record_by(self, alert_id: str) -> datetime | None:
        """By when a record has to follow an acknowledgement made now.

        Somebody who wants to help is not kept from it by a broken playbook or calendar.
        """
        now = self._log.clock.now()
        a = alerts.c
        with self._log.database.as_service().reading() as conn:
            row = conn.execute(
                select(a.board, a.school, a.urgency, a.student).where(a.id == alert_id)
            ).one_or_none()
            if row is None or not row.student:  # a notice is over when its cause is
                return None
            try:
                playbook = self._playbooks.for_help(row.board)
                return due_after(
                    now,
                    playbook.alert_life.record_minutes(row.urgency),
                    urgency=row.urgency,
                    escalation=playbook.escalation,
                    calendar=SchoolCalendar(conn, row.board),
                    school=row.school,
                )
            except StorageUnavailable:
                raise
            except Exception as error:
                log.exception("record_deadline_unknown", alert=alert_id, error=type(error).__name__)
                return now + UNLESS_KNOWN

    def _told_again(
        self, view: Any, duties: tuple[str, ...], mark: str, *, afresh: bool = False
    ) -> tuple[Told, list[dict[str, Any]]]:
        """Who is told that an alert is open again, and the messages owed to them.

        `afresh`: from the first step of the chain, with its deadline.
        """
        now, place = self._log.clock.now(), Place(view.school, view.class_id)
        playbook = self._playbooks.for_help(view.board)
        with self._log.database.as_service().reading() as conn:
            telling = Telling(
                conn, view.board, playbook.escalation, places={place},
                urgencies={view.urgency}, now=now,
            )  # fmt: skip
        told = Told(view.step, duties, view.due_at or now)
        if afresh:
            told = telling.first(
                view.id, playbook.chain(view.kind, view.urgency), duties, place,
                step=0, urgency=view.urgency, start=now,
                rings=playbook.rings_at_night(view.kind, view.urgency),
            )  # fmt: skip
        return told, telling.deliveries(
            view.id, told, place, purpose=ESCALATED, wall=self._wall.now(),
            mark=f"{mark}:{view.version}",
        )  # fmt: skip
