"""What a page may ask for: the built rooms of a running installation, by name.

Only `app.py` fills one; pages, connectors and commands take what they need from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from warning_service.access.covering import Covering
from warning_service.access.doors.accounts import Accounts
from warning_service.access.doors.cards import Cards
from warning_service.access.doors.child import ChildSignIn
from warning_service.access.doors.confirming import Confirming
from warning_service.access.doors.identities import Identities
from warning_service.access.doors.passkeys import Passkeys
from warning_service.access.doors.passwords import Passwords
from warning_service.access.doors.second_factors import SecondFactors
from warning_service.access.doors.sessions import Sessions
from warning_service.access.doors.staff import StaffSignIn
from warning_service.access.doors.tokens import Tokens
from warning_service.access.gateway import Gateway
from warning_service.access.sealing import Sealer
from warning_service.access.trail.audit import Trail
from warning_service.alerts.gap_watch import GapWatch
from warning_service.alerts.notices import Notices
from warning_service.alerts.routes import Routes
from warning_service.alerts.service import Alerts
from warning_service.alerts.who_is_told import WhoIsTold
from warning_service.clock import Clock
from warning_service.database import Database
from warning_service.events.intake import Intake
from warning_service.events.log import Log
from warning_service.follow_up.digests import Digests
from warning_service.follow_up.evaluating.room import Evaluation
from warning_service.follow_up.opinions import Opinions
from warning_service.follow_up.service import FollowUps
from warning_service.judging.trying.trials import Trials
from warning_service.playbooks.service import Playbooks
from warning_service.rights.room import Rights
from warning_service.settings import Settings


@dataclass(frozen=True)
class Rooms:
    """One installation's rooms, all sharing one database, clock and log."""

    settings: Settings
    clock: Clock
    database: Database
    log: Log
    intake: Intake
    sealer: Sealer
    sessions: Sessions
    staff_door: StaffSignIn
    factors: SecondFactors
    passkeys: Passkeys
    passwords: Passwords
    confirming: Confirming
    child_door: ChildSignIn
    cards: Cards
    accounts: Accounts
    tokens: Tokens
    identities: Identities
    gateway: Gateway
    trail: Trail
    playbooks: Playbooks
    alerts: Alerts
    routes: Routes
    notices: Notices
    who_is_told: WhoIsTold
    gaps: GapWatch
    covering: Covering
    follow_ups: FollowUps
    opinions: Opinions
    digests: Digests
    evaluation: Evaluation
    rights: Rights
    trials: Trials


def rooms_of(request: Request) -> Rooms:
    """FastAPI dependency: the rooms behind this request."""
    rooms = request.app.state.rooms
    assert isinstance(rooms, Rooms)
    return rooms
