"""The commands about how people sign in: invitations, lost phones, a new installation key.

Part of `kizashi` (cli.py puts them in), for the first account of an installation and for when the
people who do this on pages cannot sign in themselves. Each stands on the trail.
"""

from __future__ import annotations

from typing import Annotated

import typer

from teacher_portal.invitation import invitation_address
from warning_service.access.doors.passwords import INVITATION_SECONDS
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
    rooms.factors.remove_all(staff)
    ended = rooms.sessions.end_all(staff)
    rooms.trail.by(ACTOR, "factor_removed", staff, board=board, detail="all")
    out.print(f"Forgotten; {ended} sessions ended.")


@accounts.command()
def rewrap() -> None:
    """Wrap all sealed keys with the newest of `secret_keys`, so that an older one can be dropped.

    Put the new key first, restart all processes, run this, then take the old key out and restart.
    """
    rooms = build(settings_or_exit())
    check(rooms.database)
    children, staff = rooms.sealer.rewrap_all(), rooms.factors.rewrap_all()
    out.print(f"Wrapped anew: keys of {children} children and {staff} members of staff.")
