"""A tried playbook's lists, held against those of a service that worked by it all along."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select
from sqlmodel import SQLModel

from tests.conftest import START
from tests.judging.town import BOARD, FIRST, _new, days_of_events, key, small_playbook, store
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.events.tables import events
from warning_service.events.types import NewEvent, OptOutRecorded
from warning_service.events.wakeups import Wakeups
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.setup import from_playbook
from warning_service.judging.tables import list_entries, list_scores, warning_lists
from warning_service.judging.trying.counts import Tried
from warning_service.judging.trying.play import Cancelled, try_playbook
from warning_service.playbooks.model import Playbook

SINCE = FIRST + timedelta(days=25)


def wider() -> Playbook:
    """More places, and lateness weighs more than absence."""
    whole = small_playbook()
    items = [
        item.model_copy(update={"points": 9.0}) if item.id == "late_days" else item
        for item in whole.items
    ]
    places = whole.list.model_copy(update={"budget_share": 0.2})
    return whole.model_copy(update={"items": tuple(items), "list": places, "version": 99})


class _By:
    def __init__(self, playbook: Playbook) -> None:
        self.playbook = playbook

    def of(self, board: str) -> Playbook:
        return self.playbook


def town() -> list[list[NewEvent]]:
    return days_of_events(days=90, children=26)


def judged(folder: Path, template: Path, days: list[list[NewEvent]], playbook: Playbook) -> Log:
    """A log, and what a service that works by that playbook made of it."""
    folder.mkdir()
    for file in template.iterdir():
        shutil.copy(file, folder / file.name)
    database = Database(f"sqlite:///{folder / 'kizashi.db'}")
    log = Log(database, MovableClock(START), Wakeups(database))
    store(log, days)
    Dispatcher(log, JudgingConsumer(log, _By(playbook)), BOARD).drain()
    return log


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Log]:
    """The board as it works today."""
    log = judged(tmp_path_factory.mktemp("try") / "now", sqlite_template, town(), small_playbook())
    yield log
    log.database.close()


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Log]:
    """The same board, had it always worked by the tried playbook."""
    log = judged(tmp_path_factory.mktemp("try") / "other", sqlite_template, town(), wider())
    yield log
    log.database.close()


@pytest.fixture(scope="module")
def result(now: Log) -> Tried:
    return try_playbook(now, BOARD, small_playbook(), wider(), SINCE)


def shown(log: Log, since: date = SINCE) -> dict[tuple[date, str], set[str]]:
    """(list date, school) -> who was on the published list."""
    lists, entries = warning_lists, list_entries
    with log.database.reading() as conn:
        rows = conn.execute(
            select(lists.c.list_date, lists.c.school, entries.c.student)
            .join(entries, entries.c.list_id == lists.c.id)
            .where(lists.c.list_date >= since)
        )
        found: dict[tuple[date, str], set[str]] = {}
        for row in rows:
            found.setdefault((row.list_date, row.school), set()).add(row.student)
    return found


def test_the_tried_lists_are_those_of_a_service_that_worked_by_it(
    now: Log, other: Log, result: Tried
) -> None:
    was, tried = shown(now), shown(other)
    assert [one.on for one in result.dates] == sorted({on for on, _ in was})
    for one in result.dates:
        before = {s for (on, _), listed in was.items() if on == one.on for s in listed}
        after = {s for (on, _), listed in tried.items() if on == one.on for s in listed}
        assert (one.current, one.tried) == (len(before), len(after))
        assert (one.entering, one.leaving) == (len(after - before), len(before - after))
    assert sum(one.entering for one in result.dates) > 2
    assert (result.same_as_shown, result.shown) == (len(was), len(was))
    for of in result.schools:
        before = {s for (_, school), listed in was.items() if school == of.school for s in listed}
        after = {s for (_, school), listed in tried.items() if school == of.school for s in listed}
        assert (of.children_current, of.children_tried) == (len(before), len(after))
        assert (of.entering, of.leaving) == (len(after - before), len(before - after))
        entries = sum(len(v) for (_, school), v in tried.items() if school == of.school)
        assert of.tried.entries == entries
        assert of.tried.minutes == entries * small_playbook().review.minutes


def test_hits_are_counted_where_outcomes_are_known_and_only_there(
    now: Log, other: Log, result: Tried
) -> None:
    playbook = small_playbook()
    last = FIRST + timedelta(days=89)
    for log, right in zip((now, other), result.right, strict=True):
        assert right == _by_hand(log, playbook, last)
        assert right.listed_hits > 0
        low, high = right.interval
        assert right.listed_rate is not None
        assert low < right.listed_rate < high
        assert right.lists < len(shown(now)), "the latest lists cannot be judged yet"
    assert result.right_own is None


class _Counts(dict[str, Any]):
    """Counts that equal a Right of the same counts."""

    def __eq__(self, right: object) -> bool:
        return all(getattr(right, name) == value for name, value in self.items())

    __hash__ = None


def _by_hand(log: Log, playbook: Playbook, last: date) -> _Counts:
    """The same from the stored lists and outcome events, one child after the other."""
    horizon = timedelta(days=playbook.outcome.horizon_days)
    delay = timedelta(days=playbook.outcome.label_delay_days)
    lists, scores = warning_lists, list_scores
    with log.database.reading() as conn:
        began: dict[str, list[date]] = {}
        for row in conn.execute(select(events).where(events.c.type == "outcome_recorded")):
            began.setdefault(row.student, []).append(row.day)
        rows = conn.execute(
            select(lists.c.list_date, lists.c.id, scores.c.student, scores.c.listed)
            .join(scores, scores.c.list_id == lists.c.id)
            .where(lists.c.list_date >= SINCE)
        ).all()
    settled = [row for row in rows if row.list_date + horizon + delay <= last]
    # Outcomes of this town last until the next school year: whoever has one cannot have another.
    counted = []
    for row in settled:
        days = began.get(row.student, [])
        if not any(on <= row.list_date for on in days):
            hit = any(row.list_date < on <= row.list_date + horizon for on in days)
            counted.append((row, hit))
    return _Counts(
        lists=len({row.id for row in settled}),
        listed=sum(row.listed for row, _ in counted),
        listed_hits=sum(row.listed and hit for row, hit in counted),
        children=len({row.student for row, _ in counted if row.listed}),
        ranked=len(counted),
        ranked_hits=sum(hit for _, hit in counted),
        missed=sum(hit and not row.listed for row, hit in counted),
    )


def test_the_playbook_in_force_tried_against_itself_changes_nothing(now: Log) -> None:
    same = try_playbook(now, BOARD, small_playbook(), small_playbook(), SINCE)
    assert all(one.entering == one.leaving == 0 for one in same.dates)
    assert same.right[0] == same.right[1]
    assert same.load[0] == same.load[1]
    assert not any(item.changed or item.more or item.less for item in same.items)


def test_which_items_made_the_difference(now: Log, result: Tried) -> None:
    items = {item.item: item for item in result.items}
    assert [item.item for item in result.items if item.changed] == ["late_days"]
    assert items["late_days"].was == (2.0, 3.0, 28, 0.0)
    assert items["late_days"].now == (9.0, 3.0, 28, 0.0)
    assert all(item.more == item.less == 0 for item in result.items if not item.changed)
    changes = sum(one.entering + one.leaving for one in result.dates)
    assert items["late_days"].more + items["late_days"].less + result.by_order == changes
    # An item that is taken out is what those who leave have lost.
    whole = small_playbook()
    without = whole.model_copy(
        update={"items": tuple(i for i in whole.items if i.id != "absent_days")}
    )
    lost = {i.item: i for i in try_playbook(now, BOARD, whole, without, SINCE).items}
    assert lost["absent_days"].now is None
    assert lost["absent_days"].less > 0


def test_nothing_after_a_list_date_reaches_that_list(
    tmp_path: Path, sqlite_template: Path, result: Tried
) -> None:
    until = result.dates[1].on
    short = town()[: (until - FIRST).days + 1]
    # What comes the very same day after the list was due must not count either.
    for number in range(8):
        short[-1].append(_noise(until, number))
    log = judged(tmp_path / "short", sqlite_template, short, small_playbook())
    early = try_playbook(log, BOARD, small_playbook(), wider(), SINCE)
    log.database.close()
    assert early.dates == [one for one in result.dates if one.on <= until]
    assert early.right[1].lists < result.right[1].lists, "of the latest no outcome is known yet"


def _noise(on: date, number: int) -> NewEvent:
    from warning_service.events.types import ObservationRecorded

    body = ObservationRecorded(item="absent_days", value=9.0, source="test")
    return _new(on, key(number), body, "noise", str(number))


def test_a_refusing_family_is_as_if_it_had_never_been(
    tmp_path: Path, sqlite_template: Path, now: Log
) -> None:
    listed = sorted(set.union(*shown(now).values()))
    child, last = listed[0], FIRST + timedelta(days=89)
    refused = [*town(), [_new(last, child, OptOutRecorded(), "refusal")]]
    never = [[e for e in day if e.student != child] for day in town()]
    found = []
    for name, days in (("refused", refused), ("never", never)):
        log = judged(tmp_path / name, sqlite_template, days, small_playbook())
        tried = try_playbook(log, BOARD, small_playbook(), wider(), SINCE)
        found.append(tried)
        log.database.close()
    assert found[0].excluded == 1
    # What people were shown held the child; the play of it does not.
    assert found[0].same_as_shown < found[0].shown
    alike = {"position": 0, "excluded": 0, "same_as_shown": 0, "shown": 0}
    assert [msgspec.structs.replace(one, **alike) for one in found[:1]] == [
        msgspec.structs.replace(one, **alike) for one in found[1:]
    ]


def test_nothing_is_written_and_the_playbook_in_force_stays(now: Log) -> None:
    def counts() -> dict[str, int]:
        with now.database.reading() as conn:
            return {
                table.name: conn.execute(select(func.count()).select_from(table)).scalar_one()
                for table in SQLModel.metadata.sorted_tables
            }

    before = counts()
    seen: list[tuple[int, int, date | None]] = []
    try_playbook(
        now, BOARD, small_playbook(), wider(), SINCE, progress=lambda *word: seen.append(word)
    )
    assert counts() == before
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert seen[0][0] == 0
    assert seen[-1][0] == seen[-1][1]
    assert seen[-1][2] == FIRST + timedelta(days=89)


def test_it_stops_when_it_is_told_to(now: Log) -> None:
    calls = []

    def enough(done: int, _of: int, _day: date | None) -> None:
        calls.append(done)
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        try_playbook(now, BOARD, small_playbook(), wider(), SINCE, progress=enough)
    assert len(calls) == 3


@pytest.mark.parametrize("scope", ["school", "board"])
def test_another_cadence_makes_lists_on_its_own_days(now: Log, scope: str) -> None:
    whole = small_playbook()
    weekly = whole.model_copy(
        update={
            "list": whole.list.model_copy(
                update={"cadence": "first_school_day_of_week", "scope": scope}
            )
        }
    )
    tried = try_playbook(now, BOARD, whole, weekly, SINCE)
    assert tried.other_dates
    assert (tried.same_as_shown, tried.shown) == (len(shown(now)), len(shown(now)))
    days = [one.on for one in tried.dates if one.tried is not None]
    assert len(days) == 9
    assert all(on.weekday() == 0 or (on - timedelta(days=1)).weekday() < 5 for on in days)
    assert len({on.isocalendar()[:2] for on in days}) == len(days)
    assert {one.current for one in tried.dates if one.on.day != 1 and one.on.weekday() == 0} == {
        None
    }


def test_another_outcome_is_measured_both_ways(now: Log) -> None:
    whole = small_playbook()
    stricter = whole.model_copy(
        update={"outcome": whole.outcome.model_copy(update={"threshold": 4.0})}
    )
    tried = try_playbook(now, BOARD, whole, stricter, SINCE)
    assert tried.right_own is not None
    assert tried.right_own[0].ranked_hits != tried.right[0].ranked_hits
    assert tried.outcome == whole.outcome.id


def test_a_playbook_that_scores_nobody_has_no_lists(now: Log) -> None:
    whole = small_playbook()
    nobody = whole.model_copy(
        update={
            "judgement": whole.judgement.model_copy(update={"method": "none"}),
            "list": whole.list.model_copy(update={"cadence": "none"}),
        }
    )
    tried = try_playbook(now, BOARD, whole, nobody, SINCE)
    assert {one.tried for one in tried.dates} == {None}
    assert tried.load[1].entries == 0
    assert from_playbook(nobody).method == "none"
