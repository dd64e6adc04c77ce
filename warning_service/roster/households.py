"""Which children live together, for judging: a random key for each household, and nothing else.

The 世帯番号 of a register stays in the roster's names; what leaves is a key that was drawn by lot
for it, so that neither the log nor a model ever holds a number a register could be searched by.
`students.home` has the key of the child's present number; `households` says which key the log was
told of last, written together with the event, so that an import cut off in between is mended by the
next. Whom a child lives with is a fact of a register: it says nothing of how they live.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select

from warning_service.database import upsert
from warning_service.events.log import UnitOfWork
from warning_service.events.types import HouseholdKnown, NewEvent, new_id
from warning_service.roster import tables as t


def keys_for(
    conn: Connection, board: str, numbers: Iterable[str], make_key: Any
) -> Mapping[str, str]:
    """世帯番号 -> the household's key, for those of a board; new ones are drawn. '' has none."""
    s = t.students.c
    found = {"": ""}
    for row in conn.execute(
        select(s.household, s.home).where(s.board == board, s.home != "").distinct()
    ):
        found[row.household] = row.home
    for number in numbers:
        if number not in found:
            found[number] = make_key()
    return found


class Move(NamedTuple):
    """A child's household as the log knows it, and as it is now; '' for none."""

    before: str
    now: str


def untold(conn: Connection, students: Iterable[str]) -> dict[str, Move]:
    """Those of these children whose household the log does not know. Reads only."""
    h, s = t.households.c, t.students.c
    wanted = sorted(students)
    told: dict[str, str] = {}
    now: dict[str, str] = {}
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        known = conn.execute(select(h.student, h.household).where(h.student.in_(part)))
        told |= dict(known.tuples().all())
        held = conn.execute(select(s.student, s.home).where(s.student.in_(part)))
        now |= dict(held.tuples().all())
    return {
        one: Move(told.get(one, ""), now.get(one, ""))
        for one in wanted
        if told.get(one, "") != now.get(one, "")
    }


def tell(
    unit: UnitOfWork,
    board: str,
    moves: Mapping[str, Move],
    since: Mapping[str, date],
    actor: str,
) -> None:
    """Tell the log of these children's households. `since`: student -> from which day."""
    if not moves:
        return
    rows = [
        {"student": one, "board": board, "household": move.now, "from_day": since[one]}
        for one, move in moves.items()
    ]
    unit.conn.execute(upsert(unit.conn, t.households, ["student"]), rows)
    for one, move in moves.items():
        day = since[one]
        unit.append(
            NewEvent(
                # Not derived: what is told is kept with it, and a number may be put wrong twice.
                id=new_id(),
                board=board, student=one, on=day, actor=actor,
                body=HouseholdKnown(household=move.now),
            )
        )  # fmt: skip


def siblings(conn: Connection, student: str) -> list[str]:
    """Keys of the other children of the child's household, sorted; random keys, no names."""
    h = t.households
    mine = select(h.c.household, h.c.board).where(
        h.c.student == bindparam("s"), h.c.household != ""
    )
    row = conn.execute(mine, {"s": student}).one_or_none()
    if row is None:
        return []
    others = select(h.c.student).where(
        h.c.household == row.household, h.c.board == row.board, h.c.student != student
    )
    return sorted(conn.execute(others).scalars())
