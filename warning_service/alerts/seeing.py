"""What people may see of alerts: those of their classes and schools, calls for help only if told.

Everything here reads. Pages and channels ask it before they change anything (life.py); who may know
of a call for help is privacy.py's. What is named "not for a page" knows no reader and is for other
rooms of the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, case, select

from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.trail.audit import Trail
from warning_service.alerts import states
from warning_service.alerts.deadlines import URGENT
from warning_service.alerts.listeners import Listeners, listeners
from warning_service.alerts.notices import NO_CHILD, is_told
from warning_service.alerts.privacy import CONSULTATION, Sight, duties_of
from warning_service.alerts.tables import alerts
from warning_service.clock import Clock
from warning_service.events.log import Log
from warning_service.events.types import derived_id
from warning_service.playbooks.service import Playbooks

LABELS = {
    CONSULTATION: ("相談の申し込みがありました", "A child asks to talk"),
    "list_published": ("予兆リストが出ました", "A warning list is out"),
    "review_due": ("リストの検討がまだです", "A list is still to be reviewed"),
    "follow_up_overdue": ("見守りの記録が遅れています", "Follow-up records are overdue"),
    "extract_missing": ("データの取り込みが遅れています", "A file that is waited for has not come"),
    "duty_gap": ("お知らせが誰にも届かない時間や学級があります", "An alert would reach nobody"),
    "looking_alarm": ("「気になる見かた」の確認がまだです", "Odd looking waits to be asked about"),
    "request_due": ("ご家庭の申し出の期限が近づいています", "A family's request is near its term"),
    "system_trouble": ("システムの不具合があります", "The system is in trouble"),
}
"""What raised an alert that no rule of the playbook raised, in words."""

_AS_STORED = (
    "delivered_at", "delivered_via", "seen_at", "seen_by", "offered_to", "offered_at",
    "snoozed_by", "snoozed_at", "snooze_reason", "closed_by", "closed_at",
)  # fmt: skip


_PRESSING = case(
    ((alerts.c.state == states.OPEN) & (alerts.c.urgency == URGENT), 0),
    (alerts.c.state == states.OPEN, 1),
    else_=2,
)


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as a page may show it; the child only by key ('': it is about none).

    `due_at`: when something follows by itself (see AlertRow). `duties`: all who were told so far;
    `readers`: those of them a child's words are for. `unanswered`: every step of the chain was told
    and nobody has acknowledged. `undo_until`: so long who took it on can say it was a mistake.
    `version` changes with every change of state.
    """

    id: str
    board: str
    student: str
    class_id: str
    school: str
    kind: str
    urgency: str
    rule: str
    rule_label: str
    rule_label_en: str
    source: str
    state: str
    step: int
    duties: tuple[str, ...]
    readers: tuple[str, ...]
    unanswered: bool
    raised_at: datetime
    due_at: datetime | None
    acknowledged_by: str
    acknowledged_at: datetime | None
    acknowledged_via: str
    handled_by: str
    handled_at: datetime | None
    version: int
    undo_until: datetime | None
    delivered_at: datetime | None
    delivered_via: str
    seen_at: datetime | None
    seen_by: str
    offered_to: str
    offered_at: datetime | None
    snoozed_by: str
    snoozed_at: datetime | None
    snooze_reason: str
    closed_by: str
    closed_at: datetime | None


class Inbox(msgspec.Struct, frozen=True):
    """What somebody may see; `for_others`: how many unclosed calls for help are for others."""

    alerts: list[AlertView]
    for_others: int


