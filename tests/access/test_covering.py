"""Absences and stand-ins: entered for whom one may, counted at once, taken back, on the trail."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests import make
from tests.access.test_accounts import ROOM, TODAY, Office, person
from warning_service.access.covering import LONGEST_ABSENCE, MOST_DAYS
from warning_service.access.doors.accounts import Unfit
from warning_service.access.gateway import NotYours
from warning_service.access.presence import Presence
from warning_service.access.roles import Ability
from warning_service.access.tables import audit
from warning_service.clock import at
from warning_service.rooms import Rooms
from warning_service.roster import tables as t

NEXT = TODAY + timedelta(days=1)


@pytest.fixture
def office(rooms: Rooms) -> Office:
    made = Office(rooms)
    person(rooms, "head", "management", "sakura")
    person(rooms, "nurse", "nurse", "sakura")
    person(rooms, "head2", "management", "school2")
    return made


def there(office: Office, role: str, place: str, hour: int = 10, day: date = TODAY) -> set[str]:
    with office.rooms.database.reading() as conn:
        presence = Presence(conn, [place], office.rooms.clock.now())
        return presence.there(role, place, at(day, hour))


def actions(office: Office) -> list[str]:
    return [row.action for row in make.rows(office.rooms.database, audit)]


def test_the_person_and_who_plans_enter_an_absence_others_do_not(office: Office) -> None:
    covering = office.rooms.covering
    covering.add_absence(office.who("mori"), "staff-mori", TODAY, TODAY, "am")
    covering.add_absence(office.who("head"), "staff-nurse", TODAY, NEXT)
    covering.add_absence(office.clerk, "staff-nurse2", TODAY, TODAY)
    assert there(office, "homeroom", ROOM) == set()
    assert there(office, "homeroom", ROOM, 13) == {"staff-mori"}
    assert there(office, "nurse", "sakura", day=NEXT) == set()
    assert there(office, "nurse", "sakura", day=NEXT + timedelta(days=1)) == {"staff-nurse"}
    for asker, staff in (
        ("mori", "staff-nurse"), ("head2", "staff-mori"), ("head", "staff-nurse2"),
        ("head", "staff-far"), ("clerk", "staff-far"), ("head", "nobody"),
    ):  # fmt: skip
        with pytest.raises(NotYours):
            covering.add_absence(office.who(asker), staff, TODAY, TODAY)
    assert actions(office).count("absence_entered") == 3
    lines = make.rows(office.rooms.database, audit)
    assert {(row.actor, row.subject, row.detail) for row in lines} >= {
        ("staff-mori", "staff-mori", f"{TODAY}..{TODAY} am"),
        ("staff-head", "staff-nurse", f"{TODAY}..{NEXT} day"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("first", "last", "part"),
    [
        (NEXT, TODAY, "day"),
        (TODAY - timedelta(days=3), TODAY - timedelta(days=1), "day"),
        (TODAY, NEXT, "am"),
        (TODAY, TODAY, "night"),
        (TODAY, TODAY + timedelta(days=LONGEST_ABSENCE + 1), "day"),
    ],
)
def test_days_that_cannot_be_are_refused(
    office: Office, first: date, last: date, part: str
) -> None:
    with pytest.raises(Unfit):
        office.rooms.covering.add_absence(office.who("mori"), "staff-mori", first, last, part)
    assert "absence_entered" not in actions(office)


def test_an_absence_is_taken_back_once(office: Office) -> None:
    covering, mori = office.rooms.covering, office.who("mori")
    absence = covering.add_absence(mori, "staff-mori", TODAY, NEXT)
    for asker in ("nurse", "head2"):
        with pytest.raises(NotYours):
            covering.withdraw_absence(office.who(asker), absence)
    with pytest.raises(NotYours):
        covering.withdraw_absence(mori, "unknown")
    covering.withdraw_absence(office.who("head"), absence)
    covering.withdraw_absence(mori, absence)
    assert there(office, "homeroom", ROOM) == {"staff-mori"}
    assert actions(office).count("absence_withdrawn") == 1
    [row] = make.rows(office.rooms.database, t.absences)
    assert row.withdrawn_by == "staff-head"


def test_a_stand_in_holds_the_duty_and_gives_it_back(office: Office) -> None:
    covering = office.rooms.covering
    given = {"first": TODAY, "last": NEXT, "instead_of": "staff-mori"}
    stand_in = covering.add_stand_in(
        office.who("mori"),
        "staff-nurse",
        "homeroom",
        ROOM,
        **given,  # type: ignore[arg-type]
    )
    nurse = office.who("nurse")
    assert ROOM in nurse.reach(Ability.MANAGE_CARDS).classes
    assert there(office, "homeroom", ROOM) == {"staff-mori", "staff-nurse"}
    assert there(office, "homeroom", ROOM, day=NEXT + timedelta(days=1)) == {"staff-mori"}
    with pytest.raises(NotYours):
        covering.withdraw_stand_in(office.who("head2"), stand_in)
    covering.withdraw_stand_in(office.who("head"), stand_in)
    covering.withdraw_stand_in(office.who("head"), stand_in)
    assert ROOM not in office.who("nurse").reach(Ability.MANAGE_CARDS).classes
    # It began today, so it stays on record, ended.
    assert [
        row.until_day for row in make.rows(office.rooms.database, t.duties)
        if row.staff == "staff-nurse" and row.role == "homeroom"
    ] == [TODAY]  # fmt: skip
    assert actions(office).count("stand_in_ended") == 1


def test_one_of_a_day_to_come_is_taken_away_whole(office: Office) -> None:
    covering, head = office.rooms.covering, office.who("head")
    stand_in = covering.add_stand_in(
        head, "staff-mori", "guidance", "sakura", first=NEXT, last=NEXT
    )
    with office.rooms.database.reading() as conn:
        presence = Presence(conn, ["sakura"], office.rooms.clock.now())
        assert presence.rostered("sakura", NEXT) and not presence.rostered("sakura", TODAY)
    covering.withdraw_stand_in(head, stand_in)
    assert not [r for r in make.rows(office.rooms.database, t.duties) if r.role == "guidance"]


@pytest.mark.parametrize(
    ("asker", "staff", "role", "place", "instead_of", "wrong"),
    [
        ("nurse", "staff-nurse", "homeroom", ROOM, "staff-mori", NotYours),  # grabbing a class
        ("mori", "staff-nurse", "nurse", "sakura", "staff-mori", NotYours),  # not one's own duty
        ("mori", "staff-nurse", "guidance", "sakura", "", NotYours),  # the roster is planned
        ("head2", "staff-nurse", "homeroom", ROOM, "staff-mori", NotYours),
        ("head", "staff-nurse", "nurse", "school2", "staff-nurse2", NotYours),
        ("head", "staff-nurse", "nurse", "elsewhere", "staff-far", NotYours),
        ("head", "staff-nurse", "homeroom", "no such class", "staff-mori", NotYours),
        ("head", "staff-nurse2", "homeroom", ROOM, "staff-mori", "inactive"),  # of another school
        ("head", "staff-idle", "homeroom", ROOM, "staff-mori", "inactive"),  # no duty at all
        ("head", "staff-nurse", "homeroom", ROOM, "staff-lead", "place"),  # who does not hold it
        ("head", "staff-mori", "homeroom", ROOM, "staff-mori", "own"),
        ("head", "staff-nurse", "management", "sakura", "staff-head", "role"),
        ("head", "staff-nurse", "accounts", make.BOARD, "staff-clerk", "role"),
        ("head", "staff-nurse", "nonsense", "sakura", "staff-head", "role"),
        ("clerk", "staff-mori", "homeroom", ROOM, "", "duplicate"),  # holds it already
    ],
)  # fmt: skip
def test_who_may_not_give_what_to_whom(
    office: Office,
    asker: str,
    staff: str,
    role: str,
    place: str,
    instead_of: str,
    wrong: str | type[Exception],
) -> None:
    before = make.rows(office.rooms.database, t.duties)
    with pytest.raises(NotYours if wrong is NotYours else Unfit) as raised:
        office.rooms.covering.add_stand_in(
            office.who(asker), staff, role, place, first=TODAY, last=NEXT, instead_of=instead_of
        )
    assert wrong is NotYours or getattr(raised.value, "key", "") == wrong
    assert make.rows(office.rooms.database, t.duties) == before
    assert "stand_in_given" not in actions(office)


@pytest.mark.parametrize("days", [(-1, 1), (1, 0), (0, MOST_DAYS)])
def test_a_stand_in_is_for_days_to_come_and_not_for_long(
    office: Office, days: tuple[int, int]
) -> None:
    first, last = (TODAY + timedelta(days=n) for n in days)
    with pytest.raises(Unfit):
        office.rooms.covering.add_stand_in(
            office.who("head"), "staff-nurse", "homeroom", ROOM,
            first=first, last=last, instead_of="staff-mori",
        )  # fmt: skip


def test_working_days_are_set_and_forgotten(office: Office) -> None:
    covering = office.rooms.covering
    covering.set_working_days(office.who("head"), "staff-nurse", {1: "day", 2: "am"})
    assert there(office, "nurse", "sakura") == set()  # a Monday
    assert there(office, "nurse", "sakura", day=NEXT) == {"staff-nurse"}
    assert there(office, "nurse", "sakura", 13, NEXT + timedelta(days=1)) == set()
    covering.set_working_days(office.who("nurse"), "staff-nurse", {})
    assert there(office, "nurse", "sakura") == {"staff-nurse"}
    for days in ({7: "day"}, {0: "night"}):
        with pytest.raises(Unfit):
            covering.set_working_days(office.who("nurse"), "staff-nurse", days)
    with pytest.raises(NotYours):
        covering.set_working_days(office.who("mori"), "staff-nurse", {0: "day"})


def test_the_plan_shows_a_school_to_who_plans_and_oneself_to_others(office: Office) -> None:
    covering = office.rooms.covering
    covering.add_absence(office.who("mori"), "staff-mori", TODAY, TODAY, "pm")
    covering.add_absence(office.who("head"), "staff-nurse", TODAY, NEXT)
    covering.add_stand_in(
        office.who("head"), "staff-lead", "nurse", "sakura",
        first=TODAY, last=NEXT, instead_of="staff-nurse",
    )  # fmt: skip
    whole = covering.plan(office.who("head"), "sakura")
    assert {one.staff for one in whole.colleagues} == {
        "staff-mori", "staff-head", "staff-nurse", "staff-lead",
    }  # fmt: skip
    assert [(one.staff, one.part, one.first, one.last) for one in whole.away] == [
        ("staff-nurse", "day", TODAY, NEXT), ("staff-mori", "pm", TODAY, TODAY),
    ]  # fmt: skip
    assert [(one.staff, one.last) for one in whole.stand_ins] == [("staff-lead", NEXT)]
    own = covering.plan(office.who("mori"), "sakura")
    assert [one.staff for one in own.away] == ["staff-mori"] and own.stand_ins == ()
    assert covering.plan(office.clerk, "school2").away == ()
    assert covering.schools(office.clerk) is None
    assert covering.schools(office.who("mori")) == frozenset()
    assert covering.schools_worked_at(office.who("mori")) == {"sakura"}
    assert covering.schools_worked_at(office.who("lead")) == {"sakura"}
    assert covering.schools_worked_at(office.clerk) == frozenset()
    for asker, school in (("mori", "school2"), ("head2", "sakura"), ("head", "elsewhere")):
        with pytest.raises(NotYours):
            covering.plan(office.who(asker), school)


def test_without_the_trail_nothing_changes(office: Office) -> None:
    head = office.who("head")
    with make.no_trail(office.rooms.database), pytest.raises(make.NO_TRAIL):
        office.rooms.covering.add_absence(head, "staff-mori", TODAY, TODAY)
    with make.no_trail(office.rooms.database), pytest.raises(make.NO_TRAIL):
        office.rooms.covering.add_stand_in(
            head, "staff-nurse", "homeroom", ROOM,
            first=TODAY, last=NEXT, instead_of="staff-mori",
        )  # fmt: skip
    assert make.rows(office.rooms.database, t.absences) == []
    assert there(office, "homeroom", ROOM) == {"staff-mori"}


def test_a_stand_in_nobody_entered_cannot_be_taken_back(office: Office) -> None:
    with pytest.raises(NotYours):
        office.rooms.covering.withdraw_stand_in(office.who("head"), "unknown")


def test_the_plan_tells_which_days_a_colleague_works(office: Office) -> None:
    covering, head = office.rooms.covering, office.who("head")
    covering.set_working_days(head, "staff-nurse", {0: "day", 2: "am"})
    colleagues = {c.staff: c for c in covering.plan(head, "sakura").colleagues}
    assert colleagues["staff-nurse"].works == {0: "day", 2: "am"}
    assert colleagues["staff-mori"].works == {}


def test_nobody_hands_on_a_duty_for_longer_than_it_is_theirs(office: Office) -> None:
    covering = office.rooms.covering
    given = {"first": TODAY, "last": NEXT, "instead_of": "staff-mori"}
    covering.add_stand_in(office.who("mori"), "staff-nurse", "homeroom", ROOM, **given)  # type: ignore[arg-type]
    nurse = office.who("nurse")

    def hands_on(last: date) -> None:
        covering.add_stand_in(
            nurse, "staff-lead", "homeroom", ROOM, first=NEXT, last=last, instead_of="staff-nurse"
        )

    for days in (1, 60):
        with pytest.raises(Unfit) as raised:
            hands_on(NEXT + timedelta(days=days))
        assert raised.value.key == "dates"
    assert not there(office, "homeroom", ROOM, day=NEXT) & {"staff-lead"}
    hands_on(NEXT)  # within their own days they may
    assert "staff-lead" in there(office, "homeroom", ROOM, day=NEXT)
    # Who plans for the school decides for themselves.
    covering.add_stand_in(
        office.who("head"), "staff-lead", "homeroom", ROOM,
        first=NEXT + timedelta(days=1), last=NEXT + timedelta(days=9), instead_of="staff-nurse",
    )  # fmt: skip
