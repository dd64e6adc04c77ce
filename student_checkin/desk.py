"""The desk that takes in what children send: checks it, seals it, hands it to the intake.

Every way in (the API, the pages' plain forms) comes through here, so that there is one set of rules
and one meaning of "received": the event is durable. Opted-out children are served like all others;
what is left out for them is left out by those who read the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

import msgspec
import structlog
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import select

from student_checkin.bodies import CheckIn, Consultation, Refused
from student_checkin.known import Known
from student_checkin.places import Place, Places, Plan
from warning_service.access.principals import Principal
from warning_service.access.sealing import CannotOpen
from warning_service.access.web import child_cookie
from warning_service.catalogue.questionnaires import consultation, questionnaire
from warning_service.clock import day_of
from warning_service.database import StorageUnavailable
from warning_service.events.log import ConflictingEvent, from_row
from warning_service.events.tables import events
from warning_service.events.types import (
    NOT_KEPT,
    CheckInSubmitted,
    ConsultationRequested,
    Event,
    NewEvent,
)
from warning_service.rooms import Rooms, rooms_of

log = structlog.get_logger()

AHEAD = timedelta(minutes=5)
"""A tablet's clock may be this much ahead of ours."""

BEHIND = timedelta(days=14)
"""An answer that waited longer on a tablet is no longer news; it is refused, not stored late."""


