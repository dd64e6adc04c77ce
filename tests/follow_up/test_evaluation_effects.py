"""Before and after, around the cut, between schools, over breaks, the funnel: on invented towns.

The town with regression to the mean and no effect must show none once that is taken out, and the
same town with an effect must show it; both go through the log, the lists and the room.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from sqlalchemy import insert

from models.shares import Share
from tests import make
from tests.follow_up.test_evaluation import SQLITE, fact, move, supported
from tests.teacher_portal.school import School
from warning_service.clock import at
from warning_service.follow_up.evaluating.room import Effects
from warning_service.follow_up.tables import follow_ups
from warning_service.judging.tables import list_scores
from warning_service.roster import service
from warning_service.roster import tables as t
from warning_service.roster.calendar import SchoolCalendar

ON = date(2026, 6, 15)
END = date(2026, 9, 30)
DAYS = SchoolCalendar(None, "").days(date(2026, 4, 8), END)
AT = DAYS.index(ON)
BEFORE, AFTER = DAYS[AT - 20 : AT], DAYS[AT : AT + 20]


def regressing(school: School, *, listed: int, helped: float) -> None:
    """Children with a lasting tendency to be absent; the list takes the worst 20 days.

    `helped`: the share of the absences after the list that being listed and supported takes away.
    """
    dice = random.Random(11)
    everyone = [key for keys in school.children.values() for key in keys]
    events, before = [fact(everyone[0], "absent_days", date(2026, 4, 8))], {}
    away: dict[str, list[date]] = {}
    for key in everyone:
        chance = min(0.6, dice.gammavariate(0.7, 0.12))
        before[key] = [day for day in BEFORE if dice.random() < chance]
        away[key] = [day for day in AFTER if dice.random() < chance]
    order = sorted(everyone, key=lambda key: (-len(before[key]) - dice.random() * 1.5, key))
    for rank, key in enumerate(order):
        after = away[key]
        if rank < listed:
            after = [day for day in after if dice.random() >= helped]
        events += [fact(key, "absent_days", day) for day in (*before[key], *after)]
    make.append(school.rooms.log, *events)
    list_id = school.warning_list(order[:listed], on=ON, ranked=order)
    with school.rooms.database.writing() as conn:
        for rank, key in enumerate(order):
            conn.execute(
                list_scores.update()
                .where(list_scores.c.list_id == list_id, list_scores.c.student == key)
                .values(score=0.01 + 0.02 * len(before[key]) + 0.001 * (1 - rank / len(order)))
            )
        conn.execute(
            insert(follow_ups),
            [
                {
                    "id": f"f-{key}", "board": make.BOARD, "school": "sakura", "student": key,
                    "action": "talked", "change": "better", "author": "x", "at": at(ON, 10),
                }
                for key in order[:listed]
            ],
        )  # fmt: skip
    move(school, END)


def effects(school: School) -> Effects:
    return school.rooms.evaluation.effects(make.BOARD)


@SQLITE
def test_regression_to_the_mean_without_an_effect_shows_none_when_corrected(rooms: object) -> None:
    school = School(rooms, children=60)  # type: ignore[arg-type]
    regressing(school, listed=70, helped=0.0)
    found = effects(school)
    plain = found.before_after.result
    assert plain is not None and plain.n == 70
    assert plain.change < -0.5 and plain.p < 0.01  # what a careless page would call success
    assert found.listed.n == 35 and found.listed.n_others == 35
    assert found.listed.gap is not None and found.supported.gap is not None
    assert not found.listed.gap.told_apart and not found.supported.gap.told_apart


@SQLITE
def test_the_same_town_with_an_effect_shows_it(rooms: object) -> None:
    school = School(rooms, children=60)  # type: ignore[arg-type]
    regressing(school, listed=70, helped=0.8)
    found = effects(school)
    assert found.listed.gap is not None
    assert found.listed.gap.told_apart and found.listed.gap.value < -0.5


def test_before_and_after_by_hand_and_what_does_not_count(school: School) -> None:
    """Ten children, 3 days absent before and 1 after; one has left, one's time still runs."""
    rooms = school.rooms
    everyone = [key for keys in school.children.values() for key in keys]
    ten, left, late, unsupported = everyone[:10], everyone[10], everyone[11], everyone[12]
    begun = [fact(everyone[-1], "absent_days", date(2026, 4, 8))]  # the record reaches back so far
    for key in (*ten, left, late, unsupported):
        begun += [fact(key, "absent_days", day) for day in (*BEFORE[:3], AFTER[-1])]
    make.append(rooms.log, *begun)
    school.warning_list([*ten, left, late, unsupported], on=BEFORE[-1])
    for key in (*ten, left):
        supported(school, key, BEFORE[-1])
    supported(school, late, AFTER[-5])
    with rooms.log.unit_of_work() as unit:
        service.end_enrolment(
            unit, board=make.BOARD, student=left, class_id="sakura-2", on=AFTER[3], actor="x"
        )
    # Support on the last of BEFORE: the 20 days after it are AFTER, the 20 before end a day early.
    move(school, AFTER[-1] + timedelta(days=1))
    found = effects(school).before_after
    assert (found.n, found.running) == (10, 1)
    assert found.result is not None
    assert (found.result.before, found.result.after) == (3.0, 1.0)
    assert found.result.p == pytest.approx(2 / 2**10)
    steps = effects(school).steps
    assert (steps.listed, steps.supported, steps.better, steps.reviewed) == (13, 12, 12, 0)


