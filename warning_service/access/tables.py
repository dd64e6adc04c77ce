"""Tables of access: sessions and the audit trail."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Integer, Text
from sqlmodel import Field, SQLModel

from warning_service.database import UtcDateTime, table_of


class SessionRow(SQLModel, table=True):
    """A signed-in person or child. The cookie's value is never stored, only its hash."""

    __tablename__ = "sessions"

    token_hash: str = Field(primary_key=True)
    kind: str  # staff or child
    key: str = Field(index=True)  # staff or student key
    board: str
    class_id: str = ""  # the class a child signed in through
    csrf: str
    started_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime)
    revoked: bool = False
    factors: str = ""  # second factors shown in this session, comma-separated
    confirmed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # the last of them


class AttemptRow(SQLModel, table=True):
    """Failed sign-ins, counted per subject (an account, or an address)."""

    __tablename__ = "sign_in_attempts"

    subject: str = Field(primary_key=True)
    failures: int
    last_at: datetime = Field(sa_type=UtcDateTime)


class AuditRow(SQLModel, table=True):
    """One look or change. Each row's hash covers the row before it."""

    __tablename__ = "audit"
    __table_args__ = {"sqlite_autoincrement": True}

    seq: int | None = Field(
        default=None,
        primary_key=True,
        sa_type=BigInteger().with_variant(Integer(), "sqlite"),
    )
    at: datetime = Field(sa_type=UtcDateTime)
    board: str
    actor: str
    action: str
    subject: str  # student key, list id, … never a name
    detail: str = Field(sa_type=Text)
    hash: str


class SpentTokenRow(SQLModel, table=True):
    """A token that works once, and has. Kept until its own time is over."""

    __tablename__ = "spent_tokens"

    id: str = Field(primary_key=True)  # the token's jti
    kind: str
    expires_at: datetime = Field(index=True, sa_type=UtcDateTime)


sessions = table_of(SessionRow)
attempts = table_of(AttemptRow)
audit = table_of(AuditRow)
spent_tokens = table_of(SpentTokenRow)
