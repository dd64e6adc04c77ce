"""Questions to the audit trail: the auditor's search, and who looked at one child.

Answers hold keys, ids and times; names of staff come from `staff_found` and `names_of`, children
stay keys. Nothing is written here; that somebody searched is for the page to put on the trail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, func, or_, select, true

from warning_service.access.tables import audit, looking_alarms
from warning_service.access.trail.actions import Kind, actions, of_kind
from warning_service.access.trail.audit import REFUSED
from warning_service.clock import at
from warning_service.roster import tables as roster

PAGE = 50
COUNTED_UP_TO = 10_000
"""More hits than these are "more than": counting all of them would read the whole trail."""

MOST_EXPORTED = 50_000
MOST_STAFF = 50
EARLIEST, LATEST = date(2000, 1, 1), date(2100, 12, 31)
"""No trail is of a day outside these."""

SORTS = {
    "at": audit.c.seq,
    "person": audit.c.actor,
    "what": audit.c.action,
    "about": audit.c.subject,
}
KINDS: tuple[Kind, ...] = (
    "opened", "shown", "change", "export", "numbers", "rights", "door", "office",
)  # fmt: skip
REFUSALS = "refused"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for. `what`: a kind, an action's id or `refused`; None or '' means all."""

    board: str
    staff: Sequence[str] | None = None
    about: str = ""
    what: str = ""
    first: date | None = None
    last: date | None = None


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One page of hits. `count` is at most COUNTED_UP_TO + 1."""

    rows: list[Any]
    count: int


def search(
    conn: Connection, wanted: Wanted, *, sort: str = "at", descending: bool = True, page: int = 1
) -> Found:
    """The `page`-th page of hits, by a key of SORTS (then by time, the same way round)."""
    where = _where(wanted)
    inner = select(audit.c.seq).where(where).limit(COUNTED_UP_TO + 1).subquery()
    count = int(conn.execute(select(func.count()).select_from(inner)).scalar_one())
    query = _sorted(select(audit).where(where), sort, descending=descending)
    rows = conn.execute(query.limit(PAGE).offset(PAGE * (page - 1))).all()
    return Found(rows=list(rows), count=count)


def everything(
    conn: Connection, wanted: Wanted, *, sort: str = "at", descending: bool = True
) -> Iterator[Any]:
    """All hits up to MOST_EXPORTED, for a file."""
    query = _sorted(select(audit).where(_where(wanted)), sort, descending=descending)
    yield from conn.execute(query.limit(MOST_EXPORTED).execution_options(yield_per=2000))


def about_child(
    conn: Connection, student: str, first: date, last: date, *, board: str
) -> list[Any]:
    """Rows on one child from `first` to `last`, oldest first."""
    a = audit.c
    return list(
        conn.execute(
            select(audit)
            .where(a.subject == student, a.board == board)
            .where(a.at >= at(_within(first)), a.at < at(_within(last) + timedelta(days=1)))
            .order_by(a.seq)
        )
    )


def is_about(conn: Connection, key: str, board: str) -> bool:
    """Is anything on the board's trail about this key? Words somebody typed are none."""
    a = audit.c
    found = select(a.seq).where(a.subject == key, a.board.in_([board, ""])).limit(1)
    return conn.execute(found).first() is not None


def first_day(conn: Connection, board: str) -> datetime | None:
    """When a board's first row that is kept was written; None when there is none.

    Not a child's first row: that could be one the family is not told of.
    """
    found: datetime | None = conn.execute(
        select(audit.c.at).where(audit.c.board == board).order_by(audit.c.seq).limit(1)
    ).scalar_one_or_none()
    return found


def open_alarms(conn: Connection, board: str) -> int:
    """How many alarms on odd looking nobody has settled yet."""
    a = looking_alarms.c
    return int(
        conn.execute(
            select(func.count()).where(a.board == board, a.acknowledged_at.is_(None))
        ).scalar_one()
    )


def staff_found(conn: Connection, board: str, words: str) -> dict[str, str]:
    """Staff key -> name, of those of the board whose name or login holds `words`.

    At most MOST_STAFF; `conn` has to be one that may read names.
    """
    s = roster.staff
    like = "%" + words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    rows = conn.execute(
        select(s.c.staff, s.c.name)
        .where(s.c.board == board)
        .where(
            or_(
                s.c.name.like(like, escape="\\"),
                s.c.login.like(like, escape="\\"),
                s.c.staff == words,
            )
        )
        .order_by(s.c.name, s.c.staff)
        .limit(MOST_STAFF)
    )
    return {row.staff: row.name for row in rows}


def names_of(conn: Connection, board: str, staff: Collection[str]) -> dict[str, str]:
    """Staff key -> name; `conn` has to be one that may read names."""
    s = roster.staff
    wanted = sorted(set(staff))
    found: dict[str, str] = {}
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        rows = conn.execute(
            select(s.c.staff, s.c.name).where(s.c.board == board, s.c.staff.in_(part))
        )
        found |= {row.staff: row.name for row in rows}
    return found


def day_named(text: str) -> date | None:
    """The day somebody wrote, YYYY-MM-DD; None when it is none, or none a trail could be of."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if EARLIEST <= found <= LATEST else None


def _within(day: date) -> date:
    # The calendar's own ends have no day before or after them, and no instant in UTC.
    return min(max(day, EARLIEST), LATEST)


def _where(wanted: Wanted) -> ColumnElement[bool]:
    a = audit.c
    # Rows of the trail itself ("the head did not fit") concern every board.
    found: ColumnElement[bool] = a.board.in_([wanted.board, ""])
    if wanted.staff is not None:
        # A person's rows are those it caused and those that were done to its account.
        found &= a.actor.in_(wanted.staff) | a.subject.in_(wanted.staff)
    if wanted.about:
        found &= a.subject == wanted.about
    if wanted.first is not None:
        found &= a.at >= at(_within(wanted.first))
    if wanted.last is not None:
        found &= a.at < at(_within(wanted.last) + timedelta(days=1))
    return found & _doing(wanted.what)


def _doing(what: str) -> ColumnElement[bool]:
    a = audit.c
    if what == REFUSALS:
        return a.action.startswith(REFUSED, autoescape=True)
    if what in KINDS:
        return a.action.in_(of_kind(what))
    if what in actions():
        return a.action == what
    return true()


def _sorted(query: Select[Any], sort: str, *, descending: bool) -> Select[Any]:
    columns = [SORTS.get(sort, audit.c.seq)]
    if columns[0] is not audit.c.seq:
        columns.append(audit.c.seq)
    return query.order_by(*(c.desc() if descending else c for c in columns))
