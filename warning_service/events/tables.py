"""Tables of the log: the events themselves, how far each reader has come, which jobs ran.

`events` is append-only: triggers (see migrations) refuse UPDATE always, and DELETE unless a permit
lies in `deletion_permits`, which retention puts there and takes away within its own transaction. It
is also the outbox: there is no second table to keep in step with it.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Index, Integer, Text, text
from sqlmodel import Field, SQLModel

from warning_service.database import UtcDateTime, table_of

ASKS_FOR_DERIVATION = ("opt_out_recorded", "use_stopped", "log_shortened")
"""Types of events after which models are derived again without what they name."""
_ASKING = "type IN ('opt_out_recorded', 'use_stopped', 'log_shortened')"


class EventRow(SQLModel, table=True):
    """One event. `position` is assigned inside the serialised append, so it grows by commit."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_board_position", "board", "position"),
        Index("ix_events_student_position", "student", "position"),
        # Outcomes are few and asked for apart; an index of them alone costs check-ins nothing.
        Index(
            "ix_events_outcomes",
            "board",
            "position",
            sqlite_where=text("type = 'outcome_recorded'"),
            postgresql_where=text("type = 'outcome_recorded'"),
        ),
        Index(
            "ix_events_asking",
            "board",
            "position",
            sqlite_where=text(_ASKING),
            postgresql_where=text(_ASKING),
        ),
        {"sqlite_autoincrement": True},
    )

    position: int | None = Field(
        default=None,
        primary_key=True,
        sa_type=BigInteger().with_variant(Integer(), "sqlite"),
    )
    id: str = Field(unique=True)
    board: str
    student: str | None
    type: str
    day: date
    recorded_at: datetime = Field(sa_type=UtcDateTime)
    actor: str
    body: str = Field(sa_type=Text)


class ConsumerRow(SQLModel, table=True):
    """How far one reader has come in one board's events, and who may move it.

    `fence` grows with every change of owner: a former owner's commit no longer fits and is undone.
    """

    __tablename__ = "consumers"

    name: str = Field(primary_key=True)
    board: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger, default=0)
    owner: str
    fence: int
    lease_until: datetime = Field(sa_type=UtcDateTime)


class JobRunRow(SQLModel, table=True):
    """A scheduled job ran for a slot; the key makes sure it runs once."""

    __tablename__ = "job_runs"

    job: str = Field(primary_key=True)
    slot: str = Field(primary_key=True)
    ran_at: datetime = Field(sa_type=UtcDateTime)


class FactRow(SQLModel, table=True):
    """Facts about the installation itself (demo seed, where the demo clock stands)."""

    __tablename__ = "facts"

    name: str = Field(primary_key=True)
    value: str = Field(sa_type=Text)


class DeletionPermitRow(SQLModel, table=True):
    """Leave to delete from an append-only table. No committed row is ever here (`verify` looks)."""

    __tablename__ = "deletion_permits"

    subject: str = Field(primary_key=True)  # events or audit


events = table_of(EventRow)
deletion_permits = table_of(DeletionPermitRow)
consumers = table_of(ConsumerRow)
facts = table_of(FactRow)
job_runs = table_of(JobRunRow)
