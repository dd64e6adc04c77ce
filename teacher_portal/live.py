"""Live updates: a page hears within a second that alerts of its board have changed.

Server-sent events carry a log position and nothing else; the page then fetches its fragment, which
goes through the gateway like any page. `Last-Event-ID` is a log position too, so a page that was
away, or whose server was started again, hears at once that it missed something; its position moves
on only together with that news. One watcher per board looks at the log, woken by the log's
hints and otherwise every half second, however many pages are open. A stream does not count as use
of the session: a staff-room PC that nobody touches is signed out like any other.

Streams are few for each session (a browser has six connections to a site, and pages need some) and
not endlessly many for the process; a page that gets none looks every fifteen seconds instead.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from prometheus_client import Gauge

from warning_service.access.pace import TooFast
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.web import Needs, session_token
from warning_service.clock import monotonic
from warning_service.database import StorageUnavailable
from warning_service.rooms import Rooms, rooms_of

router = APIRouter()
log = structlog.get_logger()

LOOK_SECONDS = 0.5
RETRY_MS = 2000
HEARTBEAT_SECONDS = 15.0
SESSION_SECONDS = 5.0
FEWEST_SECONDS_BETWEEN_LOOKS = 0.05
UNSHOWN = frozenset({"alert_delivered", "alert_seen"})
"""Of these a list of alerts tells nothing; drawing it even writes the first."""
MISSED_AT_MOST = 20_000
"""Events back to which a returning page's position is looked up; further back counts as missed."""


MOST_OF_SESSION = 4
MOST_OPEN = 4000
BUSY_SECONDS = 30

OPEN_STREAMS = Gauge("kizashi_live_streams", "Pages that listen for news in this process")


class Streams:
    """How many streams are open, of each session and together; on one event loop."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def full(self, session: str) -> bool:
        """Is there no room for one more of this session?"""
        return self._open[session] >= MOST_OF_SESSION or self._open.total() >= MOST_OPEN

    @contextmanager
    def one_more(self, session: str) -> Iterator[None]:
        """Count one while it is open."""
        self._open[session] += 1
        OPEN_STREAMS.inc()
        try:
            yield
        finally:
            OPEN_STREAMS.dec()
            self._open[session] -= 1
            if not self._open[session]:
                del self._open[session]


class Watcher:
    """Looks at one board's log for alert events while pages listen."""

    def __init__(self, rooms: Rooms, board: str) -> None:
        self._rooms = rooms
        self._board = board
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._listeners = 0
        self.seen = 0
        self.alerts_at = 0

    async def join(self) -> None:
        """Begin to listen."""
        self._listeners += 1
        if self._task is None or self._task.done():
            self.seen = await run_in_threadpool(self._head)
            self._task = asyncio.create_task(self._watch())

    def leave(self) -> None:
        """Listen no more; the last one to go ends the watch."""
        self._listeners -= 1
        if self._listeners == 0 and self._task is not None:
            self._task.cancel()
            self._task = None

    async def next(self, after: int, patience: float) -> int:
        """The position of the latest alert event behind `after`, or `after` when none came."""
        async with self._changed:
            if self.alerts_at <= after:
                try:
                    await asyncio.wait_for(
                        self._changed.wait_for(lambda: self.alerts_at > after), patience
                    )
                except TimeoutError:
                    return after
            return self.alerts_at

    def _head(self) -> int:
        return self._rooms.log.head(self._board)

    def _look(self) -> tuple[int, int]:
        rows = self._rooms.log.types_after(self._board, self.seen)
        alerts = [position for position, kind in rows if _shows(kind)]
        return (rows[-1][0] if rows else self.seen), (alerts[-1] if alerts else 0)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(woken.set)

        undo = self._rooms.log.wakeups.on_wake(wake)
        try:
            while True:
                try:
                    self.seen, found = await run_in_threadpool(self._look)
                except StorageUnavailable as error:
                    log.warning("live_storage_unavailable", error=str(error))
                    found = 0
                if found > self.alerts_at:
                    async with self._changed:
                        self.alerts_at = found
                        self._changed.notify_all()
                await asyncio.sleep(FEWEST_SECONDS_BETWEEN_LOOKS)
                try:
                    await asyncio.wait_for(woken.wait(), LOOK_SECONDS)
                except TimeoutError:
                    continue
                woken.clear()
        finally:
            undo()


