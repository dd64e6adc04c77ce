"""The second wall: PostgreSQL itself shows a request no more than its sender's scope.

Asked as the application's own database roles, in statements of the test's own, because a bug in a
page would ask in statements of its own too. One row of each school is put into every table that has
a rule, so that a new table is asked about here without anybody thinking of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import (
    Boolean,
    Column,
    Date,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    insert,
    text,
)
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

import warning_service.tables  # noqa: F401  (fills the metadata)
from warning_service.access.row_security import RULES, SERVICE_ONLY, undeclared
from warning_service.asking import NOBODY, SEPARATOR, Scope, on_behalf
from warning_service.database import Database, Roles, UtcDateTime, roles_noted

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
TODAY = date(2026, 5, 11)
NOW = datetime.fromisoformat("2026-05-11T00:00:00+00:00")
TABLES = dict(SQLModel.metadata.tables)  # by schema and name, as in RULES
OPEN_TO_A_ROLE = [name for name, rule in RULES.items() if rule is not SERVICE_ONLY]

# What a board's own people may know of all its schools; nobody in it is a child.
OF_THE_BOARD = {
    "boards", "schools", "classes", "closed_days", "school_questionnaires",
    "roster.staff", "roster.duties",
    "roster.absences", "roster.working_days", "roster.stand_ins",
}  # fmt: skip
TRAIL = {"audit", "looking", "looking_alarms", "rights_reviews"}
REQUESTS = {name for name in RULES if name.startswith(("family_request", "request_"))}
PLACES = {"boards", "schools", "classes", "closed_days", "school_questionnaires"}
COUNTED = {
    "events", "alerts", "follow_ups", "cases", "warning_lists", "list_entries", "list_scores",
    "list_trees", "reviews", "opinions",
}  # fmt: skip
ABOUT_CHILDREN = set(OPEN_TO_A_ROLE) - OF_THE_BOARD - TRAIL - REQUESTS

HERE, NEXT, FAR = "here", "next", "far"
"""A school, another one of the same board, and one of another board."""


def scope(**given: Any) -> Scope:
    board = given.pop("board", "b-town")
    return Scope(board=board, today=TODAY, **given)


NURSE = scope(staff=True, schools=frozenset({"s-here"}))
HOMEROOM = scope(staff=True, classes=frozenset({"c-here"}))
ONE_BY_ONE = scope(staff=True, students=frozenset({"k-here"}))
CHILD = scope(own="k-here")
COUNTS = scope(staff=True, counts=True)
PRIVACY = scope(staff=True, schools=frozenset({"s-here"}), asked=frozenset({"s-here"}), rights=True)
AUDITOR = scope(staff=True, trail=True)


# -- every table is decided ------------------------------------------------------------------------


def test_every_table_has_a_rule() -> None:
    assert undeclared(SQLModel.metadata) == []
    assert set(RULES) == set(TABLES)


def test_a_new_table_without_a_rule_is_named() -> None:
    later = MetaData()
    Table("moods", later, Column("student", String), Column("value", Integer))
    Table("alerts", later, Column("student", String))
    assert undeclared(later) == ["moods"]


def test_no_rule_lets_everybody_in_and_names_stay_apart() -> None:
    for name in OPEN_TO_A_ROLE:
        rule = RULES[name]
        assert "current_setting" in rule.rows or " FROM " in rule.rows, name
        assert rule.analysis or rule.identity, name
        if name.startswith("roster."):
            assert rule.identity and not rule.analysis, name
        elif rule.identity:
            assert name in PLACES | {"enrolments", "opt_outs"}, name


@ON_POSTGRESQL
def test_they_are_in_force_on_every_table_of_the_database(database: Database) -> None:
    with database.reading() as conn:
        rows = conn.exec_driver_sql(
            "SELECT CASE WHEN n.nspname = 'roster' THEN 'roster.' ELSE '' END || c.relname AS name,"
            " c.relrowsecurity AS guarded,"
            " (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS rules"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'r' AND n.nspname IN ('public', 'roster')"
        ).all()
    assert {row.name for row in rows} >= set(RULES)
    assert [row.name for row in rows if not row.guarded or row.rules != 1] == []


# -- asked directly --------------------------------------------------------------------------------


def rows_for(table: Table, side: str) -> dict[str, Any]:
    """A row of that side: ids by the column's name, anything for what has no meaning here."""
    board = "b-far" if side == FAR else "b-town"
    by_name: dict[str, Any] = {
        "board": board, "school": f"s-{side}", "class_id": f"c-{side}", "student": f"k-{side}",
        "list_id": f"id-{side}", "request": f"id-{side}", "staff": f"staff-{side}",
        "from_day": TODAY - timedelta(days=30), "until_day": None, "ended_at": None,
        "state": "open", "type": "check_in_submitted", "seq": None, "position": None,
    }  # fmt: skip
    ids = {"boards": board, "schools": f"s-{side}", "classes": f"c-{side}"}
    found: dict[str, Any] = {}
    for column in table.columns:
        if column.name == "id":
            found["id"] = ids.get(table.name, f"id-{side}")
        elif column.name == "until_day" and not column.nullable:
            found["until_day"] = TODAY
        elif column.name in by_name:
            found[column.name] = by_name[column.name]
        elif not column.nullable:
            found[column.name] = _anything(column, side)
    return {name: value for name, value in found.items() if value is not None}


