"""The file a family is given: one page that needs nothing else, and the same for machines.

An HTML page with its style inside (it is opened from a disk, where nothing can be fetched), a JSON
file beside it, both in one zip. Neither file's name tells whose it is. What is withheld is named
with its reason in its place; what concerns calls for help, when withheld, is not mentioned, and the
same sentence stands in every section where it could have been. Records are given without their
ids: a number left out, or an id that stands in no other place, would tell that something is hidden.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from warning_service.clock import JAPAN
from warning_service.rights.held import HELP, HELP_SECTIONS, SECTIONS, Part, Record, Rulebook
from warning_service.rights.terms import GROUNDS, LAW
from warning_service.rights.words import instant_ja

HTML_NAME, JSON_NAME = "kaiji.html", "kaiji.json"
FORMAT = "kizashi-disclosure-1"


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """All that goes into a file. `open` gives a part's words, unsealing them."""

    records: list[Record]
    rules: Rulebook
    as_of: datetime
    made_at: datetime
    decided_on: datetime
    reference: str
    board: str
    open: Callable[[Part], str]


def archive(held: Opened) -> bytes:
    """The zip with both files."""
    sections = _sections(held)
    stamp = held.made_at.astimezone(JAPAN)
    when = (stamp.year, stamp.month, stamp.day, stamp.hour, stamp.minute, stamp.second)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in (
            (HTML_NAME, _html(held, sections).encode()),
            (JSON_NAME, _json(held, sections)),
        ):
            info = zipfile.ZipInfo(name, when)
            info.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(info, data)
    return made.getvalue()


def help_sentence(ground: str) -> str:
    """What stands wherever something about a call for help could have been."""
    known = GROUNDS[ground]
    return (
        "相談と、いのちにかかわる知らせに関する情報は、あるかないかも含めてお答えしません"
        f"({LAW}第81条。理由: {known.article}、{known.ja})。"
    )


def withheld_words(ground: str) -> str:
    """What stands in place of a withheld part."""
    known = GROUNDS[ground]
    return f"不開示(理由: {known.article}、{known.ja})"


def _sections(held: Opened) -> list[dict[str, Any]]:
    found = []
    for section, title in SECTIONS.items():
        records = [
            _record(held, record)
            for record in held.records
            if record.section == section and not held.rules.left_out(record)
        ]
        ground = held.rules.help_ground
        silent = help_sentence(ground) if ground and section in HELP_SECTIONS else ""
        if silent and section == HELP:
            records = [r for r in records if any(p["withheld"] is None for p in r["parts"])]
        found.append({"id": section, "title": title, "records": records, "silent": silent})
    return found


def _record(held: Opened, record: Record) -> dict[str, Any]:
    parts = []
    for part in record.parts:
        ground = held.rules.ground(record, part)
        parts.append(
            {
                "name": part.name,
                "label": part.label,
                "text": None if ground else held.open(part),
                "withheld": {"article": GROUNDS[ground].article, "reason": GROUNDS[ground].ja}
                if ground
                else None,
                "words": withheld_words(ground) if ground else "",
            }
        )
    return {"on": record.on, "title": record.title, "parts": parts}


def _json(held: Opened, sections: list[dict[str, Any]]) -> bytes:
    plain = [
        {
            **section,
            "records": [
                {
                    **record,
                    "parts": [
                        {key: part[key] for key in ("name", "label", "text", "withheld")}
                        for part in record["parts"]
                    ],
                }
                for record in section["records"]
            ],
        }
        for section in sections
    ]
    told = {
        "format": FORMAT,
        "reference": held.reference,
        "board": held.board,
        "as_of": held.as_of.isoformat(),
        "made_at": held.made_at.isoformat(),
        "sections": plain,
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2)


@lru_cache(maxsize=1)
def _template() -> tuple[Any, str]:
    # Not with the pages' templates: those may hold no style, because a server gives it to them.
    here = files(__package__)
    env = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    env.filters["instant"] = instant_ja
    return (
        env.from_string(here.joinpath("file.template").read_text("utf-8")),
        here.joinpath("file.css").read_text("utf-8"),
    )


def _html(held: Opened, sections: list[dict[str, Any]]) -> str:
    template, css = _template()
    return str(template.render(held=held, sections=sections, css=Markup(css), law=LAW))  # noqa: S704
