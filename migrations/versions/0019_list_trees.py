"""list trees"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Trees that made lists are kept, as weights are, so that a what-if can be reckoned."""
    op.create_table(
        "list_trees",
        sa.Column("board", sa.String(), primary_key=True),
        sa.Column("version", sa.String(), primary_key=True),
        sa.Column("trees", sa.LargeBinary(), nullable=False),
    )


def downgrade() -> None:
    """Lists of the challenger's stay, and can no longer be asked what if."""
    op.drop_table("list_trees")
