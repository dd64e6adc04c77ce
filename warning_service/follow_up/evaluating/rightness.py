"""How right a list was, counted after the fact.

A *hit* is a ranked child for whom the playbook's outcome began after the list date and within its
horizon (or, while the horizon is still running, by the day asked about). Children for whom it had
begun before and was not over cannot begin again and are left out on both sides. Beside the listed
children's rate stands the base rate of all ranked ones, because a rate alone says nothing.

A hit is not a success: support that works prevents the outcome and makes the list look wrong.

The full evaluation of every list is counted in lists.py and its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, literal_column, select

from models.shares import wilson
from warning_service.events.log import from_row
from warning_service.events.tables import events
from warning_service.events.types import OutcomeRecorded
from warning_service.judging.counted import Counted
from warning_service.judging.tables import list_scores, warning_lists
from warning_service.playbooks.model import Playbook
from warning_service.roster import queries as roster

__all__ = ["Rightness", "Spells", "how_right", "lists_between", "spells_of", "wilson"]


class Rightness(Counted, frozen=True, kw_only=True):
    """Counts over one or several lists of the same date span."""

    until: date  # outcomes known by the end of this day are counted
    complete: bool  # every list's horizon has passed


Spells = dict[str, list[tuple[date, date | None]]]


def spells_of(conn: Connection, board: str, outcome: str, known_by: date) -> Spells:
    """By student: when the outcome began and from when it was over, as known by that day."""
    query = (
        select(events)
        .where(events.c.board == board)
        # Literal, so that SQLite sees that the index of outcomes covers it.
        .where(events.c.type == literal_column("'outcome_recorded'"))
        .order_by(events.c.position)
    )
    latest: dict[tuple[str, date], date | None] = {}
    for row in conn.execute(query):
        event = from_row(row)
        body = event.body
        if not isinstance(body, OutcomeRecorded) or event.student is None:
            continue
        if body.outcome == outcome and body.known_on <= known_by:
            latest[event.student, event.on] = body.over_on
    found: Spells = {}
    for (student, began), over in latest.items():
        found.setdefault(student, []).append((began, over))
    return found


def how_right(
    conn: Connection, playbook: Playbook, lists: Sequence[Any], today: date
) -> Rightness | None:
    """How right these lists (rows of `warning_lists` of one board) were; None without lists.

    Children whose families refuse now are not counted.
    """
    if not lists:
        return None
    spells = spells_of(conn, lists[0].board, playbook.outcome.id, today)
    horizon = timedelta(days=playbook.outcome.horizon_days)
    counts = [0, 0, 0, 0]
    for row in lists:
        until = min(row.list_date + horizon, today)
        ranked = conn.execute(select(list_scores).where(list_scores.c.list_id == row.id)).all()
        refusing = roster.refusing(conn, {child.student for child in ranked})
        for child in ranked:
            if child.student in refusing:
                continue
            had = spells.get(child.student, ())
            if any(began <= row.list_date and _open(over, row.list_date) for began, over in had):
                continue
            hit = any(row.list_date < began <= until for began, _ in had)
            counts[0] += child.listed
            counts[1] += child.listed and hit
            counts[2] += 1
            counts[3] += hit
    last = max(row.list_date for row in lists)
    return Rightness(
        listed=counts[0],
        listed_hits=counts[1],
        ranked=counts[2],
        ranked_hits=counts[3],
        until=min(last + horizon, today),
        complete=last + horizon <= today,
    )


def _open(over: date | None, on: date) -> bool:
    return over is None or over > on


def lists_between(conn: Connection, board: str, first: date, last: date) -> list[Any]:
    """The board's published lists dated `first` to `last`, by date and school."""
    w = warning_lists
    return list(
        conn.execute(
            select(w)
            .where(w.c.board == board, w.c.list_date >= first, w.c.list_date <= last)
            .order_by(w.c.list_date, w.c.school)
        )
    )
