"""What each alert event does to an alert's row.

The consumer, the service and the rebuild all take the columns from here, which is what makes the
stored rows and those derived again from the log the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from warning_service.events.types import (
    AlertAcknowledged,
    AlertEscalated,
    AlertHandled,
    AlertRaised,
)

OPEN = "open"
ACKNOWLEDGED = "acknowledged"
HANDLED = "handled"


def raised(board: str, student: str, body: AlertRaised) -> dict[str, Any]:
    """The whole row of a new alert."""
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
        "duties": ",".join(body.duties),
        "readers": ",".join(body.duties),
        "acknowledged_by": "",
        "acknowledged_at": None,
        "acknowledged_via": "",
        "handled_by": "",
        "handled_at": None,
    }


def acknowledged(actor: str, body: AlertAcknowledged) -> dict[str, Any]:
    """Columns changed when `actor` takes the alert on."""
    return {
        "state": ACKNOWLEDGED,
        "acknowledged_by": actor,
        "acknowledged_at": body.at,
        "acknowledged_via": body.via,
    }


def escalated(told: str, body: AlertEscalated) -> dict[str, Any]:
    """Columns changed when the next step is told; `told` is the column `duties` until now."""
    return {
        "step": body.step,
        "due_at": body.due_at,
        "duties": ",".join(union(told.split(","), body.duties)),
    }


def handled(actor: str, body: AlertHandled) -> dict[str, Any]:
    """Columns changed when a follow-up record closes the alert."""
    return {"state": HANDLED, "handled_by": actor, "handled_at": body.at}


def union(told: Iterable[str], more: Iterable[str]) -> list[str]:
    """Duties in the order they were told, each once."""
    return [duty for duty in dict.fromkeys([*told, *more]) if duty]


def apply(
    rows: dict[str, dict[str, Any]], *, board: str, student: str, actor: str, body: Any
) -> None:
    """Let one event change `rows` (alert id -> row), as the service's transactions do."""
    if isinstance(body, AlertRaised):
        rows[body.alert_id] = raised(board, student, body)
        return
    row = rows[body.alert_id]
    changes: Mapping[str, Any] = {}
    if isinstance(body, AlertAcknowledged):
        changes = acknowledged(actor, body)
    elif isinstance(body, AlertEscalated):
        changes = escalated(row["duties"], body)
    elif isinstance(body, AlertHandled):
        changes = handled(actor, body)
    row.update(changes)
