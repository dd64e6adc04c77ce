"""What has happened to one alert, step by step, from its events: when, what, by whom.

The log is the history; there is no second one that could tell it otherwise. Authors are staff keys
(names come from the gateway) or `system:…` for what followed by itself. Whoever asks has been shown
the alert before (`Alerts.one`): its history is no more than the alert itself.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import Connection, select

from warning_service.alerts.seeing import AlertView
from warning_service.events.log import Log, from_row
from warning_service.events.tables import events
from warning_service.events.types import AlertOpenedAgain, OfAlert, tag_of

_TYPES = "alert\\_%"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. `what`: the event's name without `alert_`, with the `why` of an opening again."""

    at: datetime
    what: str
    author: str
    body: OfAlert


def of(log: Log, view: AlertView) -> list[Step]:
    """All steps of an alert, oldest first."""
    with log.database.as_service().reading() as conn:
        return [step for step in _steps(conn, log, view) if step.body.alert_id == view.id]


def _steps(conn: Connection, log: Log, view: AlertView) -> list[Step]:
    e = events.c
    query = select(events).where(e.board == view.board, e.type.like(_TYPES, escape="\\"))
    if view.student:
        query = query.where(e.student == view.student)
    else:  # a notice: its events name no student
        query = query.where(e.student.is_(None), e.position > log.position_before(view.raised_at))
    found = []
    for event in map(from_row, conn.execute(query.order_by(e.position))):
        body = event.body
        assert isinstance(body, OfAlert)
        what = tag_of(body).removeprefix("alert_")
        if isinstance(body, AlertOpenedAgain):
            what = body.why
        found.append(Step(at=event.recorded_at, what=what, author=event.actor, body=body))
    return found
