"""The kinds that are about people as a whole, and those that only access may touch.

Children and adults who left lose their sign-in first and everything later. A child's end is
`erase.py`; here it is only found and handed there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, delete

from warning_service.access import leaving
from warning_service.access.leaving import Left
from warning_service.access.tables import looking, looking_alarms
from warning_service.access.trail import audit
from warning_service.access.trail.audit import TrailKeys
from warning_service.clock import at, day_of
from warning_service.follow_up.tables import digest_choices
from warning_service.keeping.erase import erase_rows
from warning_service.keeping.kinds import Rows, Took

MOST = 1_000_000
AT_ONCE = 20
"""Children erased together: judging's state is opened once for all of them."""


def _took(left: Sequence[Left]) -> Took:
    days = [one.on for one in left]
    return Took(len(left), min(days, default=None), max(days, default=None))


@dataclass(frozen=True)
class Rejects:
    """Rows of imported files that could not be taken; they hold names."""

    id: str = "rejects"
    judged: bool = False
    by_board: bool = False

    def due(self, conn: Connection, board: str, before: date) -> Took:  # noqa: ARG002
        rows = leaving.rejects_before(conn, at(before))
        days = [day_of(row.at) for row in rows]
        return Took(len(rows), min(days, default=None), max(days, default=None))

    def take(self, conn: Connection, board: str, before: date, limit: int) -> Took:  # noqa: ARG002
        rows = leaving.rejects_before(conn, at(before), limit)
        leaving.drop_rejects(conn, [row.id for row in rows])
        days = [day_of(row.at) for row in rows]
        return Took(len(rows), min(days, default=None), max(days, default=None))


@dataclass(frozen=True)
class Trail:
    """The beginning of the audit trail, and what was counted from it."""

    keys: TrailKeys
    id: str = "trail"
    judged: bool = False
    by_board: bool = False

    @staticmethod
    def _counted() -> tuple[Rows, ...]:
        return (Rows(looking, looking.c.day), Rows(looking_alarms, looking_alarms.c.day))

    def due(self, conn: Connection, board: str, before: date) -> Took:
        whole = Took()
        old = audit.rows_before(conn, at(before))
        if old is not None:
            whole = Took(old[0], day_of(old[1]), day_of(old[1]))
        for rows in self._counted():
            whole = whole + rows.due(conn, board, before)
        return whole

    def take(self, conn: Connection, board: str, before: date, limit: int) -> Took:
        whole = Took()
        for rows in self._counted():
            whole = whole + rows.take(conn, board, before, limit)
        old = audit.rows_before(conn, at(before))
        if old is not None:
            count, oldest, until = old
            first = until - count + 1
            last = min(until, first + limit - 1)
            audit.shorten(conn, self.keys, last)
            whole = whole + Took(last - first + 1, day_of(oldest), day_of(oldest))
        return whole


@dataclass(frozen=True)
class LeaversSignIn:
    """Seats, sessions and accounts of children who are on no roll."""

    id: str = "leavers_sign_in"
    judged: bool = False
    by_board: bool = True

    def _due(self, conn: Connection, board: str, before: date) -> list[Left]:
        left = leaving.children_who_left(conn, board, before, MOST)
        return leaving.children_who_can_sign_in(conn, left)

    def due(self, conn: Connection, board: str, before: date) -> Took:
        return _took(self._due(conn, board, before))

    def take(self, conn: Connection, board: str, before: date, limit: int) -> Took:
        due = self._due(conn, board, before)[: min(limit, 200)]
        leaving.shut_out_children(conn, [one.key for one in due])
        return _took(due)


@dataclass(frozen=True)
class Leavers:
    """Everything that is left of children who left. Counted in children."""

    id: str = "leavers"
    judged: bool = True
    by_board: bool = True

    def due(self, conn: Connection, board: str, before: date) -> Took:
        return _took(leaving.children_who_left(conn, board, before, MOST))

    def next_ones(self, conn: Connection, board: str, before: date) -> list[str]:
        """Whose turn it is in the next batch."""
        return [one.key for one in leaving.children_who_left(conn, board, before, AT_ONCE)]

    def take(self, conn: Connection, board: str, before: date, limit: int) -> Took:
        due = leaving.children_who_left(conn, board, before, AT_ONCE)
        took = erase_rows(conn, board, [one.key for one in due], limit)
        return _took(due)._replace(rows=took.rows, log_rows=took.log_rows)


@dataclass(frozen=True)
class FormerStaffSignIn:
    """Passwords, factors and accounts of people without any duty."""

    id: str = "former_staff_sign_in"
    judged: bool = False
    by_board: bool = True

    def due(self, conn: Connection, board: str, before: date) -> Took:
        return _took(leaving.staff_who_left(conn, board, before, MOST, with_sign_in=True))

    def take(self, conn: Connection, board: str, before: date, limit: int) -> Took:
        due = leaving.staff_who_left(conn, board, before, min(limit, 200), with_sign_in=True)
        leaving.shut_out_staff(conn, [one.key for one in due])
        return _took(due)


@dataclass(frozen=True)
class FormerStaff:
    """Names and duties of people without any duty."""

    id: str = "former_staff"
    judged: bool = False
    by_board: bool = True

    def due(self, conn: Connection, board: str, before: date) -> Took:
        return _took(leaving.staff_who_left(conn, board, before, MOST, with_sign_in=False))

    def take(self, conn: Connection, board: str, before: date, limit: int) -> Took:
        due = leaving.staff_who_left(conn, board, before, min(limit, 200), with_sign_in=False)
        keys = [one.key for one in due]
        conn.execute(delete(digest_choices).where(digest_choices.c.staff.in_(keys)))
        leaving.forget_staff(conn, keys)
        return _took(due)
