"""`kizashi demo`: makes the town if it is not there, then serves it.

A town that was being built when the process ended is thrown away and begun again; a built one goes
on from where its clock stood. What is thrown away is only ever a town: a database with other
content is refused. Secrets are the installation's own, made on the first start and kept in a file
that only its owner can read.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.fernet import Fernet
from fastapi import FastAPI
from pydantic import SecretStr
from rich.console import Console, Group
from rich.table import Table
from sqlalchemy import func, select

from demo import chat, slack_room
from demo.life import make_world
from demo.people import SignIn, sign_ins
from demo.play import CLOCK_FACT, NOW, READY, STAGE, build, fact, seed_of, set_fact
from demo.progress import Lines, Progress, Shown, bars
from demo.routes import make_router
from demo.town import FIRST_DAY, SEED
from warning_service import app, logs
from warning_service.clock import MovableClock, at
from warning_service.database import Database, StorageUnavailable
from warning_service.events.tables import events, facts
from warning_service.listening import Server, listen, refuse_taken
from warning_service.migrate import migrate
from warning_service.rooms import Rooms
from warning_service.settings import Settings

KEEP_EVERY = 15.0
"""Seconds between two notes of where the clock stands; a kill loses at most so much."""


class NotATown(RuntimeError):
    """The database holds something that is not a demo town; it is left alone."""


class Kept(msgspec.Struct):
    """The installation's own secrets."""

    secret_key: str
    slack_secret: str


def settings_for(data_dir: Path, port: int, database_url: str = "") -> tuple[Settings, str]:
    """The demo's settings and the secret its chat room signs with."""
    data_dir.mkdir(parents=True, exist_ok=True)
    kept = _kept(data_dir / "demo-secrets.json")
    address = f"http://127.0.0.1:{port}"
    settings = Settings(
        environment="demo",
        data_dir=data_dir,
        database_url=database_url,
        public_url=address,
        host="127.0.0.1",
        port=port,
        secret_keys=[SecretStr(kept.secret_key)],
        slack_api_url=f"{address}/demo/slack/api/",
        slack_bot_token=SecretStr(slack_room.TOKEN),
        slack_signing_secret=SecretStr(kept.slack_secret),
        slack_team_id=slack_room.TEAM,
        slack_app_id=slack_room.APP,
        log_level="WARNING",
    )
    return settings, kept.slack_secret


def _kept(file: Path) -> Kept:
    if file.exists():
        return msgspec.json.decode(file.read_bytes(), type=Kept)
    kept = Kept(Fernet.generate_key().decode(), secrets.token_hex(16))
    file.touch(mode=0o600)
    file.write_bytes(msgspec.json.encode(kept))
    return kept


def prepare(
    settings: Settings,
    progress: Progress,
    *,
    fresh: bool = False,
    seed: int = SEED,
    until: datetime = NOW,
) -> Rooms:
    """The rooms of a built town, its clock running on from where it stood.

    Builds the town when there is none, `fresh` is wanted or an earlier build did not end. Raises
    NotATown when the database holds anything else.
    """
    stood = None if fresh else _stands(settings)
    if stood is not None:
        database = Database(settings.sqlalchemy_url)
        migrate(database)
        database.close()
        clock = MovableClock(stood, runs=True)
        return app.build(settings, clock)
    clear(settings)
    database = Database(settings.sqlalchemy_url)
    migrate(database)
    database.close()
    clock = MovableClock(at(FIRST_DAY))
    rooms = app.build(settings, clock)
    try:
        build(rooms, progress, seed, until=until)
    except BaseException:
        rooms.database.close()
        raise
    clock.let_run()
    return rooms


def _stands(settings: Settings) -> datetime | None:
    """Where the clock of a built town stands; None when there is no whole town."""
    database = Database(settings.sqlalchemy_url)
    try:
        if _content(database) != READY:
            return None
        with database.reading() as conn:
            noted = conn.execute(
                select(facts.c.value).where(facts.c.name == CLOCK_FACT)
            ).scalar_one()
            last: datetime = conn.execute(select(func.max(events.c.recorded_at))).scalar_one()
        return max(datetime.fromisoformat(noted), last)
    finally:
        database.close()


def _content(database: Database) -> str:
    """`ready`, `building`, `empty` or `other`."""
    with database.reading() as conn:
        if not conn.dialect.has_table(conn, "facts"):
            return "empty"
        stage = conn.execute(select(facts.c.value).where(facts.c.name == STAGE)).scalar()
        if stage is not None:
            return str(stage)
        return "other" if conn.execute(select(func.max(events.c.position))).scalar() else "empty"


