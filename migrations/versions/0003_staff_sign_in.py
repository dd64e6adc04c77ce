"""staff sign in

Revision: 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    provider_accounts()


def provider_accounts() -> None:
    op.create_table(
        "spent_tokens",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_spent_tokens_expires_at"), "spent_tokens", ["expires_at"])
    op.create_table(
        "identities",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("linked_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "issuer", "subject"),
        schema="roster",
    )
    op.create_index("ix_identities_key", "identities", ["kind", "key"], schema="roster")
    op.create_table(
        "expected_accounts",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "board", "account"),
        schema="roster",
    )
    op.create_index(
        op.f("ix_roster_expected_accounts_key"), "expected_accounts", ["key"], schema="roster"
    )


def downgrade() -> None:
    op.drop_table("expected_accounts", schema="roster")
    op.drop_table("identities", schema="roster")
    op.drop_table("spent_tokens")
