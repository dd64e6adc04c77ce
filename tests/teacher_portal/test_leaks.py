"""No name, number, answer, word or note leaves where it may not: a town made of canaries.

Every name, number, word and note in it is a string found nowhere else. Children answer and ask for
help, adults record, alerts go to a real Slack-compatible server; then every address of the
application is asked by every role, rightly and wrongly, and the storage fails under them. What is
searched for canaries: log lines, metrics, chat messages, addresses (every redirect, every link and
form of every page), error pages, and each answer to somebody who may not see that child.

Whom a role may see is written here once more, by hand, and not taken from the code under test.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import SecretStr
from sqlalchemy import insert, update

from connectors.messaging.slack import SlackChannel
from demo.slack_room import TOKEN
from tests import make
from tests.messaging.slack_server import SECRET, SlackServer, running
from tests.teacher_portal.canaries import (
    FAR,
    NOTE,
    OFFICES,
    OTHER,
    OWN,
    SECRETS,
    SEES,
    TYPED,
    WHY_FAR,
    WORDS,
    Canaries,
)
from tests.teacher_portal.conftest import HTML, Browser, Browsers
from tests.teacher_portal.school import School
from warning_service import logs
from warning_service.access.trail.audit import Look
from warning_service.alerts.deliver import Deliverer
from warning_service.alerts.tables import routes as chat_routes
from warning_service.app import create_app
from warning_service.clock import Clock
from warning_service.database import Database, StorageUnavailable
from warning_service.events.types import new_id
from warning_service.rooms import Rooms
from warning_service.roster import tables as t

# Streams do not end, and there is nothing personal in a position.
STREAMS = {"/portal/live"}


def found_in(text: str, canaries: set[str]) -> list[str]:
    """Canaries in a text, as they are or percent-encoded or escaped."""
    return sorted(c for c in canaries if any(form in text for form in _forms(c)))


@cache
def _forms(canary: str) -> set[str]:
    """As it is, percent-encoded, and with the escapes of JSON."""
    return {canary, str(httpx.QueryParams({"q": canary}))[2:], json.dumps(canary)[1:-1]}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """All that is logged while the test runs, at the most talkative level."""
    kept, real = io.StringIO(), sys.stderr
    sys.stderr = kept
    try:
        logs.configure("DEBUG")
        yield kept
    finally:
        sys.stderr = real
        structlog.reset_defaults()


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[SlackServer]:
    with running(tmp_path / "slack") as server:
        yield server


def fill(path: str, values: dict[str, str]) -> str:
    """A route's path with its parameters filled in."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda m: values.get(m.group(1), "unknown"), path)


def links(page: str) -> str:
    """Every address a page leads to."""
    return "\n".join(re.findall(r'(?:href|action|src|content)="([^"]*)"', page))


class Walk:
    """Asks everything of everybody and remembers what it saw that nobody should."""

    def __init__(self, rooms: Rooms, canaries: Canaries) -> None:
        self.canaries = canaries
        self.everything = canaries.everything()
        self.leaks: list[str] = []
        self.read: dict[str, set[str]] = {words: set() for words in OFFICES}
        self.asked = 0
        self.routes = [
            context.original_route
            for context in iter_route_contexts(create_app(rooms).routes)
            if isinstance(context.original_route, APIRoute)
        ]

    def look(self, who: str, answer: httpx.Response, hidden: set[str]) -> None:
        """Search one answer."""
        self.asked += 1
        at = f"{who} {answer.request.method} {answer.request.url.path}"
        addresses = answer.headers.get("location", "") + "\n" + str(answer.request.url)
        if "text/html" in answer.headers.get("content-type", ""):
            addresses += links(answer.text)
            if answer.headers.get("referrer-policy") not in {"same-origin", "no-referrer"}:
                self.leaks.append(f"{at}: tells other sites where it was")
        if found := found_in(addresses, self.everything):
            self.leaks.append(f"{at}: in an address {found}")
        # A form that comes back with its problem is the asker's own page, not an error page.
        own_form = answer.status_code == 422 and "<form" in answer.text
        error = answer.status_code >= 400 and not own_form
        if error and (found := found_in(answer.text, self.everything)):
            self.leaks.append(f"{at}: on an error page {found}")
        for words in found_in(answer.text, set(OFFICES)):
            self.read[words].add(who)
        if found := found_in(answer.text, hidden):
            self.leaks.append(f"{at}: {answer.status_code} shows {found}")

    def everywhere(self, who: str, client: httpx.Client, csrf: str, hidden: set[str],
                   places: list[dict[str, str]]) -> None:  # fmt: skip
        """Every route, with the parameters of every place; then every form with a word in it."""
        for route in self.routes:
            if route.path in STREAMS:
                continue
            for number, values in enumerate(places if "{" in route.path else places[:1]):
                path = fill(route.path, values)
                for method in sorted((route.methods or set()) & {"GET", "POST"}):
                    if method == "POST" and number:
                        continue  # one child of each place is looked at; forms are tried once
                    if method == "GET":
                        answer = client.get(path, headers=HTML)
                    elif "sign-out" in path:
                        continue
                    else:
                        form = {
                            "csrf": csrf,
                            "note": TYPED,
                            "words": TYPED,
                            "reason": TYPED,
                            "q": TYPED,
                            "id": TYPED,
                            "student": values["student"],
                        }
                        answer = client.post(path, data=form, headers=HTML)
                    self.look(who, answer, hidden)


