"""Which traces tell of a call for help: one answer for the disclosure file and for "who looked".

A family is not told whether its child turned to an adult, unless the child asks or two people have
decided so. Leaving the call out is not enough: who read it, took it on, recorded what was done, or
handed the case to the welfare office would tell as well. Whatever the ground of a hand-over, its
traces are left out alike, so that their being there or not tells nothing of the ground.

Not here: the sentence that stands in their place (file.py), and who may decide otherwise.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, select

from warning_service.access.asked_about import ever_held
from warning_service.access.roles import Role
from warning_service.access.trail.audit import REFUSED
from warning_service.alerts.tables import alerts
from warning_service.follow_up.tables import cases

HELP_ACTIONS = frozenset(
    {
        "read_consultation", "alert", "alerts", "take_on",
        "take_over", "put_back", "offer_alert", "offer_declined", "offer_withdrawn", "snooze",
        "close_alert", "reopen",
        "cases", "hand_over_form", "hand_over_case", "case_taken_back", "case_returned",
    }
)  # fmt: skip
"""Looks and changes that are left out; an alert of another kind is not told apart."""

HELP_KINDS = ("consultation", "critical")
_PATHS = ("/alerts", "/cases", "/hand-over", "/take-back")
"""What stands in the address of a refused page (errors.py) that was about one of these."""


class HelpTraces(msgspec.Struct, frozen=True, kw_only=True):
    """What there is of one child. `calls`: alerts about help; `welfare`: staff of that office."""

    calls: frozenset[str]
    cases: frozenset[str]
    welfare: frozenset[str]

    def tells(self, row: Any) -> bool:
        """Does this row of the trail (or a record with an alert, a case) tell of a call for help?

        Somebody of the welfare office is near a child for its case only. Where the row says by
        which duty they looked, that counts; where it does not, that they hold such a duty.
        """
        plain = row.action.removeprefix(REFUSED)
        if plain in HELP_ACTIONS or row.detail in self.calls or row.detail in self.cases:
            return True
        if plain != row.action and any(path in row.detail for path in _PATHS):
            return True
        if row.duty:
            return Role.WELFARE.value in row.duty.split(",")
        return row.actor in self.welfare


def help_traces(conn: Connection, student: str) -> HelpTraces:
    """For one child. `conn` must read with the service's own rights."""
    a, c = alerts.c, cases.c
    calls = select(a.id).where(a.student == student, a.kind.in_(HELP_KINDS))
    return HelpTraces(
        calls=frozenset(conn.execute(calls).scalars()),
        cases=frozenset(conn.execute(select(c.id).where(c.student == student)).scalars()),
        welfare=ever_held(conn, Role.WELFARE),
    )
