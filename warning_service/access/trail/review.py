"""The yearly review of rights and access: who may what, who used it, and does it go on?

For every account: its duties and since when, when it last signed in, how much it looked at, what it
never used, what was refused. Whoever is responsible decides for each to keep or to end, with a
date: the accounts manager for the board, management for those who had a duty at its own school in
the year under review, unless they have one of the board's. What the board decided stays the
board's. Ending itself is done on the accounts page, and until it is, the review says so.

Counts come from the trail and names from the roster, read as the service itself: the scope is
checked here, at `of_board`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, case, func, or_, select, union

from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import OFFICES, Ability, Place
from warning_service.access.tables import (
    audit,
    passkeys,
    rights_reviews,
    sessions,
    staff_factors,
)
from warning_service.access.trail.actions import of_kind
from warning_service.access.trail.audit import REFUSED, Trail
from warning_service.clock import Clock, at, day_of
from warning_service.database import Database, upsert
from warning_service.roster import tables as roster
from warning_service.roster.calendar import school_year_of

USING = Ability.REVIEW_RIGHTS
KEEP, END = "keep", "end"
DECISIONS = (KEEP, END)
SIGNED_IN = "signed_in"
LONG_UNUSED = timedelta(days=180)
MANY_REFUSALS = 10
LONGEST_NOTE = 300
HINTS = (
    "ended_but_open", "no_duty", "no_factor", "never_signed_in", "long_unused", "unused_duty",
    "many_refusals", "to_be_ended",
)  # fmt: skip
"""What the page points at, the gravest first."""

_OF_BOARD = tuple(role for role, office in OFFICES.items() if office.place is Place.BOARD)


class UnfitDecision(ValueError):
    """Not one of DECISIONS, or the note is too long; nothing was stored."""


class HeldDuty(msgspec.Struct, frozen=True, kw_only=True):
    """A duty as the roster has it, how often it was used this year, and whether it is in force."""

    role: str
    place: str
    place_name: str
    from_day: date
    until_day: date | None
    in_force: bool
    used: int


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    """One account with what the review says of it. `hints`: ids of HINTS.

    `by_board`: the board decided, and the asker is not of the board's.
    """

    staff: str
    login: str
    name: str
    active: bool
    duties: tuple[HeldDuty, ...]
    last_sign_in: datetime | None
    opened: int
    shown: int
    refused: int
    exports: int
    has_factor: bool
    signed_in_now: bool
    hints: tuple[str, ...]
    decision: str
    decided_at: datetime | None
    decided_by: str
    note: str
    by_board: bool = False


class _Used(msgspec.Struct, kw_only=True):
    opened: int = 0
    shown: int = 0
    refused: int = 0
    exports: int = 0
    last_sign_in: datetime | None = None
    by_role: dict[str, int] = msgspec.field(default_factory=dict)


class RightsReview:
    """The review of one board's accounts, for one asker at a time."""

    def __init__(self, database: Database, clock: Clock, trail: Trail) -> None:
        self._database = database.as_service()
        self._clock = clock
        self._trail = trail

    def of_board(self, who: Principal, year: int, *, export: bool = False) -> list[Reviewed]:
        """The accounts the asker is responsible for, those with hints first, then by name.

        On the trail (as an export, when it is taken away). Raises NotYours without such a duty.
        """
        with self._database.reading() as conn:
            wanted = self._responsible_for(conn, who, year)
            people = _people(conn, who.board, wanted)
            used = _used(conn, year, [row.staff for row in people])
            found = self._reviewed(conn, who, people, used, year)
            theirs = set() if wanted is None else _decided_by_board(conn, year)
        self._trail.note(
            who, "rights_review_export" if export else "rights_review", [who.board], str(year),
            using=USING,
        )  # fmt: skip
        return [msgspec.structs.replace(one, by_board=one.staff in theirs) for one in found]

    def decide(
        self, who: Principal, staff: str, year: int, *, decision: str, note: str = ""
    ) -> None:
        """Write down whether an account's rights go on; a later decision replaces the row.

        The trail keeps each one. Nobody decides on their own rights, and only the board on what it
        decided. Raises UnfitDecision,
        NotYours, StorageUnavailable.
        """
        if decision not in DECISIONS or len(note) > LONGEST_NOTE:
            raise UnfitDecision
        with self._database.reading() as conn:
            wanted = self._responsible_for(conn, who, year)
            if wanted is not None:
                wanted -= _decided_by_board(conn, year)
            if staff == who.key or staff not in {
                row.staff for row in _people(conn, who.board, wanted)
            }:
                raise NotYours
        with self._database.writing() as conn:
            conn.execute(
                upsert(conn, rights_reviews, ["staff", "school_year"]).values(
                    staff=staff, school_year=year, board=who.board, decision=decision,
                    decided_by=who.key, decided_at=self._clock.now(), note=note.strip(),
                )
            )  # fmt: skip
            self._trail.write(
                conn,
                [self._trail.look(who, "rights_decided", staff, f"{year} {decision}", using=USING)],
            )

    def _responsible_for(self, conn: Connection, who: Principal, year: int) -> set[str] | None:
        """Staff keys the asker decides on; None for the whole board. Raises NotYours."""
        giving = [duty for duty in who.duties if USING in OFFICES[duty.role].abilities]
        if not giving:
            raise NotYours
        if any(OFFICES[duty.role].place is Place.BOARD for duty in giving):
            return None
        schools = {school for duty in giving for school in duty.schools}
        c, d = roster.classes.c, roster.duties.c
        rooms = select(c.id).where(c.school.in_(schools))
        at_school = or_(
            d.place.in_(schools),
            d.place.in_(rooms),
            *(d.place.startswith(f"{school}:", autoescape=True) for school in sorted(schools)),
        )
        first, after = date(year, 4, 1), date(year + 1, 4, 1)
        of_year = and_(d.from_day < after, or_(d.until_day.is_(None), d.until_day > first))
        here = set(conn.execute(select(d.staff).where(at_school, of_year)).scalars())
        boards = set(conn.execute(select(d.staff).where(d.role.in_(_OF_BOARD), of_year)).scalars())
        return here - boards

    def _reviewed(
        self,
        conn: Connection,
        who: Principal,
        people: Sequence[Any],
        used: Mapping[str, _Used],
        year: int,
    ) -> list[Reviewed]:
        keys = [row.staff for row in people]
        today, now = self._clock.today(), self._clock.now()
        duties = _duties(conn, keys, today)
        with_factor = set(
            conn.execute(
                union(
                    select(staff_factors.c.staff).where(staff_factors.c.totp != ""),
                    select(passkeys.c.staff),
                )
            ).scalars()
        )
        s = sessions.c
        signed_in = set(
            conn.execute(
                select(s.key).where(s.kind == "staff", ~s.revoked, s.ends_at > now)
            ).scalars()
        )
        r = rights_reviews.c
        decided = {
            row.staff: row
            for row in conn.execute(
                select(rights_reviews).where(r.board == who.board, r.school_year == year)
            )
        }
        found = []
        for row in people:
            mine = used.get(row.staff, _Used())
            held = tuple(
                msgspec.structs.replace(duty, used=mine.by_role.get(duty.role, 0))
                for duty in duties.get(row.staff, ())
            )
            decision = decided.get(row.staff)
            one = Reviewed(
                staff=row.staff, login=row.login, name=row.name, active=row.active, duties=held,
                last_sign_in=mine.last_sign_in, opened=mine.opened, shown=mine.shown,
                refused=mine.refused, exports=mine.exports, has_factor=row.staff in with_factor,
                signed_in_now=row.staff in signed_in, hints=(),
                decision="" if decision is None else decision.decision,
                decided_at=None if decision is None else decision.decided_at,
                decided_by="" if decision is None else decision.decided_by,
                note="" if decision is None else decision.note,
            )  # fmt: skip
            found.append(msgspec.structs.replace(one, hints=_hints(one, now, today)))
        return sorted(found, key=lambda one: (_gravest(one), one.name, one.staff))


