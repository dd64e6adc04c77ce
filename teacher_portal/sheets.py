"""Sheets on children: the overview by school, one child's sheet, and the file of a school.

Each side fills its own section and reads those the playbook shows it; beside a field stands the
fact on record that its reader may see. A sheet the playbook lets out as a file goes out per school
with the sections the asker reads, and comes back with the asker's own section filled: what does not
fit is named by row and field, and the rest is stored. Taking a file asks who one is again.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Form, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from connectors.records.reading import Unreadable, read_bytes
from design.render import language
from teacher_portal import queries
from teacher_portal.csv_files import as_written, csv_file
from teacher_portal.frame import go, show, worded
from warning_service.access.gateway import Child, NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.follow_up import cases
from warning_service.follow_up.meetings import latest_lists
from warning_service.follow_up.sheets import Held, Unfit, in_words
from warning_service.judging import queries as judging
from warning_service.playbooks.sharing import Side
from warning_service.playbooks.sheets import Section, Sheet
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import queries as roster

router = APIRouter()
USING = Ability.FILL_SHEETS
Filler = Annotated[Principal, Depends(Needs(USING))]
FreshFiller = Annotated[Principal, Depends(Needs(USING, fresh=True))]
KEY = "子どもの記号"
LEAD = (KEY, "学級", "出席番号", "氏名")
"""The columns before the fields. A row finds its child again by the first, a random key."""
SIDES = {"school": Side.SCHOOL, "centre": Side.BOARD, "welfare": Side.WELFARE}


@router.get("/portal/sheets")
def overview(request: Request, who: Filler) -> Response:
    """The sheets of the board, and how far they are for the children on its agendas."""
    return _overview(request, who)


def _overview(request: Request, who: Principal, report: Report | None = None) -> Response:
    rooms, lang = rooms_of(request), language(request)
    children = _children(rooms, who)
    schools = rooms.gateway.schools_of(who, using=USING)
    whole = who.reach(USING).schools
    return show(
        request,
        who,
        "portal_sheets.html",
        status=422 if report is not None and report.problems else 200,
        report=report,
        sheets=[
            {
                "sheet": sheet,
                "name": sheet.label_en if lang == "en" else sheet.label,
                "sections": len(sheet.sections),
                "progress": rooms.follow_ups.sheets.progress([c.student for c in children], sheet),
                "schools": [s for s in schools if s.id in whole] if sheet.file else [],
            }
            for sheet in rooms.playbooks.of(who.board).sheets
        ],
        children=children,
    )


def _children(rooms: Rooms, who: Principal, school: str = "") -> list[Child]:
    """The children the asker reaches that are on a newest list or have an open case, by class."""
    with rooms.database.reading() as conn:
        rows = latest_lists(conn, who.board, [school] if school else None)
        wanted = {e.student for row in rows for e in judging.entries(conn, row.id)}
        wanted -= roster.refusing(conn, wanted)
        wanted |= {case.student for case in cases.at_offices(conn, [who.board])}
    found = rooms.gateway.children(who, sorted(wanted), using=USING, why="sheets")
    here = [child for child in found.values() if school in ("", child.school)]
    return sorted(here, key=lambda c: (c.school, c.grade, c.class_name, c.seat or 999, c.kana))


# -- one child's sheet -----------------------------------------------------------------------------


@router.get("/portal/sheets/{sheet_id}/of/{student}")
def one(request: Request, who: Filler, sheet_id: str, student: str) -> Response:
    """A child's sheet, as far as the asker's side reads it."""
    return _one(request, who, sheet_id, student)


def _one(
    request: Request,
    who: Principal,
    sheet_id: str,
    student: str,
    *,
    section: str = "",
    given: dict[str, str] | None = None,
    wrong: dict[str, str] | None = None,
) -> Response:
    rooms, lang = rooms_of(request), language(request)
    rooms.follow_ups.sheets.sheet(who.board, sheet_id)
    child = rooms.gateway.child(who, student, using=USING, why="sheet", detail=sheet_id)
    held = rooms.follow_ups.sheets.held(who, student, sheet_id)
    with rooms.database.reading() as conn:
        facts = queries.observations(
            conn, rooms.playbooks.of(who.board), student, rooms.clock.today(), SIDES[held.side]
        )
    authors = [f for _, f in held.sections if f is not None]
    authors += [f for some in held.earlier.values() for f in some]
    authors += [held.checked] if held.checked else []
    return show(
        request,
        who,
        "portal_sheet.html",
        status=422 if wrong else 200,
        child=child,
        held=held,
        name=held.sheet.label_en if lang == "en" else held.sheet.label,
        facts={} if child.opted_out else {fact.item.id: fact for fact in facts.shown},
        names=rooms.gateway.staff_names(who, [f.author for f in authors]),
        worded=lambda choice: worded(choice, lang),
        shown=lambda field, value: in_words(field, value, lang),
        at_section=section,
        given=given,
        wrong=wrong or {},
    )


@router.post("/portal/sheets/{sheet_id}/of/{student}")
async def fill(request: Request, who: Filler, sheet_id: str, student: str) -> Response:
    """Store a section; what does not fit comes back with nothing lost."""
    form = await request.form()
    given = {name: value for name, value in form.items() if isinstance(value, str)}
    return await run_in_threadpool(_fill, request, who, sheet_id, student, given)


def _fill(
    request: Request, who: Principal, sheet_id: str, student: str, given: dict[str, str]
) -> Response:
    section, seen = given.pop("section", ""), given.pop("seen", "")
    version = int(seen) if seen.isdecimal() and len(seen) < 9 else 0
    try:
        rooms_of(request).follow_ups.sheets.fill(
            who, student, sheet_id, section, given, seen=version
        )
    except Unfit as error:
        return _one(
            request, who, sheet_id, student, section=section, given=given, wrong=error.fields
        )
    return go(f"/portal/sheets/{sheet_id}/of/{student}", saved="sheet_filled")


@router.post("/portal/sheets/{sheet_id}/of/{student}/check")
def check(request: Request, who: Filler, sheet_id: str, student: str) -> Response:
    """The whole is right as it stands."""
    rooms_of(request).follow_ups.sheets.check(who, student, sheet_id)
    return go(f"/portal/sheets/{sheet_id}/of/{student}", saved="sheet_checked")


# -- the file of a school --------------------------------------------------------------------------


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file: sections stored, rows without news, and (row, field, why)."""

    sheet: str
    stored: int
    same: int
    problems: list[tuple[int, str, str]]
    reason: str = ""  # why the file as a whole was not taken


