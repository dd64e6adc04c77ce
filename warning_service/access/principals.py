"""Who is asking: a signed-in child or member of staff, their duties, and how far each reaches.

A duty is a role at a place in force today; `staff_lookup.duties_of` resolves it to the schools and
classes it covers. What a person may see is asked for one ability at a time (`reach`), so that a
homeroom teacher who also sits at the committee's screen does not see the whole school because of
it: abilities and places of different duties never mix.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

import msgspec

from warning_service.access.roles import OFFICES, Ability, Place, Reach, Role

_NOTHING: frozenset[str] = frozenset()


class Duty(msgspec.Struct, frozen=True):
    """One duty in force: a role at a place, and the schools or classes that place means.

    `place` is as the roster has it (a class, "school:grade", a school or a board); `schools` and
    `classes` are what it stands for today.
    """

    role: Role
    place: str
    schools: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()


def duty_at(role: Role, place: str) -> Duty:
    """A duty whose place stands for itself: a class or a school, or none at all."""
    kind = OFFICES[role].place
    return Duty(
        role,
        place,
        schools=(place,) if kind is Place.SCHOOL else (),
        classes=(place,) if kind is Place.CLASS else (),
    )


class PlaceOf(Protocol):
    """Where a child is on the roll: an enrolment, or a gateway's Child."""

    @property
    def school(self) -> str:
        """School id."""
        ...

    @property
    def class_id(self) -> str:
        """Class id."""
        ...


class Extent(msgspec.Struct, frozen=True, kw_only=True):
    """How far one ability of one person reaches. All are ids.

    `schools` and `classes` are seen whole; of `agendas` (schools) only the children on the agenda
    of the school's meeting; of `cases` (boards) only the children handed over to that office.
    """

    schools: frozenset[str] = _NOTHING
    classes: frozenset[str] = _NOTHING
    agendas: frozenset[str] = _NOTHING
    cases: frozenset[str] = _NOTHING

    def covers(self, *, school: str, class_id: str) -> bool:
        """Is this class of this school seen whole?"""
        return school in self.schools or class_id in self.classes


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking. For a child, `key` is the student key and `class_id` where it signed in.

    `factors`: second factors shown in this session; `confirmed_at`: when it was last shown who
    this is. Somebody who `owes_factor` has shown a password only and has no duties yet: `waiting`
    are those that a second factor would put in force.
    """

    kind: str
    key: str
    board: str
    csrf: str
    duties: tuple[Duty, ...]
    class_id: str = ""
    token_hash: str = ""
    factors: frozenset[str] = _NOTHING
    confirmed_at: datetime | None = None
    owes_factor: bool = False
    waiting: tuple[Duty, ...] = ()

    @property
    def abilities(self) -> frozenset[Ability]:
        """All that any of the duties allows."""
        return frozenset().union(*(OFFICES[duty.role].abilities for duty in self.duties))

    def may(self, ability: Ability) -> bool:
        """Does one of the duties allow it?"""
        return any(ability in OFFICES[duty.role].abilities for duty in self.duties)

    def reach(self, ability: Ability) -> Extent:
        """Where the duties that allow `ability` reach; nowhere when none does."""
        giving = [duty for duty in self.duties if ability in OFFICES[duty.role].abilities]
        return Extent(
            schools=_all(d.schools for d in giving if OFFICES[d.role].reach in _WHOLE),
            classes=_all(d.classes for d in giving),
            agendas=_all(d.schools for d in giving if OFFICES[d.role].reach is Reach.AGENDA),
            cases=_all((d.place,) for d in giving if OFFICES[d.role].reach is Reach.CASES),
        )

    def at_school(self, ability: Ability, place: PlaceOf) -> bool:
        """Does a duty at the child's own class or school give `ability`, seeing it whole?"""
        return any(
            place.class_id in duty.classes or place.school in duty.schools
            for duty in self.duties
            if ability in OFFICES[duty.role].abilities
            and OFFICES[duty.role].reach in {Reach.CLASS, Reach.SCHOOL}
        )

    def duty_for(self, ability: Ability, place: PlaceOf) -> str:
        """The role by which `ability` reaches a child at `place`; the narrowest, when several do.

        '' when none does.
        """
        giving = [duty for duty in self.duties if ability in OFFICES[duty.role].abilities]
        fitting = [
            duty
            for duty in giving
            if place.class_id in duty.classes
            or place.school in duty.schools
            or OFFICES[duty.role].reach is Reach.CASES
        ]
        return min(
            (duty.role for duty in fitting),
            key=lambda role: (_NARROW.index(OFFICES[role].reach), role),
            default="",
        )

    def has(self, role: Role) -> bool:
        """Does one of the duties have this role?"""
        return any(duty.role is role for duty in self.duties)


_WHOLE = frozenset({Reach.SCHOOL, Reach.BOARD})
_NARROW = (Reach.SELF, Reach.CLASS, Reach.CASES, Reach.AGENDA, Reach.SCHOOL, Reach.BOARD)


def _all(parts: Iterable[tuple[str, ...]]) -> frozenset[str]:
    return frozenset(one for part in parts for one in part)


def of_session(row: Any, duties: tuple[Duty, ...], *, owes_factor: bool = False) -> Principal:
    """Whoever holds a session (a row of it), with these duties or, owing a factor, with none."""
    return Principal(
        kind=row.kind,
        key=row.key,
        board=row.board,
        csrf=row.csrf,
        # Without the factor there are no duties at all, so that no page can forget to ask.
        duties=() if owes_factor else duties,
        waiting=duties if owes_factor else (),
        owes_factor=owes_factor,
        class_id=row.class_id,
        token_hash=row.token_hash,
        factors=frozenset(filter(None, row.factors.split(","))),
        confirmed_at=row.confirmed_at,
    )
