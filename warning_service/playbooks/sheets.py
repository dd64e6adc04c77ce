"""The part of a playbook about sheets: what is asked about one child, and who fills which part.

Assessment sheets, hearing sheets, management sheets: each is sections of plain fields. A section is
filled by one side (the school, the board's centre, the welfare office) and read by those it names,
so that a difficulty at school stands apart from one at home. What was filled is sealed and kept by
follow_up/sheets.py; nothing here says anything about a child, and no field becomes part of a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from warning_service.playbooks.follow_up import Choice
from warning_service.playbooks.kinds import Part

By = Literal["school", "centre", "welfare"]
"""A side that fills or reads: the child's school, the board's own centre (guidance officers), the
welfare office."""


class SheetField(Part):
    """One field. `item`: a catalogue item whose latest fact is put beside it, for a reader who may
    see it; the value stays for a person to enter.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    label_en: str
    kind: Literal["choice", "number", "text", "yes_no"] = "text"
    choices: tuple[Choice, ...] = ()
    least: float | None = None
    most: float | None = None
    longest: int = Field(default=200, ge=1, le=500, description="Characters of a text.")
    item: str = ""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> SheetField:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError(f"field '{self.id}': a choice, and only a choice, has 'choices'")
        if self.kind != "number" and (self.least is not None or self.most is not None):
            raise ValueError(f"field '{self.id}': only a number has 'least' and 'most'")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"field '{self.id}': 'least' is above 'most'")
        ids = [choice.id for choice in self.choices]
        if len(set(ids)) != len(ids):
            raise ValueError(f"field '{self.id}' names a choice twice")
        return self


class Section(Part):
    """A part of a sheet that one side fills. `seen_by`: other sides that may read it."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    label_en: str
    filled_by: By
    seen_by: tuple[By, ...] = ()
    fields: tuple[SheetField, ...] = Field(min_length=1)


class Sheet(Part):
    """A sheet. `meetings`: shown in these (ids of meetings). `checked_by`: the side that says the
    whole is right after the others filled theirs (Takagi's homeroom teacher); '': nobody has to.
    `file`: goes out per school as CSV or xlsx and comes back filled.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    label: str
    label_en: str
    sections: tuple[Section, ...] = Field(min_length=1)
    meetings: tuple[str, ...] = ()
    checked_by: By | Literal[""] = ""
    file: bool = False

    @model_validator(mode="after")
    def _once(self) -> Sheet:
        ids = [section.id for section in self.sections]
        if len(set(ids)) != len(ids):
            raise ValueError(f"sheet '{self.id}' names a section twice")
        fields = [field.id for section in self.sections for field in section.fields]
        if len(set(fields)) != len(fields):
            raise ValueError(f"sheet '{self.id}' names a field twice")
        return self

    def read_by(self, side: By) -> tuple[Section, ...]:
        """The sections a side may read, in order; who checks the sheet reads what it checks."""
        return tuple(
            section
            for section in self.sections
            if side in (section.filled_by, self.checked_by) or side in section.seen_by
        )


def sheets_fit(sheets: Sequence[Sheet], meetings: Sequence[str], items: set[str]) -> None:
    """Raises ValueError when a sheet names a meeting or an item there is not."""
    if len({sheet.id for sheet in sheets}) != len(sheets):
        raise ValueError("two sheets have one id")
    for sheet in sheets:
        if unknown := set(sheet.meetings) - set(meetings):
            raise ValueError(f"sheet '{sheet.id}' names unknown meetings: {sorted(unknown)}")
        for section in sheet.sections:
            for field in section.fields:
                if field.item and field.item not in items:
                    raise ValueError(
                        f"sheet '{sheet.id}', field '{field.id}': '{field.item}' is not in the "
                        "catalogue"
                    )
