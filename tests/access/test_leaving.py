"""The day somebody left, and the clock's day: 31 March is the last day of a school year."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import update

from tests import make
from warning_service.access import leaving
from warning_service.access.retention import shipped_clocks
from warning_service.rooms import Rooms
from warning_service.roster import tables as roster
from warning_service.roster.service import end_enrolment


@pytest.mark.parametrize(
    ("today", "gone"), [(date(2031, 3, 31), 0), (date(2031, 4, 1), 2), (date(2032, 4, 1), 3)]
)
def test_whoever_leaves_with_the_school_year_is_of_that_year(
    rooms: Rooms, today: date, gone: int
) -> None:
    make.places(rooms.database)
    keys = make.children(rooms.log, "sakura-1", 3, since=date(2025, 4, 8))
    for key, off in zip(keys, (date(2026, 3, 31), date(2026, 4, 1), date(2026, 4, 2)), strict=True):
        with rooms.log.unit_of_work() as unit:
            end_enrolment(
                unit, board=make.BOARD, student=key, class_id="sakura-1", on=off, actor="x"
            )
    before = shipped_clocks()["leavers"].before(today)
    with rooms.database.reading() as conn:
        found = leaving.children_who_left(conn, make.BOARD, before, 10)
    assert [one.key for one in found] == keys[:gone]


def test_staff_whose_duties_end_with_the_school_year(rooms: Rooms) -> None:
    make.places(rooms.database)
    for login, off in (("old", date(2026, 4, 1)), ("newer", date(2026, 4, 2))):
        key = make.staff(rooms.database, login, ("nurse", make.SCHOOL))
        with rooms.database.writing() as conn:
            conn.execute(
                update(roster.duties)
                .where(roster.duties.c.staff == key)
                .values(from_day=date(2025, 4, 1), until_day=off)
            )
    with rooms.database.reading() as conn:
        left = leaving.staff_who_left(conn, make.BOARD, date(2026, 4, 1), 10, with_sign_in=True)
    assert [one.key for one in left] == ["staff-old"]
