"""Tables of who is who.

In the `roster` schema (a file of its own on SQLite): everything that names a person. In the default
schema: schools and classes as places, enrolments by random student key, opt-outs. The rest of the
service joins on the key only; names are looked up by `access/` for those who may see them.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index, LargeBinary, Text
from sqlmodel import Field, SQLModel

from warning_service.database import ROSTER, UtcDateTime, table_of

# --- places and enrolments: no names of people -----------------------------------------------


class BoardRow(SQLModel, table=True):
    """An education board; `playbook` is the id of the playbook it works by."""

    __tablename__ = "boards"

    id: str = Field(primary_key=True)
    name: str
    playbook: str
    generated: bool = False  # a made-up town: every page says so


class SchoolRow(SQLModel, table=True):
    """A school, or another place children are on the roll of.

    `stage`: primary, junior_high, nursery (保育所・幼稚園・こども園), or home (在宅: in none).
    """

    __tablename__ = "schools"

    id: str = Field(primary_key=True)
    board: str = Field(index=True)
    name: str
    stage: str


class ClassRow(SQLModel, table=True):
    """A class of one school year (the year in which its April lies). Grade: see grades.py."""

    __tablename__ = "classes"

    id: str = Field(primary_key=True)
    school: str = Field(index=True)
    school_year: int
    grade: int
    name: str  # as on the door: "3年2組"
    code: str = Field(unique=True)  # what a shared tablet is set to; not a secret


class EnrolmentRow(SQLModel, table=True):
    """A student in a class from `from_day` until before `until_day` (None: still)."""

    __tablename__ = "enrolments"
    __table_args__ = (Index("ix_enrolments_class", "class_id", "from_day"),)

    student: str = Field(primary_key=True)
    class_id: str = Field(primary_key=True)
    from_day: date = Field(primary_key=True)
    until_day: date | None
    board: str = Field(index=True)
    school: str = Field(index=True)
    grade: int


class HouseholdRow(SQLModel, table=True):
    """The random key of the household the log was told a student lives in; '': none is known."""

    __tablename__ = "households"
    __table_args__ = (Index("ix_households_household", "board", "household"),)

    student: str = Field(primary_key=True)
    board: str
    household: str
    from_day: date


class OptOutRow(SQLModel, table=True):
    """A family's refusal, in force from `from_at` until `until_at` (None: still)."""

    __tablename__ = "opt_outs"

    student: str = Field(primary_key=True)
    from_at: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    until_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    board: str


class ClosedDayRow(SQLModel, table=True):
    """A weekday on which a school has no lessons (vacation, founding day). `school`: '' = all."""

    __tablename__ = "closed_days"

    board: str = Field(primary_key=True)
    school: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    why: str


class SchoolQuestionnaireRow(SQLModel, table=True):
    """A questionnaire a school has chosen from its board's playbook; no row at all: it uses all."""

    __tablename__ = "school_questionnaires"

    school: str = Field(primary_key=True)
    questionnaire: str = Field(primary_key=True)


# --- names ------------------------------------------------------------------------------------


class StudentRow(SQLModel, table=True):
    """A child by name. `number` is the board's own (学籍番号 or 宛名番号), unique per board."""

    __tablename__ = "students"
    __table_args__ = (
        Index("ux_students_number", "board", "number", unique=True),
        {"schema": ROSTER},
    )

    student: str = Field(primary_key=True)
    board: str
    number: str
    family_name: str
    given_name: str
    family_kana: str
    given_kana: str
    born: date
    sex: str  # as the register has it; for fairness reports only, never a feature
    household: str  # 世帯番号
    home: str = ""  # a random key for it, the same for all of that number: all that leaves here


class SeatRow(SQLModel, table=True):
    """A child's sign-in in a class: its number there (出席番号) and the hash of its secret."""

    __tablename__ = "seats"
    __table_args__ = (
        Index("ux_seats_number", "class_id", "seat", unique=True),
        {"schema": ROSTER},
    )

    student: str = Field(primary_key=True)
    class_id: str = Field(primary_key=True)
    seat: int
    secret_hash: str  # of the child's three pictures or digits


class StudentSecretRow(SQLModel, table=True):
    """The child's own data key, wrapped by the installation's key.

    What is written about a child is sealed with this key. Deleting the row makes all of it
    unreadable for good, also in the append-only log and in backups.
    """

    __tablename__ = "student_secrets"
    __table_args__ = {"schema": ROSTER}

    student: str = Field(primary_key=True)
    wrapped: bytes = Field(sa_type=LargeBinary)


class StaffRow(SQLModel, table=True):
    """An adult who may sign in. `slack_user` is the id chat knows them by."""

    __tablename__ = "staff"
    __table_args__ = {"schema": ROSTER}

    staff: str = Field(primary_key=True)
    board: str
    login: str = Field(unique=True)
    name: str
    password_hash: str
    slack_user: str | None = Field(default=None, index=True)
    active: bool = True


