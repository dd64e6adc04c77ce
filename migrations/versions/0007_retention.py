"""retention: a door for deletions, children left out, models derived again

Revision: 0007, after 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

GUARDED = ("events", "audit")
ASKING = "type IN ('opt_out_recorded', 'use_stopped', 'log_shortened')"


def open_door(table: str) -> None:
    """Let DELETE through while a permit for `table` lies in `deletion_permits`; never UPDATE."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"DROP TRIGGER {table}_no_delete")
        op.execute(
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
            f"WHEN NOT EXISTS (SELECT 1 FROM deletion_permits WHERE subject = '{table}') "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
        return
    op.execute(
        f"CREATE OR REPLACE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN "
        f"IF TG_OP = 'DELETE' AND EXISTS "
        f"(SELECT 1 FROM deletion_permits WHERE subject = '{table}') THEN RETURN NULL; END IF; "
        f"RAISE EXCEPTION '{table} is append-only'; END $$"
    )


def shut_door(table: str) -> None:
    """Refuse every DELETE again, as 0001 did."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"DROP TRIGGER {table}_no_delete")
        op.execute(
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
        return
    op.execute(
        f"CREATE OR REPLACE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )


def upgrade() -> None:
    op.create_table(
        "deletion_permits",
        sa.Column("subject", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    for table in GUARDED:
        open_door(table)
    op.create_table(
        "left_out",
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("board", "student"),
    )
    op.create_table(
        "derivations",
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("began", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("board", "since"),
    )
    op.create_index(
        "ix_events_asking",
        "events",
        ["board", "position"],
        unique=False,
        sqlite_where=sa.text(ASKING),
        postgresql_where=sa.text(ASKING),
    )
    # An earlier form of the same knowledge; what it says is in the log, and is derived from there.
    op.execute("DELETE FROM model_snapshots WHERE name = 'forgotten'")


def downgrade() -> None:
    op.drop_index("ix_events_asking", table_name="events")
    op.drop_table("derivations")
    op.drop_table("left_out")
    for table in GUARDED:
        shut_door(table)
    op.drop_table("deletion_permits")
