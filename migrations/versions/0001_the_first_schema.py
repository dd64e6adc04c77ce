"""the first schema

Revision: 0001, after .
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def guard_append_only(table: str) -> None:
    """Have the database itself refuse to change or delete rows of `table`."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_append_only()"
    )


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("school", sa.String(), nullable=False),
        sa.Column("class_id", sa.String(), nullable=False),
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("urgency", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("raised_at", sa.DateTime(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=True),
        sa.Column("duties", sa.String(), nullable=False),
        sa.Column("acknowledged_by", sa.String(), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(), nullable=True),
        sa.Column("acknowledged_via", sa.String(), nullable=False),
        sa.Column("handled_by", sa.String(), nullable=False),
        sa.Column("handled_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_alerts_due", "alerts", ["state", "due_at"], unique=False)
    op.create_index("ix_alerts_school", "alerts", ["school", "raised_at"], unique=False)
    op.create_index(op.f("ix_alerts_student"), "alerts", ["student"], unique=False)
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "boards",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("playbook", sa.String(), nullable=False),
        sa.Column("generated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "classes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("school", sa.String(), nullable=False),
        sa.Column("school_year", sa.Integer(), nullable=False),
        sa.Column("grade", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
    )
    op.create_index(op.f("ix_classes_school"), "classes", ["school"], unique=False)
    op.create_table(
        "closed_days",
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("school", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("board", "school", "day"),
    )
    op.create_table(
        "consumers",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", "board"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("alert_id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("updates", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("next_at", sa.DateTime(), nullable=False),
        sa.Column("claimed_until", sa.DateTime(), nullable=True),
        sa.Column("claimed_by", sa.String(), nullable=False),
        sa.Column("sent_at", sa.DateTime(), nullable=True),
        sa.Column("remote_id", sa.String(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_deliveries_alert_id"), "deliveries", ["alert_id"], unique=False)
    op.create_index("ix_deliveries_next", "deliveries", ["state", "next_at"], unique=False)
    op.create_table(
        "enrolments",
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("class_id", sa.String(), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("until_day", sa.Date(), nullable=True),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("school", sa.String(), nullable=False),
        sa.Column("grade", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("student", "class_id", "from_day"),
    )
    op.create_index(op.f("ix_enrolments_board"), "enrolments", ["board"], unique=False)
    op.create_index("ix_enrolments_class", "enrolments", ["class_id", "from_day"], unique=False)
    op.create_index(op.f("ix_enrolments_school"), "enrolments", ["school"], unique=False)
    op.create_table(
        "events",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("student", sa.String(), nullable=True),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_board_position", "events", ["board", "position"], unique=False)
    op.create_index("ix_events_student_position", "events", ["student", "position"], unique=False)
    op.create_index(
        "ix_events_outcomes",
        "events",
        ["board", "position"],
        unique=False,
        sqlite_where=sa.text("type = 'outcome_recorded'"),
        postgresql_where=sa.text("type = 'outcome_recorded'"),
    )
    op.create_table(
        "facts",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "feature_states",
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("board", "student"),
    )
    op.create_table(
        "follow_ups",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("school", sa.String(), nullable=False),
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("list_id", sa.String(), nullable=True),
        sa.Column("alert_id", sa.String(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("change", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_follow_ups_alert_id"), "follow_ups", ["alert_id"], unique=False)
    op.create_index(op.f("ix_follow_ups_list_id"), "follow_ups", ["list_id"], unique=False)
    op.create_index(op.f("ix_follow_ups_student"), "follow_ups", ["student"], unique=False)
    op.create_table(
        "job_runs",
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("slot", sa.String(), nullable=False),
        sa.Column("ran_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("job", "slot"),
    )
    op.create_table(
        "list_entries",
        sa.Column("list_id", sa.String(), nullable=False),
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("is_new", sa.Boolean(), nullable=False),
        sa.Column("supported", sa.Boolean(), nullable=False),
        sa.Column("times_running", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("list_id", "student"),
    )
    op.create_index(op.f("ix_list_entries_student"), "list_entries", ["student"], unique=False)
    op.create_table(
        "list_scores",
        sa.Column("list_id", sa.String(), nullable=False),
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("rules_score", sa.Float(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("list_id", "student"),
    )
    op.create_table(
        "model_snapshots",
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("versions", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("board", "name"),
    )
    op.create_table(
        "opt_outs",
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("from_at", sa.DateTime(), nullable=False),
        sa.Column("until_at", sa.DateTime(), nullable=True),
        sa.Column("board", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("student", "from_at"),
    )
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
        sa.PrimaryKeyConstraint("list_id", "student"),
    )
    op.create_table(
        "duties",
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("from_day", sa.Date(), nullable=False),
        sa.Column("until_day", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("staff", "role", "place", "from_day"),
        schema="roster",
    )
    op.create_table(
        "imports",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("file_sha256", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("rows_new", sa.Integer(), nullable=False),
        sa.Column("rows_known", sa.Integer(), nullable=False),
        sa.Column("rows_left_out", sa.Integer(), nullable=False),
        sa.Column("rows_rejected", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        schema="roster",
    )
    op.create_table(
        "rejects",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("import_id", sa.String(), nullable=False),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("column", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        schema="roster",
    )
    op.create_index(
        op.f("ix_roster_rejects_import_id"),
        "rejects",
        ["import_id"],
        unique=False,
        schema="roster",
    )
    op.create_table(
        "seats",
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("class_id", sa.String(), nullable=False),
        sa.Column("seat", sa.Integer(), nullable=False),
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("student", "class_id"),
        schema="roster",
    )
    op.create_index("ux_seats_number", "seats", ["class_id", "seat"], unique=True, schema="roster")
    op.create_table(
        "staff",
        sa.Column("staff", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("slack_user", sa.String(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("staff"),
        sa.UniqueConstraint("login"),
        schema="roster",
    )
    op.create_index(
        op.f("ix_roster_staff_slack_user"),
        "staff",
        ["slack_user"],
        unique=False,
        schema="roster",
    )
    op.create_table(
        "student_secrets",
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("student"),
        schema="roster",
    )
    op.create_table(
        "students",
        sa.Column("student", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("family_name", sa.String(), nullable=False),
        sa.Column("given_name", sa.String(), nullable=False),
        sa.Column("family_kana", sa.String(), nullable=False),
        sa.Column("given_kana", sa.String(), nullable=False),
        sa.Column("born", sa.Date(), nullable=False),
        sa.Column("sex", sa.String(), nullable=False),
        sa.Column("household", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("student"),
        schema="roster",
    )
    op.create_index(
        "ux_students_number",
        "students",
        ["board", "number"],
        unique=True,
        schema="roster",
    )
    op.create_table(
        "routes",
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("duty", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("board", "place", "duty", "channel"),
    )
    op.create_table(
        "school_questionnaires",
        sa.Column("school", sa.String(), nullable=False),
        sa.Column("questionnaire", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("school", "questionnaire"),
    )
    op.create_table(
        "schools",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_schools_board"), "schools", ["board"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("class_id", sa.String(), nullable=False),
        sa.Column("csrf", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.Column("ends_at", sa.DateTime(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_index(op.f("ix_sessions_key"), "sessions", ["key"], unique=False)
    op.create_table(
        "sign_in_attempts",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_table(
        "training_blocks",
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("board", "day"),
    )
    op.create_table(
        "warning_lists",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False),
        sa.Column("school", sa.String(), nullable=False),
        sa.Column("list_date", sa.Date(), nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("judge", sa.String(), nullable=False),
        sa.Column("judge_why", sa.Text(), nullable=False),
        sa.Column("model_version", sa.String(), nullable=False),
        sa.Column("playbook", sa.String(), nullable=False),
        sa.Column("budget", sa.Integer(), nullable=False),
        sa.Column("ranked", sa.Integer(), nullable=False),
        sa.Column("published_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_warning_lists_board"), "warning_lists", ["board"], unique=False)
    op.create_index(op.f("ix_warning_lists_school"), "warning_lists", ["school"], unique=False)
    guard_append_only("events")
    guard_append_only("audit")


def downgrade() -> None:
    op.drop_index(op.f("ix_warning_lists_school"), table_name="warning_lists")
    op.drop_index(op.f("ix_warning_lists_board"), table_name="warning_lists")
    op.drop_table("warning_lists")
    op.drop_table("training_blocks")
    op.drop_table("sign_in_attempts")
    op.drop_index(op.f("ix_sessions_key"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_index(op.f("ix_schools_board"), table_name="schools")
    op.drop_table("schools")
    op.drop_table("school_questionnaires")
    op.drop_table("routes")
    op.drop_index("ux_students_number", table_name="students", schema="roster")
    op.drop_table("students", schema="roster")
    op.drop_table("student_secrets", schema="roster")
    op.drop_index(op.f("ix_roster_staff_slack_user"), table_name="staff", schema="roster")
    op.drop_table("staff", schema="roster")
    op.drop_index("ux_seats_number", table_name="seats", schema="roster")
    op.drop_table("seats", schema="roster")
    op.drop_index(op.f("ix_roster_rejects_import_id"), table_name="rejects", schema="roster")
    op.drop_table("rejects", schema="roster")
    op.drop_table("imports", schema="roster")
    op.drop_table("duties", schema="roster")
    op.drop_table("reviews")
    op.drop_table("opt_outs")
    op.drop_table("model_snapshots")
    op.drop_table("list_scores")
    op.drop_index(op.f("ix_list_entries_student"), table_name="list_entries")
    op.drop_table("list_entries")
    op.drop_table("job_runs")
    op.drop_index(op.f("ix_follow_ups_student"), table_name="follow_ups")
    op.drop_index(op.f("ix_follow_ups_list_id"), table_name="follow_ups")
    op.drop_index(op.f("ix_follow_ups_alert_id"), table_name="follow_ups")
    op.drop_table("follow_ups")
    op.drop_table("feature_states")
    op.drop_table("facts")
    op.drop_index("ix_events_outcomes", table_name="events")
    op.drop_index("ix_events_student_position", table_name="events")
    op.drop_index("ix_events_board_position", table_name="events")
    op.drop_table("events")
    op.drop_index(op.f("ix_enrolments_school"), table_name="enrolments")
    op.drop_index("ix_enrolments_class", table_name="enrolments")
    op.drop_index(op.f("ix_enrolments_board"), table_name="enrolments")
    op.drop_table("enrolments")
    op.drop_index("ix_deliveries_next", table_name="deliveries")
    op.drop_index(op.f("ix_deliveries_alert_id"), table_name="deliveries")
    op.drop_table("deliveries")
    op.drop_table("consumers")
    op.drop_table("closed_days")
    op.drop_index(op.f("ix_classes_school"), table_name="classes")
    op.drop_table("classes")
    op.drop_table("boards")
    op.drop_table("audit")
    op.drop_index(op.f("ix_alerts_student"), table_name="alerts")
    op.drop_index("ix_alerts_school", table_name="alerts")
    op.drop_index("ix_alerts_due", table_name="alerts")
    op.drop_table("alerts")
