"""The life of an alert: which change is allowed from which state, and what it does to the row.

    raised ─▶ open ─▶ acknowledged ─▶ handled ─▶ closed
               ▲ ▲ ╲       │ │           │          │
               │ │  ▶ snoozed ◀┘         │          │
               │ └─────┘ (woken)         │          │
               └──── undone, expired ────┴─ reopened┘

One table, `ALLOWED`, is used by all who change a row: the pages and channels (life.py), what
follows by itself (escalation.py, waking.py), notices, and the rebuild from the log. A change is an
event and, in the same transaction, a compare-and-set (`move`) on the version that was read, so that
of two that change one alert at the same moment exactly one does, wherever they are.

Nothing leads from open, acknowledged or snoozed to closed: an alert about a child is closed after a
person's record and never because a risk has fallen. Delivered and seen are not states: they happen
once, in any state, and change no state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, update

from warning_service.alerts.tables import alerts
from warning_service.events.types import (
    AlertAcknowledged,
    AlertClosed,
    AlertDelivered,
    AlertEscalated,
    AlertHandled,
    AlertOffered,
    AlertOfferEnded,
    AlertOpenedAgain,
    AlertRaised,
    AlertSeen,
    AlertSnoozed,
    AlertTakenOver,
    OfAlert,
    tag_of,
)

OPEN = "open"
ACKNOWLEDGED = "acknowledged"
SNOOZED = "snoozed"
HANDLED = "handled"
CLOSED = "closed"

WAITING = frozenset({OPEN, ACKNOWLEDGED, SNOOZED})
"""Somebody has still to do something: no record answers it."""

DONE = frozenset({HANDLED, CLOSED})

UNDONE = "undone"
EXPIRED = "expired"
WOKEN = "woken"
REOPENED = "reopened"

ALLOWED: dict[str, frozenset[str]] = {
    tag_of(AlertAcknowledged): frozenset({OPEN, SNOOZED}),
    tag_of(AlertTakenOver): frozenset({ACKNOWLEDGED}),
    tag_of(AlertOffered): frozenset({ACKNOWLEDGED}),
    tag_of(AlertOfferEnded): frozenset({ACKNOWLEDGED}),
    tag_of(AlertSnoozed): frozenset({OPEN, ACKNOWLEDGED}),
    tag_of(AlertEscalated): frozenset({OPEN}),
    f"{tag_of(AlertOpenedAgain)}:{UNDONE}": frozenset({ACKNOWLEDGED}),
    f"{tag_of(AlertOpenedAgain)}:{EXPIRED}": frozenset({ACKNOWLEDGED}),
    f"{tag_of(AlertOpenedAgain)}:{WOKEN}": frozenset({SNOOZED}),
    f"{tag_of(AlertOpenedAgain)}:{REOPENED}": frozenset({HANDLED, CLOSED}),
    tag_of(AlertHandled): frozenset({ACKNOWLEDGED}),
    tag_of(AlertClosed): frozenset({HANDLED}),
}
"""Change -> the states it may begin in. Whatever is not here is not allowed."""

SETTLED_FROM = WAITING
"""A notice is about no child: when its cause is over it needs nobody's record."""

_NOBODY = {"acknowledged_by": "", "acknowledged_at": None, "acknowledged_via": ""}
_NO_OFFER = {"offered_to": "", "offered_at": None}
_NO_SNOOZE = {"snoozed_by": "", "snoozed_at": None, "snooze_reason": ""}
_NOT_DONE = {"handled_by": "", "handled_at": None, "closed_by": "", "closed_at": None}


class NotAllowed(ValueError):
    """The alert is in a state from which this change does not lead."""

    def __init__(self, alert_id: str, state: str, change: str) -> None:
        super().__init__(f"{change} from {state}: {alert_id}")
        self.state = state
        self.change = change


def raised(board: str, student: str, body: AlertRaised) -> dict[str, Any]:
    """The whole row of a new alert. `student` '': it is about no child."""
    return {
        "id": body.alert_id,
        "board": board,
        "school": body.school,
        "class_id": body.class_id,
        "student": student,
        "kind": body.kind,
        "urgency": body.urgency,
        "rule": body.rule,
        "source": body.source,
        "state": OPEN,
        "step": body.step,
        "raised_at": body.raised_at,
        "due_at": body.due_at,
        "duties": ",".join(union(body.duties, body.beside)),
        "readers": ",".join(body.duties),
        "version": 0,
        "step_due_at": body.due_at,
        "answered_at": None,
        "delivered_at": None,
        "delivered_via": "",
        "seen_at": None,
        "seen_by": "",
        **_NOBODY,
        **_NO_OFFER,
        **_NO_SNOOZE,
        **_NOT_DONE,
    }


