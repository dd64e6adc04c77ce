"""Published lists with what became of the children ranked on them: what every figure counts from.

A list is *settled* when its horizon and the delay of the outcome's label have passed; until then
nothing is said of it but when it will be known. Read once and kept while nothing that could change
it has happened (an outcome recorded or corrected, a refusal given or taken back, another list), so
that a page counts in memory. Keys only. Children of refusing families are left out on both sides,
and so is, of each list, who was inside the outcome on that day and could not begin it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, String, func, literal_column, null, select

from warning_service.database import Database
from warning_service.events.tables import ASKS_FOR_DERIVATION, events
from warning_service.follow_up.evaluating.rightness import Spells, lists_between, spells_of
from warning_service.judging.queries import why_of
from warning_service.judging.tables import list_entries, list_scores, warning_lists
from warning_service.playbooks.model import Playbook
from warning_service.roster.tables import opt_outs


class Ranked(NamedTuple):
    """One child on one list. `began`: the day the outcome began within the horizon, or None.

    `counts`: False for a child inside the outcome on the list's day. `new_to_us`: listed, and
    without support at the time. `chance`: the probability stated by the judge that made the list;
    None while too few outcomes were known to state one, and then `score` only puts children in an
    order.
    """

    student: str
    score: float
    chance: float | None
    points: float
    rank: int
    listed: bool
    new_to_us: bool
    counts: bool
    began: date | None


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One list. `known_on`: the day whose end settles it; `children` by rank."""

    id: str
    school: str
    on: date
    published_at: datetime
    judge: str
    known_on: date
    settled: bool
    children: tuple[Ranked, ...]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a board's lists between two days. `refusing`: who is left out.

    `listed_earlier`: who stood on a list before the first of these days; `since`: school -> its
    first list of all, however long ago. Without them every child and school would begin anew each
    year. `serial` differs whenever it was read anew: what was made from it can be kept as long.
    """

    serial: int
    board: str
    first: date
    today: date
    lists: tuple[Scored, ...]
    spells: Spells
    refusing: frozenset[str]
    listed_earlier: frozenset[str]
    since: Mapping[str, date]

    @property
    def settled(self) -> list[Scored]:
        """The lists whose outcomes are known."""
        return [one for one in self.lists if one.settled]


class ListsRead:
    """Reads a board's lists, and keeps what it has read. Safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: dict[str, tuple[object, Known]] = {}
        self._lock = threading.Lock()
        self._serial = count(1)

    def of(self, board: str, playbook: Playbook, first: date, today: date) -> Known:
        """The board's lists dated `first` to `today`, as known by the end of `today`."""
        with self._database.reading() as conn:
            rows, since = lists_between(conn, board, first, today), first_lists(conn, board, today)
            stamp = (first, today, playbook.outcome, tuple(row.id for row in rows), since,
                     _changes(conn, board))  # fmt: skip
            with self._lock:
                held = self._held.get(board)
                if held is not None and held[0] == stamp:
                    return held[1]
            found = read(
                conn, playbook, rows, board=board, first=first, today=today, since=since,
                serial=next(self._serial),
            )  # fmt: skip
        with self._lock:
            self._held[board] = (stamp, found)
        return found


def read(
    conn: Connection, playbook: Playbook, rows: Sequence[Any], *, board: str, first: date,
    today: date, since: Mapping[str, date], serial: int = 0,
) -> Known:  # fmt: skip
    """These lists (rows of `warning_lists`) with their ranked children, from the tables."""
    outcome = playbook.outcome
    spells = spells_of(conn, board, outcome.id, today)
    o = opt_outs.c
    refusing = frozenset(conn.execute(select(o.student).where(o.until_at.is_(None))).scalars())
    horizon = timedelta(days=outcome.horizon_days)
    delay = timedelta(days=outcome.label_delay_days)
    return Known(
        serial=serial, board=board, first=first, today=today, spells=spells, refusing=refusing,
        listed_earlier=_listed_before(conn, board, first), since=since,
        lists=tuple(
            Scored(
                id=row.id, school=row.school, on=row.list_date, published_at=row.published_at,
                judge=row.judge, known_on=row.list_date + horizon + delay,
                settled=row.list_date + horizon + delay <= today,
                children=tuple(_ranked(conn, row, spells, horizon, refusing)),
            )
            for row in rows
        ),
    )  # fmt: skip


def _ranked(
    conn: Connection, row: Any, spells: Spells, horizon: timedelta, refusing: Set[str]
) -> Iterator[Ranked]:
    """The children of one list, by rank. A city's year is a million of them: no detours."""
    s, e, on = list_scores.c, list_entries.c, row.list_date
    stated = getattr(s, f"{row.judge}_chance", null()) if _measured(row) else null()
    given = select(e.student).where(e.list_id == row.id, e.supported)
    supported = set(conn.execute(given).scalars())
    query = select(s.student, s.score, stated, s.rules_score, s.rank, s.listed)
    for student, score, chance, points, rank, listed in conn.execute(
        query.where(s.list_id == row.id).order_by(s.rank)
    ):
        if student in refusing:
            continue
        inside, began = False, None
        if had := spells.get(student):
            inside = any(start <= on and (over is None or over > on) for start, over in had)
            within = [start for start, _ in had if on < start <= on + horizon]
            began = min(within) if within and not inside else None
        new = listed and student not in supported
        yield Ranked(student, score, chance, points, rank, listed, new, not inside, began)


def _measured(row: Any) -> bool:
    """Were enough outcomes known on a list's day for it to state a probability at all?

    Before, its numbers come from an assumed rate (judging/base_rate.py), people are told "not
    measured", and to hold those numbers against what happened would be unfair either way.
    """
    why = why_of(row)
    return bool(why.get("hits", 0) >= why.get("least_hits", 0))


def first_lists(conn: Connection, board: str, today: date) -> dict[str, date]:
    """By school: the date of its first list of all, up to today."""
    w = warning_lists.c
    query = select(w.school, func.min(w.list_date)).where(w.board == board, w.list_date <= today)
    rows = conn.execute(query.group_by(w.school).order_by(w.school))
    return {row[0]: row[1] for row in rows}


def _listed_before(conn: Connection, board: str, first: date) -> frozenset[str]:
    w, e = warning_lists.c, list_entries.c
    query = select(e.student).join(warning_lists, w.id == e.list_id)
    query = query.where(w.board == board, w.list_date < first)
    return frozenset(conn.execute(query.distinct()).scalars())


def _changes(conn: Connection, board: str) -> tuple[object, ...]:
    """Something that differs when an outcome, who refuses, or what was erased does."""
    e, o = events.c, opt_outs.c
    # Literal, as below, so that SQLite sees that the index of these few covers it.
    asking = [literal_column(f"'{name}'", String) for name in ASKS_FOR_DERIVATION]
    gone = conn.execute(
        select(func.max(e.position)).where(e.board == board, e.type.in_(asking))
    ).scalar()
    outcomes = conn.execute(
        select(func.max(e.position), func.count())
        .where(e.board == board)
        .where(e.type == literal_column("'outcome_recorded'"))
    ).one()
    refusals = conn.execute(
        select(func.count(), func.count(o.until_at), func.max(o.from_at), func.max(o.until_at))
        .where(o.board == board)
    ).one()  # fmt: skip
    return (gone, *outcomes, *refusals)
