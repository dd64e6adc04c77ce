"""Meetings: whose turn has come in which, who may sit there, and what stands decided.

A list (or, where no list is made, the cases handed over) goes through the meetings of the playbook
one after the other; a later one has on its agenda whom an earlier one put into certain classes. The
agenda is read from the lists and the decisions and stored nowhere, so a decision taken back takes
the child off the later agenda at once.

Student keys and ids only. Who sits in a meeting reaches, by the duty that gives the seat, the
children it reaches anyway; the welfare office only those whose turn has come (circles.py). Not
here: recording a decision (service.py), and deciding one.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from warning_service.access.gateway import Gateway, NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.events.log import Log
from warning_service.follow_up import cases
from warning_service.follow_up.tables import reviews
from warning_service.judging import queries as judging
from warning_service.judging.tables import warning_lists
from warning_service.playbooks.meetings import Meeting, Review
from warning_service.playbooks.model import Playbook
from warning_service.playbooks.service import Playbooks
from warning_service.roster import queries as roster

CASES = "cases"
"""In the place of a list's id, where a board makes no lists: the cases handed over."""

_PART = 500


class Agenda(msgspec.Struct, frozen=True, kw_only=True):
    """One meeting on one list, as its asker may see it.

    `row`: the list's, None for cases. `subjects`: student key -> what is decided on (the list's
    id, or the case's), in the order of the agenda. `decided`: by this meeting; `before`: what
    earlier meetings decided, in their order.
    """

    row: Any | None
    sitting: Review | Meeting
    subjects: dict[str, str]
    decided: dict[str, Any]
    before: dict[str, list[Any]]

    @property
    def list_id(self) -> str:
        """As in the addresses of pages."""
        return CASES if self.row is None else str(self.row.id)

    @property
    def done(self) -> int:
        """Children decided on."""
        return len(self.decided)


def seated(who: Principal, sitting: Review | Meeting) -> Principal:
    """The asker with those duties only that give a seat in this meeting; perhaps none."""
    mine = tuple(duty for duty in who.duties if duty.role.value in sitting.duties)
    return msgspec.structs.replace(who, duties=mine)


def decisions(
    conn: Connection, subjects: Collection[str], schemes: Collection[str]
) -> dict[tuple[str, str], Any]:
    """(student, scheme) -> the decision's row, on these lists or cases."""
    r = reviews.c
    found: dict[tuple[str, str], Any] = {}
    wanted = sorted(set(subjects))
    for start in range(0, len(wanted), _PART):
        part = wanted[start : start + _PART]
        rows = conn.execute(
            select(reviews).where(r.list_id.in_(part), r.scheme.in_(sorted(schemes)))
        )
        found |= {(row.student, row.scheme): row for row in rows}
    return found


class Occasion(msgspec.Struct, frozen=True, kw_only=True):
    """What meetings are held on: a list (its `row`) or, None, the board's cases; as of `today`."""

    playbook: Playbook
    board: str
    row: Any | None
    today: date


def turns(conn: Connection, on: Occasion, sitting: Review | Meeting) -> dict[str, str]:
    """Whose turn it is in a meeting: student key -> list or case, in the order of the agenda.

    Refusals and scope are the caller's.
    """
    if isinstance(sitting, Review):
        return _first(conn, on, sitting)
    earlier = on.playbook.sitting(sitting.after)
    base = turns(conn, on, earlier)
    known = decisions(conn, base.values(), [earlier.scheme])
    return {
        student: subject
        for student, subject in base.items()
        if (one := known.get((student, earlier.scheme))) is not None
        if one.list_id == subject and one.chosen in sitting.takes
    }


def _first(conn: Connection, on: Occasion, review: Review) -> dict[str, str]:
    row = on.row
    if row is None:
        if review.of != "cases":
            return {}
        return {case.student: case.id for case in cases.at_offices(conn, [on.board])}
    found = {entry.student: row.id for entry in judging.entries(conn, row.id)}
    if review.of == "roll":
        schools = [row.school] if row.school else [s.id for s in roster.schools(conn, on.board)]
        rolls = [e for school in schools for e in roster.on_roll(conn, on.today, school=school)]
        for enrolment in sorted(rolls, key=lambda e: (e.grade, e.class_id, e.student)):
            found.setdefault(enrolment.student, row.id)
    return found


