"""The `trait_*` columns of a replay folder, read apart from everything a score is made of.

They serve the fairness tables of the report alone. `Folder` does not hold them, so that nothing
that judges can come by one.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

PREFIX = "trait_"


def read_traits(folder: Path, without: str | None = None) -> dict[str, dict[str, str]]:
    """Trait -> student -> value; an empty cell is no value. For a folder that was read already."""
    text = (folder / "students.csv").read_text("utf-8")
    found: dict[str, dict[str, str]] = {}
    for row in csv.DictReader(io.StringIO(text, newline="")):
        for column, value in row.items():
            if column.startswith(PREFIX):
                held = found.setdefault(column.removeprefix(PREFIX), {})
                if value and row["student"] != without:
                    held[row["student"]] = value
    return {trait: dict(sorted(held.items())) for trait, held in sorted(found.items())}
