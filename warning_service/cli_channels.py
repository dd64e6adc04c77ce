"""The commands about channels: which there are, whom they tell, and whether a message arrives.

Part of `kizashi` (cli.py puts them in). `test` without a route asks the service itself, now, and
says what it answered, for whoever is setting a channel up; with `--queue` it goes the way an alert
goes and waits for the sender (`up` or `work`) to have dealt with it. Nothing is retried here.
"""

from __future__ import annotations

import base64
import secrets
import threading
from typing import Annotated

import typer
from rich.table import Column, Table

from connectors.messaging.registry import Kind, kinds
from connectors.messaging.web_push import new_private_key
from warning_service.access.trail.audit import Look
from warning_service.alerts.messages import TEST, Message, NotDelivered, RateLimited
from warning_service.alerts.routes import Route, Trial, Unfit
from warning_service.app import build
from warning_service.clock import JAPAN, monotonic
from warning_service.console import err, out, settings_or_exit
from warning_service.events.types import new_id
from warning_service.migrate import check
from warning_service.rooms import Rooms
from warning_service.roster import queries as roster

channel = typer.Typer(no_args_is_help=True, help="Chat, mail, push, webhooks: set up and try.")
ACTOR = "system:cli"
PATIENCE_SECONDS = 60.0

Name = Annotated[str, typer.Argument(help="The channel, e.g. teams; `channel list` names all.")]
Board = Annotated[str, typer.Option(help="The board's id; only needed where there are several.")]
Place = Annotated[str, typer.Argument(help="Id of a class, school:grade, school or board.")]
Duty = Annotated[str, typer.Argument(help="The duty, e.g. nurse, homeroom, management.")]


def _rooms() -> Rooms:
    rooms = build(settings_or_exit())
    check(rooms.database)
    return rooms


def _kind(name: str) -> Kind:
    found = kinds().get(name)
    if found is None:
        raise typer.BadParameter(f"'{name}' is none of: {', '.join(kinds())}")
    return found


def _board(rooms: Rooms, board: str) -> str:
    with rooms.database.reading() as conn:
        known = [row.id for row in roster.boards(conn)]
    if board in known:
        return board
    if not board and len(known) == 1:
        return str(known[0])
    raise typer.BadParameter(f"--board is one of: {', '.join(known) or 'none yet'}")


@channel.command(name="list")
def list_channels() -> None:
    """Which channels there are, and which of them the settings have."""
    rooms = _rooms()
    table = Table("channel", "set up", "changes its messages", "addresses")
    for name, kind in kinds().items():
        try:
            there = kind.connect(rooms)
            state = "yes" if there else "no"
        except ValueError as error:
            there, state = None, f"not usable: {error}"
        changes = "" if there is None else "yes" if there.can_update else "no, adds one"
        addresses = ", ".join(kind.choices(rooms.settings)) or kind.hint_en
        table.add_row(name, state, changes, addresses)
    out.print(table)
    rooms.database.close()


@channel.command()
def test(
    name: Name,
    address: Annotated[str, typer.Argument(help="Where to, as a route would say it.")],
    queue: Annotated[
        bool, typer.Option("--queue", help="The way an alert goes; needs a route and a sender.")
    ] = False,
) -> None:
    """Send one message that says it is a trial, and say what became of it.

    Exit status 1 when the channel did not take it; the reason is a short code that the channel's
    guide (docs/channels) explains.
    """
    rooms, kind = _rooms(), _kind(name)
    if not kind.fits(rooms.settings, address):
        raise typer.BadParameter(f"not an address of {name}: {kind.hint_en}")
    code = _queued(rooms, name, address) if queue else _straight(rooms, kind, address)
    rooms.database.close()
    raise typer.Exit(code)


def _straight(rooms: Rooms, kind: Kind, address: str) -> int:
    try:
        there = kind.connect(rooms)
    except ValueError as error:
        err.print(f"The settings of {kind.name} are not usable: {error}", markup=False)
        return 2
    if there is None:
        err.print(f"The settings have nothing about {kind.name}.")
        return 2
    made = new_id()
    message = Message(
        address=address, alert_id=made, kind=TEST, urgent=False, state="open", class_name="",
        link=f"{rooms.settings.public_url.rstrip('/')}/portal/channels", delivery=made,
    )  # fmt: skip
    try:
        there.send(message)
    except RateLimited as error:
        err.print(f"Not taken: asked to wait {error.seconds:.0f} s.")
        return 1
    except NotDelivered as error:
        err.print(f"Not taken: {error.why}", markup=False, highlight=False)
        return 1
    out.print(f"Taken by {kind.name}: #{message.reference}", markup=False, highlight=False)
    return 0


