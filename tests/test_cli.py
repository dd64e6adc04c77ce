"""The command line: what a hand may mistype is one line and a status, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests import make
from warning_service.database import Database
from warning_service.migrate import migrate


def kizashi(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process, on the SQLite database in `folder`."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith("KIZASHI_")}
    return subprocess.run(
        [sys.executable, "-m", "warning_service", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={
            **environment,
            "COLUMNS": "200",
            "KIZASHI_ENVIRONMENT": "test",
            "KIZASHI_DATA_DIR": str(folder),
            "KIZASHI_SECRET_KEYS": f'["{Fernet.generate_key().decode()}"]',
        },
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with one board, and a file a city might hand over."""
    made = tmp_path_factory.mktemp("cli")
    database = Database(f"sqlite:///{made / 'kizashi.db'}")
    migrate(database)
    make.places(database)
    database.close()
    (made / "a.csv").write_bytes("日付,学籍番号,出欠区分\r\nR7.4.8,K1,欠席\r\n".encode("cp932"))
    (made / "replay").mkdir()
    return made


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["import", "--board", make.BOARD, "none.csv"], 2, "'none.csv' does not exist"),
        (["import", "--board", "nowhere", "a.csv"], 2, "no board 'nowhere'"),
        (["import", "--board", make.BOARD, "--kind", "x", "a.csv"], 2, "none of: "),
        (["import", "--board", make.BOARD, "a.csv"], 1, "no child on the roll has this number"),
        (["replay", "replay", "--out", "out"], 2, "replay.toml: the file is missing"),
        (["restore", "none.tar.gz"], 1, "not a backup"),
        (["backup", "no/such/folder/x"], 1, "FileNotFoundError"),
    ],
)
def test_a_mistake_is_named_in_a_line(
    folder: Path, words: list[str], status: int, said: str
) -> None:
    done = kizashi(folder, *words)
    assert done.returncode == status, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_without_a_schema_is_said_so(tmp_path: Path) -> None:
    done = kizashi(tmp_path, "lists")
    assert done.returncode == 1
    assert "SchemaNotCurrent" in done.stderr


def test_an_empty_board_is_rebuilt_as_equal(folder: Path) -> None:
    done = kizashi(folder, "rebuild")
    assert done.returncode == 0, done.stderr
    assert "everything is equal" in done.stdout
