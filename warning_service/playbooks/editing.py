"""The numbers of a playbook that a board turns most, and a file with some of them changed.

Changes are made in the text itself, at the place where the number stands, so that comments, order
and everything else a board has written stay as they are. A number the file leaves to its standard
is put beside its neighbours. Whether the new file is fit is for checking/ to say.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from warning_service.catalogue.items import all_items
from warning_service.catalogue.questionnaires import plain, questionnaire
from warning_service.playbooks.checking.positions import Path, Places, places_of
from warning_service.playbooks.model import Playbook

_NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,9})?", re.ASCII)


class Number(NamedTuple):
    """One number: where it stands, its part of the form, what it is of, and its present value.

    `part`: budget, item, pick, type, second or sibling. `name`: of what within the part; labels
    are for the reader ('' where the part's own words are enough).
    """

    path: Path
    part: str
    name: str
    label_ja: str
    label_en: str
    value: float | None

    @property
    def field(self) -> str:
        """Its name in a form."""
        return ".".join(str(key) for key in self.path)


def numbers(playbook: Playbook) -> Iterator[Number]:
    """The numbers that decide who is listed and how many, in the order of the file."""
    rule = playbook.list
    if rule.budget_places is not None:
        yield _of_list("budget_places", rule.budget_places)
    if rule.budget_share is not None:
        yield _of_list("budget_share", rule.budget_share)
        yield _of_list("budget_least", rule.budget_least)
    yield _of_list("supported_days", rule.supported_days)
    for at, pick in enumerate(rule.picks):
        for name in ("n", "share", "at"):
            value = getattr(pick, name)
            if value is not None:
                path = ("list", "picks", at, name)
                yield Number(path, "pick", name, pick.label, pick.label_en, value)
    if rule.second is not None:
        yield Number(("list", "second", "least"), "second", "least", "", "", rule.second.least)
    for at, kind in enumerate(playbook.types):
        if kind.at is not None:
            yield Number(("types", at, "at"), "type", "at", kind.label, kind.label_en, kind.at)
    if playbook.judgement.sibling is not None:
        for name in ("at", "points"):
            value = getattr(playbook.judgement.sibling, name)
            yield Number(("judgement", "sibling", name), "sibling", name, "", "", value)
    fields = {"points": ("points", "at"), "formula": ("coefficient",)}.get(
        playbook.judgement.method, ("at",)
    )
    for at, item in enumerate(playbook.items):
        ja, en = _labels(playbook, item.id)
        for name in (*fields, "window_days"):
            yield Number(("items", at, name), "item", name, ja, en, getattr(item, name))


def _of_list(name: str, value: float) -> Number:
    return Number(("list", name), "budget", name, "", "", value)


def _labels(playbook: Playbook, item: str) -> tuple[str, str]:
    """What people call an item: the catalogue's words, a question's own, else its id."""
    known = all_items().get(item)
    if known is not None:
        return known.label, known.label_en
    for name in playbook.questionnaires:
        for question in questionnaire(name).questions:
            if question.item == item:
                return plain(question.label), question.id.replace("_", " ").capitalize()
    return item, item


def number_in(text: str) -> str | None:
    """What somebody typed as a number TOML can read; None for what is no number.

    Full-width digits are taken as they are meant.
    """
    plain = unicodedata.normalize("NFKC", text).strip().replace(",", "")
    if not _NUMBER.fullmatch(plain):
        return None
    whole, _, part = plain.partition(".")
    sign = "-" if whole.startswith("-") else ""
    whole = whole.lstrip("-").lstrip("0") or "0"
    part = part.rstrip("0")
    return f"{sign}{whole}.{part}" if part else f"{sign}{whole}"


def changed(text: str, new: Mapping[Path, str]) -> str:
    """The file with these numbers (as `number_in` gives them) at these paths.

    Raises KeyError for a path whose table is not in the file.
    """
    places = places_of(text)
    edits = sorted((_edit(places, path, value) for path, value in new.items()), reverse=True)
    for start, end, put in edits:
        text = text[:start] + put + text[end:]
    return text


def _edit(places: Places, path: Path, value: str) -> tuple[int, int, str]:
    """(from, to, what is put there)."""
    if path in places.spans:
        span = places.spans[path]
        return span.start, span.end, value
    table, name = path[:-1], path[-1]
    span = places.spans[table]
    if table in places.inline:
        at = span.end - 1
        while places.text[at - 1] in " \t":
            at -= 1
        return at, at, f", {name} = {value}"
    # Behind the table's name: in `[[items]]` the id, else the head itself.
    behind = places.spans.get((*table, "id"), span).end
    line_end = places.text.find("\n", behind)
    if line_end < 0:
        return len(places.text), len(places.text), f"\n{name} = {value}\n"
    return line_end + 1, line_end + 1, f"{name} = {value}\n"
