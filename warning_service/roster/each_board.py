"""Does something for one board after the other; a broken one holds up no other.

For jobs of the whole installation. What the job does, and when, is its own.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from warning_service.database import Database, StorageUnavailable
from warning_service.roster import queries

log = structlog.get_logger()


def each_board(database: Database, run: Callable[[str], int], failing: str) -> int:
    """Call `run` with every board's id and add up what it returns.

    A board for which it raises is logged as `failing` and passed over. Raises StorageUnavailable.
    """
    with database.reading() as conn:
        boards = [row.id for row in queries.boards(conn)]
    done = 0
    for board in boards:
        try:
            done += run(board)
        except StorageUnavailable:
            raise
        except Exception as error:
            log.exception(failing, board=board, error=type(error).__name__)
    return done