@SQLITE
def test_nine_children_are_too_few_to_say(school: School) -> None:
    everyone = [key for keys in school.children.values() for key in keys]
    make.append(school.rooms.log, fact(everyone[-1], "absent_days", date(2026, 4, 8)))
    school.warning_list(everyone[:9], on=ON, ranked=everyone)
    for key in everyone[:9]:
        supported(school, key, ON)
    move(school, END)
    found = effects(school)
    assert found.before_after.n == 9 and found.before_after.result is None
    assert found.listed.gap is None and found.supported.gap is None


@SQLITE
def test_schools_with_lists_against_schools_without_by_hand(rooms: object) -> None:
    log = rooms.log  # type: ignore[attr-defined]
    classes = make.places(rooms.database, schools=6)  # type: ignore[attr-defined]
    children = {room: make.children(log, room, 4) for room in classes}
    first = DAYS[25]
    span_before, span_after = DAYS[:25], DAYS[25:50]
    events = []
    for at_, room in enumerate(classes):
        for key in children[room]:
            # Everybody 4 days before; after it 2 where there is a list, 5 where there is none.
            events += [fact(key, "absent_days", day) for day in span_before[:4]]
            events += [fact(key, "absent_days", day) for day in span_after[: 2 if at_ < 3 else 5]]
    make.append(log, *events)
    listing = School.__new__(School)
    listing.rooms = rooms  # type: ignore[assignment]
    for room in classes[:3]:
        listing.warning_list(
            children[room][:1], school=room.rsplit("-", 1)[0], on=first, ranked=children[room]
        )
    move(listing, span_after[-1] + timedelta(days=1))
    found = effects(listing).schools
    assert (found.span, found.since) == (25, first)
    assert len(found.with_lists) == len(found.without) == 3
    assert all(line[1:] == (4.0, 2.0) for line in found.with_lists)
    assert found.gap is not None and found.gap.value == -2.0 - 1.0
    # A fourth school begins: two without a list are too few to be held against.
    listing.warning_list(children[classes[3]][:1], school="school4", on=first)
    after = effects(listing).schools
    assert after.gap is None and (len(after.with_lists), len(after.without)) == (4, 2)


@SQLITE
@pytest.mark.parametrize("moving", [False, True])
def test_schools_that_went_apart_before_and_those_that_began_otherwise(
    rooms: object, moving: bool
) -> None:
    """`moving`: absences fall at the first three schools all along, lists or not (no effect)."""
    log = rooms.log  # type: ignore[attr-defined]
    classes = make.places(rooms.database, schools=8)  # type: ignore[attr-defined]
    children = {room: make.children(log, room, 2) for room in classes}
    first, before, after = DAYS[28], DAYS[:28], DAYS[28:56]
    events = []
    for at_, room in enumerate(classes):
        falls = moving and at_ < 3
        for key in children[room]:
            for part, days in enumerate((before[:14], before[14:], after[:14])):
                away = (6 - 3 * part if falls else 3) + (key == children[room][0]) * (at_ % 2)
                events += [fact(key, "absent_days", day) for day in (DAYS[0], *days)[:away]]
    make.append(log, *events)
    listing = School.__new__(School)
    listing.rooms = rooms  # type: ignore[assignment]

    def begins(at_: int, on: date) -> None:
        room = classes[at_]
        listing.warning_list(
            children[room][:1], school=room.rsplit("-", 1)[0], on=on, ranked=children[room]
        )

    for at_ in range(3):
        begins(at_, first)
    begins(3, date(2025, 6, 2))  # long before
    begins(4, after[25])  # while the days after were running
    move(listing, after[-1] + timedelta(days=1))
    found = effects(listing).schools
    assert (found.span, found.since) == (28, first)
    assert (len(found.with_lists), len(found.without)) == (3, 3)
    assert found.gap is not None and found.earlier is not None
    if moving:
        assert found.gap.told_apart and found.earlier.told_apart and found.earlier.value < -2
    else:
        assert not found.gap.told_apart and not found.earlier.told_apart
    # Where all schools have had lists for more than a year there is no time before them.
    move(listing, date(2027, 9, 30))
    late = effects(listing).schools
    assert late.since is None and late.gap is None and late.span == 0


