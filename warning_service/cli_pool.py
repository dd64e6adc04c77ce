"""The commands with which boards learn together: `kizashi pool` export, combine, import, drop.

One round: every board exports, one of them combines the files for each, each imports its own. The
files go by whatever way the towns exchange files; they hold numbers of models and no record. What
is told and taken in stands on the trail. Nothing is decided here: see judging/pooling.py.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from models.pooling import NotAlike, Pool, Shared, TooFew, combine
from warning_service.app import build
from warning_service.cli_accounts import ACTOR
from warning_service.console import err, out, settings_or_exit
from warning_service.judging import pooling
from warning_service.judging.setup import Setup, from_playbook
from warning_service.migrate import check
from warning_service.rooms import Rooms

pool = typer.Typer(
    no_args_is_help=True,
    help="Learn together with other boards: numbers of models are exchanged, no record.",
)
Board = Annotated[str, typer.Option(help="The board's id.")]
Target = Annotated[Path, typer.Option("--out", help="The file to write.", dir_okay=False)]


@contextmanager
def _refusals() -> Generator[None]:
    try:
        yield
    except (pooling.NotYet, pooling.NotForUs, NotAlike, TooFew) as error:
        err.print(str(error), markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


def _keys() -> list[str]:
    return [key.get_secret_value() for key in settings_or_exit().pool_keys]


def _board(name: str) -> tuple[Rooms, Setup]:
    rooms = build(settings_or_exit())
    check(rooms.database)
    try:
        return rooms, from_playbook(rooms.playbooks.of(name))
    except KeyError as error:
        raise typer.BadParameter(f"no board '{name}' here, or it has no playbook") from error


def _say(what: Shared | Pool) -> None:
    told = sum(weight is not None for weight in what.weights)
    out.print(
        f"{what.labels} labels, {what.hits} of them hits; {told} of {len(what.weights)} columns"
        f" (the others too few children carry); as of {what.made_on}",
        soft_wrap=True,
    )


@pool.command(name="export")
def export_command(board: Board, target: Target) -> None:
    """Write what this board's own model has learned to a file for the others.

    Refused while a family's refusal is not out of the model yet, and for a board that knows too
    few children. What came from others is never in it. The file can be read: look at it first.
    """
    rooms, setup = _board(board)
    with _refusals():
        with rooms.database.reading() as conn:
            told = pooling.tell(conn, board, setup, rooms.clock.today())
        data = pooling.to_file(told, _keys())
    rooms.trail.by(ACTOR, "pool_told", board, board=board, detail=f"labels {told.labels}")
    target.write_bytes(data)
    out.print(f"Written: {target}", markup=False)
    _say(told)


@pool.command(name="combine")
def combine_command(
    files: Annotated[
        list[Path], typer.Argument(help="What the boards exported.", exists=True, dir_okay=False)
    ],
    receiver: Annotated[str, typer.Option("--for", help="Id of the board that will import it.")],
    target: Target,
) -> None:
    """Average what others told, for one board; what that board told itself is left out.

    Needs two boards at least besides the one it is for, and the same items, points and outcome.
    """
    with _refusals():
        told = [pooling.from_file(file.read_bytes(), _keys()) for file in files]
        shares = [one for one in told if isinstance(one, Shared)]
        if len(shares) != len(told):
            raise NotAlike("one of the files is a combined one: only exports can be combined")
        made = combine(shares, receiver)
        target.write_bytes(pooling.to_file(made, _keys()))
    out.print(f"Written: {target}, for {receiver}, of {', '.join(made.boards)}", markup=False)
    _say(made)


@pool.command(name="import")
def import_command(
    file: Annotated[Path, typer.Argument(help="Made for this board.", exists=True, dir_okay=False)],
    board: Board,
) -> None:
    """From the next list on judge with what the others know, too.

    It is an event in the log. The own model goes on learning as before, and counts the more the
    more outcomes it has seen. Used for 400 days at most; `drop` ends it at once.
    """
    rooms, setup = _board(board)
    with _refusals():
        made = pooling.from_file(file.read_bytes(), _keys())
        if not isinstance(made, Pool):
            raise pooling.NotForUs("an export of one board: `pool combine` makes it one to import")
        note = rooms.trail.line_by(
            ACTOR, "pool_taken", board, board=board, detail=f"boards {len(made.boards)}"
        )
        pooling.take(rooms.log, board, setup, made, ACTOR, note=note)
    out.print(f"{board}: judges with {', '.join(made.boards)} from here on", markup=False)
    _say(made)


@pool.command(name="drop")
def drop_command(board: Board) -> None:
    """Judge alone again, from the next list on."""
    rooms, _ = _board(board)
    note = rooms.trail.line_by(ACTOR, "pool_dropped", board, board=board)
    if pooling.drop(rooms.log, board, ACTOR, note=note):
        out.print(f"{board}: judges alone from here on", markup=False)
    else:
        out.print(f"{board}: judges alone already", markup=False)
