"""What another version makes of the lists that were published: told once, when it has derived all.

After an upgrade of a library (or a playbook with other columns) the models are derived again from
the log, and the lists of the past come out of that once more. They are not stored: what people were
shown stays. But whether the new version would have listed other children, and how far its scores
are from those of then, is what an operator wants to know of an upgrade. No child and no score is
told, only how many lists and the largest difference.

Lists that cannot come out again (made before a family's refusal or a deletion took effect) are left
out. rebuild.py compares every byte; this is for the moment in which nobody asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from warning_service.judging.deriving.gone import latest, shortened_at
from warning_service.judging.publish import Published
from warning_service.judging.tables import list_scores


class Compared(NamedTuple):
    """`others`: lists on which other children would be; `largest` difference of two scores."""

    lists: int
    others: int
    scores: int
    largest: float


def compared(conn: Connection, board: str, made: Sequence[Published], until: int) -> Compared:
    """Lists as they come out of the log up to position `until`, beside the published ones."""
    after = max(latest(conn, board).since, shortened_at(conn, board, until))
    lists = others = scores = 0
    largest = 0.0
    t = list_scores.c
    for one in made:
        if one.row["as_of"] <= after:
            continue
        query = select(t.student, t.score, t.listed).where(t.list_id == one.row["id"])
        held = {row.student: (row.score, row.listed) for row in conn.execute(query)}
        now = {row["student"]: (row["score"], row["listed"]) for row in one.scores}
        both = held.keys() & now.keys()
        if not both:
            continue
        lists += 1
        scores += len(both)
        others += any(held[key][1] != now[key][1] for key in both)
        largest = max(largest, *(abs(held[key][0] - now[key][0]) for key in both))
    return Compared(lists, others, scores, largest)
