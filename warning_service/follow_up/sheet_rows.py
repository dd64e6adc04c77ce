"""What one event does to the rows of sheets; service and rebuild take the columns from here.

Student keys and ids only; the values stay sealed.
"""

from __future__ import annotations

from typing import Any

from warning_service.events.types import SheetFilled


def filled(board: str, student: str, actor: str, body: SheetFilled) -> dict[str, Any]:
    """The whole row of a new version."""
    return {
        "student": student,
        "sheet": body.sheet,
        "about": body.about,
        "section": body.section,
        "version": body.version,
        "board": board,
        "school": body.school,
        "sealed": body.sealed,
        "author": actor,
        "at": body.at,
    }
