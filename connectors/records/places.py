"""Schools as files name them: by code or by name."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from connectors.records.cells import Cells
from warning_service.roster import queries


class Schools:
    """A board's schools, found by id or name."""

    def __init__(self, conn: Connection, board: str) -> None:
        self._found: dict[str, Any] = {}
        for row in queries.schools(conn, board):
            self._found[row.id] = self._found[row.name] = row

    def read(self, cells: Cells, *, required: bool = True) -> Any | None:
        """The school a row names; None when empty or unknown (noted on the cell)."""
        text = cells.text("school", required=required)
        if not text:
            return None
        if text not in self._found:
            cells.wrong("school", "知らない学校です", "no such school at this board")
            return None
        return self._found[text]