def latest_lists(conn: Connection, board: str, schools: Collection[str] | None = None) -> list[Any]:
    """The newest list of each school of a board (of these schools and the board itself)."""
    newest: dict[str, Any] = {}
    w = warning_lists
    query = select(w).where(w.c.board == board).order_by(w.c.list_date, w.c.id)
    for row in conn.execute(query):
        if schools is None or not row.school or row.school in schools:
            newest[row.school] = row
    return [newest[school] for school in sorted(newest)]


class Meetings:
    """The meetings of one installation, for one asker at a time."""

    def __init__(self, log: Log, playbooks: Playbooks, gateway: Gateway) -> None:
        self._log = log
        self._playbooks = playbooks
        self._gateway = gateway

    def agenda(self, who: Principal, list_id: str, meeting_id: str = "") -> Agenda:
        """A meeting on a list (or on `CASES`), with those children the asker reaches there.

        Without `meeting_id` the first meeting the asker has a seat in. Raises NotYours when there
        is no such list or meeting, or the asker has no seat in it.
        """
        playbook = self._playbooks.of(who.board)
        with self._log.database.reading() as conn:
            row = None if list_id == CASES else judging.one_list(conn, list_id)
            if (row is None) != (playbook.review.of == "cases"):
                raise NotYours
            for sitting in playbook.sittings:
                if meeting_id in ("", sitting.id) and self._has_seat(who, sitting, row):
                    return self._agenda(conn, who, self._on(who, playbook, row), sitting)
        raise NotYours

    def open_to(self, who: Principal) -> list[Agenda]:
        """The meetings the asker has a seat in, on each newest list, in order of list and stage."""
        playbook = self._playbooks.of(who.board)
        mine = [one for one in playbook.sittings if seated(who, one).duties]
        if not mine:
            return []
        with self._log.database.reading() as conn:
            rows: list[Any] = [None]
            if playbook.review.of != "cases":
                rows = latest_lists(conn, who.board)
            return [
                self._agenda(conn, who, self._on(who, playbook, row), sitting)
                for row in rows
                for sitting in mine
                if self._has_seat(who, sitting, row)
            ]

    def has_seat(self, who: Principal, row: Any) -> bool:
        """Has the asker a seat in any meeting on this list?"""
        playbook = self._playbooks.of(who.board)
        return any(self._has_seat(who, sitting, row) for sitting in playbook.sittings)

    def sits(self, who: Principal) -> bool:
        """Has the asker a seat in any meeting? For menus. Raises KeyError, StorageUnavailable."""
        playbook = self._playbooks.for_help(who.board)
        return any(seated(who, sitting).duties for sitting in playbook.sittings)

    def _on(self, who: Principal, playbook: Playbook, row: Any) -> Occasion:
        return Occasion(playbook=playbook, board=who.board, row=row, today=self._log.clock.today())

    def _has_seat(self, who: Principal, sitting: Review | Meeting, row: Any) -> bool:
        chair = seated(who, sitting)
        extent = chair.reach(Ability.REVIEW)
        if row is None or not row.school:
            return bool(chair.duties) and (row is None or row.board == who.board)
        return row.school in extent.schools | extent.agendas or row.board in extent.cases

    def _agenda(
        self, conn: Connection, who: Principal, on: Occasion, sitting: Review | Meeting
    ) -> Agenda:
        row, playbook = on.row, on.playbook
        found = turns(conn, on, sitting)
        there = roster.places_of(conn, list(found), on.today)
        mine = self._gateway.within(conn, seated(who, sitting), there, using=Ability.REVIEW)
        if row is not None:  # of cases, `turns` has left out those a refusal ends
            mine -= roster.refusing(conn, mine)
        subjects = {student: found[student] for student in found if student in mine}
        order = [one.scheme for one in playbook.sittings]
        known = decisions(conn, subjects.values(), order)
        known = {k: one for k, one in known.items() if one.list_id == subjects.get(k[0])}
        earlier = order[: order.index(sitting.scheme)]
        return Agenda(
            row=row,
            sitting=sitting,
            subjects=subjects,
            decided={s: known[s, sitting.scheme] for s in subjects if (s, sitting.scheme) in known},
            before={
                s: [known[s, scheme] for scheme in earlier if (s, scheme) in known]
                for s in subjects
            },
        )
