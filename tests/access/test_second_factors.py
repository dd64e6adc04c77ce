"""Codes of an app and recovery codes: what is taken, once, and what is not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken

from tests import make
from warning_service.access.doors.second_factors import (
    OFFER_MINUTES,
    RECOVERY_CODES,
    STEP_SECONDS,
    SecondFactors,
    code_now,
    has_factor,
    totp_address,
)
from warning_service.access.tables import passkeys, recovery_codes, staff_factors
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.settings import Settings

WHO = "staff-tanaka"


def settings_with(*keys: str) -> Settings:
    return Settings(environment="test", secret_keys=list(keys), data_dir=Path("/nowhere"))  # type: ignore[arg-type]


@pytest.fixture
def factors(database: Database, clock: MovableClock, secret_key: str) -> SecondFactors:
    return SecondFactors(database, clock, settings_with(secret_key))


@pytest.fixture
def secret(factors: SecondFactors, clock: MovableClock) -> str:
    """An app in use, its first code taken a minute ago."""
    secret = factors.offer_totp(WHO, "session")
    assert factors.prove_totp(WHO, code_now(secret, clock.now()), "session")
    clock.move_by(timedelta(minutes=1))
    return secret


def test_an_offered_secret_counts_only_once_a_code_proves_it(
    factors: SecondFactors, clock: MovableClock, database: Database
) -> None:
    secret = factors.offer_totp(WHO, "session")
    assert factors.offer_totp(WHO, "session") == secret  # loading the page again keeps the picture
    assert not factors.of(WHO).any
    assert not factors.check_totp(WHO, code_now(secret, clock.now()))
    assert not factors.prove_totp(
        WHO, "000000" if code_now(secret, clock.now()) != "000000" else "1", "session"
    )
    assert factors.prove_totp(WHO, code_now(secret, clock.now()), "session")
    assert factors.of(WHO).totp_since == clock.now()
    assert not factors.prove_totp(
        WHO, code_now(secret, clock.now()), "session"
    )  # nothing on offer now
    with database.reading() as conn:
        assert has_factor(conn, WHO)
        assert not has_factor(conn, "staff-other")


def test_the_secret_is_nowhere_to_be_read(
    factors: SecondFactors, secret: str, database: Database
) -> None:
    codes = factors.new_recovery_codes(WHO)
    stored = str(make.rows(database, staff_factors)) + str(make.rows(database, recovery_codes))
    assert secret not in stored
    assert not any(code in stored or code.replace("-", "") in stored for code in codes)


def test_a_code_is_taken_once_and_never_an_older_one(
    factors: SecondFactors, secret: str, clock: MovableClock
) -> None:
    now = clock.now()
    step = timedelta(seconds=STEP_SECONDS)
    assert factors.check_totp(
        WHO, " " + code_now(secret, now)[:3] + " " + code_now(secret, now)[3:]
    )
    assert not factors.check_totp(WHO, code_now(secret, now))
    assert not factors.check_totp(WHO, code_now(secret, now - step))
    assert factors.check_totp(WHO, code_now(secret, now + step))  # a phone that runs ahead
    clock.move_by(step)
    assert not factors.check_totp(WHO, code_now(secret, clock.now()))


@pytest.mark.parametrize(
    ("steps", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_clock_may_be_one_step_off(
    factors: SecondFactors, secret: str, clock: MovableClock, steps: int, taken: bool
) -> None:
    code = code_now(secret, clock.now() + timedelta(seconds=STEP_SECONDS * steps))
    near = {code_now(secret, clock.now() + timedelta(seconds=STEP_SECONDS * n)) for n in (-1, 0, 1)}
    assert factors.check_totp(WHO, code) is (taken or code in near)


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "abcdef", "１２３４５６", "12 34\n5x", "-12345"]
)
def test_what_is_no_code_is_none(factors: SecondFactors, secret: str, code: str) -> None:
    assert not factors.check_totp(WHO, code)


def test_nobody_elses_code(factors: SecondFactors, secret: str, clock: MovableClock) -> None:
    assert not factors.check_totp("staff-other", code_now(secret, clock.now()))
    assert not factors.prove_totp("staff-other", code_now(secret, clock.now()), "session")


def test_a_new_app_replaces_the_old_only_when_proved(
    factors: SecondFactors, secret: str, clock: MovableClock
) -> None:
    newer = factors.offer_totp(WHO, "session")
    assert newer != secret
    assert factors.check_totp(WHO, code_now(secret, clock.now()))
    clock.move_by(timedelta(minutes=1))
    assert factors.prove_totp(WHO, code_now(newer, clock.now()), "session")
    clock.move_by(timedelta(minutes=1))
    assert not factors.check_totp(WHO, code_now(secret, clock.now()))
    assert factors.check_totp(WHO, code_now(newer, clock.now()))


def test_recovery_codes_work_once_each_and_only_the_newest(
    factors: SecondFactors, secret: str
) -> None:
    old = factors.new_recovery_codes(WHO)
    codes = factors.new_recovery_codes(WHO)
    assert len(set(codes)) == RECOVERY_CODES == factors.of(WHO).recovery_left
    assert not factors.use_recovery_code(WHO, old[0])
    assert not factors.use_recovery_code("staff-other", codes[0])
    assert factors.use_recovery_code(WHO, codes[0].lower().replace("-", " "))
    assert not factors.use_recovery_code(WHO, codes[0])
    assert factors.of(WHO).recovery_left == RECOVERY_CODES - 1


def test_recovery_codes_go_with_the_last_factor(
    factors: SecondFactors, secret: str, database: Database, clock: MovableClock
) -> None:
    factors.new_recovery_codes(WHO)
    with database.writing() as conn:
        conn.execute(
            passkeys.insert().values(
                id="k", staff=WHO, name="n", public_key=b"", sign_count=0, made_at=clock.now()
            )
        )
    factors.remove_totp(WHO)
    assert factors.of(WHO).recovery_left == RECOVERY_CODES  # the passkey is still there
    with database.writing() as conn:
        conn.execute(passkeys.delete())
    factors.remove_totp(WHO)
    assert factors.of(WHO).recovery_left == 0
    assert not factors.of(WHO).any


def test_everything_can_be_forgotten(
    factors: SecondFactors, secret: str, database: Database, clock: MovableClock
) -> None:
    codes = factors.new_recovery_codes(WHO)
    with database.writing() as conn:
        factors.remove_all(conn, WHO)
    assert not factors.of(WHO).any
    assert not factors.check_totp(WHO, code_now(secret, clock.now()))
    assert not factors.use_recovery_code(WHO, codes[0])


def test_a_new_installation_key_signs_nobody_out(
    factors: SecondFactors, secret: str, database: Database, clock: MovableClock, secret_key: str
) -> None:
    codes = factors.new_recovery_codes(WHO)
    newer = Fernet.generate_key().decode()
    both = SecondFactors(database, clock, settings_with(newer, secret_key))
    assert both.rewrap_all() == 1
    alone = SecondFactors(database, clock, settings_with(newer))
    assert alone.check_totp(WHO, code_now(secret, clock.now()))
    assert alone.use_recovery_code(WHO, codes[0])
    with pytest.raises(InvalidToken):
        factors.use_recovery_code(WHO, codes[1])


def test_a_given_secret_works_at_once(factors: SecondFactors, clock: MovableClock) -> None:
    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    factors.give_totp(WHO, secret)
    assert factors.check_totp(WHO, code_now(secret, clock.now()))


def test_the_picture_says_whose_code_it_is() -> None:
    address = totp_address("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "tanaka")
    assert address.startswith(
        "otpauth://totp/Kizashi:tanaka?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    )


def test_without_keys_nothing_is_sealed(database: Database, clock: MovableClock) -> None:
    with pytest.raises(ValueError, match="secret_keys"):
        SecondFactors(database, clock, settings_with())


def test_an_offer_is_one_sessions_and_lives_a_quarter_of_an_hour(
    factors: SecondFactors, clock: MovableClock
) -> None:
    seen = factors.offer_totp(WHO, "thief")  # with a stolen password, and then left alone
    clock.move_by(timedelta(days=200))
    assert factors.offer_totp(WHO, "thief") != seen
    mine = factors.offer_totp(WHO, "owner")
    assert not factors.prove_totp(WHO, code_now(mine, clock.now()), "thief")
    clock.move_by(timedelta(minutes=OFFER_MINUTES) - timedelta(seconds=1))
    assert factors.offer_totp(WHO, "owner") == mine
    clock.move_by(timedelta(seconds=1))
    assert not factors.prove_totp(WHO, code_now(mine, clock.now()), "owner")
    newer = factors.offer_totp(WHO, "owner")
    assert newer != mine
    assert factors.prove_totp(WHO, code_now(newer, clock.now()), "owner")
    clock.move_by(timedelta(minutes=1))
    assert not factors.check_totp(WHO, code_now(seen, clock.now()))
