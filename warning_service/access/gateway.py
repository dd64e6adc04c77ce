"""The one gateway to personal data.

Pages ask here for children, by name, and get only those the asker's duties cover on that day; each
look is in the audit trail before anything is returned (when the trail cannot be written, nothing
is shown). No other room outside `access/` and the importers may read the roster schema.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from datetime import date
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, select

from warning_service.access.principals import Extent, PlaceOf, Principal
from warning_service.access.roles import PURPOSES, Ability, Purpose
from warning_service.access.trail.audit import REFUSED, Trail
from warning_service.asking import Scope
from warning_service.clock import Clock
from warning_service.database import Database
from warning_service.playbooks.sharing import Side
from warning_service.roster import queries
from warning_service.roster import tables as roster


class NotYours(PermissionError):
    """The asker's duties do not cover this; say 404, so that existence is not told.

    `noted`: the refusal is on the trail already; of others errors.py puts the page's there.
    """

    noted = False


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """A child as a page may show it."""

    student: str
    name: str
    kana: str
    family_name: str
    given_name: str
    school: str
    class_id: str
    class_name: str
    grade: int
    seat: int | None
    opted_out: bool


class Circles(Protocol):
    """Who is reached by something else than a roll; answered by rooms that lie above this one."""

    def agenda(self, conn: Connection, schools: Collection[str]) -> Set[str]:
        """Children on the agenda of these schools' current meetings."""
        ...

    def cases(self, conn: Connection, boards: Collection[str]) -> Set[str]:
        """Children handed over to these boards' welfare offices and not yet handed back."""
        ...


_RIGHTS = frozenset(ability for ability, why in PURPOSES.items() if why is Purpose.RIGHTS)