def _queued(rooms: Rooms, name: str, address: str) -> int:
    with rooms.database.reading() as conn:
        boards = [str(row.id) for row in roster.boards(conn)]
    found = [
        (board, route)
        for board in boards
        for route in rooms.routes.of_board(board)
        if (route.channel, route.address) == (name, address)
    ]
    if not found:
        err.print("No route has that address; `kizashi channel route` makes one.")
        return 2
    board, route = found[0]
    line = _line(board, "route_tried", route.place, f"{route.duty} {name}")
    trial = rooms.routes.owe_trial(route.place, route.duty, name, line)
    begin = monotonic()
    while (seen := rooms.routes.trial(trial)) is not None and not _over(seen):
        if monotonic() - begin > PATIENCE_SECONDS:
            err.print(f"Still waiting after {PATIENCE_SECONDS:.0f} s: does `up` or `work` run?")
            return 1
        threading.Event().wait(0.1)
    if seen is None or seen.state != "sent":
        err.print(f"Not taken: {seen.why if seen else 'gone'}", markup=False, highlight=False)
        return 1
    out.print(f"Taken by {name}: #{trial[:8]}", markup=False, highlight=False)
    return 0


def _over(trial: Trial) -> bool:
    return trial.state != "waiting" or trial.attempts > 0


@channel.command()
def routes(board: Board = "") -> None:
    """Whom each channel tells, where, and how the last messages went."""
    rooms = _rooms()
    found = rooms.routes.of_board(_board(rooms, board))
    # An address is copied from here: whatever else has to wrap on a narrow screen, it does not.
    address = Column("address", min_width=max((len(one.address) for one in found), default=0))
    table = Table("place", "duty", "turn", "channel", address, "last taken", "not taken")
    for one in found:
        took = "" if one.took_at is None else f"{one.took_at.astimezone(JAPAN):%Y-%m-%d %H:%M}"
        table.add_row(
            one.place, one.duty, str(one.priority), one.channel, one.address, took, one.why
        )
    out.print(table)
    rooms.database.close()


@channel.command()
def route(
    name: Name,
    address: Annotated[str, typer.Argument(help="Where to; `channel list` says what it is.")],
    place: Place,
    duty: Duty,
    *,
    turn: Annotated[int, typer.Option(help="1: at once; 2: when 1 could not be told.")] = 1,
    board: Board = "",
) -> None:
    """Tell a duty at a place through a channel. A route that is there gets the new address."""
    rooms, kind = _rooms(), _kind(name)
    wanted = Route(place=place, duty=duty, channel=name, address=address, priority=turn)
    if not kind.fits(rooms.settings, address):
        raise typer.BadParameter(f"not an address of {name}: {kind.hint_en}")
    line = _line(_board(rooms, board), "route_set", place, f"{duty} {name}")
    try:
        before = rooms.routes.put(wanted, line)
    except Unfit as error:
        err.print(f"not set: {error.key}")
        raise typer.Exit(2) from error
    finally:
        rooms.database.close()
    said = "" if before is None else f" It was: {before.address}"
    out.print(f"Set.{said}", markup=False, highlight=False)


@channel.command()
def unroute(name: Name, place: Place, duty: Duty, board: Board = "") -> None:
    """Take a route off; prints the command that puts it back."""
    rooms = _rooms()
    line = _line(_board(rooms, board), "route_removed", place, f"{duty} {name}")
    try:
        was = rooms.routes.remove(place, duty, name, line)
    except Unfit as error:
        err.print("There is no such route.")
        raise typer.Exit(1) from error
    finally:
        rooms.database.close()
    again = f"kizashi channel route {name} {was.address} {place} {duty} --turn {was.priority}"
    out.print(f"Taken off. Back with: {again}", markup=False, highlight=False, soft_wrap=True)


@channel.command(name="new-key")
def new_key() -> None:
    """Print a new key for signing webhooks, to be put first in `keys` and given to the receiver."""
    made = base64.b64encode(secrets.token_bytes(32)).decode()
    out.print(f"whsec_{made}", markup=False, highlight=False, soft_wrap=True)


@channel.command(name="new-push-key")
def new_push_key() -> None:
    """Print a new key for `web_push.private_key`. With another key all devices begin anew."""
    out.print(new_private_key(), markup=False, highlight=False, soft_wrap=True)


def _line(board: str, action: str, place: str, detail: str) -> Look:
    # Not the address: one of mail can name a person.
    return Look(board=board, actor=ACTOR, action=action, subject=place, detail=detail)
