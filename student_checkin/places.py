"""Where a signed-in child is on the roll, and what its board asks: kept in memory for a minute.

Both are needed for every check-in and change a few times a year. A class is loaded as a whole,
because its children answer in the same five minutes. Not here: names.
"""

from __future__ import annotations

from datetime import date

import msgspec
from sqlalchemy import Connection, select

from warning_service.access.principals import Principal
from warning_service.catalogue.questionnaires import Questionnaire, questionnaire
from warning_service.clock import Clock, monotonic
from warning_service.database import Database
from warning_service.playbooks.service import Playbooks
from warning_service.playbooks.sharing import welfare_reads_answers
from warning_service.roster import queries
from warning_service.roster.tables import school_questionnaires

KEEP_SECONDS = 60.0
MOST_KEPT = 200_000


class Place(msgspec.Struct, frozen=True):
    """A child's place today. `grade`: 1-9, or 0 on no roll (it may still ask for help)."""

    school: str
    class_id: str
    grade: int


class Plan(msgspec.Struct, frozen=True):
    """What a board asks. `critical`: question id -> value from which it is a cry for help.

    `welfare_reads`: does the board show answers to its welfare office?
    """

    questionnaires: dict[str, Questionnaire]
    critical: dict[str, float]
    welfare_reads: bool = False


class Places:
    """Place and plan of a child, by memory first."""

    def __init__(self, database: Database, clock: Clock, playbooks: Playbooks) -> None:
        self._database = database
        self._clock = clock
        self._playbooks = playbooks
        self._places: dict[str, tuple[float, date, Place]] = {}
        self._plans: dict[str, Plan] = {}

    def cached(self, who: Principal) -> tuple[Place, Plan] | None:
        """From memory alone; None means "ask `load`". Never blocks."""
        found = self._places.get(who.key)
        plan = self._plans.get(who.board)
        if found is None or plan is None or monotonic() - found[0] >= KEEP_SECONDS:
            return None
        return (found[2], plan) if found[1] == self._clock.today() else None

    def load(self, who: Principal) -> tuple[Place, Plan]:
        """From the database. Raises StorageUnavailable, KeyError for an unknown board."""
        if who.board not in self._plans:
            self._plans[who.board] = _plan(self._playbooks, who.board)
        today = self._clock.today()
        with self._database.reading() as conn:
            rows = queries.on_roll(conn, today, class_id=who.class_id) if who.class_id else []
            if all(row.student != who.key for row in rows):
                own = queries.enrolment_on(conn, who.key, today)
                rows = [*rows, own] if own else rows
        if len(self._places) > MOST_KEPT:
            self._places.clear()
        since = monotonic()
        self._places[who.key] = (since, today, Place("", who.class_id, 0))
        for row in rows:
            self._places[row.student] = (since, today, Place(row.school, row.class_id, row.grade))
        return self._places[who.key][2], self._plans[who.board]


def _plan(playbooks: Playbooks, board: str) -> Plan:
    playbook = playbooks.of(board)
    critical: dict[str, float] = {}
    for rule in playbook.alert_rules:
        if rule.kind == "critical" and rule.at is not None:
            critical[rule.question] = min(rule.at, critical.get(rule.question, rule.at))
    asked = {key: questionnaire(key) for key in playbook.questionnaires}
    return Plan(asked, critical, welfare_reads_answers(playbook))


def asked_at(conn: Connection, school: str, plan: Plan) -> list[Questionnaire]:
    """The questionnaires a school uses: those it chose, or all of its board's if it chose none."""
    t = school_questionnaires
    chosen = set(conn.execute(select(t.c.questionnaire).where(t.c.school == school)).scalars())
    return [q for key, q in plan.questionnaires.items() if not chosen or key in chosen]
