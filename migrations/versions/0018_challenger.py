"""challenger"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

SAID = ("rules_chance", "model_chance", "challenger_chance")


def upgrade() -> None:
    """What each of the three judges said of a child; older lists do not know it."""
    with op.batch_alter_table("list_scores") as table:
        for name in SAID:
            table.add_column(sa.Column(name, sa.Float(), nullable=True))


def downgrade() -> None:
    """Only who made the list is known again."""
    with op.batch_alter_table("list_scores") as table:
        for name in reversed(SAID):
            table.drop_column(name)
