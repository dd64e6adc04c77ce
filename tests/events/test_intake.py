"""Group commit: durable before confirmed, bounded, one offender does not spoil a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
import pytest
from sqlalchemy import text

from tests.make import BOARD, check_in, rows
from warning_service.clock import MovableClock
from warning_service.database import StorageUnavailable
from warning_service.events.intake import BATCH, Intake, QueueFull
from warning_service.events.log import ConflictingEvent, Log
from warning_service.events.tables import events


@pytest.fixture
def intake(log: Log) -> Iterator[Intake]:
    made = Intake(log, queue=1000, batch=100)
    made.start()
    yield made
    made.stop()


def test_all_that_were_confirmed_are_there_once(
    intake: Intake, log: Log, clock: MovableClock
) -> None:
    new = [check_in(f"s{n}", clock, mood=1) for n in range(300)]

    async def send() -> None:
        await asyncio.gather(*(intake.submit(e) for e in [*new, *new[:50]]))

    asyncio.run(send())
    assert sorted(row.id for row in rows(log.database, events)) == sorted(e.id for e in new)


def test_a_conflicting_event_is_refused_alone(
    intake: Intake, log: Log, clock: MovableClock
) -> None:
    good = [check_in(f"s{n}", clock, mood=1) for n in range(20)]
    bad = msgspec.structs.replace(check_in("other", clock, mood=3), id=good[0].id)

    async def send() -> list[BaseException | None]:
        await intake.submit(good[0])
        return await asyncio.gather(
            *(intake.submit(e) for e in [*good[1:], bad]), return_exceptions=True
        )

    answers = asyncio.run(send())
    assert answers[:-1] == [None] * 19
    assert isinstance(answers[-1], ConflictingEvent)
    assert len(rows(log.database, events)) == 20


def test_a_full_queue_says_so_and_stores_nothing_of_it(log: Log, clock: MovableClock) -> None:
    intake = Intake(log, queue=2, batch=100)  # not started: nothing is taken out

    async def send() -> None:
        waiting = [
            asyncio.create_task(intake.submit(check_in("s", clock, mood=1))) for _ in range(2)
        ]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await intake.submit(check_in("s", clock, mood=1))
        for task in waiting:
            task.cancel()

    asyncio.run(send())
    assert rows(log.database, events) == []


def test_storage_trouble_is_told_and_the_writer_goes_on_afterwards(
    intake: Intake, log: Log, clock: MovableClock
) -> None:
    with log.database.writing() as conn:
        conn.execute(text("ALTER TABLE events RENAME TO events_away"))

    async def one() -> None:
        await intake.submit(check_in("s", clock, mood=1))

    with pytest.raises(StorageUnavailable):
        asyncio.run(one())
    with log.database.writing() as conn:
        conn.execute(text("ALTER TABLE events_away RENAME TO events"))
    asyncio.run(one())
    assert len(rows(log.database, events)) == 1


def test_stopping_commits_what_waits(log: Log, clock: MovableClock) -> None:
    intake = Intake(log, queue=1000, batch=10)

    async def send() -> None:
        tasks = [
            asyncio.create_task(intake.submit(check_in("s", clock, mood=1))) for _ in range(55)
        ]
        await asyncio.sleep(0)
        intake.start()
        await asyncio.to_thread(intake.stop)
        await asyncio.gather(*tasks)

    asyncio.run(send())
    assert {row.board for row in rows(log.database, events)} == {BOARD}
    assert len(rows(log.database, events)) == 55


def test_a_cry_for_help_finds_a_place_in_a_full_queue_and_goes_first(
    log: Log, clock: MovableClock
) -> None:
    intake = Intake(log, queue=3, batch=2, reserve=2)
    ordinary = [check_in(f"s{n}", clock, mood=1) for n in range(4)]
    urgent = [check_in(f"u{n}", clock, mood=3) for n in range(3)]

    async def send() -> None:
        waiting = [asyncio.ensure_future(intake.submit(e)) for e in ordinary[:3]]
        waiting += [asyncio.ensure_future(intake.submit(e, urgent=True)) for e in urgent[:2]]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await intake.submit(ordinary[3])
        with pytest.raises(QueueFull):
            await intake.submit(urgent[2], urgent=True)
        intake.start()  # only now is anything taken out
        await asyncio.gather(*waiting)

    asyncio.run(send())
    intake.stop()
    stored = sorted(rows(log.database, events), key=lambda row: row.position)
    assert [row.id for row in stored] == [e.id for e in [*urgent[:2], *ordinary[:3]]]


def test_requests_of_the_same_moment_share_a_commit(log: Log, clock: MovableClock) -> None:
    before = _commits()
    intake = Intake(log, queue=1000, batch=1000)
    intake.start()

    async def send() -> None:
        await asyncio.gather(*(intake.submit(check_in(f"s{n}", clock, mood=1)) for n in range(250)))

    asyncio.run(send())
    intake.stop()
    assert len(rows(log.database, events)) == 250
    assert _commits() - before == 1


def _commits() -> float:
    (found,) = [
        sample.value
        for metric in BATCH.collect()
        for sample in metric.samples
        if sample.name.endswith("_count")
    ]
    return found
