"""On whose behalf the database is read: the scope of the request that is being answered.

A page's mistake (a forgotten filter, an id taken from the address) must not show another school's
children. So what a request may see is written down once, when its sender is known, and each of its
reads takes it along: on PostgreSQL as settings of the read's transaction, which row-level security
compares every row with (see access/row_security.py). A request whose sender is not known yet has
the scope of nobody, to whom nothing is visible. SQLite has no such second wall.

This is the carrier and no decision: who may see what is decided in `access/`. Work that no request
asked for (consumers, scheduler, commands) has no scope at all and reads as the service itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date

import msgspec
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

SEPARATOR = "\x1f"
"""Between ids in a setting. An id that held it would be read as two, so `settings` refuses it."""

_NONE: frozenset[str] = frozenset()


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """All that one person's duties reach together. Everything empty: nobody, who sees nothing.

    `schools` and `classes` are ids seen whole, `students` keys reached one by one (an agenda, cases
    handed over), `own` a signed-in child's key. Of the schools in `asked` former children count
    too: their families may still ask what is held. `counts`: statistics of `board`, without names;
    `trail`: its audit trail; `rights`: the requests of its families; `staff`: colleagues of the
    same board. `today` is the day on which somebody has to be on a roll to count as there.
    """

    board: str = ""
    staff: bool = False
    own: str = ""
    schools: frozenset[str] = _NONE
    classes: frozenset[str] = _NONE
    students: frozenset[str] = _NONE
    asked: frozenset[str] = _NONE
    rights: bool = False
    counts: bool = False
    trail: bool = False
    today: date | None = None

    def settings(self) -> dict[str, str]:
        """The settings of a transaction that reads within this scope, by name without prefix.

        Raises ValueError for an id with the separator in it.
        """
        return {
            "board": self.board,
            "staff": self.board if self.staff else "",
            "own": self.own,
            "schools": _joined(self.schools),
            "classes": _joined(self.classes),
            "students": _joined(self.students),
            "asked": _joined(self.asked),
            "rights": self.board if self.rights else "",
            "counts": self.board if self.counts else "",
            "trail": self.board if self.trail else "",
            "today": self.today.isoformat() if self.today else "",
        }


NOBODY = Scope()


def _joined(ids: frozenset[str]) -> str:
    if any(SEPARATOR in one for one in ids):
        raise ValueError("an id holds a control character")
    return SEPARATOR.join(sorted(ids))


_asker: ContextVar[Scope | None] = ContextVar("kizashi_asker", default=None)


def asker() -> Scope | None:
    """The scope of the request being answered; None outside any request."""
    return _asker.get()


def answer_to(scope: Scope) -> None:
    """From here on, to the end of this request, reads are made within `scope`."""
    _asker.set(scope)


@contextmanager
def on_behalf(scope: Scope | None) -> Iterator[None]:
    """Reads inside are made within `scope`; what was before comes back afterwards."""
    token = _asker.set(scope)
    try:
        yield
    finally:
        _asker.reset(token)


class NobodyYet:
    """ASGI wrapper: every request begins with the scope of nobody and leaves none behind."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Pass on; the lifespan, which starts the service's own threads, stays without a scope."""
        with on_behalf(None if scope["type"] == "lifespan" else NOBODY):
            await self._app(scope, receive, send)
