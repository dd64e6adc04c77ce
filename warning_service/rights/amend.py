"""Deciding corrections and stops of use, and making them count.

An accepted correction is a new event that says what is right; the wrong one stays in the log, and
judging, pages and the disclosure file honour the newer. What lies outside the log (a name, a date
of birth) is put right in the register it comes from, and the officer says how. A stop of use covers
either everything (the same as a refusal of linking) or chosen items. Whoever had been given the
wrong fact is told, and that is recorded (第97条).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from warning_service.access.principals import Principal
from warning_service.catalogue.items import all_items
from warning_service.catalogue.questionnaires import questionnaire
from warning_service.database import insert_new
from warning_service.events import log as event_log
from warning_service.events.types import (
    Event,
    NewEvent,
    ObservationCorrected,
    ObservationRecorded,
    UseStopped,
    derived_id,
    tag_of,
)
from warning_service.playbooks.service import Playbooks
from warning_service.rights.service import Refused, Requests, View
from warning_service.rights.tables import request_corrections, stopped_items
from warning_service.rights.terms import Decision, Kind, State
from warning_service.roster.service import opt_out

EVERYTHING = "*"
"""Among the items to stop: everything, as by a refusal of linking."""


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded fact that could be wrong. `value`: as it counts now; None: taken back already."""

    event: Event
    item: str
    label: str
    unit: str
    was: float
    value: float | None


