"""signed requests already taken, links of mails, devices for push

Revision: 0014, after 0013.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "seen_requests",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("ix_seen_requests_seen_at", "seen_requests", ["seen_at"])
    op.create_table(
        "ack_links",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("alert_id", sa.String(), nullable=False),
        sa.Column("duties", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("used_at", sa.DateTime(), nullable=True),
        sa.Column("used_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index("ix_ack_links_alert_id", "ack_links", ["alert_id"])
    op.create_table(
        "push_devices",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("p256dh", sa.String(), nullable=False),
        sa.Column("auth", sa.String(), nullable=False),
        sa.Column("vapid", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("reached_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_push_devices_staff", "push_devices", ["staff"])


def downgrade() -> None:
    op.drop_table("push_devices")
    op.drop_table("ack_links")
    op.drop_table("seen_requests")
