"""The arithmetic boards are judged by."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from tests import make
from tests.teacher_portal.school import School
from warning_service.clock import at
from warning_service.events.types import NewEvent, OutcomeRecorded, new_id
from warning_service.follow_up.evaluating.rightness import how_right, wilson
from warning_service.follow_up.queries import acknowledgements, funnels
from warning_service.judging.tables import warning_lists
from warning_service.roster.service import set_opt_out

FIRST = date(2026, 5, 1)


def test_the_funnel_counts_children_stage_by_stage(school: School) -> None:
    rooms = school.rooms
    listed = [*school.children["sakura-1"][:4], *school.children["sakura-2"][:2]]
    list_id = school.warning_list(listed, on=FIRST)
    who = school.who("guidance")
    for student in listed[:3]:
        rooms.follow_ups.review(who, list_id, student, "B")
    record = rooms.follow_ups.record
    record(who, listed[0], "talked", "better", list_id=list_id)
    record(who, listed[1], "talked", "better")
    record(who, listed[1], "watched", "worse")  # the latest record says worse
    record(who, listed[2], "watched", "better")  # watching alone is not support
    record(who, listed[3], "home", "unknown")  # supported without a meeting
    record(who, school.children["sakura-1"][5], "talked", "better")  # not listed
    rooms.clock.move_to(at(FIRST + timedelta(days=61), 9))  # type: ignore[attr-defined]
    record(school.who("guidance"), listed[4], "talked", "better")  # too late to count
    with rooms.database.reading() as conn:
        [found] = funnels(conn, rooms.playbooks.of(make.BOARD), make.BOARD, FIRST, FIRST)
    assert (found.school, found.list_date) == ("sakura", FIRST)
    assert (found.listed, found.reviewed, found.supported, found.better) == (6, 3, 3, 1)


def test_whose_family_refuses_is_counted_nowhere(school: School) -> None:
    rooms = school.rooms
    listed = school.children["sakura-1"][:3]
    list_id = school.warning_list(listed, on=FIRST)
    who = school.who("guidance")
    for student in listed:
        rooms.follow_ups.review(who, list_id, student, "B")
        rooms.follow_ups.record(who, student, "talked", "better", list_id=list_id)
    playbook = rooms.playbooks.of(make.BOARD)

    def counts() -> tuple[int, ...]:
        with rooms.database.reading() as conn:
            [found] = funnels(conn, playbook, make.BOARD, FIRST, FIRST)
            lists = conn.execute(select(warning_lists)).all()
            right = how_right(conn, playbook, lists, FIRST + timedelta(days=90))
        assert right is not None
        return (found.listed, found.reviewed, found.supported, found.better, right.listed)

    assert counts() == (3, 3, 3, 3, 3)
    set_opt_out(rooms.log, board=make.BOARD, student=listed[1], refused=True, actor="x")
    assert counts() == (2, 2, 2, 2, 2)
    set_opt_out(rooms.log, board=make.BOARD, student=listed[1], refused=False, actor="x")
    assert counts() == (3, 3, 3, 3, 3)


def test_funnels_are_of_the_asked_board_and_months(school: School) -> None:
    school.warning_list(school.children["sakura-1"][:2], on=FIRST)
    school.warning_list(school.children["sakura-1"][:3], on=date(2026, 4, 1))
    school.warning_list(school.children["school2-1"][:1], school="school2", on=FIRST)
    playbook = school.rooms.playbooks.of(make.BOARD)
    with school.rooms.database.reading() as conn:
        may = funnels(conn, playbook, make.BOARD, FIRST, date(2026, 5, 31))
        assert [(f.school, f.listed) for f in may] == [("sakura", 2), ("school2", 1)]
        assert len(funnels(conn, playbook, make.BOARD, date(2026, 4, 1), FIRST)) == 3
        assert funnels(conn, playbook, "elsewhere", date(2026, 1, 1), FIRST) == []


def test_acknowledgements_are_counted_by_school_with_their_median(school: School) -> None:
    rooms = school.rooms
    alerts = [school.alert(student) for student in school.children["sakura-1"][:4]]
    school.alert(school.children["school2-1"][0])
    for alert, minutes in zip(alerts[:3], (2, 3, 4), strict=True):
        rooms.clock.move_by(timedelta(minutes=minutes))  # type: ignore[attr-defined]
        rooms.alerts.acknowledge(alert, school.who("nurse"), "portal")
    rooms.clock.move_by(timedelta(minutes=5))  # type: ignore[attr-defined]
    assert rooms.alerts.escalate_due() > 0
    rooms.alerts.acknowledge(alerts[3], school.who("guidance"), "portal")
    today = rooms.clock.today()
    with rooms.database.reading() as conn:
        sakura, second = acknowledgements(conn, make.BOARD, today, today)
        assert acknowledgements(conn, make.BOARD, FIRST, FIRST) == []
    assert (sakura.raised, sakura.acknowledged, sakura.in_time) == (4, 4, 3)
    assert sakura.median_minutes == pytest.approx((5 + 9) / 2)  # after 2, 5, 9 and 14 minutes
    assert (second.raised, second.acknowledged, second.median_minutes) == (1, 0, None)


def outcome(student: str, began: date, known: date, over: date | None = None) -> NewEvent:
    return NewEvent(
        id=new_id(), board=make.BOARD, student=student, on=began, actor="system:test",
        body=OutcomeRecorded(outcome="futoko", known_on=known, over_on=over),
    )  # fmt: skip


def test_how_right_a_list_was_counts_hits_base_rate_and_missed(school: School) -> None:
    rooms = school.rooms
    one, two = school.children["sakura-1"], school.children["sakura-2"]
    listed, ranked = one[:3], [*one, *two]
    school.warning_list(listed, on=FIRST, ranked=ranked)
    make.append(
        rooms.log,
        outcome(one[0], date(2026, 5, 20), date(2026, 5, 20)),  # a hit
        outcome(one[1], date(2026, 4, 20), date(2026, 4, 20)),  # begun before: left out
        outcome(one[2], date(2026, 5, 1), date(2026, 5, 1)),  # begun on the day itself: left out
        outcome(two[0], date(2026, 6, 10), date(2026, 6, 10)),  # missed
        outcome(two[1], date(2026, 5, 10), date(2026, 7, 20)),  # not known yet when asked
        outcome(two[2], date(2026, 4, 2), date(2026, 4, 2), date(2026, 4, 20)),  # over: can again
        outcome(two[2], date(2026, 6, 1), date(2026, 6, 1)),
        outcome(two[3], date(2026, 12, 1), date(2026, 12, 1)),  # after the horizon
    )
    playbook = rooms.playbooks.of(make.BOARD)
    with rooms.database.reading() as conn:
        lists = conn.execute(select(warning_lists)).all()
        found = how_right(conn, playbook, lists, date(2026, 6, 15))
        late = how_right(conn, playbook, lists, date(2026, 12, 31))
        assert how_right(conn, playbook, [], date(2026, 6, 15)) is None
    assert found is not None and late is not None
    assert (found.listed, found.listed_hits) == (1, 1)
    assert (found.ranked, found.ranked_hits, found.missed) == (10, 3, 2)
    assert found.base_rate == pytest.approx(0.3) and not found.complete
    assert (late.ranked_hits, late.complete, late.until) == (4, True, date(2026, 7, 24))


def test_a_corrected_outcome_replaces_the_earlier_one(school: School) -> None:
    rooms = school.rooms
    student = school.children["sakura-1"][0]
    school.warning_list([student], on=FIRST)
    make.append(rooms.log, outcome(student, date(2026, 4, 10), date(2026, 4, 10)))
    make.append(
        rooms.log, outcome(student, date(2026, 4, 10), date(2026, 4, 10), date(2026, 4, 30))
    )
    with rooms.database.reading() as conn:
        lists = conn.execute(select(warning_lists)).all()
        found = how_right(conn, rooms.playbooks.of(make.BOARD), lists, date(2026, 6, 1))
    assert found is not None and (found.listed, found.listed_hits) == (1, 0)


def test_wilson_against_known_values() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(3, 60) == pytest.approx((0.01716, 0.13695), abs=2e-4)
    assert wilson(0, 20)[0] == 0.0
    assert wilson(20, 20)[1] == 1.0


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_holds_the_share_and_stays_a_share(hits: int, n: int) -> None:
    hits = min(hits, n)
    low, high = wilson(hits, n)
    assert 0.0 <= low <= hits / n <= high <= 1.0
    assert low < high
