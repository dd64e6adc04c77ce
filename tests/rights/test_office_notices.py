"""Alarms on looking and ending terms are told over the ordinary channels, and end by themselves."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from tests import make
from tests.rights.conftest import Pages, Town, decided, moved, pages, server, town
from warning_service.access.tables import looking_alarms
from warning_service.access.trail import alarm_desk
from warning_service.alerts import rebuild
from warning_service.alerts.notices import LOOKING_ALARM, REQUEST_DUE
from warning_service.alerts.tables import alerts, deliveries, routes
from warning_service.rights.office_notices import LATE, SOON_DAYS, OfficeNotices
from warning_service.rights.tables import family_requests
from warning_service.roster.tables import boards
from warning_service.schedule import Scheduler

__all__ = ["pages", "server", "town"]


@pytest.fixture(autouse=True)
def offices(town: Town) -> None:
    """An auditor, and rooms in chat for both offices."""
    make.staff(town.rooms.database, "watch", ("auditor", make.BOARD))
    with town.rooms.database.writing() as conn:
        conn.execute(
            insert(routes),
            [
                {"board": make.BOARD, "place": make.BOARD, "duty": duty, "channel": "slack",
                 "address": f"C-{duty}"}
                for duty in ("auditor", "privacy")
            ],
        )  # fmt: skip


def run(town: Town) -> int:
    """As after a restart."""
    return OfficeNotices(town.rooms.log, town.rooms.notices).run_all()


def alarm(town: Town, id: str, day: date, raised_at: datetime | None = None) -> None:
    with town.rooms.database.writing() as conn:
        conn.execute(
            insert(looking_alarms).values(
                id=id, board=make.BOARD, rule="night", subject="staff-nurse", day=day, count=9,
                threshold=5, usual=0.0, last_seq=1, raised_at=raised_at or town.rooms.clock.now(),
                acknowledged_by="", verdict="", note="",
            )
        )  # fmt: skip


def settle(town: Town, id: str) -> None:
    rooms = town.rooms
    assert alarm_desk.settle(
        rooms.database, rooms.clock, rooms.trail, town.who("watch"), id,
        verdict="reasonable", note="",
    )  # fmt: skip


def notices(town: Town, kind: str) -> list[Any]:
    with town.rooms.database.reading() as conn:
        query = select(alerts).where(alerts.c.kind == kind).order_by(alerts.c.raised_at)
        return [(row.source, row.state) for row in conn.execute(query)]


def told(town: Town) -> list[str]:
    return [row.address for row in make.rows(town.rooms.database, deliveries)
            if row.purpose != "update"]  # fmt: skip


def test_an_alarm_is_told_to_the_auditor_once_and_ends_when_it_is_settled(town: Town) -> None:
    today = town.rooms.clock.today()
    assert run(town) == 0
    alarm(town, "one", today)
    alarm(town, "two", today)
    assert run(town) == 1 and run(town) == 0
    assert notices(town, LOOKING_ALARM) == [(today.isoformat(), "open")]
    assert told(town) == ["C-auditor"]
    settle(town, "one")
    assert run(town) == 0, "the other one still waits"
    settle(town, "two")
    assert run(town) == 1
    assert notices(town, LOOKING_ALARM) == [(today.isoformat(), "handled")]
    alarm(town, "late-found", today)
    assert run(town) == 1 and len(told(town)) == 2
    alarm(town, "next-day", today + timedelta(days=1))
    assert run(town) == 1
    assert len(notices(town, LOOKING_ALARM)) == 3
    assert rebuild.differences(town.rooms.log, make.BOARD) == []


def test_an_old_alarm_is_no_news(town: Town) -> None:
    long_ago = town.rooms.clock.now() - timedelta(days=15)
    alarm(town, "old", long_ago.date(), long_ago)
    assert run(town) == 0


def test_a_term_is_told_before_it_ends_and_when_it_has(town: Town) -> None:
    request = town.asked("disclosure")
    officer = town.who("officer")
    left = town.rights.requests.one(officer, request).days_left
    assert left is not None and left > SOON_DAYS and run(town) == 0
    moved(town, days=left - SOON_DAYS - 1)
    assert run(town) == 0
    moved(town, days=1)
    assert run(town) == 1 and notices(town, REQUEST_DUE) == [(request, "open")]
    town.rights.requests.extend(town.who("officer"), request, 10, "むずかしい")
    assert run(town) == 1 and notices(town, REQUEST_DUE) == [(request, "handled")]
    moved(town, days=10)
    assert run(town) == 1
    moved(town, days=SOON_DAYS)
    assert run(town) == 0, "its last day is not late"
    moved(town, days=1)
    assert run(town) == 2
    assert notices(town, REQUEST_DUE)[-2:] == [(request, "handled"), (LATE + request, "open")]
    decided(town, request)
    assert run(town) == 0, "it still waits for the second person"
    town.rights.disclosures.approve(town.who("board"), request)
    assert run(town) == 1
    assert {state for _, state in notices(town, REQUEST_DUE)} == {"handled"}
    assert set(told(town)) == {"C-privacy"}
    assert rebuild.differences(town.rooms.log, make.BOARD) == []


def test_those_told_find_it_on_their_pages_and_nobody_else(town: Town, pages: Pages) -> None:
    alarm(town, "one", town.rooms.clock.today())
    request = town.asked("correction")
    with town.rooms.database.writing() as conn:
        conn.execute(update(family_requests).values(due_on=town.rooms.clock.today()))
    assert run(town) == 2
    ids = {row.kind: row.id for row in make.rows(town.rooms.database, alerts)}
    auditor, officer = pages("watch"), pages("officer")
    page = auditor.get(f"/portal/notices/{ids[LOOKING_ALARM]}")
    assert "/portal/trail/alarms" in page and "先生nurse" not in page
    assert 'href="/portal/notices"' in auditor.get("/portal/trail")
    auditor.get(f"/portal/notices/{ids[REQUEST_DUE]}", 404)
    page = officer.get(f"/portal/notices/{ids[REQUEST_DUE]}")
    assert f"/portal/requests/{request}" in page and "7日以内" in page and "児1" not in page
    officer.get(f"/portal/notices/{ids[LOOKING_ALARM]}", 404)
    assert "期限が近づいています" in officer.get("/portal/notices")
    pages("head").get(f"/portal/notices/{ids[REQUEST_DUE]}", 404)
    taken = officer.post(f"/portal/notices/{ids[REQUEST_DUE]}/acknowledge")
    assert taken.headers["location"].endswith("saved=notice_taken")


def test_a_broken_board_holds_up_no_other(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    with town.rooms.database.writing() as conn:
        conn.execute(
            insert(boards).values(id="aaa", name="x", playbook="nishinomiya", generated=True)
        )
    alarm(town, "one", town.rooms.clock.today())
    real = OfficeNotices.run

    def broken(self: OfficeNotices, board: str) -> int:
        if board == "aaa":
            raise ValueError("anything")
        return real(self, board)

    monkeypatch.setattr(OfficeNotices, "run", broken)
    assert run(town) == 1


def test_the_schedule_looks(town: Town) -> None:
    alarm(town, "one", town.rooms.clock.today())
    scheduler = Scheduler(town.rooms)
    try:
        scheduler._notice()
    finally:
        scheduler._leader.resign()
    assert notices(town, LOOKING_ALARM) == [(town.rooms.clock.today().isoformat(), "open")]
