"""Brings a database to the newest schema, or says that it is not there yet.

The service refuses to start on an older schema instead of guessing; `kizashi up` and `kizashi demo`
migrate first, the separate processes (`serve`, `work`, `schedule`) only check.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import migrations
from warning_service.access import row_security
from warning_service.database import ROSTER, Database


class SchemaNotCurrent(RuntimeError):
    """The database's schema is not the newest one."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def newest() -> str:
    """The newest revision. Raises CommandError when there is more than one head."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def migrate(database: Database) -> None:
    """Upgrade to the newest revision, then put row-level security in step with it.

    Raises row_security.RolesMissing when a database administrator has to make two roles first; the
    schema is the newest one then, and pages are not served until it has been run again.
    """
    with database.writing() as conn:
        if not database.is_sqlite:
            conn.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {ROSTER}")
        command.upgrade(_config(conn), "head")
    row_security.install(database)


def check(database: Database) -> None:
    """Raises SchemaNotCurrent unless the schema is the newest one."""
    with database.as_service().reading() as conn:
        current = MigrationContext.configure(conn).get_current_revision()
    if current != newest():
        raise SchemaNotCurrent(f"schema is {current}, this version needs {newest()}")
