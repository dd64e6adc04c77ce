"""trials"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Changed playbooks that a board tried on its past, with the counts that came of it."""
    op.create_table(
        "trials",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("current", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("beat_at", sa.DateTime(), nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("of", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
    )
    open_ones = sa.text("ended_at IS NULL")
    op.create_index(
        "ux_trials_open", "trials", ["board"], unique=True,
        sqlite_where=open_ones, postgresql_where=open_ones,
    )  # fmt: skip
    op.create_index("ix_trials_board", "trials", ["board", "asked_at"])


def downgrade() -> None:
    """Tries are forgotten; none of them was ever in force."""
    op.drop_table("trials")
