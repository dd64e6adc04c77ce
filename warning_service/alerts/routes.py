"""Which channel a duty at a place is told through: kept by the board, tried through the queue.

A route says "who is the nurse of this school is told in that room". It names a room, a mailbox or
one of the settings' webhooks, never what is said there. Changes are on the trail, in the same
transaction; the address is not, because a mail address can name a person.

A trial is an ordinary delivery of purpose TEST, so it goes the way an alert goes: same queue, same
sender, same limits. It belongs to no alert and counts as none. How the last messages to an address
went is read from the deliveries themselves.

Whether an address looks like one is for the channel to say (connectors/messaging); which duties an
alert is for, for the playbook.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from warning_service.access.roles import OFFICES, Ability, Place, Role
from warning_service.access.trail.audit import Look, Trail
from warning_service.alerts.messages import TEST
from warning_service.alerts.tables import deliveries, routes
from warning_service.alerts.telling import DELIVERIES, delivery
from warning_service.clock import Clock
from warning_service.database import Database, insert_new
from warning_service.events.types import new_id
from warning_service.events.wakeups import Wakeups
from warning_service.roster.tables import classes, schools

USING = Ability.MANAGE_ACCOUNTS
TOLD = tuple(
    role
    for role in Role
    if Ability.SEE_ALERTS in OFFICES[role].abilities
    or role in {Role.BOARD, Role.BOARD_GUIDANCE, Role.OPERATOR}
)
"""Duties that may be told of something."""

LONGEST_ADDRESS = 254
MOST_PRIORITY = 9
GRADES = frozenset(str(n) for n in range(1, 10))


class Unfit(ValueError):
    """What was asked for cannot be. `key`: duty, place, channel, address, priority, gone."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One route with how its address fares. Times are real ones; `why` is a channel's short code.

    `took_at`: when it last took a message. `failed_at`, `why`: the last try that it did not take,
    as far as it came after that. `waiting`: messages on their way to it now.
    """

    place: str
    duty: str
    channel: str
    address: str
    priority: int
    took_at: datetime | None = None
    waiting: int = 0
    failed_at: datetime | None = None
    why: str = ""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a trial: waiting, sent or failed."""

    state: str
    channel: str
    address: str
    attempts: int
    sent_at: datetime | None
    why: str


class Routes:
    """The routes of all boards. `database`: with the service's own rights."""

    def __init__(self, database: Database, trail: Trail, wakeups: Wakeups) -> None:
        self._database = database
        self._trail = trail
        self._wakeups = wakeups
        self._wall = Clock()

    def of_board(self, board: str) -> list[Route]:
        """All routes of a board by place, duty and turn. Raises StorageUnavailable."""
        r = routes.c
        with self._database.reading() as conn:
            rows = conn.execute(
                select(routes)
                .where(r.board == board)
                .order_by(r.place, r.duty, r.priority, r.channel)
            ).all()
            fares = _fares(conn, [(row.channel, row.address) for row in rows])
        return [
            Route(
                place=row.place, duty=row.duty, channel=row.channel, address=row.address,
                priority=row.priority, **fares.get((row.channel, row.address), {}),
            )
            for row in rows
        ]  # fmt: skip

    def put(self, wanted: Route, line: Look) -> Route | None:
        """Set the route of a duty at a place on a channel; return the one it takes the place of.

        `line` is its line on the trail, whose board is the route's. Raises Unfit,
        StorageUnavailable.
        """
        if not 0 < len(wanted.address) <= LONGEST_ADDRESS or not wanted.address.isprintable():
            raise Unfit("address")
        if not 1 <= wanted.priority <= MOST_PRIORITY:
            raise Unfit("priority")
        _sound(wanted.place, "place")
        board = line.board
        values = {"address": wanted.address, "priority": wanted.priority}
        with self._database.writing() as conn:
            if not is_place(conn, board, wanted.duty, wanted.place):
                raise Unfit("duty" if wanted.duty not in TOLD else "place")
            here = _is(board, wanted.place, wanted.duty, wanted.channel)
            before = conn.execute(select(routes).where(here)).first()
            if before is None:
                key = {"board": board, "place": wanted.place, "duty": wanted.duty}
                conn.execute(
                    insert_new(conn, routes).values(**key, channel=wanted.channel, **values)
                )
            else:
                conn.execute(update(routes).where(here).values(**values))
            self._trail.write(conn, [line])
        return None if before is None else _plain(before)

    def remove(self, place: str, duty: str, channel: str, line: Look) -> Route:
        """Take a route off; return it, so that it can be put back. Raises Unfit `gone`."""
        _sound(f"{place}{duty}{channel}", "gone")
        here = _is(line.board, place, duty, channel)
        with self._database.writing() as conn:
            before = conn.execute(select(routes).where(here)).first()
            if before is None:
                raise Unfit("gone")
            conn.execute(delete(routes).where(here))
            self._trail.write(conn, [line])
        return _plain(before)

    def owe_trial(self, place: str, duty: str, channel: str, line: Look) -> str:
        """Owe a trial message to a route's address; its id. Raises Unfit `gone`."""
        _sound(f"{place}{duty}{channel}", "gone")
        made = new_id()
        with self._database.writing() as conn:
            address = conn.execute(
                select(routes.c.address).where(_is(line.board, place, duty, channel))
            ).scalar_one_or_none()
            if address is None:
                raise Unfit("gone")
            owed = delivery(
                made, alert="", channel=channel, address=address, purpose=TEST,
                wall=self._wall.now(),
            )  # fmt: skip
            conn.execute(insert(deliveries).values(**owed))
            self._trail.write(conn, [line])
        self._wakeups.hint(DELIVERIES)
        return made

    def trial(self, trial: str) -> Trial | None:
        """What has become of a trial so far; None for what is none. Raises StorageUnavailable."""
        if not trial.isprintable():
            return None
        d = deliveries.c
        with self._database.reading() as conn:
            row = conn.execute(select(deliveries).where(d.id == trial, d.purpose == TEST)).first()
        if row is None:
            return None
        return Trial(
            state=row.state, channel=row.channel, address=row.address, attempts=row.attempts,
            sent_at=row.sent_at, why=row.last_error,
        )  # fmt: skip


