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
    rows = csv.DictReader(io.StringIO(text, newline=""))
    # A column without a single row is a trait all the same.
    found: dict[str, dict[str, str]] = {
        name.removeprefix(PREFIX): {} for name in rows.fieldnames or () if name.startswith(PREFIX)
    }
    for row in rows:
        for column, value in row.items():
            if column.startswith(PREFIX) and value and row["student"] != without:
                found[column.removeprefix(PREFIX)][row["student"]] = value
    return {trait: dict(sorted(held.items())) for trait, held in sorted(found.items())}
