"""Reads a playbook's TOML text, and refuses what no playbook looks like before it can do harm.

Python's reader takes any correct TOML: a key of ten thousand parts, which costs it (and whatever
walks over the text) memory by the square, or a number of thousands of digits, which nothing that
shows or stores it can write again. A text is pasted on a page of the process that takes children's
calls for help, so such a one is an error like another and not the end of that process.
"""

from __future__ import annotations

import tomllib
from typing import Any

MOST_TEXT = 400_000
"""Characters of a playbook; the largest shipped one is a tenth of that."""
MOST_DOTS = 200
"""On one line. Parts of a key are divided by dots, and a key cannot go over a line's end."""
DEEPEST = 64
"""Tables and arrays within each other; no playbook has more than five."""
LARGEST = 10**15
"""Whole numbers stay below it, so that a float holds them exactly."""


class Unreadable(ValueError):
    """Correct TOML, but nothing a playbook can be. `ja`: the same in Japanese."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja = ja


def read(text: str) -> dict[str, Any]:
    """What is in the text. Raises TOMLDecodeError for the grammar, Unreadable for the rest."""
    if len(text) > MOST_TEXT:
        raise Unreadable("長すぎます", f"longer than {MOST_TEXT} characters")
    # A line of a comment may have as many as it likes; within a long string it is no key either.
    if any(line.count(".") > MOST_DOTS for line in text.split("\n") if line.lstrip()[:1] != "#"):
        raise too_deep()
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise too_deep() from None
    except ValueError as error:  # Python reads no number of more than 4,300 digits
        raise _too_large() from error
    _bounded(found, 0)
    return found


def _bounded(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise too_deep()
    if isinstance(value, int) and abs(value) >= LARGEST:
        raise _too_large()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        _bounded(one, depth + 1)


def too_deep() -> Unreadable:
    """Said of a text whose parts lie too deep within each other."""
    return Unreadable("入れ子が深すぎます", "nested too deeply")


def _too_large() -> Unreadable:
    return Unreadable("15桁をこえる数があります", "a number has more than 15 digits")