class Amendments:
    """Works on requests for correction and for stop of use."""

    def __init__(self, requests: Requests, playbooks: Playbooks) -> None:
        self._requests = requests
        self._playbooks = playbooks
        self._database = requests.database

    def facts(self, view: View) -> list[Fact]:
        """The child's recorded facts, newest first."""
        with self._database.reading() as conn:
            return _facts(conn, view.row.student)

    def items(self, view: View) -> list[tuple[str, str]]:
        """(id, words) of what can be stopped: items and questions the board's playbook uses."""
        book, known = self._playbooks.of(view.row.board), all_items()
        asked = {
            q.item: q.label for name in book.questionnaires for q in questionnaire(name).questions
        }
        return [
            (use.id, known[use.id].label if use.id in known else asked.get(use.id, use.id))
            for use in book.items
        ]

    def corrected(self, view: View) -> list[Any]:
        """What an accepted request corrected (rows of request_corrections)."""
        t = request_corrections
        with self._database.reading() as conn:
            return list(conn.execute(select(t).where(t.c.request == view.row.id).order_by(t.c.day)))

    def refuse(self, who: Principal, request: str, reason: str) -> None:
        """Do not correct, or do not stop, and say why. Raises Refused, NotYours."""
        view = self._running(who, request, Kind.CORRECTION, Kind.STOP)
        sealed = self._requests.seal(view, reason, needed="reason")
        with self._requests.log.unit_of_work() as unit:
            self._decided(unit.conn, who, view, Decision.REFUSED, sealed)
            self._note(unit.conn, who, "request_decided", view)

    def correct(
        self,
        who: Principal,
        request: str,
        reason: str,
        changes: Mapping[str, float | None],
        recipients: str = "",
    ) -> None:
        """Accept a correction. `changes`: event id -> what is right, None for "never happened".

        With none, `reason` says how it was put right elsewhere. `recipients`: who had been given
        the wrong fact and is told (第97条). Raises Refused, NotYours, StorageUnavailable.
        """
        view = self._running(who, request, Kind.CORRECTION)
        sealed = self._requests.seal(view, reason, needed="reason")
        told = self._requests.seal(view, recipients)
        held = {fact.event.id: fact for fact in self.facts(view)}
        wanted = {}
        for event_id, value in changes.items():
            fact = held.get(event_id)
            if fact is None or value == fact.value or (value is not None and not 0 <= value < 1e6):
                raise Refused("value")
            wanted[event_id] = (fact, value)
        with self._requests.log.unit_of_work() as unit:
            self._decided(unit.conn, who, view, Decision.ACCEPTED, sealed)
            if told:
                self._requests.step(unit.conn, request, who, "recipients_told", sealed=told)
            for event_id, (fact, value) in sorted(wanted.items()):
                now_counts = 0.0 if fact.value is None else fact.value
                unit.conn.execute(
                    request_corrections.insert().values(
                        request=request, event=event_id, item=fact.item, day=fact.event.on,
                        was=now_counts, should_be=value,
                    )
                )  # fmt: skip
                unit.append(
                    NewEvent(
                        id=derived_id("correction", request, event_id),
                        board=view.row.board, student=view.row.student, on=fact.event.on,
                        actor=who.key,
                        body=ObservationCorrected(
                            item=fact.item, was=now_counts, value=value,
                            corrects=event_id, request=request,
                        ),
                    )
                )  # fmt: skip
            self._note(unit.conn, who, "request_decided", view)

    def stop(self, who: Principal, request: str, reason: str, items: Sequence[str]) -> None:
        """Accept a stop of use: of EVERYTHING, or of these items. Raises Refused, NotYours."""
        view = self._running(who, request, Kind.STOP)
        sealed = self._requests.seal(view, reason, needed="reason")
        known = {item for item, _ in self.items(view)}
        wanted = tuple(sorted(set(items)))
        if not wanted or not set(wanted) <= known | {EVERYTHING}:
            raise Refused("items")
        row, now = view.row, self._requests.log.clock.now()
        chosen = tuple(item for item in wanted if item != EVERYTHING)
        with self._requests.log.unit_of_work() as unit:
            self._decided(unit.conn, who, view, Decision.ACCEPTED, sealed)
            self._requests.step(unit.conn, request, who, "stopped", detail=",".join(wanted))
            if EVERYTHING in wanted:
                opt_out(
                    unit, self._requests.log, board=row.board, student=row.student, refused=True,
                    actor=who.key,
                )  # fmt: skip
            if chosen:
                unit.conn.execute(
                    insert_new(unit.conn, stopped_items),
                    [
                        {
                            "student": row.student, "item": item, "board": row.board,
                            "request": request, "from_at": now,
                        }
                        for item in chosen
                    ],
                )  # fmt: skip
                unit.append(
                    NewEvent(
                        id=derived_id("use_stopped", request), board=row.board,
                        student=row.student, on=self._requests.log.clock.today(), actor=who.key,
                        body=UseStopped(items=chosen, request=request),
                    )
                )  # fmt: skip
            self._note(unit.conn, who, "request_decided", view)

    def tell(self, who: Principal, request: str, recipients: str) -> None:
        """Record that somebody who had been given the wrong fact was told. Raises Refused."""
        view = self._requests.one(who, request)
        if view.kind is not Kind.CORRECTION or view.row.decision != Decision.ACCEPTED:
            raise Refused("state")
        sealed = self._requests.seal(view, recipients, needed="recipients")
        with self._database.writing() as conn:
            self._requests.step(conn, request, who, "recipients_told", sealed=sealed)
            self._note(conn, who, "request_recipients_told", view)

    def _note(self, conn: Connection, who: Principal, action: str, view: View) -> None:
        self._requests.people.write(conn, who, action, view.row.student, view.row.id)

    def _running(self, who: Principal, request: str, *kinds: Kind) -> View:
        view = self._requests.running(who, request)
        if view.kind not in kinds:
            raise Refused("kind")
        return view

    def _decided(
        self, conn: Connection, who: Principal, view: View, decision: Decision, sealed: str
    ) -> None:
        self._requests.change(
            conn, view, state=State.DECIDED, decision=decision, sealed_reason=sealed,
            decided_by=who.key, decided_at=self._requests.log.clock.now(),
        )  # fmt: skip
        self._requests.step(conn, view.row.id, who, "decided", detail=decision.value)


def _facts(conn: Connection, student: str) -> list[Fact]:
    known = all_items()
    told = event_log.of_student(
        conn, student, [tag_of(ObservationRecorded), tag_of(ObservationCorrected)]
    )
    now: dict[str, float | None] = {
        event.body.corrects: event.body.value
        for event in told
        if isinstance(event.body, ObservationCorrected)
    }
    found = []
    for event in told:
        if isinstance(event.body, ObservationRecorded):
            item = event.body.item
            found.append(
                Fact(
                    event=event,
                    item=item,
                    label=known[item].label if item in known else item,
                    unit=known[item].unit if item in known else "",
                    was=event.body.value,
                    value=now.get(event.id, event.body.value),
                )
            )
    return sorted(found, key=lambda fact: (fact.event.on, fact.item), reverse=True)


def stopped_of(conn: Connection, board: str) -> set[tuple[str, str]]:
    """(student, item) pairs whose use was stopped, for importers: such a fact is not taken in."""
    t = stopped_items
    rows = conn.execute(select(t.c.student, t.c.item).where(t.c.board == board))
    return {(row.student, row.item) for row in rows}