class Gateway:
    """Names and scope, for one asker at a time.

    Each question names the ability it is asked `using`: of a person with two duties only those
    count that give it.
    """

    def __init__(self, database: Database, clock: Clock, circles: Circles, trail: Trail) -> None:
        self._database = database
        self._clock = clock
        self._circles = circles
        self._trail = trail

    # -- scope (no names, no trail) ---------------------------------------------------------------

    def classes_of(self, who: Principal, *, using: Ability) -> list[Any]:
        """Classes the asker sees whole, in order of grade and name, of this school year."""
        extent = who.reach(using)
        c = roster.classes
        with self._database.reading() as conn:
            rows = conn.execute(
                select(c)
                .where(c.c.school.in_(extent.schools) | c.c.id.in_(extent.classes))
                .order_by(c.c.school, c.c.school_year.desc(), c.c.grade, c.c.name)
            ).all()
        if not rows:
            return []
        latest = max(row.school_year for row in rows)
        return [row for row in rows if row.school_year == latest]

    def schools_of(self, who: Principal, *, using: Ability) -> list[Any]:
        """Schools of the asker: seen as a whole, or through a class or an agenda."""
        extent = who.reach(using)
        s, c = roster.schools, roster.classes
        with self._database.reading() as conn:
            through = select(c.c.school).where(c.c.id.in_(extent.classes))
            whole = s.c.id.in_(extent.schools | extent.agendas)
            return list(conn.execute(select(s).where(whole | s.c.id.in_(through)).order_by(s.c.id)))

    def within(
        self, conn: Connection, who: Principal, places: Mapping[str, PlaceOf], *, using: Ability
    ) -> set[str]:
        """Those children of `places` (student key -> where it is) whom the asker reaches."""
        extent = who.reach(using)
        found = {
            student
            for student, place in places.items()
            if extent.covers(school=place.school, class_id=place.class_id)
        }
        if extent.agendas:
            listed = self._circles.agenda(conn, extent.agendas)
            found |= {s for s in listed & places.keys() if places[s].school in extent.agendas}
        if extent.cases:
            found |= self._circles.cases(conn, extent.cases) & places.keys()
        return found

    def side(self, who: Principal, place: PlaceOf, *, using: Ability) -> Side:
        """From where the asker looks at a child it reaches: the school's, the board's or welfare's.

        Who has duties on several sides looks from the nearest one to the child.
        """
        if who.at_school(using, place):
            return Side.SCHOOL
        extent = who.reach(using)
        if extent.covers(school=place.school, class_id=place.class_id):
            return Side.BOARD
        return Side.SCHOOL if place.school in extent.agendas else Side.WELFARE

    @property
    def walled(self) -> bool:
        """Does the database hold reads to a scope?"""
        return self._database.row_security

    def scope_of(self, who: Principal) -> Scope:
        """All that the asker's duties reach together, for the database to hold each read to.

        Wider than any one ability's reach, so it decides nothing; what it shuts out, no page of
        this person's has any business with. Raises StorageUnavailable.
        """
        today = self._clock.today()
        if who.kind == "child":
            return Scope(board=who.board, own=who.key, today=today)
        found = [who.reach(ability) for ability in who.abilities]
        whole = {school for extent in found for school in extent.schools}
        asked = {school for ability in _RIGHTS for school in who.reach(ability).schools}
        return Scope(
            board=who.board,
            staff=True,
            schools=frozenset(whole),
            classes=frozenset(room for extent in found for room in extent.classes),
            students=frozenset(self._one_by_one(found, today)),
            asked=frozenset(asked),
            rights=any(who.may(ability) for ability in _RIGHTS),
            counts=who.may(Ability.SEE_COUNTS),
            trail=who.may(Ability.SEE_TRAIL),
            today=today,
        )

    def _one_by_one(self, extents: Sequence[Extent], today: date) -> set[str]:
        agendas = {school for extent in extents for school in extent.agendas}
        cases = {board for extent in extents for board in extent.cases}
        found: set[str] = set()
        if agendas or cases:
            with self._database.as_service().reading() as conn:
                if cases:
                    found |= self._circles.cases(conn, cases)
                if agendas:
                    e = roster.enrolments
                    here = (
                        select(e.c.student)
                        .where(e.c.student.in_(self._circles.agenda(conn, agendas)))
                        .where(e.c.school.in_(agendas), e.c.from_day <= today)
                        .where(e.c.until_day.is_(None) | (e.c.until_day > today))
                    )
                    found |= set(conn.execute(here).scalars())
        return found

    # -- children by name (each look on the trail) -------------------------------------------------

    def child(
        self, who: Principal, student: str, *, using: Ability, why: str, detail: str = ""
    ) -> Child:
        """One child. Raises NotYours when out of scope or on no roll today."""
        return self.children(who, [student], using=using, why=why, detail=detail, strict=True)[
            student
        ]

    def children(
        self,
        who: Principal,
        wanted: Sequence[str],
        *,
        using: Ability,
        why: str,
        detail: str = "",
        strict: bool = False,
    ) -> dict[str, Child]:
        """Those of `wanted` whom the asker may see today, by student key.

        `why` is an action of actions.toml; `detail` says more with ids only (a list's, an alert's).
        Raises NotYours with `strict` when one is missing; StorageUnavailable when the look cannot
        be put on the trail.
        """
        today = self._clock.today()
        with self._database.reading(identity=True) as conn:
            there = _load(conn, wanted, today)
        with self._database.reading() as conn:
            mine = self.within(conn, who, there, using=using)
        seen = {student: child for student, child in there.items() if student in mine}
        if strict and (missing := set(wanted) - set(seen)):
            self.note(who, REFUSED + why, sorted(missing), detail, using=using)
            raise _noted()
        self._trail.record(
            [
                self._trail.look(
                    who, why, student, detail, using=using, duty=who.duty_for(using, seen[student])
                )
                for student in sorted(seen)
            ]
        )
        return seen

    def class_roll(self, who: Principal, class_id: str, *, using: Ability, why: str) -> list[Child]:
        """All children of a class today, by seat. Raises NotYours."""
        with self._database.reading() as conn:
            room = queries.school_class(conn, class_id)
            mine = room is not None and who.reach(using).covers(
                school=room.school, class_id=class_id
            )
            keys = [
                e.student for e in queries.on_roll(conn, self._clock.today(), class_id=class_id)
            ]
        if not mine:
            self.note(who, REFUSED + why, [class_id], using=using)
            raise _noted()
        found = self.children(who, keys, using=using, why=why)
        return sorted(found.values(), key=lambda child: (child.seat or 999, child.kana))

    def households(self, students: Sequence[str]) -> dict[str, str]:
        """Which of these children live together (同じ世帯番号): the same word for siblings.

        For children the asker was given before; neither a name nor the number itself comes out.
        """
        s = roster.students
        first: dict[str, str] = {}
        found: dict[str, str] = {}
        with self._database.reading(identity=True) as conn:
            for start in range(0, len(students), 500):
                part = list(students[start : start + 500])
                rows = conn.execute(
                    select(s.c.student, s.c.household)
                    .where(s.c.student.in_(part), s.c.household != "")
                    .order_by(s.c.student)
                )
                for row in rows:
                    found[row.student] = first.setdefault(row.household, row.student)
        return found

    def own_name(self, who: Principal) -> Child | None:
        """The signed-in child itself (no trail: it is its own name)."""
        if who.kind != "child":
            raise NotYours
        with self._database.reading(identity=True) as conn:
            return _load(conn, [who.key], self._clock.today()).get(who.key)

    def staff_names(self, who: Principal, keys: Sequence[str]) -> dict[str, str]:
        """Names of colleagues of the same board, for "by whom". Children's pages get none."""
        if who.kind != "staff" or not keys:
            return {}
        s = roster.staff
        with self._database.reading(identity=True) as conn:
            rows = conn.execute(
                select(s.c.staff, s.c.name).where(s.c.staff.in_(set(keys)), s.c.board == who.board)
            )
            return {row.staff: row.name for row in rows}

    def note(
        self,
        who: Principal,
        action: str,
        subjects: Sequence[str],
        detail: str = "",
        *,
        using: Ability | None = None,
    ) -> None:
        """Put a look or change on the trail that went through another room."""
        self._trail.note(who, action, subjects, detail, using=using)

    def write(
        self,
        conn: Connection,
        who: Principal,
        action: str,
        student: str,
        detail: str = "",
        *,
        using: Ability | None = None,
    ) -> None:
        """Put a change on the trail in the transaction that makes it; both are stored or neither.

        The last thing in that transaction (see Trail.write).
        """
        self._trail.write(conn, [self._trail.look(who, action, student, detail, using=using)])


