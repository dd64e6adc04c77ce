"""What a judge hands out after it has taken in events, what thinking has cost, and its book.

Nothing is decided here; consumer.py turns it into rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from warning_service.events.types import NewEvent
from warning_service.judging.publish import Published


@dataclass
class Changes:
    """What happened since it was last collected. Days are ordinals.

    `students`: whose state or place on the roll changed; `moved`: those of them who refused or came
    back, so that what is stored on the other side has to go.
    """

    students: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    blocks: dict[int, bytes] = field(default_factory=dict)
    settled: list[int] = field(default_factory=list)
    lists: list[Published] = field(default_factory=list)
    events: list[NewEvent] = field(default_factory=list)
    model_at: int = 0
    memory_at: int = 0
    challenger_at: int = 0
    watch_at: int = 0
    book_at: int = 0
    pool_at: int = 0

    def learned(self, position: int) -> None:
        """A day's labels were learned: everything that learns has changed."""
        self.model_at = self.memory_at = self.challenger_at = self.watch_at = position


@dataclass
class Spent:
    """CPU seconds spent thinking, by what for, and labels learned from.

    `challenger`: all that the challenger costs; the others are without it.
    """

    learning: float = 0.0
    scoring: float = 0.0
    challenger: float = 0.0
    labels: int = 0


class Book(msgspec.Struct, array_like=True):
    """Bookkeeping of a board: the last closed day, last list dates. No log positions.

    `listed`: by school, '' for the board's when children are picked from all of it together.
    `by_model`: the same of those schools whose last list the model made.
    `alike`: item -> its weight, for a playbook that judges by similarity.
    """

    closed: int = 0
    listed: dict[str, int] = {}
    by_model: dict[str, int] = {}
    alike: dict[str, float] = {}
