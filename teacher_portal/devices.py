"""Notices on this device: for every member of staff, about their own browsers only.

A browser that has them switched on shows a line when there is something, also while the portal is
closed. The line has no name and nothing of what it is about; the portal asks who is there before it
shows that. Without script the page lists what is switched on and takes it off again; switching on
needs the browser's own question, and so a script.
"""

from __future__ import annotations

import pathlib
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from connectors.messaging.web_push import public_key
from teacher_portal.frame import go, show
from warning_service.access.principals import Principal
from warning_service.access.web import OPEN, AnyStaff
from warning_service.alerts.outside.devices import Devices, NotADevice
from warning_service.rooms import rooms_of

router = APIRouter()
PAGE = "/portal/devices"
DONE = ("on", "off")
"""Words the page may show after a change, by the query value `done`."""

Whole = Annotated[Principal, Depends(AnyStaff())]
Text = Annotated[str, Form(max_length=2000)]


@router.get("/portal/sw.js", dependencies=[Depends(OPEN)], include_in_schema=False)
async def service_worker() -> Response:
    """The script that shows notices; served here because its scope is the portal's pages."""
    file = pathlib.Path(__file__).parent / "static" / "push.js"
    headers = {"Cache-Control": "no-cache"}
    return FileResponse(file, media_type="text/javascript", headers=headers)


@router.get(PAGE)
def page(request: Request, who: Whole, done: str = "") -> Response:
    """Which of one's browsers are told, and whether this one is."""
    rooms = rooms_of(request)
    settings = rooms.settings.web_push
    return show(
        request,
        who,
        "portal_devices.html",
        done=done if done in DONE else "",
        key="" if settings is None else public_key(settings),
        devices=[] if settings is None else Devices(rooms.database).of(who.key, settings),
    )


@router.post(PAGE)
def switch_on(
    request: Request, who: Whole, endpoint: Text = "", p256dh: Text = "", auth: Text = ""
) -> Response:
    """Take this browser's subscription; for the page's script. 422 for what is none."""
    rooms = rooms_of(request)
    if rooms.settings.web_push is None:
        return JSONResponse({"error": "off"}, status_code=404)
    try:
        Devices(rooms.database).add(who, rooms.settings.web_push, endpoint, p256dh, auth)
    except NotADevice as error:
        return JSONResponse({"error": str(error)}, status_code=422)
    rooms.trail.note(who, "device_added", [who.key])
    return JSONResponse({"ok": True})


@router.post(PAGE + "/off")
def switch_off(request: Request, who: Whole, device: Text = "") -> Response:
    """Take one of one's own browsers off."""
    rooms = rooms_of(request)
    if Devices(rooms.database).remove(who.key, device):
        rooms.trail.note(who, "device_removed", [who.key])
    return go(f"{PAGE}?done=off")
