"""Counts of a school year's cases: given, under way, ended, on what ground, what meetings decided.

For the statistics a board has to give and the yearly look at whether the system serves its purpose.
No names and no student keys come out; small cells are the page's to suppress.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from statistics import median

import msgspec
from sqlalchemy import Connection, select

from warning_service.clock import at
from warning_service.follow_up.tables import cases, reviews
from warning_service.roster import queries as roster

OPEN = "open"


class CaseCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Cases given on the days `first` to `last`. Keys are ids; `ended`: how, or OPEN.

    `decided`: (scheme, class) of the last decision in each meeting. `days`: from giving to the end,
    the middle one of those that ended; None without any.
    """

    given: int
    by_ground: dict[str, int]
    by_basis: dict[str, int]
    by_school: dict[str, int]
    by_month: dict[str, int]
    ended: dict[str, int]
    decided: dict[tuple[str, str], int]
    days: float | None


def case_counts(conn: Connection, board: str, first: date, last: date) -> CaseCounts:
    """The board's cases of these days. Children whose families refuse support are not counted,
    unless their case is for their safety.
    """
    c = cases.c
    rows = conn.execute(
        select(cases)
        .where(c.board == board, c.given_at >= at(first), c.given_at < at(last + timedelta(days=1)))
        .order_by(c.given_at, c.id)
    ).all()
    refusing = roster.refusing(conn, {row.student for row in rows})
    rows = [row for row in rows if row.ground == "help" or row.student not in refusing]
    held = {row.id for row in rows}
    decided: Counter[tuple[str, str]] = Counter()
    if held:
        r = reviews.c
        mine = select(c.id).where(c.board == board)
        for one in conn.execute(select(reviews).where(r.list_id.in_(mine))):
            if one.list_id in held:
                decided[one.scheme, one.chosen] += 1
    took = [(row.ended_at - row.given_at).total_seconds() / 86400 for row in rows if row.ended_at]
    return CaseCounts(
        given=len(rows),
        by_ground=dict(Counter(row.ground for row in rows)),
        by_basis=dict(Counter(row.basis for row in rows if row.basis)),
        by_school=dict(Counter(row.school for row in rows)),
        by_month=dict(Counter(f"{row.given_at:%Y-%m}" for row in rows)),
        ended=dict(Counter(row.ended_how or OPEN for row in rows)),
        decided=dict(decided),
        days=median(took) if took else None,
    )
