"""The second wall around the running application: careless pages, check-ins, setting it up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import psycopg
import pytest
from fastapi import Depends, Request
from sqlalchemy import event, make_url, select, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from tests import make
from tests.teacher_portal.school import School
from warning_service import asking
from warning_service.access import row_security
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.row_security import RolesMissing
from warning_service.access.web import CHILD_COOKIE, OPEN, STAFF_COOKIE, Needs
from warning_service.app import create_app
from warning_service.asking import NobodyYet, Scope, on_behalf
from warning_service.cli import cli
from warning_service.database import Database, RowSecurityMissing, roles_noted
from warning_service.events.tables import events
from warning_service.events.types import new_id
from warning_service.follow_up.circles import FollowUpCircles
from warning_service.migrate import migrate
from warning_service.rooms import Rooms, rooms_of
from warning_service.roster import tables as roster

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def ask(app: Any, path: str, *, token: str = "", child: bool = False) -> httpx.Response:
    """One request to the application, in this process; what it raises is raised here."""

    async def go() -> httpx.Response:
        cookies = {CHILD_COOKIE if child else STAFF_COOKIE: token} if token else {}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=True),
            base_url="http://127.0.0.1",
            cookies=cookies,
        ) as client:
            return await client.get(path)

    return asyncio.run(go())


def careless(rooms: Rooms) -> Any:
    """The application with pages that have forgotten every filter."""
    app = create_app(rooms)

    def everything(request: Request) -> dict[str, list[str]]:
        database = rooms_of(request).database
        with database.reading(identity=True) as conn:
            names = list(conn.execute(select(roster.students.c.student)).scalars())
        with database.reading() as conn:
            heard = list(conn.execute(select(events.c.student).distinct()).scalars())
        return {"names": names, "heard": [one for one in heard if one]}

    @app.get("/buggy")
    def buggy(
        request: Request, _who: Annotated[Principal, Depends(Needs(Ability.SEE_STUDENT))]
    ) -> dict[str, list[str]]:
        return everything(request)

    @app.get("/buggy/async")
    async def buggy_async(
        request: Request, _who: Annotated[Principal, Depends(Needs(Ability.SEE_STUDENT))]
    ) -> dict[str, list[str]]:
        return everything(request)

    @app.get("/buggy/counts")
    def buggy_counts(
        request: Request, _who: Annotated[Principal, Depends(Needs(Ability.SEE_COUNTS))]
    ) -> dict[str, list[str]]:
        return everything(request)

    @app.get("/buggy/child")
    def buggy_child(
        request: Request, _who: Annotated[Principal, Depends(Needs(Ability.ANSWER))]
    ) -> dict[str, list[str]]:
        return everything(request)

    @app.get("/buggy/open", dependencies=[Depends(OPEN)])
    def buggy_open(request: Request) -> dict[str, list[str]]:
        return everything(request)

    @app.get("/buggy/undeclared")
    def undeclared(request: Request) -> dict[str, list[str]]:
        return everything(request)

    return app


@pytest.fixture
def school(rooms: Rooms) -> School:
    return School(rooms, children=2)


def token_of(school: School, login: str) -> str:
    return school.rooms.sessions.start_staff(f"staff-{login}", make.BOARD)


@ON_POSTGRESQL
def test_a_page_without_any_filter_shows_no_other_school(school: School) -> None:
    app = careless(school.rooms)
    own = {s for c in ("sakura-1", "sakura-2") for s in school.children[c]}
    for login, wanted in (
        ("nurse", own), ("homeroom", set(school.children["sakura-1"])),
        ("nurse2", {s for c in ("school2-1", "school2-2") for s in school.children[c]}),
        ("committee", set()),
    ):  # fmt: skip
        for path in ("/buggy", "/buggy/async"):
            shown = ask(app, path, token=token_of(school, login)).json()
            assert set(shown["names"]) == set(shown["heard"]) == wanted, (login, path)


@ON_POSTGRESQL
def test_the_meeting_has_those_on_its_agenda_who_are_still_there(school: School) -> None:
    app = careless(school.rooms)
    listed, left = school.children["sakura-1"][0], school.children["sakura-2"][0]
    school.warning_list([listed, left])
    with school.rooms.database.writing() as conn:
        conn.execute(
            text("UPDATE enrolments SET until_day = :d WHERE student = :s"),
            {"d": school.rooms.clock.today(), "s": left},
        )
    shown = ask(app, "/buggy", token=token_of(school, "committee")).json()
    assert shown == {"names": [listed], "heard": [listed]}


@ON_POSTGRESQL
def test_counts_children_strangers_and_forgotten_declarations_get_no_names(school: School) -> None:
    app = careless(school.rooms)
    shown = ask(app, "/buggy/counts", token=token_of(school, "board")).json()
    assert shown == {"names": [], "heard": []}
    for path in ("/buggy/open", "/buggy/undeclared"):
        # Somebody's cookie alone opens nothing: the scope comes with the declaration.
        shown = ask(app, path, token=token_of(school, "nurse")).json()
        assert shown == {"names": [], "heard": []}, path
    child = school.children["sakura-1"][0]
    make.append(school.rooms.log, make.check_in(child, school.rooms.clock, mood=1))
    make.append(
        school.rooms.log,
        make.check_in(school.children["sakura-1"][1], school.rooms.clock, mood=1),
    )
    token = school.rooms.sessions.start_child(child, make.BOARD, "sakura-1")
    shown = ask(app, "/buggy/child", token=token, child=True).json()
    assert shown == {"names": [child], "heard": [child]}


@ON_POSTGRESQL
def test_a_board_without_the_wall_shows_everything_so_the_pages_above_are_careless(
    school: School,
) -> None:
    school.rooms.database.row_security = False
    shown = ask(careless(school.rooms), "/buggy", token=token_of(school, "homeroom")).json()
    assert len(shown["names"]) == len(shown["heard"]) == 8


def test_a_request_begins_with_nobody_and_leaves_nobody_behind() -> None:
    met: list[Scope | None] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        met.append(asking.asker())
        asking.answer_to(Scope(board="b"))

    async def go() -> None:
        asking.answer_to(Scope(board="left by a pipelined request before"))
        await NobodyYet(inner)({"type": "http"}, None, None)  # type: ignore[arg-type]
        met.append(asking.asker())
        await NobodyYet(inner)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]

    asyncio.run(go())
    assert met == [asking.NOBODY, Scope(board="left by a pipelined request before"), None]


@ON_POSTGRESQL
def test_check_ins_cost_not_one_statement_more(school: School) -> None:
    rooms, child = school.rooms, school.children["sakura-1"][0]
    token = rooms.sessions.start_child(child, make.BOARD, "sakura-1")
    who = rooms.sessions.find(token)
    assert who is not None
    said: list[str] = []

    @event.listens_for(rooms.database.engine, "before_cursor_execute")
    def _hear(_c: Any, _cur: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    app = create_app(rooms)

    async def go() -> None:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1",
            cookies={CHILD_COOKIE: token},
            headers={"x-kizashi-csrf": who.csrf, "content-type": "application/json"},
        ) as client:  # fmt: skip
            now = rooms.clock.now().isoformat()
            for path, body in (
                (
                    "/child/api/check-ins",
                    {"questionnaire": "kokoro_monthly", "version": 1, "answers": {"mood": 1},
                     "answered_at": now},
                ),
                ("/child/api/consultations", {"whom": ["anyone"], "about": [], "asked_at": now,
                                              "words": "きいて"}),
            ):  # fmt: skip
                answer = await client.post(path, content=json.dumps({"id": new_id(), **body}))
                assert answer.status_code == 202, answer.text

    rooms.intake.start()
    try:
        asyncio.run(go())
    finally:
        rooms.intake.stop()
    assert any("INSERT INTO events" in one for one in said)
    assert [one for one in said if "set_config" in one or "ROLE" in one.upper().split()] == []


# -- setting it up ---------------------------------------------------------------------------------


@pytest.fixture
def plain_login(postgres_url: str) -> Iterator[tuple[str, str]]:
    """A login that may create no roles, with an empty database of its own; (its URL, admin's)."""
    name = f"plain_{new_id()[:8]}{new_id()[-6:]}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {name} LOGIN")
        conn.execute(f"CREATE DATABASE {name} OWNER {name}")
    admin = make_url(postgres_url).set(database=name)
    yield (
        admin.set(username=name).render_as_string(hide_password=False),
        admin.render_as_string(hide_password=False),
    )
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)")
        for role in (f"{name}_analysis", f"{name}_identity", name):
            conn.execute(f"DROP ROLE IF EXISTS {role}")