class Seeing:
    """Alerts of all boards, to look at. Safe to share between threads."""

    def __init__(
        self, log_: Log, playbooks: Playbooks, trail: Trail, *, wall: Clock | None = None
    ) -> None:
        self._log = log_
        self._playbooks = playbooks
        self._trail = trail
        # Deliveries are about networks, so they run on the real clock (see DeliveryRow).
        self._wall = wall or Clock()

    # -- seeing --------------------------------------------------------------------------------

    def look(self, who: Principal, *, include_done: bool = False, limit: int = 500) -> Inbox:
        """Alerts of the asker's classes and schools, newest first; those that wait for a record.

        Calls for help that are for others are only counted. `include_done` adds those that were
        handled and closed. At most `limit`; of those that wait, what nobody has comes first, urgent
        ones before all: an old call must not drop off the end behind many that are newer.
        """
        query = select(alerts).where(self._covered(who), alerts.c.board == who.board)
        query = query.where(alerts.c.student != NO_CHILD)  # notices have a page of their own
        if not include_done:
            query = query.where(alerts.c.state.in_(states.WAITING)).order_by(_PRESSING)
        query = query.order_by(alerts.c.raised_at.desc(), alerts.c.id.desc()).limit(limit)
        with self._log.database.reading() as conn:
            rows = conn.execute(query).all()
        rows = sorted(rows, key=lambda row: (row.raised_at, row.id), reverse=True)
        sight = self._sight(rows)
        mine = [row for row in rows if sight.sees(who, row)]
        hidden = sum(row.state in states.WAITING for row in rows) - sum(
            row.state in states.WAITING for row in mine
        )
        return Inbox(alerts=[self._view(row) for row in mine], for_others=hidden)

    def inbox(
        self, who: Principal, *, include_done: bool = False, limit: int = 500
    ) -> list[AlertView]:
        """The alerts of `look` without the count."""
        return self.look(who, include_done=include_done, limit=limit).alerts

    def one(self, who: Principal, alert_id: str) -> AlertView:
        """One alert. Raises NotYours when it is unknown, out of the asker's scope, a call for help
        that is for others, or a notice of which no duty of the asker's was told.
        """
        row = self._row(alert_id)
        if row is not None and not row.student:
            if not is_told(who, row):
                raise NotYours
            return self._view(row)
        if (
            row is None
            or row.board != who.board
            or not who.reach(Ability.SEE_ALERTS).covers(school=row.school, class_id=row.class_id)
        ):
            raise NotYours
        if not self._sight([row]).sees(who, row):
            raise NotYours
        return self._view(row)

    def notices_for(self, who: Principal, *, done: bool = False) -> list[AlertView]:
        """Notices of which a duty of the asker's was told, newest first: those that wait, or
        (`done`) those that are over.
        """
        wanted = states.DONE if done else states.WAITING
        query = (
            select(alerts)
            .where(alerts.c.board == who.board, alerts.c.student == NO_CHILD)
            .where(alerts.c.state.in_(wanted))
            .order_by(alerts.c.raised_at.desc(), alerts.c.id.desc())
            .limit(500)
        )
        with self._log.database.reading() as conn:
            rows = conn.execute(query).all()
        return [self._view(row) for row in rows if is_told(who, row)]

    def may_read(self, who: Principal, alert: AlertView) -> bool:
        """Are the words behind this alert for the asker? Only for an alert that `one` gave."""
        return self._sight([alert]).reads(who, alert)

    def of_child(self, who: Principal, student: str) -> list[AlertView]:
        """Those of a child's alerts the asker may see, newest first."""
        with self._log.database.reading() as conn:
            rows = conn.execute(
                select(alerts)
                .where(alerts.c.student == student, self._covered(who))
                .where(alerts.c.board == who.board)
                .order_by(alerts.c.raised_at.desc(), alerts.c.id.desc())
            ).all()
        sight = self._sight(rows)
        return [self._view(row) for row in rows if sight.sees(who, row)]

    def hidden_from(self, who: Principal, alert_ids: Iterable[str | None]) -> set[str]:
        """Those of these alerts that are calls for help for others: what was done about them is
        theirs too.
        """
        wanted = sorted({one for one in alert_ids if one})
        found: set[str] = set()
        for start in range(0, len(wanted), 500):
            with self._log.database.reading() as conn:
                rows = conn.execute(
                    select(alerts).where(
                        alerts.c.id.in_(wanted[start : start + 500]),
                        alerts.c.kind == CONSULTATION,
                    )
                ).all()
            sight = self._sight(rows)
            extent = who.reach(Ability.SEE_ALERTS)
            found |= {
                row.id
                for row in rows
                if not extent.covers(school=row.school, class_id=row.class_id)
                or not sight.sees(who, row)
            }
        return found

    def listeners(self, board: str, student: str) -> Listeners:
        """Who would read a call of this child now. Raises StorageUnavailable, KeyError."""
        playbook = self._playbooks.for_help(board)
        with self._log.database.as_service().reading() as conn:
            return listeners(conn, board, playbook, student, self._log.clock.now())

    def of_source(self, event_id: str) -> AlertView | None:
        """The alert a call for help gave rise to; None when it is not raised (yet).

        Not for showing the alert: whoever asks knows the call already.
        """
        wanted = derived_id("alert", event_id, CONSULTATION)
        with self._log.database.as_service().reading() as conn:
            row = conn.execute(select(alerts).where(alerts.c.id == wanted)).one_or_none()
        return None if row is None else self._view(row)

    def of_student(self, student: str) -> list[AlertView]:
        """All of a child's alerts, newest first, whoever they are for: not for a page."""
        with self._log.database.reading() as conn:
            rows = conn.execute(
                select(alerts)
                .where(alerts.c.student == student)
                .order_by(alerts.c.raised_at.desc(), alerts.c.id.desc())
            ).all()
        return [self._view(row) for row in rows]

    def waiting_at(self, school: str, limit: int) -> list[AlertView]:
        """A school's open alerts, newest first, whoever they are for: not for a page."""
        with self._log.database.reading() as conn:
            rows = conn.execute(
                select(alerts)
                .where(alerts.c.school == school, alerts.c.state == states.OPEN)
                .order_by(alerts.c.raised_at.desc(), alerts.c.id.desc())
                .limit(limit)
            ).all()
        return [self._view(row) for row in rows]

    def _sight(self, rows: Sequence[Any]) -> Sight:
        return Sight(self._log.database, rows, self._log.clock.today())

    def _covered(self, who: Principal) -> ColumnElement[bool]:
        extent = who.reach(Ability.SEE_ALERTS)
        return alerts.c.school.in_(extent.schools) | alerts.c.class_id.in_(extent.classes)

    def board_of(self, alert_id: str) -> str | None:
        """The board an alert belongs to, None for an unknown one; asked before it is known by whom
        (chat), so it is told to anybody.
        """
        query = select(alerts.c.board).where(alerts.c.id == alert_id)
        with self._log.database.as_service().reading() as conn:
            return conn.execute(query).scalar_one_or_none()

    def _row(self, alert_id: str) -> Any | None:
        with self._log.database.reading() as conn:
            return conn.execute(select(alerts).where(alerts.c.id == alert_id)).one_or_none()

    def _view(self, row: Any) -> AlertView:
        playbook = self._playbooks.for_help(row.board)
        label, label_en = LABELS.get(row.kind, (row.kind, row.kind))
        if row.rule != row.kind:
            # A rule the playbook no longer has keeps its id, so that old alerts stay readable.
            named = {rule.id: (rule.label, rule.label_en) for rule in playbook.alert_rules}
            label, label_en = named.get(row.rule, (row.rule, row.rule))
        steps = len(playbook.chain(row.kind, row.urgency))
        undo_until = None
        if row.state == states.ACKNOWLEDGED and row.acknowledged_at is not None:
            undo_until = row.acknowledged_at + timedelta(minutes=playbook.alert_life.undo_minutes)
        return AlertView(
            id=row.id,
            board=row.board,
            student=row.student,
            class_id=row.class_id,
            school=row.school,
            kind=row.kind,
            urgency=row.urgency,
            rule=row.rule,
            rule_label=label,
            rule_label_en=label_en,
            source=row.source,
            state=row.state,
            step=row.step,
            duties=duties_of(row.duties),
            readers=duties_of(row.readers),
            unanswered=row.state == states.OPEN and row.step >= steps,
            raised_at=row.raised_at,
            due_at=row.due_at,
            acknowledged_by=row.acknowledged_by,
            acknowledged_at=row.acknowledged_at,
            acknowledged_via=row.acknowledged_via,
            handled_by=row.handled_by,
            handled_at=row.handled_at,
            version=row.version,
            undo_until=undo_until,
            **{name: getattr(row, name) for name in _AS_STORED},
        )
