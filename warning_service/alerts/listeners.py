"""Whom a call for help is for: by what the child chose, where it is, and who is there.

The consumer that raises the alert and the child's page that says beforehand who will read it ask
the same functions, so that the page cannot promise something else.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, or_, select

from warning_service.alerts.deadlines import URGENT
from warning_service.alerts.privacy import CONSULTATION
from warning_service.alerts.telling import Place, Telling
from warning_service.catalogue.questionnaires import consultation
from warning_service.clock import day_of
from warning_service.playbooks.model import Playbook
from warning_service.roster.tables import enrolments


def chosen_duties(playbook: Playbook, whom: Sequence[str], about: Sequence[str]) -> tuple[str, ...]:
    """Duties a child asked for, in its order; "anyone" means the urgent chain's first step.

    When it says that it is about life and death, the playbook's duties for that follow.
    """
    offered = consultation()
    duty_of = {choice.id: choice.duty for choice in offered.whom}
    found: list[str] = []
    for one in whom:
        duty = duty_of.get(one, "")
        found += [duty] if duty else playbook.escalation.urgent[0].duties
    if is_life_or_death(about):
        found += playbook.consultations.life_or_death
    return tuple(dict.fromkeys(found))


def is_life_or_death(about: Sequence[str]) -> bool:
    """Did the child say so?"""
    marked = {choice.id for choice in consultation().about if choice.life_or_death}
    return not marked.isdisjoint(about)


class Listeners(msgspec.Struct, frozen=True, kw_only=True):
    """Who would read a call of one child now, as duties in the order they would be told.

    `choices`: for each choice of "whom" those of its duties that somebody can be told for; empty
    when nobody can. `life_or_death`: those told besides when the child says so. `otherwise`: who
    is told when all that was chosen have nobody.
    """

    choices: dict[str, tuple[str, ...]]
    life_or_death: tuple[str, ...]
    otherwise: tuple[str, ...]

    def everybody(self) -> list[str]:
        """All duties that could read, whatever is chosen, each once."""
        found = [duty for duties in self.choices.values() for duty in duties]
        return list(dict.fromkeys([*found, *self.life_or_death, *self.otherwise]))

    def of(self, whom: Sequence[str], about: Sequence[str]) -> tuple[str, ...]:
        """The duties for this choice of the child's."""
        found = [duty for one in whom for duty in self.choices.get(one, ())]
        if is_life_or_death(about):
            found += self.life_or_death
        return tuple(dict.fromkeys(found)) or self.otherwise


def listeners(
    conn: Connection, board: str, playbook: Playbook, student: str, now: datetime
) -> Listeners:
    """Who would read a call of that child at that moment."""
    on = day_of(now)
    place = places(conn, [(student, on)])[student, on]
    telling = Telling(conn, board, playbook.escalation, places={place}, urgencies={URGENT}, now=now)
    chain = playbook.chain(CONSULTATION, URGENT)

    def there(duties: Sequence[str]) -> tuple[str, ...]:
        return tuple(duty for duty in duties if telling.reachable(duty, place))

    later = next((found for step in chain[1:] if (found := there(step.duties))), chain[-1].duties)
    return Listeners(
        choices={
            choice.id: there(chosen_duties(playbook, (choice.id,), ()))
            for choice in consultation().whom
        },
        life_or_death=there(playbook.consultations.life_or_death),
        otherwise=later,
    )


# Asked for every call for help, so built once: making a statement costs more than running it.
_ROLLS = (
    select(enrolments)
    .where(
        enrolments.c.student.in_(bindparam("students", expanding=True)),
        or_(enrolments.c.until_day.is_(None), enrolments.c.until_day > enrolments.c.from_day),
    )
    .order_by(enrolments.c.from_day, enrolments.c.class_id)
)


def places(conn: Connection, asked: Collection[tuple[str, date]]) -> dict[tuple[str, date], Place]:
    """Where these children (student key, day) were on the roll.

    A child on no roll that day still has its latest class; one never enrolled has no place, and
    the board's duty is the only one left to be told.
    """
    students = sorted({student for student, _ in asked})
    by_student: dict[str, list[Any]] = {}
    for start in range(0, len(students), 500):
        for row in conn.execute(_ROLLS, {"students": students[start : start + 500]}):
            by_student.setdefault(row.student, []).append(row)
    found = {}
    for student, on in asked:
        rolls = by_student.get(student, [])
        begun = [row for row in rolls if row.from_day <= on]
        current = [row for row in begun if row.until_day is None or row.until_day > on]
        best = (current or begun or rolls)[-1:]
        found[student, on] = Place(best[0].school, best[0].class_id) if best else Place("", "")
    return found
