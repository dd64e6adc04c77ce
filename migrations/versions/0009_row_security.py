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

DROP_RULES = """
DO $$
DECLARE rule record;
BEGIN
    FOR rule IN SELECT schemaname, tablename FROM pg_policies WHERE policyname = 'kizashi_scope'
    LOOP
        EXECUTE format('DROP POLICY kizashi_scope ON %I.%I', rule.schemaname, rule.tablename);
    END LOOP;
END $$
"""

FORGET_RULES = """
DO $$
DECLARE note text := obj_description('roster'::regnamespace, 'pg_namespace');
BEGIN
    EXECUTE format(
        'COMMENT ON SCHEMA roster IS %L',
        regexp_replace(note, E'\\x1f[^\\x1f]*', E'\\x1fnone')
    );
END $$
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    # Fixed, so that nobody can put a table of that name in front of the real one.
    schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    op.execute(FUNCTION % schema)
    op.execute("REVOKE ALL ON FUNCTION kizashi_lists_counted() FROM PUBLIC")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        return
    # The rules go first: some of them ask the function. The tables stay closed to the roles of
    # pages, and the note on the schema forgets which rules they had, or the next `migrate` would
    # take the grants for those of now and leave everything that is made anew without any.
    op.execute(DROP_RULES)
    op.execute(FORGET_RULES)
    op.execute("DROP FUNCTION kizashi_lists_counted()")
