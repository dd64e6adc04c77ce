"""What people record: decisions of meetings on list entries, and follow-ups.

Everything here has an author, is checked against the board's playbook, and is stored with its event
and its line on the audit trail in one transaction: none of the three can be without the others.
Notes are sealed with the child's own key before that transaction begins, so that it stays short.

Not here: deciding anything. A list entry or an alert is a question; the answers come from people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from warning_service.access.gateway import Gateway, NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.sealing import Sealer
from warning_service.alerts.service import Alerts
from warning_service.alerts.states import WAITING
from warning_service.alerts.tables import alerts as alert_rows
from warning_service.database import insert_new, upsert
from warning_service.events.log import Log
from warning_service.events.types import (
    FollowUpRecorded,
    NewEvent,
    ReviewDecided,
    derived_id,
    new_id,
)
from warning_service.follow_up import cases
from warning_service.follow_up.hand_over import HandOvers
from warning_service.follow_up.meetings import Meetings
from warning_service.follow_up.sheets import Sheets
from warning_service.follow_up.tables import follow_ups, reviews
from warning_service.judging.tables import list_entries, warning_lists
from warning_service.playbooks.follow_up import Choice
from warning_service.playbooks.service import Playbooks
from warning_service.playbooks.sharing import Side
from warning_service.roster import queries as roster

LONGEST_NOTE = 500
"""Characters. A follow-up is 20 seconds of writing, not a case file."""


class UnknownChoice(ValueError):
    """A value that the board's playbook does not offer. `field` names which; nothing is stored."""

    def __init__(self, field: str) -> None:
        super().__init__(f"not a choice of this board's playbook: {field}")
        self.field = field


class DecidedFurtherOn(ValueError):
    """A later meeting has decided on the child; that is taken back first. Nothing changed."""


class NoteTooLong(ValueError):
    """More than LONGEST_NOTE characters; nothing is stored."""


