"""The commands that keep: back up and restore, and what may be kept no longer.

Part of `kizashi` (cli.py puts them in). Nothing here decides anything: the work is in upkeep.py and
`warning_service/keeping`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from warning_service import upkeep
from warning_service.access import retention as rules
from warning_service.access.trail.audit import Trail, TrailKeys
from warning_service.app import build
from warning_service.clock import Clock
from warning_service.console import err, out, settings_or_exit
from warning_service.database import Database, RowSecurityMissing
from warning_service.judging.deriving.removal import Removal
from warning_service.keeping import backups, tombstones
from warning_service.keeping.sweep import Line, Retention
from warning_service.migrate import check, migrate
from warning_service.roster import queries
from warning_service.settings import Settings

keeping = typer.Typer()
Days = Annotated[int, typer.Option("--keep-days", min=1, help="How old a backup may be.")]


ACTOR = "system:cli"


def _trail(settings: Settings, database: Database, clock: Clock) -> Trail | None:
    """The trail for a command that can do without the installation's keys."""
    return Trail(database, clock, TrailKeys(settings)) if settings.secret_keys else None


def _destroy(late: list[backups.Archive], trail: Trail | None) -> None:
    if late and trail is not None:
        trail.by(ACTOR, "backups_destroyed", "all", board="", detail=str(len(late)))
    backups.destroy(late)


def _clocks(settings: Settings) -> dict[str, rules.Clock]:
    try:
        return rules.clocks(settings.data_dir)
    except ValueError as error:
        err.print(f"{rules.OWN_FILE} is not fit: {error}", markup=False)
        raise typer.Exit(2) from error


@keeping.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The archive to write.")],
    keep_days: Annotated[
        int | None,
        typer.Option(min=1, help="Then destroy backups beside it that are older."),
    ] = None,
) -> None:
    """Write one consistent archive while the service runs. It holds no secret keys.

    It does hold names: keep it where you keep the register, and the keys somewhere else. Without
    the keys what children wrote stays sealed. PostgreSQL needs `pg_dump` of its own version.
    Names each backup in the same folder that is too old; with --keep-days it destroys them.
    """
    settings, clock = settings_or_exit(), Clock()
    database = Database(settings.sqlalchemy_url)
    manifest = upkeep.back_up(database, target, clock)
    # Dated after the archive, or `restore` could not know that the list covers it.
    tombstones.write(database, settings.data_dir / tombstones.FILE, clock.now(), dated=True)
    trail = _trail(settings, database, clock)
    if trail is not None:
        trail.by(ACTOR, "backup", "all", board="", detail=manifest.trail)
    out.print(f"{target}: log up to {manifest.head}, schema {manifest.schema}")
    out.print(f"head of the audit trail: {manifest.trail or 'none yet'}", highlight=False)
    late = backups.old(target.parent, clock.now(), keep_days or backups.LONGEST_DAYS)
    if keep_days is not None:
        _destroy(late, trail)
    for one in late:
        said = "destroyed" if keep_days is not None else "too old, destroy it"
        err.print(f"{one.path}: of {one.made_at.date()}, {said}", markup=False)


@keeping.command(name="backups")
def backups_command(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    keep_days: Days = backups.LONGEST_DAYS,
    destroy: Annotated[bool, typer.Option(help="Destroy those that are too old.")] = False,
) -> None:
    """Check the age of the backups in a folder. Exit status 1 when one is too old and still there.

    A backup holds what retention deletes and families refused: it must not outlive its use.
    Destroying stands on the trail, so it needs the service's database; checking does not.
    """
    clock = Clock()
    late = backups.old(folder, clock.now(), keep_days)
    if destroy and late:
        settings = settings_or_exit()
        database = Database(settings.sqlalchemy_url)
        check(database)
        _destroy(late, _trail(settings, database, clock))
        database.close()
    for one in late:
        said = "destroyed" if destroy else "too old"
        err.print(f"{one.path}: of {one.made_at.date()}, {said}", markup=False)
    left = backups.archives(folder)
    out.print(f"{len(left)} backups, {0 if destroy else len(late)} older than {keep_days} days")
    raise typer.Exit(1 if late and not destroy else 0)


