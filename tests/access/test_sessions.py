"""Sign-in and sessions."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests import make
from warning_service.access.doors.child import ChildSignIn
from warning_service.access.doors.sessions import (
    Sessions,
)
from warning_service.access.doors.staff import StaffSignIn
from warning_service.access.doors.tries import (
    ACCOUNT_FREE_TRIES,
    ADDRESS_FREE_TRIES,
    ADDRESS_SECONDS_A_TRY,
    TooManyTries,
    Tries,
)
from warning_service.access.roles import Ability, Role
from warning_service.access.sealing import CannotOpen, Sealer
from warning_service.access.tables import sessions as table
from warning_service.access.trail.audit import Trail, TrailKeys
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.events.log import Log
from warning_service.playbooks.service import Playbooks
from warning_service.settings import Settings


@pytest.fixture
def settings(secret_key: str, tmp_path: Path) -> Settings:
    return Settings(environment="test", secret_keys=[secret_key], data_dir=tmp_path)  # type: ignore[list-item]


@pytest.fixture
def sealer(log: Log, settings: Settings) -> Sealer:
    return Sealer(log.database, settings)


class Doors(Sessions):
    """Sessions with their two doors."""

    def __init__(self, log: Log, clock: MovableClock, settings: Settings, sealer: Sealer) -> None:
        super().__init__(log.database, clock, settings)
        tries = Tries(log.database, clock, settings)
        self.sign_in_staff = StaffSignIn(
            log.database, self, tries, Trail(log.database, clock, TrailKeys(settings))
        ).sign_in
        playbooks = Playbooks(log.database, settings.data_dir)
        self.sign_in_child = ChildSignIn(
            log.database, clock, self, tries, sealer=sealer, playbooks=playbooks
        ).sign_in


@pytest.fixture
def sessions(log: Log, clock: MovableClock, settings: Settings, sealer: Sealer) -> Doors:
    return Doors(log, clock, settings, sealer)


def test_a_teacher_signs_in_with_the_duties_in_force(log: Log, sessions: Doors) -> None:
    room = make.places(log.database)[0]
    key = make.staff(log.database, "tanaka", ("homeroom", room))
    token = sessions.sign_in_staff("tanaka", make.PASSWORD, "127.0.0.1")
    assert token is not None
    who = sessions.find(token)
    assert who is not None
    assert (who.key, who.reach(Ability.SEE_ALERTS).classes, who.has(Role.HOMEROOM)) == (
        key,
        {room},
        True,
    )
    assert Ability.SEE_ALERTS in who.abilities
    assert Ability.SEE_COUNTS not in who.abilities
    assert token not in str(make.rows(log.database, table))


def test_wrong_password_and_unknown_login_are_the_same_answer(log: Log, sessions: Doors) -> None:
    make.places(log.database)
    make.staff(log.database, "tanaka", ("board", make.BOARD))
    assert sessions.sign_in_staff("tanaka", "wrong", "10.0.0.1") is None
    assert sessions.sign_in_staff("nobody", "wrong", "10.0.0.1") is None


def test_guessing_is_slowed_down_and_the_right_person_gets_in_later(
    log: Log, sessions: Doors, clock: MovableClock
) -> None:
    make.places(log.database)
    make.staff(log.database, "tanaka", ("board", make.BOARD))
    for _ in range(ACCOUNT_FREE_TRIES):
        assert sessions.sign_in_staff("tanaka", "wrong", "10.0.0.1") is None
    with pytest.raises(TooManyTries) as slowed:
        sessions.sign_in_staff("tanaka", make.PASSWORD, "10.0.0.2")
    clock.move_by(timedelta(seconds=slowed.value.seconds))
    assert sessions.sign_in_staff("tanaka", make.PASSWORD, "10.0.0.2")


def test_one_child_guessing_does_not_lock_out_its_class(
    log: Log, sessions: Doors, sealer: Sealer
) -> None:
    room = make.places(log.database)[0]
    keys = make.children(log, room, 2)
    make.seats(log.database, sealer, room, keys, "cat-sun-boat")
    for _ in range(ACCOUNT_FREE_TRIES):
        assert sessions.sign_in_child(room.upper(), 1, "dog-dog-dog", "10.0.0.1") is None
    with pytest.raises(TooManyTries):
        sessions.sign_in_child(room.upper(), 1, "cat-sun-boat", "10.0.0.1")
    token = sessions.sign_in_child(room.upper(), 2, "cat-sun-boat", "10.0.0.1")
    assert token is not None
    who = sessions.find(token)
    assert who is not None
    assert (who.key, who.kind, who.abilities) == (keys[1], "child", {Ability.ANSWER})


def test_a_whole_school_that_mistypes_behind_one_address_waits_seconds(
    log: Log, sessions: Doors, sealer: Sealer, clock: MovableClock
) -> None:
    room = make.places(log.database)[0]
    keys = make.children(log, room, 1)
    make.seats(log.database, sealer, room, keys, "cat-sun-boat")
    for number in range(ADDRESS_FREE_TRIES):  # many children, a wrong picture or two each
        assert sessions.sign_in_child(room.upper(), 100 + number // 2, "dog", "10.0.0.1") is None
    # Who has made no mistake does not wait at all.
    assert sessions.sign_in_child(room.upper(), 1, "cat-sun-boat", "10.0.0.1") is not None
    for _ in range(5):
        assert sessions.sign_in_child(room.upper(), 1, "cat-sun", "10.0.0.1") is None
        with pytest.raises(TooManyTries) as slowed:
            sessions.sign_in_child(room.upper(), 1, "cat-sun-boat", "10.0.0.1")
        assert slowed.value.seconds <= ADDRESS_SECONDS_A_TRY + 1
        clock.move_by(timedelta(seconds=slowed.value.seconds))
        assert sessions.sign_in_child(room.upper(), 1, "cat-sun-boat", "10.0.0.1") is not None
        while True:  # the others go on mistyping, as fast as they may
            try:
                sessions.sign_in_child(room.upper(), 999, "dog", "10.0.0.1")
            except TooManyTries:
                break
    # The budget fills up again, so that a bad morning is no bad noon.
    clock.move_by(timedelta(seconds=ADDRESS_SECONDS_A_TRY * 20))
    for number in range(7):
        for _ in range(2):
            assert sessions.sign_in_child(room.upper(), 500 + number, "dog", "10.0.0.1") is None


def test_sessions_end_when_idle_when_old_and_when_signed_out(
    log: Log, settings: Settings, sealer: Sealer, clock: MovableClock
) -> None:
    make.places(log.database)
    make.staff(log.database, "tanaka", ("board", make.BOARD))
    desk = Doors(log, clock, settings, sealer)
    idle = desk.sign_in_staff("tanaka", make.PASSWORD, "a")
    assert idle is not None
    clock.move_by(timedelta(seconds=settings.staff_session_idle + 1))
    assert desk.find(idle) is None

    used = desk.sign_in_staff("tanaka", make.PASSWORD, "a")
    assert used is not None
    for _ in range(settings.staff_session_longest // 600):
        another_process = Doors(log, clock, settings, sealer)
        assert another_process.find(used) is not None
        clock.move_by(timedelta(seconds=600))
    assert Doors(log, clock, settings, sealer).find(used) is None

    out = desk.sign_in_staff("tanaka", make.PASSWORD, "a")
    assert out is not None
    assert desk.find(out) is not None
    desk.sign_out(out)
    assert desk.find(out) is None


def test_sealed_words_survive_a_new_key_and_not_the_loss_of_the_childs(
    log: Log, sealer: Sealer, secret_key: str, tmp_path: Path
) -> None:
    from cryptography.fernet import Fernet
    from sqlalchemy import delete

    from warning_service.roster.tables import student_secrets

    sealed = sealer.seal("s1", "たすけて")
    assert "たすけて" not in sealed
    newer = Settings(
        environment="test",
        secret_keys=[Fernet.generate_key().decode(), secret_key],  # type: ignore[list-item]
        data_dir=tmp_path,
    )
    rotated = Sealer(log.database, newer)
    assert rotated.rewrap_all() == 1
    alone = Settings(environment="test", secret_keys=newer.secret_keys[:1], data_dir=tmp_path)
    assert Sealer(log.database, alone).open("s1", sealed) == "たすけて"
    with pytest.raises(CannotOpen):
        Sealer(log.database, alone).open("s2", sealed)
    with log.database.writing() as conn:
        conn.execute(delete(student_secrets))
    with pytest.raises(CannotOpen):
        Sealer(log.database, alone).open("s1", sealed)


def test_without_a_key_of_the_house_no_failures_are_counted(
    database: Database, clock: MovableClock, settings: Settings
) -> None:
    with pytest.raises(ValueError, match="secret_keys"):
        Tries(database, clock, settings.model_copy(update={"secret_keys": []}))
