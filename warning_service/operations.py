"""For the operator and the machines around: is it alive, is it ready, how is it doing.

No personal data in any of it; counts and durations only.
"""

from __future__ import annotations

import math

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from sqlalchemy import Connection

from warning_service.access import row_security
from warning_service.access.web import OPEN
from warning_service.alerts import watchman
from warning_service.database import RowSecurityMissing, StorageUnavailable
from warning_service.errors import RETRY_AFTER_SECONDS
from warning_service.events.log import head
from warning_service.judging import drift
from warning_service.judging.setup import from_playbook
from warning_service.migrate import SchemaNotCurrent, check
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster

router = APIRouter()

WAITING = Gauge("kizashi_intake_waiting", "Events waiting for a commit")
HEAD = Gauge("kizashi_log_head", "Last position in the log")


@router.get("/healthz", dependencies=[Depends(OPEN)])
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", dependencies=[Depends(OPEN)])
def readyz(response: Response, rooms: Rooms = Depends(rooms_of)) -> dict[str, str]:
    """The database is there, its schema and its rules are ours, and the intake writer runs."""
    problem = ""
    try:
        check(rooms.database)
        row_security.check(rooms.database)
    except (StorageUnavailable, SchemaNotCurrent, RowSecurityMissing) as error:
        problem = type(error).__name__
    if not rooms.intake.alive:
        problem = problem or "IntakeStopped"
    if problem:
        response.status_code = 503
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return {"status": "not ready", "problem": problem}
    return {"status": "ready"}


def _measure_drift(rooms: Rooms, conn: Connection) -> None:
    for board in roster.boards(conn):
        try:
            playbook = rooms.playbooks.of(board.id)
            setup = from_playbook(playbook)
        except (KeyError, ValueError, OSError):  # a broken playbook is told of elsewhere
            continue
        told = drift.found(conn, board.id, setup, drift.on_school_days(playbook))
        drift.measure(board.id, told, rooms.clock.today())


@router.get("/metrics", dependencies=[Depends(OPEN)])
def metrics(rooms: Rooms = Depends(rooms_of)) -> Response:
    """Prometheus metrics. Without a database the log's head is NaN, the rest is told."""
    WAITING.set(rooms.intake.waiting)
    try:
        with rooms.database.as_service().reading() as conn:
            HEAD.set(head(conn))
            watchman.measure(conn)
            _measure_drift(rooms, conn)
    except StorageUnavailable:  # the hour in which the other figures are wanted most
        HEAD.set(math.nan)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
