"""Renders a child's page: wording with furigana for its grade, in its language.

Templates get `say(key, …)` and `wording(japanese, english)`, both with ruby; `words(key, …)` is the
same without readings, for labels a screen reader speaks and for texts the scripts fill in.
"""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup, escape

from design.render import language, page, say
from student_checkin.bodies import MOST_BYTES
from warning_service.catalogue.questionnaires import consultation, plain, readable
from warning_service.events.types import new_id

FIRST_GRADE = 1
"""Who reads is not known before the class is: every reading is shown then."""

_RUBY = Markup("<ruby>{}<rp>(</rp><rt>{}</rt><rp>)</rp></ruby>")


def ruby(marked: str, grade: int) -> Markup:
    """Marked-up wording as HTML with furigana for a reader of that grade."""
    parts = []
    for run in readable(marked, grade):
        text = escape(run.text)
        if run.reading:
            parts.append(_RUBY.format(text, run.reading))
        else:
            parts.append(text)
    return Markup("").join(parts)


_ICON = Markup(
    '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="/static/child/{}"/></svg>'
)


def icon(name: str, kind: str = "small") -> Markup:
    """A drawing of static/faces.svg beside words that say the same."""
    return _ICON.format(kind, f"faces.svg#{name}")


def picture(name: str) -> Markup:
    """A drawing of static/pictures.svg."""
    return _ICON.format("picture", f"pictures.svg#{name}")


def child_page(
    request: Request, template: str, *, grade: int, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page for a child of that grade (0: unknown); `who`: the Principal, if signed in."""
    reader = grade or FIRST_GRADE
    lang = language(request)

    def wording(japanese: str, english: str) -> Markup:
        return escape(english) if lang == "en" else ruby(japanese, reader)

    def say_ruby(key: str, **given: Any) -> Markup:
        text = say(lang, key, **given)
        return escape(text) if lang == "en" else ruby(text, reader)

    def words(key: str, **given: Any) -> str:
        return plain(say(lang, key, **given))

    values.setdefault("who", None)
    # Seconds after which a session on a shared tablet ends unless a page is opened; else 0.
    shared = values["who"] is not None and values["who"].class_id
    idle = request.app.state.rooms.settings.shared_session_idle if shared else 0
    return page(
        request,
        template,
        status=status,
        say=say_ruby,
        words=words,
        wording=wording,
        icon=icon,
        picture=picture,
        grade=reader,
        idle=idle,
        help_lines=consultation().help_lines,
        fresh_id=new_id(),
        **values,
    )


async def small_form(request: Request) -> None:
    """Route dependency: refuse a form that is too large before anything reads it."""
    length = request.headers.get("content-length", "0")
    chunked = "transfer-encoding" in request.headers
    if chunked or not length.isdigit() or int(length) > MOST_BYTES:
        raise HTTPException(413, "too large")


async def from_here(request: Request) -> None:
    """Route dependency for sign-in: refuse a form that another site had the browser send."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise HTTPException(403, "sent from another site")
