"""Sheets on a child: each side fills its section, every version stays, somebody checks the whole.

What was entered is sealed with the child's key, together with the words that stood beside it then,
so that a sheet can be read as it was filled after the playbook has changed. Who may read a section
is the playbook's to say (playbooks/sheets.py); which side somebody looks from is the gateway's.

A sheet is not an input of any score, and none is filled by the service: a fact on record is shown
beside a field and never put into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from warning_service.access.gateway import Gateway, NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import OFFICES, Ability, Place
from warning_service.access.sealing import CannotOpen, Sealer
from warning_service.database import insert_new
from warning_service.events.log import Log
from warning_service.events.types import NewEvent, SheetFilled, new_id
from warning_service.follow_up import cases, sheet_rows
from warning_service.follow_up.tables import sheets as rows_of_sheets
from warning_service.judging import queries as judging
from warning_service.playbooks.service import Playbooks
from warning_service.playbooks.sharing import Side
from warning_service.playbooks.sheets import By, Section, Sheet, SheetField
from warning_service.roster import queries as roster

FILLS: dict[Side, By] = {Side.SCHOOL: "school", Side.BOARD: "centre", Side.WELFARE: "welfare"}
"""What a side is called in a playbook."""
CHECKED = ""
"""In the place of a section's id: the whole was checked."""
YES, NO = "yes", "no"
LARGEST = 1e9


class Unfit(ValueError):
    """What was entered does not fit; nothing was stored. `fields`: id -> number, range, choice,
    longest; or `section`/`changed` for the whole (somebody else filled it meanwhile).
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(f"the sheet was not stored: {sorted(set(fields.values()))}")
        self.fields = dict(fields)


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """A section as it was last filled. `words`: label -> value in words, as of then."""

    version: int
    author: str
    at: datetime
    about: str
    values: dict[str, str] = {}
    words: dict[str, str] = {}
    lost: bool = False  # cannot be opened any more


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A child's sheet as one reader may see it: its sections in order, filled or not yet."""

    student: str
    sheet: Sheet
    side: By
    sections: list[tuple[Section, Filled | None]]
    earlier: dict[str, list[Filled]]  # section -> versions before the last, newest first
    checked: Filled | None  # None while not, or not since the last change
    may_check: bool

    @property
    def complete(self) -> bool:
        """Is every section the reader sees filled?"""
        return all(filled is not None for _, filled in self.sections)


def entered(section: Section, given: Mapping[str, str]) -> dict[str, str]:
    """What was entered, by field id, without empty fields, in a form that stays the same.

    Raises Unfit, naming each field that does not fit.
    """
    found: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for field in section.fields:
        text = given.get(field.id, "").replace("\r\n", "\n").strip()
        if not text:
            continue
        problem, value = _value(field, text)
        if problem:
            wrong[field.id] = problem
        else:
            found[field.id] = value
    if wrong:
        raise Unfit(wrong)
    return found


def _value(field: SheetField, text: str) -> tuple[str, str]:
    if field.kind == "choice":
        known = {c.id for c in field.choices}
        by_words = {word: c.id for c in field.choices for word in (c.label, c.label_en)}
        chosen = text if text in known else by_words.get(text, "")
        return ("", chosen) if chosen else ("choice", "")
    if field.kind == "yes_no":
        said = {YES: YES, "はい": YES, "Yes": YES, NO: NO, "いいえ": NO, "No": NO}.get(text, "")
        return ("", said) if said else ("choice", "")
    if field.kind == "number":
        try:
            number = float(text)
        except ValueError:
            return "number", ""
        low = field.least is not None and number < field.least
        high = field.most is not None and number > field.most
        if low or high or not abs(number) <= LARGEST:  # also what is no number at all
            return "range", ""
        return "", str(int(number) if number.is_integer() else number)
    return ("longest", "") if len(text) > field.longest else ("", text)


def in_words(field: SheetField, value: str, lang: str = "ja") -> str:
    """A value as people read it."""
    if field.kind == "yes_no":
        words = {YES: ("はい", "Yes"), NO: ("いいえ", "No")}.get(value, (value, value))
        return words[lang == "en"]
    for choice in field.choices:
        if choice.id == value:
            return choice.label_en if lang == "en" else choice.label
    return value


