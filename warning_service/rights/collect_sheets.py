"""Collector of sheets: each version of each section that was filled about a child, and by whom.

What was entered is sealed and opened only when the file is made. A sheet filled for a case that was
handed over for the child's safety is governed with calls for help, as the case itself is.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from warning_service.follow_up.cases import HELP
from warning_service.follow_up.tables import cases
from warning_service.follow_up.tables import sheets as sheet_rows
from warning_service.rights.held import Part, Record
from warning_service.rights.source import Source
from warning_service.rights.words import instant_ja

CHECKED = "全体を確かめた"


def sheets(source: Source) -> Iterator[Record]:
    """Every version, the oldest first."""
    s, known = sheet_rows.c, {one.id: one for one in source.playbook.sheets}
    about_help = set(
        source.conn.execute(
            select(cases.c.id).where(cases.c.student == source.student, cases.c.ground == HELP)
        ).scalars()
    )
    rows = source.conn.execute(
        select(sheet_rows)
        .where(s.student == source.student, s.at <= source.until)
        .order_by(s.at, s.sheet, s.section, s.version)
    )
    for row in rows:
        sheet = known.get(row.sheet)
        sections = {one.id: one.label for one in sheet.sections} if sheet else {}
        section = sections.get(row.section, row.section) or CHECKED
        parts = [
            Part(name="section", label="部分", text=f"{section}({row.version}回目)"),
            Part(name="by", label="記入した人", text=source.by(row.author)),
        ]
        if row.sealed:
            parts.append(Part(name="values", label="内容", text=row.sealed, sealed=True))
        yield Record(
            id=f"sheet-{row.sheet}-{row.about}-{row.section}-{row.version}",
            section="follow_up", on=instant_ja(row.at), title=sheet.label if sheet else row.sheet,
            parts=tuple(parts), source="sheets", about_help=row.about in about_help,
        )  # fmt: skip
