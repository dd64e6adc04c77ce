"""Sessions and factors as a machine: whatever happens in whatever order, never alive after its end,
and never more than the factors shown allow."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from cryptography.fernet import Fernet
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from tests import make
from tests.conftest import START
from warning_service.access.doors.second_factors import code_now
from warning_service.access.doors.sessions import FRESH_SECONDS, SessionEnded
from warning_service.access.doors.tries import TooManyTries
from warning_service.access.roles import Ability, Role
from warning_service.app import build
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.migrate import migrate
from warning_service.settings import Settings

PEOPLE = {"nurse": Role.NURSE, "counsellor": Role.COUNSELLOR}
"""Nurses need a second factor, counsellors do not; both see the school."""

KEY = Fernet.generate_key().decode()


class Life(RuleBasedStateMachine):
    """Two people, some sessions, two processes that look them up."""

    sessions = Bundle("sessions")

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory(prefix="kizashi-life-")
        self.clock = MovableClock(START)
        given = Settings(
            environment="test",
            secret_keys=[KEY],  # type: ignore[list-item]
            data_dir=Path(self.folder.name),
            second_factor_roles=frozenset({Role.NURSE}),
        )
        database = Database(given.sqlalchemy_url)
        migrate(database)
        database.close()
        self.here, self.there = build(given, self.clock), build(given, self.clock)
        make.places(self.here.database)
        for login, role in PEOPLE.items():
            make.staff(self.here.database, login, (role, make.SCHOOL))
        self.idle = timedelta(seconds=given.staff_session_idle)
        self.longest = timedelta(seconds=given.staff_session_longest)
        self.secret = dict.fromkeys(PEOPLE, "")
        # token -> (login, started, last used, shown a factor, confirmed at); ended ones are gone
        self.alive: dict[str, tuple] = {}  # type: ignore[type-arg]
        self.dead: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "here"):
            self.here.database.close()
            self.there.database.close()
            self.folder.cleanup()

    # -- the model ---------------------------------------------------------------------------------

    def end(self, token: str) -> None:
        if self.alive.pop(token, None):
            self.dead.add(token)

    def ended_by_time(self) -> None:
        now = self.clock.now()
        for token, (_, started, used, *_) in list(self.alive.items()):
            if now >= started + self.longest or now >= used + self.idle:
                self.end(token)

    def owes(self, token: str) -> bool:
        login, _, _, shown, _ = self.alive[token]
        return not shown and (login == "nurse" or bool(self.secret[login]))

    def look(self, token: str):  # type: ignore[no-untyped-def]
        """As a page does, in a process that remembers nothing."""
        self.there.sessions._found.clear()
        found = self.there.sessions.find(token)
        if found is not None and token in self.alive:
            login, started, used, shown, at = self.alive[token]
            now = self.clock.now()
            used = now if now - used > timedelta(seconds=60) else used
            self.alive[token] = (login, started, used, shown, at)
        return found

    # -- what happens ------------------------------------------------------------------------------

    @rule(target=sessions, login=st.sampled_from(sorted(PEOPLE)))
    def sign_in(self, login: str) -> str:
        now = self.clock.now()
        token = self.here.sessions.start_staff(f"staff-{login}", make.BOARD, confirmed=True)
        self.alive[token] = (login, now, now, False, now)
        return token

    @rule(target=sessions, token=sessions)
    def show_a_factor(self, token: str) -> str:
        who = self.look(token)
        if who is None:
            return token
        login, started, _, _, _ = self.alive[token]
        factors = self.here.factors
        if self.secret[login]:
            code = code_now(self.secret[login], self.clock.now())
            try:
                new = self.here.confirming.show_code(who, code, "10.0.0.1")
            except TooManyTries:  # too many used codes in a row; the session stays as it is
                return token
            with suppress(TooManyTries):
                assert self.here.confirming.show_code(who, code, "10.0.0.1") is None  # never twice
            if new is None:  # used within these 30 seconds already
                return token
        else:
            secret = factors.offer_totp(who.key, who.token_hash)
            new = self.here.confirming.prove_app(
                who, code_now(secret, self.clock.now()), "10.0.0.1"
            )
            assert new is not None
            self.secret[login] = secret
        self.end(token)
        now = self.clock.now()
        self.alive[new] = (login, started, now, True, now)
        return new

    @rule(target=sessions, token=sessions)
    def show_the_password(self, token: str) -> str:
        who = self.look(token)
        if who is None:
            return token
        login, started, _, shown, _ = self.alive[token]
        new = self.here.confirming.show_password(who, make.PASSWORD, "10.0.0.1")
        # The password is never enough for somebody who has, owes or has shown a factor.
        assert (new is None) == (shown or login == "nurse" or bool(self.secret[login]))
        if new is None:
            return token
        self.end(token)
        now = self.clock.now()
        self.alive[new] = (login, started, now, shown, now)
        return new

    @rule(token=sessions)
    def sign_out(self, token: str) -> None:
        self.here.sessions.sign_out(token)
        self.end(token)

    @rule(token=sessions)
    def end_the_others(self, token: str) -> None:
        who = self.look(token)
        if who is None:
            return
        login = self.alive[token][0]
        self.here.sessions.end_all(who.key, but=who.token_hash)
        for other, (of, *_) in list(self.alive.items()):
            if of == login and other != token:
                self.end(other)

    @rule(login=st.sampled_from(sorted(PEOPLE)))
    def lose_everything(self, login: str) -> None:
        with self.here.database.writing() as conn:
            self.here.factors.remove_all(conn, f"staff-{login}")
        self.here.sessions.end_all(f"staff-{login}")
        self.secret[login] = ""
        for token, (of, *_) in list(self.alive.items()):
            if of == login:
                self.end(token)

    @rule(token=sessions)
    def confirm_what_has_ended(self, token: str) -> None:
        who = self.look(token)
        if who is None:
            return
        self.here.sessions.sign_out(token)
        self.end(token)
        try:
            self.here.sessions.confirm(who, "totp")
        except SessionEnded:
            return
        raise AssertionError("a session that had ended was confirmed")

    @rule(minutes=st.sampled_from([1, 4, 6, 20, 31, 300]))
    def time_passes(self, minutes: int) -> None:
        self.clock.move_by(timedelta(minutes=minutes))

    # -- what must hold ----------------------------------------------------------------------------

    @invariant()
    def only_the_living_are_known_and_only_with_what_they_have_shown(self) -> None:
        if not hasattr(self, "here"):
            return
        self.ended_by_time()
        for token in self.dead:
            assert self.look(token) is None
        for token in list(self.alive):
            owes = self.owes(token)
            who = self.look(token)
            assert who is not None
            assert who.owes_factor is owes
            assert who.may(Ability.SEE_STUDENT) is not owes
            assert bool(who.reach(Ability.SEE_STUDENT).schools) is not owes
            at = self.alive[token][4]
            recent = self.clock.now() - at < timedelta(seconds=FRESH_SECONDS)
            assert self.there.sessions.is_fresh(who) is (recent and not owes)


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