def _anything(column: Column[Any], side: str) -> Any:
    kind = column.type
    if isinstance(kind, UtcDateTime):
        return NOW
    if isinstance(kind, Date):
        return TODAY
    if isinstance(kind, LargeBinary):
        return b"x"
    if isinstance(kind, Boolean):
        return True
    return 1 if isinstance(kind, Integer | Float) else f"x-{side}"


@pytest.fixture
def town(database: Database) -> Database:
    """A row of each side in every table that has a rule."""
    with database.writing() as conn:
        for name in OPEN_TO_A_ROLE:
            for side in (HERE, NEXT) if name == "boards" else (HERE, NEXT, FAR):
                row = rows_for(TABLES[name], side)
                if name == "boards" and side == NEXT:
                    row = rows_for(TABLES[name], FAR)
                conn.execute(insert(TABLES[name]).values(**row))
    return database


def seen(database: Database, who: Scope, *, identity: bool) -> dict[str, set[str]]:
    """Sides whose rows the role shows within that scope, by table; asked without any filter."""
    found: dict[str, set[str]] = {}
    for name in OPEN_TO_A_ROLE:
        rule = RULES[name]
        if not (rule.identity if identity else rule.analysis):
            continue
        table = TABLES[name]
        columns = [table.c[c] for c in rule.columns] if rule.columns else list(table.columns)
        with on_behalf(who), database.reading(identity=identity) as conn:
            rows = conn.execute(table.select().with_only_columns(*columns)).all()
        found[name] = {side for row in rows for side in _sides(row)}
    return found


def _sides(row: Any) -> set[str]:
    words = " ".join(str(value) for value in row)
    told = {side for side in (HERE, NEXT, FAR) if f"-{side}" in words}
    return told or {HERE if "b-town" in words else FAR}


def everything(database: Database, who: Scope) -> dict[str, set[str]]:
    return seen(database, who, identity=False) | {
        f"identity:{k}" if not k.startswith("roster.") else k: v
        for k, v in seen(database, who, identity=True).items()
    }


@ON_POSTGRESQL
@pytest.mark.parametrize(
    "who",
    [NURSE, HOMEROOM, ONE_BY_ONE, PRIVACY],
    ids=["nurse", "homeroom", "one by one", "privacy"],
)
def test_another_schools_rows_are_not_there(town: Database, who: Scope) -> None:
    found = everything(town, who)
    assert {name for name, sides in found.items() if FAR in sides} == set()
    leaking = {name.removeprefix("identity:") for name, sides in found.items() if NEXT in sides}
    assert leaking <= OF_THE_BOARD
    wanted = ABOUT_CHILDREN | (REQUESTS if who is PRIVACY else set())
    assert {name for name in wanted if found.get(name) != {HERE}} <= (
        {"warning_lists"} if who is ONE_BY_ONE else set()
    )


@ON_POSTGRESQL
def test_a_class_is_not_its_school(town: Database) -> None:
    other = scope(staff=True, classes=frozenset({"c-elsewhere-in-here"}))
    found = everything(town, other)
    assert {name for name, sides in found.items() if sides and name in ABOUT_CHILDREN} == set()


@ON_POSTGRESQL
def test_a_child_has_its_own_answers_and_name_and_nothing_adults_keep(town: Database) -> None:
    found = everything(town, CHILD)
    shown = {name for name, sides in found.items() if sides and "identity:" not in name}
    own = {"events", "enrolments", "roster.students", "roster.seats"}
    assert shown == own | PLACES
    assert all(found[name] == {HERE} for name in own)


