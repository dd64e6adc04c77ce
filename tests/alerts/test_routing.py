"""Who is told: grade leads, people who are away, stand-ins, April, nights, vacations."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from tests.alerts.town import BOARD, CANARIES, Town
from warning_service.access.principals import Duty, Principal
from warning_service.access.roles import Role
from warning_service.alerts import rebuild
from warning_service.alerts.deadlines import StaffedDays, due_of, may_ring_at
from warning_service.alerts.seeing import AlertView
from warning_service.alerts.tables import deliveries, routes
from warning_service.alerts.telling import PERSON, Place
from warning_service.alerts.who_is_told import StepTold, walk
from warning_service.clock import MovableClock, at
from warning_service.playbooks.kinds import Escalation, QuietHours, Step
from warning_service.playbooks.model import shipped
from warning_service.roster import tables as t
from warning_service.roster.calendar import SchoolCalendar

CLASS = Place("s1", "c11")


def may(day: int, hour: int, minute: int = 0) -> datetime:
    return at(date(2026, 5, day), hour, minute)


def hire(town: Town, staff: str, *duties: tuple[str, str], since: date = date(2026, 4, 1)) -> None:
    with town.log.database.writing() as conn:
        conn.execute(
            insert(t.staff).values(
                staff=staff, board=BOARD, login=staff, name=CANARIES[0], password_hash="-",
                slack_user=None, active=True,
            )
        )  # fmt: skip
        for role, place in duties:
            conn.execute(
                insert(t.duties).values(staff=staff, role=role, place=place, from_day=since)
            )


def away(town: Town, staff: str, begin: datetime, end: datetime) -> None:
    with town.log.database.writing() as conn:
        conn.execute(
            insert(t.absences).values(
                id=f"{staff}{begin}", board=BOARD, staff=staff, from_at=begin, until_at=end,
                entered_by="head1", entered_at=begin,
            )
        )  # fmt: skip


def on_duty(town: Town, staff: str, school: str, day: date, role: str = "guidance") -> None:
    after = day + timedelta(days=1)
    with town.log.database.writing() as conn:
        conn.execute(
            insert(t.duties).values(
                staff=staff, role=role, place=school, from_day=day, until_day=after
            )
        )
        conn.execute(
            insert(t.stand_ins).values(
                id=f"{staff}{day}", board=BOARD, staff=staff, role=role, place=school,
                from_day=day, until_day=after, instead_of="", entered_by="head1",
                entered_at=at(day),
            )
        )  # fmt: skip


def close(town: Town, first: date, last: date) -> None:
    with town.log.database.writing() as conn:
        day = first
        while day <= last:
            conn.execute(insert(t.closed_days).values(board=BOARD, school="", day=day, why="夏季"))
            day += timedelta(days=1)


def view(town: Town) -> AlertView:
    [found] = town.alerts.of_student("kid1")
    return found


def owed(town: Town) -> list[Any]:
    with town.log.database.reading() as conn:
        return list(conn.execute(select(deliveries).order_by(deliveries.c.address)))


def tried(town: Town, moment: datetime, kind: str = "consultation", **more: Any) -> list[StepTold]:
    playbook = shipped("nishinomiya")
    urgency = playbook.kinds.of(kind).urgency
    with town.log.database.reading() as conn:
        return walk(conn, BOARD, playbook, CLASS, kind=kind, urgency=urgency, at=moment, **more)


# -- the grade lead ---------------------------------------------------------------------------


def test_a_grade_lead_in_the_chain_is_told_sees_it_and_may_take_it_on(
    town: Town, clock: MovableClock
) -> None:
    hire(town, "lead3", ("grade_lead", "s1:3"))
    hire(town, "lead4", ("grade_lead", "s1:4"))
    with town.log.database.writing() as conn:
        conn.execute(
            insert(routes).values(
                board=BOARD, place="s1:3", duty="grade_lead", channel="slack", address="C-lead3"
            )
        )
    town.asks("kid1")
    town.work()
    clock.move_by(timedelta(minutes=10))
    town.alerts.escalate_due()
    assert view(town).duties == ("homeroom", "nurse", "grade_lead", "management")
    assert "C-lead3" in {row.address for row in owed(town)}

    def lead(staff: str, place: str, *rooms: str) -> Principal:
        duty = Duty(Role.GRADE_LEAD, place, classes=rooms)
        return Principal(kind="staff", key=staff, board=BOARD, csrf="x", duties=(duty,))

    third = lead("lead3", "s1:3", "c11", "c12")
    assert [one.id for one in town.alerts.inbox(third)] == [view(town).id]
    # A lead whose classes hold this one, but who was not told, only learns that there is one.
    assert town.alerts.inbox(lead("lead4", "s1:4", "c11")) == []


def test_a_child_without_a_class_has_no_grade_lead(town: Town) -> None:
    hire(town, "lead3", ("grade_lead", ":3"), ("grade_lead", ""))
    town.asks("stranger")
    town.work()
    [found] = town.alerts.of_student("stranger")
    assert found.duties == ("board",)


# -- absence ----------------------------------------------------------------------------------


def test_who_is_away_is_not_counted_on_and_the_next_are_told_at_once(
    town: Town, clock: MovableClock
) -> None:
    away(town, "hr11", may(11, 0), may(12, 0))
    away(town, "nurse1", may(11, 0), may(12, 0))
    town.asks("kid1")
    town.work()
    assert (view(town).step, view(town).duties) == (1, ("management",))
    assert [row.address for row in owed(town)] == ["C-head1"]
    clock.move_to(may(12, 9))
    town.asks("kid2")
    town.work()
    [later] = town.alerts.of_student("kid2")
    assert later.duties == ("homeroom", "nurse")


def test_half_a_day_is_half_a_day(town: Town) -> None:
    away(town, "hr11", may(11, 0), may(11, 12))
    for moment, people in ((may(11, 11, 59), ()), (may(11, 12), ("hr11",))):
        [homeroom, _nurse] = tried(town, moment)[0].duties
        assert (homeroom.people, homeroom.how) == (people, "there" if people else "away")


def test_a_withdrawn_absence_is_none(town: Town) -> None:
    away(town, "hr11", may(11, 0), may(12, 0))
    with town.log.database.writing() as conn:
        conn.execute(update(t.absences).values(withdrawn_by="head1", withdrawn_at=may(11, 8)))
    assert tried(town, may(11, 9))[0].duties[0].people == ("hr11",)


def test_somebody_who_works_part_of_the_week(town: Town) -> None:
    hire(town, "nurse1b", ("nurse", "s1"))
    with town.log.database.writing() as conn:
        for staff, weekday, part in (
            ("nurse1", 0, "am"),
            ("nurse1", 2, "day"),
            ("nurse1b", 1, "day"),
        ):
            conn.execute(
                insert(t.working_days).values(staff=staff, weekday=weekday, part=part, board=BOARD)
            )
    expected = [
        (may(11, 9), ("nurse1",)), (may(11, 13), ()), (may(12, 9), ("nurse1b",)),
        (may(13, 15), ("nurse1",)), (may(14, 9), ()),
    ]  # fmt: skip
    for moment, people in expected:
        assert tried(town, moment)[0].duties[1].people == people


def test_a_stand_in_is_told_by_their_own_address(town: Town) -> None:
    hire(town, "sub")
    away(town, "hr11", may(11, 0), may(16, 0))
    with town.log.database.writing() as conn:
        conn.execute(
            insert(t.duties).values(
                staff="sub", role="homeroom", place="c11",
                from_day=date(2026, 5, 11), until_day=date(2026, 5, 16),
            )
        )  # fmt: skip
        for staff in ("hr11", "sub"):
            conn.execute(
                insert(routes).values(
                    board=BOARD,
                    place=staff,
                    duty=PERSON,
                    channel="mail",
                    address=f"{staff}@example",
                )
            )
    town.asks("kid1")
    town.work()
    assert {row.address for row in owed(town)} == {"C-c11", "C-nurse1", "sub@example"}
    homeroom = tried(town, may(11, 10))[0].duties[0]
    assert (homeroom.people, homeroom.away) == (("sub",), ("hr11",))
    assert homeroom.channels == ("portal", "mail", "slack")


def test_duties_change_in_april(town: Town, clock: MovableClock) -> None:
    with town.log.database.writing() as conn:
        conn.execute(
            update(t.duties).where(t.duties.c.staff == "hr11").values(until_day=date(2027, 4, 1))
        )
    hire(town, "new11", ("homeroom", "c11"), since=date(2027, 4, 1))
    before, after = at(date(2027, 3, 31), 10), at(date(2027, 4, 1), 10)
    assert tried(town, before)[0].duties[0].people == ("hr11",)
    assert tried(town, after)[0].duties[0].people == ("new11",)
    # Asked the evening before for what rings in the morning, it is the new one already.
    late = tried(town, at(date(2027, 3, 31), 20), kind="same_day")[0]
    assert late.duties[0].people == ("new11",) and late.held


# -- quiet hours ------------------------------------------------------------------------------

CALM = Escalation(
    urgent=(Step(duties=("nurse",), minutes=10),), today=(Step(duties=("nurse",), minutes=120),)
)
WEEKDAYS = SchoolCalendar(None, BOARD)


@pytest.mark.parametrize(
    ("moment", "rings"),
    [
        (may(11, 9), may(11, 9)),
        (may(11, 18, 59), may(11, 18, 59)),
        (may(11, 19), may(12, 7)),
        (may(12, 6, 59), may(12, 7)),
        (may(15, 20), may(18, 7)),  # Friday evening
        (may(16, 12), may(18, 7)),  # Saturday
        (at(date(2026, 5, 1), 20), may(7, 7)),  # Golden Week
    ],
)
def test_what_can_wait_does_not_ring_in_quiet_hours(moment: datetime, rings: datetime) -> None:
    assert may_ring_at(moment, escalation=CALM, calendar=WEEKDAYS, school="s1") == rings


@pytest.mark.parametrize(
    ("quiet", "moment", "rings"),
    [
        (QuietHours(begin=7, end=7), may(16, 3), may(16, 3)),
        (QuietHours(begin=0, end=6, school_free_days=False), may(16, 3), may(16, 6)),
        (QuietHours(begin=0, end=6, school_free_days=False), may(16, 23), may(16, 23)),
        (QuietHours(begin=20, end=6, school_free_days=False), may(16, 21), may(17, 6)),
        (QuietHours(begin=24, end=0, school_free_days=True), may(16, 12), may(18, 0)),
    ],
)
def test_other_quiet_hours(quiet: QuietHours, moment: datetime, rings: datetime) -> None:
    escalation = CALM.model_copy(update={"quiet": quiet})
    assert may_ring_at(moment, escalation=escalation, calendar=WEEKDAYS, school="s1") == rings


def test_quiet_hours_that_end_after_school_begins_are_refused() -> None:
    with pytest.raises(ValueError, match="over when school opens"):
        Escalation(urgent=CALM.urgent, today=CALM.today, quiet=QuietHours(begin=19, end=9))


def test_a_step_of_school_days_is_due_when_school_closes() -> None:
    step = Step(duties=("management",), school_days=2)
    values: dict[str, Any] = {"urgency": "routine", "escalation": CALM, "school": "s1"}
    assert due_of(may(14, 9), step, calendar=WEEKDAYS, **values) == may(18, 17)
    never = StaffedDays(_Shut(None, BOARD), lambda _s, _d: False)
    assert due_of(may(14, 9), step, calendar=never, **values) == may(16, 17)


class _Shut(SchoolCalendar):
    def is_school_day(self, day: date, school: str = "") -> bool:
        return False


def test_a_message_that_waits_for_the_morning_is_owed_for_then(
    town: Town, clock: MovableClock
) -> None:
    clock.move_to(may(15, 20))
    for days_ago in (2, 1, 0):
        town.answers("kid1", days_ago=days_ago, mood=3)
    town.work()
    rows = owed(town)
    assert {row.next_at - row.created_at for row in rows} == {timedelta(hours=59)}
    assert view(town).due_at == may(18, 10)
    town.asks("kid1")
    town.work()
    assert {row.next_at.year for row in owed(town)} == {1970, rows[0].next_at.year}


# -- vacations --------------------------------------------------------------------------------


def test_on_a_vacation_day_the_one_on_duty_is_told_beside_and_school_counts_as_open(
    town: Town, clock: MovableClock
) -> None:
    close(town, date(2026, 7, 21), date(2026, 8, 31))
    hire(town, "today")
    on_duty(town, "today", "s1", date(2026, 8, 5))
    clock.move_to(at(date(2026, 8, 5), 9))
    town.asks("kid1")
    town.work()
    found = view(town)
    assert (found.duties, found.readers) == (
        ("homeroom", "nurse", "guidance"),
        ("homeroom", "nurse"),
    )
    guard = Principal(
        kind="staff", key="today", board=BOARD, csrf="x",
        duties=(Duty(Role.GUIDANCE, "s1", schools=("s1",)),),
    )  # fmt: skip
    assert [one.id for one in town.alerts.inbox(guard)] == [found.id]
    assert not town.alerts.may_read(guard, found)
    assert town.alerts.acknowledge(found.id, guard, "portal")
    assert rebuild.differences(town.log, BOARD) == []
    first = tried(town, at(date(2026, 8, 5), 9), kind="same_day")[0]
    assert first.due_at == at(date(2026, 8, 5), 11)
    assert [one.duty for one in first.duties if one.beside] == ["guidance"]
    # The day after nobody is there: it waits for the day school opens again.
    other = tried(town, at(date(2026, 8, 6), 9), kind="same_day")[0]
    assert (other.at, other.held) == (at(date(2026, 9, 1), 7), True)
    assert not any(one.beside for one in other.duties)


# -- trying it --------------------------------------------------------------------------------


def test_the_walk_says_what_a_real_alert_then_does(town: Town, clock: MovableClock) -> None:
    away(town, "nurse1", may(11, 0), may(20, 0))
    expected = [one for one in tried(town, clock.now()) if not one.passed_over]
    town.asks("kid1")
    town.work()
    seen = [(clock.now(), view(town).due_at, view(town).duties)]
    for _ in range(3):
        due = view(town).due_at
        assert due is not None
        clock.move_to(due)
        town.alerts.escalate_due()
        seen.append((clock.now(), view(town).due_at, view(town).duties))
    assert [(one.at, one.due_at) for one in expected] == [(when, due) for when, due, _ in seen]
    told = [[d.duty for d in one.duties if d.told] for one in expected]
    assert told == [["homeroom"], ["management"], ["board"], ["board"]]
    assert set(seen[-1][2]) == {"homeroom", "management", "board"}


def test_the_walk_says_why_a_step_is_passed_over(town: Town) -> None:
    with town.log.database.writing() as conn:
        conn.execute(delete(t.duties).where(t.duties.c.staff == "nurse1"))
        conn.execute(delete(routes).where(routes.c.duty == "nurse"))
    away(town, "hr11", may(11, 0), may(12, 0))
    first, second, *_ = tried(town, may(11, 9))
    assert first.passed_over and [one.how for one in first.duties] == ["away", "nobody"]
    assert not second.passed_over and second.at == may(11, 9)


def test_a_chosen_duty_stands_in_the_first_step(town: Town) -> None:
    first = tried(town, may(11, 9), duties=("management",))[0]
    assert [one.duty for one in first.duties] == ["management"]
