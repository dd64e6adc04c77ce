"""The command line: what a hand may mistype is one line and a status, never a traceback."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography.fernet import Fernet

from tests import make
from tests.command import as_process, environment, in_here
from tests.conftest import START
from warning_service.access.tables import audit
from warning_service.database import Database
from warning_service.migrate import migrate
from warning_service.roster.tables import seats


def kizashi(folder: Path, *words: str) -> CompletedProcess[str]:
    """Run the command on the SQLite database in `folder`."""
    return in_here(folder, *words, env=environment(folder, [Fernet.generate_key().decode()]))


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
    for run in (in_here, as_process):
        done = run(tmp_path, "lists", env=environment(tmp_path, [Fernet.generate_key().decode()]))
        assert done.returncode == 1
        assert "SchemaNotCurrent" in done.stderr
        assert "Traceback" not in done.stderr


def test_an_empty_board_is_rebuilt_as_equal(folder: Path) -> None:
    done = kizashi(folder, "rebuild")
    assert done.returncode == 0, done.stderr
    assert "everything is equal" in done.stdout


def test_a_board_is_set_up_from_nothing(tmp_path: Path) -> None:
    """Board, files, a password, pictures; then both can sign in. Nothing of it is a demo."""
    from warning_service.access.doors.child import ChildSignIn
    from warning_service.access.doors.passwords import Passwords
    from warning_service.access.doors.pictures import PICTURES_OF_SECRETS
    from warning_service.access.doors.sessions import Sessions
    from warning_service.access.doors.setting_up import add_board, make_cards
    from warning_service.access.doors.staff import StaffSignIn
    from warning_service.access.doors.tokens import Tokens
    from warning_service.access.doors.tries import Tries
    from warning_service.access.sealing import Sealer
    from warning_service.access.trail.audit import Trail, TrailKeys
    from warning_service.clock import MovableClock
    from warning_service.events.log import Log
    from warning_service.events.wakeups import Wakeups
    from warning_service.playbooks.service import Playbooks
    from warning_service.settings import Settings

    key = Fernet.generate_key().decode()
    settings = Settings(environment="test", data_dir=tmp_path, secret_keys=[key])  # type: ignore[list-item]
    database = Database(settings.sqlalchemy_url)
    migrate(database)
    clock = MovableClock(START)
    trail = Trail(database, clock, TrailKeys(settings))
    assert add_board(database, trail, "newtown", "新しい市", "nishinomiya", actor="system:cli")
    assert not add_board(database, trail, "newtown", "新しい市", "nishinomiya", actor="system:cli")
    with pytest.raises(KeyError):
        add_board(database, trail, "other", "市", "no_such_playbook", actor="x")
    with pytest.raises(ValueError, match="letters and digits"):
        add_board(database, trail, "not/one", "市", "nishinomiya", actor="x")
    [line] = make.rows(database, audit)
    assert (line.actor, line.action, line.subject) == ("system:cli", "board_added", "newtown")
    log = Log(database, clock, Wakeups())
    room = make.places(database)[0]
    make.staff(database, "sato", ("homeroom", room))
    kids = make.children(log, room, 2)
    sealer = Sealer(database, settings)
    with database.writing() as conn:
        for seat, kid in enumerate(kids, 1):
            conn.execute(
                seats.insert().values(student=kid, class_id=room, seat=seat, secret_hash="")
            )
    sessions, tries = Sessions(database, clock, settings), Tries(database, clock, settings)
    passwords = Passwords(database, sessions, Tokens(database, clock, settings), trail)
    with pytest.raises(ValueError, match="at least"):
        passwords.change("staff-sato", "short", actor="system:cli", action="set_password")
    passwords.change("staff-sato", "ひみつのことば-2026-五月", actor="system:cli")
    assert StaffSignIn(database, sessions, tries, trail).sign_in(
        "sato", "ひみつのことば-2026-五月", "127.0.0.1"
    )
    playbooks = Playbooks(database, tmp_path / "playbooks")
    given = (database, sealer, playbooks, room.upper(), PICTURES_OF_SECRETS)
    made = make_cards(*given, trail=trail, actor="system:cli")
    assert [one.seat for one in made] == [1, 2]
    assert make_cards(*given, trail=trail, actor="system:cli") == []
    door = ChildSignIn(database, clock, sessions, tries, sealer=sealer, playbooks=playbooks)
    assert door.sign_in(room.upper(), made[1].seat, made[1].secret, "127.0.0.1")
    database.close()
