"""Every way in that is in force, as markers; and closing, after a restore, those that are not.

A restored archive would open again what was closed after it was made: a sign-in ended for misuse, a
lost phone's factor, a card that hung in the wrong place, a password from before the change. So the
list of removals (keeping/tombstones.py), which is kept outside the archives, holds one marker for
each way in that is in force, and a restore takes away whatever has none there: what is not known to
be in force counts as closed, and somebody has to give it again.

A marker is a hash over random keys and over what is stored (itself hashed with salt, sealed or
random), so the list says of nobody which password or duty they have, and opens nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, delete, or_, select, update

from warning_service.access import tables as access
from warning_service.clock import day_of
from warning_service.database import upsert
from warning_service.events.tables import facts
from warning_service.roster import tables as roster

INVITATIONS_FROM = "invitations_from"
"""The fact that holds when the last restore was: invitations from before it set no password."""


class Shut(msgspec.Struct, frozen=True, kw_only=True):
    """How many of each were taken away."""

    accounts: int = 0
    duties: int = 0
    passwords: int = 0
    factors: int = 0
    linked: int = 0
    class_cards: int = 0
    secrets: int = 0
    sessions: int = 0


class _Way(msgspec.Struct, frozen=True):
    """One kind: where its rows are, which of them are in force, what makes them the same."""

    kind: str  # a field of Shut
    table: Table
    marked: tuple[ColumnElement[Any], ...]
    in_force: ColumnElement[bool]
    close: Callable[[Connection, ColumnElement[bool], datetime, str], None]


def _drop(table: Table) -> Callable[[Connection, ColumnElement[bool], datetime, str], None]:
    def close(conn: Connection, this: ColumnElement[bool], now: datetime, actor: str) -> None:  # noqa: ARG001
        conn.execute(delete(table).where(this))

    return close


def _empty(
    table: Table, **values: object
) -> Callable[[Connection, ColumnElement[bool], datetime, str], None]:
    def close(conn: Connection, this: ColumnElement[bool], now: datetime, actor: str) -> None:  # noqa: ARG001
        conn.execute(update(table).where(this).values(**values))

    return close


def _end_duty(conn: Connection, this: ColumnElement[bool], now: datetime, actor: str) -> None:  # noqa: ARG001
    today, d = day_of(now), roster.duties
    conn.execute(delete(d).where(this, d.c.from_day >= today))
    conn.execute(update(d).where(this).values(until_day=today))


def _stop_card(conn: Connection, this: ColumnElement[bool], now: datetime, actor: str) -> None:
    conn.execute(update(access.class_cards).where(this).values(revoked_at=now, revoked_by=actor))


def _ways(today: date) -> tuple[_Way, ...]:
    s, d, p, i = roster.staff.c, roster.duties.c, roster.seats.c, roster.identities.c
    f, k, r, c = (
        access.staff_factors.c, access.passkeys.c, access.recovery_codes.c, access.class_cards.c,
    )  # fmt: skip
    return (
        _Way("accounts", roster.staff, (s.staff,), s.active, _empty(roster.staff, active=False)),
        # A duty whose end was moved is another one: which of both ends holds, nobody can say.
        _Way("duties", roster.duties, (d.staff, d.role, d.place, d.from_day, d.until_day),
             or_(d.until_day.is_(None), d.until_day > today), _end_duty),
        _Way("passwords", roster.staff, (s.staff, s.password_hash), s.password_hash != "",
             _empty(roster.staff, password_hash="")),
        _Way("factors", access.staff_factors, (f.staff, f.totp), f.totp != "",
             _empty(access.staff_factors, totp="", totp_offered="", totp_since=None)),
        _Way("factors", access.passkeys, (k.staff, k.id), k.id != "", _drop(access.passkeys)),
        _Way("factors", access.recovery_codes, (r.staff, r.mac), r.mac != "",
             _drop(access.recovery_codes)),
        _Way("linked", roster.identities, (i.kind, i.issuer, i.subject, i.key), i.key != "",
             _drop(roster.identities)),
        _Way("class_cards", access.class_cards, (c.class_id, c.hash), c.revoked_at.is_(None),
             _stop_card),
        _Way("secrets", roster.seats, (p.student, p.secret_hash), p.secret_hash != "",
             _empty(roster.seats, secret_hash="")),
    )  # fmt: skip


def _marker(way: _Way, values: Collection[Any]) -> str:
    text = "\0".join([way.kind, way.table.name, *("" if v is None else str(v) for v in values)])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _rows(conn: Connection, way: _Way) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for row in conn.execute(select(*way.marked).where(way.in_force)):
        yield _marker(way, tuple(row)), tuple(row)


def in_force(conn: Connection, today: date) -> list[str]:
    """Markers of all ways in that are in force, sorted."""
    return sorted({marker for way in _ways(today) for marker, _ in _rows(conn, way)})


def close_all_but(
    conn: Connection, known: Collection[str] | None, now: datetime, actor: str
) -> Shut:
    """Take away, in a restored database, every way in that has no marker in `known`.

    None when the list is lost: then class cards are stopped, and the rest is for people to go
    through. All sessions end and invitations from before `now` set no password, in any case.
    """
    found = dict.fromkeys(Shut.__struct_fields__, 0)
    markers = frozenset(known or ())
    for way in _ways(day_of(now)):
        if known is None and way.kind != "class_cards":
            continue
        for marker, values in list(_rows(conn, way)):
            if marker not in markers:
                this = and_(*(c.is_(None) if v is None else c == v
                              for c, v in zip(way.marked, values, strict=True)))  # fmt: skip
                way.close(conn, this, now, actor)
                found[way.kind] += 1
    s = access.sessions
    ended = conn.execute(
        update(s).where(~s.c.revoked).values(revoked=True).returning(s.c.token_hash)
    )
    found["sessions"] = len(ended.all())
    conn.execute(delete(access.passkey_challenges))
    # A secret on offer may have been seen by whoever was shut out since.
    conn.execute(update(access.staff_factors).values(totp_offered=""))
    conn.execute(upsert(conn, facts, ["name"]).values(name=INVITATIONS_FROM, value=now.isoformat()))
    return Shut(**found)


def invitations_from(conn: Connection) -> datetime | None:
    """When this database was last restored; None if never."""
    kept = conn.execute(
        select(facts.c.value).where(facts.c.name == INVITATIONS_FROM)
    ).scalar_one_or_none()
    return None if kept is None else datetime.fromisoformat(kept)
