"""Errors as answers: what happened, what is safe, what to do; and nothing that leaks.

Pages get the error page in the reader's language, a child's in words for children; API calls get
JSON. Storage trouble is always 503 with Retry-After: nothing was stored, try again.
"""

from __future__ import annotations

from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from design.render import page
from student_checkin.show import child_page
from warning_service.access.gateway import NotYours
from warning_service.access.pace import TooFast
from warning_service.access.web import NotSignedIn
from warning_service.database import StorageUnavailable
from warning_service.events.intake import QueueFull
from warning_service.events.log import ConflictingEvent

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


def install(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(NotSignedIn)
    async def _signed_out(request: Request, error: NotSignedIn) -> Response:
        if request.method == "GET" and _wants_page(request):
            if error.child:
                return RedirectResponse("/child/sign-in", 303)
            # A link in a chat message leads to its alert, by way of the door.
            return RedirectResponse("/portal/sign-in?next=" + quote(request.url.path), 303)
        return answer(request, 401, "signed_out")

    @app.exception_handler(NotYours)
    async def _not_yours(request: Request, _error: NotYours) -> Response:
        return answer(request, 404, "not_found")

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
