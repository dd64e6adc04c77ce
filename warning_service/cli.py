"""The `kizashi` command: run, fill, check, keep.

Every command reads the settings (`KIZASHI_…` or `kizashi.toml`), does one thing and says what it
did. Nothing here decides anything: the work is in the rooms.
"""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from warning_service import upkeep
from warning_service.access import row_security
from warning_service.access.trail import audit
from warning_service.access.trail.audit import TrailKeys
from warning_service.alerts import rebuild as alerts_rebuild
from warning_service.app import Jobs, Running, build, create_app
from warning_service.cli_accounts import ACTOR, accounts
from warning_service.cli_channels import channel
from warning_service.cli_keeping import keeping
from warning_service.cli_playbook import fit_or_exit
from warning_service.cli_playbook import playbook as playbook_commands
from warning_service.cli_pool import pool
from warning_service.cli_told import telling
from warning_service.clock import Clock
from warning_service.console import err, out
from warning_service.console import settings_or_exit as _settings
from warning_service.database import Database, RowSecurityMissing, StorageUnavailable
from warning_service.follow_up import opinions
from warning_service.follow_up import rebuild as cases_rebuild
from warning_service.judging import queries as judging
from warning_service.judging.deriving import rebuild as judging_rebuild
from warning_service.judging.replaying.replay import run_replay
from warning_service.listening import listen
from warning_service.migrate import SchemaNotCurrent, check, migrate
from warning_service.rights import register
from warning_service.roster import queries as roster
from warning_service.settings import Settings

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Kizashi: a school early-warning messaging service. 兆し",
)
cli.add_typer(keeping)
cli.add_typer(accounts)
cli.add_typer(telling)
cli.add_typer(channel, name="channel")
cli.add_typer(playbook_commands, name="playbook")
cli.add_typer(pool, name="pool")


def _serve(settings: Settings, jobs: Jobs, clock: Clock | None = None) -> None:
    rooms = build(settings, clock)
    check(rooms.database)
    try:
        row_security.check(rooms.database)
    except RowSecurityMissing as error:
        rooms.database.close()
        err.print(str(error), markup=False)
        raise typer.Exit(2) from error
    if not settings.is_sqlite and not settings.row_security:
        err.print("row_security is off: only the pages themselves keep each reader's scope")
    listen(create_app(rooms, jobs), settings)


def _migrate(settings: Settings) -> None:
    database = Database(settings.sqlalchemy_url, row_security=settings.row_security)
    try:
        migrate(database)
    except RowSecurityMissing as error:
        err.print(str(error), markup=False)
        raise typer.Exit(2) from error
    finally:
        database.close()


@cli.command()
def demo(
    data_dir: Annotated[Path, typer.Option(help="Where the town is kept.")] = Path("var/demo"),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 8000,
    fresh: Annotated[bool, typer.Option(help="Throw the town away and build it again.")] = False,
    build_only: Annotated[bool, typer.Option(help="Build the town and stop.")] = False,
) -> None:
    """Build a made-up town of 6 schools, play a school year, and serve it.

    The first start takes one to two minutes and shows its progress; later starts go on where the
    town was left. Everything in it is generated and says so. Nothing leaves this machine.
    """
    from demo import run  # the demo is no part of a production process

    run.start(data_dir, port=port, fresh=fresh, build_only=build_only, console=out)


@cli.command()
def up() -> None:
    """Run everything in one process: pages, consumers, senders, scheduler.

    Migrates the database first. The embedded default for one school or a small board.
    """
    settings = _settings()
    _migrate(settings)
    _serve(settings, Jobs(work=True, schedule=True))


@cli.command()
def serve() -> None:
    """Answer requests only. Run `work` and `schedule` beside it, on the same database.

    Listens where `KIZASHI_HOST` and `KIZASHI_PORT` say; put a TLS proxy of the house in front.
    Refuses to start on a schema that `migrate` has not brought up to date.
    """
    _serve(_settings(), Jobs())


@cli.command()
def work() -> None:
    """Read the log: raise and deliver alerts, escalate, judge, publish lists.

    Several may run; each board's events have one owner at a time.
    """
    _run_until_told(Jobs(work=True))


@cli.command()
def schedule() -> None:
    """Close days and make lists fall due. Several may run; one leads.

    Days that were missed while none ran are caught up, in order. It only writes that a day is over
    or a list is due; `work` does what follows.
    """
    _run_until_told(Jobs(schedule=True))


