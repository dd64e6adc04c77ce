"""cases handed over, and who may read a consultation

Revision: 0008, after 0007.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cases",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("school", sa.String(), nullable=False),
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("ground", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("given_by", sa.String(), nullable=False),
        sa.Column("given_at", sa.DateTime(), nullable=False),
        sa.Column("ended_by", sa.String(), nullable=False),
        sa.Column("ended_how", sa.String(), nullable=False),
        sa.Column("ended_sealed", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_cases_office", "cases", ["board", "ended_at"])
    op.create_index("ix_cases_student", "cases", ["student"])
    op.create_index(
        "ux_cases_open",
        "cases",
        ["student"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.add_column("follow_ups", sa.Column("case_id", sa.String(), nullable=True))
    op.create_index("ix_follow_ups_case_id", "follow_ups", ["case_id"])
    # Whom a child's words are for: those who were told when the alert was raised, as its event has
    # it, and not those who were told later because nobody answered.
    op.add_column("alerts", sa.Column("readers", sa.String(), nullable=False, server_default=""))
    conn = op.get_bind()
    raised = conn.execute(sa.text("SELECT body FROM events WHERE type = 'alert_raised'")).scalars()
    rows = [(json.loads(body)["alert_id"], json.loads(body)["duties"]) for body in raised]
    if rows:
        conn.execute(
            sa.text("UPDATE alerts SET readers = :readers WHERE id = :id"),
            [{"id": alert, "readers": ",".join(duties)} for alert, duties in rows],
        )


def downgrade() -> None:
    op.drop_column("alerts", "readers")
    op.drop_index("ix_follow_ups_case_id", "follow_ups")
    op.drop_column("follow_ups", "case_id")
    op.drop_table("cases")
