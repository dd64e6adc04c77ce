"""What stored rows have different from the rows derived from the log: the words of every rebuild.

Which rows these are, and how they are derived, is each room's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def different(
    stored: Mapping[Any, Mapping[str, Any]],
    derived: Mapping[Any, Mapping[str, Any]],
    named: Callable[[Any], str],
) -> list[str]:
    """A line for each row (key -> column -> value) that is not the same, in the order of keys."""
    found = []
    for key in sorted(stored.keys() | derived.keys()):
        if key not in stored:
            found.append(f"{named(key)}: in the log, not stored")
        elif key not in derived:
            found.append(f"{named(key)}: stored, not in the log")
        elif columns := [n for n, value in derived[key].items() if stored[key][n] != value]:
            found.append(f"{named(key)}: {', '.join(columns)}")
    return found