def _run_until_told(jobs: Jobs) -> None:
    import signal
    import threading

    rooms = build(_settings())
    check(rooms.database)
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    with Running(rooms, jobs, intake=False):
        told.wait()


@cli.command(name="migrate")
def migrate_command() -> None:
    """Bring the database to this version's schema. Back up first; `up` does this by itself."""
    settings = _settings()
    _migrate(settings)
    out.print("The schema is current.")


@cli.command(name="import")
def import_command(
    files: Annotated[
        list[Path],
        typer.Argument(help="CSV files, CP932 or UTF-8.", exists=True, dir_okay=False),
    ],
    board: Annotated[str, typer.Option(help="The board's id.")],
    kind: Annotated[str | None, typer.Option(help="Kind of file; else told by its header.")] = None,
) -> None:
    """Take in files that a school or city hands over.

    Good rows go in, bad rows are kept for correction, and a report names each by row and reason.
    The same file again changes nothing. Exit status 1 when a row or a file was rejected.
    """
    from connectors.records.columns import BY_ID
    from connectors.records.importer import import_file

    if kind is not None and kind not in BY_ID:
        raise typer.BadParameter(f"'{kind}' is none of: {', '.join(sorted(BY_ID))}")
    rooms = build(_settings())
    check(rooms.database)
    with rooms.database.reading() as conn:
        boards = [row.id for row in roster.boards(conn)]
    if board not in boards:
        raise typer.BadParameter(f"no board '{board}' here; there is: {', '.join(boards) or '-'}")
    whole = True
    for file in files:
        report = import_file(rooms, board, file, actor="system:import", kind=kind)
        # Not the file's name: people put names into those.
        rooms.trail.by(ACTOR, "import_file", board, board=board, detail=report.kind)
        out.print(report.table())
        whole = whole and report.ok
    raise typer.Exit(0 if whole else 1)


@cli.command()
def lists(
    school: Annotated[str | None, typer.Option(help="Only this school's id.")] = None,
) -> None:
    """Show which warning lists were published, by whom judged, how long. No child's name.

    `judge` says whether rules or the model ranked the list, `ranked` how many children were
    ranked for the places in `budget`, `model` the version frozen with the list.
    """
    rooms = build(_settings())
    check(rooms.database)
    table = Table("school", "date", "judge", "listed", "ranked", "budget", "model")
    with rooms.database.reading() as conn:
        for board in roster.boards(conn):
            for place in roster.schools(conn, board.id):
                if school not in (None, place.id):
                    continue
                for row in judging.lists_of_school(conn, place.id):
                    table.add_row(
                        place.name,
                        row.list_date.isoformat(),
                        row.judge,
                        str(len(judging.entries(conn, row.id))),
                        str(row.ranked),
                        str(row.budget),
                        row.model_version[:12],
                    )
    out.print(table)


@cli.command()
def replay(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Historic data: replay.toml, students.csv, …", exists=True, file_okay=False
        ),
    ],
    target: Annotated[
        Path,
        typer.Option("--out", help="For scores.csv and report.json, .html.", file_okay=False),
    ],
    playbook: Annotated[
        Path | None,
        typer.Option(help="A playbook file for the rules.", exists=True, dir_okay=False),
    ] = None,
    without: Annotated[str | None, typer.Option(help="As if this student had never been.")] = None,
) -> None:
    """Play historic data forward in time through the service's own events, features and models.

    Nothing dated after a list date reaches that list. The format is described in docs/replay.md.
    """
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from models.replay_folder import FolderError

    columns = (
        *Progress.get_default_columns(),
        TextColumn("{task.fields[day]}"),
        TimeElapsedColumn(),
    )
    if playbook is not None:
        fit_or_exit(playbook)
    try:
        with Progress(*columns, console=err, transient=True) as progress:
            task = progress.add_task("replay", total=None, day="")

            def tell(day: date, done: int, all_days: int) -> None:
                progress.update(task, completed=done, total=all_days, day=day.isoformat())

            report = run_replay(folder, target, playbook, without, tell)
    except FolderError as error:
        err.print(str(error), markup=False)
        raise typer.Exit(2) from error
    for name in ("students", "rows", "labels_learned", "learn_cpu_s", "score_cpu_s", "wall_s"):
        out.print(f"{name}: {report[name]}")


