"""Children whom a family asks about: found with care, also after they have left.

A right of the family's does not end with the roll: who moved away last year may still ask what is
held. So, unlike the gateway, this looks at every enrolment there has been at the asker's schools.
It is for the handling of requests only; each child that is shown, and each one that was refused, is
on the trail, and a search shows a few children at most, never a roll.

Also here, because only access/ reads them: what the roster itself holds about a child, for
disclosure, and which duty a colleague holds ("seen by: 養護教諭").
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability, Role
from warning_service.access.tables import sessions
from warning_service.access.trail.audit import REFUSED, Trail
from warning_service.clock import Clock
from warning_service.database import Database
from warning_service.roster import tables as roster

MOST_FOUND = 20
LEAST_LETTERS = 2
RIGHTS = (Ability.HANDLE_REQUESTS, Ability.APPROVE_REQUESTS)


class SearchTooWide(ValueError):
    """Fewer than LEAST_LETTERS letters, or more than MOST_FOUND children; nobody is shown."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A child as the handling of a request may show it. `place`: "school, class", the latest."""

    student: str
    name: str
    kana: str
    born: date
    school: str
    place: str
    on_roll: bool
    opted_out: bool


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What the roster and the door hold about a child; hashes and keys only as "there is one"."""

    person: Person
    number: str
    sex: str
    household: str
    home: str  # the random key of the household, the only thing of it that leaves the roster
    enrolments: list[Any]  # rows: school_name, class_name, grade, from_day, until_day
    seats: list[Any]  # rows: class_name, seat
    opt_outs: list[Any]  # rows: from_at, until_at
    accounts: list[str]  # in words: at which provider, under which name there
    has_key: bool
    sign_ins: list[datetime]


class AskedAbout:
    """Looks children up for those who handle requests."""

    def __init__(self, database: Database, clock: Clock, trail: Trail) -> None:
        self._database = database
        self._clock = clock
        self._trail = trail

    def search(self, who: Principal, words: str, *, school: str = "") -> list[Person]:
        """Children whose name, reading or number begins with or holds `words`, by reading.

        Within the asker's schools, or the one named. Raises SearchTooWide, and StorageUnavailable
        when the looks cannot be put on the trail.
        """
        wanted = unicodedata.normalize("NFKC", words)
        wanted = "".join(wanted.split())
        if len(wanted) < LEAST_LETTERS:
            raise SearchTooWide
        schools = who.reach(Ability.HANDLE_REQUESTS).schools
        if school:
            schools &= {school}
        s, e = roster.students, roster.enrolments
        like = "%" + wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        with self._database.reading(identity=True) as conn:
            there = set(
                conn.execute(
                    select(e.c.student).where(e.c.school.in_(schools)).distinct()
                ).scalars()
            )
            rows = conn.execute(
                select(s.c.student)
                .where(s.c.board == who.board)
                .where(
                    (s.c.family_name + s.c.given_name).like(like, escape="\\")
                    | (s.c.family_kana + s.c.given_kana).like(like, escape="\\")
                    | (s.c.number == wanted)
                )
                .order_by(s.c.family_kana, s.c.given_kana, s.c.student)
            ).scalars()
            keys = [key for key in rows if key in there]
            if len(keys) > MOST_FOUND:
                raise SearchTooWide
            found = [_person(conn, key, self._clock.today()) for key in keys]
        self._note(who, "request_search", keys, Ability.HANDLE_REQUESTS)
        return found

    def person(self, who: Principal, student: str, *, using: Ability, why: str) -> Person:
        """One child, on a roll or not. Raises NotYours; each look is on the trail first.

        `using`: one of RIGHTS. Its reach counts over every school the child has ever been at.
        """
        if using not in RIGHTS:
            raise ValueError("former children are shown for requests only")
        e = roster.enrolments
        with self._database.reading(identity=True) as conn:
            been = conn.execute(select(e.c.school).where(e.c.student == student)).scalars()
            mine = not who.reach(using).schools.isdisjoint(been)
            found = _person(conn, student, self._clock.today()) if mine else None
        self._note(who, why if found else REFUSED + why, [student], using)
        if found is None:
            raise NotYours
        return found

    def reaches(self, conn: Connection, who: Principal, student: str, using: Ability) -> bool:
        """Does the asker's `using` reach the child, now or formerly? No name, so no trail."""
        e = roster.enrolments
        been = conn.execute(select(e.c.school).where(e.c.student == student)).scalars()
        return not who.reach(using).schools.isdisjoint(been)

    def note(
        self,
        who: Principal,
        action: str,
        student: str,
        detail: str = "",
        *,
        using: Ability = Ability.HANDLE_REQUESTS,
    ) -> None:
        """Put a change on the trail. Raises StorageUnavailable."""
        self._note(who, action, [student], using, detail)

    def write(
        self,
        conn: Connection,
        who: Principal,
        action: str,
        student: str,
        detail: str = "",
        *,
        using: Ability = Ability.HANDLE_REQUESTS,
    ) -> None:
        """Put a change on the trail in the transaction that makes it, as the last thing there."""
        self._trail.write(conn, [self._trail.look(who, action, student, detail, using=using)])

    def _note(
        self,
        who: Principal,
        action: str,
        keys: Sequence[str],
        using: Ability,
        detail: str = "",
    ) -> None:
        self._trail.note(who, action, keys, detail, using=using)


