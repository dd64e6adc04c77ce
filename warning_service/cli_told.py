"""The commands that try who would be told: `told` for a class and a moment, `gaps` for a board.

Part of `kizashi` (cli.py puts them in). They show duties, how many people are behind them and by
which channels; never names, because whoever runs a server need not know who teaches where. Nothing
is stored and nobody is told.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.table import Column, Table

from warning_service.alerts.gaps import GRAVE
from warning_service.alerts.telling import Place
from warning_service.alerts.who_is_told import Reaching
from warning_service.app import build
from warning_service.clock import JAPAN
from warning_service.console import err, out, settings_or_exit
from warning_service.migrate import check
from warning_service.playbooks.kinds import Kinds
from warning_service.rooms import Rooms
from warning_service.roster import queries

telling = typer.Typer()


def _rooms() -> Rooms:
    rooms = build(settings_or_exit())
    check(rooms.database)
    return rooms


@telling.command()
def told(
    class_id: Annotated[str, typer.Argument(metavar="CLASS", help="Id of the child's class.")],
    at: Annotated[
        str, typer.Option(help="The moment in Japan, such as '2026-08-05 20:30'; default: now.")
    ] = "",
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(Kinds.model_fields)}.")] = (
        "consultation"
    ),
) -> None:
    """Show who would be told when of an alert about a child of a class, if nobody answered."""
    rooms = _rooms()
    try:
        moment = datetime.fromisoformat(at) if at else rooms.clock.now().astimezone(JAPAN)
    except ValueError as error:
        err.print("--at: no such moment", markup=False)
        raise typer.Exit(2) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=JAPAN)
    if kind not in Kinds.model_fields:
        err.print(f"--kind: one of {', '.join(Kinds.model_fields)}", markup=False)
        raise typer.Exit(2)
    with rooms.database.reading() as conn:
        room = queries.school_class(conn, class_id)
        board = None if room is None else queries.board_of_school(conn, room.school)
    if room is None or board is None:
        err.print("no such class", markup=False)
        raise typer.Exit(1)
    # Whatever else wraps on a narrow screen, a moment is read in one piece.
    moments = (Column(name, no_wrap=True, min_width=16) for name in ("at", "until"))
    table = Table("step", *moments, "duty", "people", "channels")
    for step in rooms.who_is_told.of_class(
        board, Place(room.school, room.id), kind=kind, at=moment
    ):
        number = f"{step.number + 1}{' again' if step.again else ''}"
        began, due = _when(step.at), _when(step.due_at)
        if step.passed_over:
            began = "passed over"
        for duty in step.duties:
            table.add_row(
                number, began, due, duty.duty + (" (on duty)" if duty.beside else ""),
                _people(duty), ", ".join(duty.channels),
            )  # fmt: skip
            number = began = due = ""
    out.print(table)


def _when(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(JAPAN):%Y-%m-%d %H:%M}"


def _people(duty: Reaching) -> str:
    words = {"away": "all away", "nobody": "nobody", "route": "a channel only"}
    said = words.get(duty.how, str(len(duty.people)))
    return f"{said} ({len(duty.away)} away)" if duty.away and duty.people else said


@telling.command()
def gaps(
    board: Annotated[str, typer.Argument(help="Id of the board.")],
) -> None:
    """List where an alert would reach nobody in the next fortnight; exit code 1 when grave."""
    rooms = _rooms()
    try:
        found = rooms.gaps.gaps(board)
    except KeyError as error:
        err.print("no such board", markup=False)
        raise typer.Exit(2) from error
    table = Table("school", "gap", "place", "duty", "first", "last", "days")
    for gap in found:
        table.add_row(
            gap.school, gap.kind, gap.place, gap.duty,
            gap.first.isoformat(), gap.last.isoformat(), str(gap.days),
        )  # fmt: skip
    out.print(table if found else "no gaps")
    if any(gap.kind in GRAVE for gap in found):
        raise typer.Exit(1)
