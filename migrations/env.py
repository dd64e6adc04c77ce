"""Runs migrations on a connection that `warning_service.migrate` hands in."""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlmodel import SQLModel

import warning_service.tables  # noqa: F401  (fills the metadata)


def _ours(name: str | None, kind: str, parents: Any) -> bool:
    return kind != "schema" or name in (None, "roster")


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    include_schemas=True,
    include_name=_ours,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