def _person(conn: Connection, student: str, today: date) -> Person:
    s, e, c, sc, o = (
        roster.students,
        roster.enrolments,
        roster.classes,
        roster.schools,
        roster.opt_outs,
    )
    row = conn.execute(select(s).where(s.c.student == student)).one()
    last = conn.execute(
        select(e, c.c.name.label("class_name"), sc.c.name.label("school_name"))
        .join(c, c.c.id == e.c.class_id)
        .join(sc, sc.c.id == e.c.school)
        .where(e.c.student == student)
        .order_by(e.c.from_day.desc())
        .limit(1)
    ).one()
    refusing = conn.execute(
        select(func.count()).where(o.c.student == student, o.c.until_at.is_(None))
    ).scalar_one()
    return Person(
        student=student,
        name=f"{row.family_name} {row.given_name}",
        kana=f"{row.family_kana} {row.given_kana}",
        born=row.born,
        school=last.school,
        place=f"{last.school_name} {last.class_name}",
        on_roll=last.from_day <= today and (last.until_day is None or last.until_day > today),
        opted_out=bool(refusing),
    )


def identity_of(conn: Connection, student: str, today: date) -> Identity:
    """Everything the roster holds about a child, for its disclosure."""
    s, e, c, sc, p, o, k = (
        roster.students,
        roster.enrolments,
        roster.classes,
        roster.schools,
        roster.seats,
        roster.opt_outs,
        roster.student_secrets,
    )
    row = conn.execute(select(s).where(s.c.student == student)).one()
    return Identity(
        person=_person(conn, student, today),
        number=row.number,
        sex=row.sex,
        household=row.household,
        home=row.home,
        enrolments=list(
            conn.execute(
                select(
                    sc.c.name.label("school_name"), c.c.name.label("class_name"),
                    e.c.class_id, e.c.grade, e.c.from_day, e.c.until_day,
                )
                .join(c, c.c.id == e.c.class_id)
                .join(sc, sc.c.id == e.c.school)
                .where(e.c.student == student)
                .order_by(e.c.from_day)
            )
        ),
        seats=list(
            conn.execute(
                select(c.c.name.label("class_name"), p.c.class_id, p.c.seat)
                .join(c, c.c.id == p.c.class_id)
                .where(p.c.student == student)
                .order_by(c.c.school_year)
            )
        ),
        opt_outs=list(
            conn.execute(
                select(o.c.from_at, o.c.until_at)
                .where(o.c.student == student)
                .order_by(o.c.from_at)
            )
        ),
        accounts=_accounts(conn, student),
        has_key=bool(
            conn.execute(select(func.count()).where(k.c.student == student)).scalar_one()
        ),
        sign_ins=list(
            conn.execute(
                select(sessions.c.started_at)
                .where(sessions.c.kind == "child", sessions.c.key == student)
                .order_by(sessions.c.started_at)
            ).scalars()
        ),
    )  # fmt: skip


def _accounts(conn: Connection, student: str) -> list[str]:
    i, x = roster.identities, roster.expected_accounts
    linked = conn.execute(
        select(i.c.issuer, i.c.subject)
        .where(i.c.kind == "child", i.c.key == student)
        .order_by(i.c.issuer)
    )
    expected = conn.execute(
        select(x.c.account).where(x.c.kind == "child", x.c.key == student).order_by(x.c.account)
    )
    return [f"{row.issuer} {row.subject}" for row in linked] + list(expected.scalars())


def roles_held(conn: Connection, staff: Collection[str]) -> dict[str, list[str]]:
    """Staff key -> the roles that person has ever held, each once; no names."""
    d = roster.duties
    found: dict[str, list[str]] = {}
    wanted = sorted(staff)
    for start in range(0, len(wanted), 500):
        rows = conn.execute(
            select(d.c.staff, d.c.role)
            .where(d.c.staff.in_(wanted[start : start + 500]))
            .distinct()
            .order_by(d.c.staff, d.c.role)
        )
        for row in rows:
            found.setdefault(row.staff, []).append(row.role)
    return found


def ever_held(conn: Connection, role: Role) -> frozenset[str]:
    """Keys of the staff who have ever held this role; no names."""
    d = roster.duties
    query = select(d.c.staff).where(d.c.role == role.value).distinct()
    return frozenset(conn.execute(query).scalars())