def _decided_by_board(conn: Connection, year: int) -> set[str]:
    """Staff keys on whom somebody with the board's review decided this year."""
    r, d = rights_reviews.c, roster.duties.c
    giving = [role for role in _OF_BOARD if USING in OFFICES[role].abilities]
    rows = conn.execute(
        select(r.staff, r.decided_at, d.from_day, d.until_day)
        .join(roster.duties, d.staff == r.decided_by)
        .where(r.school_year == year, d.role.in_(giving))
    )
    return {
        row.staff
        for row in rows
        if row.from_day <= day_of(row.decided_at)
        and (row.until_day is None or row.until_day >= day_of(row.decided_at))
    }


def _gravest(one: Reviewed) -> int:
    return HINTS.index(one.hints[0]) if one.hints else len(HINTS)


def _hints(one: Reviewed, now: datetime, today: date) -> tuple[str, ...]:
    """What is to be asked about an account; an inactive one asks nothing."""
    if not one.active:
        return ()
    in_force = [duty for duty in one.duties if duty.in_force]
    known_long = any(duty.from_day <= today - LONG_UNUSED for duty in in_force)
    idle = one.last_sign_in is not None and one.last_sign_in < now - LONG_UNUSED
    true = {
        "ended_but_open": one.signed_in_now and not in_force,
        "no_duty": not in_force,
        "no_factor": bool(in_force) and not one.has_factor,
        "never_signed_in": bool(in_force) and one.last_sign_in is None,
        "long_unused": idle and known_long,
        "unused_duty": one.last_sign_in is not None and any(not d.used for d in in_force),
        "many_refusals": one.refused >= MANY_REFUSALS,
        "to_be_ended": one.decision == END,
    }
    return tuple(hint for hint in HINTS if true[hint])


