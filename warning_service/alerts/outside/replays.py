"""Remembers signed requests for as long as their signature holds, for all processes together.

Whoever recorded a request (a proxy's log, a phone's backup) could send it again within its window.
A mark of each one that was taken is kept in a table until it would be refused as too old anyway;
the mark is a hash, from which nothing can be signed. Whether the signature is right is the
channel's to say, before it asks here.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import delete

from warning_service.alerts.outside.tables import seen_requests
from warning_service.database import Database, insert_new


def first_time(
    database: Database, channel: str, signature: str, *, now: datetime, window: timedelta
) -> bool:
    """Note this request; False when any process has taken it within twice `window`.

    Twice, because senders' clocks differ both ways. `now`: the real time. Raises
    StorageUnavailable: what cannot be noted must not be taken.
    """
    digest = hashlib.sha256(f"{channel}\n{signature}".encode()).hexdigest()
    with database.writing() as conn:
        conn.execute(delete(seen_requests).where(seen_requests.c.seen_at < now - 2 * window))
        first = conn.execute(
            insert_new(conn, seen_requests)
            .values(digest=digest, seen_at=now)
            .returning(seen_requests.c.digest)
        ).first()
    return first is not None
