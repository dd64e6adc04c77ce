"""decisions of several meetings on one child, sheets, on what a case may be looked at

A child on a list could have one decision; now each meeting has its own, told apart by its scheme.

Revision: 0016, after 0015.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _reviews_by("list_id", "student", "scheme")
    _decided_when_recorded()
    op.create_table(
        "sheets",
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("sheet", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("section", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("school", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("student", "sheet", "about", "section", "version"),
    )
    op.create_index("ix_sheets_board", "sheets", ["board"])
    op.add_column("cases", sa.Column("basis", sa.String(), nullable=False, server_default=""))
    op.add_column("cases", sa.Column("consent_on", sa.Date(), nullable=True))
    op.add_column("cases", sa.Column("items", sa.Text(), nullable=True))


def downgrade() -> None:
    for column in ("items", "consent_on", "basis"):
        op.drop_column("cases", column)
    op.drop_table("sheets")
    # Of several meetings' decisions the first one's stays, as the log has them.
    op.execute(
        "DELETE FROM reviews WHERE EXISTS (SELECT 1 FROM reviews r WHERE r.list_id ="
        " reviews.list_id AND r.student = reviews.student AND (r.at < reviews.at OR"
        " (r.at = reviews.at AND r.scheme < reviews.scheme)))"
    )
    _reviews_by("list_id", "student")


def _decided_when_recorded() -> None:
    """Decisions so far had no moment in their events: it is when the log took them, so that their
    rows follow from the log.
    """
    conn = op.get_bind()
    rows = conn.execute(
        sa.text(
            "SELECT student, body, recorded_at FROM events WHERE type = 'review_decided'"
            " ORDER BY position"
        )
    )
    last = {}
    for student, body, at in rows:
        held = json.loads(body)
        last[held["list_id"], student, held["scheme"]] = at
    if last:
        conn.execute(
            sa.text(
                "UPDATE reviews SET at = :at WHERE list_id = :list_id AND student = :student"
                " AND scheme = :scheme"
            ),
            [
                {"at": at, "list_id": list_id, "student": student, "scheme": scheme}
                for (list_id, student, scheme), at in last.items()
            ],
        )


def _reviews_by(*key: str) -> None:
    """The table once more, with this primary key and the same rows."""
    op.rename_table("reviews", "reviews_before")
    # The name of a primary key stays taken on PostgreSQL as long as its table is there.
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE reviews_before DROP CONSTRAINT reviews_pkey")
    op.create_table(
        "reviews",
        sa.Column("list_id", sa.String(), nullable=False),
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("scheme", sa.String(), nullable=False),
        sa.Column("chosen", sa.String(), nullable=False),
        sa.Column("directions", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint(*key, name="reviews_pkey"),
    )
    names = "list_id, student, scheme, chosen, directions, sealed, author, at"
    op.execute(f"INSERT INTO reviews ({names}) SELECT {names} FROM reviews_before")
    op.drop_table("reviews_before")
