"""the childrens door

Revision: 0004, after 0003.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("door", sa.String(), nullable=False, server_default=""))
    op.create_table(
        "class_cards",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("door_hash", sa.String(), nullable=False),
        sa.Column("class_id", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("revoked_by", sa.String(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("hash"),
        sa.UniqueConstraint("door_hash"),
    )
    op.create_index(op.f("ix_class_cards_class_id"), "class_cards", ["class_id"])


def downgrade() -> None:
    op.drop_table("class_cards")
    op.drop_column("sessions", "door")
