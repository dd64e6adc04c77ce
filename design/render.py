"""Renders pages: one Jinja environment for child, teacher, committee and board.

Templates live with their rooms (`design/templates`, `student_checkin/templates`,
`teacher_portal/templates`) and are found by prefix-free names, so names begin with the room:
`child_…`, `portal_…`; shared ones with `frame_` and `parts_`. Wording is in `texts.toml` beside the
templates, by key, in Japanese and English; `t("key")` in a template gives it in the reader's
language (a large subject has a file of its own, `texts_….toml`), and an unknown key is an error in
every environment.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from design.charts import spark
from warning_service.catalogue.questionnaires import plain, readable
from warning_service.clock import JAPAN

ROOMS = ("design", "student_checkin", "teacher_portal")
WEEKDAYS = "月火水木金土日"


def folder(room: str, *parts: str) -> Path:
    """A folder or file of a room's package."""
    return Path(str(files(room))).joinpath(*parts)


@lru_cache(maxsize=1)
def texts() -> dict[str, dict[str, str]]:
    """All wording: key -> {"ja": …, "en": …}. Raises ValueError for a key without both."""
    found: dict[str, dict[str, str]] = {}
    for room in ROOMS:
        for file in sorted(folder(room, "templates").glob("texts*.toml")):
            for key, words in tomllib.loads(file.read_text("utf-8")).items():
                if set(words) != {"ja", "en"} or key in found:
                    raise ValueError(f"{room}: text '{key}' needs ja and en, once")
                found[key] = words
    return found


def say(lang: str, key: str, **values: Any) -> str:
    """The wording of `key` with `values` filled in. Raises KeyError for an unknown key."""
    return texts()[key][lang].format(**values)


def language(request: Request) -> str:
    """`ja` unless the reader chose English (cookie `lang`)."""
    return "en" if request.cookies.get("lang") == "en" else "ja"


def day_text(day: date | datetime | None, lang: str = "ja", *, year: bool = False) -> str:
    """11月22日(日), or Sun 22 Nov; an instant is shown as its day in Japan."""
    if day is None:
        return ""
    if isinstance(day, datetime):
        day = day.astimezone(JAPAN).date()
    if lang == "en":
        return f"{day:%a} {day.day} {day:%b}" + (f" {day.year}" if year else "")
    text = f"{day.month}月{day.day}日({WEEKDAYS[day.weekday()]})"
    return f"{day.year}年{text}" if year else text


def month_text(day: date, lang: str = "ja", *, year: bool = False) -> str:
    """4月 or 2026年4月; Apr or Apr 2026."""
    if lang == "en":
        return f"{day:%b}" + (f" {day.year}" if year else "")
    return (f"{day.year}年" if year else "") + f"{day.month}月"


def time_text(instant: datetime | None) -> str:
    """08:15, in Japan."""
    return "" if instant is None else f"{instant.astimezone(JAPAN):%H:%M}"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The Jinja environment; templates escape by default and undefined names are errors."""
    env = Environment(
        loader=FileSystemLoader([str(folder(room, "templates")) for room in ROOMS]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["plain"] = plain
    env.filters["time_text"] = time_text
    env.globals["readable"] = readable
    env.globals["spark"] = spark
    return env


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page in the reader's language; templates get `t`, `day_text`, `lang`, `now`, `values`."""
    lang = language(request)
    rooms = request.app.state.rooms
    translate: Callable[..., str] = partial(say, lang)
    html = (
        environment()
        .get_template(template)
        .render(
            t=translate,
            lang=lang,
            day_text=partial(day_text, lang=lang),
            month_text=partial(month_text, lang=lang),
            now=rooms.clock.now(),
            demo=rooms.settings.environment == "demo",
            path=request.url.path,
            **values,
        )
    )
    return HTMLResponse(html, status_code=status)
