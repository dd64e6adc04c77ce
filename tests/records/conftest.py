"""Rooms an import needs, on both databases, with one small board."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import insert

from connectors.records.importer import import_bytes
from connectors.records.report import ImportReport
from warning_service.access.sealing import Sealer
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.events.log import Log
from warning_service.roster import tables as t
from warning_service.settings import Settings

BOARD = "kizashi"
SCHOOLS = "学校コード,学校名,校種\nsakura,さくら小学校,小学校\nasahi,あさひ中学校,中学校\n"
ROSTER = """学籍番号,氏名,ふりがな,生年月日,性別,世帯番号,学校名,学年,組,出席番号,基準日
K001,春野 そら,ハルノ ソラ,平成27年5月1日,女,H1,さくら小学校,5,1,1,令和7年4月1日
K002,夏木 りく,なつき りく,H27.8.9,男,H2,さくら小学校,5,1,2,R7.4.1
K003,秋山 うみ,あきやま うみ,2011/04/30,女,H3,あさひ中学校,2,3,1,R07/04/01
"""


@dataclass
class ImportRooms:
    """The part of an installation that imports use, with a short way to import a text."""

    database: Database
    log: Log
    clock: MovableClock
    sealer: Sealer

    def take(
        self, text: str | bytes, name: str = "file.csv", kind: str | None = None
    ) -> ImportReport:
        data = text.encode("cp932") if isinstance(text, str) else text
        return import_bytes(self, BOARD, data, name, actor="system:import", kind=kind)


@pytest.fixture
def empty(database: Database, log: Log, clock: MovableClock, secret_key: str) -> ImportRooms:
    """A board without schools. It is 2026-05-11."""
    settings = Settings(environment="test", secret_keys=[SecretStr(secret_key)])
    with database.writing() as conn:
        conn.execute(insert(t.boards).values(id=BOARD, name="兆市", playbook="nishinomiya"))
    return ImportRooms(database, log, clock, Sealer(database, settings))


@pytest.fixture
def town(empty: ImportRooms) -> ImportRooms:
    """The board with two schools and three children."""
    assert empty.take(SCHOOLS).rows_new == 2
    assert empty.take(ROSTER).rows_new == 3
    return empty


def path_of(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "file.csv"
    file.write_bytes(text.encode("cp932"))
    return file


def japan(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 3, tzinfo=UTC)
