"""Families' requests from receipt to answer: what is done on one, by whom, and who must agree.

A refusal of linking and its withdrawal are in force when this returns; the other kinds run against
the law's terms. Whoever decides to withhold anything does so together with a second person. What
people write here is sealed with the child's key. Every look at a request and every step is on the
trail.

Not here: finding the child (access/asked_about.py), what is held (collect.py), the file
(disclosure.py), corrections and stops (amend.py).
"""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, select, update

from warning_service.access.asked_about import AskedAbout
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import OFFICES, Ability
from warning_service.access.sealing import CannotOpen, Sealer
from warning_service.events.log import Log
from warning_service.events.types import new_id
from warning_service.rights.about_help import HelpTraces, help_traces
from warning_service.rights.tables import family_requests, request_steps
from warning_service.rights.terms import (
    LONGEST_EXTENSION,
    MAY_ASK,
    STATUTORY_DAYS,
    TERMS,
    AskedBy,
    Decision,
    Identity,
    Kind,
    State,
    due_on,
)
from warning_service.roster.service import opt_out

LONGEST_TEXT = 2000
"""Characters of one text (a wish, a reason, a note)."""


class Refused(ValueError):
    """It cannot be done as asked; nothing was stored. `field` says why, for the page's words."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A request as a page may show it. `row`: family_requests. `days_left`: None without a term."""

    row: Any
    kind: Kind
    state: State
    asked_by: AskedBy
    days_left: int | None
    reference: str

    @property
    def overdue(self) -> bool:
        """Has the term run out without a decision?"""
        return self.days_left is not None and self.days_left < 0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a request's history; `words` opened for those who may see it."""

    what: str
    detail: str
    words: str
    actor: str
    at: Any


def text_of(words: str, *, needed: str = "") -> str:
    """A text without blanks around it. Raises Refused when too long, or missing where `needed`."""
    words = words.strip()
    if len(words) > LONGEST_TEXT:
        raise Refused("too_long")
    if needed and not words:
        raise Refused(needed)
    return words


