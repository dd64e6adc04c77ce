"""What stands on record of a few items, by child and day, kept up as the log grows.

Judging remembers single days for some weeks only; evaluation asks what was before and after, months
ago. So the few items it asks about are read from the log once and then only what is new. It is a
copy in memory of what the log says, corrections honoured and stopped uses forgotten, and it begins
again when rows were deleted. Children of refusing families are in it: the caller leaves them out,
because a refusal can be taken back.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import and_, or_, select

from warning_service.database import Database
from warning_service.events.tables import events
from warning_service.events.types import (
    LogShortened,
    ObservationCorrected,
    ObservationRecorded,
    UseStopped,
    decode,
    tag_of,
)

_WHOLE = tuple(tag_of(body) for body in (ObservationCorrected, UseStopped, LogShortened))

Days = dict[date, float]


@dataclass
class OnRecord:
    """The facts of one board. `values`: item -> child -> day -> value; `stopped`: item -> children.

    `first`: item -> the earliest day it was recorded on of anybody.
    """

    values: dict[str, dict[str, Days]] = field(default_factory=dict)
    stopped: dict[str, set[str]] = field(default_factory=dict)
    first: dict[str, date] = field(default_factory=dict)

    def days(self, item: str, student: str) -> Mapping[date, float]:
        """The days an item was recorded of a child."""
        return self.values.get(item, {}).get(student, {})


@dataclass
class _Read:
    items: dict[str, bool]
    position: int = 0
    found: OnRecord = field(default_factory=OnRecord)


class Recorded:
    """Reads the log for all boards. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._boards: dict[str, _Read] = {}
        self._lock = threading.Lock()

    def of(self, board: str, items: Mapping[str, bool]) -> OnRecord:
        """What is recorded of these items up to now.

        `items`: id -> do several values of one day add up (a count) or does the last one stand?
        What is given back is kept up to date in place: read it, do not change it.
        """
        with self._lock:
            held = self._boards.get(board)
            if held is None or any(held.items.get(item) != adds for item, adds in items.items()):
                held = _Read({**(held.items if held else {}), **items})
            if self._go_on(board, held):
                held = _Read(held.items)
                self._go_on(board, held)
            self._boards[board] = held
            return held.found

    def _go_on(self, board: str, held: _Read) -> bool:
        """Read what is new; True when rows were deleted since the first read."""
        begun, e = held.position > 0, events.c
        of_items = or_(*(e.body.contains(f'"item":"{item}"') for item in sorted(held.items)))
        query = (
            select(e.position, e.student, e.day, e.body)
            .where(e.board == board, e.position > held.position)
            .where(
                or_(
                    and_(e.type == tag_of(ObservationRecorded), of_items),
                    e.type.in_(_WHOLE),
                )
            )
            .order_by(e.position)
        )
        with self._database.reading() as conn:
            rows = conn.execute(query).all()
        for position, student, day, text in rows:
            body = decode(text)
            held.position = position
            if isinstance(body, LogShortened):
                if begun:
                    return True
            elif isinstance(body, ObservationRecorded) and body.item in held.items:
                _put(held, student, day, body)
            elif isinstance(body, ObservationCorrected) and body.item in held.items:
                _correct(held, student, day, body)
            elif isinstance(body, UseStopped):
                for item in body.items:
                    held.found.stopped.setdefault(item, set()).add(student)
                    held.found.values.get(item, {}).pop(student, None)
        return False


def _put(held: _Read, student: str, day: date, body: ObservationRecorded) -> None:
    found = held.found
    if student in found.stopped.get(body.item, ()):
        return
    found.first[body.item] = min(day, found.first.get(body.item, day))
    days = found.values.setdefault(body.item, {}).setdefault(student, {})
    days[day] = days.get(day, 0.0) + body.value if held.items[body.item] else body.value


def _correct(held: _Read, student: str, day: date, body: ObservationCorrected) -> None:
    days = held.found.values.get(body.item, {}).get(student)
    if days is None or day not in days:
        return
    if held.items[body.item]:
        days[day] += (body.value or 0.0) - body.was
    elif body.value is not None:
        days[day] = body.value
    if body.value is None and (not held.items[body.item] or not days[day]):
        del days[day]
