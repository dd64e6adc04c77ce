"""Tables of follow-up: decisions of meetings, records, cases handed over, opinions, digests.

Notes are sealed with the child's key; only ids of the playbook's choices are open.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index, Text, text
from sqlmodel import Field, SQLModel

from warning_service.database import UtcDateTime, table_of


class ReviewRow(SQLModel, table=True):
    """A meeting's latest decision on one child; earlier ones stay in the log.

    `list_id`: the list's, or the case's where no list is made. `scheme` names the meeting.
    """

    __tablename__ = "reviews"

    list_id: str = Field(primary_key=True)
    student: str = Field(primary_key=True)
    scheme: str = Field(primary_key=True)
    chosen: str
    directions: str  # comma-separated choice ids
    sealed: str | None = Field(default=None, sa_type=Text)
    author: str
    at: datetime = Field(sa_type=UtcDateTime)


class FollowUpRow(SQLModel, table=True):
    """One record of what an adult did and how the child is."""

    __tablename__ = "follow_ups"

    id: str = Field(primary_key=True)
    board: str
    school: str
    student: str = Field(index=True)
    list_id: str | None = Field(default=None, index=True)
    alert_id: str | None = Field(default=None, index=True)
    action: str
    change: str
    sealed: str | None = Field(default=None, sa_type=Text)
    author: str
    at: datetime = Field(sa_type=UtcDateTime)
    case_id: str | None = Field(default=None, index=True)  # the welfare office's own records


class SheetRow(SQLModel, table=True):
    """One version of one section of a sheet on a child. Every version stays.

    `section` '': the whole was checked and found right. `about`: a list's or a case's id, or ''.
    """

    __tablename__ = "sheets"

    student: str = Field(primary_key=True)
    sheet: str = Field(primary_key=True)
    about: str = Field(primary_key=True)
    section: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    board: str = Field(index=True)
    school: str
    sealed: str | None = Field(default=None, sa_type=Text)  # JSON: field id -> value
    author: str
    at: datetime = Field(sa_type=UtcDateTime)


class OpinionRow(SQLModel, table=True):
    """What one adult thinks of an alert or a list's entry; one each, the last one given.

    `kind`: alert or entry; `about`: the alert's or the list's id.
    """

    __tablename__ = "opinions"
    __table_args__ = (Index("ix_opinions_board", "board", "at"),)

    kind: str = Field(primary_key=True)
    about: str = Field(primary_key=True)
    student: str = Field(primary_key=True, index=True)
    author: str = Field(primary_key=True)
    board: str
    school: str
    verdict: str  # helpful, not_helpful, differs
    at: datetime = Field(sa_type=UtcDateTime)


class DigestRow(SQLModel, table=True):
    """One person's digest of one day: counts of what is theirs, as of the moment it was made."""

    __tablename__ = "digests"
    __table_args__ = (Index("ix_digests_staff", "staff", "day"),)

    id: str = Field(primary_key=True)
    staff: str
    board: str
    kind: str  # morning or week
    day: date
    made_at: datetime = Field(sa_type=UtcDateTime)
    counts: str = Field(sa_type=Text)  # JSON: name -> number; names in digests.py
    total: int  # how many things wait; what a message says


class DigestChoiceRow(SQLModel, table=True):
    """Somebody does not want one kind of digest. No row: they get it."""

    __tablename__ = "digest_choices"

    staff: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    board: str
    at: datetime = Field(sa_type=UtcDateTime)


class CaseRow(SQLModel, table=True):
    """A child's case in the hands of its board's welfare office, until it ends.

    `ground` and `ended_how` as in the events; a child has one open case at most. `items`: those of
    the school's that the office sees in this case.
    """

    __tablename__ = "cases"
    __table_args__ = (
        Index(
            "ux_cases_open",
            "student",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_cases_office", "board", "ended_at"),
    )

    id: str = Field(primary_key=True)
    board: str  # whose welfare office has it
    school: str
    student: str = Field(index=True)
    ground: str
    sealed: str = Field(sa_type=Text)
    given_by: str
    given_at: datetime = Field(sa_type=UtcDateTime)
    ended_by: str = ""
    ended_how: str = ""
    ended_sealed: str | None = Field(default=None, sa_type=Text)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    basis: str = ""  # on what the office may look; '' where the playbook asks for none
    consent_on: date | None = None
    items: str | None = Field(default=None, sa_type=Text)  # comma-separated; NULL: not chosen


reviews = table_of(ReviewRow)
follow_ups = table_of(FollowUpRow)
sheets = table_of(SheetRow)
cases = table_of(CaseRow)
opinions = table_of(OpinionRow)
digests = table_of(DigestRow)
digest_choices = table_of(DigestChoiceRow)
