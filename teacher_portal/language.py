"""The language switch: a cookie and back to where one was. For every page, signed in or not."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from teacher_portal.frame import go, local_path
from warning_service.access.web import OPEN
from warning_service.rooms import rooms_of

router = APIRouter()
A_YEAR = 365 * 24 * 3600


@router.get("/lang", dependencies=[Depends(OPEN)])
def switch(request: Request, to: str = "ja", back: str = "/portal") -> Response:
    """Remember the language and go back to a path of this site."""
    response = go(local_path(back, "/portal"))
    response.set_cookie(
        "lang",
        "en" if to == "en" else "ja",
        max_age=A_YEAR,
        samesite="lax",
        httponly=True,
        secure=rooms_of(request).settings.public_url.startswith("https"),
    )
    return response
