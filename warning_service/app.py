"""Wires the rooms together: the only module that knows them all.

`build` makes the rooms of one installation, `create_app` the web application on top of them, and
`Running` the threads that work on the log: the intake writer always, and, in a process that has
that job, consumers and senders (`work`) and the scheduler (`schedule`). `kizashi up` has all jobs
in one process; in production each has a process of its own.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import structlog
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

import student_checkin.routes
import teacher_portal.routes
from connectors.messaging import registry as messaging
from connectors.messaging import slack_interactions
from connectors.messaging.slack_socket import SlackSocket
from connectors.sign_in.flow import Providers
from design.render import folder
from student_checkin.api import FastPath
from warning_service import errors, operations
from warning_service.access.covering import Covering
from warning_service.access.doors.accounts import Accounts
from warning_service.access.doors.cards import Cards
from warning_service.access.doors.child import ChildSignIn
from warning_service.access.doors.confirming import Confirming
from warning_service.access.doors.identities import Identities
from warning_service.access.doors.passkeys import Passkeys
from warning_service.access.doors.passwords import Passwords
from warning_service.access.doors.pictures import PICTURES_OF_SECRETS
from warning_service.access.doors.second_factors import SecondFactors
from warning_service.access.doors.sessions import Sessions
from warning_service.access.doors.staff import StaffSignIn
from warning_service.access.doors.tokens import Tokens
from warning_service.access.doors.tries import Tries
from warning_service.access.gateway import Gateway
from warning_service.access.sealing import Sealer
from warning_service.access.trail.audit import Trail, TrailKeys
from warning_service.access.traits import Traits
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.alerts.deliver import Deliverer
from warning_service.alerts.gap_watch import GapWatch
from warning_service.alerts.notices import Notices
from warning_service.alerts.routes import Routes
from warning_service.alerts.service import Alerts
from warning_service.alerts.unreached import escalate_unreached
from warning_service.alerts.watchman import Watchman
from warning_service.alerts.who_is_told import WhoIsTold
from warning_service.asking import NobodyYet
from warning_service.clock import Clock, monotonic
from warning_service.database import Database, StorageUnavailable
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.intake import Intake
from warning_service.events.log import Log
from warning_service.events.recorded import Recorded
from warning_service.events.wakeups import Wakeups
from warning_service.follow_up.circles import FollowUpCircles
from warning_service.follow_up.digests import Digests
from warning_service.follow_up.evaluating.room import Evaluation
from warning_service.follow_up.opinions import Opinions
from warning_service.follow_up.service import FollowUps
from warning_service.interpreter import settle_in
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.trying.trials import Trials, Trier
from warning_service.keeping.night import Remover
from warning_service.playbooks.service import Playbooks
from warning_service.rights.room import Rights
from warning_service.rooms import Rooms
from warning_service.roster import queries
from warning_service.schedule import Scheduler
from warning_service.settings import Settings
from warning_service.web_hardening import Hardened

log = structlog.get_logger()

ESCALATION_SECONDS = 1.0
UNREACHED_SECONDS = 5.0
NEW_BOARDS_SECONDS = 2.0


def build(settings: Settings, clock: Clock | None = None) -> Rooms:
    """The rooms of one installation. Raises ValueError when a setting it needs is missing."""
    clock = clock or Clock()
    database = Database(settings.sqlalchemy_url, row_security=settings.row_security)
    # For rooms that are asked before it is known who asks, or keep what no page may read. All
    # others get `database`, which holds a request's reads to its sender's scope.
    own = database.as_service()
    log_ = Log(database, clock, Wakeups(database))
    sealer = Sealer(own, settings)
    sessions, tries = Sessions(own, clock, settings, log_.wakeups), Tries(own, clock, settings)
    trail = Trail(database, clock, TrailKeys(settings))
    tokens = Tokens(own, clock, settings)
    factors = SecondFactors(own, clock, settings)
    passkeys = Passkeys(own, clock, settings)
    own_passwords = Passwords(own, sessions, tokens, trail)
    playbooks = Playbooks(own, settings.data_dir / "playbooks")
    gateway = Gateway(database, clock, FollowUpCircles(playbooks, clock), trail)
    alerts = Alerts(log_, playbooks, trail)
    notices = Notices(log_, playbooks)
    recorded = Recorded(own)
    return Rooms(
        settings=settings,
        clock=clock,
        database=database,
        log=log_,
        intake=Intake(log_, queue=settings.intake_queue, batch=settings.intake_batch),
        sealer=sealer,
        sessions=sessions,
        staff_door=StaffSignIn(own, sessions, tries, trail),
        factors=factors,
        passkeys=passkeys,
        passwords=own_passwords,
        confirming=Confirming(
            sessions=sessions,
            tries=tries,
            factors=factors,
            passkeys=passkeys,
            passwords=own_passwords,
            trail=trail,
        ),
        child_door=ChildSignIn(own, clock, sessions, tries, sealer=sealer, playbooks=playbooks),
        cards=Cards(
            own,
            clock,
            sessions,
            tries=tries,
            sealer=sealer,
            playbooks=playbooks,
            trail=trail,
            pictures=PICTURES_OF_SECRETS,
        ),
        accounts=Accounts(
            own, clock, sessions, passwords=own_passwords, factors=factors, trail=trail
        ),
        tokens=tokens,
        identities=Identities(own, clock, trail),
        gateway=gateway,
        trail=trail,
        playbooks=playbooks,
        alerts=alerts,
        routes=Routes(own, trail, log_.wakeups),
        notices=notices,
        who_is_told=WhoIsTold(log_, playbooks),
        gaps=GapWatch(log_, playbooks, notices),
        covering=Covering(database, clock, sessions, trail),
        follow_ups=FollowUps(log_, sealer, playbooks, alerts, gateway),
        opinions=Opinions(log_, alerts, gateway),
        digests=Digests(log_),
        evaluation=Evaluation(own, clock, playbooks, Traits(own, trail, recorded), recorded),
        rights=Rights.build(log_, sealer, trail, playbooks),
        trials=Trials(own, clock, playbooks),
    )


@dataclass
class Jobs:
    """What a process does beside answering requests."""

    work: bool = False
    schedule: bool = False


@dataclass
class Running:
    """Starts the threads of a process on entry and ends them in order on exit."""

    rooms: Rooms
    jobs: Jobs = field(default_factory=Jobs)
    intake: bool = True

    def __enter__(self) -> Self:
        self._stops: list[Callable[[], None]] = []
        rooms = self.rooms
        rooms.log.wakeups.listen()
        self._stops.append(rooms.log.wakeups.stop)
        if self.intake:
            rooms.intake.start()
            self._stops.append(rooms.intake.stop)
        if self.jobs.work:
            self._work()
        if self.jobs.work or self.jobs.schedule:
            # In both, so that each says when the other is gone.
            watchman = Watchman(
                rooms.log,
                rooms.playbooks,
                rooms.notices,
                heartbeat_url=rooms.settings.heartbeat_url,
            )
            watchman.start()
            self._stops.append(watchman.stop)
        if self.jobs.schedule:
            scheduler = Scheduler(rooms, channels=tuple(messaging.connect(rooms)))
            scheduler.start()
            self._stops.append(scheduler.stop)
        return self

    def _work(self) -> None:
        rooms = self.rooms
        deliverer = Deliverer(
            rooms.log,
            messaging.connect(rooms),
            public_url=rooms.settings.public_url,
            names_class=rooms.settings.chat_names_class,
        )
        deliverer.start()
        self._stops.append(deliverer.stop)
        if rooms.settings.slack_app_token is not None:
            pressed = SlackSocket(rooms)
            pressed.start()
            self._stops.append(pressed.stop)
        escalator = Escalator(rooms)
        escalator.start()
        self._stops.append(escalator.stop)
        readers = Readers(rooms, deliverer)
        readers.start()
        self._stops.append(readers.stop)
        for own in (Remover(rooms.log, rooms.playbooks), Trier(rooms.log, rooms.playbooks)):
            own.start()
            self._stops.append(own.stop)

    def __exit__(self, *_: object) -> None:
        for stop in reversed(self._stops):
            stop()


class Readers:
    """The consumers of every board; a board that comes while we run gets its own within seconds.

    An installation is started before its first board is set up, and nobody would think of starting
    it again: until then what the new board's children ask for would be stored and told to nobody.
    """

    def __init__(self, rooms: Rooms, deliverer: Deliverer) -> None:
        self._rooms = rooms
        self._deliverer = deliverer
        self._dispatchers: list[Dispatcher] = []
        self._boards: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readers", daemon=True)

    def start(self) -> None:
        """Start the readers of the boards there are, then look for new ones.

        Raises StorageUnavailable.
        """
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """End all readers after their batch."""
        self._stopping.set()
        self._thread.join(timeout=10)
        for dispatcher in reversed(self._dispatchers):
            dispatcher.stop()

    def _run(self) -> None:
        while not self._stopping.wait(NEW_BOARDS_SECONDS):
            try:
                self._look()
            except StorageUnavailable as error:
                log.error("readers_storage_unavailable", error=str(error))
            except Exception:  # the next look must come, whatever this one met
                log.exception("readers_failed")

    def _look(self) -> None:
        rooms = self._rooms
        with rooms.database.reading() as conn:
            boards = [row.id for row in queries.boards(conn)]
        for board in boards:
            if board in self._boards:
                continue
            self._boards.add(board)
            # Alerts first and apart: a broken model must never hold back a cry for help.
            alerts = AlertsConsumer(rooms.log, rooms.playbooks, direct=self._deliverer)
            for consumer in (alerts, JudgingConsumer(rooms.log, rooms.playbooks)):
                dispatcher = Dispatcher(rooms.log, consumer, board)
                self._dispatchers.append(dispatcher)
                dispatcher.start()


class Escalator:
    """Looks every second for alerts nobody acknowledged in time or could be told about.

    A thread of its own: it must go on when the scheduler, a consumer or a channel is stuck.
    """

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="escalator", daemon=True)
        self._unreached_at = 0.0

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """End after the current look."""
        self._stopping.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopping.wait(ESCALATION_SECONDS):
            try:
                self._rooms.alerts.escalate_due()
                if monotonic() - self._unreached_at >= UNREACHED_SECONDS:
                    self._unreached_at = monotonic()
                    escalate_unreached(self._rooms.log, self._rooms.playbooks, Clock())
            except StorageUnavailable as error:
                log.error("escalation_storage_unavailable", error=str(error))
            except Exception:  # the next look must come, whatever this one met
                log.exception("escalation_failed")


class Application(FastAPI):
    """FastAPI with two coats around everything, its own error answers included.

    The outer one takes check-ins and consultations in front of the framework, the inner one puts
    the security headers on every other answer.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """FastAPI's stack inside our inner coat."""
        rooms: Rooms = self.state.rooms
        https = rooms.settings.public_url.startswith("https")
        return Hardened(NobodyYet(super().build_middleware_stack()), https=https)

    def dress(self, rooms: Rooms) -> None:
        """Put the outer coat on; what FastAPI does first for each request is a tenth of it."""
        self._fast_path = FastPath(super().__call__, rooms)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Through the fast path, then the framework."""
        await self._fast_path(scope, receive, send)


def create_app(rooms: Rooms, jobs: Jobs | None = None) -> FastAPI:
    """The web application; its lifespan runs the process's threads."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        with Running(rooms, jobs or Jobs()):
            settle_in()
            yield

    app = Application(
        title="Kizashi",
        description="School early-warning messaging service",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.dress(rooms)
    app.state.rooms = rooms
    app.state.sessions = rooms.sessions
    app.state.gateway = rooms.gateway
    app.state.providers = Providers(rooms.settings)
    for room, name in (
        ("design", "design"),
        ("student_checkin", "child"),
        ("teacher_portal", "portal"),
    ):
        app.mount(f"/static/{name}", StaticFiles(directory=folder(room, "static")), name=name)
    app.include_router(operations.router)
    app.include_router(student_checkin.routes.router)
    app.include_router(teacher_portal.routes.router)
    app.include_router(slack_interactions.router)
    errors.install(app)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=rooms.settings.allowed_hosts)
    return app
