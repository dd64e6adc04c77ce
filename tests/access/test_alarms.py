"""Alarms on odd looking: each rule at its limit and one below, once each, in any portions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from pydantic import ValidationError
from sqlalchemy import delete

from tests import make
from warning_service.access.tables import looking, looking_alarms
from warning_service.access.trail import alarms
from warning_service.access.trail.actions import of_kind
from warning_service.access.trail.alarm_rules import FILE, AlarmRules, limit_for, load_rules
from warning_service.access.trail.alarms import POSITION, Watch, most_within
from warning_service.access.trail.audit import Look, Trail, TrailKeys
from warning_service.clock import MovableClock, at
from warning_service.database import Database
from warning_service.events.tables import facts
from warning_service.roster import service
from warning_service.roster import tables as roster
from warning_service.settings import Settings

MONDAY = date(2026, 5, 11)


class Office:
    """People looking at children, at times of one's choice."""

    def __init__(self, database: Database, clock: MovableClock, settings: Settings) -> None:
        self.database, self.clock = database, clock
        self.trail = Trail(database, clock, TrailKeys(settings))
        self.rules = load_rules(settings.data_dir)
        self.watch = Watch(database, clock, self.rules)

    def look(
        self,
        count: int,
        *,
        when: datetime | None = None,
        who: str = "staff-1",
        action: str = "student",
        duty: str = "homeroom",
        first: int = 0,
    ) -> None:
        if when is not None and when > self.clock.now():
            self.clock.move_to(when)
        self.trail.record(
            [
                Look(board=make.BOARD, actor=who, action=action, subject=f"child-{n}", duty=duty)
                for n in range(first, first + count)
            ]
        )

    def raised(self) -> list[tuple[str, str, int]]:
        self.watch.run()
        rows = make.rows(self.database, looking_alarms)
        return sorted((row.rule, row.subject, row.count) for row in rows)


@pytest.fixture
def office(database: Database, clock: MovableClock, settings: Settings) -> Office:
    return Office(database, clock, settings)


def test_a_class_before_report_cards_is_no_alarm_and_one_child_more_is(office: Office) -> None:
    office.look(44)
    assert office.raised() == []
    office.look(1, first=44)
    assert office.raised() == [("hour", "staff-1", 45)]
    row = make.rows(office.database, looking_alarms)[0]
    assert (row.board, row.day, row.threshold, row.usual) == (make.BOARD, MONDAY, 45, 0)
    assert (row.last_seq, row.acknowledged_at, row.verdict) == (45, None, "")


def test_the_hour_slides(office: Office) -> None:
    office.look(30, when=at(MONDAY, 10))
    office.look(30, when=at(MONDAY, 11, 1), first=30)
    assert office.raised() == []
    office.look(20, when=at(MONDAY, 11, 40), first=60)
    assert office.raised() == [("day", "staff-1", 80), ("hour", "staff-1", 50)]


def test_each_role_has_its_figure(office: Office) -> None:
    office.look(49, duty="nurse")
    office.look(29, who="staff-2", duty="counsellor")
    office.look(39, who="staff-3", duty="operator")
    assert office.raised() == []
    office.look(1, duty="nurse", first=49)
    office.look(1, who="staff-2", duty="counsellor", first=29)
    office.look(1, who="staff-3", duty="operator", first=39)
    assert [(rule, who) for rule, who, _ in office.raised()] == [
        ("hour", "staff-1"), ("hour", "staff-2"), ("hour", "staff-3"),
    ]  # fmt: skip


def test_of_two_duties_the_larger_figure_counts(office: Office) -> None:
    office.look(10, duty="counsellor")
    office.look(35, duty="counsellor,nurse", first=10)
    assert office.raised() == []


def test_overviews_count_apart(office: Office) -> None:
    office.look(159, action="class")
    assert office.raised() == []
    office.look(1, action="list", first=159)
    assert office.raised() == [("shown", "staff-1", 160)]


def test_what_lies_outside_ones_duty(office: Office) -> None:
    office.look(7, action="refused:student")
    office.look(7, action="refused:student")  # the same seven again
    assert office.raised() == []
    office.look(1, action="refused:page", first=7)
    assert office.raised() == [("refused", "staff-1", 8)]


