"""What people think of an alert or of a list's entry: helpful or not, or "I see it differently".

One tap, one opinion for each person and thing; another tap changes it, the same one takes it back.
Each is an event, so that the rows follow from the log, and with it stands its line on the trail.
It changes nothing about the child: neither the alert's state nor the list nor a model. It is what
the board's page counts, beside what was done.

Who may say it is who may see it: an alert by `Alerts.one`, an entry by the duties that see a list.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, delete, func, insert, select

from warning_service.access.gateway import Gateway, NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.alerts.service import Alerts
from warning_service.alerts.tables import alerts
from warning_service.clock import at
from warning_service.database import upsert
from warning_service.events.log import Log, from_row
from warning_service.events.tables import events
from warning_service.events.types import NewEvent, OpinionGiven, new_id, tag_of
from warning_service.follow_up.tables import opinions
from warning_service.judging.tables import list_entries, warning_lists
from warning_service.roster import queries as roster

ALERT = "alert"
ENTRY = "entry"
HELPFUL = "helpful"
NOT_HELPFUL = "not_helpful"
DIFFERS = "differs"
VERDICTS = (HELPFUL, NOT_HELPFUL, DIFFERS)
TAKEN_BACK = ""
_KEYS = ["kind", "about", "student", "author"]


class UnknownVerdict(ValueError):
    """None of VERDICTS; nothing is stored."""


class _Thing(NamedTuple):
    """What an opinion is of."""

    kind: str
    about: str
    student: str
    school: str


class Opinions:
    """Takes opinions in, for all boards. Safe to share between threads."""

    def __init__(self, log: Log, alerts: Alerts, gateway: Gateway) -> None:
        self._log = log
        self._alerts = alerts
        self._gateway = gateway

    def on_alert(self, who: Principal, alert_id: str, verdict: str) -> None:
        """Of an alert about a child. Raises NotYours, UnknownVerdict, StorageUnavailable."""
        alert = self._alerts.one(who, alert_id)
        if not alert.student:  # a notice is about no child, and nobody's judgement
            raise NotYours
        thing = _Thing(ALERT, alert_id, alert.student, alert.school)
        self._give(who, thing, verdict, Ability.SEE_ALERTS)

    def on_entry(self, who: Principal, list_id: str, student: str, verdict: str) -> None:
        """Of a child's entry on a list. Raises NotYours, UnknownVerdict, StorageUnavailable."""
        with self._log.database.reading() as conn:
            row = conn.execute(
                select(warning_lists.c.school)
                .join(list_entries, list_entries.c.list_id == warning_lists.c.id)
                .where(warning_lists.c.id == list_id, warning_lists.c.board == who.board)
                .where(list_entries.c.student == student)
            ).one_or_none()
            place = roster.enrolment_on(conn, student, self._log.clock.today())
            if row is None or place is None or place.board != who.board:
                raise NotYours
            mine = self._gateway.within(conn, who, {student: place}, using=Ability.SEE_LIST)
            if student not in mine or roster.opted_out(conn, student):
                raise NotYours
        self._give(who, _Thing(ENTRY, list_id, student, row.school), verdict, Ability.SEE_LIST)

    def of(self, who: Principal, kind: str, about: str) -> dict[str, str]:
        """The asker's own opinions of an alert or a list: student key -> verdict."""
        o = opinions.c
        with self._log.database.reading() as conn:
            rows = conn.execute(
                select(o.student, o.verdict).where(
                    o.kind == kind, o.about == about, o.author == who.key
                )
            )
            return {row.student: row.verdict for row in rows}

    def _give(self, who: Principal, thing: _Thing, verdict: str, using: Ability) -> None:
        if verdict not in (*VERDICTS, TAKEN_BACK):
            raise UnknownVerdict(verdict)
        body = OpinionGiven(
            of=thing.kind, about=thing.about, school=thing.school, verdict=verdict,
            at=self._log.clock.now(),
        )  # fmt: skip
        student, o = thing.student, opinions.c
        with self._log.unit_of_work() as unit:
            if verdict == TAKEN_BACK:
                gone = unit.conn.execute(
                    delete(opinions)
                    .where(o.kind == thing.kind, o.about == thing.about)
                    .where(o.student == student, o.author == who.key)
                    .returning(o.about)
                ).first()
                if gone is None:
                    return  # there was none: nothing happened
            else:
                row = _row(who.board, student, who.key, body)
                unit.conn.execute(upsert(unit.conn, opinions, _KEYS).values(**row))
            unit.append(
                NewEvent(
                    id=new_id(), board=who.board, student=student, on=self._log.clock.today(),
                    actor=who.key, body=body,
                )
            )  # fmt: skip
            self._gateway.write(unit.conn, who, "opinion", student, thing.about, using=using)