class DutyRow(SQLModel, table=True):
    """What a member of staff is there for, where and when. `role` is a value of access.Role."""

    __tablename__ = "duties"
    __table_args__ = {"schema": ROSTER}

    staff: str = Field(primary_key=True)
    role: str = Field(primary_key=True)
    place: str = Field(primary_key=True)  # a class, school or board id, as the role demands
    from_day: date = Field(primary_key=True)
    until_day: date | None = None


class AbsenceRow(SQLModel, table=True):
    """A member of staff is away from `from_at` until before `until_at`; why is not kept.

    One entered by mistake is withdrawn, not deleted, so that it can be said afterwards who was
    thought to be there.
    """

    __tablename__ = "absences"
    __table_args__ = (Index("ix_absences_board", "board", "until_at"), {"schema": ROSTER})

    id: str = Field(primary_key=True)
    board: str
    staff: str = Field(index=True)
    from_at: datetime = Field(sa_type=UtcDateTime)
    until_at: datetime = Field(sa_type=UtcDateTime)
    entered_by: str
    entered_at: datetime = Field(sa_type=UtcDateTime)
    withdrawn_by: str = ""
    withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class WorkingDayRow(SQLModel, table=True):
    """A weekday on which somebody who works part of the week is there. No row at all: every day."""

    __tablename__ = "working_days"
    __table_args__ = ({"schema": ROSTER},)

    staff: str = Field(primary_key=True)
    weekday: int = Field(primary_key=True)  # 0 = Monday
    part: str = "day"  # day, am, pm
    board: str = Field(index=True)


class StandInRow(SQLModel, table=True):
    """Why somebody holds a duty for a few days: in place of `instead_of`, or ('') as the one on
    duty on days without lessons (日直).

    The duty itself is a row of `duties` like any other, so that all that holds of duties holds of
    it; this row says who gave it, and lets it be taken back.
    """

    __tablename__ = "stand_ins"
    __table_args__ = (Index("ix_stand_ins_board", "board", "until_day"), {"schema": ROSTER})

    id: str = Field(primary_key=True)
    board: str
    staff: str = Field(index=True)
    role: str
    place: str
    from_day: date
    until_day: date
    instead_of: str
    entered_by: str
    entered_at: datetime = Field(sa_type=UtcDateTime)
    withdrawn_by: str = ""
    withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class IdentityRow(SQLModel, table=True):
    """An account at a sign-in provider that belongs to somebody here, since `linked_at`.

    `subject` is the provider's own unchanging id for the account, never an address, which may be
    given to somebody else next year.
    """

    __tablename__ = "identities"
    __table_args__ = (
        # One account at each provider for one person.
        Index("ux_identities_key", "kind", "key", "issuer", unique=True),
        {"schema": ROSTER},
    )

    kind: str = Field(primary_key=True)  # staff or child
    issuer: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    key: str  # staff or student key
    linked_at: datetime = Field(sa_type=UtcDateTime)


class ExpectedAccountRow(SQLModel, table=True):
    """An account name a board has noted for somebody, to be linked when it first signs in."""

    __tablename__ = "expected_accounts"
    __table_args__ = ({"schema": ROSTER},)

    kind: str = Field(primary_key=True)  # staff or child
    board: str = Field(primary_key=True)
    account: str = Field(primary_key=True)  # a mail address or UPN, in lower case
    key: str = Field(index=True)


class RejectRow(SQLModel, table=True):
    """A row of an imported file that could not be taken, kept as it came until corrected."""

    __tablename__ = "rejects"
    __table_args__ = {"schema": ROSTER}

    id: str = Field(primary_key=True)
    import_id: str = Field(index=True)
    row_number: int
    column: str
    reason: str
    raw: str = Field(sa_type=Text)
    resolved_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ImportRow(SQLModel, table=True):
    """One file taken in: when, by whom, how many rows went where."""

    __tablename__ = "imports"
    __table_args__ = {"schema": ROSTER}

    id: str = Field(primary_key=True)
    board: str
    kind: str
    file_name: str
    file_sha256: str
    at: datetime = Field(sa_type=UtcDateTime)
    actor: str
    rows_new: int
    rows_known: int
    rows_left_out: int  # opted out, or nothing we keep (忌引 …)
    rows_rejected: int


boards = table_of(BoardRow)
schools = table_of(SchoolRow)
classes = table_of(ClassRow)
enrolments = table_of(EnrolmentRow)
households = table_of(HouseholdRow)
opt_outs = table_of(OptOutRow)
closed_days = table_of(ClosedDayRow)
school_questionnaires = table_of(SchoolQuestionnaireRow)
students = table_of(StudentRow)
seats = table_of(SeatRow)
student_secrets = table_of(StudentSecretRow)
staff = table_of(StaffRow)
duties = table_of(DutyRow)
absences = table_of(AbsenceRow)
working_days = table_of(WorkingDayRow)
stand_ins = table_of(StandInRow)
identities = table_of(IdentityRow)
expected_accounts = table_of(ExpectedAccountRow)
rejects = table_of(RejectRow)
imports = table_of(ImportRow)
