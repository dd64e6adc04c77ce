"""What the tablets ask of sessions, and how wording is shown to a grade."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from student_checkin.known import Known
from student_checkin.show import ruby
from tests import make
from warning_service.access.doors.sessions import Sessions
from warning_service.catalogue.questionnaires import plain, readable
from warning_service.database import Database, StorageUnavailable
from warning_service.rooms import Rooms


@pytest.fixture
def tokens(rooms: Rooms) -> list[str]:
    (class_id,) = make.places(rooms.database)
    keys = make.children(rooms.log, class_id, 3)
    make.seats(rooms.database, rooms.sealer, class_id, keys, "cat-sun-boat")
    found = [
        rooms.child_door.sign_in(class_id.upper(), seat, "cat-sun-boat", "here")
        for seat in (1, 2, 3)
    ]
    return [token for token in found if token]


def test_waiting_requests_are_looked_up_together(
    rooms: Rooms, tokens: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    real = Sessions.find_children

    def count(self: Sessions, wanted: list[str]) -> dict[str, object]:
        asked.append(list(wanted))
        return real(self, wanted)  # type: ignore[return-value]

    monkeypatch.setattr(Sessions, "find_children", count)
    known = Known(rooms.sessions)

    async def go() -> list[object]:
        return await asyncio.gather(*(known.child(t) for t in [*tokens, *tokens, "forged", ""]))

    found = asyncio.run(go())
    assert [getattr(who, "key", None) is not None for who in found] == [True] * 6 + [False] * 2
    assert [sorted(one) for one in asked] == [sorted([*tokens, "forged"])]
    rooms.sessions.sign_out(tokens[0])
    again = asyncio.run(go())
    assert again[0] is None and again[3] is None
    assert again[1] == found[1]


def test_a_lookup_without_storage_fails_for_all_who_wait(
    rooms: Rooms, tokens: list[str], database: Database
) -> None:
    with database.writing() as conn:
        conn.exec_driver_sql("ALTER TABLE sessions RENAME TO gone")
    known = Known(rooms.sessions)

    async def go() -> list[object]:
        return await asyncio.gather(*(known.child(t) for t in tokens), return_exceptions=True)

    found = asyncio.run(go())
    assert len(found) == 3
    assert all(isinstance(one, Exception) for one in found)
    if database.is_sqlite:
        assert all(isinstance(one, StorageUnavailable) for one in found)


def test_a_session_signed_out_while_it_was_read_is_not_remembered(
    rooms: Rooms, tokens: list[str]
) -> None:
    who = rooms.sessions.find(tokens[0])
    assert who is not None
    rooms.sessions.sign_out(tokens[0])
    ends_at = rooms.clock.now() + timedelta(hours=1)
    rooms.sessions._remember(who.token_hash, who, ends_at)  # what a slow reader would do now
    assert rooms.sessions.find_cached(tokens[0]) is None


def test_the_door_of_a_class_shows_numbers(rooms: Rooms, tokens: list[str]) -> None:
    assert tokens
    door = rooms.child_door.class_door("SAKURA-1")
    assert door is not None
    assert (door.name, door.grade, door.seats) == ("4年1組", 4, (1, 2, 3))
    assert rooms.child_door.class_door("sakura-9") is None


def test_wording_is_read_by_grade() -> None:
    marked = "{学校|がっこう|1}に_{届|とど|6}く"
    assert [(r.text, r.reading) for r in readable(marked, 2)] == [
        ("学校", ""), ("に ", ""), ("届", "とど"), ("く", ""),
    ]  # fmt: skip
    assert ruby(marked, 1).startswith("<ruby>学校<rp>(</rp><rt>がっこう</rt>")
    assert ruby(marked, 7) == "学校に届く" == plain(marked)
    assert ruby("<b>{x}", 1) == "&lt;b&gt;{x}"