def _row(board: str, student: str, author: str, body: OpinionGiven) -> dict[str, Any]:
    return {
        "kind": body.of, "about": body.about, "student": student, "author": author,
        "board": board, "school": body.school, "verdict": body.verdict, "at": body.at,
    }  # fmt: skip


# -- counted -------------------------------------------------------------------------------------


class Thought(msgspec.Struct, frozen=True, kw_only=True):
    """How opinions of one kind of thing divide. `things`: alerts raised or entries listed in those
    days; `judged`: those of them anybody had an opinion of. The verdicts count opinions.
    """

    kind: str
    things: int
    judged: int
    helpful: int
    not_helpful: int
    differs: int


def thoughts(conn: Connection, board: str, kind: str, things: Iterable[tuple[str, str]]) -> Thought:
    """Opinions of these things, (alert or list id, student key).

    The caller leaves out children whose families refuse.
    """
    wanted = set(things)
    counts = dict.fromkeys(VERDICTS, 0)
    judged = set()
    o, abouts = opinions.c, sorted({about for about, _ in wanted})
    for start in range(0, len(abouts), 500):
        rows = conn.execute(
            select(o.about, o.student, o.verdict, func.count().label("n"))
            .where(o.board == board, o.kind == kind, o.about.in_(abouts[start : start + 500]))
            .group_by(o.about, o.student, o.verdict)
        )
        for row in rows:
            if (row.about, row.student) in wanted and row.verdict in counts:
                counts[row.verdict] += row.n
                judged.add((row.about, row.student))
    return Thought(kind=kind, things=len(wanted), judged=len(judged), **counts)


def of_days(conn: Connection, board: str, first: date, last: date) -> list[Thought]:
    """Opinions of the alerts raised and of the entries listed on the days `first` to `last`."""
    a, w, e = alerts.c, warning_lists.c, list_entries.c
    raised = conn.execute(
        select(a.id, a.student).where(
            a.board == board, a.student != "",
            a.raised_at >= at(first), a.raised_at < at(last + timedelta(days=1)),
        )
    ).all()  # fmt: skip
    listed = conn.execute(
        select(e.list_id, e.student)
        .join(warning_lists, w.id == e.list_id)
        .where(w.board == board, w.list_date >= first, w.list_date <= last)
    ).all()
    refusing = roster.refusing(conn, {row.student for row in (*raised, *listed)})
    return [
        thoughts(conn, board, kind, [tuple(row) for row in rows if row.student not in refusing])
        for kind, rows in ((ALERT, raised), (ENTRY, listed))
    ]


# -- from the log --------------------------------------------------------------------------------


def derive(conn: Connection, board: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """(kind, about, student, author) -> row, from the board's events alone."""
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    query = select(events).where(events.c.board == board, events.c.type == tag_of(OpinionGiven))
    for event in map(from_row, conn.execute(query.order_by(events.c.position))):
        body = event.body
        assert isinstance(body, OpinionGiven) and event.student is not None
        key = (body.of, body.about, event.student, event.actor)
        if body.verdict == TAKEN_BACK:
            rows.pop(key, None)
        else:
            rows[key] = _row(board, event.student, event.actor, body)
    return rows


def differences(log: Log, board: str) -> list[str]:
    """What the stored rows have different; empty when all are equal."""
    with log.database.reading() as conn:
        stored: dict[tuple[str, ...], dict[str, Any]] = {
            (row.kind, row.about, row.student, row.author): dict(row._mapping)
            for row in conn.execute(select(opinions).where(opinions.c.board == board))
        }
        derived = derive(conn, board)
    return [
        f"opinion of {key[0]} {key[1]}"
        for key in sorted(stored.keys() | derived.keys())
        if stored.get(key) != derived.get(key)
    ]


def replace(log: Log, board: str) -> int:
    """Put the derived rows in the place of the stored ones; return how many there are."""
    with log.database.writing() as conn:
        rows = list(derive(conn, board).values())
        conn.execute(delete(opinions).where(opinions.c.board == board))
        if rows:
            conn.execute(insert(opinions), rows)
    return len(rows)
