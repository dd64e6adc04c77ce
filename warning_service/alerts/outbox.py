"""The deliveries table as a queue: what is due, claiming it, and what became of it.

All times are of the real clock. A claim is a lease: a sender that dies gives its messages back by
doing nothing. What became of messages is stored in one short transaction for many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, bindparam, case, func, or_, select, tuple_, update

from warning_service.alerts.messages import DIGEST, OFFERED, TEST
from warning_service.alerts.states import ACKNOWLEDGED, OPEN
from warning_service.alerts.tables import alerts, deliveries
from warning_service.alerts.telling import ESCALATED, NOT_BEFORE, RAISED, UPDATE
from warning_service.alerts.turns import named, spared
from warning_service.events.types import AlertRaised
from warning_service.roster.tables import classes

LEASE = timedelta(seconds=20)
PER_ADDRESS = 20
"""Claimed messages of one address, and the most alerts that one message stands for."""

Lane = tuple[str, str]
"""A channel and an address: messages to one lane go out one after the other."""

WAITING = "waiting"
SENT = "sent"
FAILED = "failed"
UNNEEDED = "unneeded"


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """A due delivery with what its message is made of. `rank`: lower goes first.

    For an update, `target` is the state of the delivery it changes, `target_remote` what the
    channel calls that message and `with_it` the other alerts that message stands for, with their
    states. `spared`: it is a later channel's, and an earlier one has reached everybody.
    """

    id: str
    alert_id: str
    channel: str
    address: str
    purpose: str
    attempts: int
    created_at: datetime
    rank: int
    kind: str
    urgency: str
    alert_state: str
    class_name: str
    target: str
    target_remote: str
    target_sent_at: datetime | None = None
    turn: int = 1
    in_place_of: str = ""
    spared: bool = False
    with_it: tuple[tuple[str, str], ...] = ()

    @property
    def lane(self) -> Lane:
        """Where it goes."""
        return (self.channel, self.address)

    @property
    def groups(self) -> bool:
        """May one message say this together with others like it?"""
        return self.purpose in {RAISED, ESCALATED} and not self.unneeded

    @property
    def likeness(self) -> tuple[str, ...]:
        """What has to be the same for that. An urgent one is never among others."""
        return (self.purpose, self.kind, self.urgency, self.class_name)

    @property
    def unneeded(self) -> bool:
        """Has what it would say become pointless?

        Nobody needs to be called to an alert that somebody has; a message that was never sent
        needs no change.
        """
        if self.purpose == UPDATE:
            return self.target in {FAILED, UNNEEDED, ""}
        if self.purpose == OFFERED:
            return self.alert_state != ACKNOWLEDGED
        return self.alert_state != OPEN or self.spared

    @property
    def too_early(self) -> bool:
        """An update of a message that is still on its way."""
        return self.purpose == UPDATE and self.target == WAITING


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one claimed delivery. `pause_until` holds for the whole address.

    `hurry`: this channel will not do it in time; those of later turns need not wait.
    """

    owed: Owed
    state: str
    attempts: int
    next_at: datetime
    remote_id: str = ""
    error: str = ""
    sent_at: datetime | None = None
    pause_until: datetime | None = None
    hurry: bool = False


def due(
    conn: Connection,
    channels: Sequence[str],
    now: datetime,
    *,
    limit: int,
    without: Sequence[Lane] = (),
) -> list[Owed]:
    """Unclaimed deliveries whose time has come, at most `PER_ADDRESS` for one address.

    None for the lanes in `without`. A trial of a route (purpose TEST) and a
    digest (DIGEST…) belong to no alert.

    Urgent ones first, then others, then updates; an address with a thousand waiting messages takes
    no more places than one with eight.
    """
    d, a, c, target = deliveries, alerts, classes, deliveries.alias("target")
    rank = case(
        (d.c.purpose == UPDATE, 2),
        (and_(d.c.purpose.in_([RAISED, ESCALATED]), a.c.urgency == "urgent"), 0),
        else_=1,
    )
    order = (rank, d.c.created_at, d.c.id)
    waiting = (
        select(
            d.c.id, d.c.alert_id, d.c.channel, d.c.address, d.c.purpose, d.c.attempts,
            d.c.created_at, rank.label("rank"),
            func.coalesce(a.c.kind, d.c.purpose).label("kind"),
            func.coalesce(a.c.urgency, "today").label("urgency"),
            func.coalesce(a.c.state, OPEN).label("alert_state"),
            func.coalesce(c.c.name, "").label("class_name"),
            func.coalesce(target.c.state, "").label("target"),
            func.coalesce(target.c.remote_id, "").label("target_remote"),
            target.c.sent_at.label("target_sent_at"), d.c.turn, d.c.in_place_of,
            func.row_number()
            .over(partition_by=(d.c.channel, d.c.address), order_by=order)
            .label("place"),
        )
        .outerjoin(a, a.c.id == d.c.alert_id)
        .outerjoin(c, c.c.id == a.c.class_id)
        .outerjoin(target, and_(target.c.id == d.c.updates, d.c.purpose == UPDATE))
        .where(d.c.state == WAITING, d.c.next_at <= now, d.c.channel.in_(channels))
        .where(or_(a.c.id.is_not(None), d.c.purpose == TEST, d.c.purpose.like(f"{DIGEST}%")))
        .where(or_(d.c.claimed_until.is_(None), d.c.claimed_until < now))
    )  # fmt: skip
    if without:
        waiting = waiting.where(tuple_(d.c.channel, d.c.address).not_in(list(without)))
    ranked = waiting.subquery()
    rows = conn.execute(
        select(ranked)
        .where(ranked.c.place <= PER_ADDRESS)
        .order_by(ranked.c.rank, ranked.c.created_at, ranked.c.id)
        .limit(limit)
    )
    found = [
        Owed(**{name: value for name, value in row._mapping.items() if name != "place"})
        for row in rows
    ]
    return _with_others(conn, _with_earlier_turns(conn, found))