def test_files(office: Office) -> None:
    office.look(5, action="trail_export")
    assert office.raised() == []
    office.look(1, action="trail_export")
    assert office.raised() == [("export", "staff-1", 6)]


@pytest.mark.parametrize(("hour", "minute"), [(22, 0), (23, 59), (28, 59)])
def test_at_night(office: Office, hour: int, minute: int) -> None:
    when = at(MONDAY) + timedelta(hours=hour, minutes=minute)
    office.look(3, when=when)
    assert office.raised() == []
    office.look(1, first=3)
    assert office.raised() == [("night", "staff-1", 4)]


def test_the_evening_and_the_early_morning_are_no_night(office: Office) -> None:
    office.look(10, when=at(MONDAY, 21, 59))
    office.look(10, when=at(date(2026, 5, 12), 5))
    assert office.raised() == []


@pytest.mark.parametrize("day", [date(2026, 5, 16), date(2026, 5, 17), date(2026, 7, 20)])
def test_on_a_free_day(office: Office, day: date) -> None:
    office.look(11, when=at(day, 10))
    assert office.raised() == []
    office.look(1, first=11)
    assert office.raised() == [("free_day", "staff-1", 12)]


def test_a_day_without_lessons_is_a_working_day_with_a_figure_of_its_own(office: Office) -> None:
    with office.database.writing() as conn:
        service.put_rows(
            conn, roster.closed_days, ["board", "school", "day"],
            [{"board": make.BOARD, "school": "", "day": date(2026, 5, 13), "why": "休み"}],
        )  # fmt: skip
    for n, hour in enumerate((10, 12, 14)):
        office.look(20, when=at(date(2026, 5, 12), hour), first=20 * n)
    for n, hour in enumerate((10, 12)):
        office.look(20, when=at(date(2026, 5, 13), hour), first=20 * n)
    office.look(19, when=at(date(2026, 5, 13), 14), first=40)
    assert office.raised() == []
    office.look(1, first=59)
    assert office.raised() == [("free_day", "staff-1", 60)]


def test_far_more_than_usual(office: Office) -> None:
    day = MONDAY
    for _ in range(10):
        office.look(5, when=at(day, 10))
        day += timedelta(days=1 if day.weekday() < 4 else 3)
    office.look(29, when=at(day, 10))
    assert office.raised() == []
    office.look(1, first=29)
    assert office.raised() == [("usual", "staff-1", 30)]
    assert make.rows(office.database, looking_alarms)[0].usual == 5
    # Who is new has no usual yet.
    office.look(40, who="staff-2")
    assert len(office.raised()) == 1


def test_who_always_looks_at_many_may(office: Office) -> None:
    day = MONDAY
    for _ in range(11):
        office.look(30, when=at(day, 10))
        day += timedelta(days=1 if day.weekday() < 4 else 3)
    assert office.raised() == []


def test_a_child_everybody_looks_at(office: Office) -> None:
    for n in range(9):
        office.look(1, who=f"staff-{n}")
        office.look(1, who=f"staff-{n}", first=n + 1)  # and an ordinary one each
    office.look(1, who="system:job")
    assert office.raised() == []
    office.look(1, who="staff-9")
    assert office.raised() == [("watched", "child-0", 10)]
    office.look(1, who="staff-10")  # within the week and less than twice as many
    assert office.raised() == [("watched", "child-0", 10)]


def test_a_whole_schools_worry_is_no_single_child(office: Office) -> None:
    for n in range(10):
        office.look(5, who=f"staff-{n}")
    assert office.raised() == []


def test_it_is_told_again_only_when_it_has_doubled(office: Office) -> None:
    office.look(10, action="refused:student")
    assert office.raised() == [("refused", "staff-1", 10)]
    office.look(15, action="refused:student")
    assert len(office.raised()) == 1
    office.look(16, action="refused:student")
    assert office.raised() == [("refused", "staff-1", 10), ("refused", "staff-1", 16)]
    office.look(8, action="refused:student", when=at(date(2026, 5, 12), 10))
    assert len(office.raised()) == 3  # another day, another question


