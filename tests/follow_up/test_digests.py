"""Digests: each person's own counts, on their days, once, and through a way of their own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import insert, update

from tests import make
from tests.teacher_portal.school import School
from warning_service.alerts.deliver import Deliverer
from warning_service.alerts.messages import Message
from warning_service.alerts.outside.tables import push_devices
from warning_service.alerts.tables import deliveries
from warning_service.clock import MovableClock, at
from warning_service.follow_up.digests import MORNING, WEEK, DigestJob
from warning_service.follow_up.tables import digests
from warning_service.rooms import Rooms
from warning_service.roster import tables as t

MONDAY = date(2026, 5, 18)


@pytest.fixture
def school(rooms: Rooms) -> School:
    return School(rooms)


def run(school: School, *channels: str) -> int:
    """As after a restart: nothing of an earlier run is remembered."""
    rooms = school.rooms
    return DigestJob(rooms.log, rooms.playbooks, rooms.alerts, channels=channels).run_all()


def counts(school: School, login: str, kind: str = MORNING) -> dict[str, int]:
    """What the newest digest of that kind says to somebody."""
    found = [
        row
        for row in make.rows(school.rooms.database, digests)
        if (row.staff, row.kind) == (f"staff-{login}", kind)
    ]
    decoded = msgspec.json.decode(max(found, key=lambda r: r.made_at).counts, type=dict[str, int])
    return {name: n for name, n in decoded.items() if n}


def test_each_has_only_what_is_theirs_and_nothing_is_said_too(
    school: School, clock: MovableClock
) -> None:
    first, second = school.children["sakura-1"][:2]
    other = school.children["sakura-2"][0]
    clock.move_to(at(date(2026, 5, 15), 10))
    call = school.alert(first, "nurse")
    taken = school.alert(second)
    school.rooms.alerts.acknowledge(taken, school.who("homeroom"), "portal")
    school.warning_list([first, other])
    clock.move_to(at(MONDAY, 7, 29))
    assert run(school) == 0
    clock.move_to(at(MONDAY, 7, 30))
    assert run(school) == len({"homeroom", "other", "nurse", "counsellor", "guidance",
                               "committee", "nurse2", "board"})  # fmt: skip
    assert run(school) == 0
    assert counts(school, "homeroom") == {"mine": 1, "records": 1}
    assert counts(school, "other") == {"records": 1}
    # The call was for the nurse: she sees it, and the one that was for anybody.
    assert counts(school, "nurse") == {"open": 1, "records": 2}
    assert counts(school, "counsellor") == {"records": 2}
    assert counts(school, "nurse2") == {}
    assert counts(school, "committee") == {}
    assert call
    assert [d.total for d in school.rooms.digests.latest(school.who("homeroom"))] == [2]
    assert [d.total for d in school.rooms.digests.latest(school.who("nurse2"))] == [0]


def moments(first: date, last: date) -> Iterator[datetime]:
    day = first
    while day <= last:
        for hour in (6, 8, 12, 16):
            yield at(day, hour, 5)
        day += timedelta(days=1)


def test_weeks_with_restarts_and_holidays_make_each_digest_once_on_its_day(
    school: School, clock: MovableClock
) -> None:
    with school.rooms.database.writing() as conn:
        conn.execute(
            insert(t.closed_days).values(
                board=make.BOARD, school="", day=date(2026, 5, 29), why="x"
            )
        )
    for moment in moments(date(2026, 5, 18), date(2026, 6, 7)):
        clock.move_to(moment)
        run(school)
        run(school)
    mine = [r for r in make.rows(school.rooms.database, digests) if r.staff == "staff-nurse"]
    days = {kind: [row.day.day for row in sorted(mine, key=lambda r: r.day) if row.kind == kind]
            for kind in (MORNING, WEEK)}  # fmt: skip
    assert days[MORNING] == [18, 19, 20, 21, 22, 25, 26, 27, 28, 1, 2, 3, 4, 5]
    assert days[WEEK] == [22, 28, 5]  # Friday the 29th is a closed day: the week ends on Thursday


def test_a_missed_morning_is_made_the_same_day_and_never_later(
    school: School, clock: MovableClock
) -> None:
    clock.move_to(at(MONDAY, 20))
    run(school)
    clock.move_to(at(MONDAY + timedelta(days=3), 9))
    run(school)
    days = {row.day for row in make.rows(school.rooms.database, digests)}
    assert days == {MONDAY, MONDAY + timedelta(days=3)}


def test_who_does_not_want_one_kind_gets_the_other(school: School, clock: MovableClock) -> None:
    nurse = school.who("nurse")
    school.rooms.digests.choose(nurse, MORNING, wanted=False)
    assert school.rooms.digests.unwanted(nurse) == {MORNING}
    with pytest.raises(KeyError):
        school.rooms.digests.choose(nurse, "hourly", wanted=False)
    clock.move_to(at(MONDAY + timedelta(days=4), 16))
    run(school)
    kinds = {(r.staff, r.kind) for r in make.rows(school.rooms.database, digests)}
    assert ("staff-nurse", WEEK) in kinds
    assert ("staff-nurse", MORNING) not in kinds
    assert ("staff-counsellor", MORNING) in kinds
    school.rooms.digests.choose(nurse, MORNING, wanted=True)
    clock.move_to(at(MONDAY + timedelta(days=7), 16))
    run(school)
    assert counts(school, "nurse") == {}


class Kept:
    """A channel that keeps what it was given to send."""

    can_update = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: list[Message] = []

    def send(self, message: Message) -> str:
        self.sent.append(message)
        return f"m{len(self.sent)}"

    def update(self, remote_id: str, message: Message) -> None:
        raise AssertionError((remote_id, message))


def test_a_digest_goes_out_by_a_way_of_ones_own_with_a_count_and_a_link(
    school: School, clock: MovableClock
) -> None:
    with school.rooms.database.writing() as conn:
        conn.execute(
            update(t.staff)
            .where(t.staff.c.staff.in_(["staff-nurse", "staff-homeroom"]))
            .values(slack_user=t.staff.c.login)
        )
        conn.execute(
            insert(push_devices).values(
                id="device", staff="staff-nurse", board=make.BOARD, endpoint="https://x", p256dh="",
                auth="", vapid="", made_at=clock.now(),
            )
        )  # fmt: skip
    child = school.children["sakura-1"][0]
    school.alert(child)
    clock.move_to(at(MONDAY, 8))
    assert run(school, "slack", "web_push") > 0
    slack, push = Kept("slack"), Kept("web_push")
    deliverer = Deliverer(
        school.rooms.log, {"slack": slack, "web_push": push}, public_url="https://k.example",
    )  # fmt: skip
    assert deliverer.run_once() == 2
    [message] = push.sent
    assert message.address == "staff-nurse"
    assert message.title == "けさのまとめ:待っているもの 1件"
    assert message.link == "https://k.example/portal/digest"
    assert message.waiting == ()
    assert [m.address for m in slack.sent] == ["homeroom"]
    assert child not in str(push.sent) + str(slack.sent)
    assert {r.state for r in make.rows(school.rooms.database, deliveries)} == {"sent"}


def test_a_channel_that_is_not_connected_is_owed_nothing(
    school: School, clock: MovableClock
) -> None:
    with school.rooms.database.writing() as conn:
        conn.execute(update(t.staff).values(slack_user=t.staff.c.login))
    clock.move_to(at(MONDAY, 8))
    assert run(school) > 0
    assert make.rows(school.rooms.database, deliveries) == []