def _with_earlier_turns(conn: Connection, found: Sequence[Owed]) -> list[Owed]:
    """Mark those of later turns whose duties were reached meanwhile."""
    wanted = sorted({one for owed in found if owed.turn > 1 for one in named(owed.in_place_of)})
    if not wanted:
        return list(found)
    sent: set[str] = set()
    for start in range(0, len(wanted), 500):
        sent |= set(
            conn.execute(
                select(deliveries.c.id).where(
                    deliveries.c.id.in_(wanted[start : start + 500]), deliveries.c.state == SENT
                )
            ).scalars()
        )
    return [
        msgspec.structs.replace(owed, spared=spared(owed.in_place_of, sent))
        if owed.turn > 1
        else owed
        for owed in found
    ]


def _with_others(conn: Connection, found: Sequence[Owed]) -> list[Owed]:
    """Give updates the other alerts that stand in the message they change.

    Those are what was sent to that address at that very instant under that remote id.
    """
    moments = sorted({owed.target_sent_at for owed in found if owed.target_sent_at is not None})
    if not moments:
        return list(found)
    d = deliveries
    shared: dict[tuple[Any, ...], list[tuple[str, str]]] = {}
    for start in range(0, len(moments), 500):
        rows = conn.execute(
            select(
                d.c.channel, d.c.address, d.c.sent_at, d.c.remote_id, d.c.alert_id, alerts.c.state
            )
            .join(alerts, alerts.c.id == d.c.alert_id)
            .where(d.c.sent_at.in_(moments[start : start + 500]), d.c.purpose != UPDATE)
            .order_by(d.c.created_at, d.c.id)
        )
        for channel, address, sent_at, remote, alert, state in rows:
            shared.setdefault((channel, address, sent_at, remote), []).append((alert, state))
    result = []
    for owed in found:
        key = (owed.channel, owed.address, owed.target_sent_at, owed.target_remote)
        others = tuple(one for one in shared.get(key, ()) if one[0] != owed.alert_id)
        result.append(msgspec.structs.replace(owed, with_it=others) if others else owed)
    return result


def fresh(row: Mapping[str, Any], raised: AlertRaised) -> Owed:
    """A delivery that is just being written, about an alert that is just being raised."""
    return Owed(
        id=row["id"],
        alert_id=row["alert_id"],
        channel=row["channel"],
        address=row["address"],
        purpose=row["purpose"],
        attempts=0,
        created_at=row["created_at"],
        rank=0 if raised.urgency == "urgent" else 1,
        kind=raised.kind,
        urgency=raised.urgency,
        alert_state=OPEN,
        class_name="",
        target="",
        target_remote="",
    )


def claim(conn: Connection, ids: Sequence[str], owner: str, now: datetime) -> set[str]:
    """Take a lease on those of `ids` that nobody else holds; return which."""
    if not ids:
        return set()
    d = deliveries
    return set(
        conn.execute(
            update(d)
            .where(d.c.id.in_(ids), d.c.state == WAITING)
            .where(or_(d.c.claimed_until.is_(None), d.c.claimed_until < now))
            .values(claimed_by=owner, claimed_until=now + LEASE)
            .returning(d.c.id)
        ).scalars()
    )


_STORE = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("this"), deliveries.c.state == WAITING)
    .values(
        state=bindparam("new_state"),
        attempts=bindparam("new_attempts"),
        next_at=bindparam("new_next_at"),
        remote_id=bindparam("new_remote_id"),
        last_error=bindparam("new_error"),
        sent_at=bindparam("new_sent_at"),
        claimed_until=None,
        claimed_by="",
    )
)


def store(conn: Connection, outcomes: Sequence[Outcome]) -> None:
    """Store what became of claimed deliveries, with the pauses of whole addresses."""
    if not outcomes:
        return
    conn.execute(
        _STORE,
        [
            {
                "this": one.owed.id,
                "new_state": one.state,
                "new_attempts": one.attempts,
                "new_next_at": one.next_at,
                "new_remote_id": one.remote_id,
                "new_error": one.error,
                "new_sent_at": one.sent_at,
            }
            for one in outcomes
        ],
    )
    for one in outcomes:
        if one.pause_until is not None:
            hold(conn, one.owed.lane, one.pause_until)
        if one.hurry or one.state == FAILED:
            _next_turn(conn, one.owed)


def _next_turn(conn: Connection, failed: Owed) -> None:
    """Those that are to go out in the place of this one need not wait any longer."""
    d = deliveries
    conn.execute(
        update(d)
        .where(d.c.alert_id == failed.alert_id, d.c.state == WAITING, d.c.turn > failed.turn)
        .where(d.c.attempts == 0, d.c.in_place_of.contains(failed.id, autoescape=True))
        .values(next_at=NOT_BEFORE)
    )


def hold(conn: Connection, lane: Lane, until: datetime) -> None:
    """Nothing goes to this address before `until`."""
    d = deliveries
    conn.execute(
        update(d)
        .where(d.c.channel == lane[0], d.c.address == lane[1])
        .where(d.c.state == WAITING, d.c.next_at < until)
        .values(next_at=until)
    )


def counts(conn: Connection) -> dict[str, int]:
    """How many deliveries wait, and how many were given up."""
    d = deliveries
    rows = conn.execute(
        select(d.c.state, func.count()).where(d.c.state.in_([WAITING, FAILED])).group_by(d.c.state)
    )
    return {WAITING: 0, FAILED: 0} | {str(state): int(count) for state, count in rows}
