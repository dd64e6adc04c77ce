"""Accounts of a board's staff: who there is, what each is there for, letting in and out.

For the role ACCOUNTS, within its own board; everything is on the trail together with it. Nobody
changes an account of their own here: a second person has to, so that nobody gives themselves a
duty and nobody locks the last door behind them. A duty's place must exist and be of the kind its
role is held at. Ending a duty or an account takes effect at once, in sessions too.

Nobody makes themselves a second person with power, or becomes somebody who is there already: who
has reset a person's second factors, or given a powerful duty (trail/halves.py), makes that person
no invitation within three days, and the other way about. A second officer does the other half, or
the command line. A new teacher without such a duty needs one officer only. After the three days an
alarm still tells the auditor.

Not here: importing the staff file (connectors/records), passwords and factors themselves
(passwords.py, second_factors.py), and children's cards (cards.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, or_, select, update

from warning_service.access.doors.passwords import Passwords
from warning_service.access.doors.second_factors import SecondFactors
from warning_service.access.doors.sessions import Sessions
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import OFFICES, Ability, Place, Role
from warning_service.access.trail.audit import Trail
from warning_service.access.trail.halves import GIVES_POWER, LETS_IN, POWER, done_by
from warning_service.clock import Clock
from warning_service.database import Database, insert_new
from warning_service.roster import tables as roster
from warning_service.roster.service import random_key

USING = Ability.MANAGE_ACCOUNTS
PER_PAGE = 50
MOST_NAMED = 50
"""So many people a search by name finds; their keys have to fit into an address."""
LONGEST_NAME = 80
LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}", re.ASCII)
EARLIEST, LATEST = date(2000, 1, 1), date(2100, 12, 31)
"""A duty's first and last day are within these: a mistyped year is not stored."""

ALONE_DAYS = 3
"""So long after letting in or giving power the same officer may not do the other of the two."""

STATES = ("active", "inactive", "no_duty")


class Unfit(ValueError):
    """What was asked for cannot be done.

    `key`: login, taken, name, role, place, dates, duplicate, inactive, own, second_person; for the
    page's words.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"cannot be done: {key}")
        self.key = key


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """A duty as the roster has it. `until_day`: the first day on which it is over, None: open."""

    role: Role
    place: str
    from_day: date
    until_day: date | None

    def state(self, on: date) -> str:
        """past, now or later."""
        if self.until_day is not None and self.until_day <= on:
            return "past"
        return "later" if self.from_day > on else "now"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A member of staff. `duties`: newest first, past ones too."""

    staff: str
    login: str
    name: str
    active: bool
    duties: tuple[Duty, ...]


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of accounts shows. `staff`: only these keys; `state` one of STATES or ''."""

    staff: tuple[str, ...] | None = None
    role: str = ""
    school: str = ""
    state: str = ""
    sort: str = "name"
    descending: bool = False
    page: int = 1


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One page of accounts, and how many there are in all."""

    accounts: tuple[Account, ...]
    total: int
    page: int
    pages: int