def _people(conn: Connection, board: str, wanted: Collection[str] | None) -> list[Any]:
    s = roster.staff
    rows = conn.execute(
        select(s.c.staff, s.c.login, s.c.name, s.c.active)
        .where(s.c.board == board)
        .order_by(s.c.staff)
    ).all()
    return [row for row in rows if wanted is None or row.staff in wanted]


def _duties(conn: Connection, keys: Collection[str], today: date) -> dict[str, list[HeldDuty]]:
    d, mine = roster.duties, set(keys)
    names = {row.id: row.name for row in conn.execute(select(roster.schools))}
    names |= {row.id: row.name for row in conn.execute(select(roster.boards))}
    for row in conn.execute(select(roster.classes)):
        names[row.id] = f"{names.get(row.school, row.school)} {row.name}"
    found: dict[str, list[HeldDuty]] = {}
    for row in conn.execute(select(d).order_by(d.c.from_day.desc(), d.c.role, d.c.place)):
        if row.staff not in mine:
            continue
        school, _, grade = row.place.partition(":")
        named = names.get(row.place) or f"{names.get(school, school)} {grade}".strip()
        found.setdefault(row.staff, []).append(
            HeldDuty(
                role=row.role, place=row.place, place_name=named, from_day=row.from_day,
                until_day=row.until_day, used=0,
                in_force=row.from_day <= today
                and (row.until_day is None or row.until_day > today),
            )
        )  # fmt: skip
    return found


def _used(conn: Connection, year: int, keys: Collection[str]) -> dict[str, _Used]:
    """What each person did in a school year, counted by the database."""
    a, mine = audit.c, set(keys)
    first, last = at(date(year, 4, 1)), at(date(year + 1, 4, 1))
    kind = case(
        (a.action.startswith(REFUSED, autoescape=True), "refused"),
        (a.action.in_(of_kind("opened")), "opened"),
        (a.action.in_(of_kind("shown")), "shown"),
        (a.action.in_(of_kind("export")), "export"),
        else_="",
    )
    inner = (
        select(a.actor, a.duty, kind.label("kind"), a.at)
        .where(a.at >= first, a.at < last)
        .subquery()
    )
    signed_in = dict(
        conn.execute(
            select(a.actor, func.max(a.at))
            .where(a.action == SIGNED_IN, a.at >= at(date(year - 1, 4, 1)), a.at < last)
            .group_by(a.actor)
        )
        .tuples()
        .all()
    )
    i = inner.c
    rows = conn.execute(
        select(i.actor, i.duty, i.kind, func.count().label("times"))
        .group_by(i.actor, i.duty, i.kind)
    )  # fmt: skip
    found: dict[str, _Used] = {}
    for row in rows:
        if row.actor not in mine:
            continue
        one = found.setdefault(row.actor, _Used())
        if row.kind == "opened":
            one.opened += row.times
        elif row.kind == "shown":
            one.shown += row.times
        elif row.kind == "refused":
            one.refused += row.times
        elif row.kind == "export":
            one.exports += row.times
        for role in filter(None, row.duty.split(",")):
            one.by_role[role] = one.by_role.get(role, 0) + row.times
    for staff in mine & signed_in.keys():
        found.setdefault(staff, _Used()).last_sign_in = signed_in[staff]
    return found


def year_now(clock: Clock) -> int:
    """The school year under review: the one that runs."""
    return school_year_of(clock.today())