class Requests:
    """Receives requests and moves them along."""

    def __init__(self, log: Log, sealer: Sealer, people: AskedAbout) -> None:
        self.log = log
        self.sealer = sealer
        self.people = people
        # Requests are no part of what a school's pages read; who may see them is decided here.
        self.database = log.database.as_service()

    # -- looking -----------------------------------------------------------------------------------

    def inbox(self, who: Principal, *, ended: bool = False) -> list[View]:
        """The board's requests within the asker's reach: overdue first, then by days left."""
        r = family_requests
        query = select(r).where(r.c.board == who.board, (r.c.state == State.CLOSED) == ended)
        with self.database.reading() as conn:
            rows = conn.execute(query.order_by(r.c.created_at.desc())).all()
            mine = [
                row
                for row in rows
                if self.people.reaches(conn, who, row.student, Ability.HANDLE_REQUESTS)
            ]
        views = [self.view(row) for row in mine]
        if ended:
            return views
        return sorted(views, key=lambda v: (v.days_left is None, v.days_left or 0, v.row.id))

    def waiting(self, who: Principal) -> list[View]:
        """Requests that wait for a second person, which the asker could be."""
        r = family_requests
        with self.database.reading() as conn:
            rows = conn.execute(
                select(r)
                .where(r.c.board == who.board, r.c.state == State.WAITING)
                .order_by(r.c.due_on, r.c.id)
            ).all()
            return [self.view(row) for row in rows if self._may_approve(conn, who, row)]

    def count(self, who: Principal) -> tuple[int, int]:
        """(open, overdue) of the asker's inbox."""
        views = self.inbox(who)
        return len(views), sum(view.overdue for view in views)

    def one(self, who: Principal, request: str) -> View:
        """A request the asker handles. Raises NotYours."""
        with self.database.reading() as conn:
            row = _row(conn, who.board, request)
            if row is None or not self.people.reaches(
                conn, who, row.student, Ability.HANDLE_REQUESTS
            ):
                raise NotYours
        return self.view(row)

    def for_approval(self, who: Principal, request: str) -> View:
        """A request that waits for the asker's approval. Raises NotYours."""
        with self.database.reading() as conn:
            row = _row(conn, who.board, request)
            if row is None or not self._may_approve(conn, who, row):
                raise NotYours
        return self.view(row)

    def _may_approve(self, conn: Connection, who: Principal, row: Any) -> bool:
        """The board's own approver, or one whose school the child is or was at; never the decider.

        The board's approver holds no ability that reaches a child, and is shown no name.
        """
        if row.state != State.WAITING or who.key in {row.decided_by, row.created_by}:
            return False
        at_board = any(
            duty.place == row.board and Ability.APPROVE_REQUESTS in OFFICES[duty.role].abilities
            for duty in who.duties
        )
        return at_board or self.people.reaches(conn, who, row.student, Ability.APPROVE_REQUESTS)

    def reaches(self, who: Principal, view: View, using: Ability) -> bool:
        """Does the asker's `using` reach the child this is about? No name, so no trail."""
        with self.database.reading() as conn:
            return self.people.reaches(conn, who, view.row.student, using)

    def help_traces(self, student: str) -> HelpTraces:
        """What tells of this child's calls for help, for pages about it that a family is given."""
        with self.database.reading() as conn:
            return help_traces(conn, student)

    def history(self, view: View) -> list[Step]:
        """What was done, oldest first, with its words."""
        t = request_steps
        with self.database.reading() as conn:
            rows = conn.execute(
                select(t).where(t.c.request == view.row.id).order_by(t.c.at, t.c.id)
            ).all()
        return [
            Step(
                what=row.what, detail=row.detail, actor=row.actor, at=row.at,
                words=self.words(view, row.sealed),
            )
            for row in rows
        ]  # fmt: skip

    def words(self, view: View, sealed: str) -> str:
        """A sealed text opened; "…" when its key is gone."""
        if not sealed:
            return ""
        try:
            return self.sealer.open(view.row.student, sealed)
        except CannotOpen:
            return "…"

    def view(self, row: Any) -> View:
        """A row as a page shows it."""
        running = row.due_on is not None and row.state in (State.OPEN, State.WAITING)
        return View(
            row=row,
            kind=Kind(row.kind),
            state=State(row.state),
            asked_by=AskedBy(row.asked_by),
            days_left=(row.due_on - self.log.clock.today()).days if running else None,
            reference=f"{row.received_on:%Y%m%d}-{row.id[-4:]}",
        )

    # -- receiving ---------------------------------------------------------------------------------

    def receive(
        self,
        who: Principal,
        student: str,
        kind: str,
        *,
        asked_by: str,
        identity: str,
        received_on: date,
        days: int = STATUTORY_DAYS,
        wish: str = "",
        once: str = "",
    ) -> str:
        """Take a request in; returns its id. A refusal or its withdrawal is in force at once.

        `days`: fewer than the law's when an ordinance says so. `once`: the form's own id, so that
        sending it twice is one request. Raises Refused, NotYours, StorageUnavailable.
        """
        if kind not in set(Kind) or asked_by not in MAY_ASK[Kind(kind)]:
            raise Refused("asked_by")
        if identity not in set(Identity):
            raise Refused("identity")
        wanted, today = Kind(kind), self.log.clock.today()
        if identity == Identity.KNOWN and wanted in TERMS:
            raise Refused("identity")
        if received_on > today or (today - received_on).days > 366:
            raise Refused("received_on")
        if not 1 <= days <= STATUTORY_DAYS:
            raise Refused("days")
        needed = "wish" if wanted in (Kind.CORRECTION, Kind.STOP) else ""
        sealed = self._seal(student, text_of(wish, needed=needed))
        with self.database.reading() as conn:
            if not self.people.reaches(conn, who, student, Ability.HANDLE_REQUESTS):
                raise NotYours
            if once and _row(conn, who.board, once) is not None:
                return once
        request, now = once or new_id(), self.log.clock.now()
        at_once = wanted in (Kind.OPT_OUT, Kind.WITHDRAWAL)
        with self.log.unit_of_work() as unit:
            conn = unit.conn
            if at_once:
                opt_out(
                    unit, self.log, board=who.board, student=student,
                    refused=wanted is Kind.OPT_OUT, actor=who.key,
                )  # fmt: skip
            conn.execute(
                family_requests.insert().values(
                    id=request, board=who.board, student=student, kind=wanted.value,
                    asked_by=asked_by, identity=identity, received_on=received_on,
                    due_on=due_on(received_on, days) if wanted in TERMS else None,
                    extended_days=0, paused_days=0,
                    state=State.CLOSED if at_once else State.OPEN,
                    decision=Decision.EFFECTIVE if at_once else "",
                    sealed_wish=sealed, sealed_reason="", created_by=who.key, created_at=now,
                    decided_by=who.key if at_once else "", decided_at=now if at_once else None,
                    approved_by="",
                )
            )  # fmt: skip
            self.step(conn, request, who, "received")
            self.people.write(conn, who, f"request_{wanted.value}", student, request)
        return request

    # -- time --------------------------------------------------------------------------------------

    def extend(self, who: Principal, request: str, days: int, reason: str) -> None:
        """Have up to 30 days more, once, with the reason the family is told. Raises Refused."""
        view = self.running(who, request)
        if view.row.extended_days or not 1 <= days <= LONGEST_EXTENSION:
            raise Refused("extension")
        self._more_time(who, view, "extended", days, reason, extended_days=days)

    def pause(self, who: Principal, request: str, days: int, reason: str) -> None:
        """Days the family took to complete its request do not count. Raises Refused."""
        view = self.running(who, request)
        if not 1 <= days <= 366:
            raise Refused("pause")
        self._more_time(who, view, "paused", days, reason, paused_days=view.row.paused_days + days)

    def _more_time(
        self, who: Principal, view: View, what: str, days: int, reason: str, **columns: int
    ) -> None:
        sealed = self._seal(view.row.student, text_of(reason, needed="reason"))
        due = due_on(view.row.due_on, days)
        with self.database.writing() as conn:
            self.change(conn, view, due_on=due, **columns)
            self.step(conn, view.row.id, who, what, detail=due.isoformat(), sealed=sealed)
            self.people.write(conn, who, f"request_{what}", view.row.student, view.row.id)

    # -- ending ------------------------------------------------------------------------------------

    def take_back(self, who: Principal, request: str, reason: str) -> None:
        """The family takes its request back. Raises Refused."""
        view = self.running(who, request)
        sealed = self._seal(view.row.student, text_of(reason))
        with self.database.writing() as conn:
            self.change(
                conn, view, state=State.CLOSED, decision=Decision.TAKEN_BACK,
                decided_by=who.key, decided_at=self.log.clock.now(),
            )  # fmt: skip
            self.step(conn, request, who, "taken_back", sealed=sealed)
            self.people.write(conn, who, "request_taken_back", view.row.student, request)

    def close(self, who: Principal, request: str) -> None:
        """The family has been told and given what it gets. Raises Refused."""
        view = self.one(who, request)
        if view.state is not State.DECIDED:
            raise Refused("state")
        with self.database.writing() as conn:
            self.change(conn, view, state=State.CLOSED)
            self.step(conn, request, who, "closed")
            self.people.write(conn, who, "request_closed", view.row.student, request)

    # -- for the other files of this room -------------------------------------------------------

    def running(self, who: Principal, request: str) -> View:
        """An open request of the asker's. Raises NotYours, Refused when it is decided already."""
        view = self.one(who, request)
        if view.state is not State.OPEN:
            raise Refused("state")
        return view

    def _seal(self, student: str, words: str) -> str:
        return self.sealer.seal(student, words) if words else ""

    def seal(self, view: View, words: str, *, needed: str = "") -> str:
        """A text about the request's child, sealed; '' for none. Raises Refused."""
        return self._seal(view.row.student, text_of(words, needed=needed))

    def change(self, conn: Connection, view: View, **columns: Any) -> None:
        """Change the request, if nobody else has moved it on meanwhile. Raises Refused."""
        r = family_requests
        changed = conn.execute(
            update(r)
            .where(
                r.c.id == view.row.id, r.c.state == view.row.state, r.c.due_on == view.row.due_on
            )
            .values(**{"state": view.row.state, **columns})  # none: only hold it as it is
            .returning(r.c.id)
        ).first()
        if changed is None:
            raise Refused("state")

    def step(
        self,
        conn: Connection,
        request: str,
        who: Principal,
        what: str,
        *,
        detail: str = "",
        sealed: str = "",
    ) -> None:
        """Add a line to the request's history."""
        conn.execute(
            request_steps.insert().values(
                id=new_id(), request=request, what=what, detail=detail, sealed=sealed,
                actor=who.key, at=self.log.clock.now(),
            )
        )  # fmt: skip


def _row(conn: Connection, board: str, request: str) -> Any | None:
    r = family_requests
    return conn.execute(select(r).where(r.c.id == request, r.c.board == board)).one_or_none()
