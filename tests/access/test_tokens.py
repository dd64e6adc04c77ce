"""Tokens: what we signed passes, once where it must; whatever else anybody makes up does not.

Forgeries are made with python-jose and by hand, from everything a sender can know: a genuine token,
public keys of any kind, and the names of algorithms. Each has a genuine twin that is accepted.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from jose import jws

from tests import make
from tests.conftest import START
from warning_service.access.doors.tokens import (
    CLOCKS_DIFFER_SECONDS,
    LONGEST,
    BadToken,
    Claims,
    Kind,
    Tokens,
)
from warning_service.access.tables import spent_tokens
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.migrate import migrate
from warning_service.settings import Settings

URL = "https://kizashi.example"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def parts(token: str) -> list[Any]:
    head, body, _ = token.split(".")
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, body)]


def tokens_with(database: Database, clock: MovableClock, *keys: str, url: str = URL) -> Tokens:
    return Tokens(
        database,
        clock,
        Settings(environment="test", secret_keys=list(keys), public_url=url),  # type: ignore[arg-type]
    )


@pytest.fixture
def tokens(database: Database, clock: MovableClock, secret_key: str) -> Tokens:
    return tokens_with(database, clock, secret_key)


@lru_cache(maxsize=1)
def an_rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def our_key(tokens: Tokens, kind: Kind = Kind.INVITATION) -> bytes:
    """The secret itself, for forgeries by somebody who has it: only then is the rest looked at."""
    found: bytes = tokens._newest[kind].secret.prepared_key
    return found


def signed(tokens: Tokens, claims: Any, kind: Kind = Kind.INVITATION) -> str:
    """Any payload, rightly signed."""
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    key = tokens._newest[kind]
    return str(jws.sign(body, key.secret, headers=key.headers, algorithm="HS256"))


def test_what_was_issued_is_read_back(tokens: Tokens, clock: MovableClock) -> None:
    token = tokens.issue(Kind.INVITATION, "staff-1", 60, school="sakura")
    claims = tokens.read(Kind.INVITATION, token)
    assert (claims.kind, claims.subject, claims.more) == (
        Kind.INVITATION, "staff-1", {"school": "sakura"},
    )  # fmt: skip
    assert claims.expires_at - claims.issued_at == timedelta(seconds=60)
    assert claims.issued_at == clock.now()
    again = tokens.read(Kind.INVITATION, tokens.issue(Kind.INVITATION, "staff-1", 60))
    assert again.id != claims.id
    assert len(claims.id) >= 22  # 128 random bits


def test_without_a_key_there_are_no_tokens(database: Database, clock: MovableClock) -> None:
    with pytest.raises(ValueError, match="secret_keys"):
        tokens_with(database, clock)


def test_a_token_that_would_be_too_long_is_not_issued(tokens: Tokens) -> None:
    with pytest.raises(ValueError, match="too much"):
        tokens.issue(Kind.INVITATION, "s", 60, next="x" * LONGEST)


# -- algorithms ---------------------------------------------------------------------------------


def public(encoding: serialization.Encoding) -> bytes:
    return an_rsa_key().public_key().public_bytes(
        encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip


Forger = Callable[[Tokens, str, str], str]


def by_hand(header: dict[str, Any], body: str, key: bytes | None, digest: str = "sha256") -> str:
    text = f"{b64(json.dumps(header, separators=(',', ':'), sort_keys=True).encode())}.{body}"
    mac = b"" if key is None else hmac.digest(key, text.encode(), digest)
    return f"{text}.{b64(mac)}"


def forge(header: dict[str, Any], key: bytes | str | None, digest: str = "sha256") -> Forger:
    def made(tokens: Tokens, head: str, body: str) -> str:
        ours = json.loads(base64.urlsafe_b64decode(head + "=="))
        secret = our_key(tokens) if key == "ours" else key
        assert not isinstance(secret, str)
        return by_hand({**ours, **header}, body, secret, digest)

    return made


def rs256(tokens: Tokens, head: str, body: str) -> str:
    ours = json.loads(base64.urlsafe_b64decode(head + "=="))
    pem = an_rsa_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    payload = base64.urlsafe_b64decode(body + "==")
    return str(jws.sign(payload, pem.decode(), headers={**ours, "alg": "RS256"}, algorithm="RS256"))


PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
FORGERIES: dict[str, Forger] = {
    "none": forge({"alg": "none"}, None),
    "None": forge({"alg": "None"}, None),
    "NONE": forge({"alg": "NONE"}, None),
    "nOnE": forge({"alg": "nOnE"}, None),
    "no alg": forge({"alg": ""}, None),
    "null alg": forge({"alg": None}, None),
    "a list for alg": forge({"alg": ["HS256"]}, "ours"),
    "none, rightly signed": forge({"alg": "none"}, "ours"),
    "hs256, rightly signed": forge({"alg": "hs256"}, "ours"),
    "HS384, rightly signed": forge({"alg": "HS384"}, "ours", "sha384"),
    "HS512, rightly signed": forge({"alg": "HS512"}, "ours", "sha512"),
    "public key as PEM": forge({}, public(PEM)),
    "public key as DER": forge({}, public(DER)),
    "public key as PEM, said so": forge({"alg": "RS256"}, public(PEM)),
    "public key as DER, said so": forge({"alg": "RS256"}, public(DER)),
    "another's RS256": rs256,
    "empty key": forge({}, b""),
    "the kid as key": forge({}, b"kid"),
    "without kid, rightly signed": forge({"kid": ""}, "ours"),
    "kid of a path, rightly signed": forge({"kid": "../../dev/null"}, "ours"),
    "kid a number, rightly signed": forge({"kid": 0}, "ours"),
    "kid a table, rightly signed": forge({"kid": {}}, "ours"),
    "no typ of ours, rightly signed": forge({"typ": "JWT"}, "ours"),
    "another typ, rightly signed": forge({"typ": "kizashi-oidc_state+jwt"}, "ours"),
    "a key in the header": forge({"jwk": {"kty": "oct", "k": b64(b"k" * 32)}}, b"k" * 32),
    "an address of keys": forge({"jku": "https://evil.example/keys"}, b"k" * 32),
    "critical headers, rightly signed": forge({"crit": ["exp"]}, "ours"),
    "b64 false, rightly signed": forge({"b64": False, "crit": ["b64"]}, "ours"),
    "zip, rightly signed": forge({"zip": "DEF"}, "ours"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_no_forgery_passes(tokens: Tokens, name: str) -> None:
    genuine = tokens.issue(Kind.INVITATION, "staff-1", 60)
    head, body, _ = genuine.split(".")
    forged = FORGERIES[name](tokens, head, body)
    for attempt in (forged, forged.rstrip(".") + ".", forged.rpartition(".")[0] + "."):
        with pytest.raises(BadToken):
            tokens.read(Kind.INVITATION, attempt)
    with pytest.raises(BadToken):
        tokens.spend(Kind.INVITATION, forged)
    assert tokens.read(Kind.INVITATION, genuine).subject == "staff-1"


def test_the_forgers_tools_work(tokens: Tokens) -> None:
    """By hand, with our key and header, a token passes: so the others fail for what they change."""
    head, body, _ = tokens.issue(Kind.INVITATION, "staff-1", 60).split(".")
    assert tokens.read(Kind.INVITATION, forge({}, "ours")(tokens, head, body)).subject == "staff-1"
    assert jws.verify(rs256(tokens, head, body), public(PEM).decode(), ["RS256"])


# -- claims -------------------------------------------------------------------------------------


def test_a_rightly_signed_payload_must_still_be_whole(tokens: Tokens) -> None:
    right = parts(tokens.issue(Kind.INVITATION, "staff-1", 60))[1]
    assert tokens.read(Kind.INVITATION, signed(tokens, right)).subject == "staff-1"
    wrong: list[Any] = [{k: v for k, v in right.items() if k != gone} for gone in right]
    wrong += [{**right, k: None} for k in right]
    wrong += [
        {**right, "aud": "kizashi:oidc_state"},
        {**right, "aud": ["kizashi:invitation"]},
        {**right, "iss": "https://other.example"},
        {**right, "iss": URL + "/"},
        {**right, "sub": 5},
        {**right, "exp": str(right["exp"])},
        {**right, "exp": right["exp"] + 0.5},
        {**right, "exp": True},
        {**right, "exp": 10**400},
        {**right, "iat": -1},
        {**right, "more": {"a": 1}},
        {**right, "more": []},
        {**right, "admin": "yes"},
        [right],
        "text",
        b"",
        b"\xff\xfe",
        b'{"iss": NaN}',
        json.dumps(right).encode() + b" ",
    ]
    trailing = wrong.pop()
    assert tokens.read(Kind.INVITATION, signed(tokens, trailing)).subject == "staff-1"
    for claims in wrong:
        with pytest.raises(BadToken):
            tokens.read(Kind.INVITATION, signed(tokens, claims))


def test_a_kind_does_not_pass_for_another(tokens: Tokens) -> None:
    for kind in Kind:
        token = tokens.issue(kind, "staff-1", 60)
        assert tokens.read(kind, token).kind is kind
        for other in set(Kind) - {kind}:
            with pytest.raises(BadToken):
                tokens.read(other, token)
            # Not even its payload under the other kind's key and header: the audience differs.
            moved = signed(tokens, parts(token)[1], other)
            with pytest.raises(BadToken):
                tokens.read(other, moved)


def test_time(tokens: Tokens, clock: MovableClock) -> None:
    token = tokens.issue(Kind.INVITATION, "staff-1", 60)
    clock.move_by(timedelta(seconds=59, milliseconds=999))
    assert tokens.read(Kind.INVITATION, token)
    clock.move_by(timedelta(milliseconds=1))
    with pytest.raises(BadToken) as late:
        tokens.read(Kind.INVITATION, token)
    assert late.value.expired
    right = parts(tokens.issue(Kind.INVITATION, "staff-1", 3600))[1]
    ahead = {**right, "iat": right["iat"] + CLOCKS_DIFFER_SECONDS}
    assert tokens.read(Kind.INVITATION, signed(tokens, ahead))
    with pytest.raises(BadToken) as early:
        tokens.read(Kind.INVITATION, signed(tokens, {**ahead, "iat": ahead["iat"] + 1}))
    assert not early.value.expired


def test_another_installation_with_the_same_key_is_another(
    database: Database, clock: MovableClock, secret_key: str, tokens: Tokens
) -> None:
    elsewhere = tokens_with(database, clock, secret_key, url="https://test.example")
    with pytest.raises(BadToken):
        elsewhere.read(Kind.INVITATION, tokens.issue(Kind.INVITATION, "staff-1", 60))


def test_another_installations_key_is_no_key_of_ours(
    database: Database, clock: MovableClock, tokens: Tokens
) -> None:
    foreign = tokens_with(database, clock, Fernet.generate_key().decode())
    with pytest.raises(BadToken):
        tokens.read(Kind.INVITATION, foreign.issue(Kind.INVITATION, "staff-1", 60))


def test_the_secret_keys_themselves_sign_nothing(tokens: Tokens, secret_key: str) -> None:
    head, body, _ = tokens.issue(Kind.INVITATION, "staff-1", 60).split(".")
    raw = base64.urlsafe_b64decode(secret_key)
    for key in (raw, secret_key.encode(), hashlib.sha256(raw).digest()):
        with pytest.raises(BadToken):
            tokens.read(Kind.INVITATION, forge({}, key)(tokens, head, body))


# -- tampering ----------------------------------------------------------------------------------


def test_every_changed_letter_is_noticed(tokens: Tokens) -> None:
    token = tokens.issue(Kind.INVITATION, "staff-1", 60)
    body_ends = token.rindex(".")
    # The last letter of a signature holds two bits nobody reads; all before it count.
    for place in (*range(0, len(token) - 1, 3), body_ends, body_ends - 1, len(token) - 2):
        letter = "B" if token[place] != "B" else "C"
        with pytest.raises(BadToken):
            tokens.read(Kind.INVITATION, token[:place] + letter + token[place + 1 :])
    for broken in (token[:-4], token + "A", token + "=", " " + token, token + "\n", token + ".x"):
        with pytest.raises(BadToken):
            tokens.read(Kind.INVITATION, broken)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tokens]:
    """Tokens on a database of their own, for examples by the hundred."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('tokens') / 'k.db'}")
    migrate(database)
    yield tokens_with(database, MovableClock(START), Fernet.generate_key().decode())
    database.close()