@ON_POSTGRESQL
def test_an_alert_is_not_a_childs_own_answer(town: Database) -> None:
    with town.writing() as conn:
        conn.execute(
            insert(TABLES["events"]).values(
                **{**rows_for(TABLES["events"], HERE), "id": "id-2", "type": "alert_raised"}
            )
        )
    with on_behalf(CHILD), town.reading() as conn:
        assert conn.execute(text("SELECT DISTINCT type FROM events")).scalars().all() == [
            "check_in_submitted"
        ]


@ON_POSTGRESQL
def test_a_board_counts_and_learns_no_name_and_no_answer(town: Database) -> None:
    found = everything(town, COUNTS)
    assert {n for n, sides in found.items() if sides and n not in OF_THE_BOARD} - {
        f"identity:{name}" for name in PLACES
    } == (COUNTED - {"events"}) | {"opt_outs", "identity:opt_outs"}  # who refuses is not counted
    assert all(FAR not in sides for sides in found.values())
    assert found["alerts"] == {HERE, NEXT}
    with town.writing() as conn:
        conn.execute(text("UPDATE alerts SET state = 'open'"))
        for number, side in enumerate((HERE, NEXT, FAR)):
            row = {**rows_for(TABLES["events"], side), "id": f"outcome-{number}-{side}"}
            conn.execute(insert(TABLES["events"]).values(**{**row, "type": "outcome_recorded"}))
    with on_behalf(COUNTS), town.reading() as conn:
        told = conn.execute(text("SELECT type, student FROM events ORDER BY student")).all()
    assert [tuple(row) for row in told] == [
        ("outcome_recorded", "k-here"), ("outcome_recorded", "k-next"),
    ]  # fmt: skip


@ON_POSTGRESQL
def test_the_auditor_has_the_trail_of_the_board_and_no_child(town: Database) -> None:
    found = everything(town, AUDITOR)
    assert {name for name in TRAIL if found[name] == {HERE, NEXT}} == TRAIL
    assert {n for n, sides in found.items() if sides and n in ABOUT_CHILDREN | REQUESTS} == set()


@ON_POSTGRESQL
@pytest.mark.parametrize("who", [NOBODY, scope(board="")], ids=["nobody", "no duty"])
def test_without_a_scope_nothing_is_there(town: Database, who: Scope) -> None:
    assert {name for name, sides in everything(town, who).items() if sides} == set()


@ON_POSTGRESQL
def test_who_left_yesterday_is_not_there_today_but_an_unanswered_call_is(town: Database) -> None:
    with town.writing() as conn:
        conn.execute(text("UPDATE enrolments SET until_day = :day"), {"day": TODAY})
        conn.execute(text("UPDATE alerts SET student = 'k-next' WHERE id = 'id-next'"))
    found = everything(town, NURSE)
    assert found["alerts"] == found["events"] == {HERE}
    assert found["roster.students"] == found["follow_ups"] == found["list_entries"] == set()
    with town.writing() as conn:
        conn.execute(text("UPDATE alerts SET state = 'handled'"))
    assert everything(town, NURSE)["events"] == set()
    # Whose family asks what is held is found all the same.
    former = everything(town, PRIVACY)
    assert former["roster.students"] == former["events"] == former["follow_ups"] == {HERE}


# -- the two roles ---------------------------------------------------------------------------------


def roles(database: Database) -> Roles:
    with database.as_service().reading() as conn:
        found = roles_noted(conn)
    assert found is not None
    return found


def refused(database: Database, statement: str, *, identity: bool, who: Scope = NURSE) -> bool:
    try:
        with on_behalf(who), database.reading(identity=identity) as conn:
            conn.exec_driver_sql(statement)
    except DBAPIError as error:
        assert isinstance(error.orig, psycopg.errors.InsufficientPrivilege), error
        return True
    return False


@ON_POSTGRESQL
def test_analysis_has_no_right_at_all_on_names(database: Database) -> None:
    for name in (name for name in RULES if name.startswith("roster.")):
        assert refused(database, f"SELECT 1 FROM {name}", identity=False), name
    assert not refused(database, "SELECT 1 FROM events", identity=False)


@ON_POSTGRESQL
def test_identity_reads_nothing_that_was_said_or_judged(database: Database) -> None:
    for name, rule in RULES.items():
        if not rule.identity:
            assert refused(database, f"SELECT 1 FROM {name}", identity=True), name
    assert not refused(database, "SELECT 1 FROM roster.students", identity=True)


