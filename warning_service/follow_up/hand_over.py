"""Handing a child's case over to the board's welfare office, and back.

Who may hand over reaches the child by a duty that says so; the reason is sealed with the child's
key and is what the office reads. From then on, and until the school takes the case back or the
office returns it, the office's staff reach this one child and no other. A family's refusal bars a
case given for support; one about the child's safety or its own cry for help goes on.

Where the playbook asks for it, the ground on which the office may look (a consent and its day, an
ordinance) is recorded before it sees anything, and the giving side chooses what of its own items.

Not here: what the office then sees of the child (playbooks/sharing.py).
"""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from sqlalchemy import update

from warning_service.access.gateway import Gateway, NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.sealing import Sealer
from warning_service.database import insert_new
from warning_service.events.log import Log
from warning_service.events.types import CaseHandedOver, CaseReturned, NewEvent, new_id
from warning_service.follow_up import cases as states
from warning_service.follow_up.tables import cases
from warning_service.playbooks.service import Playbooks
from warning_service.playbooks.sharing import on_offer
from warning_service.roster import queries as roster

LONGEST_REASON = 500
"""Characters, as for every note."""


class NotHandedOver(ValueError):
    """Nothing was changed. `why` names the wording: ground, reason, longest, refused, open, basis,
    consent (its day is missing or to come) or items.
    """

    def __init__(self, why: str) -> None:
        super().__init__(f"not handed over: {why}")
        self.why = why


class LooksOn(msgspec.Struct, frozen=True, kw_only=True):
    """On what the office may look: a basis of the playbook's, the day of a consent, and what of
    the school's items (None: not chosen one by one).
    """

    basis: str = ""
    consent_on: date | None = None
    items: tuple[str, ...] | None = None


class HandOvers:
    """Gives cases to the welfare office and ends them."""

    def __init__(self, log: Log, sealer: Sealer, playbooks: Playbooks, gateway: Gateway) -> None:
        self._log = log
        self._playbooks = playbooks
        self._sealer = sealer
        self._gateway = gateway

    def give(
        self,
        who: Principal,
        student: str,
        ground: str,
        reason: str,
        on: LooksOn | None = None,
    ) -> str:
        """Hand the case over to the asker's board's welfare office; return the case's id.

        `on`: on what it may look, and at what of the school's. Raises NotYours, NotHandedOver,
        StorageUnavailable.
        """
        with self._log.database.reading() as conn:
            place = roster.enrolment_on(conn, student, self._log.clock.today())
            if place is None or place.board != who.board:
                raise NotYours
            if not self._gateway.within(conn, who, {student: place}, using=Ability.HAND_OVER):
                raise NotYours
            if ground not in states.GROUNDS:
                raise NotHandedOver("ground")
            if ground != states.HELP and roster.opted_out(conn, student):
                raise NotHandedOver("refused")
        looks = self._checked(who.board, ground, on or LooksOn())
        words = _words(reason)
        if not words:
            raise NotHandedOver("reason")
        sealed = self._sealer.seal(student, words)
        body = CaseHandedOver(
            case_id=new_id(),
            school=place.school,
            ground=ground,
            sealed=sealed,
            at=self._log.clock.now(),
            basis=looks.basis,
            consent_on=looks.consent_on,
            items=looks.items,
        )
        with self._log.unit_of_work() as unit:
            stored = unit.conn.execute(
                insert_new(unit.conn, cases)
                .values(**states.opened(who.board, student, who.key, body))
                .returning(cases.c.id)
            ).first()
            if stored is None:  # there is an open one, perhaps since a moment ago
                raise NotHandedOver("open")
            unit.append(self._event(who, student, body))
            self._gateway.write(
                unit.conn, who, "hand_over_case", student, body.case_id, using=Ability.HAND_OVER
            )
        return body.case_id

    def _checked(self, board: str, ground: str, on: LooksOn) -> LooksOn:
        """What is recorded of it. For a child's safety the law itself is the ground."""
        sharing = self._playbooks.of(board).sharing
        basis, day = "", None
        if sharing.bases and ground == states.SUPPORT:
            known = next((one for one in sharing.bases if one.id == on.basis), None)
            if known is None:
                raise NotHandedOver("basis")
            if known.consent and (on.consent_on is None or on.consent_on > self._log.clock.today()):
                raise NotHandedOver("consent")
            basis, day = known.id, on.consent_on if known.consent else None
        if not sharing.item_by_item:
            return LooksOn(basis=basis, consent_on=day)
        offered = [item.id for item in on_offer(self._playbooks.of(board))]
        if not set(on.items or ()) <= set(offered):
            raise NotHandedOver("items")
        # In the playbook's order, so that the same choice is the same bytes.
        items = tuple(item for item in offered if item in set(on.items or ()))
        return LooksOn(basis=basis, consent_on=day, items=items)

    def take_back(self, who: Principal, student: str, note: str = "") -> None:
        """The school ends the child's open case; the office's access is gone when this returns.

        Raises NotYours (also when there is no open case), NotHandedOver, StorageUnavailable.
        """
        with self._log.database.reading() as conn:
            case = states.open_of(conn, student)
            place = roster.enrolment_on(conn, student, self._log.clock.today())
            if case is None or case.board != who.board:
                raise NotYours
            # Who has left the roll is still taken back by the school that gave the case.
            extent = who.reach(Ability.HAND_OVER)
            here = case.school if place is None else place.school
            if here not in extent.schools:
                raise NotYours
        self._end(who, case, states.TAKEN_BACK, note, using=Ability.HAND_OVER)

    def give_back(self, who: Principal, case_id: str, note: str = "") -> None:
        """The office ends a case of its own; its access is gone when this returns.

        Raises NotYours, NotHandedOver, StorageUnavailable.
        """
        with self._log.database.reading() as conn:
            mine = states.at_offices(conn, who.reach(Ability.TAKE_CASES).cases)
        case = next((one for one in mine if one.id == case_id), None)
        if case is None:
            raise NotYours
        self._end(who, case, states.RETURNED, note, using=Ability.TAKE_CASES)

    def _end(self, who: Principal, case: Any, how: str, note: str, *, using: Ability) -> None:
        words = _words(note)
        sealed = self._sealer.seal(case.student, words) if words else None
        body = CaseReturned(case_id=case.id, how=how, sealed=sealed, at=self._log.clock.now())
        with self._log.unit_of_work() as unit:
            ended = unit.conn.execute(
                update(cases)
                .where(cases.c.id == case.id, cases.c.ended_at.is_(None))
                .values(**states.ended(who.key, body))
                .returning(cases.c.id)
            ).first()
            if ended is None:  # the other side was first
                raise NotYours
            unit.append(self._event(who, case.student, body))
            self._gateway.write(unit.conn, who, f"case_{how}", case.student, case.id, using=using)

    def _event(self, who: Principal, student: str, body: CaseHandedOver | CaseReturned) -> NewEvent:
        return NewEvent(
            id=new_id(), board=who.board, student=student, on=self._log.clock.today(),
            actor=who.key, body=body,
        )  # fmt: skip


def _words(text: str) -> str:
    words = text.replace("\r\n", "\n").strip()
    if len(words) > LONGEST_REASON:
        raise NotHandedOver("longest")
    return words
