"""One file's import while it runs: where it goes, and what became of each row so far.

A kind's `take` looks at every row, writes the good ones and says what became of each; what it says
nothing about is a bug, and the importer's count finds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal, Protocol

from connectors.records.cells import Cells
from warning_service.access.sealing import Sealer
from warning_service.clock import Clock
from warning_service.database import Database
from warning_service.events.log import Log
from warning_service.roster.service import KeyMaker

Fate = Literal["new", "known", "opted_out", "not_counted"]


class ImportRooms(Protocol):
    """What an import needs of an installation; `warning_service.rooms.Rooms` has it."""

    @property
    def database(self) -> Database:
        """Where everything is."""

    @property
    def log(self) -> Log:
        """Where events go."""

    @property
    def clock(self) -> Clock:
        """What day it is."""

    @property
    def sealer(self) -> Sealer:
        """Makes a new child's data key."""


@dataclass
class Job:
    """One file on its way in. `fates`: row number -> what became of a good row."""

    rooms: ImportRooms
    board: str
    actor: str
    today: date
    make_key: KeyMaker
    fates: dict[int, Fate] = field(default_factory=dict)

    def settle(self, cells: Cells, fate: Fate) -> None:
        """Say what became of a row; a row that became several things is new if one of them is."""
        held = self.fates.get(cells.row.number)
        if held != "new":
            self.fates[cells.row.number] = fate
