"""The commands about playbooks: check a file, and try it on the board's own past.

Part of `kizashi` (cli.py puts them in). `check` needs no installation. `try` shows counts, small
ones hidden as on the board's pages, never a name; it is on the audit trail as a use of the board's
data. Neither puts a playbook into force: that is done by whoever puts the file into
`<data_dir>/playbooks/` and starts the service again.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table

from teacher_portal.playbook_figures import Side, View, view_of
from teacher_portal.suppression import Cell
from warning_service.app import build
from warning_service.console import err, out, settings_or_exit
from warning_service.judging.trying.counts import Tried
from warning_service.judging.trying.play import Cancelled, try_playbook
from warning_service.migrate import check as check_schema
from warning_service.playbooks.checking.check import Checked, Problem, check
from warning_service.playbooks.model import Playbook, shipped
from warning_service.playbooks.reading import MOST_TEXT
from warning_service.rooms import Rooms
from warning_service.roster import queries as roster

playbook = typer.Typer(no_args_is_help=True, help="A board's way of working: check it, try it.")
ACTOR = "system:cli"

File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="A playbook file (TOML)."),
]


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            # What is longer than any playbook is refused by its first part; a disk's whole image
            # need not be read for that. A cut letter at the end is no mistake of the file's.
            head = opened.read(4 * MOST_TEXT + 4)
        return head.decode() if len(head) <= 4 * MOST_TEXT else head.decode(errors="replace")
    except OSError as error:
        ja, en = "読めません", "cannot be read"
        if isinstance(error, FileNotFoundError):
            ja, en = "このファイルはありません", "there is no such file"
        elif isinstance(error, IsADirectoryError):
            ja, en = "ファイルではなくフォルダです", "is a folder, not a file"
        err.print(f"{file.name or file}: {ja} / {en}", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        err.print(
            f"{file.name}:{line}: 誤り error UTF-8\n    UTF-8で保存してください\n"
            "    must be saved as UTF-8",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
        raise typer.Exit(1) from error


def fit_or_exit(file: Path) -> None:
    """Go on only with a playbook that is fit for use; say what is wrong with another, by line."""
    found = check(_text(file), None)
    if found.playbook is None:
        _say(file, found)
        raise typer.Exit(2)


def _say(file: Path, found: Checked) -> None:
    for one in found.problems:
        _line(file, one)
    many = f"{len(found.errors)} errors, {len(found.warnings)} warnings"
    if found.errors:
        err.print(f"{file.name}: 使えません / not fit for use ({many})", markup=False)
    else:
        out.print(f"{file.name}: 使えます / fit for use ({many})", markup=False)


def _line(file: Path, one: Problem) -> None:
    """`file:line:column: error field: words`, as editors can follow."""
    place = "".join(f":{part}" for part in (one.line, one.column) if part is not None)
    kind = "[bold red]誤り error[/]" if one.grave else "[yellow]注意 warning[/]"
    printer = err if one.grave else out
    # A key may hold whatever its file put there, also what would steer a terminal.
    field = "".join(mark if mark.isprintable() else "?" for mark in one.field)
    printer.print(f"{escape(file.name + place)}: {kind} [bold]{escape(field)}[/]",
                  highlight=False, soft_wrap=True)  # fmt: skip
    printer.print(f"    {one.ja}\n    {one.en}", markup=False, highlight=False, soft_wrap=True)


@playbook.command(name="check")
def check_command(
    file: File,
    replaces: Annotated[
        str, typer.Option(help="Id of a shipped playbook it is to replace, for comparison.")
    ] = "",
) -> None:
    """Check a playbook file; name line and field of every error. Exit status 1 when it has any.

    What is allowed but odd is a warning and does not change the status.
    """
    current: Playbook | None = None
    if replaces:
        try:
            current = shipped(replaces)
        except KeyError as error:
            raise typer.BadParameter(f"no shipped playbook '{replaces}'") from error
    found = check(_text(file), current)
    _say(file, found)
    raise typer.Exit(1 if found.errors else 0)


@playbook.command(name="try")
def try_command(
    file: File,
    since: Annotated[str, typer.Option(help="First day of the lists, such as 2026-04-01.")],
    board: Annotated[str, typer.Option(help="The board's id; only needed among several.")] = "",
) -> None:
    """What would the lists since a date have been by this file, against the playbook in force?

    Plays the whole log once more; Ctrl-C ends it. Nothing is stored and nothing comes into force.
    """
    try:
        first = date.fromisoformat(since)
    except ValueError as error:
        raise typer.BadParameter("--since: no such day; write it as 2026-04-01") from error
    rooms = build(settings_or_exit())
    check_schema(rooms.database)
    board = _board(rooms, board)
    try:
        current = rooms.playbooks.of(board)
    except ValueError as error:  # its own file, changed since and not fit
        _say(Path("playbook in force"), check(rooms.playbooks.source_of(board)))
        raise typer.Exit(1) from error
    found = check(_text(file), current)
    _say(file, found)
    if found.playbook is None:
        raise typer.Exit(1)
    rooms.trail.by(ACTOR, "playbook_tried", board, board=board, detail=first.isoformat())
    result = _played(rooms, board, current, found.playbook, first)
    with rooms.database.reading() as conn:
        names = {row.id: str(row.name) for row in roster.schools(conn, board)}
    rooms.database.close()
    _show(result, view_of(result, names))


def _board(rooms: Rooms, board: str) -> str:
    with rooms.database.reading() as conn:
        known = [row.id for row in roster.boards(conn)]
    if board in known:
        return board
    if not board and len(known) == 1:
        return str(known[0])
    raise typer.BadParameter(f"--board is one of: {', '.join(known) or 'none yet'}")


def _played(rooms: Rooms, board: str, current: Playbook, tried: Playbook, since: date) -> Tried:
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[day]}"), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    try:
        with Progress(*columns, console=err, transient=True) as progress:
            task = progress.add_task("playing the log", total=None, day="")

            def tell(done: int, of: int, day: date | None) -> None:
                progress.update(
                    task, completed=done, total=of, day="" if day is None else day.isoformat()
                )

            return try_playbook(rooms.log, board, current, tried, since, progress=tell)
    except (KeyboardInterrupt, Cancelled) as error:
        rooms.database.close()
        err.print("stopped; nothing was stored", markup=False)
        raise typer.Exit(130) from error


# -- what came of it ----


def _show(result: Tried, view: View) -> None:
    out.print(
        f"{result.playbook_current}  ->  {result.playbook_tried}\n"
        f"lists from {result.since} to {result.until}, log up to {result.position};"
        f" {result.same_as_shown} of {result.shown} lists of the playbook in force are those"
        " people were shown",
        markup=False, highlight=False,
    )  # fmt: skip
    if not view.dates:
        out.print("no lists since that day, by neither of the two", markup=False)
        return
    by_date = Table("date", *_numbers_of("now", "tried", "enter", "leave"), "judges now / tried")
    for one in view.dates:
        judges = f"{one.judge_current or '-'} / {one.judge_tried or '-'}"
        by_date.add_row(
            one.on.isoformat(), *map(_cell, (one.current, one.tried, one.entering, one.leaving)),
            judges,
        )  # fmt: skip
    out.print(by_date)
    by_school = Table(
        "school",
        *_numbers_of("a month now", "tried", "minutes now", "tried", "enter", "leave"),
    )
    by_school.add_row(
        "all", *map(_number, (*view.a_month, *view.minutes)), "", "", end_section=True
    )  # fmt: skip
    for of in view.schools:
        by_school.add_row(
            of.name, _number(of.a_month[0]), _number(of.a_month[1]),
            _number(of.minutes[0]), _number(of.minutes[1]), _cell(of.entering), _cell(of.leaving),
        )  # fmt: skip
    out.print(by_school)
    right = Table(
        "outcomes known", *_numbers_of("lists", "listed", "hits", "share", "of all", "missed")
    )
    for name, side in zip(("now", "tried"), view.right, strict=True):
        right.add_row(
            name, str(side.lists), f"~{side.listed}" if side.blurred else str(side.listed),
            _cell(side.hits), _share(side),
            "-" if side.base is None else f"{side.base:.1%}", _cell(side.missed),
        )  # fmt: skip
    out.print(right)
    items = Table("item", "now", "tried", *_numbers_of("counts more, entering", "less, leaving"))
    for item in view.items:
        items.add_row(
            item.label_en, _numbers(item.was), _numbers(item.now), _cell(item.more),
            _cell(item.less),
        )  # fmt: skip
    if view.items:
        out.print(items)
    for line in view.notes:
        out.print(f"- {NOTES[line]}", markup=False)


def _numbers_of(*names: str) -> list[Column]:
    return [Column(name, justify="right") for name in names]


def _cell(cell: Cell) -> str:
    if cell.value is not None:
        return f"~{cell.value}" if cell.why == "about" else str(cell.value)
    return {"small": "1-4", "none": "-"}.get(cell.why, "withheld")


def _number(value: float | None) -> str:
    return "withheld" if value is None else f"{value:.1f}"


def _share(side: Side) -> str:
    if side.interval is None or side.hits.value is None:
        return "-" if side.at_most is None else f"at most {side.at_most:.1%}"
    low, high = side.interval
    return f"{side.hits.value / side.listed:.1%} ({low:.1%} to {high:.1%})"


def _numbers(values: tuple[float, float, int, float] | None) -> str:
    if values is None:
        return "not in use"
    points, at, window, coefficient = values
    if coefficient:
        return f"{coefficient:g} x, {window} days"
    return f"{points:g} from {at:g}, {window} days"


NOTES: dict[str, str] = {
    "not_looked_at": "children who enter were never looked at then, and those who leave were:"
    " support that worked makes the list that led to it look wrong",
    "other_dates": "the tried playbook makes lists on days of its own; who enters or leaves is"
    " counted over the whole time, by school",
    "own_outcome": "it is measured by the outcome of the playbook in force; the tried one names"
    " another",
    "shortened": "rows were deleted from the log meanwhile: early lists lack them, on both sides",
    "excluded": "children whose families refuse by now are in neither side's lists",
    "blurred": "numbers of the tried side go in steps of five (~): comparing tries tells of no"
    " single child; the same children always give the same number",
    "small": "counts of 1 to 4 children are hidden, and others where they would give them away",
}