class Desk:
    """Takes check-ins and consultations of signed-in children."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.known = Known(rooms.sessions)
        self.cookie = child_cookie(https=rooms.sessions.https).encode() + b"="
        # What is sent is taken in with the service's own rights: that must not hang on a scope.
        self._whole = rooms.database.as_service()
        self.places = Places(self._whole, rooms.clock, rooms.playbooks)

    async def place_of(self, who: Principal) -> tuple[Place, Plan]:
        """The child's place today and its board's plan. Raises StorageUnavailable."""
        found = self.places.cached(who)
        return found if found is not None else await run_in_threadpool(self.places.load, who)

    async def check_in(
        self, who: Principal, said: CheckIn, at: datetime, *, form: bool = False
    ) -> None:
        """Return once the answers are durable. `form`: sent by a page without script.

        Raises Refused, QueueFull, StorageUnavailable (nothing stored) or ConflictingEvent.
        """
        place, plan = await self.place_of(who)
        _check_time(self.rooms.clock.now(), at, "answered_at")
        _check_answers(said, place, plan)
        event = NewEvent(
            id=said.id,
            board=who.board,
            student=who.key,
            on=day_of(at),
            actor="child",
            body=CheckInSubmitted(
                questionnaire=said.questionnaire,
                version=said.version,
                answers=said.answers,
                answered_at=at,
            ),
        )
        urgent = any(
            value is not None and value >= plan.critical.get(question, 100)
            for question, value in said.answers.items()
        )
        try:
            await self.rooms.intake.submit(event, urgent=urgent)
        except ConflictingEvent:
            # A plain form has no clock of its own: sent twice, it differs in the time alone.
            if not form or not await run_in_threadpool(self._said_before, event, None):
                raise

    async def consult(
        self, who: Principal, said: Consultation, at: datetime, *, form: bool = False
    ) -> None:
        """Return once the call for help is durable; it has places of its own in a full intake.

        A call is never refused for its time: where the tablet's clock cannot be right, ours counts.
        Raises Refused, QueueFull, StorageUnavailable (nothing stored) or ConflictingEvent.
        """
        now = self.rooms.clock.now()
        unlikely = not now - BEHIND <= at <= now + AHEAD
        at = now if unlikely else at
        offered = consultation()
        _check_choices("whom", said.whom, frozenset(c.id for c in offered.whom))
        _check_choices("about", said.about, frozenset(c.id for c in offered.about))
        words = (said.words or "").strip() or None
        sealed = await run_in_threadpool(self._sealed, who.key, words) if words else None
        event = NewEvent(
            id=said.id,
            board=who.board,
            student=who.key,
            on=day_of(at),
            actor="child",
            body=ConsultationRequested(
                whom=said.whom, about=said.about, sealed=sealed, asked_at=at
            ),
        )
        try:
            await self.rooms.intake.submit(event, urgent=True)
        except ConflictingEvent:
            # Sealing the same words twice gives two texts, so a retry looks like other content.
            again = form or unlikely  # then the time is ours, and another at each try
            if not await run_in_threadpool(self._said_before, event, words, any_time=again):
                raise

    def _sealed(self, student: str, words: str) -> str:
        """The words sealed; '' when they cannot be, because a call must not hang on a key.

        Raises StorageUnavailable: then nothing can be stored, and the tablet keeps the words.
        """
        try:
            return self.rooms.sealer.seal(student, words)
        except StorageUnavailable:
            raise
        except Exception as error:  # a key that is gone or does not fit, or whatever else it is
            log.error("words_of_a_call_not_sealed", error=type(error).__name__)
            return NOT_KEPT

    def own_event(self, who: Principal, event_id: str) -> Event | None:
        """What this child sent under that id, if it is durable. Raises StorageUnavailable."""
        with self.rooms.database.reading() as conn:
            row = conn.execute(
                select(events).where(events.c.id == event_id, events.c.student == who.key)
            ).one_or_none()
        return None if row is None else from_row(row)

    def _said_before(self, new: NewEvent, words: str | None, *, any_time: bool = True) -> bool:
        """Is the event of that id in the log the same child saying the same?"""
        with self._whole.reading() as conn:
            row = conn.execute(select(events).where(events.c.id == new.id)).one_or_none()
        if row is None or row.student != new.student:
            return False
        held, body = from_row(row).body, new.body
        if isinstance(held, CheckInSubmitted) and isinstance(body, CheckInSubmitted):
            return msgspec.structs.replace(body, answered_at=held.answered_at) == held
        if not isinstance(held, ConsultationRequested) or not isinstance(
            body, ConsultationRequested
        ):
            return False
        at = held.asked_at if any_time else body.asked_at
        if msgspec.structs.replace(body, asked_at=at, sealed=held.sealed) != held:
            return False
        if held.sealed is None or words is None:
            return held.sealed is None and words is None
        try:
            return self.rooms.sealer.open(str(new.student), held.sealed) == words
        except CannotOpen:
            return True  # a key is in trouble; the call itself is here, and that is what it is for


def desk_of(request: Request) -> Desk:
    """FastAPI dependency: the one desk of this application."""
    state = request.app.state
    if not hasattr(state, "child_desk"):
        state.child_desk = Desk(rooms_of(request))
    desk = state.child_desk
    assert isinstance(desk, Desk)
    return desk


def _check_time(now: datetime, at: datetime, field: str) -> None:
    if at > now + AHEAD:
        raise Refused(422, field, "api_future")
    if at < now - BEHIND:
        raise Refused(422, field, "api_ancient")


@lru_cache(maxsize=512)
def choices(questionnaire_id: str, grade: int) -> Mapping[str, frozenset[int | None]]:
    """Question id -> values that may be chosen by a child of that grade; None where skippable."""
    return {
        q.id: frozenset([a.value for a in q.answers] + ([None] if q.skippable else []))
        for q in questionnaire(questionnaire_id).for_grade(grade)
    }


def _check_answers(said: CheckIn, place: Place, plan: Plan) -> None:
    """Raises Refused for whatever the child of that place is not asked, or must not leave out."""
    asked = plan.questionnaires.get(said.questionnaire)
    if asked is None:
        raise Refused(422, "questionnaire", "api_unknown_questionnaire")
    if asked.version != said.version:
        raise Refused(422, "version", "api_unknown_version")
    if place.grade == 0:
        raise Refused(403, "session", "api_not_on_roll")
    allowed = choices(asked.id, place.grade)
    for question, value in said.answers.items():
        if question not in allowed:
            if any(q.id == question for q in asked.questions):
                raise Refused(422, f"answers.{question}", "api_other_grade")
            raise Refused(422, "answers", "api_unknown_question")  # it may be anybody's words
        field = f"answers.{question}"
        if value not in allowed[question]:
            raise Refused(
                422, field, "api_unknown_choice" if value is not None else "api_not_skippable"
            )
    for question, values in allowed.items():
        if None not in values and question not in said.answers:
            raise Refused(422, f"answers.{question}", "api_missing_field")


def _check_choices(field: str, given: tuple[str, ...], offered: frozenset[str]) -> None:
    if not offered.issuperset(given) or len(set(given)) != len(given):
        raise Refused(422, field, "api_unknown_choice")