def test_a_login_that_may_not_make_roles_says_what_the_administrator_has_to_run(
    plain_login: tuple[str, str], monkeypatch: pytest.MonkeyPatch, secret_key: str
) -> None:
    url, admin = plain_login
    database = Database(url)
    with pytest.raises(RolesMissing) as caught:
        migrate(database)
    assert caught.value.statements in str(caught.value)
    assert caught.value.statements.count("CREATE ROLE") == 2
    with pytest.raises(RolesMissing):
        row_security.check(database)
    # Nothing is shown meanwhile, and the commands say the same.
    with pytest.raises(RowSecurityMissing), on_behalf(asking.NOBODY), database.reading():
        raise AssertionError("must not be reached")
    for name, value in {
        "KIZASHI_DATABASE_URL": url, "KIZASHI_ENVIRONMENT": "test",
        "KIZASHI_SECRET_KEYS": json.dumps([secret_key]),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    for command in ("migrate", "serve"):
        done = CliRunner().invoke(cli, [command])
        assert done.exit_code == 2, done.output
        assert "CREATE ROLE" in done.output

    with psycopg.connect(
        make_url(admin).set(drivername="postgresql").render_as_string(False), autocommit=True
    ) as conn:
        conn.execute(caught.value.statements)
    migrate(database)
    row_security.check(database)
    # As a login without any power of its own, which is how it should be run.
    places = make.places(database, schools=2)
    assert len(places) == 2
    here = Scope(board=make.BOARD, staff=True, schools=frozenset({make.SCHOOL}))
    with on_behalf(here), database.reading() as conn:
        assert conn.exec_driver_sql("SELECT current_user").scalar_one().endswith("_analysis")
        assert conn.exec_driver_sql("SELECT count(*) FROM schools").scalar_one() == 2
    with on_behalf(here), database.reading(identity=True) as conn:
        assert conn.exec_driver_sql("SELECT current_user").scalar_one().endswith("_identity")
    database.close()


def test_what_else_stands_in_the_way_of_the_roles_is_not_called_a_missing_right(
    postgres_url: str,
) -> None:
    """PostgreSQL keeps names that begin with pg_ to itself."""
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("CREATE DATABASE pg_odd")
    database = Database(
        make_url(postgres_url).set(database="pg_odd").render_as_string(hide_password=False)
    )
    with pytest.raises(DBAPIError, match="reserved"):
        migrate(database)
    database.close()
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute("DROP DATABASE pg_odd WITH (FORCE)")


def test_a_board_may_do_without_it_by_a_setting(plain_login: tuple[str, str]) -> None:
    database = Database(plain_login[0], row_security=False)
    migrate(database)
    row_security.check(database)
    with on_behalf(asking.NOBODY), database.reading() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM events").scalar_one() == 0
        assert roles_noted(conn) is None
    database.close()


@ON_POSTGRESQL
def test_rules_of_another_version_are_noticed_and_replaced(
    database: Database, rooms: Rooms
) -> None:
    row_security.check(database)
    with database.writing() as conn:
        roles = roles_noted(conn)
        assert roles is not None
        note = asking.SEPARATOR.join(("kizashi row security", "older", *roles[1:]))
        conn.exec_driver_sql(f"COMMENT ON SCHEMA roster IS '{note}'")
        conn.exec_driver_sql("DROP POLICY kizashi_scope ON events")
        conn.exec_driver_sql("CREATE TABLE later (student text)")
        conn.exec_driver_sql(f'GRANT SELECT ON later TO "{roles.analysis}"')
    with pytest.raises(RowSecurityMissing, match="kizashi migrate"):
        row_security.check(database)
    assert ask(create_app(rooms), "/readyz").json()["problem"] == "RowSecurityMissing"
    migrate(database)
    row_security.check(database)
    with database.writing() as conn:
        assert roles_noted(conn) == roles
        granted = conn.exec_driver_sql(
            "SELECT has_table_privilege(%s, 'later', 'SELECT')", (roles.analysis,)
        ).scalar_one()
        assert granted is False


@ON_POSTGRESQL
def test_a_restored_copy_gets_roles_of_its_own(database: Database) -> None:
    """A dump brings rules and comment along and no grants (`pg_dump --no-privileges`)."""
    with database.writing() as conn:
        roles = roles_noted(conn)
        assert roles is not None
        for role in roles[1:]:
            conn.exec_driver_sql(f'REVOKE ALL ON ALL TABLES IN SCHEMA public FROM "{role}"')
    with pytest.raises(RowSecurityMissing):
        row_security.check(database)
    migrate(database)
    row_security.check(database)
    with database.writing() as conn:
        found = roles_noted(conn)
        name = conn.exec_driver_sql("SELECT current_database()").scalar_one()
        assert found is not None and found.analysis == f"{name}_analysis" != roles.analysis
        conn.exec_driver_sql("DROP SCHEMA roster CASCADE")
        for role in found[1:]:
            conn.exec_driver_sql(f'DROP OWNED BY "{role}"')
            conn.exec_driver_sql(f'DROP ROLE "{role}"')


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlite_has_no_second_wall_and_says_so(database: Database) -> None:
    assert database.row_security is False
    row_security.install(database)
    row_security.check(database)


def test_welfare_has_its_cases_and_nobody_else(rooms: Rooms) -> None:
    class Handed(FollowUpCircles):
        def cases(self, conn: Any, boards: Any) -> set[str]:
            return {"k-1"} if set(boards) == {make.BOARD} else set()

    from warning_service.access.gateway import Gateway
    from warning_service.access.principals import Duty
    from warning_service.access.roles import Role

    circles = Handed(rooms.playbooks, rooms.clock)
    gateway = Gateway(rooms.database, rooms.clock, circles, rooms.trail)
    who = Principal(
        kind="staff", key="w", board=make.BOARD, csrf="", duties=(Duty(Role.WELFARE, make.BOARD),)
    )
    found = gateway.scope_of(who)
    assert found.students == {"k-1"} and not found.schools and not found.counts


@ON_POSTGRESQL
def test_where_the_wall_stands_it_is_not_built_again(database: Database) -> None:
    row_security.install(database)
    with database.writing() as conn:
        before = conn.exec_driver_sql("SELECT oid, polname FROM pg_policy ORDER BY oid").all()
    row_security.install(database)
    with database.writing() as conn:
        after = conn.exec_driver_sql("SELECT oid, polname FROM pg_policy ORDER BY oid").all()
    assert before and after == before
