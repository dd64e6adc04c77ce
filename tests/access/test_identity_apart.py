"""Identity apart from analysis: on SQLite, names are in their own file and in no other.

A small town whose every name, number and login is a word of its own is imported and used: children
answer and ask for help, adults look at pages, write records, get a row rejected. Then the bytes of
the main file are searched, its write-ahead log and free pages included.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import update

from connectors.records.importer import import_bytes
from tests import make
from tests.access.test_row_security_pages import ask
from warning_service.access.roles import Ability
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.app import create_app
from warning_service.events.dispatcher import Dispatcher
from warning_service.judging.consumer import JudgingConsumer
from warning_service.rooms import Rooms
from warning_service.roster import queries, service
from warning_service.roster import tables as roster

BOARD = make.BOARD
SCHOOLS = "学校コード,学校名,校種\nsakura,さくら小学校,小学校\n"
PEOPLE = """学籍番号,氏名,ふりがな,生年月日,性別,世帯番号,学校名,学年,組,出席番号,基準日
NB70011,葦原 いなほ,アシハラ イナホ,平成27年5月1日,女,SETAI90,さくら小学校,5,1,1,令和8年4月1日
NB70022,葦原 たまき,アシハラ タマキ,平成27年8月9日,男,SETAI91,さくら小学校,5,1,2,令和8年4月1日
NB70033,誤植 やまと,ゴショク ヤマト,とても昔,女,SETAI92,さくら小学校,5,1,3,令和8年4月1日
"""
CANARIES = (
    "葦原", "いなほ", "たまき", "アシハラ", "イナホ", "タマキ", "あしはら", "NB70011", "NB70022",
    "NB70033", "SETAI90", "SETAI91", "誤植", "ゴショク", "canary-login", "先生 canary-login",
)  # fmt: skip
KEPT_APART = ("葦原", "いなほ", "NB70011", "SETAI90", "NB70033", "canary-login")
"""Those that must be in the file of names, or the search above would prove nothing."""


@pytest.fixture
def used(rooms: Rooms) -> Rooms:
    """The town, imported and used."""
    with rooms.database.writing() as conn:
        service.put_rows(
            conn, roster.boards, ["id"],
            [{"id": BOARD, "name": "兆市", "playbook": "nishinomiya", "generated": False}],
        )  # fmt: skip
    for text in (SCHOOLS, PEOPLE):
        import_bytes(
            rooms, BOARD, text.encode("cp932"), "名簿.csv", actor="system:import", kind=None
        )
    with rooms.database.reading() as conn:
        children = queries.on_roll(conn, rooms.clock.today(), school="sakura")
    assert len(children) == 2
    first = children[0]
    adult = make.staff(rooms.database, "adult", ("homeroom", first.class_id), ("nurse", "sakura"))
    with rooms.database.writing() as conn:
        conn.execute(update(roster.staff).values(login="canary-login", name="先生 canary-login"))
    call = make.consultation(first.student, rooms.clock)
    sealed = rooms.sealer.seal(first.student, "葦原 いなほ です。きいてください")
    make.append(
        rooms.log,
        *(make.check_in(child.student, rooms.clock, mood=3, sleep=3) for child in children),
        replace(call, body=replace(call.body, sealed=sealed)),
    )
    for consumer in (
        AlertsConsumer(rooms.log, rooms.playbooks, tell=False),
        JudgingConsumer(rooms.log, rooms.playbooks),
    ):
        dispatcher = Dispatcher(rooms.log, consumer, BOARD)
        dispatcher.drain()
        dispatcher.release()
    token = rooms.sessions.start_staff(adult, BOARD)
    who = rooms.sessions.find(token)
    assert who is not None
    app = create_app(rooms)
    for path in (
        "/portal", "/portal/alerts", f"/portal/classes/{first.class_id}",
        f"/portal/students/{first.student}",
    ):  # fmt: skip
        assert ask(app, path, token=token).status_code == 200, path
    assert "葦原" in ask(app, f"/portal/students/{first.student}", token=token).text
    rooms.follow_ups.record(who, first.student, "talked", "same", "葦原さんと話した")
    rooms.gateway.child(who, first.student, using=Ability.SEE_STUDENT, why="student")
    return rooms


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_main_file_holds_no_name_and_no_number(used: Rooms) -> None:
    database = used.database
    held = _bytes(database.identity_path)
    for canary in KEPT_APART:
        assert canary.encode() in held, canary
    for path in (database.path, *used.settings.data_dir.rglob("*")):
        if path.is_file():
            data = _bytes(path)
            found = [c for c in CANARIES if c.encode() in data or c.encode("cp932") in data]
            assert found == [], path.name
    assert b"check_in_submitted" in _bytes(database.path)


def _bytes(path: Path) -> bytes:
    """A file with its write-ahead log."""
    wal = Path(f"{path}-wal")
    return path.read_bytes() + (wal.read_bytes() if wal.exists() else b"")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_table_outside_the_names_schema_holds_one(used: Rooms) -> None:
    with used.database.reading() as conn:
        tables = conn.exec_driver_sql(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        ).scalars()
        for table in tables.all():
            rows = conn.exec_driver_sql(f"SELECT t::text FROM {table} t").scalars().all()
            assert [c for c in CANARIES if any(c in row for row in rows)] == [], table
        kept = conn.exec_driver_sql("SELECT s::text FROM roster.students s").scalars().all()
    assert any("葦原" in row for row in kept)
