"""The two halves of becoming somebody: letting in (an invitation), and what gives it power.

Whoever does both for one account has made themselves a second person with power, or has become
somebody who is there already. Accounts (doors/accounts.py) refuses the second half for some days;
the alarms (alarms.py) tell an auditor of both halves long after. Read off the trail, which nobody
can tidy up; what was done on the command line is no officer's.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select

from warning_service.access.roles import Role
from warning_service.access.tables import audit

POWER = frozenset(
    {
        Role.PRIVACY, Role.AUDITOR, Role.ACCOUNTS, Role.MANAGEMENT, Role.WELFARE,
        Role.BOARD_GUIDANCE,
    }
)  # fmt: skip
"""Duties that decide, reach far or look after others; a teacher, nurse or counsellor has none."""

LETS_IN = frozenset({"invited", "account_noted"})
GIVES_POWER = frozenset({"factors_reset", "duty_given"})
"""Of `duty_given` those of POWER only."""


def done_by(
    conn: Connection,
    officer: str,
    accounts: Collection[str],
    actions: Collection[str],
    *,
    since: datetime,
    upto: int | None = None,
) -> set[str]:
    """To which of these accounts the officer did one of these things. `upto`: a row's number."""
    a = audit.c
    query = select(a.action, a.subject, a.detail).where(
        a.subject.in_(list(accounts)),
        a.at >= since,
        a.actor == officer,
        a.action.in_(list(actions)),
    )
    if upto is not None:
        query = query.where(a.seq <= upto)
    return {
        row.subject
        for row in conn.execute(query)
        if row.action != "duty_given" or row.detail.partition("@")[0] in POWER
    }