@SQLITE
def test_support_over_a_vacation_and_into_junior_high(school: School) -> None:
    rooms = school.rooms
    with rooms.database.writing() as conn:
        service.put_rows(
            conn, t.schools, ["id"],
            [{"id": "chu", "board": make.BOARD, "name": "中学校", "stage": "junior_high"}],
        )  # fmt: skip
        service.put_rows(
            conn, t.classes, ["id"],
            [{"id": "chu-1", "school": "chu", "school_year": 2027, "grade": 7, "name": "1年1組",
              "code": "CHU-1"}],
        )  # fmt: skip
        service.put_rows(
            conn, t.closed_days, ["board", "school", "day"],
            [
                {"board": make.BOARD, "school": "", "day": first + timedelta(days=n), "why": "休み"}
                for first, days in ((date(2026, 7, 18), 45), (date(2027, 3, 25), 13))
                for n in range(days)
            ],
        )  # fmt: skip
    one = school.children["sakura-1"]
    school.warning_list(one[:1], on=date(2026, 6, 1))
    for key in one[:3]:
        supported(school, key, date(2026, 7, 1))
    supported(school, one[0], date(2026, 9, 3), action="watched")  # met again, if only watched
    supported(school, one[1], date(2026, 10, 30))  # too late
    for key in one[:4]:
        supported(school, key, date(2027, 3, 1))
    move_up = date(2027, 4, 1)
    with rooms.log.unit_of_work() as unit:
        for key in one[2:4]:
            service.end_enrolment(
                unit, board=make.BOARD, student=key, class_id="sakura-1", on=move_up, actor="x"
            )
            service.enrol(
                unit, board=make.BOARD, student=key, school="chu", class_id="chu-1", grade=7,
                on=move_up, actor="x",
            )  # fmt: skip
    with rooms.database.writing() as conn:
        conn.execute(t.enrolments.update().where(t.enrolments.c.grade == 4).values(grade=6))
    supported(school, one[2], date(2027, 4, 12))
    move(school, date(2027, 4, 20))  # 28 days after 7 April are not over
    found = {(b.first, b.moved): b for b in effects(school).breaks}
    summer = found[date(2026, 9, 1), False]
    assert summer.last == date(2026, 7, 17) and summer.known and summer.met == Share(1, 3)
    spring, moved = found[date(2027, 4, 7), False], found[date(2027, 4, 7), True]
    assert spring.met == Share(1, 4) and not spring.known
    assert moved.met == Share(1, 2) and spring.known_on == date(2027, 5, 5)
    assert (date(2026, 9, 1), True) not in found  # no new school year in summer


@SQLITE
def test_an_outcome_that_is_not_made_of_days_is_not_compared(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    playbook = school.rooms.playbooks.of(make.BOARD)
    other = playbook.model_copy(
        update={"outcome": playbook.outcome.model_copy(update={"item": "youtaikyo_case"})}
    )
    of: Callable[[str], object] = lambda board: other  # noqa: E731
    monkeypatch.setattr(school.rooms.playbooks, "of", of)
    everyone = [key for keys in school.children.values() for key in keys]
    school.warning_list(everyone[:12], on=ON, ranked=everyone)
    for key in everyone[:12]:
        supported(school, key, ON)
    move(school, END)
    found = effects(school)
    assert not found.countable
    assert found.before_after.n == 0 and found.listed.gap is None and found.schools.gap is None
    assert found.steps.supported == 12  # who was supported can still be counted
