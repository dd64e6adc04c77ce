"""A signed-in child's pages: home, questionnaire, consultation, what arrived.

All of them are plain forms that work without script; the scripts in `static/` show one question at
a time and keep answers when the Wi-Fi does not. What a form sends goes through the same desk as the
API. "とどきました" is only ever shown for an event that is in the log.
"""

from __future__ import annotations

from pathlib import Path
from string import digits
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, RedirectResponse, Response
from starlette.datastructures import FormData

from student_checkin.bodies import (
    MOST_WORDS,
    CheckIn,
    Consultation,
    Refused,
    event_id,
    instant,
)
from student_checkin.desk import Desk, desk_of
from student_checkin.due import Today, today_of
from student_checkin.places import Place, Plan
from student_checkin.show import FIRST_GRADE, child_page, small_form
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import OPEN, Needs
from warning_service.alerts.listeners import Listeners
from warning_service.catalogue.questionnaires import Questionnaire, consultation
from warning_service.database import StorageUnavailable
from warning_service.events.intake import QueueFull
from warning_service.events.log import ConflictingEvent
from warning_service.events.types import NOT_KEPT, ConsultationRequested
from warning_service.playbooks.resources import Resource

router = APIRouter(prefix="/child")

TheChild = Annotated[Principal, Depends(Needs(Ability.ANSWER))]
TheDesk = Annotated[Desk, Depends(desk_of)]
log = structlog.get_logger()
SKIP = "skip"
DUTY_WORDS = frozenset(
    {
        "homeroom", "grade_lead", "nurse", "counsellor", "social_worker", "guidance", "management",
        "board",
    }
)  # fmt: skip
"""Duties the wording knows by name (child.duty_…); any other is "another teacher"."""
NO_CHOICE = -1
RETRY_AFTER_SECONDS = 5


async def _today(desk: Desk, who: Principal) -> tuple[Place, Plan, Today]:
    place, plan = await desk.place_of(who)

    def look() -> Today:
        with desk.rooms.database.reading() as conn:
            day = desk.rooms.clock.today()
            return today_of(conn, who, place, plan, day)

    return place, plan, await run_in_threadpool(look)


@router.get("")
async def home(request: Request, who: TheChild, desk: TheDesk) -> Response:
    """Hello, what is asked today, who reads it, on which days something was sent."""
    place, plan, today = await _today(desk, who)
    me = await run_in_threadpool(desk.rooms.gateway.own_name, who)
    return child_page(
        request,
        "child_home.html",
        grade=place.grade,
        who=who,
        name=me.given_name if me else "",
        welfare_reads=plan.welfare_reads,
        due=today.due,
        sent_on=today.sent_on,
    )


@router.get("/questionnaires/{questionnaire_id}")
async def questions(
    request: Request, questionnaire_id: str, who: TheChild, desk: TheDesk
) -> Response:
    """The questions for the child's grade; or word that they are answered already."""
    place, plan, today = await _today(desk, who)
    asked = plan.questionnaires.get(questionnaire_id)
    if asked is None:
        raise NotYours
    if all(due.id != asked.id for due in today.due):
        return child_page(request, "child_done.html", grade=place.grade, who=who)
    return _questions(request, who, place, plan, asked)


def _questions(
    request: Request,
    who: Principal,
    place: Place,
    plan: Plan,
    asked: Questionnaire,
    *,
    status: int = 200,
    missing: str = "",
) -> Response:
    return child_page(
        request,
        "child_questions.html",
        grade=place.grade,
        status=status,
        who=who,
        asked=asked,
        welfare_reads=plan.welfare_reads,
        questions=asked.for_grade(place.grade or FIRST_GRADE),
        missing=missing,
    )


@router.post("/questionnaires/{questionnaire_id}", dependencies=[Depends(small_form)])
async def answer_questions(
    request: Request, questionnaire_id: str, who: TheChild, desk: TheDesk
) -> Response:
    """The form without script."""
    place, plan = await desk.place_of(who)
    asked = plan.questionnaires.get(questionnaire_id)
    if asked is None:
        raise NotYours
    form = await request.form()
    answers: dict[str, int | None] = {}
    for question in asked.questions:
        value = str(form.get(question.item, ""))
        if value == SKIP:
            answers[question.id] = None
        elif value:
            # What is no choice of the page must not become "I would rather not say".
            known = len(value) == 1 and value in digits
            answers[question.id] = int(value) if known else NO_CHOICE
    if not answers:
        return _questions(request, who, place, plan, asked, status=422, missing="answers")
    at = desk.rooms.clock.now()
    said = CheckIn(_form_id(form), asked.id, asked.version, answers, at.isoformat())
    return await _take(request, desk, who, form, said, grade=place.grade)


@router.get("/consultation")
async def consultation_page(request: Request, who: TheChild, desk: TheDesk) -> Response:
    """Whom to talk to, about what, a few words; and who will read it."""
    return child_page(
        request,
        "child_consultation.html",
        grade=await _grade(desk, who),
        who=who,
        offered=consultation(),
        listeners=await _listeners(desk, who),
        duty_words=DUTY_WORDS,
        most_words=MOST_WORDS,
    )


