"""Children before school never get a sign-in: not by a card, a code, a secret or an account."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import update

from tests import make
from tests.access.test_child_door import ROOM, SECRET, Class
from warning_service.access.doors.identities import NobodyHere
from warning_service.access.gateway import NotYours
from warning_service.rooms import Rooms
from warning_service.roster import tables as roster

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def room(rooms: Rooms) -> Class:
    return Class(rooms)


def test_the_doors_of_a_class_stay_shut(room: Class) -> None:
    rooms, mori = room.rooms, room.who("mori")
    key, _ = room.tablet()
    assert rooms.child_door.class_door(ROOM.upper()) is not None
    assert rooms.child_door.sign_in(ROOM.upper(), 1, SECRET, "here")
    room.grade(0)
    assert rooms.child_door.class_door(ROOM.upper()) is None
    assert rooms.child_door.card_door(key) is None
    assert rooms.child_door.sign_in(ROOM.upper(), 1, SECRET, "here") is None
    with pytest.raises(NotYours):
        rooms.cards.new_card(mori, ROOM)
    assert rooms.cards.seats(mori, ROOM) == []
    assert rooms.cards.renew(mori, ROOM) == []
    with pytest.raises(NotYours):
        rooms.cards.renew(mori, ROOM, seat=1)


def test_no_account_is_linked_or_used(room: Class) -> None:
    rooms, child = room.rooms, room.children[0]
    rooms.identities.expect("child", make.BOARD, {"c@school.example": child})
    issuer = "https://id.example"

    def grade(number: int) -> None:
        with rooms.database.writing() as conn:
            conn.execute(update(roster.enrolments).values(grade=number))

    grade(-2)
    with pytest.raises(NobodyHere):
        rooms.identities.person("child", make.BOARD, issuer, "c", "c@school.example")
    grade(1)
    assert rooms.identities.person("child", make.BOARD, issuer, "c", "c@school.example") == child
    grade(0)
    with pytest.raises(NobodyHere):
        rooms.identities.person("child", make.BOARD, issuer, "c", "")
    assert rooms.clock.today() > date(2026, 4, 8)
