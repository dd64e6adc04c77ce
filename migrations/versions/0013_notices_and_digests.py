"""what people thought of an alert or an entry; digests, and who does not want them

Revision: 0013, after 0012.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "opinions",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("school", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "about", "student", "author"),
    )
    op.create_index("ix_opinions_student", "opinions", ["student"])
    op.create_index("ix_opinions_board", "opinions", ["board", "at"])
    op.create_table(
        "digests",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_digests_staff", "digests", ["staff", "day"])
    op.create_table(
        "digest_choices",
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("staff", "kind"),
    )


def downgrade() -> None:
    op.drop_table("digest_choices")
    op.drop_table("digests")
    op.drop_table("opinions")