def allowed(row: Any, body: OfAlert) -> bool:
    """May this change be made to an alert in the state of `row` (a row or a mapping)?"""
    held = _held(row)
    if isinstance(body, AlertDelivered):
        return held["delivered_at"] is None
    if isinstance(body, AlertSeen):
        return held["seen_at"] is None
    if isinstance(body, AlertHandled) and not held["student"]:
        return held["state"] in SETTLED_FROM
    return held["state"] in ALLOWED.get(_name(body), frozenset())


def changes(row: Any, actor: str, body: OfAlert) -> dict[str, Any]:
    """The columns that `body`, made by `actor`, changes in `row`. Raises NotAllowed."""
    held = _held(row)
    if not allowed(held, body):
        raise NotAllowed(held["id"], held["state"], _name(body))
    if isinstance(body, AlertDelivered):
        return {"delivered_at": body.at, "delivered_via": body.via}
    if isinstance(body, AlertSeen):
        return {"seen_at": body.at, "seen_by": actor}
    return {**_moved(held, actor, body), "version": held["version"] + 1}


def move(conn: Connection, row: Any, actor: str, body: OfAlert) -> bool:
    """Make the change, if nobody has changed the alert since `row` was read; False if somebody did.

    The caller appends the event in the same transaction. Raises NotAllowed.
    """
    held = _held(row)
    a = alerts.c
    change = update(alerts).where(a.id == held["id"], a.version == held["version"])
    if isinstance(body, AlertDelivered):
        change = change.where(a.delivered_at.is_(None))
    if isinstance(body, AlertSeen):
        change = change.where(a.seen_at.is_(None))
    done = conn.execute(change.values(**changes(held, actor, body)).returning(a.id)).first()
    return done is not None


def _moved(row: Mapping[str, Any], actor: str, body: OfAlert) -> dict[str, Any]:
    match body:
        case AlertAcknowledged() | AlertTakenOver():
            return {
                "state": ACKNOWLEDGED,
                "acknowledged_by": actor,
                "acknowledged_at": body.at,
                "acknowledged_via": body.via,
                "answered_at": row["answered_at"] or body.at,
                "due_at": body.until,
                **_NO_OFFER,
                **_NO_SNOOZE,
            }
        case AlertOffered():
            told = ",".join(union(row["duties"].split(","), body.duties))
            return {"offered_to": body.to, "offered_at": body.at, "duties": told}
        case AlertOfferEnded():
            return dict(_NO_OFFER)
        case AlertSnoozed():
            return {
                "state": SNOOZED,
                "snoozed_by": actor,
                "snoozed_at": body.at,
                "snooze_reason": body.reason,
                "due_at": body.until,
                **_NOBODY,
                **_NO_OFFER,
            }
        case AlertEscalated():
            return _told(row, body)
        case AlertOpenedAgain():
            first = row["answered_at"]
            if body.why == UNDONE and first == row["acknowledged_at"]:
                first = None  # it never was answered
            return {
                "state": OPEN,
                "answered_at": first,
                **_told(row, body),
                **_NOBODY,
                **_NO_OFFER,
                **_NO_SNOOZE,
                **_NOT_DONE,
            }
        case AlertHandled():
            return {
                "state": HANDLED,
                "handled_by": actor,
                "handled_at": body.at,
                "due_at": body.closes_at,
                **_NO_OFFER,
            }
        case AlertClosed():
            return {"state": CLOSED, "closed_by": actor, "closed_at": body.at, "due_at": None}
        case _:
            raise TypeError(f"no change of an alert: {tag_of(body)}")


def _told(row: Mapping[str, Any], body: AlertEscalated | AlertOpenedAgain) -> dict[str, Any]:
    return {
        "step": body.step,
        "due_at": body.due_at,
        "step_due_at": body.due_at,
        "duties": ",".join(union(row["duties"].split(","), body.duties)),
    }


def union(told: Iterable[str], more: Iterable[str]) -> list[str]:
    """Duties in the order they were told, each once."""
    return [duty for duty in dict.fromkeys([*told, *more]) if duty]


def apply(
    rows: dict[str, dict[str, Any]], *, board: str, student: str, actor: str, body: OfAlert
) -> None:
    """Let one event change `rows` (alert id -> row), as the service's transactions do.

    Raises NotAllowed, KeyError for an alert that was never raised; `rows` is then as it was.
    """
    if isinstance(body, AlertRaised):
        rows[body.alert_id] = raised(board, student, body)
        return
    row = rows[body.alert_id]
    row.update(changes(row, actor, body))


def _name(body: OfAlert) -> str:
    name = tag_of(body)
    return f"{name}:{body.why}" if isinstance(body, AlertOpenedAgain) else name


def _held(row: Any) -> Mapping[str, Any]:
    held: Mapping[str, Any] = row if isinstance(row, Mapping) else row._mapping
    return held
