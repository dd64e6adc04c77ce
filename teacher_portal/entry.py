"""One child's entry on a list, by itself: why, what has changed since, what would take it off, and
what-if.

Everything but the what-if is as it was frozen with the list. A what-if is sent in a form (facts
never stand in an address), calculated from the list's own formula, shown, and forgotten; only that
somebody looked stays, on the trail. It is marked as arithmetic on the page, above the numbers.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from design.render import language
from teacher_portal.frame import show, worded
from teacher_portal.lists import LEVELS, entry_as_seen, kept_from, list_of, sees_whole
from warning_service.access.gateway import Child, NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.judging import queries as judging
from warning_service.judging.setup import from_playbook
from warning_service.judging.telling.reachable import Now, span
from warning_service.judging.telling.what_if import Fact, Moved, Unable, WhatIf, prepare
from warning_service.judging.telling.wording import Told, amount, answer, number
from warning_service.rooms import rooms_of

router = APIRouter()
Reader = Annotated[Principal, Depends(Needs(Ability.SEE_LIST))]
MOST_FACTS = 40


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One fact in the form: its words now, and (value, words, is it the child's usual) of each
    other value. `chosen`: the value asked for, '' for none.
    """

    item: str
    label: str
    now: str
    others: list[tuple[str, str, bool]]
    chosen: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as this page shows it."""

    row: Any
    child: Child
    evidence: dict[str, Any]

    @property
    def level(self) -> str:
        """The level's wording key; a playbook's own level has its words in the evidence."""
        return self.row.level if self.row.level in LEVELS else "unmeasured"


@router.get("/portal/lists/{list_id}/entry/{student}")
def entry(request: Request, who: Reader, list_id: str, student: str) -> Response:
    """The entry and the form."""
    made, shown, ready = _opened(request, who, list_id, student, why="entry")
    return _page(request, who, made, shown, ready)


@router.post("/portal/lists/{list_id}/entry/{student}")
def what_if(
    request: Request,
    who: Reader,
    list_id: str,
    student: str,
    *,
    item: Annotated[list[str] | None, Form(max_length=MOST_FACTS)] = None,
    to: Annotated[list[str] | None, Form(max_length=MOST_FACTS)] = None,
    support: Annotated[str, Form(max_length=60)] = "",
    usual: Annotated[str, Form(max_length=5)] = "",
) -> Response:
    """The entry with the answer to a what-if. `usual`: all facts back at the child's own usual."""
    made, shown, ready = _opened(request, who, list_id, student, why="what_if")
    wanted: dict[str, float] = {}
    if isinstance(ready, WhatIf) and usual:
        wanted = {f.now.use.spec.id: f.usual for f in ready.facts if f.usual is not None}
    elif isinstance(ready, WhatIf):
        pairs = zip(item or [], to or [], strict=False)
        wanted = {name: found for name, text in pairs if (found := _value(text)) is not None}
    moved = ready.asked(wanted) if isinstance(ready, WhatIf) else None
    return _page(request, who, made, shown, ready, moved=moved, wanted=wanted, support=support)


def _value(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _opened(
    request: Request, who: Principal, list_id: str, student: str, *, why: str
) -> tuple[Any, Shown, WhatIf | Unable]:
    rooms = rooms_of(request)
    made = list_of(rooms, who, list_id)
    with rooms.database.reading() as conn:
        row = judging.entry(conn, list_id, student)
    if row is None:
        raise NotYours
    child = rooms.gateway.child(who, student, using=Ability.SEE_LIST, why=why, detail=list_id)
    if child.opted_out:  # a refusal works at once, also on last week's list
        raise NotYours
    setup = from_playbook(rooms.playbooks.of(who.board))
    held_back = kept_from(rooms, who, child)
    visible = frozenset(use.spec.id for use in setup.uses if not held_back(use.spec.id))
    with rooms.database.reading() as conn:
        ready = prepare(conn, setup, made, row, visible=visible, place=sees_whole(who, made))
    evidence = entry_as_seen(rooms, who, made, child, judging.evidence_of(row))
    return made, Shown(row=row, child=child, evidence=evidence), ready


def _page(
    request: Request,
    who: Principal,
    made: Any,
    shown: Shown,
    ready: WhatIf | Unable,
    *,
    moved: Moved | None = None,
    wanted: dict[str, float] | None = None,
    support: str = "",
) -> Response:
    lang = language(request)
    playbook = rooms_of(request).playbooks.of(who.board)
    offered = playbook.follow_up
    supports = [(c.id, worded(c, lang)) for c in offered.actions if c.id in offered.support_actions]
    able = ready if isinstance(ready, WhatIf) else None
    facts = [_choice(fact, lang, wanted or {}) for fact in able.facts] if able else []
    alone = (
        []
        if moved is None
        else [(_name(now, lang), _words(now, value, lang), one) for now, value, one in moved.alone]
    )
    return show(
        request,
        who,
        "portal_entry.html",
        row=made,
        entry=shown,
        since_day=_day(shown.evidence["since_last"].get("since")),
        facts=facts,
        any_usual=able is not None and any(fact.usual is not None for fact in able.facts),
        unable=ready.why if isinstance(ready, Unable) else "",
        supports=supports,
        support=dict(supports).get(support, ""),
        support_id=support if support in dict(supports) else "",
        moved=moved,
        alone=alone,
        by_points=able is not None and able.by_points,
        new_first=playbook.list.new_first,
        may_record=Ability.RECORD_FOLLOW_UP in who.abilities,
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _choice(fact: Fact, lang: str, wanted: dict[str, float]) -> Choice:
    now = fact.now
    item = now.use.spec.id
    return Choice(
        item=item,
        label=_name(now, lang),
        now=_words(now, now.value, lang),
        others=[
            (f"{value:g}", _words(now, value, lang), value == fact.usual) for value in now.steps
        ],
        chosen=f"{wanted[item]:g}" if wanted.get(item) in now.steps else "",
    )


def _name(now: Now, lang: str) -> str:
    use, said = now.use, span(now.window)
    return f"{use.label_en} ({said.en})" if lang == "en" else f"{use.label_ja}({said.ja})"


def _words(now: Now, value: float, lang: str) -> str:
    use = now.use
    if use.spec.kind == "count":
        said = Told(amount(use, value), number(value))
    else:
        said = answer(use, value)
    return said.en if lang == "en" else said.ja
