"""The trail cannot be bent unseen: as somebody with the database file, without the keys, would try.

Each attack goes around the service: with sqlite3 on the file itself, with a plain connection on
PostgreSQL, after taking away what the database itself refuses with.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from tests import make
from warning_service import upkeep
from warning_service.access.principals import Principal, duty_at
from warning_service.access.roles import Ability, Role
from warning_service.access.tables import audit as table
from warning_service.access.trail import audit
from warning_service.access.trail.audit import HEAD_DID_NOT_FIT, Look, Trail, TrailKeys, verify
from warning_service.cli import cli
from warning_service.clock import MovableClock
from warning_service.database import Database, StorageUnavailable
from warning_service.settings import Settings

Attack = Callable[[str], None]


@pytest.fixture
def keys(settings: Settings) -> TrailKeys:
    return TrailKeys(settings)


@pytest.fixture
def trail(database: Database, clock: MovableClock, keys: TrailKeys) -> Trail:
    return Trail(database, clock, keys)


def look(subject: str, *, action: str = "student") -> Look:
    return Look(board=make.BOARD, actor="staff-1", action=action, subject=subject)


@pytest.fixture
def filled(trail: Trail) -> Trail:
    """A trail of six rows, written one by one and two at once."""
    for n in range(1, 5):
        trail.record([look(f"child-{n}")])
    trail.record([look("child-5"), look("child-6")])
    return trail


@contextmanager
def attacker(database: Database) -> Iterator[Attack]:
    """Runs SQL past the service, with the database's own guards taken away."""
    if database.is_sqlite:
        database.close()
        with closing(sqlite3.connect(database.path)) as plain:
            for verb in ("update", "delete"):
                plain.execute(f"DROP TRIGGER IF EXISTS audit_no_{verb}")
            yield lambda sql: plain.execute(sql) and None
            plain.commit()
        return
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("ALTER TABLE audit DISABLE TRIGGER ALL")
        yield lambda sql: conn.execute(sql) and None  # type: ignore[call-overload]


def faults(trail: Trail, head: str = "") -> list[tuple[int, str]]:
    with trail._database.reading() as conn:
        return [(fault.seq, fault.words) for fault in verify(conn, trail.keys, head)]


def test_a_trail_as_it_was_written_is_whole(filled: Trail, database: Database) -> None:
    assert faults(filled) == []
    with database.reading() as conn:
        head = audit.head(conn)
    assert head is not None and head.seq == 6
    assert faults(filled, str(head)) == []


def test_an_empty_trail_is_whole_and_has_no_head(trail: Trail, database: Database) -> None:
    assert faults(trail) == []
    with database.reading() as conn:
        assert audit.head(conn) is None
    trail.record([])
    assert make.rows(database, table) == []


