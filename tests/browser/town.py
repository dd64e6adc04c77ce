"""The demo town as a process, and browsers that sign in to it as its people do.

Used by the browser tests and by `make screenshots`; both see exactly what `make demo` serves.
"""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from rich.console import Console

from demo.progress import Lines
from demo.run import prepare, ready, settings_for
from tests.browser.provide import MISSING, provide

READY_SECONDS = 420
TABLET = {"width": 820, "height": 1180}
DESK = {"width": 1280, "height": 860}
ROOM = {"width": 1600, "height": 900}


@dataclass
class Town:
    """A served town: its address and its ready sign-ins, by role (in English)."""

    address: str
    people: dict[str, object]
    log: Path

    def person(self, role: str) -> object:
        """The ready sign-in of that role."""
        return self.people[role]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(data_dir: Path) -> Iterator[Town]:
    """Run `kizashi demo` until the block ends."""
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    log = data_dir.parent / f"demo-{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "warning_service", "demo",
             "--data-dir", str(data_dir), "--port", str(port)],
            stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            _wait(process, address, log)
            settings, _ = settings_for(data_dir, port)
            rooms = prepare(settings, Lines(Console(quiet=True)))  # built already: only opened
            # The first of each role: the second school is there for its daily questions.
            people = {one.role_en: one for one in reversed(ready(rooms))}
            rooms.database.close()
            yield Town(address, people, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError("the demo ended: " + log.read_text("utf-8")[-2000:])
        try:
            with urllib.request.urlopen(address + "/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise AssertionError("the demo was not ready: " + log.read_text("utf-8")[-2000:])


@contextmanager
def browser() -> Iterator[Browser]:
    """A real Chromium. Fails with a sentence when none can be had."""
    path = provide()
    assert path is not None, MISSING
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
        )
        yield chromium
        chromium.close()


def context(chromium: Browser, size: dict[str, int]) -> BrowserContext:
    """A browser profile of its own, in Japanese, that fails on anything from outside."""
    made = chromium.new_context(
        viewport={"width": size["width"], "height": size["height"]},
        locale="ja-JP",
        timezone_id="Asia/Tokyo",
        has_touch=size is TABLET,
    )
    made.set_default_timeout(15_000)
    return made


def sign_in_child(page: Page, town: Town, who: object) -> None:
    """As a child does: class, number, three pictures."""
    page.goto(f"{town.address}/child/sign-in?other=1")  # whatever class it was last
    page.fill("#code", who.name)  # type: ignore[attr-defined]
    page.locator(".keypad button[type=submit]").click()
    page.get_by_role("link", name=re.compile(rf"^{who.number}\D*$")).click()  # type: ignore[attr-defined]
    for picture in who.secret.split("-"):  # type: ignore[attr-defined]
        page.locator(f"button[name=pick][value={picture}]").click()
    page.wait_for_url(re.compile(r"/child/?$"))


def sign_in_staff(page: Page, town: Town, who: object) -> None:
    """As an adult does: name and password."""
    page.goto(f"{town.address}/portal/sign-in")
    page.fill("input[name=login]", who.name)  # type: ignore[attr-defined]
    page.fill("input[name=password]", who.secret)  # type: ignore[attr-defined]
    page.locator("main button[type=submit]").click()
    page.wait_for_url(lambda url: "/portal/sign-in" not in url)
    if "/portal/second-factor" in page.url:
        page.fill("#code", code_shown(page, town, who))
        page.locator("main button[type=submit]").first.click()
        page.wait_for_url(lambda url: "/portal/second-factor" not in url)


def code_shown(page: Page, town: Town, who: object) -> str:
    """What that person's app shows now, as the demo's page tells it."""
    shown = page.request.get(f"{town.address}/demo").text()
    row = shown[shown.index(f">{who.name}<") :]  # type: ignore[attr-defined]
    found = re.search(r"<strong>(\d{6})</strong>", row)
    assert found is not None
    return found.group(1)
