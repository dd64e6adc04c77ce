"""Accounts at providers and whose they are: links, what boards expect, and who undoes them."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import update

from tests import make
from warning_service.access.doors.identities import NobodyHere
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.tables import audit
from warning_service.clock import MovableClock
from warning_service.rooms import Rooms
from warning_service.roster import tables as roster

ISSUER = "https://accounts.example"
USING = Ability.MANAGE_ACCOUNTS
ADMIN = Principal(kind="staff", key="staff-admin", board=make.BOARD, csrf="", duties=())


@pytest.fixture
def child(rooms: Rooms) -> str:
    make.places(rooms.database)
    make.staff(rooms.database, "tanaka", ("homeroom", "sakura-1"))
    make.staff(rooms.database, "suzuki@school.example")
    return make.children(rooms.log, "sakura-1", 1)[0]


def staff_of(rooms: Rooms, subject: str, address: str = "", *, board: str = make.BOARD) -> str:
    return rooms.identities.person("staff", board, ISSUER, subject, address)


def test_an_expected_address_links_once(rooms: Rooms, child: str) -> None:
    rooms.identities.expect("staff", make.BOARD, {" Tanaka@School.example ": "staff-tanaka"})
    assert rooms.identities.expected("staff", "staff-tanaka") == ["tanaka@school.example"]
    assert staff_of(rooms, "u-1", "tanaka@school.example") == "staff-tanaka"
    assert staff_of(rooms, "u-1") == "staff-tanaka"
    with pytest.raises(NobodyHere) as second:
        staff_of(rooms, "u-2", "tanaka@school.example")
    assert not second.value.inactive
    linked = rooms.identities.of("staff", ["staff-tanaka", "x"])["staff-tanaka"]
    assert [(one.issuer, one.linked_at) for one in linked] == [(ISSUER, rooms.clock.now())]
    rows = [(r.action, r.subject) for r in make.rows(rooms.database, audit)]
    assert rows.count(("account_linked", "staff-tanaka")) == 1
    assert "tanaka@" not in str(make.rows(rooms.database, audit))


def test_another_provider_may_have_another_account_of_the_same_person(
    rooms: Rooms, child: str
) -> None:
    rooms.identities.expect("staff", make.BOARD, {"tanaka@school.example": "staff-tanaka"})
    staff_of(rooms, "u-1", "tanaka@school.example")
    found = rooms.identities.person(
        "staff", make.BOARD, "https://other.example", "x", "tanaka@school.example"
    )
    assert found == "staff-tanaka"
    assert len(rooms.identities.of("staff", ["staff-tanaka"])["staff-tanaka"]) == 2


def test_a_login_that_is_a_whole_address_is_expected_too(rooms: Rooms, child: str) -> None:
    assert staff_of(rooms, "u-1", "suzuki@school.example") == "staff-suzuki@school.example"
    with pytest.raises(NobodyHere):
        rooms.identities.person("child", make.BOARD, ISSUER, "c", "suzuki@school.example")
    with pytest.raises(NobodyHere):
        staff_of(rooms, "u-2", "suzuki@school.example", board="another")


def test_no_address_is_nobodys(rooms: Rooms, child: str) -> None:
    with rooms.database.writing() as conn:
        conn.execute(update(roster.staff).where(roster.staff.c.login == "tanaka").values(login=""))
    with pytest.raises(NobodyHere):
        staff_of(rooms, "u-1", "")


def test_who_is_not_here_any_more_is_inactive(
    rooms: Rooms, child: str, clock: MovableClock
) -> None:
    rooms.identities.expect("child", make.BOARD, {"c@school.example": child})
    person = rooms.identities.person
    assert person("child", make.BOARD, ISSUER, "c", "c@school.example") == child
    with pytest.raises(NobodyHere) as elsewhere:
        person("child", "another", ISSUER, "c", "")  # a provider of another board
    assert elsewhere.value.inactive
    with rooms.database.writing() as conn:
        conn.execute(update(roster.enrolments).values(until_day=clock.today() + timedelta(days=1)))
    assert person("child", make.BOARD, ISSUER, "c", "") == child
    clock.move_by(timedelta(days=1))
    with pytest.raises(NobodyHere) as left:
        person("child", make.BOARD, ISSUER, "c", "")
    assert left.value.inactive
    with pytest.raises(NobodyHere) as unlinked:
        person("child", make.BOARD, ISSUER, "c-2", "c@school.example")
    assert unlinked.value.inactive


def test_a_manager_unlinks_and_the_next_account_may_come(rooms: Rooms, child: str) -> None:
    rooms.identities.expect("staff", make.BOARD, {"tanaka@school.example": "staff-tanaka"})
    staff_of(rooms, "u-1", "tanaka@school.example")
    assert rooms.identities.unlink(ADMIN, "staff", "staff-tanaka", using=USING) is True
    assert rooms.identities.of("staff", ["staff-tanaka"]) == {}
    assert rooms.identities.unlink(ADMIN, "staff", "staff-tanaka", using=USING) is False
    assert staff_of(rooms, "u-2", "tanaka@school.example") == "staff-tanaka"
    with pytest.raises(NobodyHere):
        staff_of(rooms, "u-1", "tanaka@school.example")
    rows = [(r.actor, r.action, r.subject) for r in make.rows(rooms.database, audit)]
    assert ("staff-admin", "account_unlinked", "staff-tanaka") in rows


def test_an_address_is_expected_for_one_person(rooms: Rooms, child: str) -> None:
    expect = rooms.identities.expect
    expect("staff", make.BOARD, {})
    many = {f"t{n}@school.example": "staff-tanaka" for n in range(501)}
    expect("staff", make.BOARD, many)
    expect("staff", make.BOARD, many)  # again is harmless
    with pytest.raises(ValueError, match="somebody else"):
        expect("staff", make.BOARD, {"new@school.example": "x", "T500@school.example": "x"})
    assert rooms.identities.expected("staff", "x") == []
    expect("child", make.BOARD, {"t500@school.example": child})  # a child's is another thing
    assert rooms.identities.expected("child", child) == ["t500@school.example"]


def test_a_manager_notes_an_address_in_place_of_the_one_before(rooms: Rooms, child: str) -> None:
    def note(key: str, address: str) -> None:
        rooms.identities.note(ADMIN, "staff", key, address, using=USING)

    rooms.identities.expect("staff", make.BOARD, {"a@school.example": "staff-tanaka"})
    note("staff-tanaka", " B@School.example")
    assert rooms.identities.expected("staff", "staff-tanaka") == ["b@school.example"]
    note("staff-tanaka", "b@school.example")  # again is harmless
    with pytest.raises(ValueError, match="somebody else"):
        note("staff-suzuki@school.example", "b@school.example")
    for bad in ("b", "a b@school.example", "@school.example", "x" * 101 + "@school.example"):
        with pytest.raises(ValueError, match="not like"):
            note("staff-tanaka", bad)
    note("staff-tanaka", "")
    note("staff-suzuki@school.example", "b@school.example")
    assert rooms.identities.expected("staff", "staff-tanaka") == []
    rows = [(r.actor, r.action, r.subject) for r in make.rows(rooms.database, audit)]
    assert rows.count(("staff-admin", "account_noted", "staff-tanaka")) == 3
    assert "@school.example" not in str(
        [(r.action, r.detail) for r in make.rows(rooms.database, audit)]
    )


@pytest.mark.parametrize("subjects", [["u-1"] * 6, [f"u-{n}" for n in range(6)]])
def test_first_sign_ins_at_the_same_time_make_one_link(
    rooms: Rooms, child: str, subjects: list[str]
) -> None:
    rooms.identities.expect("staff", make.BOARD, {"tanaka@school.example": "staff-tanaka"})
    start = threading.Barrier(len(subjects))
    got: list[str] = []

    def come(subject: str) -> None:
        start.wait()
        try:
            got.append(staff_of(rooms, subject, "tanaka@school.example"))
        except NobodyHere:
            got.append("refused")

    threads = [threading.Thread(target=come, args=(one,)) for one in subjects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    same = len(set(subjects)) == 1
    assert sorted(got) == sorted(
        ["staff-tanaka"] * 6 if same else ["staff-tanaka", *["refused"] * 5]
    )
    assert len(make.rows(rooms.database, roster.identities)) == 1