@pytest.mark.parametrize("verb", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit"])
def test_the_database_itself_refuses(filled: Trail, database: Database, verb: str) -> None:
    with pytest.raises((DBAPIError, StorageUnavailable)), database.writing() as conn:
        conn.exec_driver_sql(verb)
    assert faults(filled) == []


@pytest.mark.parametrize(
    "column", ["board", "actor", "action", "subject", "detail", "purpose", "duty", "seal", "hash"]
)
def test_a_changed_row_is_named_and_no_other(
    filled: Trail, database: Database, column: str
) -> None:
    with attacker(database) as run:
        run(f"UPDATE audit SET {column} = 'somebody' WHERE seq = 3")
    found = faults(filled)
    assert [seq for seq, _ in found] == [3]
    assert found[0][1].startswith("audit row 3 was changed")


def test_a_row_moved_in_time_is_named(filled: Trail, database: Database) -> None:
    with attacker(database) as run:
        run("UPDATE audit SET at = '2026-05-10 03:00:00.000000' WHERE seq = 2")
    assert [seq for seq, _ in faults(filled)] == [2]


def test_the_command_names_the_changed_row(
    filled: Trail, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warning_service.cli._settings", lambda: settings)
    whole = CliRunner().invoke(cli, ["verify"])
    assert whole.exit_code == 0 and "head of the trail: 6-" in whole.output
    head = whole.output.split("head of the trail: ")[1].strip()
    with attacker(database) as run:
        run("UPDATE audit SET subject = 'child-9' WHERE seq = 4")
    bent = CliRunner().invoke(cli, ["verify"])
    assert bent.exit_code == 1 and "audit row 4 was changed" in bent.output
    assert CliRunner().invoke(cli, ["verify", "--head", head]).exit_code == 1


def test_verify_without_keys_says_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    keyless = settings.model_copy(update={"secret_keys": []})
    monkeypatch.setattr("warning_service.cli._settings", lambda: keyless)
    answer = CliRunner().invoke(cli, ["verify"])
    assert answer.exit_code == 2 and "secret_keys" in answer.output


def test_a_missing_row_is_named(filled: Trail, database: Database) -> None:
    with attacker(database) as run:
        run("DELETE FROM audit WHERE seq = 3")
    assert faults(filled) == [(3, "audit row 3 is missing")]


def test_missing_rows_are_named_together(filled: Trail, database: Database) -> None:
    with attacker(database) as run:
        run("DELETE FROM audit WHERE seq IN (1, 2, 4)")
    assert faults(filled) == [
        (1, "audit rows 1 to 2 are missing"), (4, "audit row 4 is missing"),
    ]  # fmt: skip


def test_a_gap_closed_by_renumbering_is_named(filled: Trail, database: Database) -> None:
    with attacker(database) as run:
        run("DELETE FROM audit WHERE seq = 3")
        for seq in (4, 5, 6):
            run(f"UPDATE audit SET seq = {seq - 1} WHERE seq = {seq}")
    found = faults(filled)
    assert found[0] == (3, "audit row 3 was changed")
    assert found[-1] == (6, "audit row 6 is missing: the end of the trail was cut off")


def test_exchanged_rows_are_named(filled: Trail, database: Database) -> None:
    with attacker(database) as run:
        run("UPDATE audit SET seq = 99 WHERE seq = 2")
        run("UPDATE audit SET seq = 2 WHERE seq = 5")
        run("UPDATE audit SET seq = 5 WHERE seq = 99")
    assert [seq for seq, _ in faults(filled)] == [2, 5]


def test_a_row_put_in_at_the_end_is_named(filled: Trail, database: Database) -> None:
    names = "at, board, actor, action, subject, detail, purpose, duty, key, seal, hash"
    with attacker(database) as run:  # a copy of a true row
        run(f"INSERT INTO audit (seq, {names}) SELECT 7, {names} FROM audit WHERE seq = 6")
    assert faults(filled) == [
        (7, "audit row 7 was changed"),
        (8, "the head of the audit trail tells of row 6, the last row is 7"),
    ]


def test_a_row_without_a_seal_is_named(filled: Trail, database: Database) -> None:
    with attacker(database) as run:
        run("UPDATE audit SET key = '', seal = '' WHERE seq = 6")
    found = faults(filled)
    assert found == [(6, "audit row 6 bears no seal: it was not written by this service")]


def test_a_cut_off_end_is_named(filled: Trail, database: Database) -> None:
    with attacker(database) as run:
        run("DELETE FROM audit WHERE seq > 4")
    assert faults(filled) == [
        (5, "audit rows 5 to 6 are missing: the end of the trail was cut off")
    ]
    # Written on to, it is still told, for good.
    filled.record([look("child-7")])
    assert [seq for seq, _ in faults(filled)] == [5]
    rows = make.rows(database, table)
    assert [row.action for row in rows][-2:] == [HEAD_DID_NOT_FIT, "student"]
    assert rows[-2].detail == "head 6, last row 4"


def test_all_rows_gone_is_named(filled: Trail, database: Database) -> None:
    with attacker(database) as run:
        run("DELETE FROM audit")
    assert [seq for seq, _ in faults(filled)] == [1]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM facts WHERE name = 'audit_head'",
        "UPDATE facts SET value = 'nonsense' WHERE name = 'audit_head'",
        "UPDATE facts SET value = replace(value, '\"seq\":6', '\"seq\":5') "
        "WHERE name = 'audit_head'",
        'UPDATE facts SET value = replace(value, \'"key":"\', \'"key":"x\') '
        "WHERE name = 'audit_head'",
    ],
)
def test_a_head_without_its_seal_is_no_head(filled: Trail, database: Database, change: str) -> None:
    with attacker(database) as run:
        run(change)
    assert faults(filled) == [
        (7, "the head of the audit trail is missing or was changed (last row: 6)")
    ]
    filled.record([look("child-7")])
    found = faults(filled)
    assert [seq for seq, _ in found] == [7]
    assert "(head none, last row 6)" in found[0][1]


