"""Reads a playbook's TOML text, and refuses what no playbook looks like before it can do harm.

Python's reader takes any correct TOML: a key of ten thousand parts, which costs it (and whatever
walks over the text) memory by the square, or a number of thousands of digits, which nothing that
shows or stores it can write again. A text is pasted on a page of the process that takes children's
calls for help, so such a one is an error like another and not the end of that process.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from math import inf
from typing import Any

MOST_TEXT = 400_000
"""Characters of a playbook; the largest shipped one is a tenth of that."""
MOST_DOTS = 200
"""On one line. Parts of a key are divided by dots, and a key cannot go over a line's end."""
DEEPEST = 64
"""Tables and arrays within each other; no playbook has more than five."""
LARGEST = 10**15
"""Numbers stay below it, so that a float holds whole ones exactly and a sum of some is a number."""
_DIGITS = re.compile(r"[0-9a-fA-F_]{3000,}")


class Unreadable(ValueError):
    """Correct TOML, but nothing a playbook can be. `ja`: the same in Japanese. `line`, or `path`
    (of keys and numbers of elements): where, as far as that can be told.
    """

    def __init__(
        self, ja: str, en: str, line: int | None = None, path: tuple[str | int, ...] = ()
    ) -> None:
        super().__init__(en)
        self.ja, self.line, self.path = ja, line, path


def plain(text: str) -> str:
    """The text without the mark (BOM) some editors put before it and nobody sees."""
    return text.removeprefix("\ufeff")


def read(text: str) -> dict[str, Any]:
    """What is in the text. Raises TOMLDecodeError for the grammar, Unreadable for the rest."""
    text = plain(text)
    if len(text) > MOST_TEXT:
        raise Unreadable(
            f"長すぎます({MOST_TEXT:,} 文字まで)",
            f"longer than {MOST_TEXT:,} characters",
            text.count("\n", 0, MOST_TEXT) + 1,
        )
    # A line of a comment may have as many as it likes; within a long string it is no key either.
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MOST_DOTS and line.lstrip()[:1] != "#":
            raise too_deep(number)
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise too_deep(_deepest(text)) from None
    except ValueError as error:  # Python reads no number of more than 4,300 digits
        digits = _DIGITS.search(text)
        at = None if digits is None else text.count("\n", 0, digits.start()) + 1
        raise _too_large(at) from error
    if _too_deep(found, 0):
        raise too_deep(_deepest(text))
    _numbers(found, ())
    return found


def _inner(value: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _too_deep(value: Any, depth: int) -> bool:
    return depth > DEEPEST or any(_too_deep(one, depth + 1) for _, one in _inner(value))


def _numbers(value: Any, path: tuple[str | int, ...]) -> None:
    # What is no number (nan) or has no end is for the field it stands in to refuse.
    if isinstance(value, (int, float)) and abs(value) >= LARGEST and value not in (inf, -inf):
        raise _too_large(path=path)
    for key, one in _inner(value):
        _numbers(one, (*path, key))


def _deepest(text: str) -> int | None:
    """The line on which brackets lie too deep within each other; None where keys do so."""
    open_ = 0
    for at, mark in enumerate(text):
        open_ += (mark in "[{") - (mark in "]}")
        if open_ > DEEPEST:
            return text.count("\n", 0, at) + 1
    return None


def too_deep(line: int | None = None) -> Unreadable:
    """Said of a text whose parts lie too deep within each other."""
    return Unreadable("入れ子が深すぎます", "nested too deeply", line)


def _too_large(line: int | None = None, path: tuple[str | int, ...] = ()) -> Unreadable:
    return Unreadable("15桁をこえる数があります", "a number has more than 15 digits", line, path)
