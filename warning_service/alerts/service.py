"""Alerts as the rest of the house knows them: see those within one's scope, act, hand over.

One object for pages, channels and jobs, put together from `seeing.py` (who may see what), `life.py`
(taking on, putting off, closing) and `handing_over.py`. What happens by itself, escalation and
waking, is started here and done in modules of those names. Nothing is decided here.
"""

from __future__ import annotations

import structlog

from warning_service.access.principals import Principal
from warning_service.alerts import escalation, history, waking
from warning_service.alerts.handing_over import Candidate, HandingOver
from warning_service.alerts.history import Step
from warning_service.alerts.life import SnoozeRefused
from warning_service.alerts.seeing import AlertView, Inbox
from warning_service.database import StorageUnavailable

log = structlog.get_logger()

__all__ = ["AlertView", "Alerts", "Candidate", "Inbox", "SnoozeRefused", "Step"]


class Alerts(HandingOver):
    """Alerts of all boards. Safe to share between threads."""

    def escalate_due(self) -> int:
        """Tell the next step about every open alert whose time is up; return how many.

        What was snoozed or has no record in time wakes first, so that it is told in the same look
        as others. Safe to call from any number of processes at once. Raises StorageUnavailable.
        """
        try:
            waking.note_delivered(self._log)
        except StorageUnavailable:
            raise
        except Exception as error:  # a note of what arrived must not hold up who is told next
            log.exception("delivered_not_noted", error=type(error).__name__)
        moved = waking.wake_due(self._log, self._playbooks, self._wall)
        return moved + escalation.escalate_due(self._log, self._playbooks, self._wall)

    def history(self, who: Principal, alert_id: str) -> list[Step]:
        """Every step of an alert's life, oldest first. Raises NotYours."""
        return history.of(self._log, self.one(who, alert_id))