def _file_of(rooms: Rooms, who: Principal, sheet_id: str, school: str) -> Sheet:
    sheet = rooms.follow_ups.sheets.sheet(who.board, sheet_id)
    if not sheet.file or school not in who.reach(USING).schools:
        raise NotYours
    return sheet


@router.get("/portal/sheets/{sheet_id}/file")
def file(request: Request, who: FreshFiller, sheet_id: str, school: str = "") -> Response:
    """The school's sheets as CSV: a row for each child on its agenda."""
    rooms = rooms_of(request)
    sheet = _file_of(rooms, who, sheet_id, school)
    children = _children(rooms, who, school)
    side = rooms.follow_ups.sheets.side_at(who, school)
    sections = sheet.read_by(side)
    head: list[Any] = [*LEAD, *(heading(s, n) for s in sections for n in range(len(s.fields)))]
    body: list[list[Any]] = []
    for child in children:
        held = rooms.follow_ups.sheets.held(who, child.student, sheet_id)
        values = {s.id: {} if f is None else f.values for s, f in held.sections}
        cells = [
            in_words(field, values.get(section.id, {}).get(field.id, ""))
            for section in sections
            for field in section.fields
        ]
        body.append([child.student, child.class_name, child.seat or "", child.name, *cells])
    rooms.gateway.note(who, "sheet_export", [c.student for c in children], sheet_id, using=USING)
    return csv_file(f"kizashi-{sheet_id}.csv", [head, *body])


def heading(section: Section, n: int) -> str:
    """A field's column: the section's name and the field's, which may repeat in another section."""
    return f"{section.label}/{section.fields[n].label}"


@router.post("/portal/sheets/{sheet_id}/file")
async def take(
    request: Request,
    who: FreshFiller,
    sheet_id: str,
    file: UploadFile,
    school: Annotated[str, Form()] = "",
) -> Response:
    """Take a filled file back: the asker's own sections, child by child."""
    data = await file.read()
    return await run_in_threadpool(_take, request, who, sheet_id, school, data)


def _take(request: Request, who: Principal, sheet_id: str, school: str, data: bytes) -> Response:
    rooms = rooms_of(request)
    sheet = _file_of(rooms, who, sheet_id, school)
    try:
        table = read_bytes(data, "sheet.csv")
    except Unreadable as error:
        reason = error.reason_en if language(request) == "en" else error.reason_ja
        return _overview(
            request, who, Report(sheet=sheet_id, stored=0, same=0, problems=[(1, "", "file")],
                                 reason=reason),
        )  # fmt: skip
    columns = {name: at for at, name in enumerate(table.header)}
    if KEY not in columns:
        problem = [(1, KEY, "no_key")]
        return _overview(request, who, Report(sheet=sheet_id, stored=0, same=0, problems=problem))
    side = rooms.follow_ups.sheets.side_at(who, school)
    mine = [s for s in sheet.sections if s.filled_by == side]
    here = {child.student for child in _children(rooms, who, school)}
    stored = same = 0
    problems: list[tuple[int, str, str]] = []
    for row in table.rows:
        student = _cell(row.cells, columns.get(KEY))
        if student not in here:
            problems.append((row.number, KEY, "unknown_child"))
            continue
        for section in mine:
            given = {
                field.id: _cell(row.cells, columns[heading(section, n)])
                for n, field in enumerate(section.fields)
                if heading(section, n) in columns
            }
            if not given:
                continue
            held = rooms.follow_ups.sheets.held(who, student, sheet_id)
            try:
                if _news(rooms, who, held, section, given):
                    stored += 1
                else:
                    same += 1
            except Unfit as error:
                labels = {field.id: field.label for field in section.fields}
                problems += [
                    (row.number, labels.get(name, ""), why) for name, why in error.fields.items()
                ]
    return _overview(
        request, who, Report(sheet=sheet_id, stored=stored, same=same, problems=problems)
    )


def _news(
    rooms: Rooms, who: Principal, held: Held, section: Section, given: dict[str, str]
) -> bool:
    """Store a row's section unless it says what is there already; a column left out is kept."""
    last = next((filled for one, filled in held.sections if one.id == section.id), None)
    before, version = ({}, 0) if last is None else (last.values, last.version)
    after = rooms.follow_ups.sheets.fill(
        who, held.student, held.sheet.id, section.id, {**before, **given}, seen=version
    )
    return after != version


def _cell(cells: tuple[str, ...], at: int | None) -> str:
    if at is None or at >= len(cells):
        return ""
    return as_written(cells[at].strip())


def for_meeting(rooms: Rooms, chair: Principal, child: Child, meeting: str) -> list[Held]:
    """The sheets shown in a meeting on one child, as those who sit there read them."""
    return [
        rooms.follow_ups.sheets.held(chair, child.student, sheet.id, using=Ability.REVIEW)
        for sheet in rooms.playbooks.of(chair.board).sheets
        if meeting in sheet.meetings
    ]