def is_place(conn: Connection, board: str, duty: str, place: str) -> bool:
    """Is `place` one of this board's, of the kind the duty is held at?"""
    if duty not in TOLD:
        return False
    kind = OFFICES[Role(duty)].place
    if kind is Place.BOARD:
        return place == board
    school, grade = place, ""
    if kind is Place.GRADE:
        school, _, grade = place.partition(":")
        if grade not in GRADES:
            return False
    if kind is Place.CLASS:
        found = select(classes.c.school).where(classes.c.id == place)
        school = conn.execute(found).scalar_one_or_none() or ""
    there = select(schools.c.id).where(schools.c.id == school, schools.c.board == board)
    return conn.execute(there).first() is not None


def _sound(text: str, key: str) -> None:
    """Raises Unfit for what a form can send and no id holds: PostgreSQL refuses a NUL as such."""
    if not text.isprintable():
        raise Unfit(key)


def _is(board: str, place: str, duty: str, channel: str) -> ColumnElement[bool]:
    r = routes.c
    return (r.board == board) & (r.place == place) & (r.duty == duty) & (r.channel == channel)


def _plain(row: Any) -> Route:
    return Route(
        place=row.place, duty=row.duty, channel=row.channel, address=row.address,
        priority=row.priority,
    )  # fmt: skip


def _fares(
    conn: Connection, lanes: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], dict[str, Any]]:
    """How messages to addresses went, by (channel, address), of those that had any."""
    d = deliveries.c
    found: dict[tuple[str, str], dict[str, Any]] = {}
    names = sorted({address for _, address in lanes})
    for start in range(0, len(names), 500):
        part = d.address.in_(names[start : start + 500])
        for row in conn.execute(
            select(
                d.channel, d.address, func.max(d.sent_at).label("took_at"),
                func.count().filter(d.state == "waiting").label("waiting"),
            )
            .where(part)
            .group_by(d.channel, d.address)
        ):  # fmt: skip
            found[(row.channel, row.address)] = {"took_at": row.took_at, "waiting": row.waiting}
        missed = (
            select(d.channel, d.address, d.created_at, d.last_error)
            .where(part, d.last_error != "", d.state.in_(["waiting", "failed"]))
            .order_by(d.created_at, d.id)
        )
        for row in conn.execute(missed):
            here = found[(row.channel, row.address)]
            took = here["took_at"]
            if took is None or row.created_at >= took:
                here |= {"failed_at": row.created_at, "why": row.last_error}
    return found
