"""which children live together, by a random key

Revision: 0015, after 0014.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "households",
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("household", sa.String(), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("student"),
    )
    op.create_index("ix_households_household", "households", ["board", "household"])
    op.add_column(
        "students",
        sa.Column("home", sa.String(), nullable=False, server_default=""),
        schema="roster",
    )


def downgrade() -> None:
    op.drop_column("students", "home", schema="roster")
    op.drop_index("ix_households_household", table_name="households")
    op.drop_table("households")
