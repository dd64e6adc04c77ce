"""alarms on the trail: sealed rows, odd looking, the yearly review of rights

Revision: 0006, after 0005.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NEW = ("purpose", "duty", "key", "seal")


def upgrade() -> None:
    # Rows of before bear no seal; `verify` names them. Nothing was released with such rows.
    for name in NEW:
        op.add_column("audit", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.create_index("ix_audit_subject", "audit", ["subject", "at"], unique=False)
    op.create_index("ix_audit_actor", "audit", ["actor", "at"], unique=False)
    op.create_index("ix_audit_at", "audit", ["board", "at"], unique=False)
    op.create_table(
        "looking",
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("opened", sa.Integer(), nullable=False),
        sa.Column("shown", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("exports", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("staff", "day"),
    )
    op.create_table(
        "looking_alarms",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("threshold", sa.Integer(), nullable=False),
        sa.Column("usual", sa.Float(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("raised_at", sa.DateTime(), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(), nullable=True),
        sa.Column("acknowledged_by", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_looking_alarms_board", "looking_alarms", ["board", "raised_at"])
    op.create_table(
        "rights_reviews",
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("school_year", sa.Integer(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("staff", "school_year"),
    )


def downgrade() -> None:
    op.drop_table("rights_reviews")
    op.drop_index("ix_looking_alarms_board", table_name="looking_alarms")
    op.drop_table("looking_alarms")
    op.drop_table("looking")
    for name in ("ix_audit_at", "ix_audit_actor", "ix_audit_subject"):
        op.drop_index(name, table_name="audit")
    for name in reversed(NEW):
        op.drop_column("audit", name)