@ON_POSTGRESQL
def test_secrets_of_the_door_are_for_the_service_alone(database: Database) -> None:
    for column in ("password_hash", "slack_user", "*"):
        assert refused(database, f"SELECT {column} FROM roster.staff", identity=True), column
    assert refused(database, "SELECT secret_hash FROM roster.seats", identity=True)
    for name in ("sessions", "roster.student_secrets", "model_snapshots", "staff_factors"):
        for identity in (False, True):
            assert refused(database, f"SELECT 1 FROM {name}", identity=identity), name


@ON_POSTGRESQL
def test_neither_role_writes_owns_or_signs_in(database: Database) -> None:
    for identity in (False, True):
        for statement in (
            "DELETE FROM enrolments", "UPDATE enrolments SET school = 's-here'",
            "INSERT INTO closed_days VALUES ('b', 's', '2026-01-01', 'x')", "CREATE TABLE mine ()",
            "ALTER TABLE enrolments DISABLE ROW LEVEL SECURITY", "TRUNCATE enrolments",
        ):  # fmt: skip
            assert refused(database, statement, identity=identity), statement
    with database.as_service().reading() as conn:
        for role in roles(database)[1:]:
            row = conn.execute(
                text("SELECT rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = :n"),
                {"n": role},
            ).one()
            assert tuple(row) == (False, False, False)


@ON_POSTGRESQL
def test_the_counting_function_is_not_for_everybody(database: Database) -> None:
    assert not refused(database, "SELECT kizashi_lists_counted()", identity=False)
    assert refused(database, "SELECT kizashi_lists_counted()", identity=True)


# -- connections -----------------------------------------------------------------------------------


@pytest.fixture
def single(database_url: str) -> Iterator[Database]:
    """A database with one connection, so that whoever comes next gets the same."""
    from sqlalchemy.pool import QueuePool

    found = Database(database_url)
    found.engine.dispose()
    found.engine.pool = QueuePool(
        found.engine.pool._creator, pool_size=1, max_overflow=0, timeout=1
    )
    yield found
    found.close()


@ON_POSTGRESQL
def test_nothing_of_a_scope_is_left_for_the_next_user_of_a_connection(
    town: Database, single: Database
) -> None:
    def state() -> tuple[Any, ...]:
        with single.as_service().reading() as conn:
            return tuple(
                conn.exec_driver_sql(
                    "SELECT pg_backend_pid(), current_user = session_user,"
                    " coalesce(current_setting('kizashi.schools', true), ''),"
                    " (SELECT count(*) FROM enrolments)"
                ).one()
            )

    before = state()
    assert before[1:] == (True, "", 3)
    with on_behalf(NURSE), single.reading() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM enrolments").scalar_one() == 1
    assert state() == before
    with pytest.raises(DBAPIError), on_behalf(NURSE), single.reading(identity=True) as conn:
        conn.exec_driver_sql("SELECT 1 FROM events")
    assert state() == before
    with on_behalf(scope(staff=True)), single.reading() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM enrolments").scalar_one() == 0
    assert state() == before


@ON_POSTGRESQL
def test_who_reads_writes_as_the_service(town: Database) -> None:
    with on_behalf(NURSE), town.writing() as conn:
        assert conn.exec_driver_sql("SELECT current_user = session_user").scalar_one() is True
        conn.execute(text("UPDATE alerts SET state = 'handled' WHERE school = 's-here'"))
    with on_behalf(NURSE), town.reading() as conn:
        assert conn.execute(text("SELECT state FROM alerts")).scalars().all() == ["handled"]


@ON_POSTGRESQL
def test_work_that_nobody_asked_for_reads_as_the_service(town: Database) -> None:
    with town.reading() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM events").scalar_one() == 3


def test_an_id_cannot_smuggle_in_another(database: Database) -> None:
    both = scope(schools=frozenset({f"s-here{SEPARATOR}s-next"}))
    with pytest.raises(ValueError, match="control character"):
        both.settings()
    with on_behalf(NURSE), database.reading() as conn:  # SQLite has no second wall, nor a cost
        conn.execute(text("SELECT 1"))


@ON_POSTGRESQL
def test_commas_and_quotes_in_ids_are_letters_like_others(town: Database) -> None:
    odd = scope(schools=frozenset({"s-next,s-here", "s-here' OR 'a'='a", "{s-here}"}))
    with on_behalf(odd), town.reading() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM enrolments").scalar_one() == 0