LETTERS = "ABCabc019-_."


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=st.one_of(
        st.text(max_size=200),
        st.text(alphabet=LETTERS, max_size=200),
        st.integers(1, 50).map(lambda n: "é" * 100 * n),
        st.just("a." * 3000),
        st.just("eyJhbGciOiJIUzI1NiJ9." + b64(b"[" * 3000) + ".AAAA"),
        st.text(alphabet="\ud800\udfff\x00\u202e", min_size=1),
    )
)
def test_garbage_is_only_ever_a_bad_token(small: Tokens, text: str) -> None:
    for kind in Kind:
        with pytest.raises(BadToken):
            small.read(kind, text)


@settings(deadline=None, max_examples=100)
@given(parts=st.lists(st.binary(max_size=60), min_size=2, max_size=2))
def test_garbage_behind_a_genuine_head_is_only_ever_a_bad_token(
    small: Tokens, parts: list[bytes]
) -> None:
    head = small.issue(Kind.INVITATION, "s", 60).split(".")[0]
    with pytest.raises(BadToken):
        small.read(Kind.INVITATION, ".".join([head, *(b64(part) for part in parts)]))


# -- once ---------------------------------------------------------------------------------------


def test_a_token_is_spent_once(tokens: Tokens, database: Database) -> None:
    token = tokens.issue(Kind.INVITATION, "staff-1", 60)
    other = tokens.issue(Kind.INVITATION, "staff-1", 60)
    assert tokens.spend(Kind.INVITATION, token).subject == "staff-1"
    with pytest.raises(BadToken):
        tokens.spend(Kind.INVITATION, token)
    # Other letters that say the same signature are the same token.
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + last[last.index(token[-1]) ^ 1]
    with pytest.raises(BadToken):
        tokens.spend(Kind.INVITATION, twin)
    assert tokens.spend(Kind.INVITATION, other)
    assert token not in str(make.rows(database, spent_tokens))


