"""The yearly review of rights: what it counts, what it points at, who decides on whom."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import update

from tests import make
from tests.teacher_portal.school import School
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.tables import audit, rights_reviews
from warning_service.access.trail.audit import Look
from warning_service.access.trail.review import HINTS, Reviewed, RightsReview, UnfitDecision
from warning_service.clock import MovableClock
from warning_service.rooms import Rooms
from warning_service.roster import service
from warning_service.roster import tables as roster


@pytest.fixture
def school(rooms: Rooms) -> School:
    found = School(rooms)
    for login, role, place in (
        ("accounts", "accounts", make.BOARD), ("accounts2", "accounts", make.BOARD),
        ("head", "management", "sakura"), ("lead", "grade_lead", "sakura:4"),
        ("nobody", "nurse", "gone"),
    ):  # fmt: skip
        make.staff(rooms.database, login, (role, place))
    return found


@pytest.fixture
def review(school: School) -> RightsReview:
    rooms = school.rooms
    return RightsReview(rooms.database, rooms.clock, rooms.trail)


def of(review: RightsReview, who: Principal, login: str) -> Reviewed:
    return next(one for one in review.of_board(who, 2026) if one.login == login)


def looks(rooms: Rooms, who: str, duty: str, *actions: str) -> None:
    rooms.trail.record(
        [Look(board=make.BOARD, actor=f"staff-{who}", action=action, subject="k", duty=duty)
         for action in actions]
    )  # fmt: skip


def test_it_counts_what_was_used(school: School, review: RightsReview, clock: MovableClock) -> None:
    rooms = school.rooms
    manager = school.who("accounts")
    looks(rooms, "nurse", "nurse", "student", "student", "class", "refused:student")
    looks(rooms, "nurse", "guidance,nurse", "trail_export")
    looks(rooms, "nurse", "", "signed_in", "follow_up")
    one = of(review, manager, "nurse")
    assert (one.opened, one.shown, one.refused, one.exports) == (2, 1, 1, 1)
    assert one.last_sign_in == clock.now() and not one.has_factor
    assert [(d.role, d.place_name, d.used, d.in_force) for d in one.duties] == [
        ("nurse", "sakura小学校", 5, True)
    ]
    assert one.duties[0].from_day == date(2026, 4, 1) and one.duties[0].until_day is None
    # Of another year nothing counts but the last sign-in before it.
    assert next(o for o in review.of_board(manager, 2025) if o.login == "nurse").opened == 0
    places = {o.login: [d.place_name for d in o.duties] for o in review.of_board(manager, 2026)}
    assert places["homeroom"] == ["sakura小学校 4年1組"]
    assert places["lead"] == ["sakura小学校 4"] and places["accounts"] == ["兆市"]
    assert places["nobody"] == ["gone"]


def test_what_it_points_at(school: School, review: RightsReview, clock: MovableClock) -> None:
    rooms, manager = school.rooms, school.who("accounts")
    assert of(review, manager, "nurse").hints == ("no_factor", "never_signed_in")
    looks(rooms, "nurse", "", "signed_in")
    assert of(review, manager, "nurse").hints == ("no_factor", "unused_duty")
    looks(rooms, "nurse", "nurse", *["refused:student"] * 10)
    assert of(review, manager, "nurse").hints == ("no_factor", "many_refusals")
    rooms.factors.give_totp("staff-nurse", "JBSWY3DPEHPK3PXP")
    assert of(review, manager, "nurse").hints == ("many_refusals",)
    clock.move_by(timedelta(days=200))
    assert of(review, manager, "nurse").hints == ("long_unused", "many_refusals")


def test_ended_duties_that_are_still_open(school: School, review: RightsReview) -> None:
    rooms, manager = school.rooms, school.who("accounts")
    school.who("nurse")  # has a session now
    assert "ended_but_open" not in of(review, manager, "nurse").hints
    with rooms.database.writing() as conn:
        conn.execute(
            update(roster.duties)
            .where(roster.duties.c.staff.in_(["staff-nurse", "staff-counsellor"]))
            .values(until_day=date(2026, 5, 1))
        )
    nurse = of(review, manager, "nurse")
    assert nurse.hints == ("ended_but_open", "no_duty") and nurse.signed_in_now
    assert not nurse.duties[0].in_force and nurse.duties[0].until_day == date(2026, 5, 1)
    assert of(review, manager, "counsellor").hints == ("no_duty",)
    order = [one.login for one in review.of_board(manager, 2026)]
    assert order.index("nurse") < order.index("counsellor") < order.index("homeroom")
    with rooms.database.writing() as conn:
        conn.execute(
            update(roster.staff).where(roster.staff.c.staff == "staff-nurse").values(active=False)
        )
    assert of(review, manager, "nurse").hints == ()


def test_a_duty_of_the_future_is_not_in_force(school: School, review: RightsReview) -> None:
    with school.rooms.database.writing() as conn:
        service.put_rows(
            conn, roster.duties, ["staff", "role", "place", "from_day"],
            [{"staff": "staff-nurse", "role": "nurse", "place": "school2",
              "from_day": date(2026, 6, 1), "until_day": None}],
        )  # fmt: skip
    held = of(review, school.who("accounts"), "nurse").duties
    assert [(d.place, d.in_force) for d in held] == [("school2", False), ("sakura", True)]


def test_decisions_are_kept_with_who_and_when(
    school: School, review: RightsReview, clock: MovableClock
) -> None:
    rooms, manager = school.rooms, school.who("accounts")
    review.decide(manager, "staff-nurse", 2026, decision="keep")
    review.decide(manager, "staff-nurse", 2026, decision="end", note=" 異動 ")
    one = of(review, manager, "nurse")
    assert (one.decision, one.decided_by, one.note) == ("end", "staff-accounts", "異動")
    assert one.decided_at == clock.now() and one.hints[-1] == "to_be_ended"
    assert len(make.rows(rooms.database, rights_reviews)) == 1
    noted = [(r.action, r.subject, r.detail, r.purpose, r.duty)
             for r in make.rows(rooms.database, audit) if r.action == "rights_decided"]  # fmt: skip
    assert noted == [
        ("rights_decided", "staff-nurse", "2026 keep", "accounts", "accounts"),
        ("rights_decided", "staff-nurse", "2026 end", "accounts", "accounts"),
    ]
    assert next(o for o in review.of_board(manager, 2025) if o.login == "nurse").decision == ""
    for bad in ({"decision": "perhaps"}, {"decision": "keep", "note": "a" * 301}):
        with pytest.raises(UnfitDecision):
            review.decide(manager, "staff-nurse", 2026, **bad)


def test_who_decides_on_whom(school: School, review: RightsReview) -> None:
    head, manager = school.who("head"), school.who("accounts")
    seen = {one.login for one in review.of_board(head, 2026)}
    assert seen == {"homeroom", "other", "nurse", "counsellor", "guidance", "committee", "head",
                    "lead"}  # fmt: skip
    review.decide(head, "staff-homeroom", 2026, decision="keep")
    for who, staff in ((head, "staff-nurse2"), (head, "staff-accounts"), (head, "staff-head"),
                       (manager, "staff-accounts"), (manager, "unknown")):  # fmt: skip
        with pytest.raises(NotYours):
            review.decide(who, staff, 2026, decision="keep")
    review.decide(manager, "staff-accounts2", 2026, decision="keep")
    with pytest.raises(NotYours):
        review.of_board(school.who("nurse"), 2026)


def test_a_head_decides_on_this_years_own_people_and_never_over_the_board(
    school: School, review: RightsReview
) -> None:
    rooms = school.rooms
    head, manager = school.who("head"), school.who("accounts")
    with rooms.database.writing() as conn:
        for staff, role, place, first, until in (
            ("staff-accounts2", "homeroom", "sakura-1", date(2010, 4, 1), date(2011, 4, 1)),
            ("staff-counsellor", "counsellor", "sakura", date(2025, 4, 1), date(2026, 4, 1)),
            ("staff-nurse", "privacy", make.BOARD, date(2026, 5, 1), None),
        ):
            service.put_rows(
                conn, roster.duties, ["staff", "role", "place", "from_day"],
                [{"staff": staff, "role": role, "place": place, "from_day": first,
                  "until_day": until}],
            )  # fmt: skip
        conn.execute(
            update(roster.duties)
            .where(roster.duties.c.staff == "staff-guidance")
            .values(from_day=date(2025, 4, 1), until_day=date(2026, 4, 1))
        )
    seen = {one.login for one in review.of_board(head, 2026)}
    assert not seen & {"accounts2", "nurse", "guidance"} and "homeroom" in seen
    assert "guidance" in {one.login for one in review.of_board(head, 2025)}
    for staff in ("staff-accounts2", "staff-nurse", "staff-guidance"):
        with pytest.raises(NotYours):
            review.decide(head, staff, 2026, decision="keep")
    review.decide(head, "staff-homeroom", 2026, decision="keep")
    assert not of(review, head, "homeroom").by_board
    review.decide(manager, "staff-homeroom", 2026, decision="end")
    assert of(review, head, "homeroom").by_board and not of(review, manager, "homeroom").by_board
    with pytest.raises(NotYours):
        review.decide(head, "staff-homeroom", 2026, decision="keep")
    assert of(review, manager, "homeroom").decision == "end"
    review.decide(manager, "staff-homeroom", 2026, decision="keep")


def test_looking_at_it_is_on_the_trail(school: School, review: RightsReview) -> None:
    manager = school.who("accounts")
    review.of_board(manager, 2026)
    review.of_board(manager, 2026, export=True)
    noted = [(r.action, r.detail) for r in make.rows(school.rooms.database, audit)
             if r.action.startswith("rights_review")]  # fmt: skip
    assert noted == [("rights_review", "2026"), ("rights_review_export", "2026")]


def test_every_hint_has_words() -> None:
    from design.render import texts

    assert all(f"review.hint_{hint}" in texts() for hint in (*HINTS, "all", "undecided"))
