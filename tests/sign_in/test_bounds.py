"""Whatever a provider sends: no crash, no key chosen by a token, nothing in a log."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwk

from connectors.sign_in.documents import ProviderDown, fetch
from connectors.sign_in.provider import NotBelieved, Provider, whose
from tests.sign_in.conftest import TENANT, Browser, Browsers, Outside, configured
from tests.sign_in.provider import CLIENT_SECRET, b64
from tests.sign_in.test_staff import VERIFIED
from warning_service.app import build, create_app
from warning_service.database import Database
from warning_service.migrate import migrate
from warning_service.settings import Settings

ISSUER = "https://id.example"
KINDS = [
    configured("city", ISSUER, second_factor=["mfa"]),
    configured("google", ISSUER, kind="google", hosted_domain="school.example"),
    configured("entra", ISSUER, kind="entra", tenant=TENANT, second_factor=["c1"]),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NAMES = ["sub", "hd", "tid", "oid", "email", "email_verified", "preferred_username", "amr", "acr",
         "acrs", "auth_time"]  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(claims=st.dictionaries(st.sampled_from(NAMES), JSON), provider=st.sampled_from(KINDS))
def test_any_claims_are_an_account_or_not_believed(claims: dict[str, Any], provider: Any) -> None:
    try:
        account = whose(provider, claims)
    except NotBelieved:
        return
    assert account.subject
    assert provider.kind != "google" or claims["hd"] == "school.example"
    assert provider.kind != "entra" or account.subject.startswith(TENANT + ".")
    assert not account.address or provider.kind == "entra" or claims["email_verified"] is True


@pytest.fixture(scope="module")
def keyed() -> Provider:
    """A provider whose keys are known already, so that nothing is fetched."""
    provider = Provider(KINDS[0])
    key = jwk.RSAKey.import_key(
        rsa.generate_private_key(65537, 2048).public_key(), {"kid": "k", "use": "sig"}
    )

    async def keys(*, fresh: bool = False) -> jwk.KeySet:
        return jwk.KeySet([key])

    provider.documents.keys = keys  # type: ignore[method-assign]
    return provider


@settings(deadline=None, max_examples=200)
@given(
    token=st.one_of(
        JSON,
        st.text(alphabet="eyJ019-_.=", max_size=80),
        st.tuples(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40)).map(
            lambda three: ".".join(b64(part) for part in three)
        ),
        st.tuples(
            st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "b64"]), JSON),
            st.binary(max_size=40),
        ).map(lambda two: f"{b64(json.dumps(two[0]).encode())}.{b64(two[1])}.AA"),
    )
)
def test_any_id_token_is_only_ever_not_believed(keyed: Provider, token: Any) -> None:
    with pytest.raises(NotBelieved):
        asyncio.run(keyed._verified({"id_token": token}, "nonce"))


def test_an_endless_drip_is_cut_off(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time; the whole does not."""
    monkeypatch.setattr("connectors.sign_in.documents.WITHIN_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as door:
        over = threading.Event()

        def drip() -> None:
            line, _ = door.accept()
            with line:
                line.recv(4096)
                line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
                while not over.wait(0.1):
                    try:
                        line.sendall(b" ")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        with pytest.raises(ProviderDown) as cut:
            asyncio.run(fetch("keys", "GET", f"http://127.0.0.1:{door.getsockname()[1]}/"))
        over.set()
        thread.join(timeout=5)
    assert (cut.value.step, cut.value.reason) == ("keys", "TimeoutError")


def test_nobody_there_is_down() -> None:
    for url in ("http://127.0.0.1:9/", "https://127.0.0.1:9/", "http://[::1", "http://no.invalid/"):
        with pytest.raises(ProviderDown):
            asyncio.run(fetch("keys", "GET", url))


@pytest.mark.usefixtures("town")
def test_nothing_that_was_sent_stands_in_a_log(
    browsers: Browsers, outside: Outside, capfd: pytest.CaptureFixture[str]
) -> None:
    sent: list[str] = [CLIENT_SECRET, "tanaka@school.example", "u-1"]
    for told in ({}, {"sign": "none"}, {"status": {"/token": 400}}, {"error": "access_denied"}):
        outside.is_like(claims=VERIFIED, **told)
        browser: Browser = browsers()
        back = outside.authorize(browser.set_out("city"))
        query = parse_qs(urlsplit(back).query)
        sent += [query["state"][0], *query.get("code", []), *browser.client.cookies.values()]
        answer = browser.come_back(back)
        sent += browser.client.cookies.values()
        assert browser.outside is outside and answer.status_code == 303
    logged = "".join(capfd.readouterr())
    assert "sign_in_refused" in logged and "/portal/account/{name}/back" in logged
    assert [text for text in sent if text in logged] == []


@pytest.mark.parametrize("people", ["portal", "child"])
def test_over_https_the_cookies_are_for_https_alone(
    outside: Outside, secret_key: str, tmp_path: Path, people: str
) -> None:
    url = "https://kizashi.example"
    made = Settings(
        environment="test", data_dir=tmp_path, public_url=url, allowed_hosts=["kizashi.example"],
        secret_keys=[secret_key],  # type: ignore[list-item]
        sign_in_providers=[
            configured("city", outside.url, people="staff" if people == "portal" else "children")
        ],
    )  # fmt: skip
    migrate(Database(made.sqlalchemy_url))
    rooms = build(made)

    async def begin() -> httpx.Response:
        inside = httpx.ASGITransport(app=create_app(rooms))
        async with httpx.AsyncClient(transport=inside, base_url=url) as client:
            return await client.get(f"/{people}/account/city/begin")

    answer = asyncio.run(begin())
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Secure-kizashi_journey=")
    for flag in ("HttpOnly", "Secure", "SameSite=lax", f"Path=/{people}/account", "Max-Age=600"):
        assert flag in cookie
    back = parse_qs(urlsplit(answer.headers["location"]).query)["redirect_uri"]
    assert back == [f"{url}/{people}/account/city/back"]
    rooms.database.close()
