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
    second_factors()
    provider_accounts()


def second_factors() -> None:
    op.create_table(
        "staff_factors",
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("totp", sa.String(), nullable=False),
        sa.Column("totp_since", sa.DateTime(), nullable=True),
        sa.Column("totp_offered", sa.String(), nullable=False),
        sa.Column("totp_offered_to", sa.String(), nullable=False),
        sa.Column("totp_offered_at", sa.DateTime(), nullable=True),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("staff"),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("mac", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("staff", "mac"),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("used_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_passkeys_staff"), "passkeys", ["staff"])
    op.create_table(
        "passkey_challenges",
        sa.Column("session", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("session", "purpose"),
    )
    op.create_index(op.f("ix_passkey_challenges_expires_at"), "passkey_challenges", ["expires_at"])


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
    op.create_index(
        "ux_identities_key", "identities", ["kind", "key", "issuer"], unique=True, schema="roster"
    )
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
    op.drop_table("passkey_challenges")
    op.drop_table("passkeys")
    op.drop_table("recovery_codes")
    op.drop_table("staff_factors")
