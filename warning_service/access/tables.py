"""Tables of access: sessions, second factors, and the audit trail."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text
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
    door: str = ""  # hash of the class card a child came in through; '' for any other way


class ClassCardRow(SQLModel, table=True):
    """A card that sets a tablet to a class. Kept are hashes: of the card, of what tablets keep.

    A card is in force until `revoked_at`; a class has at most one that is.
    """

    __tablename__ = "class_cards"

    hash: str = Field(primary_key=True)
    door_hash: str = Field(unique=True)
    class_id: str = Field(index=True)
    made_by: str
    made_at: datetime = Field(sa_type=UtcDateTime)
    revoked_by: str = ""
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class StaffFactorsRow(SQLModel, table=True):
    """What a member of staff's second factors are kept under, and the codes of an app (TOTP).

    `wrapped` is a random key of this person's own, wrapped by the installation's keys; the app's
    secret is sealed with it and recovery codes are hashed with it.
    """

    __tablename__ = "staff_factors"

    staff: str = Field(primary_key=True)
    wrapped: bytes = Field(sa_type=LargeBinary)
    totp: str = ""  # the sealed secret in use; '' when there is none
    totp_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    totp_offered: str = ""  # a sealed secret shown as a picture, until a first code proves it
    totp_offered_to: str = ""  # the token hash of the session it was shown in
    totp_offered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_step: int = 0  # the 30 s step of the last code taken; none up to it is taken again


class RecoveryCodeRow(SQLModel, table=True):
    """A recovery code that has not been used; using it deletes the row."""

    __tablename__ = "recovery_codes"

    staff: str = Field(primary_key=True)
    mac: str = Field(primary_key=True)


class PasskeyRow(SQLModel, table=True):
    """A passkey of a member of staff: the public half of a key that lives in a device."""

    __tablename__ = "passkeys"

    id: str = Field(primary_key=True)  # the credential id, base64url
    staff: str = Field(index=True)
    name: str  # what its owner calls it
    public_key: bytes = Field(sa_type=LargeBinary)
    sign_count: int = Field(sa_type=BigInteger)
    made_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class PasskeyChallengeRow(SQLModel, table=True):
    """A challenge given to one session for one purpose; answering it deletes the row."""

    __tablename__ = "passkey_challenges"

    session: str = Field(primary_key=True)  # the session's token hash
    purpose: str = Field(primary_key=True)  # register or confirm
    challenge: bytes = Field(sa_type=LargeBinary)
    expires_at: datetime = Field(index=True, sa_type=UtcDateTime)


class AttemptRow(SQLModel, table=True):
    """Failed sign-ins, counted per subject (an account, or an address)."""

    __tablename__ = "sign_in_attempts"

    subject: str = Field(primary_key=True)
    failures: int
    last_at: datetime = Field(sa_type=UtcDateTime)


class AuditRow(SQLModel, table=True):
    """One look or change. Each row is sealed, and its hash covers the row before it (audit.py)."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_subject", "subject", "at"),
        Index("ix_audit_actor", "actor", "at"),
        Index("ix_audit_at", "board", "at"),
        {"sqlite_autoincrement": True},
    )

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
    purpose: str = ""  # a value of roles.Purpose
    duty: str = ""  # the role it was done with
    key: str = ""  # which of the installation's keys sealed it
    seal: str = ""  # over the row's number and content
    hash: str  # over the seal and the row before


class SpentTokenRow(SQLModel, table=True):
    """A token that works once, and has. Kept until its own time is over."""

    __tablename__ = "spent_tokens"

    id: str = Field(primary_key=True)  # the token's jti
    kind: str
    expires_at: datetime = Field(index=True, sa_type=UtcDateTime)


class LookingRow(SQLModel, table=True):
    """What one member of staff looked at in one day, counted from the trail (alarms.py)."""

    __tablename__ = "looking"

    staff: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    board: str
    opened: int  # different children whose page was opened
    shown: int  # different children seen in an overview, or opened
    refused: int  # different things refused
    exports: int


class AlarmRow(SQLModel, table=True):
    """Looking that was unusual. `subject`: a staff key, or a student key (rule `watched`)."""

    __tablename__ = "looking_alarms"
    __table_args__ = (Index("ix_looking_alarms_board", "board", "raised_at"),)

    id: str = Field(primary_key=True)  # from rule, subject, day and level: raised once
    board: str
    rule: str
    subject: str
    day: date
    count: int
    threshold: int
    usual: float  # the person's own usual; 0 where the rule asks for none
    last_seq: int = Field(sa_type=BigInteger)  # the row of the trail that made it an alarm
    raised_at: datetime = Field(sa_type=UtcDateTime)
    acknowledged_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    acknowledged_by: str = ""
    verdict: str = ""  # reasonable, talked, misuse
    note: str = Field(default="", sa_type=Text)


class RightsReviewRow(SQLModel, table=True):
    """The yearly decision on one person's access: keep or end, by whom and when."""

    __tablename__ = "rights_reviews"

    staff: str = Field(primary_key=True)
    school_year: int = Field(primary_key=True)
    board: str
    decision: str  # keep, end
    decided_by: str
    decided_at: datetime = Field(sa_type=UtcDateTime)
    note: str = Field(default="", sa_type=Text)


sessions = table_of(SessionRow)
class_cards = table_of(ClassCardRow)
staff_factors = table_of(StaffFactorsRow)
recovery_codes = table_of(RecoveryCodeRow)
passkeys = table_of(PasskeyRow)
passkey_challenges = table_of(PasskeyChallengeRow)
attempts = table_of(AttemptRow)
audit = table_of(AuditRow)
looking = table_of(LookingRow)
looking_alarms = table_of(AlarmRow)
rights_reviews = table_of(RightsReviewRow)
spent_tokens = table_of(SpentTokenRow)
