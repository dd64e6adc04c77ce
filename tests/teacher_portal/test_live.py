"""Alerts reach an open page within a second, and a page that was away hears what it missed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from teacher_portal import live
from tests import make
from tests.teacher_portal.conftest import Browser, Browsers
from tests.teacher_portal.school import School
from warning_service.clock import monotonic
from warning_service.database import StorageUnavailable
from warning_service.events import log as event_log

WITHIN_SECONDS = 1.0


class Stream:
    """Reads server-sent events in a thread; `wait` gives the next one and when it came."""

    def __init__(self, browser: Browser, url: str, headers: dict[str, str] | None = None) -> None:
        self._found: list[tuple[str, int, float]] = []
        self._taken = 0
        self._news = threading.Condition()
        self.ended = False
        self._context = browser.client.stream("GET", url, headers=headers)
        self._answer = self._context.__enter__()
        assert self._answer.headers["content-type"].startswith("text/event-stream")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        kind, position = "", 0
        try:
            for line in self._answer.iter_lines():
                if line.startswith("event:"):
                    kind = line[6:].strip()
                elif line.startswith("data:"):
                    position = int(line[5:])
                elif not line and kind:
                    with self._news:
                        self._found.append((kind, position, monotonic()))
                        self._news.notify_all()
                    kind = ""
        except httpx.HTTPError:
            pass
        with self._news:
            self.ended = True
            self._news.notify_all()

    def wait(self, seconds: float = 5.0) -> tuple[str, int, float] | None:
        with self._news:
            self._news.wait_for(lambda: len(self._found) > self._taken or self.ended, seconds)
            if len(self._found) <= self._taken:
                return None
            self._taken += 1
            return self._found[self._taken - 1]

    def close(self) -> None:
        self._context.__exit__(None, None, None)


@pytest.fixture
def nurse(school: School, browsers: Browsers) -> Browser:
    return browsers("nurse")


@pytest.fixture
def listen(nurse: Browser) -> Iterator[object]:
    streams: list[Stream] = []

    def start(url: str = "/portal/live", headers: dict[str, str] | None = None) -> Stream:
        stream = Stream(nurse, url, headers)
        streams.append(stream)
        first = stream.wait()
        assert first is not None and first[0] == "ready"
        return stream

    yield start
    for stream in streams:
        stream.close()


def test_an_alert_is_heard_within_a_second(school: School, listen) -> None:
    stream = listen()
    begin = monotonic()
    school.alert(school.children["sakura-1"][0])
    heard = stream.wait()
    assert heard is not None and heard[0] == "alerts"
    assert heard[2] - begin < WITHIN_SECONDS
    with school.rooms.database.reading() as conn:
        assert heard[1] <= event_log.head(conn, make.BOARD)


def test_an_alert_is_heard_without_any_wakeup(school: School, listen) -> None:
    """A hint that is lost (another process on SQLite) costs half a second, not the news."""
    stream = listen()
    school.rooms.log.wakeups._callbacks.clear()
    begin = monotonic()
    school.alert(school.children["sakura-1"][0])
    heard = stream.wait()
    assert heard is not None and heard[0] == "alerts"
    assert heard[2] - begin < WITHIN_SECONDS


def test_acknowledging_is_heard_by_the_others(school: School, listen, browsers: Browsers) -> None:
    alert = school.alert(school.children["sakura-1"][0])
    stream = listen()
    assert browsers("homeroom").post(f"/portal/alerts/{alert}/acknowledge").status_code == 303
    heard = stream.wait()
    assert heard is not None and heard[0] == "alerts"


def test_other_events_and_other_boards_are_not_told(school: School, listen) -> None:
    stream = listen()
    student = school.children["sakura-1"][0]
    make.append(school.rooms.log, make.check_in(student, school.rooms.clock, mood=1))
    assert stream.wait(1.2) is None


def test_a_page_that_was_away_is_told_what_it_missed(school: School, listen) -> None:
    with school.rooms.database.reading() as conn:
        before = event_log.head(conn, make.BOARD)
    school.alert(school.children["sakura-1"][0])
    by_header = listen(headers={"last-event-id": str(before)})
    heard = by_header.wait(1.0)
    assert heard is not None and heard[0] == "alerts"
    by_query = listen(f"/portal/live?after={before}")
    heard = by_query.wait(1.0)
    assert heard is not None and heard[0] == "alerts"
    current = listen(headers={"last-event-id": str(heard[1])})
    assert current.wait(0.7) is None


def test_a_stream_ends_with_its_session(
    school: School, nurse: Browser, listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("teacher_portal.live.SESSION_SECONDS", 0.1)
    stream = listen()
    token = nurse.client.cookies["kizashi_staff"]
    school.rooms.sessions.sign_out(token)
    heard = stream.wait()
    assert heard is not None and heard[0] == "signed-out"
    assert stream.wait(3) is None and stream.ended


def test_nobody_unsigned_may_listen(school: School, browsers: Browsers) -> None:
    assert browsers().client.get("/portal/live").status_code == 401


def test_the_fragment_shows_what_was_heard(school: School, nurse: Browser) -> None:
    assert "いま対応することはありません" in nurse.get("/portal/alerts/fragment")
    alert = school.alert(school.children["sakura-1"][2])
    page = nurse.get("/portal/alerts/fragment")
    assert alert in page and "児3" in page
    with school.rooms.database.reading() as conn:
        assert f'data-position="{event_log.head(conn, make.BOARD)}"' in page


def test_listening_does_not_keep_an_idle_session_alive(
    school: School, nurse: Browser, listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    monkeypatch.setattr("teacher_portal.live.SESSION_SECONDS", 0.1)
    monkeypatch.setattr(
        "warning_service.access.doors.sessions.REMEMBER_SECONDS", {"staff": 0.0, "child": 0.0}
    )
    stream = listen()
    school.rooms.clock.move_by(  # type: ignore[attr-defined]
        timedelta(seconds=school.rooms.settings.staff_session_idle + 1)
    )
    heard = stream.wait()
    assert heard is not None and heard[0] == "signed-out"


def test_places_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = live.Streams()
    with ExitStack() as held:
        for _ in range(live.MOST_OF_SESSION):
            assert not streams.full("mine")
            held.enter_context(streams.one_more("mine"))
        assert streams.full("mine") and not streams.full("another's")
        monkeypatch.setattr(live, "MOST_OPEN", live.MOST_OF_SESSION)
        assert streams.full("another's")
    assert not streams.full("mine")


def test_a_session_has_few_streams(nurse: Browser, listen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_OF_SESSION", 1)
    listen()
    refused = nurse.client.get("/portal/live")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0


def test_the_process_has_a_bound(
    school: School, nurse: Browser, listen, browsers: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_OPEN", 1)
    listen()
    assert browsers("homeroom").client.get("/portal/live").status_code == 429


def test_a_page_that_knows_more_than_the_log_is_told_to_look_again(school: School, listen) -> None:
    """The database was put back from a backup while the page was open."""
    ahead = listen(headers={"last-event-id": "999999"})
    heard = ahead.wait(1.0)
    assert heard is not None and heard[0] == "alerts" and heard[1] < 999999


def test_the_position_moves_on_only_with_the_news(school: School, nurse: Browser) -> None:
    """A connection cut after the first lines must not lose what was missed."""
    with school.rooms.database.reading() as conn:
        before = event_log.head(conn, make.BOARD)
    school.alert(school.children["sakura-1"][0])
    with nurse.client.stream(
        "GET", "/portal/live", headers={"last-event-id": str(before)}
    ) as answer:
        lines = answer.iter_lines()
        seen = [next(lines) for _ in range(8)]
    assert seen[1:3] == [f"id: {before}", "event: ready"]
    assert "event: alerts" in seen and seen[seen.index("event: alerts") - 1] != f"id: {before}"
    assert not [line for line in seen if not line.startswith(("retry:", "id:", "event:", "data:"))
                and line]  # fmt: skip


def test_storage_that_is_away_costs_no_news(
    school: School, nurse: Browser, listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> list[object]:
        raise StorageUnavailable("gone")

    with school.rooms.database.reading() as conn:
        before = event_log.head(conn, make.BOARD)
    school.alert(school.children["sakura-1"][0])
    headers = {"last-event-id": str(before)}
    with monkeypatch.context() as broken:
        broken.setattr(event_log.Log, "types_after", away)
        with nurse.client.stream("GET", "/portal/live", headers=headers) as answer:
            assert list(answer.iter_lines()) == ["retry: 2000", ""]
    heard = listen(headers=headers).wait(1.0)
    assert heard is not None and heard[0] == "alerts"
