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

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from warning_service.access.gateway import Gateway, NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import OFFICES, Ability, Place
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
ALL = "all"
"""The newest lists of all schools together, for a meeting of the board's where one list is picked
from them all."""

_PART = 500


class Agenda(msgspec.Struct, frozen=True, kw_only=True):
    """One meeting on one list, as its asker may see it.

    `rows`: the lists', none for cases. `subjects`: student key -> what is decided on (the list's
    id, or the case's), in the order of the agenda. `decided`: by this meeting; `before`: what
    earlier meetings decided, in their order.
    """

    list_id: str
    rows: list[Any]
    sitting: Review | Meeting
    subjects: dict[str, str]
    decided: dict[str, Any]
    before: dict[str, list[Any]]

    @property
    def row(self) -> Any | None:
        """The one list, or the newest of several; None for cases."""
        return max(self.rows, key=lambda row: row.list_date, default=None)

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
    """What meetings are held on: lists (their `rows`), or the board's cases; as of `today`."""

    playbook: Playbook
    board: str
    rows: list[Any]
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
    if review.of == "cases":
        return {case.student: case.id for case in cases.at_offices(conn, [on.board])}
    listed = [entry for row in on.rows for entry in judging.entries(conn, row.id)]
    if len(on.rows) > 1:  # places are each school's own
        listed.sort(key=lambda entry: (-entry.score, entry.student))
    found = {entry.student: entry.list_id for entry in listed}
    for row in on.rows if review.of == "roll" else ():
        rolls = roster.on_roll(conn, on.today, school=row.school)
        for enrolment in sorted(rolls, key=lambda e: (e.grade, e.class_id, e.student)):
            found.setdefault(enrolment.student, row.id)
    return found


def latest_lists(conn: Connection, board: str, schools: Collection[str] | None = None) -> list[Any]:
    """The newest list of each school of a board (of these schools only, if named)."""
    w = warning_lists.c
    last = select(w.school, func.max(w.list_date).label("day")).where(w.board == board)
    if schools is not None:
        last = last.where(w.school.in_(sorted(schools)))
    newest = last.group_by(w.school).subquery()
    query = (
        select(warning_lists)
        .join(newest, (newest.c.school == w.school) & (newest.c.day == w.list_date))
        .where(w.board == board)
        .order_by(w.school, w.id)
    )
    return list({row.school: row for row in conn.execute(query)}.values())


def _sits_at_board(who: Principal, sittings: Sequence[Review | Meeting]) -> bool:
    """Does a seat come with a duty at the board, which looks at all schools at once?"""
    return any(
        OFFICES[duty.role].place is Place.BOARD
        for sitting in sittings
        for duty in seated(who, sitting).duties
    )


class Meetings:
    """The meetings of one installation, for one asker at a time."""

    def __init__(self, log: Log, playbooks: Playbooks, gateway: Gateway) -> None:
        self._log = log
        self._playbooks = playbooks
        self._gateway = gateway

    def agenda(self, who: Principal, list_id: str, meeting_id: str = "") -> Agenda:
        """A meeting on a list (on `CASES`, on `ALL`), with those children the asker reaches there.

        Without `meeting_id` the first meeting the asker has a seat in. Raises NotYours when there
        is no such list or meeting, or the asker has no seat in it.
        """
        playbook = self._playbooks.of(who.board)
        with self._log.database.reading() as conn:
            on = self._on(who, playbook, self._rows(conn, who, list_id))
            if (list_id == CASES) != (playbook.review.of == "cases"):
                raise NotYours
            for sitting in playbook.sittings:
                if meeting_id in ("", sitting.id) and self._seats(who, sitting, on):
                    return self._agenda(conn, who, on, sitting, list_id)
        raise NotYours

    def open_to(self, who: Principal) -> list[Agenda]:
        """The meetings the asker has a seat in, on each newest list, in order of list and stage."""
        playbook = self._playbooks.of(who.board)
        mine = [one for one in playbook.sittings if seated(who, one).duties]
        if not mine:
            return []
        with self._log.database.reading() as conn:
            held: list[tuple[str, list[Any]]] = [(CASES, [])]
            if playbook.review.of != "cases":
                rows = latest_lists(conn, who.board)
                held = [(str(row.id), [row]) for row in rows]
                if playbook.list.scope == "board" and _sits_at_board(who, mine):
                    held = [(ALL, rows)] if rows else []
            return [
                self._agenda(conn, who, on, sitting, list_id)
                for list_id, rows in held
                for sitting in mine
                if self._seats(who, sitting, on := self._on(who, playbook, rows))
            ]

    def has_seat(self, who: Principal, row: Any) -> bool:
        """Has the asker a seat in any meeting on this list?"""
        playbook = self._playbooks.of(who.board)
        on = self._on(who, playbook, [row])
        return any(self._seats(who, sitting, on) for sitting in playbook.sittings)

    def sits(self, who: Principal) -> bool:
        """Has the asker a seat in any meeting? For menus. Raises KeyError, StorageUnavailable."""
        playbook = self._playbooks.for_help(who.board)
        return any(seated(who, sitting).duties for sitting in playbook.sittings)

    def _rows(self, conn: Connection, who: Principal, list_id: str) -> list[Any]:
        if list_id == CASES:
            return []
        if list_id == ALL:
            return latest_lists(conn, who.board)
        row = judging.one_list(conn, list_id)
        if row is None or row.board != who.board:
            raise NotYours
        return [row]

    def _on(self, who: Principal, playbook: Playbook, rows: list[Any]) -> Occasion:
        return Occasion(
            playbook=playbook, board=who.board, rows=rows, today=self._log.clock.today()
        )

    def _seats(self, who: Principal, sitting: Review | Meeting, on: Occasion) -> bool:
        """Has the asker a seat, at the school of one of these lists or for all of them?"""
        chair = seated(who, sitting)
        extent = chair.reach(Ability.REVIEW)
        if on.playbook.review.of == "cases":
            return bool(chair.duties)
        schools = extent.schools | extent.agendas
        return any(row.school in schools or row.board in extent.cases for row in on.rows)

    def _agenda(
        self, conn: Connection, who: Principal, on: Occasion, sitting: Review | Meeting,
        list_id: str,
    ) -> Agenda:  # fmt: skip
        playbook = on.playbook
        found = turns(conn, on, sitting)
        there = roster.places_of(conn, list(found), on.today)
        mine = self._gateway.within(conn, seated(who, sitting), there, using=Ability.REVIEW)
        if on.rows:  # of cases, `turns` has left out those a refusal ends
            mine -= roster.refusing(conn, mine)
        subjects = {student: found[student] for student in found if student in mine}
        order = [one.scheme for one in playbook.sittings]
        known = decisions(conn, subjects.values(), order)
        known = {k: one for k, one in known.items() if one.list_id == subjects.get(k[0])}
        earlier = order[: order.index(sitting.scheme)]
        return Agenda(
            list_id=list_id,
            rows=on.rows,
            sitting=sitting,
            subjects=subjects,
            decided={s: known[s, sitting.scheme] for s in subjects if (s, sitting.scheme) in known},
            before={
                s: [known[s, scheme] for scheme in earlier if (s, scheme) in known]
                for s in subjects
            },
        )
