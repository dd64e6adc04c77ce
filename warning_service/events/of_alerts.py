"""The events of one alert's life, from the moment it is raised until it is closed.

Part of the list in types.py, from where they are imported.
"""

from __future__ import annotations

from datetime import datetime

from warning_service.events.body import Body


class AlertRaised(Body, frozen=True, tag="alert_raised"):
    """An adult has to look. `source` is the event that gave rise to it; `duties` were told, and
    besides them, without what a child wrote being for them, those of `beside`.
    """

    alert_id: str
    kind: str
    urgency: str
    rule: str
    source: str
    school: str
    class_id: str
    step: int
    duties: tuple[str, ...]
    raised_at: datetime
    due_at: datetime
    beside: tuple[str, ...] = ()


class AlertDelivered(Body, frozen=True, tag="alert_delivered"):
    """For the first time a channel (`via`), or a page of the portal, has it."""

    alert_id: str
    via: str
    at: datetime


class AlertSeen(Body, frozen=True, tag="alert_seen"):
    """For the first time somebody who may see it has opened it."""

    alert_id: str
    at: datetime


class AlertAcknowledged(Body, frozen=True, tag="alert_acknowledged"):
    """An adult has taken it on; `via` is `portal` or a channel name.

    `until`: when it is open again unless a record was written; None: it does not expire.
    """

    alert_id: str
    via: str
    at: datetime
    until: datetime | None = None


class AlertTakenOver(Body, frozen=True, tag="alert_taken_over"):
    """Another adult has it now instead of `before`. `accepted`: it was offered to them."""

    alert_id: str
    before: str
    accepted: bool
    via: str
    at: datetime
    until: datetime | None


class AlertOffered(Body, frozen=True, tag="alert_offered"):
    """Who has it asks `to` (`duty:nurse` or `staff:<key>`) to take over, and keeps it until then.

    `duties` are told of it from here on.
    """

    alert_id: str
    to: str
    duties: tuple[str, ...]
    at: datetime


class AlertOfferEnded(Body, frozen=True, tag="alert_offer_ended"):
    """The offer is over without anybody taking the alert over. `how`: declined or withdrawn."""

    alert_id: str
    how: str
    at: datetime


class AlertSnoozed(Body, frozen=True, tag="alert_snoozed"):
    """Not now, for a `reason` the playbook offers; at `until` it is open again."""

    alert_id: str
    reason: str
    until: datetime
    at: datetime


class AlertEscalated(Body, frozen=True, tag="alert_escalated"):
    """Nobody acknowledged in time: `duties`, the next step of the chain, are told.

    A `step` beyond the chain means that its last step was told again.
    """

    alert_id: str
    step: int
    duties: tuple[str, ...]
    due_at: datetime


class AlertOpenedAgain(Body, frozen=True, tag="alert_opened_again"):
    """Nobody has it any more, and `duties` are told.

    `why`: undone (taken on by mistake), expired (no record came), woken (a snooze is over),
    reopened (it was recorded or closed, and an adult is needed after all).
    """

    alert_id: str
    why: str
    step: int
    duties: tuple[str, ...]
    due_at: datetime
    at: datetime


class AlertHandled(Body, frozen=True, tag="alert_handled"):
    """The follow-up record `follow_up_id` answers it; '': a notice whose cause is over.

    `closes_at`: when it is closed by itself; None: it is not.
    """

    alert_id: str
    follow_up_id: str
    at: datetime
    closes_at: datetime | None = None


class AlertClosed(Body, frozen=True, tag="alert_closed"):
    """What was handled is over: by hand, or because nothing came any more."""

    alert_id: str
    at: datetime


OfAlert = (
    AlertRaised
    | AlertDelivered
    | AlertSeen
    | AlertAcknowledged
    | AlertTakenOver
    | AlertOffered
    | AlertOfferEnded
    | AlertSnoozed
    | AlertEscalated
    | AlertOpenedAgain
    | AlertHandled
    | AlertClosed
)
"""What happens to one alert; each has its `alert_id`."""