def test_many_who_spend_at_once_are_one(tokens: Tokens) -> None:
    token = tokens.issue(Kind.INVITATION, "staff-1", 60)
    start = threading.Barrier(8)
    results: list[bool] = []

    def spend() -> None:
        start.wait()
        try:
            tokens.spend(Kind.INVITATION, token)
        except BadToken:
            results.append(False)
        else:
            results.append(True)

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(results) == [False] * 7 + [True]


def test_spent_rows_go_a_day_after_their_time(
    tokens: Tokens, clock: MovableClock, database: Database
) -> None:
    tokens.spend(Kind.INVITATION, tokens.issue(Kind.INVITATION, "staff-1", 60))
    clock.move_by(timedelta(hours=23))
    tokens.spend(Kind.INVITATION, tokens.issue(Kind.INVITATION, "staff-1", 60))
    assert len(make.rows(database, spent_tokens)) == 2
    clock.move_by(timedelta(hours=2))
    tokens.spend(Kind.INVITATION, tokens.issue(Kind.INVITATION, "staff-1", 60))
    assert len(make.rows(database, spent_tokens)) == 2


# -- rotation -----------------------------------------------------------------------------------


def test_a_new_key_signs_and_the_old_one_still_verifies(
    database: Database, clock: MovableClock, secret_key: str, tokens: Tokens
) -> None:
    token = tokens.issue(Kind.INVITATION, "staff-1", 60)
    newer = Fernet.generate_key().decode()
    rotated = tokens_with(database, clock, newer, secret_key)
    assert rotated.read(Kind.INVITATION, token).subject == "staff-1"
    fresh = rotated.issue(Kind.INVITATION, "staff-1", 60)
    assert tokens_with(database, clock, newer).read(Kind.INVITATION, fresh)
    with pytest.raises(BadToken):
        tokens.read(Kind.INVITATION, fresh)  # the newest signs
    with pytest.raises(BadToken):
        tokens_with(database, clock, newer).read(Kind.INVITATION, token)  # dropped with its key
    rotated.spend(Kind.INVITATION, token)
    with pytest.raises(BadToken):
        tokens.spend(Kind.INVITATION, token)  # a process that has not been restarted yet


