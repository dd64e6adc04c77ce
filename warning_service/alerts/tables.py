"""Tables of alerts: each alert as it stands now, and every message owed to somebody.

An alert's row is changed in the same transaction that appends its event, and only from the state
it is expected in, so that two hands reaching for it cannot both win. A delivery is a claim on a
sender: it is done when the channel has taken the message, and visible until then.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Text
from sqlmodel import Field, SQLModel

from warning_service.database import UtcDateTime, table_of


class AlertRow(SQLModel, table=True):
    """One alert. `state`: open, acknowledged, snoozed, handled, closed (see states.py).

    `due_at`: when something follows by itself: the next are told, an acknowledgement without a
    record expires, a snooze ends, what was recorded is closed; None: nothing does. `step_due_at`:
    the deadline of the step told last, to go on from when an acknowledgement is taken back.
    `version` counts the changes of state: whoever changes the row names the one it has read.
    `answered_at`: when it was first taken on, kept when it is opened again. `offered_to`: a hand
    over that is not accepted yet, `duty:nurse` or `staff:<key>`.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_due", "state", "due_at"),
        Index("ix_alerts_school", "school", "raised_at"),
    )

    id: str = Field(primary_key=True)
    board: str
    school: str
    class_id: str
    student: str = Field(index=True)
    kind: str  # consultation, critical, same_day
    urgency: str  # urgent or today
    rule: str
    source: str  # id of the event that gave rise to it
    state: str
    step: int  # of the escalation chain
    raised_at: datetime = Field(sa_type=UtcDateTime)
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    duties: str  # comma-separated: who has been told so far
    readers: str = ""  # comma-separated: told when it was raised; a child's words are for these
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    acknowledged_via: str = ""
    handled_by: str = ""
    handled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    version: int = 0
    step_due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    answered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    delivered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    delivered_via: str = ""  # portal, or the channel that had it first
    seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    seen_by: str = ""
    offered_to: str = ""
    offered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    snoozed_by: str = ""
    snoozed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    snooze_reason: str = ""  # a choice of the playbook
    closed_by: str = ""
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class DeliveryRow(SQLModel, table=True):
    """One message owed, or one change owed to a message that was sent (`updates`).

    `state`: waiting, sent, failed (gave up; shown to the operator), unneeded (somebody had taken
    the alert on before anything was sent, or an earlier channel has it). `turn`: 1 goes out at
    once; a later one waits until `next_at` to see whether its duties were reached by deliveries of
    earlier turns (`in_place_of`), and then is not sent. Deliveries with the same channel, address,
    `remote_id` and `sent_at` share a message: it stands for several alerts. All times here are of
    the real clock, also when the demo's clock is elsewhere: they are about senders and networks,
    not about schools.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_next", "state", "next_at"),
        Index("ix_deliveries_sent", "sent_at"),
    )

    id: str = Field(primary_key=True)
    alert_id: str = Field(index=True)
    channel: str  # slack, …
    address: str  # the channel's own id of where to send
    purpose: str  # raised, escalated, update
    updates: str = ""  # id of the delivery whose message is to be changed
    state: str
    attempts: int
    created_at: datetime = Field(sa_type=UtcDateTime)
    next_at: datetime = Field(sa_type=UtcDateTime)
    claimed_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    claimed_by: str = ""
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    remote_id: str = ""  # what the channel calls the message, to update it
    last_error: str = Field(default="", sa_type=Text)
    turn: int = 1
    in_place_of: str = Field(default="", sa_type=Text)  # ids: , between them, ; between duties


class RouteRow(SQLModel, table=True):
    """Where a channel is told about a duty at a place (e.g. a school's Slack channel).

    `priority`: those with the lowest of a duty are told at once (several with the same: all of
    them); the next only when none of the former could be reached in time.
    """

    __tablename__ = "routes"

    board: str = Field(primary_key=True)
    place: str = Field(primary_key=True)  # class, school or board id
    duty: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    address: str
    priority: int = 1


class LookRow(SQLModel, table=True):
    """One look of the watchman, by the minute (real clock) it was made in; one process makes it.

    `figures` and `troubles` are JSON without a word about anybody (see watchman.py).
    """

    __tablename__ = "watchman_looks"

    minute: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    owner: str
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    agrees: bool = False
    heartbeat: str = ""  # what became of it: pinged, refused, failed, none
    figures: str = Field(default="{}", sa_type=Text)
    troubles: str = Field(default="[]", sa_type=Text)


alerts = table_of(AlertRow)
deliveries = table_of(DeliveryRow)
routes = table_of(RouteRow)
watchman_looks = table_of(LookRow)
