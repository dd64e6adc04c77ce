from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from tests import make
from tests.sign_in.provider import CLIENT_ID, CLIENT_SECRET
from warning_service.app import create_app
from warning_service.clock import MovableClock, monotonic
from warning_service.rooms import Rooms
from warning_service.settings import Settings, SignInProvider

HTML = {"accept": "text/html"}
TENANT = "11111111-2222-3333-4444-555555555555"


class Outside:
    """The provider's process, as a test tells it to be."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, trust_env=False, verify=False, timeout=20)

    def is_like(self, **told: Any) -> None:
        """Good, but for what is told."""
        self._client.post("/control", json=told).raise_for_status()

    def was_asked(self) -> list[str]:
        found: list[str] = self._client.get("/seen").json()
        return found

    def authorize(self, address: str) -> str:
        """A browser goes to the provider; where it is sent back to."""
        answer = self._client.get(address)
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="session")
def provider_process() -> Iterator[str]:
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen(
        [sys.executable, "-m", "tests.sign_in.provider"],
        cwd=root, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@pytest.fixture
def outside(provider_process: str) -> Iterator[Outside]:
    found = Outside(provider_process)
    found.is_like()
    yield found
    found.close()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def configured(name: str, issuer: str, **more: Any) -> SignInProvider:
    return SignInProvider(
        **{
            "name": name, "board": make.BOARD, "people": "staff", "label": f"{name}で入る",
            "label_en": f"Sign in with {name}", "issuer": issuer, "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET, **more,
        }
    )  # fmt: skip


@pytest.fixture
def providers(provider_process: str) -> list[SignInProvider]:
    """What is configured: the same outside process in several roles."""
    return [
        configured("city", provider_process, second_factor=["mfa", "urn:strong"]),
        configured("google", provider_process, kind="google", hosted_domain="school.example"),
        configured("entra", provider_process, kind="entra", tenant=TENANT, second_factor=["c1"]),
        configured("pupils", provider_process, people="children"),
        configured("elsewhere", provider_process, board="another"),
    ]


@pytest.fixture
def settings(
    database_url: str, secret_key: str, tmp_path: Path, providers: list[SignInProvider]
) -> Settings:
    return Settings(
        environment="test",
        database_url=database_url,
        secret_keys=[secret_key],  # type: ignore[list-item]
        data_dir=tmp_path / "data",
        public_url=f"http://127.0.0.1:{free_port()}",
        sign_in_providers=providers,
    )


@pytest.fixture
def server(rooms: Rooms) -> Iterator[str]:
    """The real application behind a real server at its public address."""
    port = int(rooms.settings.public_url.rsplit(":", 1)[1])
    config = uvicorn.Config(
        create_app(rooms), port=port, log_config=None, access_log=False,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    begin = monotonic()
    while not running.started:
        assert thread.is_alive() and monotonic() - begin < 20
        threading.Event().wait(0.01)
    yield rooms.settings.public_url
    running.should_exit = True
    thread.join(timeout=10)


class Browser:
    """Keeps cookies, goes where it is sent one step at a time."""

    def __init__(self, url: str, outside: Outside) -> None:
        self.client = httpx.Client(
            base_url=url, trust_env=False, verify=False, timeout=20, headers=HTML
        )
        self.outside = outside

    def set_out(self, name: str, people: str = "portal", **query: str) -> str:
        """Press the button; the address at the provider."""
        answer = self.client.get(f"/{people}/account/{name}/begin", params=query)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    def come_back(self, address: str) -> httpx.Response:
        """Be sent back to us."""
        return self.client.get(address)

    def sign_in(self, name: str, people: str = "portal", **query: str) -> httpx.Response:
        """There and back."""
        return self.come_back(self.outside.authorize(self.set_out(name, people, **query)))

    def why_not(self, answer: httpx.Response) -> str:
        """The problem a refused journey ends with; its page can be read."""
        assert answer.status_code == 303, (answer.status_code, answer.text)
        location = str(answer.headers["location"])
        assert "code=" not in location and "state=" not in location
        found = re.fullmatch(r"/(portal|child)/account/([a-z_]+)", location)
        assert found is not None, location
        page = self.client.get(location)
        assert page.status_code == (503 if found[2] == "down" else 403)
        assert "kizashi_staff" not in answer.headers.get("set-cookie", "")
        assert "kizashi_child" not in answer.headers.get("set-cookie", "")
        return found[2]


Browsers = Callable[[], Browser]


@pytest.fixture
def browsers(server: str, outside: Outside) -> Iterator[Browsers]:
    with ExitStack() as stack:

        def one() -> Browser:
            browser = Browser(server, outside)
            stack.callback(browser.client.close)
            return browser

        yield one


@pytest.fixture
def browser(browsers: Browsers) -> Browser:
    return browsers()


@pytest.fixture
def town(rooms: Rooms, clock: MovableClock) -> list[str]:
    """A class with two children, a teacher whose address is noted; the children's keys."""
    make.places(rooms.database)
    keys = make.children(rooms.log, "sakura-1", 2)
    make.staff(rooms.database, "tanaka", ("homeroom", "sakura-1"))
    rooms.identities.expect("staff", make.BOARD, {"Tanaka@School.example": "staff-tanaka"})
    rooms.identities.expect("child", make.BOARD, {"child1@school.example": keys[0]})
    return keys
