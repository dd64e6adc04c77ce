"""Children reached by something else than a roll: the agenda of a meeting, cases handed over.

`access/` asks here (see gateway.Circles) when a duty reaches an agenda or cases and not a class or
a school. Keys only, no names.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from warning_service.access.roles import Role
from warning_service.clock import Clock
from warning_service.follow_up import cases as handed_over
from warning_service.follow_up.meetings import Occasion, latest_lists, turns
from warning_service.playbooks.service import Playbooks
from warning_service.roster import queries as roster


class FollowUpCircles:
    """The two circles, read from the lists, the hand-overs and the playbook's meetings."""

    def __init__(self, playbooks: Playbooks, clock: Clock) -> None:
        self._playbooks = playbooks
        self._clock = clock

    def agenda(self, conn: Connection, schools: Collection[str]) -> set[str]:
        """Children on the agenda of the first meeting on these schools' latest lists: the listed,
        or the whole roll where the playbook reviews all; not those whose families have refused.
        """
        found: set[str] = set()
        for school in schools:
            board = roster.board_of_school(conn, school)
            if board is not None:
                found |= self._on_agenda(conn, board, [school], Role.COMMITTEE)
        return found - roster.refusing(conn, found)

    def cases(self, conn: Connection, boards: Collection[str]) -> set[str]:
        """Children handed over to these boards' welfare offices and not yet handed back; and those
        whose turn has come in a meeting in which the playbook gives the office a seat.
        """
        given = {case.student for case in handed_over.at_offices(conn, boards)}
        found: set[str] = set()
        for board in boards:
            found |= self._on_agenda(conn, board, None, Role.WELFARE)
        return given | (found - roster.refusing(conn, found))

    def _on_agenda(
        self, conn: Connection, board: str, schools: Collection[str] | None, seat: Role
    ) -> set[str]:
        # A broken file must not take a case for a child's safety out of the office's sight; what
        # stands in for it gives the office no seat.
        try:
            playbook = self._playbooks.for_help(board)
        except KeyError:  # a duty at a board there is not
            return set()
        mine = [one for one in playbook.sittings if seat.value in one.duties]
        if not mine:
            return set()
        today = self._clock.today()
        rows = latest_lists(conn, board, schools)
        on = Occasion(playbook=playbook, board=board, rows=rows, today=today)
        return {student for sitting in mine for student in turns(conn, on, sitting)}
