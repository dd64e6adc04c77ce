"""Goes through the alerts whose time has come, some hundred at a time, board by board.

One alert that cannot be moved holds up no other, of its board or another: it is tried by itself,
logged and passed over. What happens to an alert is for escalation.py and waking.py to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import structlog
from sqlalchemy import ColumnElement, select

from warning_service.alerts.tables import alerts
from warning_service.database import StorageUnavailable
from warning_service.events.log import Log

log = structlog.get_logger()

AT_ONCE = 200


def move_due(
    log_: Log,
    which: ColumnElement[bool],
    move: Callable[[str, Sequence[Any]], int],
    failing: str,
) -> int:
    """Let `move` (board, rows of alerts) see to all alerts of `which` that are due now.

    Returns how many it moved; what breaks is logged as `failing`. Raises StorageUnavailable.
    """
    moved, broken = 0, set[str]()
    while True:
        a, now = alerts.c, log_.clock.now()
        with log_.database.reading() as conn:
            due = conn.execute(
                select(alerts)
                .where(which, a.due_at <= now, a.id.not_in(broken))
                .order_by(a.due_at, a.id)
                .limit(AT_ONCE)
            ).all()
        by_board: dict[str, list[Any]] = {}
        for row in due:
            by_board.setdefault(row.board, []).append(row)
        for board, rows in by_board.items():
            done, failed = each(rows, partial(move, board), failing)
            moved += done
            broken |= failed
        if len(due) < AT_ONCE:
            return moved


def each(
    rows: Sequence[Any], do: Callable[[Sequence[Any]], int], failing: str
) -> tuple[int, set[str]]:
    """Let `do` move these alerts together or, if that breaks, each by itself.

    One alert that cannot be moved must hold up no other, of its board or another. Returns how many
    moved, and the ids of those that broke, logged as `failing`. Raises StorageUnavailable.
    """
    try:
        return do(rows), set()
    except StorageUnavailable:
        raise
    except Exception as error:
        if len(rows) == 1:
            log.error(failing, alert=rows[0].id, error=type(error).__name__)
            return 0, {rows[0].id}
        log.exception(failing, board=rows[0].board, count=len(rows), error=type(error).__name__)
    moved, broken = 0, set[str]()
    for row in rows:
        done, failed = each([row], do, failing)
        moved += done
        broken |= failed
    return moved, broken
