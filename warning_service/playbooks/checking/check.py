"""Checks a playbook's text: every error at once, each with its line, its field and plain words.

`model.py` decides what a playbook may be and stops at the first rule between parts that is broken.
For people who write one, this looks at every part by itself and at every rule between them. What is
found here and what `parse` refuses are the same files: a test holds the two together, and whatever
`parse` says beyond this is passed on. Nothing is loaded, stored or put in force.

What is allowed but odd is a warning (odd.py).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from warning_service.playbooks.checking import odd, words
from warning_service.playbooks.checking.positions import Path, Places, places_of
from warning_service.playbooks.checking.rules import broken
from warning_service.playbooks.model import Playbook
from warning_service.playbooks.reading import Unreadable, plain, read


@dataclass(frozen=True)
class Problem:
    """One thing wrong, or odd. `line` and `column` count from 1; None where it cannot be told.

    `path`: where in the file (keys, numbers of elements); `field`: the same as people write it.
    """

    grave: bool
    line: int | None
    column: int | None
    path: Path
    field: str
    ja: str
    en: str


@dataclass(frozen=True)
class Checked:
    """What a check found, by line. `playbook`: None when there are errors."""

    problems: tuple[Problem, ...]
    playbook: Playbook | None

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What keeps the file from being used."""
        return tuple(one for one in self.problems if one.grave)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is allowed but odd."""
        return tuple(one for one in self.problems if not one.grave)


def check(text: str, current: Playbook | None = None) -> Checked:
    """Check a playbook's TOML text. `current`: the one in force, to be compared with.

    Of mistakes in TOML's own grammar only the first can be found: what follows cannot be read.
    """
    text = plain(text)
    try:
        raw = read(text)
    except tomllib.TOMLDecodeError as error:
        ja, en = words.of_grammar(str(error))
        line, column = _where(str(error), text)
        return Checked((Problem(True, line, column, (), "TOML", ja, en),), None)
    except Unreadable as error:
        return _unreadable(error, text)
    places = places_of(text)
    problems = list(_errors(raw, places))
    if problems:
        return Checked(_sorted(problems), None)
    playbook = Playbook.model_validate(raw)
    for path, ja, en in odd.oddities(playbook, current):
        problems.append(_problem(raw, places, path, (ja, en), grave=False))
    return Checked(_sorted(problems), playbook)


def _unreadable(error: Unreadable, text: str) -> Checked:
    said = error.ja, str(error)
    if error.path:  # of a text that could be read: one of its numbers
        return Checked((_problem(tomllib.loads(text), places_of(text), error.path, said),), None)
    return Checked((Problem(True, error.line, None, (), "TOML", *said),), None)


def _where(sentence: str, text: str) -> tuple[int, int]:
    found = re.search(r"\(at line (\d+), column (\d+)\)$", sentence)
    if found is not None:
        return int(found.group(1)), int(found.group(2))
    lines = text.split("\n")  # "at end of document"
    return len(lines), len(lines[-1]) + 1


def _sorted(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """By line, those without one first; errors before warnings; each once."""
    once = dict.fromkeys(problems)
    return tuple(sorted(once, key=lambda p: (not p.grave, p.line or 0, p.field, p.en)))


def _problem(
    raw: Any, places: Places, path: Path, said: words.Both, *, grave: bool = True
) -> Problem:
    # What the file lacks as a whole stands nowhere: its beginning is where one puts it.
    line = places.line(path) or 1
    column = None
    if path in places.spans:
        at = places.spans[path].key
        column = at - places.starts[places.line_at(at) - 1] + 1
    return Problem(grave, line, column, path, field_name(raw, path), *said)


def field_name(raw: Any, path: Path) -> str:
    """A path as people write it; elements go by their id where they have one, else by number."""
    name = ""
    for key in path:
        inner = None
        if isinstance(raw, dict):
            inner = raw.get(key)
        elif isinstance(raw, list) and isinstance(key, int) and key < len(raw):
            inner = raw[key]
        if isinstance(key, int):
            own = inner.get("id") if isinstance(inner, dict) else None
            name += f"[{own if isinstance(own, str) and own else key + 1}]"
        else:
            name += f".{key}" if name else key
        raw = inner
    return name


# -- errors ----


def _errors(raw: dict[str, Any], places: Places) -> Iterator[Problem]:
    crossing = [_problem(raw, places, path, _said(en)) for path, en in broken(raw)]
    yield from crossing
    try:
        Playbook.model_validate(raw)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            path = tuple(one["loc"])
            if one["type"] == "too_short" and _there(raw, path) >= one["ctx"]["min_length"]:
                continue  # they are there, and wrong: each is named by itself
            if not path and one["type"] == "value_error" and crossing:
                continue  # the first of those rules; all of them are named with their lines
            yield _problem(raw, places, path, _of_library(one, path))


def _there(raw: Any, path: Path) -> int:
    """How many elements stand at a path."""
    for key in path:
        raw = raw[key]
    return len(raw)


def _said(sentence: str) -> words.Both:
    return words.of_rule(sentence) or (sentence, sentence)


def _of_library(one: Any, path: Path) -> words.Both:
    context = one.get("ctx", {})
    if one["type"] == "value_error":
        return _said(str(context.get("error", one["msg"])))
    name = str(path[-1]) if path else ""
    known = _fields_at(path[:-1]) if one["type"] == "extra_forbidden" else []
    return words.of_library(one["type"], context, name, known) or (one["msg"], one["msg"])


def _fields_at(path: Path) -> list[str]:
    """The fields a table at that path may have, from the model; [] where it cannot be told."""
    schema: Any = _schema()
    root = schema
    for key in path:
        schema = _resolved(root, schema)
        schema = schema.get("items", {}) if isinstance(key, int) else (
            schema.get("properties", {}).get(key, {}))  # fmt: skip
    return list(_resolved(root, schema).get("properties", {}))


def _resolved(root: Any, schema: Any) -> Any:
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            schema = choice
            break
    name = schema.get("$ref", "").rpartition("/")[2]
    return root["$defs"][name] if name else schema


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    return Playbook.model_json_schema()