@cli.command()
def rebuild(
    replace: Annotated[
        bool, typer.Option(help="Store what the log gives; takes children out who refused.")
    ] = False,
) -> None:
    """Derive features, models, lists, alerts and cases from the log again and compare.

    Exit status 1 when anything differs; each difference is named. Lists are compared with what this
    version would write: after an upgrade that words reasons anew, older entries' evidence differs.
    """
    rooms = build(_settings())
    check(rooms.database)
    differences = []
    with rooms.database.reading() as conn:
        boards = [row.id for row in roster.boards(conn)]
    for board in boards:
        if replace:
            rooms.trail.by(ACTOR, "rebuilt", board, board=board)
        with err.status(f"{board}: playing the log") as status:
            report = judging_rebuild.rebuild(
                rooms.log, rooms.playbooks, board, replace=replace, progress=status.update
            )
            if replace:
                alerts_rebuild.replace(rooms.log, board)
                cases_rebuild.replace(rooms.log, board)
                opinions.replace(rooms.log, board)
            told = alerts_rebuild.differences(rooms.log, board)
            told += cases_rebuild.differences(rooms.log, board)
            told += opinions.differences(rooms.log, board)
        out.print(
            f"{board}: log up to {report.position}, {report.students} students,"
            f" {report.lists} lists, {report.rows_compared} rows compared,"
            f" {report.found + len(told)} differences"
        )
        if report.beyond_proof:
            out.print(f"  {report.beyond_proof} lists are older than a deletion from the log")
        if report.pending and not report.replaced:
            out.print(f"  {report.pending} refusals or deletions wait for the night, or `removal`")
        differences += [*report.differences, *told]
    for line in differences:
        err.print(f"differs: {line}", markup=False)
    if not differences:
        out.print("Rebuilt from the log: everything is equal.")
    raise typer.Exit(1 if differences else 0)


@cli.command()
def verify(
    head: Annotated[
        str, typer.Option(help="The trail's head as `verify` or `backup` told it earlier.")
    ] = "",
) -> None:
    """Check that every event can be read and that the audit trail is as it was written.

    Names each row that was changed, is missing or cannot be read. Exit status 1 when there is one.
    Prints the trail's head at the end: keep it away from this machine, and a later `--head` shows
    that nobody has put the whole trail back to an earlier state. Needs the secret keys, old ones
    too. Whether lists and models follow from the log is for `rebuild` to say.
    """
    settings = _settings()
    database = Database(settings.sqlalchemy_url)
    try:
        keys = TrailKeys(settings)
    except ValueError as error:
        err.print(str(error), markup=False)
        raise typer.Exit(2) from error
    found = upkeep.verify(database, keys, head)
    for line in found:
        err.print(line, markup=False)
    if not found:
        out.print("The log can be read from end to end and the audit trail is whole.")
    with database.reading() as conn:
        last = audit.head(conn)
    out.print(f"head of the trail: {last or 'none yet'}", markup=False, highlight=False)
    database.close()
    raise typer.Exit(1 if found else 0)


@cli.command(name="file-register")
def file_register(
    board: Annotated[str, typer.Option(help="The board's id.")],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for both files.")] = Path(),
    section: Annotated[str, typer.Option(help="The section in charge, e.g. 学校教育課.")] = "",
    address: Annotated[str, typer.Option(help="Where requests are received.")] = "",
) -> None:
    """Fill in the statutory register of the file (個人情報ファイル簿): HTML to print, and CSV.

    From the catalogue and the board's playbook. What only the board knows is asked for in its line.
    """
    rooms = build(_settings())
    check(rooms.database)
    with rooms.database.reading() as conn:
        row = roster.board(conn, board)
        count = register.people(conn, board)
    playbook = None if row is None else rooms.playbooks.of(board)
    rooms.database.close()
    if playbook is None or row is None:
        raise typer.BadParameter(f"no board '{board}' here")
    office = register.Office(section=section, address=address)
    lines = register.fill(row.name, playbook, count, office)
    out_dir.mkdir(parents=True, exist_ok=True)
    page, table = out_dir / "file-register.html", out_dir / "file-register.csv"
    page.write_text(register.to_html(lines, row.name, rooms.clock.today()), "utf-8")
    table.write_bytes(register.to_csv(lines))
    out.print(f"Written: {page}, {table}", markup=False)


def main() -> None:
    """Entry point: known failures are one line and status 1, not a traceback."""
    try:
        cli()
    except BrokenPipeError:
        os._exit(1)
    except StorageUnavailable as error:
        err.print(f"The database is gone, busy or full ({error}). Try again later.")
        sys.exit(1)
    except (
        OSError,
        SchemaNotCurrent,
        upkeep.BackupError,
        judging_rebuild.StillRunning,
    ) as error:
        err.print(f"{type(error).__name__}: {error}", markup=False)
        sys.exit(1)
