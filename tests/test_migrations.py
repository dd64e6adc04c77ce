"""Migrations lead to exactly the tables the code declares, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import column, insert, table, text
from sqlmodel import SQLModel

import warning_service.tables  # noqa: F401
from tests import make
from warning_service.access import row_security
from warning_service.alerts import rebuild
from warning_service.alerts.tables import alerts
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.events.log import Log
from warning_service.events.types import (
    AlertAcknowledged,
    AlertEscalated,
    AlertHandled,
    AlertRaised,
    NewEvent,
)
from warning_service.migrate import SchemaNotCurrent, _config, check, migrate


def go_down(database: Database, revision: str) -> None:
    with database.writing() as conn:
        command.downgrade(_config(conn), revision)


def test_the_migrated_schema_is_the_declared_one(database: Database) -> None:
    same_as_declared(database)


def same_as_declared(database: Database) -> None:
    with database.reading() as conn:
        context = MigrationContext.configure(
            conn,
            opts={
                "include_schemas": True,
                "include_name": lambda name, kind, _: kind != "schema" or name in (None, "roster"),
                "compare_type": False,
            },
        )
        assert compare_metadata(context, SQLModel.metadata) == []


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(_config()).get_heads()) == 1


def test_migrating_twice_is_harmless(database: Database) -> None:
    migrate(database)
    check(database)


def test_an_unmigrated_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaNotCurrent):
        check(Database(f"sqlite:///{tmp_path / 'empty.db'}"))


def test_down_to_the_first_and_up_again(database: Database) -> None:
    go_down(database, "0001")
    migrate(database)
    same_as_declared(database)
    if not database.is_sqlite:  # pages get what they get on a fresh database, new tables too
        row_security.check(database)
        query = text("SELECT count(*) FROM pg_policies WHERE policyname = 'kizashi_scope'")
        with database.reading() as conn:
            assert conn.execute(query).scalar_one() > len(SQLModel.metadata.tables)


def test_who_may_read_a_consultation_of_before_is_who_was_told_when_it_was_raised(
    log: Log, clock: MovableClock
) -> None:
    """0008 takes it from the event: the row also names those who were told later."""
    database, now = log.database, clock.now()
    room = make.places(database)[0]
    raised = AlertRaised(
        alert_id="a1", kind="consultation", urgency="urgent", rule="consultation", source="e0",
        school=make.SCHOOL, class_id=room, step=0, duties=("nurse", "homeroom"), raised_at=now,
        due_at=now,
    )  # fmt: skip
    with log.unit_of_work() as unit:
        for alert in ("a1", "a2"):  # the second has no event, and so nobody it was raised for
            unit.conn.execute(
                alerts.insert().values(
                    id=alert, board=make.BOARD, school=make.SCHOOL, class_id=room, student="kid",
                    kind="consultation", urgency="urgent", rule="consultation", source="e0",
                    state="open", step=1, raised_at=now, due_at=now,
                    duties="nurse,homeroom,management", readers="",
                )
            )  # fmt: skip
        unit.append(
            NewEvent(
                id="e1", board=make.BOARD, student="kid", on=clock.today(), actor="system:alerts",
                body=raised,
            )
        )  # fmt: skip
    go_down(database, "0007")
    migrate(database)
    readers = {row.id: row.readers for row in make.rows(database, alerts)}
    assert readers == {"a1": "nurse,homeroom", "a2": ""}


def test_alerts_of_before_have_the_life_their_events_tell(log: Log, clock: MovableClock) -> None:
    """0010: what was taken on or recorded before has no deadline, and the rebuild agrees."""
    database, now = log.database, clock.now()
    room = make.places(database)[0]
    go_down(database, "0009")
    told: dict[str, list[AlertRaised | AlertEscalated | AlertAcknowledged | AlertHandled]] = {}
    for alert in ("open", "taken", "done"):
        raised = AlertRaised(
            alert_id=alert, kind="consultation", urgency="urgent", rule="consultation",
            source="e0", school=make.SCHOOL, class_id=room, step=0, duties=("nurse",),
            raised_at=now, due_at=now,
        )  # fmt: skip
        escalated = AlertEscalated(alert_id=alert, step=1, duties=("management",), due_at=now)
        told[alert] = [raised, escalated]
    for alert in ("taken", "done"):
        told[alert].append(AlertAcknowledged(alert_id=alert, via="portal", at=now))
    told["done"].append(AlertHandled(alert_id="done", follow_up_id="f1", at=now))
    states = {"open": "open", "taken": "acknowledged", "done": "handled"}
    with log.unit_of_work() as unit:
        for alert, state in states.items():
            taken, done = alert != "open", alert == "done"
            row = {
                "id": alert, "board": make.BOARD, "school": make.SCHOOL, "class_id": room,
                "student": "kid", "kind": "consultation", "urgency": "urgent",
                "rule": "consultation", "source": "e0", "state": state, "step": 1,
                "raised_at": now, "due_at": now, "duties": "nurse,management",
                "readers": "nurse", "acknowledged_by": "s1" if taken else "",
                "acknowledged_at": now if taken else None,
                "acknowledged_via": "portal" if taken else "",
                "handled_by": "s1" if done else "", "handled_at": now if done else None,
            }  # fmt: skip
            old = [alerts.c[name] for name in row]
            unit.conn.execute(insert(table("alerts", *(column(c.name, c.type) for c in old))), row)
            unit.append(
                *(
                    NewEvent(
                        id=f"{alert}-{n}", board=make.BOARD, student="kid", on=clock.today(),
                        actor="s1", body=body,
                    )
                    for n, body in enumerate(told[alert])
                )
            )  # fmt: skip
    migrate(database)
    assert rebuild.differences(log, make.BOARD) == []
    rows = {row.id: row for row in make.rows(database, alerts)}
    assert [rows[one].due_at for one in ("open", "taken", "done")] == [now, None, None]
    assert [rows[one].version for one in ("open", "taken", "done")] == [1, 2, 3]
    assert [rows[one].answered_at for one in ("open", "taken", "done")] == [None, now, now]


def test_decisions_follow_from_the_log_after_several_meetings_came(
    database: Database, log: Log, clock: MovableClock
) -> None:
    from warning_service.events.types import ReviewDecided
    from warning_service.follow_up.tables import reviews

    body = ReviewDecided(list_id="l", scheme="s", chosen="B", directions=(), sealed=None)
    make.append(
        log,
        NewEvent(id="e", board="town", student="c", on=clock.today(), actor="x", body=body),
    )
    go_down(database, "0015")
    row = {"list_id": "l", "student": "c", "scheme": "s", "chosen": "B", "directions": "",
           "sealed": None, "author": "x", "at": "2026-05-11 00:00:09"}  # fmt: skip
    with database.writing() as conn:
        names = ", ".join(row)
        conn.execute(
            text(f"INSERT INTO reviews ({names}) VALUES ({', '.join(f':{n}' for n in row)})"), row
        )
    migrate(database)
    [kept] = make.rows(database, reviews)
    assert (kept.chosen, kept.at) == ("B", clock.now())  # when the log took it
    with database.writing() as conn:  # another meeting decides on the same child
        conn.execute(insert(reviews).values(**{**kept._mapping, "scheme": "t", "chosen": "A"}))
    go_down(database, "0015")
    with database.reading() as conn:
        assert conn.execute(text("SELECT chosen FROM reviews")).scalars().all() == ["B"]
    migrate(database)
