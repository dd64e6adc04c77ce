"""Tables of follow-up: decisions of meetings and records of what was done.

Notes are sealed with the child's key; only ids of the playbook's choices are open.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from warning_service.database import UtcDateTime, table_of


class ReviewRow(SQLModel, table=True):
    """The latest decision on one list entry; earlier ones stay in the log."""

    __tablename__ = "reviews"

    list_id: str = Field(primary_key=True)
    student: str = Field(primary_key=True)
    scheme: str
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


reviews = table_of(ReviewRow)
follow_ups = table_of(FollowUpRow)
