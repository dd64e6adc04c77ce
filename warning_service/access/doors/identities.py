"""Accounts people have at sign-in providers, and whose they are here.

An account is known by what its provider never gives to anybody else (`subject`). The first time it
comes, it is linked to the person for whom the board has noted its address; from then on the address
counts nothing, because next year it may be another person's. One person has at most one account at
a provider: a second one with the right address is refused until an accounts manager unlinks the
first. Every link and unlinking is on the audit trail.

Whether an account is genuine, and the board's, connectors/sign_in/ has found out before.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Literal

import msgspec
from sqlalchemy import Connection, delete, insert, select

from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.trail.audit import Look, Trail
from warning_service.clock import Clock
from warning_service.database import Database, insert_new, upsert
from warning_service.roster import queries
from warning_service.roster import tables as roster
from warning_service.roster.grades import signs_in

Kind = Literal["staff", "child"]

ADDRESS = re.compile(r"[^@\s]{1,100}@[^@\s]{3,150}")
"""What is like a mail address or UPN; which one it is, only the provider knows."""


class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """An account linked to somebody: at which issuer, and since when."""

    issuer: str
    linked_at: datetime


class NobodyHere(LookupError):
    """The account is nobody's here. `inactive`: it is somebody's whose time here is over."""

    def __init__(self, *, inactive: bool = False) -> None:
        super().__init__("no person for this account")
        self.inactive = inactive


class Identities:
    """Who an account is, links, and what boards expect."""

    def __init__(self, database: Database, clock: Clock, trail: Trail) -> None:
        self._database = database
        self._clock = clock
        self._trail = trail

    def person(self, kind: Kind, board: str, issuer: str, subject: str, address: str) -> str:
        """The key of the person of `board` whose account this is, linking it if it is expected.

        `address`: what the provider vouches for, in lower case, or ''. Raises NobodyHere, or
        StorageUnavailable (also when the trail cannot be written: then nothing is linked).
        """
        i = roster.identities
        known = (i.c.kind == kind) & (i.c.issuer == issuer) & (i.c.subject == subject)
        today = self._clock.today()
        with self._database.reading() as conn:
            key = conn.execute(select(i.c.key).where(known)).scalar_one_or_none()
            if key is None:
                key = _expected(conn, kind, board, address)
                if key is None or not _is_here(conn, kind, board, key, today):
                    raise NobodyHere(inactive=key is not None)
            elif _is_here(conn, kind, board, key, today):
                return str(key)
            else:
                raise NobodyHere(inactive=True)
        self._link(kind, board, issuer, subject, key)
        return str(key)

    def _link(self, kind: Kind, board: str, issuer: str, subject: str, key: str) -> None:
        i = roster.identities
        with self._database.writing() as conn:
            made = conn.execute(
                insert_new(conn, i)
                .values(
                    kind=kind, issuer=issuer, subject=subject, key=key,
                    linked_at=self._clock.now(),
                )
                .returning(i.c.subject)
            ).first()  # fmt: skip
            if made is not None:
                look = Look(board=board, actor=key, action="account_linked", subject=key)
                self._trail.write(conn, [look])
                return
            # The person has another account there, or this one came twice at the same time.
            mine = (i.c.kind == kind, i.c.issuer == issuer, i.c.subject == subject, i.c.key == key)
            if conn.execute(select(i.c.key).where(*mine)).first() is None:
                raise NobodyHere

    def of(self, kind: Kind, keys: Collection[str]) -> dict[str, list[Linked]]:
        """The accounts linked to these people, oldest first; nobody without one is in it."""
        i = roster.identities
        with self._database.reading() as conn:
            rows = conn.execute(
                select(i.c.key, i.c.issuer, i.c.linked_at)
                .where(i.c.kind == kind, i.c.key.in_(keys))
                .order_by(i.c.linked_at, i.c.issuer)
            ).all()
        found: dict[str, list[Linked]] = {}
        for row in rows:
            found.setdefault(row.key, []).append(Linked(issuer=row.issuer, linked_at=row.linked_at))
        return found

    def unlink(self, who: Principal, kind: Kind, key: str, *, using: Ability) -> bool:
        """Take all of a person's accounts off; the next one to come may be linked anew.

        The caller has made sure that `who` may. Sessions under way go on: end them with
        `Sessions`. Returns whether there was one.
        """
        i = roster.identities
        with self._database.writing() as conn:
            self._trail.write(conn, [self._trail.look(who, "account_unlinked", key, using=using)])
            gone = conn.execute(
                delete(i).where(i.c.kind == kind, i.c.key == key).returning(i.c.subject)
            ).all()
        return bool(gone)

    def note(self, who: Principal, kind: Kind, key: str, address: str, *, using: Ability) -> None:
        """Expect `address` for this person of the asker's board, and none that was noted before.

        '' expects none. The caller has made sure that `who` may. Raises ValueError when it is not
        like an address, or noted for somebody else.
        """
        e = roster.expected_accounts
        address = address.strip().lower()
        if address and not ADDRESS.fullmatch(address):
            raise ValueError("not like an address")
        with self._database.writing() as conn:
            if _noted(conn, kind, who.board, [address]).get(address, key) != key:
                raise ValueError("the address is noted for somebody else")
            conn.execute(delete(e).where(e.c.kind == kind, e.c.board == who.board, e.c.key == key))
            if address:
                conn.execute(insert(e).values(kind=kind, board=who.board, account=address, key=key))
            self._trail.write(conn, [self._trail.look(who, "account_noted", key, using=using)])

    def expect(self, kind: Kind, board: str, addresses: Mapping[str, str]) -> None:
        """Note addresses (mail address or UPN -> staff or student key) to be linked when they come.

        Raises ValueError when an address is noted for somebody else already.
        """
        e = roster.expected_accounts
        rows = [
            {"kind": kind, "board": board, "account": address.strip().lower(), "key": key}
            for address, key in addresses.items()
        ]
        with self._database.writing() as conn:
            held = _noted(conn, kind, board, [row["account"] for row in rows])
            if any(held.get(row["account"], row["key"]) != row["key"] for row in rows):
                raise ValueError("an address is noted for somebody else")
            if rows:
                conn.execute(upsert(conn, e, ["kind", "board", "account"]), rows)

    def expected(self, kind: Kind, key: str) -> list[str]:
        """The addresses noted for somebody, in order."""
        e = roster.expected_accounts
        query = select(e.c.account).where(e.c.kind == kind, e.c.key == key).order_by(e.c.account)
        with self._database.reading() as conn:
            return list(conn.execute(query).scalars())


def _noted(conn: Connection, kind: Kind, board: str, addresses: Sequence[str]) -> dict[str, str]:
    e = roster.expected_accounts
    found: dict[str, str] = {}
    for start in range(0, len(addresses), 500):
        rows = conn.execute(
            select(e.c.account, e.c.key).where(
                e.c.kind == kind,
                e.c.board == board,
                e.c.account.in_(addresses[start : start + 500]),
            )
        )
        found.update((row.account, row.key) for row in rows)
    return found


def _expected(conn: Connection, kind: Kind, board: str, address: str) -> str | None:
    """For whom the board expects this address: as noted, or a login that is the whole address."""
    if not address:
        return None
    noted = _noted(conn, kind, board, [address]).get(address)
    if noted is not None or kind == "child":
        return noted
    s = roster.staff
    found = conn.execute(select(s.c.staff).where(s.c.board == board, s.c.login == address))
    return found.scalar_one_or_none()


def _is_here(conn: Connection, kind: Kind, board: str, key: str, on: date) -> bool:
    """Is this an active member of staff, or a child at its school that day, of that board?"""
    if kind == "staff":
        s = roster.staff
        return (
            conn.execute(
                select(s.c.staff).where(s.c.staff == key, s.c.board == board, s.c.active)
            ).first()
            is not None
        )
    place = queries.enrolment_on(conn, key, on)
    return place is not None and place.board == board and signs_in(place.grade)