class Sheets:
    """Fills and reads the sheets of one installation."""

    def __init__(self, log: Log, sealer: Sealer, playbooks: Playbooks, gateway: Gateway) -> None:
        self._log = log
        self._sealer = sealer
        self._playbooks = playbooks
        self._gateway = gateway

    def sheet(self, board: str, sheet_id: str) -> Sheet:
        """A sheet of the board's playbook. Raises NotYours when there is none of that id."""
        for one in self._playbooks.of(board).sheets:
            if one.id == sheet_id:
                return one
        raise NotYours

    def held(
        self, who: Principal, student: str, sheet_id: str, *, using: Ability = Ability.FILL_SHEETS
    ) -> Held:
        """A child's sheet, the sections the asker's side may read. Raises NotYours.

        The look is for the caller to put on the trail, who shows the child's name with it.
        """
        sheet = self.sheet(who.board, sheet_id)
        with self._log.database.reading() as conn:
            side = self._side(conn, who, student, using)
            rows = _rows(conn, student, sheet_id)
        sections = sheet.read_by(side)
        by_section: dict[str, list[Any]] = {}
        for row in rows:
            by_section.setdefault(row.section, []).append(row)
        last_change = max((row.at for row in rows if row.section != CHECKED), default=None)
        last_check = next(iter(by_section.get(CHECKED, [])), None)
        good = last_check is not None and (last_change is None or last_check.at >= last_change)
        opened = {s.id: [self._open(row) for row in by_section.get(s.id, [])] for s in sections}
        return Held(
            student=student,
            sheet=sheet,
            side=side,
            sections=[(s, next(iter(opened[s.id]), None)) for s in sections],
            earlier={s.id: opened[s.id][1:] for s in sections},
            checked=self._open(last_check) if good else None,
            may_check=sheet.checked_by == side and last_change is not None and not good,
        )

    def fill(
        self,
        who: Principal,
        student: str,
        sheet_id: str,
        section_id: str,
        given: Mapping[str, str],
        *,
        seen: int = -1,
    ) -> int:
        """Store a section as a new version; return it. The same values again store nothing.

        `seen`: the version the asker had before it; another one since then is Unfit ("changed").
        Raises NotYours, Unfit, StorageUnavailable.
        """
        sheet = self.sheet(who.board, sheet_id)
        with self._log.database.reading() as conn:
            side = self._side(conn, who, student, Ability.FILL_SHEETS)
            last = next(
                (r for r in _rows(conn, student, sheet_id) if r.section == section_id), None
            )
        section = next((s for s in sheet.sections if s.id == section_id), None)
        if section is None or section.filled_by != side:
            raise NotYours
        version = 0 if last is None else int(last.version)
        if seen not in (-1, version):
            raise Unfit({"section": "changed"})
        values = entered(section, given)
        before = {} if last is None else self._open(last).values
        if values == before:
            return version
        words = {f.label: in_words(f, values[f.id]) for f in section.fields if f.id in values}
        text = msgspec.json.encode({"words": words, "values": values}).decode()
        sealed, now = self._sealer.seal(student, text), self._log.clock.now()
        self._store(
            who,
            student,
            lambda about, school: SheetFilled(
                sheet=sheet_id, section=section_id, about=about, school=school,
                version=version + 1, sealed=sealed, at=now,
            ),
        )  # fmt: skip
        return version + 1

    def check(self, who: Principal, student: str, sheet_id: str) -> None:
        """Say that the whole is right as it stands. Raises NotYours, StorageUnavailable."""
        held = self.held(who, student, sheet_id)
        if not held.may_check:
            raise NotYours
        with self._log.database.reading() as conn:
            rows = [r for r in _rows(conn, student, sheet_id) if r.section == CHECKED]
        version = rows[0].version + 1 if rows else 1
        now = self._log.clock.now()
        self._store(
            who,
            student,
            lambda about, school: SheetFilled(
                sheet=sheet_id, section=CHECKED, about=about, school=school, version=version,
                sealed=None, at=now,
            ),
        )  # fmt: skip

    def side_at(self, who: Principal, school: str) -> By:
        """From which side the asker fills the sheets of a whole school: its own, or the board's."""
        at_school = any(
            school in duty.schools and OFFICES[duty.role].place is Place.SCHOOL
            for duty in who.duties
        )
        return "school" if at_school else "centre"

    def progress(self, students: Sequence[str], sheet: Sheet) -> dict[str, tuple[int, bool]]:
        """How far each child's sheet is: sections filled, and whether it stands checked.

        Numbers only; for children the asker was given before.
        """
        s = rows_of_sheets.c
        last: dict[str, dict[str, datetime]] = {}
        with self._log.database.reading() as conn:
            for start in range(0, len(students), 500):
                part = list(students[start : start + 500])
                rows = conn.execute(
                    select(s.student, s.section, func.max(s.at).label("at"))
                    .where(s.student.in_(part), s.sheet == sheet.id)
                    .group_by(s.student, s.section)
                )
                for row in rows:
                    last.setdefault(row.student, {})[row.section] = row.at
        found = {}
        for student in students:
            held = dict(last.get(student, {}))
            checked = held.pop(CHECKED, None)
            good = checked is not None and all(at <= checked for at in held.values())
            found[student] = (len(held), good)
        return found

    # -- ------------------------------------------------------------------------------------------

    def _side(self, conn: Connection, who: Principal, student: str, using: Ability) -> By:
        place = roster.enrolment_on(conn, student, self._log.clock.today())
        if place is None or place.board != who.board:
            raise NotYours
        if not self._gateway.within(conn, who, {student: place}, using=using):
            raise NotYours
        if roster.opted_out(conn, student):
            # A refusal ends sheets with the lists and meetings they are for, at once; what is done
            # for the child's safety goes on.
            case = cases.open_of(conn, student)
            if case is None or case.ground != cases.HELP:
                raise NotYours
        return FILLS[self._gateway.side(who, place, using=using)]

    def _store(self, who: Principal, student: str, make: Callable[[str, str], SheetFilled]) -> None:
        today = self._log.clock.today()
        with self._log.database.reading() as conn:
            place = roster.enrolment_on(conn, student, today)
            if place is None:
                raise NotYours
            about = _about(conn, student, place.school)
        body = make(about, place.school)
        with self._log.unit_of_work() as unit:
            stored = unit.conn.execute(
                insert_new(unit.conn, rows_of_sheets)
                .values(**sheet_rows.filled(who.board, student, who.key, body))
                .returning(rows_of_sheets.c.version)
            ).first()
            if stored is None:  # somebody else filled it at the same moment
                raise Unfit({"section": "changed"})
            unit.append(
                NewEvent(
                    id=new_id(), board=who.board, student=student, on=today, actor=who.key,
                    body=body,
                )
            )  # fmt: skip
            action = "fill_sheet" if body.section != CHECKED else "check_sheet"
            self._gateway.write(
                unit.conn, who, action, student, body.sheet, using=Ability.FILL_SHEETS
            )

    def _open(self, row: Any) -> Filled:
        known = Filled(version=row.version, author=row.author, at=row.at, about=row.about)
        if row.sealed is None:
            return known
        try:
            held = msgspec.json.decode(self._sealer.open(row.student, row.sealed))
        except CannotOpen:
            return msgspec.structs.replace(known, lost=True)
        return msgspec.structs.replace(known, values=held["values"], words=held["words"])


def _rows(conn: Connection, student: str, sheet_id: str) -> list[Any]:
    """All versions of all sections, the newest first."""
    s = rows_of_sheets.c
    query = select(rows_of_sheets).where(s.student == student, s.sheet == sheet_id)
    return list(conn.execute(query.order_by(s.version.desc(), s.at.desc())))


def _about(conn: Connection, student: str, school: str) -> str:
    """What a sheet is filled for now: the child's open case, or its school's newest list."""
    case = cases.open_of(conn, student)
    if case is not None:
        return str(case.id)
    newest = judging.latest_list(conn, school)
    if newest is not None and judging.entry(conn, newest.id, student) is not None:
        return str(newest.id)
    return ""
