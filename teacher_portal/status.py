"""The operator's page: what runs, how far it is, what is stuck. No personal data in any of it.

Read with the service's own rights, because none of these tables is anybody's in particular; they
hold positions, times and numbers. What a machine should watch is at /metrics.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlalchemy import func, select

from teacher_portal.frame import show
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.alerts.tables import deliveries
from warning_service.events.log import head
from warning_service.events.tables import consumers, job_runs
from warning_service.migrate import newest
from warning_service.rooms import Rooms, rooms_of

router = APIRouter()


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """One reader of a board's events: how many it has still to read, and whether it is at work."""

    name: str
    board: str
    behind: int
    at_work: bool


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the installation stands. `messages`: (state, how many); `jobs`: (job, slot, when)."""

    schema: str
    position: int
    intake_alive: bool
    intake_waiting: int
    readers: list[Reader]
    messages: list[tuple[str, int]]
    jobs: list[tuple[str, str, datetime]]


def standing(rooms: Rooms) -> Standing:
    """How it stands now. Raises StorageUnavailable."""
    now = rooms.clock.now()
    with rooms.database.as_service().reading() as conn:
        ends: dict[str, int] = {}
        readers = []
        for row in conn.execute(select(consumers).order_by(consumers.c.board, consumers.c.name)):
            if row.board not in ends:
                ends[row.board] = head(conn, row.board)
            readers.append(
                Reader(
                    name=row.name,
                    board=row.board,
                    behind=max(0, ends[row.board] - row.position),
                    at_work=row.lease_until > now,
                )
            )
        messages = conn.execute(
            select(deliveries.c.state, func.count()).group_by(deliveries.c.state).order_by("state")
        ).all()
        last = select(job_runs.c.job, func.max(job_runs.c.slot).label("slot")).group_by(
            job_runs.c.job
        )
        newest_of = last.subquery()
        jobs = conn.execute(
            select(job_runs)
            .join(
                newest_of,
                (newest_of.c.job == job_runs.c.job) & (newest_of.c.slot == job_runs.c.slot),
            )
            .order_by(job_runs.c.job)
        ).all()
        position = head(conn)
    return Standing(
        schema=newest(),
        position=position,
        intake_alive=rooms.intake.alive,
        intake_waiting=rooms.intake.waiting,
        readers=readers,
        messages=[(row[0], row[1]) for row in messages],
        jobs=[(row.job, row.slot, row.ran_at) for row in jobs],
    )


@router.get("/portal/status")
def status(
    request: Request, who: Annotated[Principal, Depends(Needs(Ability.OPERATE))]
) -> Response:
    """What runs and how far it is."""
    return show(request, who, "portal_status.html", standing=standing(rooms_of(request)))