class FollowUps:
    """Records reviews and follow-ups of one installation.

    `hand_overs`: cases given to welfare; `meetings`: whose turn it is in which; `sheets`: filled on
    a child.
    """

    def __init__(
        self, log: Log, sealer: Sealer, playbooks: Playbooks, alerts: Alerts, gateway: Gateway
    ) -> None:
        self._log = log
        self._sealer = sealer
        self._playbooks = playbooks
        self._alerts = alerts
        self._gateway = gateway
        self.hand_overs = HandOvers(log, sealer, playbooks, gateway)
        self.meetings = Meetings(log, playbooks, gateway)
        self.sheets = Sheets(log, sealer, playbooks, gateway)

    def review(
        self,
        who: Principal,
        list_id: str,
        student: str,
        chosen: str,
        directions: Sequence[str] = (),
        *,
        note: str = "",
        meeting: str = "",
    ) -> None:
        """Record a meeting's class for one child; choosing again replaces the row.

        `meeting`: its id; '' is the first the asker has a seat in. The log keeps every decision.
        Raises NotYours, UnknownChoice, NoteTooLong, StorageUnavailable.
        """
        agenda = self.meetings.agenda(who, list_id, meeting)
        if student not in agenda.subjects:
            raise NotYours
        rules, list_id = agenda.sitting, agenda.subjects[student]
        _offered("chosen", [chosen], rules.classes)
        _offered("directions", directions, rules.directions)
        sealed = self._seal(student, note)
        now = self._log.clock.now()
        # In the playbook's order, so that the same decision is the same bytes.
        agreed = tuple(choice.id for choice in rules.directions if choice.id in set(directions))
        with self._log.unit_of_work() as unit:
            unit.conn.execute(
                upsert(unit.conn, reviews, ["list_id", "student", "scheme"]).values(
                    list_id=list_id, student=student, scheme=rules.scheme, chosen=chosen,
                    directions=",".join(agreed), sealed=sealed, author=who.key, at=now,
                )
            )  # fmt: skip
            unit.append(
                NewEvent(
                    id=new_id(), board=who.board, student=student, on=self._log.clock.today(),
                    actor=who.key,
                    body=ReviewDecided(
                        list_id=list_id, scheme=rules.scheme, chosen=chosen,
                        directions=agreed, sealed=sealed, at=now,
                    ),
                )
            )  # fmt: skip
            self._gateway.write(unit.conn, who, "review", student, list_id, using=Ability.REVIEW)

    def take_back(self, who: Principal, list_id: str, student: str, meeting: str = "") -> None:
        """Undo a meeting's decision on one child: it stands undecided again. The log keeps both.

        Raises NotYours (also when nothing was decided), DecidedFurtherOn, StorageUnavailable.
        """
        agenda = self.meetings.agenda(who, list_id, meeting)
        if student not in agenda.decided:
            raise NotYours
        subject, scheme = agenda.subjects[student], agenda.sitting.scheme
        later = [m.scheme for m in self._playbooks.of(who.board).sittings]
        later = later[later.index(scheme) + 1 :]
        r = reviews.c
        with self._log.unit_of_work() as unit:
            if later and _decided(unit.conn, subject, student, later):
                raise DecidedFurtherOn
            gone = unit.conn.execute(
                delete(reviews)
                .where(r.list_id == subject, r.student == student, r.scheme == scheme)
                .returning(r.scheme)
            ).first()
            if gone is None:  # somebody else was first
                raise NotYours
            unit.append(
                NewEvent(
                    id=new_id(), board=who.board, student=student, on=self._log.clock.today(),
                    actor=who.key,
                    body=ReviewDecided(
                        list_id=subject, scheme=scheme, chosen="", directions=(), sealed=None,
                        at=self._log.clock.now(),
                    ),
                )
            )  # fmt: skip
            self._gateway.write(
                unit.conn, who, "review_undone", student, subject, using=Ability.REVIEW
            )

    def record(
        self,
        who: Principal,
        student: str,
        action: str,
        change: str,
        note: str = "",
        *,
        list_id: str | None = None,
        alert_id: str | None = None,
        once: str = "",
    ) -> str:
        """Record what was done and how the child is; return the record's id.

        With `alert_id` the alert is acknowledged (if nobody had) and handled by this record, in
        the same transaction.
        `once` is a token of the form: the same form sent twice is one record.
        Raises NotYours, UnknownChoice, NoteTooLong, StorageUnavailable.
        """
        offered = self._playbooks.of(who.board).follow_up
        _offered("action", [action], offered.actions)
        _offered("change", [change], offered.changes)
        record_id = derived_id("follow_up", who.key, student, once) if once else new_id()
        if alert_id is not None:
            self._alerts.one(who, alert_id)  # raises NotYours
        with self._log.database.reading() as conn:
            alert = None if alert_id is None else _alert(conn, who, alert_id, student)
            place = self._place_of(conn, who, student, Ability.RECORD_FOLLOW_UP, alert)
            if list_id is not None:
                self._entry(conn, who, list_id, student)
            if self._is_there(conn, record_id):
                return record_id
            case = None
            if self._gateway.side(who, place, using=Ability.RECORD_FOLLOW_UP) is Side.WELFARE:
                case = cases.open_of(conn, student)
                if case is None:  # reached by a seat in a meeting: that is decided on, not worked
                    raise NotYours
        case_id = None if case is None else case.id
        sealed = self._seal(student, note)
        now = self._log.clock.now()
        with self._log.unit_of_work() as unit:
            stored = unit.conn.execute(
                insert_new(unit.conn, follow_ups).values(
                    id=record_id, board=who.board, school=place.school, student=student,
                    list_id=list_id, alert_id=alert_id, action=action, change=change,
                    sealed=sealed, author=who.key, at=now, case_id=case_id,
                ).returning(follow_ups.c.id)
            ).first()  # fmt: skip
            if stored is None:  # the same form, sent twice at the same moment
                return record_id
            if alert_id is not None:
                self._alerts.handle(unit, alert_id, record_id, who.key)
            unit.append(
                NewEvent(
                    id=record_id, board=who.board, student=student,
                    on=self._log.clock.today(), actor=who.key,
                    body=FollowUpRecorded(
                        follow_up_id=record_id, action=action, change=change,
                        list_id=list_id, alert_id=alert_id, sealed=sealed, case_id=case_id,
                    ),
                )
            )  # fmt: skip
            self._gateway.write(
                unit.conn, who, "follow_up", student, alert_id or list_id or "",
                using=Ability.RECORD_FOLLOW_UP,
            )  # fmt: skip
        return record_id

    # -- what has to hold before anything is written -----------------------------------------------

    def _place_of(
        self,
        conn: Connection,
        who: Principal,
        student: str,
        using: Ability,
        alert: Any | None = None,
    ) -> Any:
        """The child's enrolment today. Raises NotYours when the asker's duties do not reach it.

        An alert that is not closed counts where it was raised: a child that has left since must
        not leave a call behind that nobody can answer.
        """
        found = [roster.enrolment_on(conn, student, self._log.clock.today())]
        if alert is not None and alert.state in WAITING:
            found.append(alert)
        for place in found:
            if place is None or place.board != who.board:
                continue
            if self._gateway.within(conn, who, {student: place}, using=using):
                return place
        raise NotYours

    def _entry(self, conn: Connection, who: Principal, list_id: str, student: str) -> None:
        found = conn.execute(
            select(list_entries.c.student)
            .join(warning_lists, warning_lists.c.id == list_entries.c.list_id)
            .where(
                list_entries.c.list_id == list_id,
                list_entries.c.student == student,
                warning_lists.c.board == who.board,
            )
        ).first()
        if found is None:
            raise NotYours

    def _is_there(self, conn: Connection, record_id: str) -> bool:
        query = select(follow_ups.c.id).where(follow_ups.c.id == record_id)
        return conn.execute(query).first() is not None

    def _seal(self, student: str, note: str) -> str | None:
        words = note.strip()
        if len(words) > LONGEST_NOTE:
            raise NoteTooLong
        return self._sealer.seal(student, words) if words else None


def _alert(conn: Connection, who: Principal, alert_id: str, student: str) -> Any:
    found = conn.execute(
        select(alert_rows).where(
            alert_rows.c.id == alert_id,
            alert_rows.c.student == student,
            alert_rows.c.board == who.board,
        )
    ).first()
    if found is None:
        raise NotYours
    return found


def _decided(conn: Connection, subject: str, student: str, schemes: Sequence[str]) -> list[Any]:
    """The decisions of these schemes' meetings on one child."""
    r = reviews.c
    query = select(reviews).where(r.list_id == subject, r.student == student, r.scheme.in_(schemes))
    return list(conn.execute(query))


def _offered(field: str, given: Sequence[str], choices: Sequence[Choice]) -> None:
    if not set(given) <= {choice.id for choice in choices}:
        raise UnknownChoice(field)
