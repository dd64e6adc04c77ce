"""The two addresses a tablet sends to, and the one where it asks whose session it has.

`FastPath` wraps the whole application and answers the two POSTs itself, in front of the framework's
routing, dependency injection and middleware: on a city's morning they are nearly all the traffic.
The same code serves the declared routes, so that without the wrapper only speed is lost. Because
nothing else runs before it, this module checks all of it: content type, size, session, ability,
CSRF; and sets the security headers on its own answers.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import msgspec
import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from design.render import say
from student_checkin.bodies import (
    MOST_BYTES,
    CheckIn,
    CheckInBody,
    Consultation,
    ConsultationBody,
    Received,
    Refused,
    decode,
)
from student_checkin.desk import Desk, desk_of
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs
from warning_service.database import StorageUnavailable
from warning_service.events.intake import QueueFull
from warning_service.events.log import ConflictingEvent
from warning_service.rooms import Rooms
from warning_service.web_hardening import HSTS

log = structlog.get_logger()
router = APIRouter()

Headers = list[tuple[bytes, bytes]]
_HEADERS: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
# What a JSON answer to a script needs of the pages' headers; the server checks each one's every
# letter with a regular expression, so the long ones cost more here than the storing.
_SECURITY: Headers = [
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]

Answer = tuple[int, bytes, Headers]
Taker = Callable[[Desk, Principal, bytes], Awaitable[str]]


async def _take_check_in(desk: Desk, who: Principal, raw: bytes) -> str:
    said, at = decode(CheckIn, raw)
    await desk.check_in(who, said, at)
    return said.id


async def _take_consultation(desk: Desk, who: Principal, raw: bytes) -> str:
    said, at = decode(Consultation, raw)
    await desk.consult(who, said, at)
    return said.id


DOORS: dict[str, Taker] = {
    "/child/api/check-ins": _take_check_in,
    "/child/api/consultations": _take_consultation,
}


async def answer(desk: Desk, take: Taker, headers: Headers, receive: Receive) -> Answer:
    """Handle one POST: status, JSON and further headers. 202 only when the event is durable."""
    try:
        who, raw = await _admit(desk, headers, receive)
        received = await take(desk, who, raw)
    except Refused as refused:
        return _refusal(refused.status, refused.field, refused.key)
    except ConflictingEvent:
        return _refusal(409, "id", "api_conflict")
    except QueueFull:
        return _refusal(503, "", "api_busy", wait=2 + secrets.randbelow(4))
    except StorageUnavailable:
        return _refusal(503, "", "api_storage", wait=5 + secrets.randbelow(10))
    except ClientGone:
        return 400, b"", []
    except Exception as error:  # nothing stands behind us that would turn it into an answer
        log.exception("child_api_failed", error=type(error).__name__)
        return _refusal(500, "", "api_error")
    return 202, b'{"received":"%s"}' % received.encode(), []


class ClientGone(ConnectionError):
    """The tablet went away before its body was complete."""


async def _admit(desk: Desk, headers: Headers, receive: Receive) -> tuple[Principal, bytes]:
    """Who is asking, and the body. Raises Refused, StorageUnavailable, ClientGone."""
    given = dict(headers)
    if given.get(b"content-type", b"").split(b";")[0].strip().lower() != b"application/json":
        raise Refused(415, "content-type", "api_content_type")
    length = given.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > MOST_BYTES:
        raise Refused(413, "body", "api_too_large")
    who = await desk.known.child(_token(given.get(b"cookie", b""), desk.cookie))
    if who is None:
        raise Refused(401, "session", "api_not_signed_in")
    if not who.may(Ability.ANSWER):
        raise Refused(403, "session", "api_not_allowed")
    if not hmac.compare_digest(given.get(b"x-kizashi-csrf", b""), who.csrf.encode()):
        raise Refused(403, "x-kizashi-csrf", "api_csrf")
    return who, await _body(receive)


def _token(cookies: bytes, name: bytes) -> str:
    for part in cookies.split(b";"):
        if (one := part.strip()).startswith(name):
            return one[len(name) :].decode("latin-1")
    return ""


async def _body(receive: Receive) -> bytes:
    raw = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        raw += part
        if len(raw) > MOST_BYTES:
            raise Refused(413, "body", "api_too_large")
        if not message.get("more_body", False):
            return raw


def _refusal(status: int, field: str, key: str, *, wait: int = 0) -> Answer:
    body = {"error": {"field": field, "message": say("ja", key), "message_en": say("en", key)}}
    extra = [(b"retry-after", str(wait).encode())] if wait else []
    return status, msgspec.json.encode(body), extra


class FastPath:
    """ASGI wrapper: the two POSTs are answered here, everything else by `app`."""

    def __init__(self, app: ASGIApp, rooms: Rooms) -> None:
        self.app = app
        self._desk = Desk(rooms)
        https = rooms.settings.public_url.startswith("https")
        self._headers = [*_HEADERS, *_SECURITY, *([HSTS] if https else [])]
        self._hosts = frozenset(host.encode() for host in rooms.settings.allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        take = DOORS.get(scope["path"]) if scope["type"] == "http" else None
        # A host we do not know at sight goes the long way, where the framework judges it.
        if take is None or scope["method"] != "POST" or not self._knows(scope["headers"]):
            await self.app(scope, receive, send)
            return
        status, body, extra = await answer(self._desk, take, scope["headers"], receive)
        length = (b"content-length", str(len(body)).encode())
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*self._headers, length, *extra],
            }
        )
        await send({"type": "http.response.body", "body": body})

    def _knows(self, headers: Headers) -> bool:
        return any(
            name == b"host" and value.partition(b":")[0] in self._hosts for name, value in headers
        )


def _declared(endpoint: Any) -> Any:
    """Declare on the endpoint what `Needs` would: it checks the same, inside `answer`."""
    endpoint.abilities = frozenset({Ability.ANSWER})
    return endpoint


def _documented(model: Any) -> dict[str, Any]:
    schema = {"schema": model.model_json_schema()}
    return {"requestBody": {"required": True, "content": {"application/json": schema}}}


async def _respond(request: Request, desk: Desk) -> Response:
    take = DOORS[request.url.path]
    status, body, extra = await answer(desk, take, request.scope["headers"], request.receive)
    names = [*_HEADERS, *extra]
    return Response(body, status, {name.decode(): value.decode() for name, value in names})


@router.post(
    "/child/api/check-ins",
    status_code=202,
    response_model=Received,
    openapi_extra=_documented(CheckInBody),
)
@_declared
async def post_check_in(request: Request, desk: Annotated[Desk, Depends(desk_of)]) -> Response:
    """Store a check-in; 202 means it is durable."""
    return await _respond(request, desk)


@router.post(
    "/child/api/consultations",
    status_code=202,
    response_model=Received,
    openapi_extra=_documented(ConsultationBody),
)
@_declared
async def post_consultation(request: Request, desk: Annotated[Desk, Depends(desk_of)]) -> Response:
    """Store a call for help; 202 means it is durable."""
    return await _respond(request, desk)


class SessionView(msgspec.Struct):
    """Whose session a tablet has, for its queue of unsent answers.

    `child` marks this child's entries and tells nobody else who it is; `key` (32 bytes, hex) opens
    them, and is only given to that child's session; `now` corrects a tablet's wrong clock.
    """

    child: str
    key: str
    csrf: str
    now: str


@router.get("/child/api/session")
async def session(
    who: Annotated[Principal, Depends(Needs(Ability.ANSWER, quiet=True))],
    desk: Annotated[Desk, Depends(desk_of)],
) -> Response:
    """The `SessionView` of the signed-in child."""

    def view() -> SessionView:
        mac = desk.rooms.sealer.mac
        return SessionView(
            child=mac(who.key, "offline-queue:tag")[:32],
            key=mac(who.key, "offline-queue:key"),
            csrf=who.csrf,
            now=desk.rooms.clock.now().isoformat(),
        )

    found = await run_in_threadpool(view)
    return Response(
        msgspec.json.encode(found), 200, {name.decode(): value.decode() for name, value in _HEADERS}
    )
