"""Fresh PostgreSQL databases for tests, cheaply: emptied and renamed, each is used again.

Copying a template of eighty tables costs a third of a second, emptying the few tables that a test
wrote a twentieth of that. A database whose schema, rights or rules are no longer those of the
template is thrown away; so is the name, so that what a test left running finds nothing to write to.
The server does not wait for the disk: no test pulls the plug of the machine.
"""

from __future__ import annotations

import os
from collections import deque

import psycopg
from psycopg import sql
from psycopg.errors import InvalidCatalogName, ObjectInUse
from sqlalchemy import make_url

from warning_service.database import Database
from warning_service.migrate import migrate

TEMPLATE = "template_kizashi"

_SHAPE = """
SELECT md5(string_agg(one, E'\\n' ORDER BY one)) FROM (
  SELECT concat_ws('|', relnamespace, relname, relkind, relowner, relrowsecurity,
                   relforcerowsecurity, relacl, reloptions) AS one
    FROM pg_class WHERE relkind <> 't' AND relname NOT LIKE 'pg\\_toast%' AND oid >= 16384
  UNION ALL SELECT concat_ws('|', attrelid::regclass, attname, atttypid, atttypmod, attnotnull,
                   attidentity, attisdropped, attacl)
    FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0 AND
         (SELECT relkind FROM pg_class WHERE oid = attrelid) <> 't'
  UNION ALL SELECT concat_ws('|', polrelid::regclass, polname, polcmd, polpermissive, polroles,
                   pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    FROM pg_policy
  UNION ALL SELECT concat_ws('|', tgrelid::regclass, tgname, tgtype, tgenabled, tgfoid)
    FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT concat_ws('|', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE oid >= 16384
  UNION ALL SELECT concat_ws('|', proname, prosrc, prosecdef, proacl, proconfig)
    FROM pg_proc WHERE oid >= 16384
  UNION ALL SELECT concat_ws('|', nspname, nspowner, nspacl, obj_description(oid, 'pg_namespace'))
    FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_t%'
  UNION ALL SELECT concat_ws('|', defaclrole, defaclnamespace, defaclacl) FROM pg_default_acl
  UNION ALL SELECT concat_ws('|', setrole, setconfig) FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION ALL SELECT version_num FROM alembic_version
) AS shape
"""

# The guards that refuse to change the trail and the log are for everybody but replication.
_EMPTY = """
DO $$
DECLARE one regclass; used boolean;
BEGIN
  SET LOCAL session_replication_role = replica;
  FOR one IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind = 'r' AND n.nspname IN ('public', 'roster')
               AND c.relname <> 'alembic_version' AND pg_relation_size(c.oid) > 0
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', one) INTO used;
    IF pg_relation_size(one) > 262144 THEN EXECUTE format('TRUNCATE %s', one);
    ELSIF used THEN EXECUTE format('DELETE FROM %s', one);
    END IF;
  END LOOP;
  PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence;
END $$
"""


class Databases:
    """A server's databases for one process of tests: `take` one, `give` it back."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._admin = psycopg.connect(server, autocommit=True)
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            self._admin.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
        self._admin.execute("SELECT pg_reload_conf()")
        self._admin.execute(f"CREATE DATABASE {TEMPLATE}")
        database = Database(self.url(TEMPLATE))
        migrate(database)
        database.close()
        with psycopg.connect(self.url(TEMPLATE), autocommit=True) as conn:
            self._shape = _shape(conn)
        self._used: deque[str] = deque()
        self._made = 0

    def url(self, name: str) -> str:
        """The address of one of the server's databases."""
        return make_url(self._server).set(database=name).render_as_string(hide_password=False)

    def take(self) -> str:
        """The name of a migrated database with no rows, which nobody has had under that name."""
        while len(self._used) > 1:  # of the one given back last, a connection may still be ending
            old, name = self._used.popleft(), self._name()
            try:
                self._admin.execute(f"ALTER DATABASE {old} RENAME TO {name}")
            except (ObjectInUse, InvalidCatalogName):  # somebody still there, or thrown away
                self._drop(old)
                continue
            with psycopg.connect(self.url(name), autocommit=True) as conn:
                if _shape(conn) == self._shape:
                    conn.execute(_EMPTY)
                    return name
            self._drop(name)
        name = self._name()
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return name

    def give(self, name: str) -> None:
        """Nobody needs it any more. What is still connected to it is cut off."""
        self._admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
        self._used.append(name)

    def _name(self) -> str:
        self._made += 1
        return f"t{os.getpid()}_{self._made}"

    def _drop(self, name: str) -> None:
        self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def close(self) -> None:
        """Leave the server."""
        self._admin.close()


def _shape(conn: psycopg.Connection) -> str:
    """A digest of everything about a database but its rows."""
    tables = conn.execute("SELECT to_regclass('alembic_version')").fetchone()
    if tables is None or tables[0] is None:
        return ""
    found = conn.execute(_SHAPE).fetchone()
    assert found is not None
    return str(found[0])
