"""Cases handed over to the welfare office: what each event does to a case's row, and questions.

The service and the rebuild take the columns from here, which keeps the stored rows and those
derived again from the log the same. Student keys and ids only; the reasons stay sealed.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from warning_service.events.types import CaseHandedOver, CaseReturned
from warning_service.follow_up.tables import cases
from warning_service.roster.tables import opt_outs

SUPPORT = "support"
"""The child needs what the welfare office has to give; not for a child whose family refused."""

HELP = "help"
"""Its safety is at stake, or the child itself asked for help: a refusal of linking does not bind
the duty to notify (児童福祉法25条, 児童虐待防止法6条)."""

GROUNDS = (SUPPORT, HELP)
TAKEN_BACK = "taken_back"
RETURNED = "returned"


def opened(board: str, student: str, actor: str, body: CaseHandedOver) -> dict[str, Any]:
    """The whole row of a new case."""
    return {
        "id": body.case_id,
        "board": board,
        "school": body.school,
        "student": student,
        "ground": body.ground,
        "sealed": body.sealed,
        "given_by": actor,
        "given_at": body.at,
        "ended_by": "",
        "ended_how": "",
        "ended_sealed": None,
        "ended_at": None,
        "basis": body.basis,
        "consent_on": body.consent_on,
        "items": None if body.items is None else ",".join(body.items),
    }


def ended(actor: str, body: CaseReturned) -> dict[str, Any]:
    """Columns changed when the case ends."""
    return {
        "ended_by": actor,
        "ended_how": body.how,
        "ended_sealed": body.sealed,
        "ended_at": body.at,
    }


def shared_items(case: Any | None) -> frozenset[str]:
    """What the giving side chose to share in a case; nothing without one."""
    chosen = "" if case is None or case.items is None else case.items
    return frozenset(item for item in chosen.split(",") if item)


def open_of(conn: Connection, student: str) -> Any | None:
    """The child's open case, or None."""
    c = cases
    return conn.execute(
        select(c).where(c.c.student == student, c.c.ended_at.is_(None))
    ).one_or_none()


def at_offices(conn: Connection, boards: Collection[str]) -> list[Any]:
    """Open cases that these boards' welfare offices may see, the newest first.

    A refusal works at once: a case given for support is out of sight while it is in force.
    """
    c, o = cases, opt_outs
    refusing = select(o.c.student).where(o.c.until_at.is_(None))
    return list(
        conn.execute(
            select(c)
            .where(c.c.board.in_(boards), c.c.ended_at.is_(None))
            .where((c.c.ground == HELP) | c.c.student.not_in(refusing))
            .order_by(c.c.given_at.desc(), c.c.id)
        )
    )


def of_schools(conn: Connection, schools: Collection[str], since: datetime) -> list[Any]:
    """Cases these schools handed over: open ones, and those that ended since, the newest first."""
    c = cases
    return list(
        conn.execute(
            select(c)
            .where(c.c.school.in_(schools), c.c.ended_at.is_(None) | (c.c.ended_at >= since))
            .order_by(c.c.given_at.desc(), c.c.id)
        )
    )
