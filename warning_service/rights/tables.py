"""Tables of families' requests: each as it stands, what was done on it, what is withheld.

What a family wrote, reasons and notes are sealed with the child's own key like everything else that
is written about a child; open are only ids, days and who. Steps are only ever added.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from warning_service.database import UtcDateTime, table_of


class RequestRow(SQLModel, table=True):
    """One request. `kind`, `asked_by`, `identity`, `state`, `decision`: ids of rights/terms.py."""

    __tablename__ = "family_requests"

    id: str = Field(primary_key=True)
    board: str = Field(index=True)
    student: str = Field(index=True)
    kind: str
    asked_by: str
    identity: str
    received_on: date
    due_on: date | None = None  # None: no statutory term (refusal, its withdrawal)
    extended_days: int = 0
    paused_days: int = 0
    state: str
    decision: str = ""
    sealed_wish: str = Field(default="", sa_type=Text)
    sealed_reason: str = Field(default="", sa_type=Text)
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    as_of: datetime | None = Field(default=None, sa_type=UtcDateTime)  # disclosure: held until then
    decided_by: str = ""
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    approved_by: str = ""
    approved_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class StepRow(SQLModel, table=True):
    """Something done on a request: the history people read. `sealed`: words, '' for none."""

    __tablename__ = "request_steps"

    id: str = Field(primary_key=True)
    request: str = Field(index=True)
    what: str
    detail: str  # ids and days only
    sealed: str = Field(default="", sa_type=Text)
    actor: str
    at: datetime = Field(sa_type=UtcDateTime)


class ChoiceRow(SQLModel, table=True):
    """What the officer decided about one piece: `ground` '' means it is shown.

    `piece`: "section", "section/record" or "section/record/part"; the longest one that fits counts.
    """

    __tablename__ = "request_choices"

    request: str = Field(primary_key=True)
    piece: str = Field(primary_key=True)
    ground: str
    sealed_note: str = Field(default="", sa_type=Text)
    actor: str
    at: datetime = Field(sa_type=UtcDateTime)


class CorrectionRow(SQLModel, table=True):
    """One fact a family says is wrong. `was`: as recorded; `should_be` None: it never happened."""

    __tablename__ = "request_corrections"

    request: str = Field(primary_key=True)
    event: str = Field(primary_key=True)
    item: str
    day: date
    was: float
    should_be: float | None = None


class FileLinkRow(SQLModel, table=True):
    """Leave to make the file once, until `until`. `sha256`: of the archive that was handed out."""

    __tablename__ = "request_links"

    id: str = Field(primary_key=True)
    request: str = Field(index=True)
    made_by: str
    made_at: datetime = Field(sa_type=UtcDateTime)
    until: datetime = Field(sa_type=UtcDateTime)
    used_by: str = ""
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    sha256: str = ""


class StoppedItemRow(SQLModel, table=True):
    """An item of one child that is no longer used or taken in, by decision on `request`."""

    __tablename__ = "stopped_items"

    student: str = Field(primary_key=True)
    item: str = Field(primary_key=True)
    board: str
    request: str
    from_at: datetime = Field(sa_type=UtcDateTime)


family_requests = table_of(RequestRow)
request_steps = table_of(StepRow)
request_choices = table_of(ChoiceRow)
request_corrections = table_of(CorrectionRow)
request_links = table_of(FileLinkRow)
stopped_items = table_of(StoppedItemRow)
