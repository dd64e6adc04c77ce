"""Who may know of a child's call for help, and who may read what it wrote.

A call is for those the child chose (`readers`: the duties told when it was raised, with those of
the playbook's life-or-death rule when the child said it is one). They see it, read it and close it.
Those told later, because nobody had answered, see it and can take it on; the words are not for
them. Everybody else learns at most how many calls there are for others.

Help never fails closed: while nobody at all holds any of the duties that were told, everybody whose
duty covers the child sees that the call is there; and while nobody holds the readers' duties, those
told in their place may read.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, bindparam, select

from warning_service.access.principals import Principal
from warning_service.access.roles import AT_SCHOOL, OFFICES, Ability, Role
from warning_service.access.staff_lookup import holders
from warning_service.database import Database
from warning_service.roster.tables import classes

CONSULTATION = "consultation"
_LISTENING = frozenset(
    role for role, office in OFFICES.items() if Ability.SEE_ALERTS in office.abilities
)


def where(duty: str, *, board: str, school: str, class_id: str, grade: int = 0) -> str:
    """At which place a duty is asked for, of a child in that class (of that `grade`, 0: unknown).

    '' for a grade lead of an unknown grade: nobody holds a duty there.
    """
    if duty == Role.HOMEROOM:
        return class_id
    if duty == Role.GRADE_LEAD:
        return f"{school}:{grade}" if school and grade else ""
    return school if duty in AT_SCHOOL else board


_GRADES = select(classes.c.id, classes.c.grade).where(
    classes.c.id.in_(bindparam("classes", expanding=True))
)


def grades_of(conn: Connection, class_ids: Collection[str]) -> dict[str, int]:
    """Class id -> its grade, of those that are known."""
    found: dict[str, int] = {}
    wanted = sorted(set(class_ids) - {""})
    for start in range(0, len(wanted), 500):
        rows = conn.execute(_GRADES, {"classes": wanted[start : start + 500]})
        found |= {row.id: row.grade for row in rows}
    return found


class Sight:
    """Who sees which of some alerts (rows of `alerts`, or views), as of one day.

    Whether anybody holds a duty is asked with the service's own rights: within a reader's scope it
    could look as if nobody did, and the call would be opened to all.
    """

    def __init__(self, database: Database, alerts: Sequence[Any], on: date) -> None:
        places = {
            place
            for alert in alerts
            if alert.kind == CONSULTATION
            for place in (alert.school, alert.class_id)
        } - {""}
        self._holders: dict[tuple[str, str], set[str]] = {}
        self._grades: dict[str, int] = {}
        if places:
            with database.as_service().reading() as conn:
                self._grades = grades_of(conn, {a.class_id for a in alerts})
                places |= {
                    f"{a.school}:{self._grades[a.class_id]}"
                    for a in alerts
                    if a.class_id in self._grades
                }
                self._holders = holders(conn, places, on)

    def sees(self, who: Principal, alert: Any) -> bool:
        """May the asker, whose duties cover the child, see this alert and close it?"""
        if alert.kind != CONSULTATION or who.key in {alert.acknowledged_by, alert.snoozed_by}:
            return True
        if alert.offered_to == f"staff:{who.key}":
            return True
        told = duties_of(alert.duties)
        return self._holds(who, told, alert) or not self._anybody(told, alert)

    def reads(self, who: Principal, alert: Any) -> bool:
        """May the asker read what the child wrote?"""
        readers = duties_of(alert.readers)
        if self._holds(who, readers, alert):
            return True
        return not self._anybody(readers, alert) and self._holds(
            who, duties_of(alert.duties), alert
        )

    def _anybody(self, duties: Collection[str], alert: Any) -> bool:
        return any(
            self._holders.get((duty, self._where(duty, alert)))
            for duty in duties
            if duty in _LISTENING
        )

    def _holds(self, who: Principal, duties: Collection[str], alert: Any) -> bool:
        return any(
            duty.role in duties
            and duty.role in _LISTENING
            and duty.place == self._where(duty.role, alert)
            for duty in who.duties
        )

    def _where(self, duty: str, alert: Any) -> str:
        return where(
            duty, board=alert.board, school=alert.school, class_id=alert.class_id,
            grade=self._grades.get(alert.class_id, 0),
        )  # fmt: skip


def duties_of(held: str | Sequence[str]) -> tuple[str, ...]:
    """Duties from an alert's column, or from its view."""
    return tuple(filter(None, held.split(","))) if isinstance(held, str) else tuple(held)
