"""The audit trail: who looked at what, hash-chained.

Every row's hash covers its content and the hash before it, so a changed or missing row breaks the
chain at a place `verify` can name. Rows hold keys and ids, no names, answers or notes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, insert, select, text

from warning_service.access.tables import audit
from warning_service.database import Database

AUDIT_LOCK = 0x6B697A62


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One line for the trail."""

    board: str
    actor: str
    action: str
    subject: str
    detail: str = ""


def _hash(before: str, at: datetime, look: Look) -> str:
    line = msgspec.json.encode([before, at.isoformat(), *msgspec.structs.astuple(look)])
    return hashlib.sha256(line).hexdigest()


def record(database: Database, at: datetime, looks: Sequence[Look]) -> None:
    """Append `looks`. Raises StorageUnavailable: then nothing may be shown (fail closed)."""
    if not looks:
        return
    with database.writing() as conn:
        if conn.dialect.name != "sqlite":
            conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": AUDIT_LOCK})
        before = _last_hash(conn)
        rows = []
        for look in looks:
            before = _hash(before, at, look)
            rows.append({"at": at, "hash": before, **msgspec.structs.asdict(look)})
        conn.execute(insert(audit), rows)


def _last_hash(conn: Connection) -> str:
    row = conn.execute(select(audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).first()
    return "" if row is None else str(row.hash)


def verify(conn: Connection) -> list[int]:
    """Sequence numbers of rows that do not fit the chain; empty when it is whole."""
    broken = []
    before = ""
    for row in conn.execute(select(audit).order_by(audit.c.seq)):
        look = Look(
            board=row.board,
            actor=row.actor,
            action=row.action,
            subject=row.subject,
            detail=row.detail,
        )
        if row.hash != _hash(before, row.at, look):
            broken.append(int(row.seq))
        before = row.hash
    return broken
