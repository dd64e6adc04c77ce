"""The school's register: children, their class, their number in it → roster and enrolments.

One row is one child's place from a day on (基準日 or 異動日), or with 異動区分 転出/卒業 its
leaving. A class is named by school, school year, grade and room; it is made when first met. A child
already known keeps its key, its data key and its sign-in secret. A row older than what the roll
knows is refused instead of turning the clock back.

New children have no sign-in secret yet; `roster.bulk.set_child_secrets` gives them one. Children
of nurseries and at home (年長, 3歳児 …) have a place on the roll and a household, but no number to
sign in with. A file without 世帯番号 leaves the households as they are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import select

from connectors.records.cells import Cells
from connectors.records.job import Job
from connectors.records.places import Schools
from warning_service.roster import bulk, grades, households, service
from warning_service.roster import tables as t
from warning_service.roster.calendar import school_year_of

_STATUS = {
    "在籍": "in", "入学": "in", "転入": "in", "編入": "in", "進級": "in",
    "転出": "out", "退学": "out", "卒業": "out", "除籍": "out",
}  # fmt: skip
_SEX = {"男": "male", "女": "female", "男子": "male", "女子": "female", "その他": "", "-": ""}


class Entry(msgspec.Struct, frozen=True):
    """A good row: the child as the register names it, and its place (without a key yet)."""

    cells: Cells
    person: Mapping[str, Any]
    place: bulk.Place
    seat: int


def take(job: Job, _kind: str, rows: list[Cells]) -> None:
    """Take in a register. Raises StorageUnavailable; a second import then completes the first."""
    with job.rooms.database.reading() as conn:
        schools = Schools(conn, job.board)
        roll = bulk.Roll(conn, job.board)
        s = t.students
        held = {row.number: row for row in conn.execute(select(s).where(s.c.board == job.board))}
    entries = _entries(rows, schools)
    entries = _check(entries, roll, {number: row.student for number, row in held.items()})
    entries = [_with_household(e, held.get(str(e.person["number"]))) for e in entries]
    fresh = [e for e in entries if _differs(e.person, held.get(str(e.person["number"])))]
    keys = {number: row.student for number, row in held.items()}
    # Identity first, in transactions of its own: see roster/service.py.
    keys |= service.student_keys(
        job.rooms.database, job.board, [e.person for e in fresh], job.make_key
    )
    job.rooms.sealer.make_keys(
        [keys[n] for e in fresh if (n := str(e.person["number"])) not in held]
    )
    entries = [
        msgspec.structs.replace(
            e,
            place=msgspec.structs.replace(e.place, student=keys[str(e.person["number"])]),
        )
        for e in entries
    ]
    _put_classes(job, entries)
    bulk.put_seats(job.rooms.database, _moved_seats(job, entries))
    steps = [(e, roll.step(e.place)) for e in entries]
    moving = [e.place for e, step in steps if step in ("enrol", "leave")]
    since = {e.place.student: e.place.on for e in entries}
    with job.rooms.database.reading() as conn:
        moves = households.untold(conn, since)
    if moving or moves:
        with job.rooms.log.unit_of_work() as unit:
            bulk.place_many(unit, job.board, roll, moving, job.actor)
            households.tell(unit, job.board, moves, since, job.actor)
    for e, step in steps:
        job.settle(e.cells, "known" if step == "known" else "new")


def _entries(rows: list[Cells], schools: Schools) -> list[Entry]:
    found: list[Entry] = []
    numbers: set[str] = set()
    seats: set[tuple[str, int]] = set()
    for cells in rows:
        number = cells.number()
        family, given, family_kana, given_kana = _names(cells)
        born = cells.fact_day("born")
        sex = cells.choice("sex", _SEX, required=False)
        leaves = cells.choice("status", _STATUS, required=False) == "out"
        school = schools.read(cells, required=not leaves)
        young = school is not None and school.stage in grades.PLACES_BEFORE_SCHOOL
        grade = _grade(cells, young=young) if not leaves else 0
        room = cells.text("room", required=not leaves and not young)
        seat = cells.whole("seat", 1, 99) if not leaves and not young else 0
        on = cells.day("on")
        if number and number in numbers:
            cells.wrong(
                "number",
                "同じ番号の行がこのファイルにもうあります",
                "the file has this number already",
            )
        class_id = ""
        if young and school is not None and not leaves and not cells.bad:
            class_id = class_id_of(school.id, school_year_of(on), grade, room or "0")
        elif school is not None and not leaves and not cells.bad:
            top = 3 if school.stage == "junior_high" else 6
            if grade > top:
                # Some registers count junior high on from primary: 7, 8, 9.
                if school.stage == "junior_high" and grade > 6:
                    grade -= 6
                else:
                    cells.wrong("grade", "その学校にない学年です", "no such grade at that school")
            class_id = class_id_of(school.id, school_year_of(on), grade, room)
            if (class_id, seat) in seats:
                cells.wrong(
                    "seat", "同じ組に同じ出席番号があります", "that number is taken in that class"
                )
        if cells.bad:
            continue
        numbers.add(number)
        if seat:
            seats.add((class_id, seat))
        stage = 6 if school is not None and school.stage == "junior_high" else 0
        found.append(
            Entry(
                cells,
                {
                    "number": number,
                    "family_name": family, "given_name": given,
                    "family_kana": family_kana, "given_kana": given_kana,
                    "born": born, "sex": sex,
                    "household": cells.text("household", required=False),
                },
                bulk.Place(
                    student="", on=on, grade=grade + stage, class_id=class_id,
                    school=school.id if school is not None else "",
                ),
                seat,
            )
        )  # fmt: skip
    return found


def _grade(cells: Cells, *, young: bool) -> int:
    """The grade as on the door of a school; 0 and below at a nursery or at home."""
    if not young:
        return cells.whole("grade", 1, 9)
    found = grades.before_school(cells.text("grade"))
    if found is None:
        cells.wrong(
            "grade", "年長・年中・年少か、何歳児かではありません", "not a class before school"
        )
    return found or 0


def _with_household(entry: Entry, held: Any | None) -> Entry:
    """A file without the column does not take a household away."""
    if entry.cells.has("household") or held is None:
        return entry
    return msgspec.structs.replace(entry, person={**entry.person, "household": held.household})


def class_id_of(school: str, school_year: int, grade: int, room: str) -> str:
    """The id of a class. `grade` as on the door (junior high: 1-3; before school: 年長 is y0)."""
    door = str(grade) if grade >= grades.FIRST else f"y{-grade}"
    return f"{school}-{school_year % 100:02d}-{door}-{room}"


def _names(cells: Cells) -> tuple[str, str, str, str]:
    if cells.has("family_name") and cells.has("given_name"):
        family, given = cells.name("family_name"), cells.name("given_name")
    else:
        family, _, given = cells.name("name").replace("\u3000", " ").partition(" ")
        if family and not given.strip():
            cells.wrong(
                "name", "姓と名の間に空白がありません", "no space between family and given name"
            )
    if cells.has("family_kana"):
        family_kana, given_kana = cells.kana("family_kana"), cells.kana("given_kana")
    else:
        family_kana, _, given_kana = cells.kana("kana").replace("\u3000", " ").partition(" ")
    return family, given.strip(), family_kana, given_kana.strip()


def _check(entries: list[Entry], roll: bulk.Roll, keys: Mapping[str, str]) -> list[Entry]:
    """Refuse rows that contradict the roll: leaving without having come, older than known."""
    for e in entries:
        student = keys.get(str(e.person["number"]))
        if student is None:
            if not e.place.class_id:
                e.cells.wrong(
                    "number", "名簿にいない番号です", "no child on the roll has this number"
                )
            continue
        if roll.step(msgspec.structs.replace(e.place, student=student)) == "stale":
            e.cells.wrong(
                "on",
                "これより新しい在籍がもうあります",
                "the roll has a newer entry for this child",
            )
    return [e for e in entries if not e.cells.bad]


def _differs(person: Mapping[str, Any], held: Any | None) -> bool:
    if held is None or (held.household and not held.home):  # known since before households had keys
        return True
    return any(getattr(held, field) != value for field, value in person.items())


def _put_classes(job: Job, entries: list[Entry]) -> None:
    rows = {}
    for e in entries:
        if not e.place.class_id:
            continue
        year = school_year_of(e.place.on)
        grade = e.place.grade - (6 if e.place.grade > 6 else 0)
        room = e.cells.text("room", required=False)
        rows[e.place.class_id] = {
            "id": e.place.class_id,
            "school": e.place.school,
            "school_year": year,
            "grade": e.place.grade,
            "name": f"{grade}年{room}組"
            if grade >= grades.FIRST
            else f"{grades.in_words(grade)[0]} {room}".strip(),
        }
    with job.rooms.database.writing() as conn:
        codes = service.class_codes(conn, list(rows))
        service.put_rows(
            conn, t.classes, ["id"], [{**row, "code": codes[key]} for key, row in rows.items()]
        )


def _moved_seats(job: Job, entries: list[Entry]) -> list[bulk.Seat]:
    wanted = [bulk.Seat(e.place.student, e.place.class_id, e.seat) for e in entries if e.seat]
    p = t.seats
    with job.rooms.database.reading() as conn:
        rooms = sorted({seat.class_id for seat in wanted})
        held: set[tuple[str, str, int]] = set()
        for start in range(0, len(rooms), 500):
            part = rooms[start : start + 500]
            held |= {
                (row.student, row.class_id, row.seat)
                for row in conn.execute(select(p).where(p.c.class_id.in_(part)))
            }
    return [seat for seat in wanted if (seat.student, seat.class_id, seat.seat) not in held]