def _shows(kind: str) -> bool:
    """Does such an event change what a page of alerts shows?"""
    return kind.startswith("alert_") and kind not in UNSHOWN


def watcher_of(request: Request, board: str) -> Watcher:
    """The one watcher of a board in this process."""
    watchers: dict[str, Watcher] | None = getattr(request.app.state, "live_watchers", None)
    if watchers is None:
        watchers = request.app.state.live_watchers = {}
    if board not in watchers:
        watchers[board] = Watcher(rooms_of(request), board)
    return watchers[board]


@router.get("/portal/live")
async def live(
    request: Request,
    who: Annotated[Principal, Depends(Needs(Ability.SEE_ALERTS, quiet=True))],
) -> StreamingResponse:
    """The stream: `alerts` events whose id and data are a log position. Raises TooFast."""
    if streams_of(request).full(who.token_hash):
        raise TooFast(BUSY_SECONDS)
    return StreamingResponse(
        stream(request, who),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def stream(request: Request, who: Principal) -> AsyncIterator[str]:
    """The lines of one page's stream, until the page goes or its session ends."""
    watcher = watcher_of(request, who.board)
    with streams_of(request).one_more(who.token_hash):
        try:
            await watcher.join()
            # Hearing begins now; what the page missed before is told once.
            after = max(watcher.seen, watcher.alerts_at)
            missed = await _missed(request, watcher, who.board)
        except StorageUnavailable as error:
            # The browser comes again by itself, from the position it has.
            log.warning("live_storage_unavailable", error=str(error))
            watcher.leave()
            yield f"retry: {RETRY_MS}\n\n"
            return
        try:
            known = after if missed is None else missed
            yield f"retry: {RETRY_MS}\nid: {known}\nevent: ready\ndata: {after}\n\n"
            if missed is not None:
                yield f"id: {after}\nevent: alerts\ndata: {after}\n\n"
            async for line in _news(request, watcher, after):
                yield line
        finally:
            watcher.leave()


async def _news(request: Request, watcher: Watcher, after: int) -> AsyncIterator[str]:
    rooms = rooms_of(request)
    token = session_token(request, child=False)
    silent_since = checked = monotonic()
    while not await request.is_disconnected():
        position = await watcher.next(after, 1.0)
        if position > after:
            after = position
            silent_since = monotonic()
            yield f"id: {after}\nevent: alerts\ndata: {after}\n\n"
        elif monotonic() - silent_since >= HEARTBEAT_SECONDS:
            silent_since = monotonic()
            yield f"id: {after}\nevent: still\ndata: {after}\n\n"
        if monotonic() - checked >= SESSION_SECONDS:
            checked = monotonic()
            try:
                alive = await run_in_threadpool(rooms.sessions.find, token, touch=False)
            except StorageUnavailable:
                continue
            if alive is None:
                yield "event: signed-out\ndata: 0\n\n"
                return


def streams_of(request: Request) -> Streams:
    """The count of this process."""
    found: Streams | None = getattr(request.app.state, "live_streams", None)
    if found is None:
        found = request.app.state.live_streams = Streams()
    return found


def _last_event_id(request: Request) -> int | None:
    given = request.headers.get("last-event-id", "") or request.query_params.get("after", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


async def _missed(request: Request, watcher: Watcher, board: str) -> int | None:
    """The position the page last knew, if alerts changed between it and now; else None.

    A position ahead of the log is one of another log: the database was put back from a backup, and
    what the page shows is of a time that has not been. That counts as missed too.
    """
    last = _last_event_id(request)
    if last is None or last == watcher.seen:
        return None
    if last > watcher.seen or watcher.seen - last > MISSED_AT_MOST:
        return last
    rooms = rooms_of(request)

    def look() -> bool:
        after = last
        while rows := rooms.log.types_after(board, after):
            if any(kind.startswith("alert_") for _, kind in rows):
                return True
            after = rows[-1][0]
        return False

    return last if await run_in_threadpool(look) else None
