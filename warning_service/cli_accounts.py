"""The commands about how people sign in: a board's first, invitations, lost phones, a new key.

Part of `kizashi` (cli.py puts them in), for the first account of an installation and for when the
people who do this on pages cannot sign in themselves. Each stands on the trail, together with what
it does or before it.
"""

from __future__ import annotations

from typing import Annotated

import typer

from teacher_portal.invitation import invitation_address
from warning_service.access.doors import setting_up
from warning_service.access.doors.passwords import INVITATION_SECONDS, WeakPassword
from warning_service.access.doors.pictures import PICTURES, PICTURES_OF_SECRETS
from warning_service.access.trail import audit
from warning_service.access.trail.audit import Look
from warning_service.app import build
from warning_service.console import err, out, settings_or_exit
from warning_service.migrate import check
from warning_service.rooms import Rooms

accounts = typer.Typer()
ACTOR = "system:cli"
Login = Annotated[str, typer.Argument(help="The login in the staff file.")]


def _find(login: str) -> tuple[Rooms, str, str]:
    rooms = build(settings_or_exit())
    check(rooms.database)
    found = rooms.passwords.find(login)
    if found is None:
        err.print("Nobody who works here has that login.")
        raise typer.Exit(1)
    return rooms, *found


@accounts.command()
def invite(login: Login) -> None:
    """Print a link with which one member of staff sets a password, once, within three days.

    Hand it to the person alone: whoever opens it first has the account.
    """
    rooms, staff, board = _find(login)
    token = rooms.passwords.invite(staff)
    rooms.trail.by(ACTOR, "invited", staff, board=board)
    out.print(invitation_address(rooms, token), markup=False, highlight=False, soft_wrap=True)
    out.print(f"Good for {INVITATION_SECONDS // 3600} hours.")


@accounts.command(name="forget-factors")
def forget_factors(login: Login) -> None:
    """Forget somebody's app, passkeys and recovery codes (a lost phone), and end the sessions.

    Make sure who is asking. The next sign-in with the password sets up a new factor.
    """
    rooms, staff, board = _find(login)
    note = rooms.trail.line_by(ACTOR, "factor_removed", staff, board=board, detail="all")
    with rooms.database.writing() as conn:
        rooms.factors.remove_all(conn, staff)
        ended, _ = rooms.sessions.end_within(conn, staff)
        note(conn)
    out.print(f"Forgotten; {ended} sessions ended.")


@accounts.command(name="add-board")
def add_board(
    board: Annotated[str, typer.Argument(help="Its id, letters and digits.")],
    name: Annotated[str, typer.Option(help="Its name, as pages show it.")],
    playbook: Annotated[str, typer.Option(help="The shipped playbook.")] = "nishinomiya",
) -> None:
    """Add an education board. Then import its schools, roster and staff."""
    rooms = build(settings_or_exit())
    check(rooms.database)
    try:
        added = setting_up.add_board(
            rooms.database, rooms.trail, board, name, playbook, actor=ACTOR
        )
    except (KeyError, ValueError) as error:
        err.print(f"not added: {error}", markup=False)
        raise typer.Exit(2) from error
    out.print("Added." if added else "There is a board of that id already; nothing changed.")


@accounts.command()
def password(login: Annotated[str, typer.Argument(help="The login in the staff file.")]) -> None:
    """Give a member of staff a password; it is asked for and never shown."""
    rooms, staff, _ = _find(login)
    given = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    try:  # whoever was in with the old one is out
        rooms.passwords.change(staff, given, actor=ACTOR, action="set_password")
    except WeakPassword as error:
        err.print(str(error), markup=False)
        raise typer.Exit(2) from error
    out.print("Set.")


@accounts.command()
def cards(class_code: Annotated[str, typer.Argument(help="The digits of the class.")]) -> None:
    """Give every child of a class that has none its three pictures (or digits); print them once.

    Cut the lines apart and hand each child its own; only keyed hashes are kept.
    """
    rooms = build(settings_or_exit())
    check(rooms.database)
    made = setting_up.make_cards(
        rooms.database, rooms.sealer, rooms.playbooks, class_code, PICTURES_OF_SECRETS,
        trail=rooms.trail, actor=ACTOR,
    )  # fmt: skip
    if not made:
        out.print("No child of a class with that code is without pictures.")
        return
    for one in made:
        shown = "・".join(PICTURES[part][0] if part in PICTURES else part for part in one.parts)
        out.print(f"{class_code}  {one.seat}番  {shown}", markup=False, highlight=False)


@accounts.command()
def rewrap() -> None:
    """Wrap all sealed keys with the newest of `secret_keys`, so that an older one can go.

    Put the new key first, restart all processes, run this. It says where each older key goes then:
    rows of the audit trail cannot be sealed anew, so their key stays known in `trail_keys`.
    """
    rooms = build(settings_or_exit())
    check(rooms.database)
    with rooms.database.writing() as conn:
        last = audit.seal_anew(conn, rooms.trail.keys)
        rooms.trail.write(
            conn, [Look(board="", actor=ACTOR, action="keys_rewrapped", subject="all")]
        )
    children, staff = rooms.sealer.rewrap_all(), rooms.factors.rewrap_all()
    out.print(f"Wrapped anew: keys of {children} children and {staff} members of staff.")
    older = len(rooms.settings.secret_keys) - 1
    if not older:
        return
    out.print(f"Now take every key of secret_keys but the first ({older}) out of it,")
    if last:
        out.print(
            "put them into trail_keys (also those that leaked: they only prove), and restart."
            f" Rows of the audit trail up to number {last} are proved with them"
        )
        out.print("until retention has taken the last such row; then `rewrap` no longer says so.")
    else:
        out.print("and restart. No row of the audit trail needs them.")
