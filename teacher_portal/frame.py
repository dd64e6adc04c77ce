"""What every page of the portal has in common: the frame's values and where one may go back to.

Each route hands `show` the signed-in person; the frame's menu and forms come from that. Nothing
here decides who may see what: routes declare abilities and the gateway knows the scope.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse

from connectors.messaging import registry
from design.render import language, page, say, texts
from teacher_portal.menu import ABOUT_LISTS, LISTS, MEETINGS, SHEETS, menu_of
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.playbooks.follow_up import Choice
from warning_service.rooms import rooms_of
from warning_service.roster import queries as roster

SAVED = (
    "acknowledged",
    "too_late",
    "changed",
    "taken_over",
    "put_back",
    "offered",
    "declined",
    "withdrawn",
    "cannot_ask",
    "snoozed",
    "snooze_refused",
    "closed",
    "reopened",
    "follow_up",
    "review",
    "review_undone",
    "review_further_on",
    "sheet_filled",
    "sheet_checked",
    "rq_received",
    "rq_done",
    "case_given",
    "case_taken_back",
    "case_returned",
    "notice_taken",
    "notice_done",
)
"""Words a page may show after a change, by the query value `saved`."""

NOT_DONE = ("too_late", "changed", "cannot_ask", "snooze_refused", "review_further_on")
"""Those that say that nothing was changed."""


MOST_KEYS = 50
KEY = re.compile(r"[A-Za-z0-9._:-]{1,80}", re.ASCII)
"""What a random key or an id may look like. A name in Japanese never does."""


def show(
    request: Request, who: Principal, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """A page in the portal's frame, in the reader's language."""
    saved = request.query_params.get("saved", "")
    return page(
        request,
        template,
        status=status,
        who=who,
        menu=menu_for(request, who),
        place_name=place_name(request, who),
        saved=saved if saved in SAVED else "",
        not_done=NOT_DONE,
        **values,
    )


def menu_for(request: Request, who: Principal) -> list[tuple[str, str]]:
    """The menu of this person at this board: no lists where none is made, no meetings without a
    seat in one, nor lists that would only be seen from there.
    """
    rooms = rooms_of(request)
    try:
        playbook = rooms.playbooks.for_help(who.board)
    except KeyError:
        return menu_of(who)
    without: set[str] = set()
    if not rooms.follow_ups.meetings.sits(who):
        extent = who.reach(Ability.SEE_LIST)
        without |= {MEETINGS} if extent.schools or extent.classes else {MEETINGS, LISTS}
    if playbook.judgement.method == "none":
        without |= ABOUT_LISTS
    if not playbook.sheets:
        without.add(SHEETS)
    return menu_of(who, without=without)


def asks_children(request: Request, who: Principal) -> bool:
    """Does this board ask its children anything? Else nobody is behind with an answer."""
    try:
        return bool(rooms_of(request).playbooks.for_help(who.board).questionnaires)
    except KeyError:
        return False


def place_name(request: Request, who: Principal) -> str:
    """The one school of a person's duties, else the board."""
    rooms = rooms_of(request)
    with rooms.database.reading() as conn:
        names = roster.names_of_schools(
            conn,
            {school for duty in who.duties for school in duty.schools},
            {class_id for duty in who.duties for class_id in duty.classes},
        )
        if len(names) == 1:
            return names[0]
        board = roster.board(conn, who.board)
    return "" if board is None else str(board.name)


def local_path(wanted: str, default: str) -> str:
    """`wanted` when it is a path of this site, else `default`.

    Browsers read two slashes, a backslash, or a tab between slashes as another site; those are
    refused, and so is every control character (a line break would end the Location header).
    """
    if not wanted.startswith("/") or any(ord(c) <= 0x20 or c in "\\\x7f" for c in wanted):
        return default
    parts = urlsplit(wanted)
    if parts.scheme or parts.netloc or wanted.startswith("//"):
        return default
    return wanted


def portal_path(wanted: str) -> str:
    """`wanted` when it is a page of the portal, else the portal's first page."""
    path = local_path(wanted, "/portal")
    inside = path == "/portal" or path.startswith(("/portal/", "/portal?"))
    return path if inside else "/portal"


def keys_named(text: str) -> tuple[str, ...] | None:
    """The keys of staff an address names, by commas; None when it names none.

    What is no key is dropped, and with it any name somebody puts there by hand.
    """
    found = tuple(key for key in text.split(",")[:MOST_KEYS] if KEY.fullmatch(key))
    return found if text else None


def go(path: str, *, saved: str = "") -> RedirectResponse:
    """After a POST: to a path of this site, with the word to show there."""
    if saved:
        path += ("&" if "?" in path else "?") + f"saved={saved}"
    return RedirectResponse(path, 303)


def worded(choice: Choice, lang: str) -> str:
    """A playbook choice in the reader's language."""
    return choice.label_en if lang == "en" else choice.label


def duty_words(request: Request, duties: list[str] | tuple[str, ...]) -> str:
    """Names of duties in the reader's language, in order."""
    lang = language(request)
    joiner = ", " if lang == "en" else "・"
    named = (f"portal.duty_{duty}" for duty in duties if duty)
    known = texts()
    return joiner.join(say(lang, key) if key in known else key[12:] for key in named)


def via_words(lang: str, via: str) -> str:
    """What a way of telling is called on pages: this portal, or the channel's own label."""
    if via == "portal":
        return say(lang, "life.via_portal")
    kind = registry.kinds().get(via)
    if kind is None:  # a channel that was taken away since
        return via
    return kind.label_en if lang == "en" else kind.label
