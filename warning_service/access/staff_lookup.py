"""Who holds a duty, and who is behind a chat account: keys and duties, never names.

Alerts ask here whether anybody is there to be told; the chat connector asks whose thumb pressed a
button. Both get keys only, so nothing from here needs to be on the audit trail.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from sqlalchemy import ColumnElement, Connection, or_, select

from warning_service.access.roles import Role
from warning_service.access.sessions import Duty, Principal
from warning_service.roster import tables as roster


def holders(conn: Connection, places: Collection[str], on: date) -> dict[tuple[str, str], set[str]]:
    """(role, place) -> keys of the active staff who hold that duty on that day."""
    s, d = roster.staff, roster.duties
    found: dict[tuple[str, str], set[str]] = {}
    wanted = sorted(places)
    for start in range(0, len(wanted), 500):
        rows = conn.execute(
            select(d.c.staff, d.c.role, d.c.place)
            .join(s, s.c.staff == d.c.staff)
            .where(d.c.place.in_(wanted[start : start + 500]), s.c.active, _in_force(on))
        )
        for row in rows:
            found.setdefault((row.role, row.place), set()).add(row.staff)
    return found


def by_slack_user(conn: Connection, slack_user: str, board: str, on: date) -> Principal | None:
    """The member of staff of `board` whom Slack knows by that id, with the duties of that day.

    None for an unknown or inactive one, and for an id that two accounts claim: then nobody can say
    who pressed.
    """
    s, d = roster.staff, roster.duties
    rows = conn.execute(
        select(s.c.staff).where(s.c.slack_user == slack_user, s.c.board == board, s.c.active)
    ).all()
    if len(rows) != 1 or not slack_user:
        return None
    key = str(rows[0].staff)
    held = conn.execute(
        select(d.c.role, d.c.place)
        .where(d.c.staff == key, _in_force(on))
        .order_by(d.c.role, d.c.place)
    )
    return Principal(
        kind="staff",
        key=key,
        board=board,
        csrf="",
        duties=tuple(Duty(Role(row.role), row.place) for row in held),
    )


def _in_force(on: date) -> ColumnElement[bool]:
    d = roster.duties
    return (d.c.from_day <= on) & or_(d.c.until_day.is_(None), d.c.until_day > on)
