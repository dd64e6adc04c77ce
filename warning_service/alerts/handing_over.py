"""Handing an alert over: who has it asks a duty or a person, and keeps it until they accept.

An offer takes nothing off anybody: the acknowledgement and its deadline stay the giver's, and an
offer nobody accepts ends with them. Only who could be told of the alert anyway can be asked: for a
call for help those the child chose and those later in the playbook's chain, so that handing over
never tells somebody whom the child left out; for other alerts every duty at the child's place that
sees alerts. Accepting does not open what a child wrote to who was not to read it (privacy.py).
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection

from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import AT_SCHOOL, OFFICES, Ability, Role
from warning_service.access.staff_lookup import holders
from warning_service.alerts import states
from warning_service.alerts.life import Life
from warning_service.alerts.messages import OFFERED
from warning_service.alerts.privacy import CONSULTATION, grades_of, where
from warning_service.alerts.seeing import AlertView
from warning_service.alerts.telling import Place, Telling, Told
from warning_service.events.types import (
    AlertOffered,
    AlertOfferEnded,
    AlertTakenOver,
    OfAlert,
)

DUTY = "duty:"
STAFF = "staff:"
DECLINED = "declined"
WITHDRAWN = "withdrawn"


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """Who can be asked: a duty at the child's place with everybody (keys) who holds it now."""

    duty: str
    staff: tuple[str, ...]


class HandingOver(Life):
    """Offers of alerts. What returns bool returns False when the state does not allow it (any
    more); all raise NotYours and StorageUnavailable (nothing changed).
    """

    def candidates(self, who: Principal, alert_id: str) -> list[Candidate]:
        """Whom the asker can ask to take this alert over: duties somebody holds, in the order of
        the chain, without the asker.
        """
        return self._candidates(who, self.one(who, alert_id))

    def _candidates(self, who: Principal, view: AlertView) -> list[Candidate]:
        chain = self._playbooks.for_help(view.board).chain(view.kind, view.urgency)
        wanted = [*view.readers, *view.duties, *(d for step in chain[1:] for d in step.duties)]
        if view.kind != CONSULTATION:
            wanted += [d for step in chain for d in step.duties]
            wanted += [role for role in Role if role in AT_SCHOOL or role == Role.HOMEROOM]
        with self._log.database.as_service().reading() as conn:
            at = {duty: self._where(conn, duty, view) for duty in wanted}
            held = holders(conn, set(at.values()) - {""}, self._log.clock.today())
        found = []
        for duty in dict.fromkeys(wanted):
            staff = tuple(sorted(held.get((duty, at[duty]), set()) - {who.key}))
            if staff and duty in set(Role) and Ability.SEE_ALERTS in OFFICES[Role(duty)].abilities:
                found.append(Candidate(duty=duty, staff=staff))
        return found

    def offer(self, alert_id: str, who: Principal, to: str) -> bool:
        """Ask `to` (`duty:nurse` or `staff:<key>`) to take over what the asker has.

        They are told. A new offer takes the place of one that stands. Raises ValueError for
        somebody who cannot be asked.
        """
        view = self.one(who, alert_id)
        told = self._reached(to, self._candidates(who, view))
        now = self._log.clock.now()

        def offered(row: Any) -> OfAlert | None:
            if row.acknowledged_by != who.key:
                return None
            return AlertOffered(
                alert_id=alert_id, to=to, duties=told if to.startswith(DUTY) else (), at=now
            )

        owed = self._offer_messages(view, told)
        return self._by_hand(
            who, alert_id, "offer_alert", offered, owing=(Told(view.step, told, now), owed)
        )

    def accept(self, alert_id: str, who: Principal, via: str) -> bool:
        """Take over what was offered to the asker; from here on it is theirs."""
        view = self.one(who, alert_id)
        if not self.asked(who, view):
            raise NotYours
        until = self._record_by(alert_id)

        def over(row: Any) -> OfAlert | None:
            if row.offered_to != view.offered_to or row.acknowledged_by == who.key:
                return None
            return AlertTakenOver(
                alert_id=alert_id, before=row.acknowledged_by, accepted=True, via=via,
                at=self._log.clock.now(), until=until,
            )  # fmt: skip

        return self._by_hand(who, alert_id, "take_over", over)

    def decline(self, alert_id: str, who: Principal) -> bool:
        """The asked one cannot: the giver goes on having it, and sees so."""
        view = self.one(who, alert_id)
        if not self.asked(who, view):
            raise NotYours
        return self._end_offer(view, who, DECLINED)

    def withdraw(self, alert_id: str, who: Principal) -> bool:
        """The giver takes the offer back."""
        view = self.one(who, alert_id)
        if view.acknowledged_by != who.key:
            raise NotYours
        return self._end_offer(view, who, WITHDRAWN)

    def asked(self, who: Principal, view: AlertView) -> bool:
        """Is there an offer, and is it to the asker?"""
        if not view.offered_to or view.state != states.ACKNOWLEDGED:
            return False
        if view.offered_to.startswith(STAFF):
            return view.offered_to == STAFF + who.key
        duty = view.offered_to.removeprefix(DUTY)
        with self._log.database.as_service().reading() as conn:
            place = self._where(conn, duty, view)
        return any(held.role == duty and held.place == place for held in who.duties)

    def _end_offer(self, view: AlertView, who: Principal, how: str) -> bool:
        def ended(row: Any) -> OfAlert | None:
            if not row.offered_to or row.offered_to != view.offered_to:
                return None
            return AlertOfferEnded(alert_id=view.id, how=how, at=self._log.clock.now())

        return self._by_hand(who, view.id, f"offer_{how}", ended)

    def _reached(self, to: str, can: list[Candidate]) -> tuple[str, ...]:
        """The duties by which those are reached who are asked."""
        if to.startswith(DUTY):
            duty = to.removeprefix(DUTY)
            if any(one.duty == duty for one in can):
                return (duty,)
        elif to.startswith(STAFF):
            key = to.removeprefix(STAFF)
            if found := tuple(one.duty for one in can if key in one.staff):
                return found
        raise ValueError("not somebody who can be asked")

    @staticmethod
    def _where(conn: Connection, duty: str, view: AlertView) -> str:
        grade = grades_of(conn, {view.class_id}).get(view.class_id, 0)
        return where(
            duty, board=view.board, school=view.school, class_id=view.class_id, grade=grade
        )

    def _offer_messages(self, view: AlertView, told: tuple[str, ...]) -> list[dict[str, Any]]:
        now, place = self._log.clock.now(), Place(view.school, view.class_id)
        escalation = self._playbooks.for_help(view.board).escalation
        with self._log.database.as_service().reading() as conn:
            telling = Telling(
                conn, view.board, escalation, places={place}, urgencies={view.urgency},
                now=now,
            )  # fmt: skip
        return telling.deliveries(
            view.id, Told(view.step, told, now), place, purpose=OFFERED, wall=self._wall.now(),
            mark=f"{OFFERED}:{view.version}",
        )  # fmt: skip
