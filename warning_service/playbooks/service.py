"""Which playbook a board works by.

A board row names its playbook; a board's own file in `<data_dir>/playbooks/<id>.toml` comes before
the shipped one of that id.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from warning_service.database import Database, StorageUnavailable
from warning_service.playbooks.model import Playbook, load_file, shipped, shipped_text
from warning_service.playbooks.reading import plain
from warning_service.roster import queries

log = structlog.get_logger()

FOR_HELP = "nishinomiya"
"""Whose duties and deadlines a call for help gets when a board's own cannot be read."""


class Playbooks:
    """Playbooks by board, read once."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._by_board: dict[str, Playbook] = {}

    def of(self, board: str) -> Playbook:
        """The board's playbook. Raises KeyError for an unknown board or playbook."""
        if board not in self._by_board:
            with self._database.reading() as conn:
                row = queries.board(conn, board)
            if row is None:
                raise KeyError(board)
            own = self._folder / f"{row.playbook}.toml"
            self._by_board[board] = (
                load_file(own)
                if row.playbook.isidentifier() and own.is_file()
                else shipped(row.playbook)
            )
        return self._by_board[board]

    def source_of(self, board: str) -> str:
        """The text of the file the board's playbook is read from. Raises KeyError as `of` does."""
        with self._database.reading() as conn:
            row = queries.board(conn, board)
        if row is None:
            raise KeyError(board)
        own = self._folder / f"{row.playbook}.toml"
        if row.playbook.isidentifier() and own.is_file():
            return plain(own.read_text("utf-8"))
        return shipped_text(row.playbook)

    def for_help(self, board: str) -> Playbook:
        """The board's playbook, or, when its file is broken, a shipped one to be told by.

        A comma in the wrong place must not keep a cry for help from reaching anybody. Only for
        telling people; what judges or decides asks `of` and stops. Raises KeyError for an unknown
        board, StorageUnavailable.
        """
        try:
            return self.of(board)
        except StorageUnavailable:
            raise
        except Exception as error:
            with self._database.reading() as conn:
                row = queries.board(conn, board)
            if row is None:
                raise
            log.error("playbook_broken", board=board, error=type(error).__name__)
            try:
                return shipped(row.playbook)
            except KeyError:
                return shipped(FOR_HELP)
