from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest
import uvicorn

from tests import make
from tests.teacher_portal.school import School
from warning_service.app import create_app
from warning_service.clock import monotonic
from warning_service.rooms import Rooms

HTML = {"accept": "text/html"}


class Browser:
    """A signed-in member of staff: keeps cookies, finds CSRF tokens, follows nothing by itself."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, trust_env=False, verify=False, timeout=20)
        self.csrf = ""

    def sign_in(self, login: str) -> None:
        answer = self.client.post(
            "/portal/sign-in", data={"login": login, "password": make.PASSWORD}
        )
        assert answer.status_code == 303, answer.text
        page = self.client.get("/portal", headers=HTML, follow_redirects=True).text
        found = re.search(r'name="csrf" value="([^"]+)"', page)
        assert found is not None, page[:500]
        self.csrf = found.group(1)

    def get(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path, headers=HTML)
        assert answer.status_code == status, (path, answer.status_code, answer.text[:600])
        return answer.text

    def post(self, path: str, *, csrf: str | None = None, **fields: object) -> httpx.Response:
        data = {"csrf": self.csrf if csrf is None else csrf, **fields}
        return self.client.post(path, data=data, headers=HTML)


Browsers = Callable[..., Browser]


@pytest.fixture
def school(rooms: Rooms) -> School:
    return School(rooms)


@pytest.fixture
def server(rooms: Rooms) -> Iterator[str]:
    """The real application behind a real server; its URL."""
    config = uvicorn.Config(
        create_app(rooms), port=0, log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    begin = monotonic()
    while not running.started:
        assert thread.is_alive() and monotonic() - begin < 20
        threading.Event().wait(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(timeout=10)


@pytest.fixture
def browsers(server: str) -> Iterator[Browsers]:
    """Makes browsers; with a login they are signed in."""
    with ExitStack() as stack:

        def make_one(login: str = "") -> Browser:
            browser = Browser(server)
            stack.callback(browser.client.close)
            if login:
                browser.sign_in(login)
            return browser

        yield make_one
