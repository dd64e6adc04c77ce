"""requests of families

Revision: 0005, after 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = (
    "stopped_items",
    "request_links",
    "request_corrections",
    "request_choices",
    "request_steps",
    "family_requests",
)


def upgrade() -> None:
    op.create_table(
        "family_requests",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("received_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("extended_days", sa.Integer(), nullable=False),
        sa.Column("paused_days", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("sealed_wish", sa.Text(), nullable=False),
        sa.Column("sealed_reason", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("as_of", sa.DateTime(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(), nullable=True),
        sa.Column("approved_by", sa.String(), nullable=False),
        sa.Column("approved_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_family_requests_board", "family_requests", ["board"])
    op.create_index("ix_family_requests_student", "family_requests", ["student"])
    op.create_table(
        "request_steps",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_request_steps_request", "request_steps", ["request"])
    op.create_table(
        "request_choices",
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("piece", sa.String(), nullable=False),
        sa.Column("ground", sa.String(), nullable=False),
        sa.Column("sealed_note", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("request", "piece"),
    )
    op.create_table(
        "request_corrections",
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("was", sa.Float(), nullable=False),
        sa.Column("should_be", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("request", "event"),
    )
    op.create_table(
        "request_links",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=False),
        sa.Column("used_by", sa.String(), nullable=False),
        sa.Column("used_at", sa.DateTime(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_request_links_request", "request_links", ["request"])
    op.create_table(
        "stopped_items",
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("from_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("student", "item"),
    )


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
