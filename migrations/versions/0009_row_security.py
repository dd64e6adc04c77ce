"""row security: which lists a board counts, asked by the rules on entries

Grants and rules themselves describe the whole schema, so they are no migration: they are put in
place after each one (warning_service/access/row_security.py). This function is what they need
beside tables. It has its owner's rights because a rule on entries that looked at lists, whose own
rule looks at entries, would go in circles. PostgreSQL only.

Revision: 0009, after 0008.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

FUNCTION = """
CREATE FUNCTION kizashi_lists_counted() RETURNS SETOF varchar
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = %s, pg_temp
AS $$
    SELECT id FROM warning_lists
    WHERE board = nullif(current_setting('kizashi.counts', true), '')
$$
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    # Fixed, so that nobody can put a table of that name in front of the real one.
    schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    op.execute(FUNCTION % schema)
    op.execute("REVOKE ALL ON FUNCTION kizashi_lists_counted() FROM PUBLIC")


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION kizashi_lists_counted()")
