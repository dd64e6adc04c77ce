"""Has something changed in what comes in, or in how well the model does? In words, and by item.

For the board, and for the operator who has to find a feed that fell silent. Counts over the whole
board are read, of which shares and indices are shown; no place and no person: a share behind which
stand one to four children is not shown, and of what few children have the last day only as a month
(the day a child was taken into custody is known to its neighbours). Read with the service's own
rights, because a model's snapshot is nobody's in particular. A look is on the trail, as at counts.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from design.render import language
from models.drift import ItemDrift, ModelDrift
from teacher_portal.frame import show
from teacher_portal.suppression import SMALL, is_small
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.judging.drift import found, on_school_days
from warning_service.judging.setup import from_playbook
from warning_service.rooms import rooms_of

router = APIRouter()

REACH = 0.2
ORDER = ("silent", "marked", "slight", "new", "vacation", "steady")
Verdict = Literal["as_stated", "too_much", "too_little", "too_few"]


class ItemRow(msgspec.Struct, frozen=True, kw_only=True):
    """One item with its name; `last_on` None: nothing was ever known of it."""

    label: str
    drift: ItemDrift
    last_on: date | None

    @property
    def unknown(self) -> float | None:
        """Of which part nothing is known; None when it, or the rest, is one to four children."""
        return self._shown(0, self.drift.unknown)

    @property
    def unknown_before(self) -> float | None:
        """The same a month before; None also without one."""
        return self._shown(1, self.drift.unknown_before)

    @property
    def reach_changed(self) -> bool:
        """Is the change above all one of how many children something is known of?"""
        now, before = self.unknown, self.unknown_before
        return now is not None and before is not None and abs(now - before) >= REACH

    def _shown(self, at: int, share: float | None) -> float | None:
        of = self.drift.counted[at] if at < len(self.drift.counted) else (0, 0)
        return None if any(map(is_small, of)) else share


def verdict(model: ModelDrift) -> Verdict:
    """Did what was stated come true, as far as can be said?"""
    if min(model.hits, model.counted - model.hits) < SMALL:
        return "too_few"
    if abs(model.happened - model.stated) <= model.doubt:
        return "as_stated"
    return "too_much" if model.stated > model.happened else "too_little"


@router.get("/portal/drift")
def drift(
    request: Request, who: Annotated[Principal, Depends(Needs(Ability.SEE_COUNTS))]
) -> Response:
    """For the board."""
    return _page(request, who, Ability.SEE_COUNTS)


@router.get("/portal/feeds")
def drift_for_operators(
    request: Request, who: Annotated[Principal, Depends(Needs(Ability.OPERATE))]
) -> Response:
    """For the operator."""
    return _page(request, who, Ability.OPERATE)


def _page(request: Request, who: Principal, using: Ability) -> Response:
    rooms, lang = rooms_of(request), language(request)
    playbook = rooms.playbooks.of(who.board)
    setup = from_playbook(playbook)
    with rooms.database.as_service().reading() as conn:
        told = found(conn, who.board, setup, on_school_days(playbook))
    rooms.gateway.note(who, "board_counts", [who.board], "drift", using=using)
    names = {use.spec.id: use.label_en if lang == "en" else use.label_ja for use in setup.uses}
    rows = [
        ItemRow(
            label=names.get(one.item, one.item),
            drift=one,
            last_on=date.fromordinal(one.last_on) if one.last_on else None,
        )
        for one in told.items
    ]
    rows.sort(key=lambda row: (ORDER.index(row.drift.state), row.label))
    model = told.model
    return show(
        request, who, "portal_drift.html",
        rows=rows,
        worth=[row for row in rows if row.drift.state in ("silent", "marked")],
        model=model,
        verdict=None if model is None else verdict(model),
        changed_on=date.fromordinal(model.changed_on) if model and model.changed_on else None,
        looked_on=told.looked_on,
    )  # fmt: skip
