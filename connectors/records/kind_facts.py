"""Facts about children: absences, nurse's office, check-ups, welfare extracts → observations.

Each good row becomes one or a few `ObservationRecorded`. The event's id is made from the board, the
item, the child's number, the day and the value, so the same fact in the same or another file is the
same event. A changed value is another fact: what was handed over before stays in the log; a family
can have it corrected, which appends what is right (rights/amend.py).

What the numbers weigh is the playbook's; who may see them is the catalogue's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date
from functools import lru_cache

import msgspec
from sqlalchemy import select

from connectors.records.cells import Cells
from connectors.records.job import Job
from warning_service.catalogue.items import all_items
from warning_service.events.tables import events as events_table
from warning_service.events.types import NewEvent, ObservationRecorded, derived_id
from warning_service.rights.amend import stopped_of
from warning_service.roster import tables as roster

BATCH = 2000
"""Events in one transaction: check-ins wait for it, so it is kept to some tens of milliseconds."""

_ATTENDANCE = {
    "欠席": "absent_days", "病欠": "absent_days", "事故欠": "absent_days", "×": "absent_days",
    "遅刻": "late_days", "早退": "early_leave_days",
    "遅刻・早退": "late_days early_leave_days", "遅刻早退": "late_days early_leave_days",
    "出席": "-", "出席停止": "-", "忌引": "-",
}  # fmt: skip
_WELFARE = {
    **{i.label: i.id for i in all_items().values() if i.extract == "welfare" and i.kind == "flag"},
    "要対協登録": "youtaikyo_case", "要対協": "youtaikyo_case",
    "生活保護": "public_assistance",
    "児童扶養手当": "child_allowance",
    "身体障害者手帳等": "disability_certificate", "身体障害者手帳": "disability_certificate",
    "療育手帳": "disability_certificate",
    "精神障害者保健福祉手帳": "mental_certificate",
}  # fmt: skip
_EYESIGHT = {"A": "0", "B": "1", "C": "1", "D": "1"}


class Fact(msgspec.Struct, frozen=True):
    """One fact of a row. `again` tells apart what may happen several times a day (a time)."""

    item: str
    value: float
    on: date
    again: str = ""


def _attendance(cells: Cells) -> list[Fact]:
    on = cells.fact_day("on")
    items = cells.choice("what", _ATTENDANCE)
    return [Fact(item, 1.0, on) for item in items.split() if item != "-"]


def _nurse(cells: Cells) -> list[Fact]:
    return [Fact("nurse_visits", 1.0, cells.fact_day("on"), cells.text("time", required=False))]


def _health(cells: Cells) -> list[Fact]:
    on = cells.fact_day("on")
    facts = []
    weight = cells.amount("weight", 0, 100, required=False)
    if weight is not None:
        facts.append(Fact("weight_percentile", weight, on))
    eyes = [cells.choice(eye, _EYESIGHT, required=False) for eye in ("right", "left")]
    if "1" in eyes:
        facts.append(Fact("eyesight_low", 1.0, on))
    return facts


def _dental(cells: Cells) -> list[Fact]:
    return [Fact("dental_untreated", cells.whole("untreated", 0, 32), cells.fact_day("on"))]


def _welfare(cells: Cells) -> list[Fact]:
    on = cells.fact_day("on")
    return [Fact(item, 1.0, on) for item in cells.choice("what", _WELFARE).split()]


def _infant_checks(cells: Cells) -> list[Fact]:
    on = cells.fact_day("on")
    days = [cells.day(field, required=False) for field in ("check_1", "check_2", "check_3")]
    return [Fact("infant_check_missed", float(sum(day == date.min for day in days)), on)]


def _item(cells: Cells) -> list[Fact]:
    """Any item of the catalogue, by its label or id: sheets, questionnaires, registers."""
    on, item = cells.fact_day("on"), cells.choice("item", _items())
    if not item:
        return []
    kind = all_items()[item].kind
    if kind == "count":
        amount: float | None = cells.whole("value", 0, 366)
    else:
        required = kind == "measure"
        amount = cells.amount("value", 0, 1000 if required else 1, required=required)
        if amount is None and not required and not cells.text("value", required=False):
            amount = 1.0  # it is on record
    if amount is None or (not amount and kind != "measure"):
        return []
    return [Fact(item, amount, on)]


@lru_cache(maxsize=1)
def _items() -> dict[str, str]:
    """Label or id, as cells are compared -> the item."""
    labels = {unicodedata.normalize("NFKC", i.label): i.id for i in all_items().values()}
    return labels | {item: item for item in all_items()}


READERS: dict[str, Callable[[Cells], list[Fact]]] = {
    "attendance": _attendance,
    "nurse": _nurse,
    "health": _health,
    "dental": _dental,
    "welfare": _welfare,
    "infant_checks": _infant_checks,
    "items": _item,
}


def take(job: Job, kind: str, rows: list[Cells]) -> None:
    """Take in rows of facts; see the module's head. Raises StorageUnavailable."""
    students, refusing, stopped = _children(job)
    seen: set[tuple[str, ...]] = set()
    ready: list[tuple[Cells, list[NewEvent]]] = []
    for cells in rows:
        number = cells.number()
        facts = READERS[kind](cells)
        student = students.get(number)
        if student is None and number:
            cells.wrong("number", "名簿にいない番号です", "no child on the roll has this number")
        keys = {(number, f.item, f.on.isoformat(), f.again) for f in facts}
        if not cells.bad and keys & seen:
            cells.wrong(
                "", "同じ内容の行がこのファイルにもうあります", "the file has this row already"
            )
        if cells.bad or student is None:
            continue
        seen |= keys
        used = [fact for fact in facts if (student, fact.item) not in stopped]
        if student in refusing or (facts and not used):
            job.settle(cells, "opted_out")
        elif not facts:
            job.settle(cells, "not_counted")
        else:
            ready.append((cells, [_event(job, number, student, kind, fact) for fact in used]))
    for start in range(0, len(ready), BATCH):
        _append(job, ready[start : start + BATCH])