def _noted() -> NotYours:
    error = NotYours()
    error.noted = True
    return error


def _load(conn: Connection, wanted: Sequence[str], on: date) -> dict[str, Child]:
    s, c, e, p, o = (
        roster.students,
        roster.classes,
        roster.enrolments,
        roster.seats,
        roster.opt_outs,
    )
    found: dict[str, Child] = {}
    for start in range(0, len(wanted), 500):
        part = list(wanted[start : start + 500])
        refusing = set(
            conn.execute(
                select(o.c.student).where(o.c.student.in_(part), o.c.until_at.is_(None))
            ).scalars()
        )
        rows = conn.execute(
            select(
                s.c.student, s.c.family_name, s.c.given_name, s.c.family_kana, s.c.given_kana,
                e.c.school, e.c.class_id, e.c.grade, c.c.name.label("class_name"), p.c.seat,
            )
            .join(e, e.c.student == s.c.student)
            .join(c, c.c.id == e.c.class_id)
            .outerjoin(p, (p.c.student == s.c.student) & (p.c.class_id == e.c.class_id))
            .where(s.c.student.in_(part), e.c.from_day <= on)
            .where(e.c.until_day.is_(None) | (e.c.until_day > on))
            .order_by(e.c.from_day)
        )  # fmt: skip
        for row in rows:
            found[row.student] = Child(
                student=row.student,
                name=f"{row.family_name} {row.given_name}",
                kana=f"{row.family_kana} {row.given_kana}",
                family_name=row.family_name,
                given_name=row.given_name,
                school=row.school,
                class_id=row.class_id,
                class_name=row.class_name,
                grade=row.grade,
                seat=row.seat,
                opted_out=row.student in refusing,
            )
    return found
