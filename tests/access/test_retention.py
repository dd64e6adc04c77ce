"""What may be kept no longer goes: by its clock, all of it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary, Text, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

import warning_service.tables  # noqa: F401
from tests import make
from tests.keeping.old import LATELY, LONG_AGO, happened, kept
from warning_service import upkeep
from warning_service.access import leaving
from warning_service.access.retention import (
    OWN_FILE,
    clocks,
    leave_to_delete,
    permits_lying_about,
    shipped_clocks,
)
from warning_service.access.sealing import CannotOpen
from warning_service.access.tables import audit as trail_table
from warning_service.access.tables import passkeys, rights_reviews, staff_factors
from warning_service.access.trail import audit
from warning_service.access.trail.actions import of_kind
from warning_service.access.trail.audit import Look
from warning_service.alerts import rebuild as alerts_rebuild
from warning_service.clock import MovableClock
from warning_service.clock import at as instant
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.tables import deletion_permits, events
from warning_service.events.types import LogShortened, decode
from warning_service.follow_up import rebuild as cases_rebuild
from warning_service.judging import tables as judging
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.deriving.rebuild import rebuild
from warning_service.judging.deriving.removal import Removal
from warning_service.keeping import erase as erasing
from warning_service.keeping.by_reference import Matters
from warning_service.keeping.kinds import InLog, InTables, Took
from warning_service.keeping.register import NOT_PERSONAL, kinds
from warning_service.keeping.sweep import Retention
from warning_service.rooms import Rooms
from warning_service.roster import service
from warning_service.roster import tables as roster

TODAY = date(2026, 5, 11)


@pytest.fixture
def retention(rooms: Rooms) -> Retention:
    return Retention(rooms.log, rooms.trail, shipped_clocks())


def lines(found: list[Any]) -> dict[str, int]:
    summed: dict[str, int] = {}
    for line in found:
        summed[line.kind] = summed.get(line.kind, 0) + line.rows
    return summed


# -- clocks ----


def test_every_kind_has_a_clock_with_a_reason_and_every_clock_a_kind(rooms: Rooms) -> None:
    held = kinds(rooms.trail.keys)
    assert {kind.id for kind in held} == set(shipped_clocks())
    for clock in shipped_clocks().values():
        assert clock.why_ja and clock.why_en and clock.ja and clock.en


@pytest.mark.parametrize(
    ("kind", "today", "before"),
    [
        ("answers", date(2026, 3, 31), date(2023, 4, 1)),
        ("answers", date(2026, 4, 1), date(2024, 4, 1)),
        ("consultations", TODAY, date(2021, 4, 1)),
        ("extracts", TODAY, date(2025, 4, 1)),
        ("leavers", TODAY, date(2021, 4, 1)),
        ("sessions", TODAY, date(2026, 4, 11)),
    ],
)
def test_what_a_clock_says(kind: str, today: date, before: date) -> None:
    assert shipped_clocks()[kind].before(today) == before


def test_an_own_file_replaces_single_clocks(tmp_path: Path) -> None:
    assert clocks(tmp_path) == shipped_clocks()
    mine = '[[clocks]]\nkind = "answers"\nja = "a"\nen = "a"\nafter = "school_year"\nmonths = 7\n'
    mine += 'why_ja = "w"\nwhy_en = "w"\n'
    (tmp_path / OWN_FILE).write_text(mine, "utf-8")
    found = clocks(tmp_path)
    assert found["answers"].before(TODAY) == date(2025, 4, 1)
    assert found["extracts"] == shipped_clocks()["extracts"]
    for bad, why in (
        (mine.replace('"answers"', '"nonsense"'), "no such kind: nonsense"),
        (mine.replace("months = 7", "days = 7"), "months after a school year"),
        (mine.replace('"school_year"', '"event"'), "days after an event"),
        (mine + mine, "two clocks"),
        ("[[clocks", "Expected"),
    ):
        (tmp_path / OWN_FILE).write_text(bad, "utf-8")
        with pytest.raises(ValueError, match=why):
            clocks(tmp_path)


def test_every_table_has_a_clock_or_a_reason_for_none(rooms: Rooms) -> None:
    """A new table without an answer fails here."""
    answered = set(NOT_PERSONAL)
    for kind in kinds(rooms.trail.keys):
        parts = kind.parts if isinstance(kind, InLog | InTables) else ()
        parts = (*parts, *((kind.rows,) if isinstance(kind, Matters) else ()))
        for part in parts:
            answered |= {part.table.fullname, *(t.fullname for t, _, _ in part.with_them)}
    answered |= {"events", "audit", "looking", "looking_alarms", "roster.rejects"}
    answered |= {t.fullname for t in (*erasing.HELD, *erasing.JUDGED)}
    answered |= {t.fullname for t, _, _ in (*leaving._child_doors(), *leaving._staff_doors())}
    answered |= {"roster.students", "roster.student_secrets", "roster.staff", "roster.duties"}
    answered |= {"roster.working_days", "digest_choices"}
    answered |= {"rights_reviews"}
    assert set(SQLModel.metadata.tables) - answered == set()
    assert not {t for t in NOT_PERSONAL if t not in SQLModel.metadata.tables}


def test_every_table_about_a_child_is_reached_by_its_erasure() -> None:
    with_child = {t.fullname for t in SQLModel.metadata.tables.values() if "student" in t.columns}
    reached = {t.fullname for t in (*erasing.HELD, *erasing.JUDGED)}
    reached |= {"events", "roster.students", "roster.seats", "roster.student_secrets"}
    assert with_child == reached


# -- the door ----


def test_rows_of_the_log_go_through_the_door_only(rooms: Rooms) -> None:
    room = make.places(rooms.database)[0]
    make.children(rooms.log, room, 1)
    with pytest.raises(DBAPIError, match="append-only"), rooms.database.writing() as conn:
        conn.execute(delete(events))
    with rooms.database.writing() as conn:
        with leave_to_delete(conn, "events"):
            conn.execute(delete(events).where(events.c.position == 1))
        assert permits_lying_about(conn) == []
        assert conn.execute(select(func.count()).select_from(events)).scalar_one() == 0
    make.children(rooms.log, room, 2)
    with (
        pytest.raises(DBAPIError, match="append-only"),
        rooms.database.writing() as conn,
        leave_to_delete(conn, "audit"),  # leave for the one is none for the other
    ):
        conn.execute(delete(events))
    with (
        pytest.raises(DBAPIError, match="append-only"),
        rooms.database.writing() as conn,
        leave_to_delete(conn, "events"),
    ):
        conn.execute(update(events).values(actor="somebody else"))
    assert make.rows(rooms.database, deletion_permits) == []


def test_an_open_door_is_seen(rooms: Rooms) -> None:
    with rooms.database.writing() as conn:
        conn.execute(insert(deletion_permits).values(subject="events"))
    assert upkeep.verify(rooms.database, rooms.trail.keys) == [
        "the door for deletions from events stands open"
    ]


# -- the sweep ----


@pytest.fixture
def filled(rooms: Rooms, clock: MovableClock) -> tuple[Rooms, str]:
    """A child of today with something of every kind, once long ago and once lately."""
    room = make.places(rooms.database)[0]
    child = make.children(rooms.log, room, 1, since=date(2019, 4, 8))[0]
    for when in (LONG_AGO, LATELY):
        make.append(rooms.log, *happened(child, when))
        with rooms.database.writing() as conn:
            kept(conn, child, when)
    assert clock.today() == TODAY
    return rooms, child


def test_a_dry_run_says_what_a_run_deletes(filled: tuple[Rooms, str], retention: Retention) -> None:
    rooms, _ = filled
    tables = SQLModel.metadata.sorted_tables
    before = {t.fullname: make.rows(rooms.database, t) for t in tables}
    due = retention.due()
    assert {t.fullname: make.rows(rooms.database, t) for t in tables} == before, "only looked"
    assert lines(due) == {
        "answers": 1, "consultations": 1, "observations": 2, "extracts": 2, "lists": 3,
        "follow_ups": 5, "alerts": 1, "deliveries": 2, "devices": 1, "requests": 1, "sessions": 4,
        "attempts": 1, "rejects": 1, "trail": 2,
    }  # fmt: skip
    assert {line.oldest for line in due if line.kind != "follow_ups"} == {LONG_AGO.date()}
    went = retention.run()
    assert {line.kind for line in went} == {line.kind for line in due}
    assert retention.due() == [] and retention.run() == []
    with rooms.database.reading() as conn:
        left = conn.execute(select(events.c.type, events.c.day)).all()
    old = {row.type for row in left if row.day < date(2020, 5, 1)}
    assert old == {"enrolment_started"}, "the roll stays while the child is here"
    assert sum(row.day >= date(2026, 5, 1) for row in left) == 14 + len(
        [row for row in left if row.type == "log_shortened"]
    )
    tell_of_it = {"events", "audit"}  # a mark in the log, a line on the trail
    in_force = {"stopped_items", "imports"}  # a decision on a child who is here; counts of rows
    for table in tables:
        rows = make.rows(rooms.database, table)
        known = any("2019-06-03" in str(row) for row in rows)
        assert known == (table.name in tell_of_it | in_force), table.name
    assert len(make.rows(rooms.database, roster.students)) == 1


def test_trees_go_with_the_last_list_they_made(
    filled: tuple[Rooms, str], retention: Retention
) -> None:
    rooms, _ = filled
    lists, trees = judging.warning_lists, judging.list_trees
    with rooms.database.writing() as conn:  # a fit of long ago that makes lists to this day
        old = conn.execute(select(func.min(trees.c.version))).scalar_one()
        conn.execute(update(lists).values(model_version=old))
    before = make.rows(rooms.database, trees)
    retention.run()
    left = make.rows(rooms.database, trees)
    assert len(make.rows(rooms.database, lists)) == 1
    assert len(before) == 2 and old in {row.version for row in left}


def test_the_log_and_the_trail_tell_of_each_deletion(
    filled: tuple[Rooms, str], retention: Retention
) -> None:
    rooms, _ = filled
    retention.run()
    with rooms.database.reading() as conn:
        marks = [
            decode(row.body)
            for row in conn.execute(select(events).where(events.c.type == "log_shortened"))
        ]
        told = conn.execute(select(trail_table).where(trail_table.c.action == "retention")).all()
    found = {m.kind: m for m in marks if isinstance(m, LogShortened)}
    assert found["answers"].rows == 1 and found["answers"].judged
    assert found["answers"].oldest == found["answers"].newest == LONG_AGO.date()
    assert found["alerts"].rows == 3 and not found["alerts"].judged
    assert not found["consultations"].judged and "deliveries" not in found
    assert {row.subject for row in told} >= {"answers", "alerts", "sessions", "rejects"}
    assert "retention" in of_kind("office") and "erased" in of_kind("office")
    assert upkeep.verify(rooms.database, rooms.trail.keys) == []


def test_what_is_derived_agrees_afterwards(filled: tuple[Rooms, str], retention: Retention) -> None:
    rooms, _ = filled
    with rooms.database.writing() as conn:  # rows of `kept` that no event led to
        for table in ("alerts", "cases"):
            conn.execute(delete(SQLModel.metadata.tables[table]))
    alerts_rebuild.replace(rooms.log, make.BOARD)
    cases_rebuild.replace(rooms.log, make.BOARD)
    drain(rooms)
    retention.run()
    drain(rooms)
    assert alerts_rebuild.differences(rooms.log, make.BOARD) == []
    assert cases_rebuild.differences(rooms.log, make.BOARD) == []
    removal = Removal(rooms.log, rooms.playbooks, make.BOARD)
    assert removal.due(), "models have to be derived from what is left"
    assert not rebuild(rooms.log, rooms.playbooks, make.BOARD).equal
    removal.run()
    report = rebuild(rooms.log, rooms.playbooks, make.BOARD)
    models = [line for line in report.differences if "warning_lists" not in line]
    assert not [line for line in models if "list_" not in line]


def drain(rooms: Rooms) -> None:
    dispatcher = Dispatcher(rooms.log, JudgingConsumer(rooms.log, rooms.playbooks), make.BOARD)
    dispatcher.drain()
    dispatcher.release()


def test_batches_are_bounded_and_a_kill_between_them_is_mended(
    rooms: Rooms, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warning_service.keeping.sweep.BATCH", 2)
    room = make.places(rooms.database)[0]
    child = make.children(rooms.log, room, 1)[0]
    old = [make.check_in(child, rooms.clock, days_ago=1500, mood=1) for _ in range(5)]
    make.append(rooms.log, *old)
    kind = next(k for k in kinds(rooms.trail.keys) if k.id == "answers")
    before = shipped_clocks()["answers"].before(TODAY)
    took = retention._batch(kind, make.BOARD, before)
    assert took.rows == took.log_rows == 2
    assert retention._batch(kind, "another board", before) == Took()
    assert lines(retention.due()) == {"answers": 3}
    assert lines(retention.run()) == {"answers": 3}
    with rooms.database.reading() as conn:
        marks = select(func.count()).where(events.c.type == "log_shortened")
        assert conn.execute(marks).scalar_one() == 3


# -- the trail's beginning ----


@pytest.fixture
def old_trail(rooms: Rooms, clock: MovableClock) -> Iterator[Rooms]:
    """Six rows, three of them to be taken away."""
    for n in range(6):
        if n == 3:
            clock.move_by(timedelta(days=2000))
        rooms.trail.record([Look(board="b", actor="a", action="student", subject=f"child-{n}")])
    yield rooms


def trail_faults(rooms: Rooms, head: str = "") -> list[str]:
    with rooms.database.reading() as conn:
        return [f.words for f in audit.verify(conn, rooms.trail.keys, head)]


def test_a_trail_shortened_by_retention_is_whole(old_trail: Rooms, retention: Retention) -> None:
    rooms = old_trail
    with rooms.database.reading() as conn:
        heads = [
            str(audit.Head(seq=row.seq, hash=row.hash))
            for row in conn.execute(select(trail_table).order_by(trail_table.c.seq))
        ]
    assert lines(retention.due()) == {"trail": 3}
    assert lines(retention.run()) == {"trail": 3}
    assert retention.due() == []
    with rooms.database.reading() as conn:
        numbers = conn.execute(select(trail_table.c.seq).order_by(trail_table.c.seq)).scalars()
        assert list(numbers) == [4, 5, 6, 7]
    for head in ("", heads[2], heads[4]):
        assert trail_faults(rooms, head) == []
    assert "is of a row that retention took away" in trail_faults(rooms, heads[1])[0]
    assert "does not contain" in trail_faults(rooms, "99-0")[0]
    with rooms.database.writing() as conn, leave_to_delete(conn, "audit"):
        conn.execute(delete(trail_table).where(trail_table.c.seq == 4))
    assert trail_faults(rooms) == ["audit row 4 is missing"]


def test_the_newest_row_always_stays(rooms: Rooms, clock: MovableClock) -> None:
    with rooms.database.reading() as conn:
        assert audit.rows_before(conn, clock.now()) is None
    rooms.trail.record([Look(board="b", actor="a", action="student", subject="one")])
    with rooms.database.reading() as conn:
        assert audit.rows_before(conn, clock.now() + timedelta(days=1)) is None


# -- people ----


def test_children_who_left_are_erased_key_first(
    filled: tuple[Rooms, str], retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms, _ = filled
    gone, stays = make.children(rooms.log, "sakura-1", 3, since=date(2019, 4, 8))[1:]
    sealed = rooms.sealer.seal(gone, "ひみつ")
    make.seats(rooms.database, rooms.sealer, "sakura-1", [gone, stays], "cat")
    make.append(rooms.log, *happened(gone, LATELY + timedelta(seconds=1)))
    with rooms.database.writing() as conn:
        kept(conn, gone, LATELY + timedelta(seconds=1))
    service.set_opt_out(rooms.log, board=make.BOARD, student=gone, refused=True, actor="x")
    leave(rooms, gone, date(2021, 3, 25))
    leave(rooms, stays, date(2022, 3, 25))
    drain(rooms)
    due = lines(retention.due())
    assert due["leavers"] == 1 and due["leavers_sign_in"] == 2
    monkeypatch.setattr("warning_service.keeping.sweep.BATCH", 4)  # several batches for one child
    went = lines(retention.run())
    assert went["leavers"] == 1 and went["leavers_sign_in"] == 2
    with pytest.raises(CannotOpen):
        rooms.sealer.open(gone, sealed)
    with rooms.database.reading() as conn:
        told = conn.execute(
            select(trail_table.c.action).where(trail_table.c.subject == gone)
        ).scalars()
        assert list(told) == ["erased"]
    assert places_that_know(rooms, gone) == {"audit"}
    assert "students" in places_that_know(rooms, stays)
    assert "seats" not in places_that_know(rooms, stays)
    drain(rooms)
    Removal(rooms.log, rooms.playbooks, make.BOARD).run()
    assert places_that_know(rooms, gone) == {"audit"}
    assert upkeep.verify(rooms.database, rooms.trail.keys) == []


def leave(rooms: Rooms, student: str, on: date) -> None:
    with rooms.log.unit_of_work() as unit:
        service.end_enrolment(
            unit, board=make.BOARD, student=student, class_id="sakura-1", on=on, actor="x"
        )


def places_that_know(rooms: Rooms, key: str) -> set[str]:
    """Tables in which a key stands, in any column, in any bytes."""
    found = set()
    for table in SQLModel.metadata.sorted_tables:
        for row in make.rows(rooms.database, table):
            told = [bytes(v) if isinstance(v, memoryview) else v for v in row]
            if any(key in v if isinstance(v, str) else key.encode() in v
                   for v in told if isinstance(v, str | bytes)):  # fmt: skip
                found.add(table.name)
    return found


def test_an_erasure_on_request_reaches_memory_and_waiting_days(rooms: Rooms) -> None:
    """Before any derivation: no samples of the child may be gone over again."""
    from tests.judging.town import BOARD, OnePlaybook, days_of_events, key, store

    store(rooms.log, days_of_events(days=60, children=16))
    dispatcher = Dispatcher(rooms.log, JudgingConsumer(rooms.log, OnePlaybook()), BOARD)
    dispatcher.drain()
    held = {"model_snapshots", "training_blocks", "feature_states"}
    gone = next(key(n) for n in range(16) if held <= places_that_know(rooms, key(n)))
    with rooms.database.writing() as conn:
        conn.execute(
            insert(roster.students).values(
                student=gone, board=BOARD, number="3", family_name="", given_name="",
                family_kana="", given_kana="", born=TODAY, sex="", household="",
            )
        )  # fmt: skip
    removal = Removal(rooms.log, OnePlaybook(), BOARD)
    removal.begin()
    removal.step()
    erasing.erase(rooms.log, rooms.trail, BOARD, [gone], kind="request", actor="staff-1")
    assert places_that_know(rooms, gone) == {"audit"}
    erasing.erase(rooms.log, rooms.trail, BOARD, [], kind="request", actor="staff-1")
    with pytest.raises(Exception, match="judging"):  # its memory is older than the fence
        store(rooms.log, days_of_events(days=61, children=16)[60:])
        dispatcher.drain()
    dispatcher.drain()
    removal.run()
    report = rebuild(rooms.log, OnePlaybook(), BOARD)
    assert report.equal, report.differences


def test_a_child_that_never_was_on_a_roll_has_not_left(rooms: Rooms, retention: Retention) -> None:
    make.places(rooms.database)
    people = {
        "number": "9", "family_name": "兆", "given_name": "未", "family_kana": "", "given_kana": "",
        "born": date(2019, 5, 1), "sex": "", "household": "",
    }  # fmt: skip
    service.student_keys(rooms.database, make.BOARD, [people])
    assert retention.run() == []


def test_former_staff_lose_their_sign_in_first_and_their_name_last(
    rooms: Rooms, retention: Retention, clock: MovableClock
) -> None:
    make.places(rooms.database)
    there = make.staff(rooms.database, "there", ("homeroom", "sakura-1"))
    left = make.staff(rooms.database, "left", ("homeroom", "sakura-1"), slack="U1")
    make.staff(rooms.database, "new")  # no duty yet
    with rooms.database.writing() as conn:
        conn.execute(
            update(roster.duties)
            .where(roster.duties.c.staff == left)
            .values(until_day=date(2026, 4, 1))
        )
        conn.execute(insert(staff_factors).values(staff=left, wrapped=b"x", totp="t", last_step=1,
                                                  totp_offered="", totp_offered_to=""))  # fmt: skip
        conn.execute(insert(passkeys).values(id="p", staff=left, name="key", public_key=b"x",
                                             sign_count=0, made_at=clock.now()))  # fmt: skip
        conn.execute(
            insert(rights_reviews).values(
                staff=left, school_year=2025, board=make.BOARD, decision="end",
                decided_by=there, decided_at=clock.now(), note="",
            )
        )  # fmt: skip
    assert lines(retention.due()) == {"former_staff_sign_in": 1}
    assert lines(retention.run()) == {"former_staff_sign_in": 1}
    row = next(r for r in make.rows(rooms.database, roster.staff) if r.staff == left)
    assert (row.password_hash, row.slack_user, row.active) == ("", None, False)
    assert row.name and not make.rows(rooms.database, staff_factors)
    assert not make.rows(rooms.database, passkeys)
    clock.move_by(timedelta(days=1850))
    assert lines(retention.run()) == {"former_staff": 1}
    assert {r.staff for r in make.rows(rooms.database, roster.staff)} == {there, "staff-new"}
    assert left not in places_that_know(rooms, left)
    assert places_that_know(rooms, left) == set()


def test_young_rows_of_other_tables_stay(rooms: Rooms, retention: Retention) -> None:
    room = make.places(rooms.database)[0]
    child = make.children(rooms.log, room, 1)[0]
    make.append(rooms.log, *happened(child, LATELY))
    with rooms.database.writing() as conn:
        kept(conn, child, LATELY)
    assert retention.due() == []


def test_types_of_columns_that_hold_words_are_known() -> None:
    """`places_that_know` looks into text and bytes; nothing else could hold a key."""
    kinds_of = {type(c.type).__name__ for t in SQLModel.metadata.tables.values() for c in t.columns}
    assert Text.__name__ in kinds_of and LargeBinary.__name__ in kinds_of
    assert kinds_of <= {
        "AutoString", "Text", "LargeBinary", "Date", "UtcDateTime", "Integer", "BigInteger",
        "Float", "Boolean", "String",
    }  # fmt: skip
    assert instant(TODAY) < LATELY + timedelta(days=30)


def test_who_is_known_is_asked_by_key(rooms: Rooms) -> None:
    room = make.places(rooms.database)[0]
    keys = make.children(rooms.log, room, 2)
    with rooms.database.reading() as conn:
        assert leaving.known_children(conn, [*keys, "nobody"]) == sorted(keys)
        assert leaving.known_children(conn, []) == []
        assert leaving.children_who_can_sign_in(conn, []) == []
