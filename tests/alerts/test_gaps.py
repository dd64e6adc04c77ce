"""Gaps are found before they matter, told to whoever can mend them, and end when mended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from tests.alerts.test_routing import away, close, hire, may, on_duty
from tests.alerts.town import BOARD, Town
from warning_service.alerts import states
from warning_service.alerts.gap_watch import STANDING, GapWatch
from warning_service.alerts.gaps import Gap
from warning_service.alerts.notices import DUTY_GAP, Notices
from warning_service.alerts.tables import alerts, deliveries, routes
from warning_service.alerts.telling import PERSON
from warning_service.clock import Clock, MovableClock, at
from warning_service.roster import tables as t


@pytest.fixture
def watch(town: Town) -> GapWatch:
    """The watch over a town whose gaps are closed: people for every class, routes for everybody."""
    hire(town, "lead3", ("grade_lead", "s1:3"), ("grade_lead", "s2:3"))
    hire(town, "hr21", ("homeroom", "c21"))
    hire(town, "head2", ("management", "s2"))
    with town.log.database.writing() as conn:
        for staff in ("lead3", "hr21", "head2"):
            conn.execute(
                insert(routes).values(
                    board=BOARD, place=staff, duty=PERSON, channel="mail", address=f"{staff}@x"
                )
            )
    return GapWatch(town.log, town.playbooks, Notices(town.log, town.playbooks))


def kinds(found: list[Gap]) -> set[tuple[str, str, str, int]]:
    return {(gap.kind, gap.place, gap.duty, gap.days) for gap in found}


def standing(town: Town) -> list[tuple[str, str, str]]:
    with town.log.database.reading() as conn:
        rows = conn.execute(
            select(alerts).where(alerts.c.kind == DUTY_GAP).order_by(alerts.c.source)
        )
        return [(row.source, row.school, row.duties) for row in rows if row.state != states.HANDLED]


def test_a_town_where_everybody_is_there_has_no_gap(watch: GapWatch) -> None:
    assert watch.gaps(BOARD) == []
    assert watch.run_all() == 0


def test_a_class_without_a_homeroom_teacher_is_told_to_management_and_ends_by_itself(
    town: Town, watch: GapWatch
) -> None:
    with town.log.database.writing() as conn:
        conn.execute(
            update(t.duties).where(t.duties.c.staff == "hr12").values(until_day=date(2026, 5, 20))
        )
    [gap] = watch.run(BOARD)
    assert (gap.kind, gap.place, gap.first, gap.last, gap.days) == (
        "no_teacher", "c12", date(2026, 5, 20), date(2026, 5, 22), 3,
    )  # fmt: skip
    assert standing(town) == []  # it begins in nine days: on the page only
    town.log.clock.move_to(may(13, 9))  # type: ignore[attr-defined]
    watch.run(BOARD)
    assert standing(town) == [("no_teacher", "s1", "management")]
    watch.run(BOARD)
    assert len(standing(town)) == 1
    hire(town, "new12", ("homeroom", "c12"), since=date(2026, 5, 20))
    watch.run(BOARD)
    assert standing(town) == []


def test_somebody_away_without_a_stand_in_is_named_and_with_one_is_not(
    town: Town, watch: GapWatch
) -> None:
    away(town, "hr11", may(12, 12), may(14, 0))
    assert ("away", "c11", "homeroom", 2) in kinds(watch.gaps(BOARD))
    watch.run(BOARD)
    assert standing(town) == []  # the nurse is there: no alarm about a dentist
    with town.log.database.writing() as conn:
        conn.execute(
            insert(t.duties).values(
                staff="hr12", role="homeroom", place="c11",
                from_day=date(2026, 5, 12), until_day=date(2026, 5, 14),
            )
        )  # fmt: skip
    assert "away" not in {gap.kind for gap in watch.gaps(BOARD)}


def test_a_step_with_nobody_and_a_chain_with_nobody(town: Town, watch: GapWatch) -> None:
    away(town, "hr21", may(12, 0), may(13, 0))
    away(town, "nurse2", may(12, 0), may(13, 0))
    found = kinds(watch.run(BOARD))
    assert ("first_step", "c21", "", 1) in found
    assert ("first_step", "s2", "management") in standing(town)
    assert not {gap.kind for gap in watch.gaps(BOARD, ["s1"])}
    for staff in ("head2", "lead3", "board1"):
        away(town, staff, may(12, 0), may(13, 0))
    assert ("nobody", "c21", "", 1) in kinds(watch.gaps(BOARD))


def test_a_recipient_without_a_working_channel(town: Town, watch: GapWatch) -> None:
    with town.log.database.writing() as conn:
        conn.execute(delete(routes).where(routes.c.address == "C-nurse1"))
    assert kinds(watch.gaps(BOARD)) == {("no_channel", "s1", "nurse", 1)}
    with town.log.database.writing() as conn:
        now = Clock().now()
        for n, (address, state, ago) in enumerate(
            [
                ("C-c11", "failed", 1),
                ("C-c12", "failed", 2),
                ("C-c12", "sent", 1),
                ("C-c1x", "failed", 1),
            ]
        ):
            conn.execute(
                insert(deliveries).values(
                    id=str(n), alert_id="a", channel="slack", address=address, purpose="raised",
                    state=state, attempts=3, created_at=now - timedelta(hours=ago), next_at=now,
                    turn=1, in_place_of="", updates="", claimed_by="", remote_id="", last_error="",
                )
            )  # fmt: skip
    assert kinds(watch.run(BOARD)) == {
        ("no_channel", "s1", "nurse", 1), ("channel_fails", "c11", "homeroom", 1),
    }  # fmt: skip
    assert standing(town) == [("channel_fails", "s1", "management")]


def test_a_vacation_day_without_anybody_on_duty(
    town: Town, watch: GapWatch, clock: MovableClock
) -> None:
    close(town, date(2026, 8, 3), date(2026, 8, 7))
    clock.move_to(at(date(2026, 7, 31), 9))
    on_duty(town, "hr11", "s1", date(2026, 8, 4))
    found = {(gap.place, gap.kind): gap for gap in watch.gaps(BOARD)}
    assert found["s1", "no_day_duty"].days == 4
    assert found["s2", "no_day_duty"].days == 5
    assert set(found) == {("s1", "no_day_duty"), ("s2", "no_day_duty")}


def test_the_metric_counts_and_a_broken_board_holds_up_none(
    town: Town, watch: GapWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with town.log.database.writing() as conn:
        conn.execute(insert(t.boards).values(id="a0", name="x", playbook="none", generated=True))
        conn.execute(delete(t.duties).where(t.duties.c.staff.in_(["hr11", "hr12"])))
    original: Callable[..., list[Gap]] = watch.run

    def broken(board: str) -> list[Gap]:
        if board == "a0":
            raise KeyError(board)
        return original(board)

    monkeypatch.setattr(watch, "run", broken)
    assert watch.run_all() == 2
    assert STANDING.labels("no_teacher")._value.get() == 2


def test_what_is_over_today_is_no_gap(town: Town, watch: GapWatch, clock: MovableClock) -> None:
    away(town, "hr11", may(11, 0), may(11, 12))
    clock.move_to(may(11, 13))
    assert watch.gaps(BOARD) == []


def test_in_the_evening_today_is_looked_at_as_it_is_now(
    town: Town, watch: GapWatch, clock: MovableClock
) -> None:
    away(town, "hr11", may(11, 18), may(11, 23))
    clock.move_to(may(11, 19))
    assert kinds(watch.gaps(BOARD)) == {("away", "c11", "homeroom", 1)}