@keeping.command()
def restore(
    source: Annotated[Path, typer.Argument(help="An archive of `backup`.")],
    removals: Annotated[
        Path | None, typer.Option(help="The list of removals; else the data folder's.")
    ] = None,
    without_removals: Annotated[
        bool, typer.Option(help="The list is lost: refusals since then will be in force no more.")
    ] = False,
) -> None:
    """Put an archive into an empty database, after checking every hash in it, and bring it to now.

    Who refused, was erased or shut out after the archive was made is in the list of removals, which
    is not in the archive; without it nothing is restored. Then the schema is migrated, ways in that
    were closed since are closed again, sessions and invitations end, refusals and erasures are done
    again, what the clocks say is deleted, and the models are derived without all that.
    Needs the secret keys of then. Prove it with `verify` and `rebuild`.
    """
    settings = settings_or_exit()
    file = removals or settings.data_dir / tombstones.FILE
    known = None
    made_at = datetime.fromisoformat(backups.manifest_of(source).made_at)
    if not without_removals:
        try:
            known = tombstones.fitting(file, made_at)
        except tombstones.NoRemovals as error:
            err.print(f"not restored: {error}", markup=False)
            err.print("Give the list with --removals, or go on with --without-removals and record")
            err.print(f"by hand every refusal and erasure since {made_at.date()}, and go through")
            err.print("accounts, duties, factors and children's cards: none ended since is ended.")
            raise typer.Exit(2) from error
    clocks = _clocks(settings)
    database = Database(settings.sqlalchemy_url, row_security=settings.row_security)
    manifest = upkeep.restore(database, source)
    try:
        migrate(database)
    except RowSecurityMissing as error:
        err.print(str(error), markup=False)
        raise typer.Exit(2) from error
    database.close()
    rooms = build(settings)
    mended = backups.mend(rooms.log, rooms.trail, rooms.playbooks, clocks, known)
    out.print(f"restored: log up to {manifest.head}, made {manifest.made_at}")
    if mended.applied is not None:
        told = mended.applied
        out.print(f"done again: {told.refused} refusals, {told.erased} erasures")
        if told.taken_back:
            out.print(
                f"{told.taken_back} refusals of the archive had been taken back since:"
                " they are in force until the family says so again"
            )
    shut = mended.shut
    out.print(
        f"ended, not known to be in force: {shut.accounts} accounts, {shut.duties} duties,"
        f" {shut.passwords} passwords, {shut.factors} second factors and codes,"
        f" {shut.linked} linked accounts, {shut.class_cards} class cards,"
        f" {shut.secrets} children's secrets"
    )
    out.print(
        f"{shut.sessions} sessions ended, invitations from before are void. Who has no password"
        " now needs an invitation; print cards where they were stopped"
    )
    _tell(mended.deleted, clocks, "deleted")
    if mended.derived:
        out.print(f"models derived again: {', '.join(mended.derived)}", markup=False)


@keeping.command()
def retention(
    dry_run: Annotated[bool, typer.Option(help="Only say what would go.")] = False,
) -> None:
    """Delete what has been kept as long as its clock says. The schedule does so every night.

    Says for each kind how much, and of which days. The clocks with their reasons are in
    `warning_service/access/retention.toml`; a `retention.toml` in the data folder replaces single
    ones. Models are derived again from what is left in the following night, or by `removal`.
    """
    settings = settings_or_exit()
    clocks = _clocks(settings)
    rooms = build(settings)
    check(rooms.database)
    work = Retention(rooms.log, rooms.trail, clocks)
    _tell(work.due() if dry_run else work.run(), clocks, "due" if dry_run else "deleted")


def _tell(lines: Sequence[Line], clocks: dict[str, rules.Clock], what: str) -> None:
    if not lines:
        out.print(f"nothing {what}")
        return
    table = Table("kind", "what", "board", what, "oldest", "newest", "kept from")
    for line in lines:
        days = [day.isoformat() if day else "" for day in (line.oldest, line.newest, line.before)]
        table.add_row(line.kind, clocks[line.kind].en, line.board, str(line.rows), *days)
    out.print(table)


@keeping.command()
def removal(
    force: Annotated[bool, typer.Option(help="Derive again though nothing asks for it.")] = False,
) -> None:
    """Take out of the models now what families refused and retention deleted; else at night.

    The worker may go on: it uses the old models until the new ones are in their place.
    """
    rooms = build(settings_or_exit())
    check(rooms.database)
    with rooms.database.reading() as conn:
        boards = [row.id for row in queries.boards(conn)]
    for board in boards:
        work = Removal(rooms.log, rooms.playbooks, board)
        due = work.due()
        if due or force:
            rooms.trail.by(ACTOR, "removal", board, board=board)
            work.run()
        out.print(f"{board}: {'derived again' if due or force else 'nothing to remove'}")


@keeping.command()
def removals(
    target: Annotated[Path | None, typer.Argument(help="Else the data folder's.")] = None,
) -> None:
    """Write the list of removals that `restore` needs: refusals, erasures, who may come in.

    The schedule keeps it in the data folder; keep a copy where the backups are not.
    """
    settings = settings_or_exit()
    rooms = build(settings)
    check(rooms.database)
    file = target or settings.data_dir / tombstones.FILE
    tombstones.write(rooms.database, file, Clock().now())
    found = tombstones.read(file)
    out.print(f"{file}: {len(found.refusals)} refusals, {len(found.erased)} erasures", markup=False)