def test_jobs_and_nobody_raise_nothing(office: Office) -> None:
    office.look(90, who="system:import")
    office.look(90, who="")
    assert office.raised() == []
    assert make.rows(office.database, looking) == []


@pytest.mark.parametrize("portion", [1, 7, 5000])
def test_in_any_portions_it_is_the_same(
    office: Office, portion: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarms, "AT_ONCE", portion)
    office.look(20, action="class")
    office.look(8, action="refused:student")
    office.look(3, action="student")
    assert office.raised() == [("refused", "staff-1", 8)]
    row = make.rows(office.database, looking)[0]
    assert (row.staff, row.day, row.opened, row.shown, row.refused, row.exports) == (
        "staff-1", MONDAY, 3, 20, 8, 0,
    )  # fmt: skip
    assert office.watch.run() == 0


def test_two_that_read_the_same_rows_raise_one(office: Office) -> None:
    office.look(8, action="refused:student")
    other = Watch(office.database, office.clock, office.rules)
    with office.database.reading() as conn:
        new = conn.execute(alarms.audit.select()).all()
        days = list(other._days(conn, new, 8))
        found = [alarm for one in days for alarm in other._of_person(conn, one)]
    assert office.watch.run() == 1
    assert other._store(0, 8, days, found) is None
    # Even if the position is lost, nothing is raised a second time.
    with office.database.writing() as conn:
        conn.execute(delete(facts).where(facts.c.name == POSITION))
    assert other.run() == 0
    assert len(make.rows(office.database, looking_alarms)) == 1


def test_log_and_metric_tell_no_person(office: Office) -> None:
    before = alarms.RAISED.labels("refused")._value.get()
    office.look(8, action="refused:student")
    with structlog.testing.capture_logs() as lines:
        office.watch.run()
        office.watch.run()
    assert alarms.RAISED.labels("refused")._value.get() == before + 1
    assert [line["event"] for line in lines] == ["looking_alarm", "audit_trail_head"]
    assert lines[0] == {
        "event": "looking_alarm", "kind": "refused", "board": make.BOARD, "count": 8,
        "log_level": "warning",
    }  # fmt: skip
    assert lines[1]["position"] == 8 and lines[1]["state"].startswith("8-")
    office.clock.move_by(timedelta(days=1))
    with structlog.testing.capture_logs() as lines:
        office.watch.run()
    assert [line["event"] for line in lines] == ["audit_trail_head"]


def test_most_within() -> None:
    def looks(*minutes: int) -> Sequence[tuple[datetime, str]]:
        return [(at(MONDAY) + timedelta(minutes=m), f"c{n % 3}") for n, m in enumerate(minutes)]

    assert most_within([], alarms.HOUR) == 0
    assert most_within(looks(0, 1, 2, 3, 4), alarms.HOUR) == 3
    assert most_within(looks(0, 60, 121), alarms.HOUR) == 2
    assert most_within(looks(0, 61, 122), alarms.HOUR) == 1


def test_a_board_may_have_its_own_figures(settings: Settings, tmp_path: Path) -> None:
    shipped = load_rules(settings.data_dir)
    own = tmp_path / "own"
    own.mkdir()
    text = (Path(alarms.__file__).parent / FILE).read_text("utf-8")
    (own / FILE).write_text(text.replace("limit = 8", "limit = 3"), "utf-8")
    assert (shipped.refused.limit, load_rules(own).refused.limit) == (8, 3)
    assert limit_for(shipped.hour, []) == shipped.hour["other"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hour": {"nurse": 3}}, "other"),
        ({"hour": {"other": 3, "nurs": 3}}, "nurs"),
        ({"hour": {"other": 0}}, "at least 1"),
        ({"colour": 3}, "colour"),
    ],
)
def test_figures_that_make_no_sense_are_refused(
    settings: Settings, change: dict[str, object], words: str
) -> None:
    good = load_rules(settings.data_dir).model_dump()
    with pytest.raises(ValidationError, match=words):
        AlarmRules.model_validate({**good, **change})


def test_looking_through_what_is_held_counts_as_opening() -> None:
    assert {"request_held", "trail_of_child", "cases"} <= set(of_kind("opened"))
