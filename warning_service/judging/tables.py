"""Tables of judging: where the models stand, and the lists with their evidence.

All of it can be rebuilt from the log. The column `board` of a state's tables holds the name of a
store: the board's id, or `<id>/next` while the models are derived again (deriving/removal.py).
Feature states are one row per student, so that a single check-in rewrites a kilobyte and not a
town; a training block is written once when its day is closed and read once when its labels are
known.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from warning_service.database import UtcDateTime, table_of


class FeatureRow(SQLModel, table=True):
    """One student's incremental feature state, as canonical bytes."""

    __tablename__ = "feature_states"

    board: str = Field(primary_key=True)
    student: str = Field(primary_key=True)
    state: bytes = Field(sa_type=LargeBinary)


class LeftOutRow(SQLModel, table=True):
    """A child whose family refuses: its place on the roll and its household's key, nothing else.

    Kept so that a refusal can be taken back; no model and no list reads it.
    """

    __tablename__ = "left_out"

    board: str = Field(primary_key=True)
    student: str = Field(primary_key=True)
    state: bytes = Field(sa_type=LargeBinary)


class DerivationRow(SQLModel, table=True):
    """The models were derived again from the log, and are in use from position `since` on.

    What was refused up to position `began` never reached them. `since` 0: being derived now.
    """

    __tablename__ = "derivations"

    board: str = Field(primary_key=True)
    since: int = Field(primary_key=True, sa_type=BigInteger)
    began: int = Field(sa_type=BigInteger)


class SnapshotRow(SQLModel, table=True):
    """The board's model and bookkeeping at `position`, as canonical bytes, newest only."""

    __tablename__ = "model_snapshots"

    board: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)
    versions: str = Field(sa_type=Text)  # library versions and feature-schema hash, JSON
    sha256: str
    state: bytes = Field(sa_type=LargeBinary)


class TrainingBlockRow(SQLModel, table=True):
    """Features of the students of one day, waiting until their labels are known."""

    __tablename__ = "training_blocks"

    board: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    block: bytes = Field(sa_type=LargeBinary)


class ListRow(SQLModel, table=True):
    """A published warning list of one school, with all that made it."""

    __tablename__ = "warning_lists"

    id: str = Field(primary_key=True)
    board: str = Field(index=True)
    school: str = Field(index=True)
    list_date: date
    as_of: int = Field(sa_type=BigInteger)  # log position
    judge: str  # rules, model or challenger
    judge_why: str = Field(sa_type=Text)  # JSON: the evidence for who judged
    model_version: str
    playbook: str  # id:version:fingerprint
    budget: int
    ranked: int
    published_at: datetime = Field(sa_type=UtcDateTime)


class EntryRow(SQLModel, table=True):
    """One listed child. `evidence` (JSON) is frozen: factors, trend, data ages, both judges."""

    __tablename__ = "list_entries"

    list_id: str = Field(primary_key=True)
    student: str = Field(primary_key=True, index=True)
    place: int  # 1 = first on the list
    score: float
    level: str
    is_new: bool  # not on the school's previous list
    supported: bool  # someone followed up lately
    times_running: int  # lists in a row, this one included
    evidence: str = Field(sa_type=Text)


class ScoreRow(SQLModel, table=True):
    """Every ranked child's score on a list date, listed or not: what evaluation counts.

    `…_chance`: the probability each of the three judges gave, whoever made the list; None while it
    was silent (and for lists that are older than these columns).
    """

    __tablename__ = "list_scores"

    list_id: str = Field(primary_key=True)
    student: str = Field(primary_key=True)
    score: float
    rules_score: float
    rules_chance: float | None = None
    model_chance: float | None = None
    challenger_chance: float | None = None
    rank: int
    listed: bool


class TreesRow(SQLModel, table=True):
    """The trees that made the challenger's lists, as canonical bytes, under their version's name.

    One row however many lists they made, kept as a linear judge's weights are kept with each list,
    so that its scores can be reckoned again. No child is in them.
    """

    __tablename__ = "list_trees"

    board: str = Field(primary_key=True)
    version: str = Field(primary_key=True)
    trees: bytes = Field(sa_type=LargeBinary)


class TrialRow(SQLModel, table=True):
    """A changed playbook that somebody at the board wanted tried on the past, and what came of it.

    `text`: the playbook's file; `result`: counts as JSON (trying/counts.py), no child's key. A
    board has one at a time that waits or runs; `worker` has it in hand and shows so by `beat_at`.
    """

    __tablename__ = "trials"
    __table_args__ = (
        Index(
            "ux_trials_open",
            "board",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index("ix_trials_board", "board", "asked_at"),
    )

    id: str = Field(primary_key=True)
    board: str
    asked_by: str
    asked_at: datetime = Field(sa_type=UtcDateTime)
    since: date
    text: str = Field(sa_type=Text)
    current: str  # id:version:fingerprint of the playbook in force then
    state: str  # waiting, running, done, stopped or failed
    worker: str = ""
    beat_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    done: int = Field(default=0, sa_type=BigInteger)  # how far in the log
    of: int = Field(default=0, sa_type=BigInteger)
    day: date | None = None
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    why: str = ""
    result: str | None = Field(default=None, sa_type=Text)


feature_states = table_of(FeatureRow)
left_out = table_of(LeftOutRow)
derivations = table_of(DerivationRow)
model_snapshots = table_of(SnapshotRow)
training_blocks = table_of(TrainingBlockRow)
warning_lists = table_of(ListRow)
list_entries = table_of(EntryRow)
list_scores = table_of(ScoreRow)
list_trees = table_of(TreesRow)
trials = table_of(TrialRow)
