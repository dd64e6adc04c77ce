"""Where in a TOML text each key and value stands, so that a message can name its line.

Python's own reader gives values without positions, so this walks over a text which that reader has
already taken as correct, and notes for each path (keys and numbers of array elements) where its key
and its value are. It reads no values and checks nothing: of a text with a mistake in its grammar it
would tell nonsense. A test holds it against the reader on every shipped playbook.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

Key = str | int
Path = tuple[Key, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^\s,\]}#][^,\]}#\n]*")


class Span(NamedTuple):
    """From where to where, as offsets into the text; `key` is where its key (or head) begins."""

    key: int
    start: int
    end: int


@dataclass(frozen=True)
class Places:
    """All paths of one text with their spans; lines count from 1."""

    text: str
    spans: dict[Path, Span]
    inline: frozenset[Path]
    """Tables written in braces, on which nothing can be put on a line of its own."""
    starts: tuple[int, ...]

    def line(self, path: Path) -> int | None:
        """The line of a path's key; of its nearest ancestor that is there. None for none."""
        while path:
            if path in self.spans:
                return self.line_at(self.spans[path].key)
            path = path[:-1]
        return None

    def line_at(self, offset: int) -> int:
        """The line an offset is on."""
        return bisect_right(self.starts, offset)


def places_of(text: str) -> Places:
    """The positions in a text that `tomllib` reads without error."""
    reader = _Reader(text)
    reader.whole()
    starts = (0, *(at + 1 for at, mark in enumerate(text) if mark == "\n"))
    return Places(text, reader.spans, frozenset(reader.inline), starts)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.spans: dict[Path, Span] = {}
        self.inline: set[Path] = set()
        self._elements: dict[Path, int] = {}  # arrays of tables: how many elements so far

    def whole(self) -> None:
        table: Path = ()
        self._blank(lines=True)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._head()
            else:
                self._pair(table)
            self._blank(lines=True)

    def _blank(self, *, lines: bool) -> None:
        """Pass over spaces and comments; line ends too, where they mean nothing."""
        while self.at < len(self.text):
            mark = self.text[self.at]
            if mark in " \t" or (lines and mark in "\r\n"):
                self.at += 1
            elif mark == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return

    def _head(self) -> Path:
        """`[table]` or `[[array]]`: where the pairs after it belong."""
        began = self.at
        many = self.text.startswith("[[", self.at)
        self.at += 2 if many else 1
        names = self._keys()
        self.at = self.text.index("]", self.at) + (2 if many else 1)
        # An element of an array of tables is meant by the array's name: the latest one.
        path: Path = ()
        for number, name in enumerate(names):
            path = (*path, name)
            last = number == len(names) - 1
            if last and many:
                self.spans.setdefault(path, Span(began, began, self.at))
                self._elements[path] = self._elements.get(path, -1) + 1
                path = (*path, self._elements[path])
            elif path in self._elements:
                path = (*path, self._elements[path])
            else:
                self.spans.setdefault(path, Span(began, began, self.at))
        self.spans[path] = Span(began, began, self.at)
        return path

    def _keys(self) -> list[str]:
        """A key, with dots perhaps; stops behind it."""
        found = []
        while True:
            self._blank(lines=False)
            if self.text[self.at] in "\"'":
                began = self.at
                self._string()
                quoted = self.text[began : self.at]
                # A slip with a backslash in it has its line, too.
                found.append(tomllib.loads(f"k={quoted}")["k"] if "\\" in quoted else quoted[1:-1])
            else:
                bare = _BARE.match(self.text, self.at)
                assert bare is not None
                found.append(bare.group())
                self.at = bare.end()
            self._blank(lines=False)
            if self.text[self.at : self.at + 1] != ".":
                return found
            self.at += 1

    def _pair(self, table: Path) -> None:
        began = self.at
        names = self._keys()
        for depth in range(1, len(names)):
            self.spans.setdefault((*table, *names[:depth]), Span(began, began, self.at))
        self.at = self.text.index("=", self.at) + 1
        self._value((*table, *names), began)

    def _value(self, path: Path, key: int | None) -> None:
        self._blank(lines=False)
        began = self.at
        mark = self.text[self.at]
        if mark == "[":
            self._array(path)
        elif mark == "{":
            self._braces(path)
        elif mark in "\"'":
            self._string()
        else:
            scalar = _SCALAR.match(self.text, self.at)
            assert scalar is not None
            self.at += len(scalar.group().rstrip())
        self.spans[path] = Span(began if key is None else key, began, self.at)

    def _array(self, path: Path) -> None:
        self.at += 1
        number = 0
        while True:
            self._blank(lines=True)
            mark = self.text[self.at]
            if mark == "]":
                self.at += 1
                return
            if mark == ",":
                self.at += 1
                continue
            self._value((*path, number), None)
            number += 1

    def _braces(self, path: Path) -> None:
        self.inline.add(path)
        self.at += 1
        while True:
            self._blank(lines=True)
            mark = self.text[self.at]
            if mark == "}":
                self.at += 1
                return
            if mark == ",":
                self.at += 1
                continue
            self._pair(path)

    def _string(self) -> None:
        mark = self.text[self.at]
        long = self.text.startswith(mark * 3, self.at)
        end = mark * 3 if long else mark
        self.at += len(end)
        while not self.text.startswith(end, self.at):
            # In single quotes a backslash is a backslash.
            self.at += 2 if self.text[self.at] == "\\" and mark == '"' else 1
        self.at += len(end)
        while long and self.text[self.at : self.at + 1] == mark:  # up to two quotes may end it
            self.at += 1
