"""Who is away and who stands in: entered by the person, or by those who plan for the school.

An absence says from when to when, never why. A stand-in is given the duty itself for those days (a
row of `duties` that ends by itself), so that everything that holds of duties holds of it: what they
see, whom alerts count on, the yearly review. So it goes to people of the same school only, for at
most two months, never for a duty that gives power over accounts or rights; those are the accounts
officer's. Every entry can be taken back, and stands on the trail with its author in the same
transaction.

Not here: whom an alert counts on (presence.py), duties that last (doors/accounts.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from sqlalchemy import Connection, delete, insert, or_, select, update

from warning_service.access.cover import (
    Plan,
    absences_of,
    named,
    people_at,
    school_of,
    schools_of_board,
    stand_ins_of,
)
from warning_service.access.doors.accounts import Unfit
from warning_service.access.doors.sessions import Sessions
from warning_service.access.gateway import NotYours
from warning_service.access.presence import PARTS, span_of
from warning_service.access.principals import Duty, Principal
from warning_service.access.roles import OFFICES, Ability, Place, Role
from warning_service.access.trail.audit import Trail
from warning_service.clock import Clock
from warning_service.database import Database, insert_new
from warning_service.events.types import new_id
from warning_service.roster import tables as roster

USING = Ability.PLAN_COVER
COVERED = (
    Role.HOMEROOM,
    Role.GRADE_LEAD,
    Role.NURSE,
    Role.COUNSELLOR,
    Role.SOCIAL_WORKER,
    Role.GUIDANCE,
)
"""Duties somebody can stand in for. Management's are given by the accounts officer: they let
people in and approve."""
MOST_DAYS = 62
LONGEST_ABSENCE = 400


class Covering:
    """Absences and stand-ins of a board's schools. Raises StorageUnavailable throughout."""

    def __init__(self, database: Database, clock: Clock, sessions: Sessions, trail: Trail) -> None:
        self._database = database
        self._clock = clock
        self._sessions = sessions
        self._trail = trail

    # -- seeing --------------------------------------------------------------------------------

    def schools(self, who: Principal) -> frozenset[str] | None:
        """The schools the asker plans for; None for the whole board, empty for nobody's but own."""
        giving = [duty for duty in who.duties if USING in OFFICES[duty.role].abilities]
        if any(OFFICES[duty.role].place is Place.BOARD for duty in giving):
            return None
        return frozenset(school for duty in giving for school in duty.schools)

    def plan(self, who: Principal, school: str) -> Plan:
        """Who works at one school, who is away and who stands in there.

        Somebody who does not plan gets their own absences and duties, with the colleagues who
        could stand in. Raises NotYours for a school that is neither planned for nor worked at.
        """
        with self._database.reading(identity=True) as conn:
            people = people_at(conn, who.board, school, self._clock.today())
            if not self._plans(who, school) and who.key not in people:
                raise NotYours
            keys = sorted(people) if self._plans(who, school) else [who.key]
            return Plan(
                colleagues=tuple(
                    sorted(named(conn, people), key=lambda one: (one.name, one.staff))
                ),
                away=absences_of(conn, keys, self._clock.today()),
                stand_ins=stand_ins_of(conn, keys, people, school, self._clock.today()),
            )

    def schools_worked_at(self, who: Principal) -> frozenset[str]:
        """Schools at which the asker holds a duty today."""
        with self._database.reading(identity=True) as conn:
            return frozenset(
                filter(None, (school_of(conn, duty.role, duty.place) for duty in who.duties))
            )

    # -- absences ------------------------------------------------------------------------------

    def add_absence(
        self, who: Principal, staff: str, first: date, last: date, part: str = "day"
    ) -> str:
        """Somebody is away from `first` to `last`, both included; its id.

        `part` am or pm: for a single day only. Raises Unfit (dates), NotYours.
        """
        today = self._clock.today()
        if part not in PARTS or (part != "day" and first != last):
            raise Unfit("dates")
        if not first <= last or last < today or (last - first).days > LONGEST_ABSENCE:
            raise Unfit("dates")
        absence = new_id()
        with self._database.writing() as conn:
            self._may_enter_for(conn, who, staff)
            conn.execute(
                insert(roster.absences).values(
                    id=absence, board=who.board, staff=staff,
                    from_at=span_of(first, part)[0], until_at=span_of(last, part)[1],
                    entered_by=who.key, entered_at=self._clock.now(),
                )
            )  # fmt: skip
            self._write(conn, who, "absence_entered", staff, f"{first}..{last} {part}")
        return absence

    def withdraw_absence(self, who: Principal, absence: str) -> None:
        """It was a mistake, or they are back. Raises NotYours."""
        a = roster.absences
        with self._database.writing() as conn:
            row = conn.execute(
                select(a).where(a.c.id == absence, a.c.board == who.board)
            ).one_or_none()
            if row is None:
                raise NotYours
            self._may_enter_for(conn, who, row.staff)
            done = conn.execute(
                update(a)
                .where(a.c.id == absence, a.c.withdrawn_at.is_(None))
                .values(withdrawn_by=who.key, withdrawn_at=self._clock.now())
                .returning(a.c.id)
            ).first()
            if done is not None:
                self._write(conn, who, "absence_withdrawn", row.staff)

    def set_working_days(self, who: Principal, staff: str, days: Mapping[int, str]) -> None:
        """On which weekdays (0 Monday) and which part of them somebody works; {}: on all.

        Raises Unfit (dates), NotYours.
        """
        if any(day not in range(7) or part not in PARTS for day, part in days.items()):
            raise Unfit("dates")
        w = roster.working_days
        with self._database.writing() as conn:
            self._may_enter_for(conn, who, staff)
            conn.execute(delete(w).where(w.c.staff == staff))
            for weekday, part in sorted(days.items()):
                conn.execute(
                    insert(w).values(staff=staff, weekday=weekday, part=part, board=who.board)
                )
            told = ",".join(f"{day}:{part}" for day, part in sorted(days.items()))
            self._write(conn, who, "working_days_set", staff, told)

    # -- stand-ins -----------------------------------------------------------------------------

    def add_stand_in(
        self,
        who: Principal,
        staff: str,
        role: str,
        place: str,
        *,
        first: date,
        last: date,
        instead_of: str = "",
    ) -> str:
        """`staff` holds the duty from `first` to `last`, both included; its id.

        `instead_of` '': on the roster for days without lessons. Who does not plan gives their own
        duty for no longer than they hold it: two stand-ins for a day could else pass a class to
        and fro for ever. Raises Unfit (own, role, place, dates, inactive, duplicate), NotYours.
        """
        today, after = self._clock.today(), last + timedelta(days=1)
        if role not in COVERED:
            raise Unfit("role")
        if not today <= first <= last or (after - first).days > MOST_DAYS:
            raise Unfit("dates")
        if staff == instead_of:
            raise Unfit("own")
        stand_in = new_id()
        with self._database.writing() as conn:
            school = school_of(conn, Role(role), place)
            if school not in schools_of_board(conn, who.board):
                raise NotYours
            people = people_at(conn, who.board, school, today)
            own = any(held.role == role and held.place == place for held in people.get(who.key, ()))
            plans = self._plans(who, school)
            if not (plans or (own and instead_of == who.key)):
                raise NotYours
            if not plans and not _holds(conn, Duty(Role(role), place), who.key, (first, after)):
                raise Unfit("dates")
            if staff not in people:
                raise Unfit("inactive")
            if instead_of and not any(
                held.role == role and held.place == place for held in people.get(instead_of, ())
            ):
                raise Unfit("place")
            d = roster.duties
            overlaps = conn.execute(
                select(d.c.staff)
                .where(d.c.staff == staff, d.c.role == role, d.c.place == place)
                .where(d.c.from_day < after, or_(d.c.until_day.is_(None), d.c.until_day > first))
            ).first()
            made = (
                overlaps is None
                and conn.execute(
                    insert_new(conn, d)
                    .values(staff=staff, role=role, place=place, from_day=first, until_day=after)
                    .returning(d.c.staff)
                ).first()
            )
            if not made:
                raise Unfit("duplicate")
            conn.execute(
                insert(roster.stand_ins).values(
                    id=stand_in, board=who.board, staff=staff, role=role, place=place,
                    from_day=first, until_day=after, instead_of=instead_of,
                    entered_by=who.key, entered_at=self._clock.now(),
                )
            )  # fmt: skip
            self._write(conn, who, "stand_in_given", staff, f"{role}@{place} {first}..{last}")
        self._sessions.look_again(staff)
        return stand_in

    def withdraw_stand_in(self, who: Principal, stand_in: str) -> None:
        """Take the duty back: from today on it gives nothing. Raises NotYours.

        One that has begun stays on record, because it may have been used.
        """
        n, d, today = roster.stand_ins, roster.duties, self._clock.today()
        with self._database.writing() as conn:
            row = conn.execute(
                select(n).where(n.c.id == stand_in, n.c.board == who.board)
            ).one_or_none()
            if row is None:
                raise NotYours
            school = school_of(conn, Role(row.role), row.place)
            if not (self._plans(who, school) or who.key in {row.instead_of, row.entered_by}):
                raise NotYours
            done = conn.execute(
                update(n)
                .where(n.c.id == stand_in, n.c.withdrawn_at.is_(None))
                .values(withdrawn_by=who.key, withdrawn_at=self._clock.now())
                .returning(n.c.id)
            ).first()
            if done is None:
                return
            this = (
                d.c.staff == row.staff, d.c.role == row.role, d.c.place == row.place,
                d.c.from_day == row.from_day,
            )  # fmt: skip
            if row.from_day > today:
                conn.execute(delete(d).where(*this))
            else:
                conn.execute(update(d).where(*this, d.c.until_day > today).values(until_day=today))
            self._write(conn, who, "stand_in_ended", row.staff, f"{row.role}@{row.place}")
        self._sessions.look_again(row.staff)

    # -- who may -------------------------------------------------------------------------------

    def _plans(self, who: Principal, school: str) -> bool:
        planned = self.schools(who)
        return planned is None or school in planned

    def _may_enter_for(self, conn: Connection, who: Principal, staff: str) -> None:
        """Oneself, and the people of a school one plans for. Raises NotYours."""
        if staff == who.key:
            return
        planned = self.schools(who)
        s = roster.staff.c
        there = conn.execute(select(s.staff).where(s.staff == staff, s.board == who.board)).first()
        if there is None:
            raise NotYours
        if planned is None:
            return
        today = self._clock.today()
        if not any(staff in people_at(conn, who.board, school, today) for school in planned):
            raise NotYours

    def _write(
        self, conn: Connection, who: Principal, action: str, staff: str, detail: str = ""
    ) -> None:
        using = USING if who.may(USING) else None
        self._trail.write(conn, [self._trail.look(who, action, staff, detail, using=using)])


def _holds(conn: Connection, duty: Duty, staff: str, days: tuple[date, date]) -> bool:
    """Is the duty theirs on every one of `days`, from the first to before the second?"""
    d, (first, after) = roster.duties.c, days
    found = conn.execute(
        select(d.staff)
        .where(d.staff == staff, d.role == duty.role, d.place == duty.place, d.from_day <= first)
        .where(or_(d.until_day.is_(None), d.until_day >= after))
    ).first()
    return found is not None
