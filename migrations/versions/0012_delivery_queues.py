"""deliveries in turns: a second channel when the first fails; what the watchman saw

Routes of before have the same priority, so all of a duty's channels are told at once as they were.

Revision: 0012, after 0011.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("routes", sa.Column("priority", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("deliveries", sa.Column("turn", sa.Integer(), nullable=False, server_default="1"))
    op.add_column(
        "deliveries", sa.Column("in_place_of", sa.Text(), nullable=False, server_default="")
    )
    # Which messages stand for several alerts is asked whenever one of those changes.
    op.create_index("ix_deliveries_sent", "deliveries", ["sent_at"])
    op.create_table(
        "watchman_looks",
        sa.Column("minute", sa.DateTime(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("heartbeat", sa.String(), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.Column("troubles", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("minute"),
    )


def downgrade() -> None:
    op.drop_table("watchman_looks")
    op.drop_index("ix_deliveries_sent", "deliveries")
    op.drop_column("deliveries", "in_place_of")
    op.drop_column("deliveries", "turn")
    op.drop_column("routes", "priority")
