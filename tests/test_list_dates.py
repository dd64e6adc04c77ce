"""When lists fall due: every cadence, months, whole boards, and what was missed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests import make
from warning_service.clock import MovableClock, at
from warning_service.events.log import read
from warning_service.events.types import ListDue
from warning_service.list_dates import due
from warning_service.playbooks.judging import ListRule
from warning_service.rooms import Rooms
from warning_service.roster.tables import closed_days
from warning_service.schedule import Schedule

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FIRST = date(2026, 4, 8)  # a Wednesday


@pytest.fixture
def town(rooms: Rooms) -> Rooms:
    first, _, second, _ = make.places(rooms.database, schools=2, classes=2)
    make.children(rooms.log, first, 2, since=FIRST)
    make.children(rooms.log, second, 1, since=date(2026, 5, 11))
    with rooms.database.writing() as conn:
        conn.execute(
            closed_days.insert().values(
                board=make.BOARD, school="sakura", day=date(2026, 5, 18), why="開校記念日"
            )
        )
    return rooms


def rule(**changed: Any) -> ListRule:
    held = {"cadence": "every_school_day", "budget_places": 3, "hour": 7}
    return ListRule.model_validate(held | changed)


def days(rooms: Rooms, asked: ListRule, now: date, hour: int = 8) -> dict[str, list[date]]:
    found: dict[str, list[date]] = {}
    with rooms.database.reading() as conn:
        for one in due(conn, make.BOARD, asked, FIRST, at(now, hour)):
            found.setdefault(one.school, []).append(one.on)
    return found


def test_every_school_day_from_the_second_on(town: Rooms) -> None:
    found = days(town, rule(), date(2026, 5, 19))
    assert found["sakura"][:3] == [date(2026, 4, 9), date(2026, 4, 10), date(2026, 4, 13)]
    assert date(2026, 4, 29) not in found["sakura"], "昭和の日"
    assert found["sakura"][-2:] == [date(2026, 5, 15), date(2026, 5, 19)], "its own closed day"
    assert found["school2"][0] == date(2026, 5, 11), "nobody was on its roll before"
    assert days(town, rule(), date(2026, 5, 19), 6)["school2"][-1] == date(2026, 5, 18)


def test_the_first_school_day_of_a_week(town: Rooms) -> None:
    found = days(town, rule(cadence="first_school_day_of_week"), date(2026, 5, 31))
    # Not in the first week. 4 to 6 May are holidays; 18 May is closed at one school.
    assert found["sakura"] == [
        date(2026, 4, 20), date(2026, 4, 27), date(2026, 5, 7), date(2026, 5, 11),
        date(2026, 5, 19), date(2026, 5, 25),
    ]  # fmt: skip
    assert found["school2"] == [date(2026, 5, 11), date(2026, 5, 18), date(2026, 5, 25)]

    only_in_the_playbooks_months(town)
    a_board_that_picks_from_all_its_schools_has_one_slot(town)


def only_in_the_playbooks_months(town: Rooms) -> None:
    monthly = rule(cadence="first_school_day_of_month", months=[6, 9])
    now = date(2026, 10, 20)
    assert days(town, monthly, now)["sakura"] == [date(2026, 6, 1), date(2026, 9, 1)]
    weekly = days(town, rule(cadence="first_school_day_of_week", months=[6]), now)["school2"]
    assert weekly == [date(2026, 6, n) for n in (1, 8, 15, 22, 29)]
    assert days(town, rule(cadence="none", budget_places=None), now) == {}


def a_board_that_picks_from_all_its_schools_has_one_slot(town: Rooms) -> None:
    asked = rule(cadence="first_school_day_of_month", scope="board")
    assert days(town, asked, date(2026, 7, 1)) == {
        "": [date(2026, 5, 1), date(2026, 6, 1), date(2026, 7, 1)]
    }


def test_slots_run_once_and_a_board_that_changes_does_not_begin_again(
    town: Rooms, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = town.playbooks.of(make.BOARD)

    def use(**changed: Any) -> None:
        asked = rule(cadence="first_school_day_of_month", **changed)
        changed_book = played.model_copy(update={"list": asked})
        monkeypatch.setattr(town.playbooks, "of", lambda board: changed_book)

    def made() -> list[tuple[date, str]]:
        with town.database.reading() as conn:
            found = read(conn, make.BOARD, 0, 10_000)
        return [(e.on, e.body.school) for e in found if isinstance(e.body, ListDue)]

    use()
    clock.move_to(at(date(2026, 6, 2), 8))
    Schedule(town).run_due()
    assert made() == [
        (date(2026, 5, 1), "sakura"), (date(2026, 6, 1), "sakura"), (date(2026, 6, 1), "school2")
    ]  # fmt: skip
    use(scope="board")
    clock.move_to(at(date(2026, 8, 3), 8))
    Schedule(town).run_due()
    Schedule(town).run_due()
    assert made()[3:] == [(date(2026, 7, 1), ""), (date(2026, 8, 3), "")]
    use()
    clock.move_to(at(date(2026, 9, 1), 8))
    Schedule(town).run_due()
    assert made()[5:] == [(date(2026, 9, 1), "sakura"), (date(2026, 9, 1), "school2")]
