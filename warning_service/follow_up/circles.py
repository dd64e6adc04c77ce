"""Children reached by something else than a roll: the agenda of a meeting, cases handed over.

`access/` asks here (see gateway.Circles) when a duty reaches an agenda or cases and not a class or
a school. Keys only, no names.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from warning_service.follow_up import cases as handed_over
from warning_service.judging import queries as judging
from warning_service.roster import queries as roster


class FollowUpCircles:
    """The two circles, read from the lists and the hand-overs."""

    def agenda(self, conn: Connection, schools: Collection[str]) -> set[str]:
        """Children listed on these schools' latest lists whose families have not refused since."""
        found: set[str] = set()
        for school in schools:
            latest = judging.latest_list(conn, school)
            if latest is not None:
                found |= {entry.student for entry in judging.entries(conn, latest.id)}
        return found - roster.refusing(conn, found)

    def cases(self, conn: Connection, boards: Collection[str]) -> set[str]:
        """Children handed over to these boards' welfare offices and not yet handed back."""
        return {case.student for case in handed_over.at_offices(conn, boards)}
