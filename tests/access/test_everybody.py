"""Who works at a board, with the duties of a day: for what the service makes for each person."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from tests import make
from tests.access.test_accounts import TODAY, Office, person
from warning_service.access.staff_lookup import everybody
from warning_service.rooms import Rooms
from warning_service.roster import tables as roster


@pytest.fixture
def office(rooms: Rooms) -> Office:
    made = Office(rooms)
    person(rooms, "head", "management", "sakura")
    person(rooms, "gone", "nurse", "sakura")
    return made


def test_everybody_with_a_duty_and_an_account_and_nobody_else(office: Office) -> None:
    s, d = roster.staff, roster.duties
    with office.rooms.database.writing() as conn:
        conn.execute(update(s).where(s.c.staff == "staff-gone").values(active=False))
        conn.execute(update(s).where(s.c.staff == "staff-head").values(slack_user="U1"))
        yesterday = TODAY - timedelta(days=1)
        conn.execute(update(d).where(d.c.staff == "staff-mori").values(until_day=yesterday))
    with office.rooms.database.reading() as conn:
        found = everybody(conn, make.BOARD, TODAY)
        assert everybody(conn, "nowhere", TODAY) == {}
    assert not {"staff-gone", "staff-mori", "staff-far"} & set(found)
    who, slack_user = found["staff-head"]
    assert slack_user == "U1" and [duty.role for duty in who.duties] == ["management"]
