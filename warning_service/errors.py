"""Errors as answers: what happened, what is safe, what to do; and nothing that leaks.

Pages get the error page in the reader's language, a child's in words for children; API calls get
JSON. Storage trouble is always 503 with Retry-After: nothing was stored, try again.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import structlog
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from design.render import page
from student_checkin.show import child_page
from warning_service.access.gateway import NotYours
from warning_service.access.pace import TooFast
from warning_service.access.principals import Principal
from warning_service.access.trail.audit import REFUSED
from warning_service.access.web import (
    ConfirmNeeded,
    NotAllowed,
    NotFromHere,
    NotSignedIn,
    SecondFactorNeeded,
)
from warning_service.database import StorageUnavailable
from warning_service.events.intake import QueueFull
from warning_service.events.log import ConflictingEvent
from warning_service.rooms import rooms_of

log = structlog.get_logger()

RETRY_AFTER_SECONDS = 3


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def answer(request: Request, status: int, key: str, detail: str = "") -> Response:
    """The error as a page or as JSON. `key` names the wording: error.<key>.title and .text."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}
    response: Response
    if _wants_page(request) and request.url.path.startswith("/child"):
        kind = {404: "gone", 405: "gone", 429: "wait", 503: "wait"}.get(status, "trouble")
        response = child_page(request, "child_error.html", grade=0, status=status, kind=kind)
    elif _wants_page(request):
        response = page(
            request,
            "frame_error.html",
            status=status,
            error_status=status,
            title_key=f"error.{key}.title",
            text_key=f"error.{key}.text",
        )
    else:
        response = JSONResponse({"error": key, "detail": detail}, status_code=status)
    response.headers.update(headers)
    return response


_KEYS = {
    400: "bad_request",
    401: "signed_out",
    403: "forbidden",
    404: "not_found",
    405: "not_found",
    409: "conflict",
    413: "too_large",
    422: "bad_request",
    429: "slow_down",
    503: "unavailable",
}


def _note_refusal(request: Request) -> None:
    """Put on the trail that a member of staff asked for what no duty of theirs covers.

    The subject is the key in the address (a child's before a list's), else the page itself.
    """
    who: Principal | None = getattr(request.state, "who", None)
    if who is None or who.kind != "staff":
        return
    path = str(getattr(request.scope.get("route"), "path", ""))
    keys = request.path_params
    subject = str(keys.get("student") or next(iter(keys.values()), "") or path)
    try:
        rooms_of(request).gateway.note(who, REFUSED + "page", [subject], path)
    except StorageUnavailable as error:  # nothing is shown either way
        log.error("refusal_not_on_the_trail", error=str(error))


def _back_to(request: Request) -> str:
    query = request.url.query
    return quote(request.url.path + (f"?{query}" if query else ""), safe="/")


def install(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(NotSignedIn)
    async def _signed_out(request: Request, error: NotSignedIn) -> Response:
        if error.child and request.method == "POST" and _wants_page(request):
            # The next child's turn needs no session to end; anything else was not stored, and the
            # door says so.
            told = "" if request.url.path == "/child/sign-out" else "?ended=1"
            return RedirectResponse("/child/sign-in" + told, 303)
        if request.method == "GET" and _wants_page(request):
            if error.child:
                return RedirectResponse("/child/sign-in", 303)
            # A link in a chat message leads to its alert, by way of the door.
            return RedirectResponse("/portal/sign-in?next=" + quote(request.url.path), 303)
        return answer(request, 401, "signed_out")

    @app.exception_handler(SecondFactorNeeded)
    async def _second_factor(request: Request, _error: SecondFactorNeeded) -> Response:
        if request.method == "GET" and _wants_page(request):
            return RedirectResponse("/portal/second-factor?next=" + _back_to(request), 303)
        return answer(request, 401, "second_factor")

    @app.exception_handler(ConfirmNeeded)
    async def _confirm(request: Request, _error: ConfirmNeeded) -> Response:
        if request.method == "GET" and _wants_page(request):
            return RedirectResponse("/portal/confirm?next=" + _back_to(request), 303)
        response = answer(request, 401, "confirm")
        if _wants_page(request):
            # What was in the form is not carried along: it may be about a child.
            back = quote(urlsplit(request.headers.get("referer", "")).path)
            response = page(
                request,
                "frame_confirm.html",
                status=401,
                confirm_path=f"/portal/confirm?next={back}",
            )
        return response

    @app.exception_handler(NotFromHere)
    async def _not_from_here(request: Request, _error: NotFromHere) -> Response:
        return answer(request, 403, "not_from_here")

    @app.exception_handler(NotYours)
    async def _not_yours(request: Request, error: NotYours) -> Response:
        if not error.noted:
            await run_in_threadpool(_note_refusal, request)
        return answer(request, 404, "not_found")

    @app.exception_handler(NotAllowed)
    async def _not_allowed(request: Request, _error: NotAllowed) -> Response:
        await run_in_threadpool(_note_refusal, request)
        return answer(request, 403, "forbidden")

    @app.exception_handler(TooFast)
    async def _too_fast(request: Request, error: TooFast) -> Response:
        response = answer(request, 429, "slow_down")
        response.headers["Retry-After"] = str(error.seconds)
        return response

    @app.exception_handler(StorageUnavailable)
    @app.exception_handler(QueueFull)
    async def _unavailable(request: Request, _error: Exception) -> Response:
        return answer(request, 503, "unavailable")

    @app.exception_handler(ConflictingEvent)
    async def _conflict(request: Request, _error: ConflictingEvent) -> Response:
        return answer(request, 409, "conflict")

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        fields = ", ".join(".".join(str(part) for part in e["loc"]) for e in error.errors())
        return answer(request, 422, "bad_request", fields)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        return answer(request, error.status_code, _KEYS.get(error.status_code, "bad_request"))

    @app.exception_handler(Exception)
    async def _bug(request: Request, _error: Exception) -> Response:
        return answer(request, 500, "internal")
