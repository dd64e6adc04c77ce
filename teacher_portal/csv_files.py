"""A table as a CSV file to keep or to fill in, in which no cell can be taken for a formula.

What a person wrote may begin with a sign that a spreadsheet acts on, in Japanese ones the
full-width signs too; such a cell gets an apostrophe in front, which `as_written` takes away again.
Not here: whose data a file holds, and that somebody took it; those are the pages'.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi.responses import Response

ACTED_ON = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a formula of a cell, the last four being the full-width forms of the first four."""


def csv_file(name: str, rows: Iterable[Sequence[Any]]) -> Response:
    """Rows as a file of that name: UTF-8 with a mark, as spreadsheets want it."""
    text = io.StringIO()
    csv.writer(text).writerows([[_harmless(cell) for cell in row] for row in rows])
    return Response(
        "\ufeff" + text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )


def as_written(cell: str) -> str:
    """A cell of a file that came back, without the apostrophe that was ours."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(ACTED_ON) else cell


def _harmless(cell: Any) -> str:
    words = str(cell)
    if isinstance(cell, float):  # a number below 0 is no formula
        return words
    return "'" + words if words.startswith(ACTED_ON) else words
