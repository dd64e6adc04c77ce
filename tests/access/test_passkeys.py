"""Passkeys: what is taken, what is refused, and that a challenge works once."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import make
from tests.access.authenticator import ORIGIN, Authenticator, b64
from warning_service.access.doors.passkeys import (
    CHALLENGE_SECONDS,
    LONGEST_NAME,
    MOST_PASSKEYS,
    BadPasskey,
    Passkeys,
)
from warning_service.access.principals import Principal
from warning_service.access.tables import passkey_challenges, passkeys
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.settings import Settings


def someone(key: str = "staff-a", session: str = "session-1") -> Principal:
    return Principal(kind="staff", key=key, board="town", csrf="x", duties=(), token_hash=session)


def settings_for(address: str) -> Settings:
    return Settings(environment="test", public_url=address, data_dir=Path("/nowhere"))


@pytest.fixture
def ours(database: Database, clock: MovableClock) -> Passkeys:
    return Passkeys(database, clock, settings_for(ORIGIN + "/"))


@pytest.fixture
def device(ours: Passkeys) -> Authenticator:
    """A device that is registered already."""
    device = Authenticator()
    ours.register(someone(), "青いキー", device.create(ours.ask_to_register(someone(), "tanaka")))
    return device


def test_a_passkey_is_registered_and_shown(
    ours: Passkeys, device: Authenticator, clock: MovableClock, database: Database
) -> None:
    [kept] = ours.of("staff-a")
    assert (kept.name, kept.made_at, kept.used_at) == ("青いキー", clock.now(), None)
    clock.move_by(timedelta(hours=1))
    ours.confirm(someone(), device.get(ours.ask_to_confirm(someone())))
    assert ours.of("staff-a")[0].used_at == clock.now()
    assert make.rows(database, passkeys)[0].sign_count == 1
    assert make.rows(database, passkey_challenges) == []


def test_a_challenge_works_once_for_its_session_its_purpose_and_its_time(
    ours: Passkeys, device: Authenticator, clock: MovableClock
) -> None:
    answer = device.get(ours.ask_to_confirm(someone()))
    ours.confirm(someone(), answer)
    with pytest.raises(BadPasskey):
        ours.confirm(someone(), answer)  # replayed

    asked = ours.ask_to_confirm(someone())
    with pytest.raises(BadPasskey):
        ours.confirm(someone(session="session-2"), device.get(asked))
    with pytest.raises(BadPasskey):
        ours.register(someone(), "x", Authenticator().create(asked))

    asked = ours.ask_to_confirm(someone())
    newer = ours.ask_to_confirm(someone())
    with pytest.raises(BadPasskey):
        ours.confirm(someone(), device.get(asked))
    with pytest.raises(BadPasskey):
        ours.confirm(someone(), device.get(newer))  # used up by the wrong answer

    asked = ours.ask_to_confirm(someone())
    clock.move_by(timedelta(seconds=CHALLENGE_SECONDS))
    with pytest.raises(BadPasskey):
        ours.confirm(someone(), device.get(asked))


@pytest.mark.parametrize(
    "cheat",
    [
        {"origin": "https://portal.example.evil.example"},
        {"origin": "http://portal.example"},
        {"host": "evil.example"},
    ],
)
def test_another_sites_page_gets_nothing(
    ours: Passkeys, device: Authenticator, cheat: dict[str, str]
) -> None:
    for name, value in cheat.items():
        setattr(device, name, value)
    with pytest.raises(BadPasskey):
        ours.confirm(someone(), device.get(ours.ask_to_confirm(someone())))
    stranger = Authenticator(**cheat)
    with pytest.raises(BadPasskey):
        ours.register(someone(), "x", stranger.create(ours.ask_to_register(someone(), "t")))


def test_another_key_or_a_copied_device_is_refused(ours: Passkeys, device: Authenticator) -> None:
    forged = Authenticator(id=device.id)
    with pytest.raises(BadPasskey):
        ours.confirm(someone(), forged.get(ours.ask_to_confirm(someone())))
    ours.confirm(someone(), device.get(ours.ask_to_confirm(someone())))
    device.count = 0  # a copy made before that use
    with pytest.raises(BadPasskey):
        ours.confirm(someone(), device.get(ours.ask_to_confirm(someone())))
    device.count = 5
    with pytest.raises(BadPasskey):  # nobody touched it
        ours.confirm(someone(), device.get(ours.ask_to_confirm(someone()), flags=0))


def test_two_answers_with_one_count_are_one_too_many(
    ours: Passkeys, device: Authenticator, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    import webauthn

    judge = webauthn.verify_authentication_response

    def while_another_is_faster(**given: object) -> object:
        found = judge(**given)  # type: ignore[arg-type]
        with database.writing() as conn:
            conn.execute(passkeys.update().values(sign_count=1))
        return found

    asked = ours.ask_to_confirm(someone())
    monkeypatch.setattr(webauthn, "verify_authentication_response", while_another_is_faster)
    with pytest.raises(BadPasskey):
        ours.confirm(someone(), device.get(asked))


def test_one_persons_passkey_is_not_anothers(ours: Passkeys, device: Authenticator) -> None:
    other = someone("staff-b", "session-9")
    with pytest.raises(BadPasskey):
        ours.ask_to_confirm(other)
    with pytest.raises(BadPasskey):  # the same device cannot serve two accounts
        ours.register(other, "x", device.create(ours.ask_to_register(other, "b")))
    ours.register(other, "", Authenticator().create(ours.ask_to_register(other, "b")))
    assert ours.of("staff-b")[0].name == "passkey"
    with pytest.raises(BadPasskey):
        ours.confirm(other, device.get(ours.ask_to_confirm(other)))
    assert not ours.remove("staff-b", ours.of("staff-a")[0].id)
    assert ours.remove("staff-a", ours.of("staff-a")[0].id)
    with pytest.raises(BadPasskey):
        ours.ask_to_confirm(someone())


def test_several_passkeys_up_to_a_bound(ours: Passkeys, device: Authenticator) -> None:
    for n in range(MOST_PASSKEYS - 1):
        asked = ours.ask_to_register(someone(), "tanaka")
        assert len(json.loads(asked)["excludeCredentials"]) == n + 1
        ours.register(someone(), "あ" * 100, Authenticator().create(asked))
    # All of one moment: which of them is named last is nobody's promise.
    assert max(len(one.name) for one in ours.of("staff-a")) == LONGEST_NAME
    with pytest.raises(BadPasskey):
        ours.register(
            someone(), "x", Authenticator().create(ours.ask_to_register(someone(), "tanaka"))
        )


def test_what_the_browser_is_asked_names_the_host_and_no_person(ours: Passkeys) -> None:
    asked = json.loads(ours.ask_to_register(someone(), "tanaka"))
    assert (asked["rp"]["id"], asked["user"]["name"]) == ("portal.example", "tanaka")
    assert asked["attestation"] == "none"
    assert "staff-a" not in json.dumps(asked)


@pytest.mark.parametrize(
    ("address", "possible"),
    [
        ("https://portal.example", True),
        ("http://localhost:8000", True),
        ("http://portal.example", False),
        ("http://127.0.0.1:8000", False),
        ("https://[::1]:8000", False),
    ],
)
def test_where_browsers_know_passkeys(
    database: Database, clock: MovableClock, address: str, possible: bool
) -> None:
    assert Passkeys(database, clock, settings_for(address)).possible is possible


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
_WHOLE = ["id", "rawId", "type", "response", "clientDataJSON"]
_PARTS = [(True, part) for part in [*_WHOLE, "attestationObject"]] + [
    (False, part) for part in [*_WHOLE, "authenticatorData", "signature"]
]


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.sampled_from(_PARTS), junk=_JSON)
def test_junk_from_a_browser_is_refused_and_never_a_fault(
    ours: Passkeys, device: Authenticator, place: tuple[bool, str], junk: object
) -> None:
    (new, part), who = place, someone()
    asked = ours.ask_to_register(who, "t") if new else ours.ask_to_confirm(who)
    answer = json.loads(Authenticator().create(asked) if new else device.get(asked))
    (answer if part in answer else answer["response"])[part] = junk
    with pytest.raises(BadPasskey):
        if new:
            ours.register(who, "x", json.dumps(answer))
        else:
            ours.confirm(who, json.dumps(answer))
    assert len(ours.of(who.key)) == 1


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(said=_JSON, new=st.booleans())
def test_junk_in_what_the_browser_signed_is_refused(
    ours: Passkeys, device: Authenticator, said: object, new: bool
) -> None:
    who = someone()
    asked = ours.ask_to_register(who, "t") if new else ours.ask_to_confirm(who)
    answer = json.loads(Authenticator().create(asked) if new else device.get(asked))
    answer["response"]["clientDataJSON"] = b64(json.dumps(said).encode())
    with pytest.raises(BadPasskey):
        (
            ours.register(who, "x", json.dumps(answer))
            if new
            else ours.confirm(who, json.dumps(answer))
        )


@pytest.mark.parametrize("answer", ["", "[]", "{}", "null", '{"id": 3}'])
def test_what_is_no_answer_is_none(ours: Passkeys, device: Authenticator, answer: str) -> None:
    ours.ask_to_confirm(someone())
    with pytest.raises(BadPasskey):
        ours.confirm(someone(), answer)