def places_of(town: Canaries, list_id: str, alerts: dict[str, str]) -> list[dict[str, str]]:
    """Parameters that name a child of one's own class, of another, of another school."""
    return [
        {"student": town.school.children[class_id][0], "class_id": class_id, "list_id": list_id,
         "alert_id": alerts[class_id], "class_code": class_id.upper(), "seat": "1",
         "questionnaire_id": "kokoro_daily", "staff": "staff-nurse", "alarm": "open",
         "case_id": town.case.get(class_id, "none"), "request_id": town.request[class_id],
         "link": town.link, "section": "registration", "kind": "disclosure"}
        for class_id in (OWN, OTHER, FAR)
    ]  # fmt: skip


def child(url: str, class_id: str) -> tuple[httpx.Client, dict[str, str]]:
    """The first child of a class, signed in at its tablet."""
    client = httpx.Client(base_url=url, trust_env=False, timeout=20)
    door = f"/child/sign-in/{class_id.upper()}/1"
    opened = client.post(door, data={"chosen": "dog-cat", "pick": "sun"}, headers=HTML)
    assert opened.headers.get("location") == "/child", opened.text
    session = client.get("/child/api/session").json()
    return client, {"X-Kizashi-CSRF": session["csrf"]}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_canary_is_found_where_it_should_not_be(
    school: School,
    browsers: Browsers,
    server: str,
    chat: SlackServer,
    lines: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rooms = school.rooms
    for class_id, keys in school.children.items():
        with rooms.database.writing() as conn:
            macs = {key: rooms.sealer.mac(key, "dog-cat-sun") for key in keys}
            for key, mac in macs.items():
                conn.execute(
                    update(t.seats).where(t.seats.c.student == key).values(secret_hash=mac)
                )
        assert class_id
    town = Canaries(school)
    walk = Walk(rooms, town)
    with rooms.database.writing() as conn:
        conn.execute(
            insert(chat_routes),
            [
                {"board": make.BOARD, "place": place, "duty": duty, "channel": "slack",
                 "address": f"room-{duty}-{place}"}
                for duty, place in (("nurse", "sakura"), ("homeroom", OWN), ("nurse", "school2"),
                                    ("guidance", "sakura"), ("homeroom", FAR))
            ],
        )  # fmt: skip

    # Children answer and ask for help, rightly and wrongly.
    small, csrf = child(server, OWN)
    good = {"id": new_id(), "questionnaire": "kokoro_daily", "version": 1,
            "answers": {"mood": 3, "sleep": 3, "body": 3},
            "answered_at": rooms.clock.now().isoformat()}  # fmt: skip
    call = {"id": new_id(), "whom": ["nurse"], "about": ["friends"], "words": WORDS,
            "asked_at": rooms.clock.now().isoformat()}  # fmt: skip
    nobody: set[str] = set(SECRETS)
    everyone_else = town.hidden_from("committee", [])
    for path, body in (
        ("/child/api/check-ins", good),
        ("/child/api/check-ins", {**good, "answers": {WORDS: 1}}),
        ("/child/api/check-ins", {**good, "answers": {"mood": WORDS}}),
        ("/child/api/consultations", call),
        ("/child/api/consultations", {**call, "about": [WORDS]}),
        ("/child/api/consultations", {**call, "words": WORDS * 2}),
        ("/child/api/consultations", {**call, "id": WORDS}),
    ):
        walk.look("child", small.post(path, json=body, headers=csrf), nobody)
    torn = small.post(
        "/child/api/consultations",
        content=WORDS.encode() + b"{",
        headers={**csrf, "content-type": "application/json"},
    )
    walk.look("child", torn, nobody)
    school.raise_alerts()
    far = school.alert(school.children[FAR][0], "anyone")
    other = school.alert(school.children[OTHER][0], "homeroom", words=WORDS)
    own = rooms.alerts.of_student(school.children[OWN][0])[0].id
    listed = [school.children[OWN][0], school.children[OTHER][1]]
    list_id = school.warning_list(listed, ranked=school.children[OWN] + school.children[OTHER])
    chat_settings = rooms.settings.model_copy(
        update={"slack_api_url": chat.api_url, "slack_bot_token": SecretStr(TOKEN),
                "slack_signing_secret": SecretStr(SECRET)}
    )  # fmt: skip
    deliverer = Deliverer(
        rooms.log, {"slack": SlackChannel(chat_settings)}, public_url="http://portal.test"
    )
    from warning_service.alerts.consumer import AlertsConsumer
    from warning_service.events.dispatcher import Dispatcher

    school.consultation(school.children[OWN][1], "nurse", words=WORDS)
    teller = Dispatcher(rooms.log, AlertsConsumer(rooms.log, rooms.playbooks), make.BOARD)
    teller.drain()
    teller.release()
    assert deliverer.run_once() > 0

    # An adult writes a note; everybody then asks for everything.
    rooms.follow_ups.record(school.who("nurse"), school.children[OWN][2], "talked", "same", NOTE)
    town.offices_work()
    places = places_of(town, list_id, {OWN: own, OTHER: other, FAR: far})
    # On PostgreSQL a second wall stands behind the same pages: a few askers show that it does.
    few = ("homeroom", "committee", "board", "welfare", "nurse2")
    for login in SEES if rooms.database.is_sqlite else few:
        browser = browsers_signed_in(browsers, login)
        hidden = town.hidden_from(login, listed)
        walk.everywhere(login, browser.client, browser.csrf, hidden, places)
    with httpx.Client(base_url=server, trust_env=False, timeout=20) as stranger:
        walk.everywhere("nobody", stranger, "", town.everything(), places)
    mine = town.of[OWN][0]
    walk.everywhere("child", small, csrf["X-Kizashi-CSRF"],
                    (everyone_else | {NOTE}) - mine, places)  # fmt: skip

    # The storage fails under everybody, and a bug quotes a row.
    person = browsers_signed_in(browsers, "nurse")

    def full(*_: object, **__: object) -> None:
        raise StorageUnavailable("full")

    def bug(*_: object, **__: object) -> list[Look]:
        raise ValueError(f"a bug that quotes {WORDS} and {sorted(mine)}")

    with monkeypatch.context() as broken:
        broken.setattr(Database, "writing", full)
        for path in (f"/portal/students/{school.children[OWN][0]}", "/portal/alerts", "/portal"):
            walk.look("nurse, disk full", person.client.get(path, headers=HTML), town.everything())
        walk.look("child, disk full", small.post("/child/api/consultations", json=call | {
            "id": new_id()}, headers=csrf), town.everything())  # fmt: skip
    with monkeypatch.context() as broken:
        broken.setattr("warning_service.access.gateway._load", bug)
        answer = person.client.get(f"/portal/students/{school.children[OWN][0]}", headers=HTML)
        assert answer.status_code == 500
        walk.look("nurse, a bug", answer, town.everything())

    sent = json.dumps(chat.posted(), ensure_ascii=False)
    assert "相談" in sent
    metrics = httpx.get(f"{server}/metrics", trust_env=False).text
    logged = lines.getvalue()
    assert '"route": "/portal/students/{student}"' in logged
    walk.leaks += [f"in chat: {one}" for one in found_in(sent, town.everything())]
    walk.leaks += [f"in metrics: {one}" for one in found_in(metrics, town.everything())]
    walk.leaks += [
        f"in the log: {found} in {line}"
        for line in logged.splitlines()
        if (found := found_in(line, town.everything()))
    ]
    for answer_words in ('"answers"', '"mood"'):
        walk.leaks += [f"{answer_words} in the log"] * (answer_words in logged)
        walk.leaks += [f"{answer_words} in chat"] * (answer_words in sent)
    small.close()
    assert walk.asked > 300
    if rooms.database.is_sqlite:
        # The pages were truly there to be read. (While a decision waits, its own officer is not
        # shown the reason again.)
        assert walk.read == {**OFFICES, WHY_FAR: {"board"}}
    assert not walk.leaks, "\n".join(walk.leaks)


def browsers_signed_in(browsers: Browsers, login: str) -> Browser:
    """A browser with that login's session, also for a role whose home is no page."""
    browser = browsers()
    answer: Any = browser.client.post(
        "/portal/sign-in", data={"login": login, "password": make.PASSWORD}
    )
    assert answer.status_code == 303, (login, answer.text[:300])
    page = browser.client.get("/portal", headers=HTML, follow_redirects=True).text
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    browser.csrf = found.group(1) if found else ""
    return browser


def test_the_search_itself_finds_what_is_there() -> None:
    canaries = {"鵺岡1号", "NUE-00001"}
    assert found_in("/portal/q?name=%E9%B5%BA%E5%B2%A11%E5%8F%B7", canaries) == ["鵺岡1号"]
    assert found_in(json.dumps({"a": "鵺岡1号"}), canaries) == ["鵺岡1号"]
    assert found_in("… NUE-00001 …", canaries) == ["NUE-00001"]
    assert found_in("nothing", canaries) == []
    assert links('<a href="/x?n=鵺岡1号">') == "/x?n=鵺岡1号"
    assert Clock().now().tzinfo is not None