def _children(job: Job) -> tuple[dict[str, str], set[str], set[tuple[str, str]]]:
    s, o = roster.students, roster.opt_outs
    with job.rooms.database.reading() as conn:
        students = {
            row.number: row.student
            for row in conn.execute(select(s.c.number, s.c.student).where(s.c.board == job.board))
        }
        refusing = conn.execute(
            select(o.c.student).where(o.c.board == job.board, o.c.until_at.is_(None))
        ).scalars()
        return students, set(refusing), stopped_of(conn, job.board)


def _event(job: Job, number: str, student: str, kind: str, fact: Fact) -> NewEvent:
    day = fact.on.isoformat()
    return NewEvent(
        id=derived_id(
            "observation", job.board, fact.item, number, day, f"{fact.value:g}", fact.again
        ),
        board=job.board,
        student=student,
        on=fact.on,
        actor=job.actor,
        # The kind of file, not its name: the same fact from another file is the same event.
        body=ObservationRecorded(item=fact.item, value=fact.value, source=kind),
    )


def _append(job: Job, part: list[tuple[Cells, list[NewEvent]]]) -> None:
    """One transaction: what is in the log already is left out, the rest goes in."""
    ids = [event.id for _, events in part for event in events]
    column = events_table.c.id
    with job.rooms.log.unit_of_work() as unit:
        held: set[str] = set()
        for start in range(0, len(ids), 500):
            chunk = ids[start : start + 500]
            held.update(unit.conn.execute(select(column).where(column.in_(chunk))).scalars())
        fresh = [
            (cells, [event for event in events if event.id not in held]) for cells, events in part
        ]
        unit.append(*(event for _, events in fresh for event in events))
    for cells, events in fresh:
        job.settle(cells, "new" if events else "known")
