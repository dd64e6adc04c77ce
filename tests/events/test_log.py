"""The log: order, duplicates, refusal to forget."""

from __future__ import annotations

import threading
from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.make import BOARD, append, check_in
from warning_service.clock import MovableClock
from warning_service.database import Database, StorageUnavailable
from warning_service.events.log import ConflictingEvent, Log, head, read
from warning_service.events.types import DayClosed, NewEvent, new_id


def event(n: int, *, id_: str | None = None) -> NewEvent:
    return NewEvent(
        id=id_ or new_id(), board=BOARD, student=None, on=date(2026, 5, 1), actor=f"a{n}",
        body=DayClosed(),
    )  # fmt: skip


def test_reads_back_what_was_appended_in_order(log: Log, clock: MovableClock) -> None:
    new = [check_in(f"s{n}", clock, mood=n % 4, sleep=None) for n in range(50)]
    append(log, *new)
    with log.database.reading() as conn:
        found = read(conn, BOARD, 0, 1000)
    assert [e.id for e in found] == [e.id for e in new]
    assert [e.body for e in found] == [e.body for e in new]
    assert all(e.recorded_at == clock.now() for e in found)
    assert [e.position for e in found] == sorted({e.position for e in found})


def test_the_same_event_twice_is_there_once(log: Log) -> None:
    one = event(1)
    append(log, one, one)
    append(log, one)
    with log.database.reading() as conn:
        assert len(read(conn, BOARD, 0, 10)) == 1


def test_same_id_with_other_content_is_refused_and_nothing_of_it_stays(log: Log) -> None:
    one = event(1)
    append(log, one)
    other = NewEvent(id=one.id, board=BOARD, student="x", on=one.on, actor="a", body=DayClosed())
    with pytest.raises(ConflictingEvent) as refused:
        append(log, event(2), other)
    assert refused.value.ids == [one.id]
    with log.database.reading() as conn:
        assert len(read(conn, BOARD, 0, 10)) == 1


@pytest.mark.parametrize("verb", ["UPDATE events SET actor = 'x'", "DELETE FROM events"])
def test_the_database_itself_refuses_to_forget(log: Log, verb: str) -> None:
    append(log, event(1))
    with pytest.raises((DBAPIError, StorageUnavailable)), log.database.writing() as conn:
        conn.execute(text(verb))
    with log.database.reading() as conn:
        assert read(conn, BOARD, 0, 1)[0].actor == "a1"


def test_a_reader_that_remembers_its_offset_misses_nothing_of_eight_writers(
    database: Database, log: Log
) -> None:
    """On PostgreSQL a plain `id > last` loses rows of transactions that commit late."""
    writers, each = 8, 60
    done = threading.Event()

    def write(number: int) -> None:
        for n in range(each):
            append(log, event(number * 1000 + n))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
    seen: list[int] = []

    def follow() -> None:
        last = 0
        while True:
            finished = done.is_set()
            with database.reading() as conn:
                found = read(conn, BOARD, last, 1000)
            seen.extend(e.position for e in found)
            if found:
                last = found[-1].position
            elif finished:
                return

    reader = threading.Thread(target=follow)
    reader.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()
    assert len(seen) == len(set(seen)) == writers * each
    with database.reading() as conn:
        assert head(conn) == seen[-1]
