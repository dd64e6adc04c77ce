"""Alembic migrations, shipped with the package so that `kizashi` can migrate anywhere."""
