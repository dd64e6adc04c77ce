"""Migrations lead to exactly the tables the code declares, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

import warning_service.tables  # noqa: F401
from warning_service.database import Database
from warning_service.migrate import SchemaNotCurrent, _config, check, migrate


def test_the_migrated_schema_is_the_declared_one(database: Database) -> None:
    with database.reading() as conn:
        context = MigrationContext.configure(
            conn,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, _: kind != "schema" or name in (None, "roster"),
                "compare_type": False,
            },
        )
        assert compare_metadata(context, SQLModel.metadata) == []


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(_config()).get_heads()) == 1


def test_migrating_twice_is_harmless(database: Database) -> None:
    migrate(database)
    check(database)


def test_an_unmigrated_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaNotCurrent):
        check(Database(f"sqlite:///{tmp_path / 'empty.db'}"))
