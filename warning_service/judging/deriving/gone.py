"""What the models must not hold, and whether they do: read from the log and from `derivations`.

Two kinds of events ask for the models to be derived again: a family's decision (a refusal, the end
of an item's use) and a deletion from the log itself. This module only answers what was asked for
when; removal.py does the work.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, select

from warning_service.events.log import from_row
from warning_service.events.tables import ASKS_FOR_DERIVATION, events
from warning_service.events.types import Event, LogShortened, OptOutRecorded, UseStopped
from warning_service.judging.judge import Gone
from warning_service.judging.tables import derivations


class Derivation(NamedTuple):
    """In use from position `since` on, without what was refused or deleted up to `began`."""

    since: int
    began: int


def all_of(conn: Connection, board: str) -> list[Derivation]:
    """Those that came into use, oldest first."""
    t = derivations
    rows = conn.execute(select(t).where(t.c.board == board, t.c.since > 0).order_by(t.c.since))
    return [Derivation(row.since, row.began) for row in rows]


def latest(conn: Connection, board: str) -> Derivation:
    """The one in use; (0, 0) when the models never were derived again."""
    return max(all_of(conn, board), default=Derivation(0, 0))


def running(conn: Connection, board: str) -> int | None:
    """Where the one that is being made began; None when none is."""
    t = derivations
    return conn.execute(
        select(t.c.began).where(t.c.board == board, t.c.since == 0)
    ).scalar_one_or_none()


def asks(conn: Connection, board: str, after: int, until: int) -> list[Event]:
    """Events after one position and up to another that ask for the models to be derived again."""
    query = (
        select(events)
        .where(events.c.board == board, events.c.type.in_(ASKS_FOR_DERIVATION))
        .where(events.c.position > after, events.c.position <= until)
        .order_by(events.c.position)
    )
    found = [from_row(row) for row in conn.execute(query)]
    return [e for e in found if not isinstance(e.body, LogShortened) or e.body.judged]


def shortened_at(conn: Connection, board: str, until: int) -> int:
    """Position of the last deletion from the log that judging would notice; 0 for none."""
    found = asks(conn, board, 0, until)
    return max((e.position for e in found if isinstance(e.body, LogShortened)), default=0)


def gone_by(conn: Connection, board: str, until: int) -> Gone:
    """What families had decided up to a position.

    A refusal takes out what came before it for good: taking it back brings the child back from
    that day on, not what was before.
    """
    students: dict[str, int] = {}
    items: dict[str, frozenset[str]] = {}
    for event in asks(conn, board, 0, until):
        if isinstance(event.body, OptOutRecorded) and event.student:
            students[event.student] = event.position
        elif isinstance(event.body, UseStopped) and event.student:
            items[event.student] = items.get(event.student, frozenset()) | set(event.body.items)
    return Gone(students, items)
