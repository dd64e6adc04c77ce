"""What a fairness report tells children apart by: the only door to it, and each use on the trail.

Sex, household and certificates are read here and nowhere else outside the register, as the name of
a group for each child's random key; no name, no number, no date of birth comes out. Whoever gets
them counts and forgets them. Children of refusing families are left out here already. Traits are
named in catalogue/traits.toml; no model, no rule and no list reads them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import select

from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.trail.audit import Trail
from warning_service.catalogue.items import all_items
from warning_service.catalogue.traits import OTHERWISE, Trait, all_traits, items_of_traits
from warning_service.database import Database
from warning_service.events.recorded import OnRecord, Recorded
from warning_service.roster import queries
from warning_service.roster import tables as roster

ACTION = "fairness_report"
_SEX = {"male": "male", "female": "female", "男": "male", "女": "female"}
_PART = 500


class Grouped(msgspec.Struct, frozen=True, kw_only=True):
    """`groups`: trait id -> child -> group id. `stage`: child -> stage of its school (a block that
    grades and schools are counted within). A child whose family stopped the use of an item is in no
    group of a trait made from it.
    """

    groups: dict[str, dict[str, str]]
    stage: dict[str, str]


class Traits:
    """Resolves traits for fairness reports. Raises StorageUnavailable without a trail."""

    def __init__(self, database: Database, trail: Trail, recorded: Recorded) -> None:
        self._database = database
        self._trail = trail
        self._recorded = recorded

    def of(
        self, who: Principal, students: Collection[str], on: date, *, using: Ability, detail: str
    ) -> Grouped:
        """The groups of these children of the asker's board, as of `on`, the look on the trail.

        A child that had left by then counts where it was last.
        """
        self._trail.note(who, ACTION, [who.board], detail, using=using)
        places, people, siblings = self._read(who.board, sorted(students), on)
        record = self._recorded.of(who.board, recorded_items())
        found: dict[str, dict[str, str]] = {trait.id: {} for trait in all_traits()}
        for student, place in places.items():
            for trait in all_traits():
                group = _group(trait, place, people.get(student), siblings, record)
                if group:
                    found[trait.id][student] = group
        return Grouped(groups=found, stage={s: place.stage for s, place in places.items()})

    def _read(
        self, board: str, wanted: list[str], on: date
    ) -> tuple[dict[str, Any], dict[str, Any], Counter[str]]:
        e, sc, s = roster.enrolments.c, roster.schools.c, roster.students.c
        places: dict[str, Any] = {}
        people: dict[str, Any] = {}
        with self._database.reading(identity=True) as conn:
            refusing = queries.refusing(conn, wanted)
            for start in range(0, len(wanted), _PART):
                part = [key for key in wanted[start : start + _PART] if key not in refusing]
                rows = conn.execute(
                    select(e.student, e.school, e.grade, sc.stage)
                    .join(roster.schools, sc.id == e.school)
                    .where(e.student.in_(part), e.board == board, e.from_day <= on)
                    .order_by(e.from_day, e.class_id)
                )
                places.update({row.student: row for row in rows})
                held = select(s.student, s.sex, s.household).where(s.student.in_(part))
                people.update({row.student: row for row in conn.execute(held)})
            # Everybody of the board's rolls: a brother who was never ranked is a brother all the
            # same. A count by household says nothing about a child of a refusing family.
            homes = conn.execute(
                select(s.household)
                .join(roster.enrolments, e.student == s.student)
                .where(s.board == board, e.from_day <= on)
                .where(e.until_day.is_(None) | (e.until_day > on))
            )
            return places, people, Counter(homes.scalars())


def recorded_items() -> dict[str, bool]:
    """The items traits are made from, as `Recorded.of` takes them."""
    known = all_items()
    return {item: known[item].kind == "count" for item in sorted(items_of_traits())}


def _group(
    trait: Trait, place: Any, person: Any | None, siblings: Counter[str], record: OnRecord
) -> str:
    if trait.source == "grade":
        return str(place.grade)
    if trait.source == "school":
        return str(place.school)
    if person is None:
        return ""
    if trait.source == "sex":
        return _SEX.get(person.sex, "not_said")
    if trait.source == "siblings":
        if not person.household:
            return "not_known"
        return "with_siblings" if siblings[person.household] > 1 else "alone"
    for group in trait.groups:
        if any(person.student in record.stopped.get(item, ()) for item in group.items):
            return ""
        if any(_holds(record.days(item, person.student)) for item in group.items):
            return group.id
    return OTHERWISE


def _holds(days: Any) -> bool:
    """Does the latest entry say that it is so? A later 0 ends it."""
    held = dict(days)  # the log may go on while this is read
    return bool(held) and held[max(held)] > 0