# -- any order of events ------------------------------------------------------------------------

POOL = [Fernet.generate_key().decode() for _ in range(6)]


class TokenLife(RuleBasedStateMachine):
    """Issue, read, spend, rotate, drop keys, let time pass: any order, beside a plain model."""

    issued: Bundle[str] = Bundle("issued")

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.database = Database(f"sqlite:///{Path(self.folder.name) / 'k.db'}")
        migrate(self.database)
        self.clock = MovableClock(START)
        self.keys = [POOL[0]]
        self.next = 1
        self.known: dict[str, tuple[Kind, str, Any]] = {}  # token -> kind, key, expires at
        self.spent: set[str] = set()
        self._build()

    def _build(self) -> None:
        self.tokens = tokens_with(self.database, self.clock, *self.keys)

    def _good(self, token: str, kind: Kind) -> bool:
        own, key, ends = self.known[token]
        return own is kind and key in self.keys and self.clock.now() < ends

    @rule(target=issued, kind=st.sampled_from(Kind), seconds=st.integers(0, 120))
    def issue(self, kind: Kind, seconds: int) -> str:
        token = self.tokens.issue(kind, f"s{len(self.known)}", seconds)
        ends = self.clock.now() + timedelta(seconds=seconds)
        self.known[token] = (kind, self.keys[0], ends)
        return token

    @rule(token=issued, kind=st.sampled_from(Kind))
    def read(self, token: str, kind: Kind) -> None:
        self._agree(token, kind, self.tokens.read, good=self._good(token, kind))

    @rule(token=issued, kind=st.sampled_from(Kind))
    def spend(self, token: str, kind: Kind) -> None:
        good = self._good(token, kind) and token not in self.spent
        self._agree(token, kind, self.tokens.spend, good=good)
        if good:
            self.spent.add(token)

    def _agree(
        self, token: str, kind: Kind, do: Callable[[Kind, str], Claims], *, good: bool
    ) -> None:
        if good:
            assert do(kind, token).kind is kind
        else:
            with pytest.raises(BadToken):
                do(kind, token)

    @rule(token=consumes(issued), place=st.integers(0, 400))
    def tamper(self, token: str, place: int) -> None:
        place %= len(token) - 1
        letter = "B" if token[place] != "B" else "C"
        with pytest.raises(BadToken):
            self.tokens.spend(self.known[token][0], token[:place] + letter + token[place + 1 :])

    @rule(seconds=st.integers(1, 90))
    def wait(self, seconds: int) -> None:
        self.clock.move_by(timedelta(seconds=seconds))

    @rule()
    def rotate(self) -> None:
        if self.next < len(POOL):
            self.keys.insert(0, POOL[self.next])
            self.next += 1
        self._build()

    @rule()
    def drop_the_oldest_key(self) -> None:
        if len(self.keys) > 1:
            self.keys.pop()
        self._build()

    @invariant()
    def each_is_remembered_once(self) -> None:
        if hasattr(self, "database"):
            assert len(make.rows(self.database, spent_tokens)) <= len(self.spent)

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()
            self.folder.cleanup()


TestTokenLife = TokenLife.TestCase
TestTokenLife.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
