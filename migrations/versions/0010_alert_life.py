"""alerts with a whole life

Revision: 0010, after 0009.
"""

from __future__ import annotations

import json
from collections import Counter

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_WORDS = ("delivered_via", "seen_by", "offered_to", "snoozed_by", "snooze_reason", "closed_by")
_TIMES = (
    "step_due_at", "answered_at", "delivered_at", "seen_at", "offered_at", "snoozed_at",
    "closed_at",
)  # fmt: skip


def upgrade() -> None:
    op.add_column("alerts", sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
    for name in _WORDS:
        op.add_column("alerts", sa.Column(name, sa.String(), nullable=False, server_default=""))
    for name in _TIMES:
        op.add_column("alerts", sa.Column(name, sa.DateTime(), nullable=True))
    conn = op.get_bind()
    # What was taken on before has no time by which a record is due, and never rings again by
    # itself: nobody is called now to what was settled last spring.
    conn.execute(sa.text("UPDATE alerts SET step_due_at = due_at, answered_at = acknowledged_at"))
    conn.execute(sa.text("UPDATE alerts SET due_at = NULL WHERE state <> 'open'"))
    changed = Counter(
        json.loads(body)["alert_id"]
        for body in conn.execute(
            sa.text(
                "SELECT body FROM events WHERE type IN"
                " ('alert_acknowledged', 'alert_escalated', 'alert_handled')"
            )
        ).scalars()
    )
    if changed:
        conn.execute(
            sa.text("UPDATE alerts SET version = :version WHERE id = :id"),
            [{"id": alert, "version": version} for alert, version in changed.items()],
        )


def downgrade() -> None:
    op.execute("UPDATE alerts SET due_at = step_due_at")
    op.execute("UPDATE alerts SET state = 'open' WHERE state = 'snoozed'")
    op.execute("UPDATE alerts SET state = 'handled' WHERE state = 'closed'")
    for name in (*_WORDS, *_TIMES, "version"):
        op.drop_column("alerts", name)
