"""What happens when one child calls for help again and again within an hour.

Every call is stored. From the twenty-first within an hour on, a call raises no alert of its own as
long as an earlier one of that hour, for the same readers, is still waiting or being dealt with: its
words are shown with that one. Fifty rings a minute from a tablet somebody plays with would bury the
other children's calls; a child in real distress has an adult on the way already. A call marked as
one of life and death always rings.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import msgspec
from prometheus_client import Counter
from sqlalchemy import Connection, bindparam, select

from warning_service.alerts import states
from warning_service.alerts.privacy import CONSULTATION, duties_of
from warning_service.alerts.tables import alerts

MOST_CALLS = 20
WITHIN = timedelta(hours=1)

JOINED = Counter("kizashi_calls_joined_total", "Calls shown with an earlier alert, not rung again")


_a = alerts.c
_CALLS = select(_a.id, _a.student, _a.raised_at, _a.readers, _a.state).where(
    _a.student.in_(bindparam("students", expanding=True)),
    _a.kind == CONSULTATION,
    _a.raised_at > bindparam("since"),
)


class _Call(msgspec.Struct, frozen=True):
    alert_id: str
    at: datetime
    readers: frozenset[str]
    open: bool


class ManyCalls:
    """Remembers the last hour's calls of some children, and those of the batch in hand."""

    def __init__(self, conn: Connection, students: Collection[str], since: datetime) -> None:
        self._calls: dict[str, list[_Call]] = {}
        wanted = sorted(students)
        for start in range(0, len(wanted), 500):
            asked = {"students": wanted[start : start + 500], "since": since - WITHIN}
            for row in conn.execute(_CALLS, asked):
                self._calls.setdefault(row.student, []).append(
                    _Call(
                        row.id,
                        row.raised_at,
                        frozenset(duties_of(row.readers)),
                        row.state in {states.OPEN, states.ACKNOWLEDGED},
                    )
                )

    def joins(self, alert_id: str, student: str, at: datetime, readers: Sequence[str]) -> bool:
        """Is this call shown with an earlier alert? If not, it counts as one that rings."""
        lately = [
            call
            for call in self._calls.get(student, ())
            if call.alert_id != alert_id and at - WITHIN < call.at <= at
        ]
        wanted = frozenset(readers)
        if len(lately) >= MOST_CALLS and any(c.open and c.readers == wanted for c in lately):
            JOINED.inc()
            return True
        self._calls.setdefault(student, []).append(_Call(alert_id, at, wanted, True))
        return False