async def _listeners(desk: Desk, who: Principal) -> Listeners | None:
    """Who would read a call now; None when that cannot be found out: asking works all the same."""
    try:
        return await run_in_threadpool(desk.rooms.alerts.listeners, who.board, who.key)
    except (StorageUnavailable, KeyError) as error:
        log.warning("listeners_unknown", error=type(error).__name__)
        return None


@router.post("/consultation", dependencies=[Depends(small_form)])
async def ask_for_help(request: Request, who: TheChild, desk: TheDesk) -> Response:
    """The form without script. Nothing chosen means "anyone": a call for help is not sent back."""
    form = await request.form()
    whom = tuple(dict.fromkeys(str(v) for v in form.getlist("whom"))) or ("anyone",)
    about = tuple(dict.fromkeys(str(v) for v in form.getlist("about")))
    words = str(form.get("words", "")).replace("\r\n", "\n")[:MOST_WORDS]
    at = desk.rooms.clock.now()
    said = Consultation(_form_id(form), whom, about, at.isoformat(), words or None)
    return await _take(request, desk, who, form, said, grade=await _grade(desk, who))


async def _grade(desk: Desk, who: Principal) -> int:
    """For the furigana alone; asking for help must hang on neither roll nor playbook."""
    try:
        place, _ = await desk.place_of(who)
    except (StorageUnavailable, KeyError, ValueError):
        return FIRST_GRADE
    return place.grade


def _form_id(form: FormData) -> str:
    try:
        return event_id(str(form.get("id", "")))
    except ValueError:
        raise HTTPException(422, "id") from None


async def _take(
    request: Request,
    desk: Desk,
    who: Principal,
    form: FormData,
    said: CheckIn | Consultation,
    *,
    grade: int,
) -> Response:
    """Hand it to the desk; show that it arrived only when it did."""
    values: dict[str, Any] = {"grade": grade, "who": who}
    try:
        if isinstance(said, CheckIn):
            await desk.check_in(who, said, instant(said.answered_at), form=True)
        else:
            await desk.consult(who, said, instant(said.asked_at), form=True)
    except Refused as refused:
        return child_page(
            request, "child_refused.html", status=refused.status, key=refused.key, **values
        )
    except ConflictingEvent:
        return child_page(request, "child_refused.html", status=409, key="child.conflict", **values)
    except (QueueFull, StorageUnavailable):
        fields = [(k, str(v)) for k, v in form.multi_items() if k != "csrf"]
        response = child_page(request, "child_not_yet.html", status=503, fields=fields, **values)
        response.headers["retry-after"] = str(RETRY_AFTER_SECONDS)
        return response
    return RedirectResponse(f"/child/received/{said.id}", 303)


async def _contact_points(
    desk: Desk, who: Principal, about: tuple[str, ...], grade: int
) -> list[Resource]:
    """Whom else the board says one can turn to with this; none when that cannot be found out.

    Never another board's, which would be the wrong door.
    """
    try:
        playbook = await run_in_threadpool(desk.rooms.playbooks.of, who.board)
    except (StorageUnavailable, KeyError, ValueError) as error:
        log.warning("contact_points_unknown", error=type(error).__name__)
        return []
    return [one for one in playbook.resources if one.helps_with(about, grade)]


@router.get("/received/{sent_id}")
async def received(request: Request, sent_id: str, who: TheChild, desk: TheDesk) -> Response:
    """The page that says "とどきました": for what is in the log, and for nothing else."""
    event = await run_in_threadpool(desk.own_event, who, sent_id)
    if event is None:
        raise NotYours
    body = event.body
    told: tuple[str, ...] = ()
    grade = await _grade(desk, who)
    points: list[Resource] = []
    if isinstance(body, ConsultationRequested):
        points = await _contact_points(desk, who, body.about, grade)
        alert = await run_in_threadpool(desk.rooms.alerts.of_source, sent_id)
        if alert is not None:
            told = alert.readers
        elif (would := await _listeners(desk, who)) is not None:
            told = would.of(body.whom, body.about)
    return child_page(
        request,
        "child_received.html",
        grade=grade,
        who=who,
        points=points,
        is_consultation=isinstance(body, ConsultationRequested),
        told=told,
        duty_words=DUTY_WORDS,
        words_lost=isinstance(body, ConsultationRequested) and body.sealed == NOT_KEPT,
    )


@router.get("/help", dependencies=[Depends(OPEN)])
async def help_page(request: Request) -> Response:
    """Phone numbers, for whoever holds the tablet."""
    return child_page(request, "child_help.html", grade=FIRST_GRADE, offline=False)


@router.get("/offline", dependencies=[Depends(OPEN)])
async def offline_page(request: Request) -> Response:
    """What the tablet shows when there is no network; it is kept on the tablet."""
    return child_page(request, "child_help.html", grade=FIRST_GRADE, offline=True)


@router.get("/sw.js", dependencies=[Depends(OPEN)], include_in_schema=False)
async def service_worker() -> Response:
    """The script that keeps the shell; served here because its scope is these pages."""
    file = Path(__file__).parent / "static" / "sw.js"
    headers = {"Service-Worker-Allowed": "/child", "Cache-Control": "no-cache"}
    return FileResponse(file, media_type="text/javascript", headers=headers)
