"""Finds the sessions of many waiting requests in one query.

At 8:15 thousands of children send within minutes of each other and hardly any session is in memory
yet. Asked one by one, the looking up would cost ten times what the storing does; so requests of the
same turn of the event loop are looked up together, as the intake commits them together.
"""

from __future__ import annotations

import asyncio

from fastapi.concurrency import run_in_threadpool

from warning_service.access.doors.sessions import Sessions
from warning_service.access.principals import Principal

Waiting = dict[str, "asyncio.Future[Principal | None]"]


class Known:
    """Whose token this is. One object belongs to one event loop; a new loop starts it afresh."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._waiting: Waiting = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def child(self, token: str) -> Principal | None:
        """The child whose living session `token` is, or None. Raises StorageUnavailable."""
        known = self._sessions.find_cached(token)
        if known is not None or not token:
            return known
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._waiting = loop, {}
        if not self._waiting:
            loop.call_soon(self._start)
        if token not in self._waiting:
            self._waiting[token] = loop.create_future()
        # Shielded: a tablet that goes away must not cancel what another waits for.
        return await asyncio.shield(self._waiting[token])

    def _start(self) -> None:
        waiting, self._waiting = self._waiting, {}
        task = asyncio.get_running_loop().create_task(self._look_up(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_up(self, waiting: Waiting) -> None:
        try:
            found = await run_in_threadpool(self._sessions.find_children, list(waiting))
        except Exception as error:
            for future in waiting.values():
                if not future.done():
                    future.set_exception(error)
            return
        for token, future in waiting.items():
            if not future.done():
                future.set_result(found.get(token))