def test_who_has_no_key_cannot_make_it_fit_again(
    filled: Trail, database: Database, settings: Settings
) -> None:
    """The whole trail written anew, in our own way, but with a key of the attacker's."""
    other = TrailKeys(settings.model_copy(update={"secret_keys": [SecretStr(new_key())]}))
    rows = make.rows(database, table)
    with attacker(database) as run:
        run("DELETE FROM audit")
        run("DELETE FROM facts WHERE name = 'audit_head'")
    forger = Trail(database, filled._clock, other)
    forger.record([look(row.subject.replace("child-3", "child-9")) for row in rows])
    assert faults(forger) == []
    found = faults(filled)
    assert [seq for seq, _ in found] == [1, 2, 3, 4, 5, 6, 7]
    assert "a key that is not in secret_keys" in found[0][1]
    # And by naming our key instead of theirs they get no further.
    with attacker(database) as run:
        run(f"UPDATE audit SET key = '{filled.keys.newest}'")
    assert [seq for seq, _ in faults(filled)] == [1, 2, 3, 4, 5, 6, 7]


def test_plain_hashes_computed_again_do_not_fit(filled: Trail, database: Database) -> None:
    rows = make.rows(database, table)
    with attacker(database) as run:
        before = ""
        for row in rows:
            subject = "child-9" if row.seq == 3 else row.subject
            seal = hashlib.sha256(f"{row.seq}{subject}".encode()).hexdigest()[:32]
            before = hashlib.sha256(f"{before}{seal}".encode()).hexdigest()
            run(f"UPDATE audit SET subject = '{subject}', seal = '{seal}', hash = '{before}' "
                f"WHERE seq = {row.seq}")  # fmt: skip
    assert {seq for seq, _ in faults(filled)} >= {1, 2, 3, 4, 5, 6}


def test_a_trail_put_back_whole_is_told_by_a_head_kept_elsewhere(
    filled: Trail, database: Database
) -> None:
    with attacker(database) as run:
        run("CREATE TABLE old_facts AS SELECT * FROM facts")
    filled.record([look("child-7"), look("child-8")])
    with database.reading() as conn:
        kept = str(audit.head(conn))
    with attacker(database) as run:
        run("DELETE FROM audit WHERE seq > 6")
        run("DELETE FROM facts")
        run("INSERT INTO facts SELECT * FROM old_facts")
        run("DROP TABLE old_facts")
    assert faults(filled) == []  # by itself it looks whole …
    assert [seq for seq, _ in faults(filled, kept)] == [8]  # … but not beside what was kept
    assert [seq for seq, _ in faults(filled, "nonsense")] == [0]


