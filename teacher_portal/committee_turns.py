"""What the meeting's screen shows of each child on its agenda, in the order it goes through them.

Siblings of one household stand one after the other, because a household is talked about once. What
was frozen with a list stays as it was made, less what the reader's side may not see; a child nobody
listed (a meeting on the whole roll, a case) is shown with its present facts instead. Every child on
the screen is a look on the trail.
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request

from design.render import language
from teacher_portal import queries
from teacher_portal.frame import worded
from teacher_portal.lists import LEVELS, as_seen
from warning_service.access.gateway import Child
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.sealing import CannotOpen
from warning_service.follow_up import queries as followed
from warning_service.follow_up.meetings import Agenda, seated
from warning_service.judging import queries as judging
from warning_service.playbooks.meetings import Meeting, Review
from warning_service.playbooks.sharing import Side
from warning_service.rooms import Rooms, rooms_of

LETTERS = 2
"""A class's id this long is a letter people speak of; a longer one stands in files only."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A decision in the reader's words. A letter never stands without its scheme's name."""

    scheme: str
    chosen: str
    words: str
    directions: list[str]
    agreed: tuple[str, ...]
    note: str
    author: str

    @property
    def named(self) -> str:
        """The decision with its scheme; an id that is no letter is for files, not for people."""
        return named(self.scheme, self.chosen, self.words)


def named(scheme: str, chosen: str, words: str) -> str:
    """A class in words, with its scheme's name, and with its letter where it has one."""
    return f"{scheme} {chosen}: {words}" if len(chosen) <= LETTERS else f"{scheme}: {words}"


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One child on the agenda. `row`: its entry on the list, None when nobody listed it.

    `household`: of those on the agenda the so-manieth, from 1; siblings share it.
    """

    child: Child
    household: int
    row: Any | None
    evidence: dict[str, Any]
    decided: Said | None
    before: list[Said]
    latest: Any | None
    latest_words: str

    @property
    def level(self) -> str:
        """The level's wording key; one that came later than this page has none."""
        level = "unmeasured" if self.row is None else self.row.level
        return level if level in LEVELS else "unmeasured"


def turns_of(request: Request, who: Principal, agenda: Agenda) -> list[Turn]:
    """All children of the agenda, siblings together."""
    rooms = rooms_of(request)
    chair = seated(who, agenda.sitting)
    children = rooms.gateway.children(
        chair, list(agenda.subjects), using=Ability.REVIEW, why="committee", detail=agenda.list_id
    )
    # Also when nobody on it is the asker's: that the list was opened is a look by itself.
    rooms.gateway.note(who, "open_list", [agenda.list_id], "committee", using=Ability.REVIEW)
    order = [student for student in agenda.subjects if student in children]
    homes = rooms.gateway.households(order)
    rows, latest = _listed(rooms, who, agenda)
    said = _Words(request, who, agenda)
    found = []
    for number, home in enumerate(_by_home(order, homes), 1):
        for student in home:
            row, record = rows.get(student), latest.get(student)
            child, evidence = children[student], {}
            if row is not None:
                frozen = judging.evidence_of(row)
                evidence = as_seen(rooms, chair, child, frozen, using=Ability.REVIEW)
            decided = agenda.decided.get(student)
            at_school = side_of(rooms, who, agenda.sitting, child) is Side.SCHOOL
            found.append(
                Turn(
                    child=child,
                    household=number,
                    row=row,
                    evidence=evidence,
                    decided=None if decided is None else said.of(decided),
                    before=[said.of(one, at_school=at_school) for one in agenda.before[student]],
                    latest=record,
                    latest_words="" if record is None else said.record(record),
                )
            )
    return found


def facts_of(request: Request, who: Principal, agenda: Agenda, turn: Turn) -> queries.Facts:
    """The child's present facts as the reader may see them, less what no meeting is shown."""
    rooms = rooms_of(request)
    playbook = rooms.playbooks.of(who.board)
    side = side_of(rooms, who, agenda.sitting, turn.child)
    student, today = turn.child.student, rooms.clock.today()
    with rooms.database.reading() as conn:
        facts = queries.observations(conn, playbook, student, today, side)
    hidden = {item.id for item in playbook.items if item.hidden}
    return msgspec.structs.replace(
        facts, shown=[fact for fact in facts.shown if fact.item.id not in hidden]
    )


def side_of(rooms: Rooms, who: Principal, sitting: Review | Meeting, child: Child) -> Side:
    """From where somebody who sits in this meeting looks at a child."""
    return rooms.gateway.side(seated(who, sitting), child, using=Ability.REVIEW)


def _listed(rooms: Rooms, who: Principal, agenda: Agenda) -> tuple[dict[str, Any], dict[str, Any]]:
    """Entries by student, and the newest record on each since the list came out."""
    if not agenda.rows:
        return {}, {}
    first = min(row.published_at for row in agenda.rows)
    with rooms.database.reading() as conn:
        rows = {e.student: e for row in agenda.rows for e in judging.entries(conn, row.id)}
        done = followed.since(conn, list(agenda.subjects), first)
    hidden = rooms.alerts.hidden_from(who, [record.alert_id for record in done])
    shown = [r for r in done if r.case_id is None and r.alert_id not in hidden]
    return rows, {record.student: record for record in shown}


def _by_home(order: list[str], homes: dict[str, str]) -> list[list[str]]:
    found: dict[str, list[str]] = {}
    for student in order:
        found.setdefault(homes.get(student, student), []).append(student)
    return list(found.values())


class _Words:
    """Decisions and records in the reader's language."""

    def __init__(self, request: Request, who: Principal, agenda: Agenda) -> None:
        self._rooms, self._lang, self._who = rooms_of(request), language(request), who
        playbook = self._rooms.playbooks.of(who.board)
        self._sittings = {one.scheme: one for one in playbook.sittings}
        self._follow_up = playbook.follow_up
        rows = [*agenda.decided.values(), *(row for some in agenda.before.values() for row in some)]
        self._authors = self._rooms.gateway.staff_names(who, [row.author for row in rows])

    def of(self, row: Any, *, at_school: bool = True) -> Said:
        """A decision. What a meeting noted is for its own seats and for the child's school."""
        sitting = self._sittings[row.scheme]
        reads_note = at_school or bool(seated(self._who, sitting).duties)
        classes = {c.id: worded(c, self._lang) for c in sitting.classes}
        directions = {c.id: worded(c, self._lang) for c in sitting.directions}
        agreed = tuple(one for one in row.directions.split(",") if one)
        return Said(
            scheme=sitting.scheme_name(self._lang),
            chosen=row.chosen,
            words=classes.get(row.chosen, ""),
            directions=[directions[one] for one in agreed if one in directions],
            agreed=agreed,
            note=self._note(row) if reads_note else "",
            author=self._authors.get(row.author, ""),
        )

    def _note(self, row: Any) -> str:
        if row.sealed is None:
            return ""
        try:
            return self._rooms.sealer.open(row.student, row.sealed)
        except CannotOpen:
            return ""

    def record(self, row: Any) -> str:
        actions = {c.id: worded(c, self._lang) for c in self._follow_up.actions}
        changes = {c.id: worded(c, self._lang) for c in self._follow_up.changes}
        return f"{actions.get(row.action, row.action)} / {changes.get(row.change, row.change)}"