class Accounts:
    """Staff of one board, for one asker at a time."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sessions: Sessions,
        *,
        passwords: Passwords,
        factors: SecondFactors,
        trail: Trail,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sessions = sessions
        self._passwords = passwords
        self._factors = factors
        self._trail = trail

    # -- looking -----------------------------------------------------------------------------------

    def search(self, who: Principal, wanted: Search) -> Found:
        """One page of the board's staff. Raises NotYours."""
        _may(who)
        s, today = roster.staff.c, self._clock.today()
        query = select(roster.staff).where(s.board == who.board)
        if wanted.staff is not None:
            query = query.where(s.staff.in_(wanted.staff))
        query = _by_duty(query, wanted, today)
        columns = {"login": (s.login,), "state": (s.active, s.name)}
        order = columns.get(wanted.sort, (s.name, s.login))
        query = query.order_by(*(c.desc() if wanted.descending else c for c in order), s.staff)
        with self._database.reading() as conn:
            total = conn.execute(select(func.count()).select_from(query.subquery())).scalar_one()
            pages = max(1, -(-total // PER_PAGE))
            page = min(max(1, wanted.page), pages)
            rows = conn.execute(query.limit(PER_PAGE).offset((page - 1) * PER_PAGE)).all()
            duties = _duties(conn, [row.staff for row in rows])
        self._trail.note(who, "accounts_list", [who.board], using=USING)
        return Found(
            accounts=tuple(_account(row, duties) for row in rows),
            total=total,
            page=page,
            pages=pages,
        )

    def named(self, who: Principal, words: str) -> tuple[tuple[str, ...], bool]:
        """Keys of those with `words` in name or login, at most MOST_NAMED; are there more?

        Nothing is put on the trail: what is then shown is. Raises NotYours.
        """
        _may(who)
        s, like = roster.staff.c, f"%{_escaped(words.strip())}%"
        query = (
            select(s.staff)
            .where(s.board == who.board)
            .where(or_(s.name.like(like, escape="\\"), s.login.like(like.lower(), escape="\\")))
            .order_by(s.name, s.staff)
            .limit(MOST_NAMED + 1)
        )
        with self._database.reading() as conn:
            found = tuple(conn.execute(query).scalars())
        return found[:MOST_NAMED], len(found) > MOST_NAMED

    def one(self, who: Principal, staff: str) -> Account:
        """One person. Raises NotYours, also for somebody of another board."""
        _may(who)
        with self._database.reading() as conn:
            found = _one(conn, who, staff)
        self._trail.note(who, "account", [staff], using=USING)
        return found

    # -- letting in --------------------------------------------------------------------------------

    def add(self, who: Principal, login: str, name: str) -> str:
        """A new person without a password or a duty; returns the staff key.

        Raises Unfit (login, taken, name), NotYours.
        """
        _may(who)
        login, name = login.strip().lower(), " ".join(name.split())
        if not LOGIN.fullmatch(login):
            raise Unfit("login")
        if not 1 <= len(name) <= LONGEST_NAME:
            raise Unfit("name")
        staff = random_key()
        with self._database.writing() as conn:
            made = conn.execute(
                insert_new(conn, roster.staff)
                .values(
                    staff=staff, board=who.board, login=login, name=name,
                    password_hash="", slack_user=None, active=True,
                )
                .returning(roster.staff.c.staff)
            ).first()  # fmt: skip
            if made is None:
                raise Unfit("taken")
            self._write(conn, who, "account_added", staff)
        return staff

    def invite(self, who: Principal, staff: str) -> str:
        """A token for a link that works once and lets its holder set the password.

        Whoever holds it becomes that person, so an own one is refused, like any change to oneself.
        Raises Unfit (own, inactive, second_person), NotYours.
        """
        if not self._other(who, staff).active:
            raise Unfit("inactive")
        with self._database.writing() as conn:
            self._not_alone(conn, who, staff, GIVES_POWER)
            self._write(conn, who, "invited", staff)
        return self._passwords.invite(staff)

    def give_duty(
        self,
        who: Principal,
        staff: str,
        role: str,
        place: str,
        *,
        first: date,
        last: date | None,
    ) -> None:
        """A duty from the day `first` to the day `last`, both included; None: until it is ended.

        Raises Unfit (own, role, place, dates, duplicate, second_person), NotYours.
        """
        self._other(who, staff)
        if role not in {one.value for one in Role} or role == Role.CHILD:
            raise Unfit("role")
        if not EARLIEST <= first <= (last or LATEST) <= LATEST:
            raise Unfit("dates")
        with self._database.writing() as conn:
            if not _is_place(conn, who.board, Role(role), place):
                raise Unfit("place")
            if role in POWER:
                self._not_alone(conn, who, staff, LETS_IN)
            made = conn.execute(
                insert_new(conn, roster.duties)
                .values(
                    staff=staff, role=role, place=place, from_day=first,
                    until_day=None if last is None else last + timedelta(days=1),
                )
                .returning(roster.duties.c.staff)
            ).first()  # fmt: skip
            if made is None:
                raise Unfit("duplicate")
            self._write(conn, who, "duty_given", staff, f"{role}@{place} {first.isoformat()}")
        self._sessions.look_again(staff)

    # -- letting out -------------------------------------------------------------------------------

    def end_duty(self, who: Principal, staff: str, role: str, place: str, from_day: date) -> None:
        """End a duty today: from now on it gives nothing. One of a day to come is taken away.

        One that began today stays on record, because it may have been used.

        Raises Unfit (own), NotYours for a duty the person does not hold.
        """
        self._other(who, staff)
        today, d = self._clock.today(), roster.duties.c
        this = (d.staff == staff, d.role == role, d.place == place, d.from_day == from_day)
        with self._database.writing() as conn:
            if from_day > today:
                query: Any = delete(roster.duties).where(*this).returning(d.staff)
            else:
                query = (
                    update(roster.duties)
                    .where(*this, or_(d.until_day.is_(None), d.until_day > today))
                    .values(until_day=today)
                    .returning(d.staff)
                )
            if conn.execute(query).first() is None:
                raise NotYours
            self._write(conn, who, "duty_ended", staff, f"{role}@{place}")
        self._sessions.look_again(staff)

    def set_active(self, who: Principal, staff: str, *, active: bool) -> None:
        """Close the account, its sessions ending at once, or open it again.

        Raises Unfit (own), NotYours.
        """
        self._other(who, staff)
        with self._database.writing() as conn:
            conn.execute(
                update(roster.staff).where(roster.staff.c.staff == staff).values(active=active)
            )
            forget = _nothing if active else self._sessions.end_within(conn, staff)[1]
            self._write(conn, who, "account_opened" if active else "account_closed", staff)
        forget()

    def reset_factors(self, who: Principal, staff: str) -> None:
        """Forget the person's second factors and end the sessions (a lost phone).

        Raises Unfit (own, second_person), NotYours.
        """
        self._other(who, staff)
        with self._database.writing() as conn:
            self._not_alone(conn, who, staff, LETS_IN)
            self._factors.remove_all(conn, staff)
            _, forget = self._sessions.end_within(conn, staff)
            self._write(conn, who, "factors_reset", staff)
        forget()

    def _other(self, who: Principal, staff: str) -> Account:
        _may(who)
        if staff == who.key:
            raise Unfit("own")
        with self._database.reading() as conn:
            return _one(conn, who, staff)

    def _not_alone(
        self, conn: Connection, who: Principal, staff: str, half: Collection[str]
    ) -> None:
        """Raises Unfit when this officer has done the other `half` of it in the last days."""
        # Held until the transaction ends, so that two requests at once do not both find nothing.
        s, since = roster.staff.c, self._clock.now() - timedelta(days=ALONE_DAYS)
        conn.execute(select(s.staff).where(s.staff == staff).with_for_update())
        if done_by(conn, who.key, [staff], half, since=since):
            raise Unfit("second_person")

    def _write(
        self, conn: Connection, who: Principal, action: str, staff: str, detail: str = ""
    ) -> None:
        self._trail.write(conn, [self._trail.look(who, action, staff, detail, using=USING)])


def _nothing() -> None:
    """No session has ended, so there is none to forget."""


def _may(who: Principal) -> None:
    if not who.may(USING):
        raise NotYours


def _one(conn: Connection, who: Principal, staff: str) -> Account:
    s = roster.staff.c
    row = conn.execute(
        select(roster.staff).where(s.staff == staff, s.board == who.board)
    ).one_or_none()
    if row is None:
        raise NotYours
    return _account(row, _duties(conn, [staff]))


def _account(row: Any, duties: dict[str, list[Duty]]) -> Account:
    return Account(
        staff=row.staff,
        login=row.login,
        name=row.name,
        active=row.active,
        duties=tuple(duties.get(row.staff, ())),
    )


def _duties(conn: Connection, staff: Sequence[str]) -> dict[str, list[Duty]]:
    d = roster.duties.c
    found: dict[str, list[Duty]] = {}
    for row in conn.execute(
        select(roster.duties).where(d.staff.in_(staff)).order_by(d.from_day.desc(), d.role, d.place)
    ):
        found.setdefault(row.staff, []).append(
            Duty(
                role=Role(row.role),
                place=row.place,
                from_day=row.from_day,
                until_day=row.until_day,
            )
        )
    return found


def _by_duty(query: Any, wanted: Search, today: date) -> Any:
    """Narrow to those with a duty in force of that role and at that school, or without any."""
    s, d, c = roster.staff.c, roster.duties.c, roster.classes.c
    held = (
        select(d.staff)
        .where(d.staff == s.staff, d.from_day <= today)
        .where(or_(d.until_day.is_(None), d.until_day > today))
    )
    if wanted.role:
        query = query.where(held.where(d.role == wanted.role).exists())
    if wanted.school:
        rooms = select(c.id).where(c.school == wanted.school)
        at_school = or_(
            d.place == wanted.school,
            d.place.like(f"{_escaped(wanted.school)}:%", escape="\\"),
            d.place.in_(rooms),
        )
        query = query.where(held.where(at_school).exists())
    if wanted.state == "inactive":
        return query.where(~s.active)
    if wanted.state in STATES:
        query = query.where(s.active)
    return query.where(~held.exists()) if wanted.state == "no_duty" else query


def _escaped(words: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", words)


def _is_place(conn: Connection, board: str, role: Role, place: str) -> bool:
    """Is `place` one of this board's, of the kind the role is held at?"""
    kind = OFFICES[role].place
    sc, c = roster.schools.c, roster.classes.c
    if kind is Place.BOARD:
        return place == board
    school, grade = place, ""
    if kind is Place.GRADE:
        school, _, grade = place.partition(":")
        if grade not in {str(n) for n in range(1, 10)}:
            return False
    if kind is Place.CLASS:
        room = conn.execute(select(c.school).where(c.id == place)).scalar_one_or_none()
        school = room or ""
    found = conn.execute(select(sc.id).where(sc.id == school, sc.board == board)).first()
    return found is not None
