"""What an auditor does with alarms on odd looking: see them, ask, and write down what came of it.

An alarm is settled once; who settled it, when and with which verdict stays. The note is for what
was found out about the looking, never about the child.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.tables import looking_alarms
from warning_service.access.trail.audit import Trail
from warning_service.clock import Clock
from warning_service.database import Database

VERDICTS = ("reasonable", "talked", "misuse")
LONGEST_NOTE = 500
MOST_SETTLED = 200


class NoVerdict(ValueError):
    """The verdict is none of VERDICTS, or the note too long; nothing was stored."""


def open_ones(conn: Connection, board: str) -> list[Any]:
    """Alarms nobody has settled, the oldest first."""
    a = looking_alarms.c
    return list(
        conn.execute(
            select(looking_alarms)
            .where(a.board == board, a.acknowledged_at.is_(None))
            .order_by(a.raised_at, a.id)
        )
    )


def settled(conn: Connection, board: str) -> list[Any]:
    """Settled alarms, the newest first, at most MOST_SETTLED."""
    a = looking_alarms.c
    return list(
        conn.execute(
            select(looking_alarms)
            .where(a.board == board, a.acknowledged_at.is_not(None))
            .order_by(a.acknowledged_at.desc(), a.id)
            .limit(MOST_SETTLED)
        )
    )


def settle(
    database: Database,
    clock: Clock,
    trail: Trail,
    who: Principal,
    alarm: str,
    *,
    verdict: str,
    note: str,
) -> bool:
    """Settle an alarm; False when somebody was first.

    Raises NoVerdict, NotYours (unknown, of another board, or about the asker's own looking), and
    StorageUnavailable.
    """
    if verdict not in VERDICTS or len(note) > LONGEST_NOTE:
        raise NoVerdict
    a = looking_alarms.c
    with database.writing() as conn:
        row = conn.execute(
            select(looking_alarms).where(a.id == alarm, a.board == who.board)
        ).one_or_none()
        if row is None or row.subject == who.key:
            raise NotYours
        won = conn.execute(
            update(looking_alarms)
            .where(a.id == alarm, a.acknowledged_at.is_(None))
            .values(
                acknowledged_at=clock.now(), acknowledged_by=who.key, verdict=verdict,
                note=note.strip(),
            )
            .returning(a.id)
        ).first()  # fmt: skip
        if won is not None:
            trail.write(
                conn,
                [
                    trail.look(
                        who, "alarm_settled", row.subject, f"{row.rule} {verdict}",
                        using=Ability.SEE_TRAIL,
                    )
                ],
            )  # fmt: skip
    return won is not None
