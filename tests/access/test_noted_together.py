"""What opens or shuts a door, and its line on the trail: both are stored, or neither is.

Each step is tried while the trail's table is away; afterwards everything that says who may come in
is as it was. The same for disclosures is in tests/rights/test_disclosure.py.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import make
from tests.access.authenticator import Authenticator
from tests.teacher_portal.school import School
from warning_service.access.doors.pictures import PICTURES_OF_SECRETS
from warning_service.access.doors.second_factors import code_now
from warning_service.access.doors.setting_up import make_cards
from warning_service.access.tables import class_cards, passkeys, recovery_codes, sessions
from warning_service.access.tables import staff_factors as factors_table
from warning_service.rooms import Rooms
from warning_service.roster.tables import seats, staff

ROOM = "sakura-1"
NURSE = "staff-nurse"
DOORS = (staff, seats, sessions, factors_table, recovery_codes, passkeys, class_cards)


class Doors:
    """A school whose nurse has an app, a passkey and codes, and whose class has a card."""

    def __init__(self, school: School) -> None:
        self.school, self.rooms = school, school.rooms
        rooms = self.rooms
        make.staff(rooms.database, "clerk", ("accounts", make.BOARD))
        self.nurse, self.mori = school.who("nurse"), school.who("homeroom")
        token = rooms.sessions.start_staff("staff-clerk", make.BOARD, factors=("totp",))
        clerk = rooms.sessions.find(token)
        assert clerk is not None
        self.clerk = clerk
        self.new_app()
        assert rooms.factors.prove_totp(NURSE, self.code, self.nurse.token_hash)
        rooms.factors.new_recovery_codes(NURSE)
        self.key = Authenticator(host="127.0.0.1", origin=rooms.settings.public_url)
        rooms.passkeys.register(self.nurse, "key", self.answer(self.key))
        rooms.cards.new_card(self.mori, ROOM)
        self.new_app()
        self.offered = self.answer(Authenticator("127.0.0.1", rooms.settings.public_url))

    def new_app(self) -> None:
        secret = self.rooms.factors.offer_totp(NURSE, self.nurse.token_hash)
        self.code = code_now(secret, self.rooms.clock.now())

    def answer(self, device: Authenticator) -> str:
        return device.create(self.rooms.passkeys.ask_to_register(self.nurse, "nurse"))

    def steps(self) -> dict[str, Callable[[], object]]:
        rooms, nurse = self.rooms, self.nurse
        note = rooms.trail.line(nurse, "factor_removed", NURSE)
        card_of = (rooms.database, rooms.sealer, rooms.playbooks)
        [passkey] = rooms.passkeys.of(NURSE)
        [mine] = rooms.sessions.living("staff-homeroom")
        return {
            "sign in": lambda: rooms.staff_door.sign_in("other", make.PASSWORD, "here"),
            "password": lambda: rooms.passwords.change(NURSE, "another horse battery"),
            "new app": lambda: rooms.confirming.prove_app(nurse, self.code, "here"),
            "new passkey": lambda: rooms.confirming.add_passkey(nurse, "k", self.offered),
            "step up": lambda: rooms.confirming.show_password(self.mori, make.PASSWORD, "here"),
            "codes": lambda: rooms.factors.new_recovery_codes(NURSE, note=note),
            "no app": lambda: rooms.factors.remove_totp(NURSE, note=note),
            "no passkey": lambda: rooms.passkeys.remove(NURSE, passkey.id, note=note),
            "end one": lambda: rooms.sessions.end_one("staff-homeroom", mine.id, note=note),
            "end all": lambda: rooms.sessions.end_all("staff-homeroom", note=note),
            "reset": lambda: rooms.accounts.reset_factors(self.clerk, NURSE),
            "close": lambda: rooms.accounts.set_active(self.clerk, NURSE, active=False),
            "new card": lambda: rooms.cards.new_card(self.mori, ROOM),
            "stop card": lambda: rooms.cards.stop_card(self.mori, ROOM),
            "pictures": lambda: rooms.cards.renew(self.mori, ROOM),
            "first pictures": lambda: make_cards(
                *card_of, "SAKURA-2", PICTURES_OF_SECRETS, trail=rooms.trail, actor="system:cli"
            ),
        }

    def stored(self) -> list[list[str]]:
        return [sorted(map(str, make.rows(self.rooms.database, table))) for table in DOORS]


@pytest.fixture
def doors(rooms: Rooms) -> Doors:
    school = School(rooms)
    with rooms.database.writing() as conn:
        conn.execute(seats.update().where(seats.c.class_id == "sakura-2").values(secret_hash=""))
    return Doors(school)


def test_no_door_opens_or_shuts_without_its_line_on_the_trail(doors: Doors) -> None:
    before, steps = doors.stored(), doors.steps()
    done = []
    with make.no_trail(doors.rooms.database):
        for name, step in steps.items():
            with pytest.raises(make.NO_TRAIL):
                step()
            if doors.stored() != before:
                done.append(name)
                before = doors.stored()
    assert done == []
    # And what was refused then was refused for that alone.
    for name in ("new card", "pictures", "first pictures", "reset", "close"):
        steps[name]()
        assert doors.stored() != before, name
        before = doors.stored()
    assert steps["first pictures"]() == [], "everybody has some now"


def test_sessions_that_were_not_ended_are_not_forgotten(doors: Doors) -> None:
    rooms = doors.rooms
    token = rooms.staff_door.sign_in("guidance", make.PASSWORD, "here")
    assert token is not None and rooms.sessions.find(token) is not None
    with make.no_trail(rooms.database), pytest.raises(make.NO_TRAIL):
        rooms.passwords.change("staff-guidance", "another horse battery")
    assert rooms.sessions.find(token) is not None
    rooms.passwords.change("staff-guidance", "another horse battery")
    assert rooms.sessions.find(token) is None
