"""who is away, who stands in, who works part of the week

Revision: 0011, after 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "absences",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("from_at", sa.DateTime(), nullable=False),
        sa.Column("until_at", sa.DateTime(), nullable=False),
        sa.Column("entered_by", sa.String(), nullable=False),
        sa.Column("entered_at", sa.DateTime(), nullable=False),
        sa.Column("withdrawn_by", sa.String(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        schema="roster",
    )
    op.create_index("ix_absences_board", "absences", ["board", "until_at"], schema="roster")
    op.create_index(op.f("ix_roster_absences_staff"), "absences", ["staff"], schema="roster")
    op.create_table(
        "working_days",
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("staff", "weekday"),
        schema="roster",
    )
    op.create_index(
        op.f("ix_roster_working_days_board"), "working_days", ["board"], schema="roster"
    )
    op.create_table(
        "stand_ins",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("until_day", sa.Date(), nullable=False),
        sa.Column("instead_of", sa.String(), nullable=False),
        sa.Column("entered_by", sa.String(), nullable=False),
        sa.Column("entered_at", sa.DateTime(), nullable=False),
        sa.Column("withdrawn_by", sa.String(), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        schema="roster",
    )
    op.create_index("ix_stand_ins_board", "stand_ins", ["board", "until_day"], schema="roster")
    op.create_index(op.f("ix_roster_stand_ins_staff"), "stand_ins", ["staff"], schema="roster")


def downgrade() -> None:
    op.drop_table("stand_ins", schema="roster")
    op.drop_table("working_days", schema="roster")
    op.drop_table("absences", schema="roster")