def test_after_a_new_key_old_rows_still_verify(
    filled: Trail, database: Database, settings: Settings, clock: MovableClock
) -> None:
    newer = [SecretStr(new_key()), *settings.secret_keys]
    rotated = Trail(database, clock, TrailKeys(settings.model_copy(update={"secret_keys": newer})))
    rotated.record([look("child-7")])
    assert faults(rotated) == []
    assert len({row.key for row in make.rows(database, table)}) == 2
    # Who no longer has the old key is told which rows cannot be proved.
    alone = Trail(
        database, clock, TrailKeys(settings.model_copy(update={"secret_keys": newer[:1]}))
    )
    assert [seq for seq, _ in faults(alone)] == [1, 2, 3, 4, 5, 6]
    assert upkeep.verify(database, rotated.keys) == []
    # Moved to `trail_keys` it proves them, and that is all it does: no end it sealed is believed.
    moved = TrailKeys(
        settings.model_copy(
            update={"secret_keys": newer[:1], "trail_keys": list(settings.secret_keys)}
        )
    )
    assert faults(Trail(database, clock, moved)) == []
    filled.record([look("child-8")])  # as whoever has the old key and the database could
    assert faults(Trail(database, clock, moved))[-1] == (
        10, "the head of the audit trail is missing or was changed (last row: 9)",
    )  # fmt: skip


def test_so_many_faults_are_enough(
    filled: Trail, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MOST_FAULTS", 2)
    with attacker(database) as run:
        run("UPDATE audit SET actor = 'x'")
    assert faults(filled) == [
        (1, "audit row 1 was changed"), (2, "audit row 2 was changed"),
        (2, "and more: looked no further"),
    ]  # fmt: skip


def test_a_trail_needs_a_key(settings: Settings) -> None:
    with pytest.raises(ValueError, match="secret_keys"):
        TrailKeys(settings.model_copy(update={"secret_keys": []}))


def test_a_change_and_its_line_are_stored_together_or_not_at_all(
    filled: Trail, database: Database
) -> None:
    with pytest.raises(RuntimeError), database.writing() as conn:
        filled.write(conn, [])
        filled.write(conn, [look("child-7")])
        raise RuntimeError
    assert faults(filled) == []
    assert len(make.rows(database, table)) == 6
    with database.writing() as conn:
        filled.write(conn, [look("child-7")])
    assert len(make.rows(database, table)) == 7


def test_purpose_and_duty_stand_beside_the_look(trail: Trail, database: Database) -> None:
    who = Principal(
        kind="staff", key="staff-1", board=make.BOARD, csrf="c",
        duties=(duty_at(Role.NURSE, make.SCHOOL), duty_at(Role.GUIDANCE, make.SCHOOL)),
    )  # fmt: skip
    trail.note(who, "student", ["child-1"], using=Ability.SEE_STUDENT)
    trail.note(who, "student", ["child-1"])
    trail.note(who, "refused:page", ["山田 太郎"], using=Ability.REVIEW)
    trail.by("", "failed_sign_in", "staff-2", board=make.BOARD, detail="password")
    rows = make.rows(database, table)
    assert [(r.purpose, r.duty) for r in rows] == [
        ("care", "guidance,nurse"), ("", ""), ("screening", "guidance,nurse"), ("", ""),
    ]  # fmt: skip
    assert [r.subject for r in rows] == ["child-1", "child-1", "?", "staff-2"]


def new_key() -> str:
    return Fernet.generate_key().decode()


def test_a_shortened_trail_is_sealed_anew_where_it_begins(
    filled: Trail, database: Database, settings: Settings
) -> None:
    with database.writing() as conn:
        audit.shorten(conn, filled.keys, 3)
    held = [key.get_secret_value() for key in settings.secret_keys]
    newer = TrailKeys(
        settings.model_copy(update={"secret_keys": [SecretStr(k) for k in (new_key(), *held)]})
    )
    with database.writing() as conn:
        assert audit.seal_anew(conn, newer) == 6, "rows 4 to 6 still need the older key"
        assert verify(conn, newer) == []
