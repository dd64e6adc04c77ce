"""What children say of themselves beside what the school has on record: two views, never one.

For each child that answered within the windows of the playbook: does any answer reach the mark the
playbook gives it, and does any of the school's own records? The table of the two is shown as it is;
a child that only one of them sees is the finding. Read from the states judging keeps, as of the
last closed day, so it is about now and not about a list; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import msgspec
from sqlalchemy import Connection, select

from models.agreement import Agreement
from models.items import WINDOW
from models.student_state import ItemHistory, StudentState, from_bytes
from warning_service.judging.tables import feature_states
from warning_service.playbooks.model import Playbook
from warning_service.roster import queries as roster

ANSWER = "q."


class Mark(msgspec.Struct, frozen=True):
    """From where on an item is remarkable: its sum (mean, of a measure) over `window` days."""

    item: str
    at: float
    window: int
    mean: bool
    low: bool


class Views(msgspec.Struct, frozen=True, kw_only=True):
    """`table`: first the children's own answers, second the school's records. `silent`: children
    on the roll without an answer in time, who are in no cell. `schools`: school -> its own table.
    """

    table: Agreement
    schools: Mapping[str, Agreement]
    silent: int
    answers: int  # questions that have a mark
    records: int  # the school's own items that have one


def marks(playbook: Playbook) -> tuple[list[Mark], list[Mark]]:
    """(of answers, of the school's own records); other departments' items are neither.

    Where points judge, an item that gives none is not remarkable at any value.
    """
    known = playbook.catalogue_items()
    said, seen = [], []
    for use in playbook.items:
        if playbook.judgement.method == "points" and not use.points:
            continue
        item = known.get(use.id)
        if item is None:
            said.append(Mark(use.id, use.at, use.window_days, mean=True, low=False))
        elif item.department == "school":
            mean, low = item.kind == "measure", item.worse == "low"
            seen.append(Mark(use.id, use.at, use.window_days, mean=mean, low=low))
    return said, seen


def views(conn: Connection, board: str, playbook: Playbook, today: date) -> Views | None:
    """The two views of the children on the roll today; None when one of them has no mark at all.

    Children of refusing families have no state and are not counted.
    """
    said, seen = marks(playbook)
    if not said or not seen:
        return None
    f, day = feature_states.c, today.toordinal() - 1
    rows = conn.execute(
        select(f.student, f.state).where(f.board == board).order_by(f.student)
    ).all()
    refusing = roster.refusing(conn, {row.student for row in rows})
    counts: dict[str, list[int]] = {}
    silent = 0
    for row in rows:
        state = from_bytes(row.state)
        place = state.spell_on(day + 1)
        if place is None or row.student in refusing:
            continue
        if not any(_days(state, mark, day) for mark in said):
            silent += 1
            continue
        own = any(reached(state, mark, day) for mark in said)
        others = any(reached(state, mark, day) for mark in seen)
        cell = 2 * (not own) + (not others)  # both, first only, second only, neither
        counts.setdefault(place.school, [0, 0, 0, 0])[cell] += 1
    schools = {school: _table(cells) for school, cells in sorted(counts.items())}
    whole = [sum(cells[at] for cells in counts.values()) for at in range(4)]
    return Views(
        table=_table(whole), schools=schools, silent=silent, answers=len(said), records=len(seen)
    )


def reached(state: StudentState, mark: Mark, day: int) -> bool:
    """Is the item's sum or mean at the mark or worse, as of the end of `day`? Nothing is not."""
    values = _days(state, mark, day)
    if mark.mean and not values:
        return False
    found = sum(values) / len(values) if mark.mean else sum(values)
    return found <= mark.at if mark.low else found >= mark.at


def _days(state: StudentState, mark: Mark, day: int) -> list[float]:
    held = state.items.get(mark.item, ItemHistory())
    first = day - (mark.window or WINDOW)
    return [v for on, v in zip(held.days, held.values, strict=True) if first < on <= day]


def _table(cells: list[int]) -> Agreement:
    return Agreement(both=cells[0], first_only=cells[1], second_only=cells[2], neither=cells[3])