def clear(settings: Settings) -> None:
    """Throw a town away, whole or half. Raises NotATown for anything that is not one."""
    database = Database(settings.sqlalchemy_url)
    content = _content(database)
    if content == "other":
        database.close()
        raise NotATown(settings.sqlalchemy_url.split("@")[-1])
    if not database.is_sqlite:
        with database.writing() as conn:
            conn.exec_driver_sql("DROP SCHEMA IF EXISTS roster CASCADE")
            conn.exec_driver_sql("DROP SCHEMA public CASCADE")
            conn.exec_driver_sql("CREATE SCHEMA public")
    database.close()
    if database.is_sqlite:
        for path in (database.path, database.identity_path):
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
    for name in ("slack_room.db", "slack_room.db-wal", "slack_room.db-shm"):
        (settings.data_dir / name).unlink(missing_ok=True)
    shutil.rmtree(settings.data_dir / "demo-files", ignore_errors=True)


class ClockKeeper:
    """Notes now and then where the clock stands, so that the next start goes on from there."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-clock", daemon=True)

    def start(self) -> None:
        """Start noting."""
        self._thread.start()

    def stop(self) -> None:
        """Note once more and end."""
        self._stopping.set()
        self._thread.join(timeout=10)
        self._note()

    def _run(self) -> None:
        while not self._stopping.wait(KEEP_EVERY):
            self._note()

    def _note(self) -> None:
        try:
            set_fact(self._rooms, CLOCK_FACT, self._rooms.clock.now().isoformat())
        except StorageUnavailable:  # the next note will do
            return


def make_app(rooms: Rooms, slack_secret: str) -> FastAPI:
    """The whole service in one process, with the demo's pages; chat is connected."""
    chat.connect(rooms)
    found = app.create_app(rooms, app.Jobs(work=True, schedule=True))
    found.include_router(make_router(rooms, slack_secret))
    return found


def start(data_dir: Path, *, port: int, fresh: bool, build_only: bool, console: Console) -> None:
    """Build the town if need be, print the way in, and serve until told to stop."""
    settings, slack_secret = settings_for(data_dir, port)
    if not build_only:
        refuse_taken(settings)  # before two minutes of building
    logs.configure("ERROR")  # a year of escalations would bury the progress
    if console.is_terminal:
        with bars(console) as shown:
            progress = Shown(shown)
            rooms = prepare(settings, progress, fresh=fresh)
            progress.finish()
    else:
        rooms = prepare(settings, Lines(console), fresh=fresh)
    logs.configure(settings.log_level)
    if build_only:
        return
    keeper = ClockKeeper(rooms)
    keeper.start()
    way = way_in(rooms)

    def opened(_: Server) -> None:
        console.print(way)
        console.print(
            "(Ctrl+C で止まります。町は残ります / Ctrl+C stops it; the town is kept)", style="dim"
        )

    try:
        listen(make_app(rooms, slack_secret), settings, opened=opened)
    finally:
        keeper.stop()


def way_in(rooms: Rooms) -> Group:
    """Addresses and ready sign-ins for the terminal, no wider than 80 columns."""
    base = rooms.settings.public_url.rstrip("/")
    places = Table.grid(padding=(0, 2))
    for label, path in (
        ("見本の町 / the demo", "/demo"),
        ("子ども / children", "/child/sign-in"),
        ("先生・教育委員会 / staff", "/portal/sign-in"),
        ("職員室のチャット / chat", "/demo/slack"),
    ):
        places.add_row(label, f"[bold]{base}{path}[/bold]")
    people = Table(title="サインイン / sign-ins (生成データ / generated)", title_justify="left")
    for head in ("だれ / who", "名まえ / name", "ひみつ / secret"):
        people.add_column(head)
    for one in ready(rooms):
        name = f"{one.name} {one.number}番" if one.number else one.name
        secret = one.secret + (" + /demo" if one.code else "")
        people.add_row(f"{one.role} / {one.role_en}", name, secret)
    return Group(places, people)


def ready(rooms: Rooms) -> list[SignIn]:
    """Ready sign-ins of the town in these rooms."""
    return sign_ins(rooms, make_world(seed_of(rooms)).town)


def stage(rooms: Rooms) -> str | None:
    """How far the town is: None, `building` or `ready`."""
    return fact(rooms, STAGE)
