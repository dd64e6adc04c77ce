"""Exact removal: after it, everything is as if the child had never been in the log."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, delete, select, update

from models.student_state import from_bytes
from tests.judging.town import BOARD, FIRST, OnePlaybook, _new, days_of_events, key, store
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.events.tables import consumers, deletion_permits, events
from warning_service.events.types import (
    LogShortened,
    NewEvent,
    ObservationRecorded,
    OptOutRecorded,
    OptOutWithdrawn,
    UseStopped,
)
from warning_service.events.wakeups import Wakeups
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.deriving import gone
from warning_service.judging.deriving.rebuild import rebuild
from warning_service.judging.deriving.removal import AGAIN, Removal, asked, drop_begun, next_store
from warning_service.judging.tables import (
    derivations,
    feature_states,
    left_out,
    list_entries,
    list_scores,
    model_snapshots,
    training_blocks,
    warning_lists,
)

GONE = key(3)
DAYS, CHILDREN = 88, 24
STATE = (feature_states, model_snapshots, training_blocks)
Days = list[list[NewEvent]]


def town() -> Days:
    return days_of_events(days=DAYS, children=CHILDREN)


def on(step: int, body: object, name: str, student: str = GONE) -> NewEvent:
    return _new(FIRST + timedelta(days=step), student, body, name)


def without(days: Days, student: str = GONE) -> Days:
    return [[e for e in events if e.student != student] for events in days]


def drain(log: Log) -> None:
    """The live consumer, as a process of its own: it loads what is stored."""
    dispatcher = Dispatcher(log, JudgingConsumer(log, OnePlaybook()), BOARD)
    dispatcher.drain()
    dispatcher.release()


def remove(log: Log) -> None:
    Removal(log, OnePlaybook(), BOARD).run()


@pytest.fixture
def other(sqlite_template: Path, tmp_path: Path, clock: MovableClock) -> Iterator[Log]:
    """A second log, for the run that never had the child."""
    folder = tmp_path / "never"
    shutil.copytree(sqlite_template, folder)
    database = Database(f"sqlite:///{folder / 'kizashi.db'}")
    yield Log(database, clock, Wakeups(database))
    database.close()


def everything(log: Log, after: int = DAYS) -> dict[str, list[tuple[Any, ...]]]:
    """Model state byte for byte, and the lists dated from day `after` on.

    Log positions are told as the event at that position, because two logs number differently.
    """
    with log.database.reading() as conn:
        name = {row.position: row.id for row in conn.execute(select(events))}
        found = {t.name: _plain(conn.execute(select(t)), name) for t in STATE}
        since = FIRST + timedelta(days=after)
        lists = select(warning_lists).where(warning_lists.c.list_date >= since)
        found["warning_lists"] = _plain(conn.execute(lists), name)
        ids = [row[0] for row in conn.execute(lists)]
        for t in (list_entries, list_scores):
            found[t.name] = _plain(conn.execute(select(t).where(t.c.list_id.in_(ids))), name)
    return found


def _plain(rows: Any, name: dict[int, str]) -> list[tuple[Any, ...]]:
    told = [
        tuple(
            name[value] if column in ("position", "as_of")
            else bytes(value) if isinstance(value, memoryview) else value
            for column, value in row._mapping.items()
        )
        for row in rows
    ]  # fmt: skip
    return sorted(told, key=str)


def never(other: Log, days: Days, after: int) -> dict[str, list[tuple[Any, ...]]]:
    store(other, days)
    drain(other)
    return everything(other, after)


@pytest.mark.parametrize(
    ("refused", "removed"), [(0, 40), (35, 45), (57, 60)], ids=["start", "middle", "after lists"]
)
def test_removal_equals_a_run_that_never_had_the_child(
    log: Log, other: Log, refused: int, removed: int
) -> None:
    days = town()
    days[refused].append(on(refused, OptOutRecorded(), "refuse"))
    store(log, days[:removed])
    drain(log)
    removal = Removal(log, OnePlaybook(), BOARD)
    assert removal.due()
    removal.run()
    assert not removal.due()
    store(log, days[removed:])
    drain(log)
    now, wanted = everything(log, removed), never(other, without(days), removed)
    assert len(wanted["warning_lists"]) >= 2 and len(wanted["list_scores"]) > 10
    assert len(wanted["model_snapshots"]) == 5 and wanted["training_blocks"]
    for table, rows in wanted.items():
        assert now[table] == rows, table
    for table in ("model_snapshots", "training_blocks"):
        assert not any(GONE.encode() in row[-1] for row in now[table])
    report = rebuild(log, OnePlaybook(), BOARD)
    assert report.equal, report.differences
    assert report.pending == 0 and report.lists >= len(wanted["warning_lists"])


def test_a_refusal_works_at_once_while_the_old_model_goes_on(log: Log) -> None:
    days = town()
    days[57].append(on(57, OptOutRecorded(), "refuse"))
    store(log, days[:57])
    drain(log)
    memory = select(model_snapshots.c.state).where(model_snapshots.c.name == "memory")
    with log.database.reading() as conn:
        held = bytes(conn.execute(memory).scalar_one())
    assert GONE.encode() in held, "it should have been remembered before"
    store(log, days[57:])
    drain(log)
    with log.database.reading() as conn:
        assert GONE.encode() not in bytes(conn.execute(memory).scalar_one())
        known = conn.execute(select(feature_states.c.student)).scalars().all()
        assert GONE not in known and len(known) == CHILDREN - 1
        kept = conn.execute(select(left_out)).one()
        state = from_bytes(bytes(kept.state))
        assert kept.student == GONE and state.roll and not state.items and not state.outcomes
        later = select(warning_lists.c.id).where(
            warning_lists.c.list_date >= FIRST + timedelta(days=57)
        )
        ranked = conn.execute(
            select(list_scores.c.student).where(list_scores.c.list_id.in_(later))
        ).scalars()
        assert GONE not in set(ranked)
        assert [e.student for e in asked(conn, BOARD)] == [GONE]
    report = rebuild(log, OnePlaybook(), BOARD)
    assert report.equal and report.pending == 1


def test_a_removal_may_be_killed_at_any_batch_and_goes_on(
    log: Log, other: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warning_service.judging.deriving.removal.BATCH", 60)
    days = town()
    days[35].append(on(35, OptOutRecorded(), "refuse"))
    store(log, days[:60])
    drain(log)
    steps, came = 0, "worked"
    while came != "in use":
        again = Removal(log, OnePlaybook(), BOARD)  # each a process that dies after one batch
        again.begin()
        came = again.step()
        again.release()
        steps += 1
        if steps == 4:  # school goes on meanwhile, with the old model
            with log.database.reading() as conn:
                began = gone.running(conn, BOARD)
            assert began
            store(log, days[60:70])
            drain(log)
    assert steps > 8
    with log.database.reading() as conn:
        assert gone.latest(conn, BOARD).began == began
        assert not conn.execute(select(consumers).where(consumers.c.name == AGAIN)).all()
        for table in STATE:
            query = select(table).where(table.c.board == next_store(BOARD))
            assert not conn.execute(query).all()
    store(log, days[70:])
    drain(log)
    now, wanted = everything(log, 70), never(other, without(days), 70)
    assert now == wanted


def test_a_second_refusal_meanwhile_asks_again(log: Log, other: Log) -> None:
    days = town()
    second = key(8)
    days[35].append(on(35, OptOutRecorded(), "refuse"))
    days[50].append(on(50, OptOutRecorded(), "second", second))
    store(log, days[:45])
    drain(log)
    removal = Removal(log, OnePlaybook(), BOARD)
    removal.begin()
    assert removal.step() == "worked"
    store(log, days[45:60])
    drain(log)
    while removal.step() != "in use":
        pass
    assert removal.due(), "the second one is still in the weights"
    removal.run()
    assert not removal.due()
    store(log, days[60:])
    drain(log)
    assert everything(log, 60) == never(other, without(without(days), second), 60)
    report = rebuild(log, OnePlaybook(), BOARD)
    assert report.equal, report.differences


def test_a_refusal_taken_back_counts_from_that_day(log: Log) -> None:
    days = town()
    days[30].append(on(30, OptOutRecorded(), "refuse"))
    days[55].append(on(55, OptOutWithdrawn(), "again"))
    days[55].append(on(55, OptOutWithdrawn(), "twice"))  # means nothing
    store(log, days[:40])
    drain(log)
    remove(log)
    store(log, days[40:])
    drain(log)
    back = (FIRST + timedelta(days=55)).toordinal()
    with log.database.reading() as conn:
        assert not conn.execute(select(left_out)).all()
        state = from_bytes(
            bytes(
                conn.execute(
                    select(feature_states.c.state).where(feature_states.c.student == GONE)
                ).scalar_one()
            )
        )
        later = select(warning_lists.c.id).where(
            warning_lists.c.list_date >= FIRST + timedelta(days=56)
        )
        ranked = conn.execute(
            select(list_scores.c.student).where(list_scores.c.list_id.in_(later))
        ).scalars()
        assert GONE in set(ranked)
    assert state.data_from == back and state.items and state.roll
    for held in state.items.values():
        assert min(held.days) >= back and not held.old_n
    remove(log)  # deriving once more does not bring back what was before
    report = rebuild(log, OnePlaybook(), BOARD)
    assert report.equal, report.differences
    with log.database.reading() as conn:
        again = conn.execute(
            select(feature_states.c.state).where(feature_states.c.student == GONE)
        ).scalar_one()
    assert from_bytes(bytes(again)) == state


def test_a_stopped_item_leaves_the_models_like_one_never_recorded(log: Log, other: Log) -> None:
    days = town()
    days[50].append(on(50, UseStopped(items=("absent_days",), request="r"), "stop"))
    store(log, days[:60])
    drain(log)
    remove(log)
    store(log, days[60:])
    drain(log)
    clean = [
        [
            e for e in events
            if not (e.student == GONE and isinstance(e.body, UseStopped))
            and not (
                e.student == GONE
                and isinstance(e.body, ObservationRecorded)
                and e.body.item == "absent_days"
            )
        ]
        for events in days
    ]  # fmt: skip
    now, wanted = everything(log, 60), never(other, clean, 60)
    mine = {r[1]: from_bytes(r[2]) for r in now.pop("feature_states")}
    theirs = {r[1]: from_bytes(r[2]) for r in wanted.pop("feature_states")}
    assert mine[GONE].stopped == {"absent_days": 0}
    mine[GONE].stopped = {}
    assert mine == theirs
    assert now == wanted


def test_who_stopped_an_item_and_refused_keeps_it_stopped(log: Log) -> None:
    days = town()
    days[5].append(on(5, UseStopped(items=("absent_days",), request="r"), "stop"))
    days[10].append(on(10, OptOutRecorded(), "refuse"))
    days[12].append(on(12, UseStopped(items=("late_days",), request="r2"), "stop2"))
    days[15].append(on(15, OptOutWithdrawn(), "again"))
    store(log, days[:40])
    drain(log)
    with log.database.reading() as conn:
        state = from_bytes(
            bytes(
                conn.execute(
                    select(feature_states.c.state).where(feature_states.c.student == GONE)
                ).scalar_one()
            )
        )
    assert set(state.stopped) == {"absent_days", "late_days"}
    assert not state.items.keys() & state.stopped.keys()


def delete_from_log(conn: Connection, student: str) -> None:
    conn.execute(deletion_permits.insert().values(subject="events"))
    conn.execute(delete(events).where(events.c.student == student))
    conn.execute(delete(deletion_permits))


def test_a_deletion_from_the_log_is_honoured_and_overtakes_what_was_begun(
    log: Log, other: Log
) -> None:
    days = town()
    store(log, days[:60])
    drain(log)
    removal = Removal(log, OnePlaybook(), BOARD)
    assert not removal.due()
    removal.begin()
    assert removal.step() == "worked"
    told = LogShortened(kind="leavers", rows=9, oldest=FIRST, newest=FIRST, judged=True)
    with log.unit_of_work() as unit:
        delete_from_log(unit.conn, GONE)
        unit.append(_new(FIRST, None, told, "shortened"))
    drain(log)
    while removal.step() == "worked":
        pass
    assert removal.step() == "waits", "what was read of deleted rows must not come into use"
    assert rebuild(log, OnePlaybook(), BOARD).differences == [
        "models: rows were deleted from the log after they were derived"
    ]
    removal.run()
    report = rebuild(log, OnePlaybook(), BOARD)
    assert report.equal, report.differences
    assert report.beyond_proof == 6 and report.lists == 0
    store(log, without(days)[60:])
    drain(log)
    marked = without(days)
    marked[59].append(_new(FIRST, None, told, "shortened"))
    assert everything(log, 60) == never(other, without(marked), 60)
    assert rebuild(log, OnePlaybook(), BOARD).lists == 2


def test_what_was_begun_can_be_dropped(log: Log) -> None:
    store(log, town()[:20])
    drain(log)
    with log.database.writing() as conn:
        drop_begun(conn, BOARD)  # nothing to drop
    removal = Removal(log, OnePlaybook(), BOARD)
    removal.begin()
    removal.step()
    with log.database.writing() as conn:
        drop_begun(conn, BOARD)
        assert not conn.execute(select(derivations)).all()
        query = select(feature_states).where(feature_states.c.board == next_store(BOARD))
        assert not conn.execute(query).all()
    assert not removal.due()


def test_an_older_snapshot_is_derived_without_what_was_removed(log: Log) -> None:
    """After an upgrade the live consumer derives its state itself: the child must not come back."""
    days = town()
    days[20].append(on(20, OptOutRecorded(), "refuse"))
    store(log, days[:60])
    drain(log)
    remove(log)
    before = everything(log, 0)
    with log.database.writing() as conn:
        conn.execute(update(model_snapshots).values(versions="{}"))
        conn.execute(update(feature_states).values(state=msgspec.msgpack.encode([])))
    told = LogShortened(kind="alerts", rows=1, oldest=FIRST, newest=FIRST, judged=False)
    store(log, [[_new(FIRST, None, told, "means nothing")]])
    drain(log)
    assert everything(log, 0) == before
