"""The demo's own pages: ready sign-ins, the next-month control, and the chat room.

Only the demo mounts this. Anybody on this machine may look, for nothing here is real; moving the
clock needs the page's form token, so that no other site open in the browser can do it.
"""

from __future__ import annotations

import hmac
import secrets
import tomllib
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import ChoiceLoader, Environment, FileSystemLoader

from demo import chat, slack_room
from demo.life import make_world
from demo.mover import Mover
from demo.people import sign_ins
from demo.play import seed_of
from design.render import day_text, environment, language, say
from warning_service.access.web import OPEN
from warning_service.rooms import Rooms

HERE = Path(__file__).parent
MINUTES = 15


@lru_cache(maxsize=1)
def _texts() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = tomllib.loads(
        (HERE / "templates" / "texts.toml").read_text("utf-8")
    )
    return found


def _say(lang: str, key: str, **values: Any) -> str:
    own = _texts().get(key)
    return say(lang, key, **values) if own is None else own[lang].format(**values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    shared = environment()
    own = FileSystemLoader(str(HERE / "templates"))
    loaders = [own] if shared.loader is None else [own, shared.loader]
    return shared.overlay(loader=ChoiceLoader(loaders))


def make_router(rooms: Rooms, slack_secret: str) -> APIRouter:
    """The demo's routes for a built town. `slack_secret` signs what the chat room sends."""
    router = APIRouter(prefix="/demo", dependencies=[Depends(OPEN)])
    pages = Pages(rooms)
    router.add_api_route("", pages.index, methods=["GET"])
    router.add_api_route("/progress", pages.progress, methods=["GET"])
    router.add_api_route("/next-month", pages.next_month, methods=["POST"])
    router.add_api_route("/minutes", pages.minutes, methods=["POST"])
    router.add_api_route("/demo.css", pages.style, methods=["GET"])
    town = make_world(seed_of(rooms)).town
    room = slack_room.make_router(
        rooms.settings.data_dir,
        slack_secret,
        f"{rooms.settings.public_url.rstrip('/')}/slack/interactions",
        members=lambda: chat.members(town),
    )
    router.include_router(room, prefix="/slack")
    return router


class Pages:
    """The pages, and the mover behind them."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._form_token = secrets.token_urlsafe(24)
        self.mover = Mover(rooms)

    def index(self, request: Request) -> HTMLResponse:
        """Addresses, ready sign-ins, where the clock stands, the next-month button."""
        state = self.mover.state
        lang = language(request)
        town = make_world(seed_of(self._rooms)).town
        html = (
            _environment()
            .get_template("demo_index.html")
            .render(
                t=partial(_say, lang),
                lang=lang,
                day_text=partial(day_text, lang=lang),
                now=self._rooms.clock.now(),
                demo=True,
                path=request.url.path,
                sign_ins=sign_ins(self._rooms, town),
                move=state,
                percent=round(100 * state.done / max(1, state.total)),
                can_move=state.state != "running" and self.mover.can_move(),
                form_token=self._form_token,
            )
        )
        return HTMLResponse(html)

    def progress(self) -> JSONResponse:
        """How far a move is: state, station, done, total."""
        state = self.mover.state
        return JSONResponse(
            {
                "state": state.state,
                "station": state.station,
                "done": state.done,
                "total": state.total,
                "now": self._rooms.clock.now().isoformat(),
            }
        )

    def next_month(self, form_token: Annotated[str, Form()] = "") -> Response:
        """Begin to move to the next month's first school day."""
        if not hmac.compare_digest(form_token.encode(), self._form_token.encode()):
            return JSONResponse({"error": "the page was too old; load it again"}, status_code=403)
        self.mover.start()
        return RedirectResponse("/demo", status_code=303)

    def minutes(self, form_token: Annotated[str, Form()] = "") -> Response:
        """Let a quarter of an hour pass."""
        if not hmac.compare_digest(form_token.encode(), self._form_token.encode()):
            return JSONResponse({"error": "the page was too old; load it again"}, status_code=403)
        self.mover.minutes(MINUTES)
        return RedirectResponse("/demo", status_code=303)

    def style(self) -> FileResponse:
        """The page's few rules of its own."""
        return FileResponse(HERE / "static" / "demo.css", media_type="text/css")
