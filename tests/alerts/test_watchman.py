"""The watchman of a real town: what it counts and finds, whom it tells, when it is silent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import msgspec
import pytest
from sqlalchemy import delete, insert, select, text, update

from tests.alerts.town import BOARD, Town, principal
from warning_service.alerts import dead_letters, stuck
from warning_service.alerts.counting import Figures
from warning_service.alerts.deliver import Deliverer
from warning_service.alerts.messages import Message, NotDelivered
from warning_service.alerts.notices import SYSTEM_TROUBLE, Notices
from warning_service.alerts.tables import alerts, deliveries, watchman_looks
from warning_service.alerts.watchman import ABOUT, SETTLED_AFTER, Look, Watchman, looks
from warning_service.clock import Clock, MovableClock
from warning_service.database import Database
from warning_service.events.log import APPEND_LOCK, Log
from warning_service.events.tables import consumers, events, job_runs


class Phone:
    """A channel that takes messages, or does not."""

    name = "slack"
    can_update = True

    def __init__(self, *, works: bool = True) -> None:
        self.works = works

    def send(self, message: Message) -> str:
        if not self.works:
            raise NotDelivered("http_500")
        return message.reference

    def update(self, remote_id: str, message: Message) -> None:
        """Nothing to show."""


class Watched:
    """A town with its watchman; each look is a minute later."""

    def __init__(self, town: Town, heartbeat_url: str = "") -> None:
        self.town = town
        self.wall = MovableClock(Clock().now())
        self.notices = Notices(town.log, town.playbooks)
        self.url = heartbeat_url
        self.watchman = self.another()
        self.close_days()

    def another(self) -> Watchman:
        return Watchman(
            self.town.log, self.town.playbooks, self.notices,
            heartbeat_url=self.url, wall=self.wall,
        )  # fmt: skip

    def close_days(self) -> None:
        yesterday = self.town.log.clock.today() - timedelta(days=1)
        with self.town.log.database.writing() as conn:
            conn.execute(
                insert(job_runs).values(
                    job=f"day_closed:{BOARD}", slot=yesterday.isoformat(), ran_at=self.wall.now()
                )
            )

    def deliver(self, *, works: bool = True, tries: int = 120) -> None:
        Deliverer(
            self.town.log, {"slack": Phone(works=works)}, public_url="http://p", wall=self.wall,
            max_tries=tries,
        ).run_once()  # fmt: skip

    def look(self) -> Look:
        self.wall.move_by(timedelta(minutes=1))
        found = self.watchman.look()
        assert found is not None
        return found

    def figures(self) -> dict[str, int]:
        """Those that are not nought."""
        found = msgspec.structs.asdict(self.look().seen.figures[BOARD])
        return {name: number for name, number in found.items() if number}

    def codes(self) -> list[str]:
        """What two looks in a row find."""
        self.look()
        return [one.code for one in self.look().troubles]

    def standing(self) -> list[str]:
        return sorted(row.source for row in self.notices.standing(BOARD, SYSTEM_TROUBLE))


@pytest.fixture
def watched(town: Town) -> Watched:
    town.work()
    return Watched(town)


def change(town: Town, statement: Any) -> None:
    with town.log.database.writing() as conn:
        conn.execute(statement)


# --- the sums -------------------------------------------------------------------------------------


def test_every_call_is_in_one_place(watched: Watched) -> None:
    town = watched.town
    for child in ("kid1", "kid2", "kid3", "kid4"):
        town.asks(child, ["nurse"])
    assert watched.figures() == {"submitted": 4, "on_the_way": 4}
    town.work()
    assert watched.figures() == {"submitted": 4, "stored": 4, "pending": 4}
    change(town, update(deliveries).where(deliveries.c.address == "C-nurse2").values(next_at=
           watched.wall.now() + timedelta(days=1)))  # fmt: skip
    watched.deliver()
    [mine] = town.alerts.of_student("kid1")
    town.alerts.acknowledge(mine.id, principal("nurse1"), "portal")
    assert watched.figures() == {
        "submitted": 4, "stored": 4, "taken": 1, "delivered": 2, "pending": 1,
    }  # fmt: skip
    change(town, update(deliveries).where(deliveries.c.state == "waiting").values(state="failed"))
    assert watched.figures()["given_up"] == 1


def test_critical_answers_count_and_ordinary_ones_do_not(watched: Watched) -> None:
    watched.look()
    watched.town.answers("kid1", vanish=1, mood=3)
    watched.town.answers("kid2", mood=0)
    watched.town.work()
    assert watched.figures() == {"submitted": 1, "stored": 1, "pending": 1}


def test_calls_that_join_an_earlier_one_are_counted_as_such(watched: Watched) -> None:
    for _ in range(25):
        watched.town.asks("kid1", ["nurse"])
    watched.town.work()
    found = watched.figures()
    assert (found["submitted"], found["stored"], found["joined"]) == (25, 20, 5)
    assert watched.look().agrees


def test_a_call_without_an_alert_is_lost_and_said_so(watched: Watched) -> None:
    watched.town.asks("kid1")
    watched.town.work()
    change(watched.town, delete(alerts))
    assert watched.codes() == ["sums"]
    assert watched.look().seen.figures[BOARD].lost == 1
    assert watched.standing() == [f"{ABOUT}sums"]


def test_an_alert_whose_messages_have_all_gone_astray_is_unaccounted_for(watched: Watched) -> None:
    watched.town.asks("kid1")
    watched.town.work()
    change(watched.town, update(deliveries).values(state="unneeded"))
    look = watched.look()
    assert (look.agrees, look.seen.figures[BOARD].unaccounted) == (False, 1)


def test_an_alert_nobody_asked_for_is_surplus(watched: Watched) -> None:
    watched.town.asks("kid1")
    watched.town.work()
    change(watched.town, update(alerts).values(id="other", source="nothing"))
    figures = watched.look().seen.figures[BOARD]
    assert (figures.surplus, figures.lost, figures.agrees) == (1, 1, False)


def test_what_was_erased_from_the_log_was_not_lost(watched: Watched) -> None:
    event = watched.town.asks("kid1")
    watched.town.work()
    assert watched.look().seen.figures[BOARD].stored == 1
    with watched.town.log.database.writing() as conn:
        conn.execute(text("INSERT INTO deletion_permits (subject) VALUES ('events')"))
        conn.execute(delete(events).where(events.c.id == event))
        conn.execute(delete(alerts))
        conn.execute(text("DELETE FROM deletion_permits"))
    assert watched.look().agrees
    assert watched.figures() == {}


def test_no_place_is_worked_out_from_another(watched: Watched) -> None:
    good = Figures(submitted=3, stored=2, joined=1, taken=1, delivered=1)
    assert good.agrees
    for name in Figures.__struct_fields__:
        off = msgspec.structs.replace(good, **{name: getattr(good, name) + 1})
        assert not off.agrees, name


def test_a_new_watchman_counts_the_day_behind_it(watched: Watched, clock: MovableClock) -> None:
    watched.town.asks("kid1")
    watched.town.work()
    watched.watchman = watched.another()
    assert watched.figures()["stored"] == 1
    clock.move_by(timedelta(days=1, minutes=1))
    assert watched.figures() == {}


# --- past the next step -------------------------------------------------------------------------


def test_nothing_is_found_where_all_is_well(watched: Watched) -> None:
    watched.town.asks("kid1")
    watched.town.work()
    watched.deliver()
    assert watched.codes() == []
    assert watched.standing() == []


def test_an_alert_past_its_deadline_that_nobody_escalates(
    watched: Watched, clock: MovableClock
) -> None:
    watched.town.asks("kid1", ["nurse"])
    watched.town.work()
    watched.deliver()
    [alert] = watched.town.alerts.of_student("kid1")
    assert alert.due_at is not None
    clock.move_to(alert.due_at + timedelta(minutes=2))
    assert watched.codes() == ["overdue"]
    watched.town.alerts.escalate_due()
    assert "overdue" not in watched.codes()


def test_messages_that_do_not_arrive_and_ones_that_were_given_up(watched: Watched) -> None:
    watched.town.asks("kid1", ["nurse"])
    watched.town.work()
    watched.deliver(works=False)
    watched.wall.move_by(dead_letters.LATE)
    watched.deliver(works=False)
    assert watched.codes() == ["late:slack", "nothing_sent"]
    watched.deliver(works=False, tries=1)
    found = watched.codes()
    assert {"given_up:slack", "nothing_sent"} <= set(found)
    assert "late:slack" not in found


def test_a_message_whose_sender_died_and_nobody_took_over(watched: Watched) -> None:
    watched.town.asks("kid1", ["nurse"])
    watched.town.work()
    long_ago = watched.wall.now() - timedelta(minutes=2)
    change(watched.town, update(deliveries).values(claimed_by="x", claimed_until=long_ago))
    assert "claim_expired:slack" in watched.codes()


def test_a_reader_that_stands_still_and_one_that_is_gone(watched: Watched) -> None:
    change(watched.town, update(consumers).values(lease_until=watched.wall.now() + timedelta(1)))
    watched.town.asks("kid1")
    watched.look()
    assert watched.codes() == ["behind:alerts"]
    change(watched.town, update(consumers).values(owner=""))
    assert "stopped:alerts" in watched.codes()
    change(watched.town, delete(consumers))
    assert "stopped:alerts" in watched.codes()


def test_the_schedule_has_not_run(watched: Watched, clock: MovableClock) -> None:
    clock.move_by(timedelta(days=1))
    assert watched.codes() == ["schedule"]
    watched.close_days()
    assert "schedule" not in watched.codes()


def test_the_log_takes_nothing(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    database = watched.town.log.database
    assert stuck.log_stuck(database) == []
    if database.is_sqlite:
        return
    monkeypatch.setattr(stuck, "LOCK_SECONDS", 0.2)
    other = Database(database.url.render_as_string(hide_password=False))
    with other.writing() as conn:
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": APPEND_LOCK})
        assert [one.code for one in stuck.log_stuck(database)] == ["log_stuck"]
    other.close()
    assert stuck.log_stuck(database) == []


def test_a_board_that_cannot_be_counted_is_said_so(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_board: str) -> None:
        raise ValueError("no playbook at all")

    monkeypatch.setattr(watched.town.playbooks, "for_help", broken)
    look = watched.look()
    assert [one.code for one in look.seen.findings] == ["not_counted"]
    assert not look.agrees


# --- telling ------------------------------------------------------------------------------------


def test_a_trouble_is_told_once_and_settled_when_it_is_over(watched: Watched) -> None:
    change(watched.town, update(consumers).values(owner=""))
    watched.town.asks("kid1")
    assert watched.codes() == ["stopped:alerts"]
    watched.look()
    assert watched.standing() == [f"{ABOUT}stopped:alerts"]
    with watched.town.log.database.reading() as conn:
        told = conn.execute(select(alerts.c.kind, alerts.c.student)).all()
    assert [tuple(row) for row in told] == [(SYSTEM_TROUBLE, "")]
    watched.town.work()
    change(watched.town, update(consumers).values(
        owner="x", lease_until=watched.wall.now() + timedelta(days=1)))  # fmt: skip
    watched.town.work()
    for _ in range(SETTLED_AFTER + 1):
        with watched.town.log.database.writing() as conn:
            end = select(events.c.position).order_by(events.c.position.desc()).limit(1)
            conn.execute(update(consumers).values(position=end.scalar_subquery()))
        watched.deliver()
        watched.look()
    assert watched.standing() == []


def test_one_look_a_minute_whoever_makes_it(watched: Watched) -> None:
    other = watched.another()
    watched.wall.move_by(timedelta(minutes=1))
    made = [watched.watchman.look(), other.look(), watched.watchman.look()]
    assert [look is not None for look in made] == [True, False, False]
    watched.wall.move_by(timedelta(days=8))
    assert other.look() is not None
    with watched.town.log.database.reading() as conn:
        assert len(conn.execute(select(watchman_looks)).all()) == 1
        assert len(looks(conn, limit=10)) == 1


def test_a_look_whose_process_died_leaves_the_next_minute_to_others(watched: Watched) -> None:
    watched.look()
    change(watched.town, update(watchman_looks).values(ended_at=None))
    assert watched.look().agrees


# --- the heartbeat ------------------------------------------------------------------------------


class Outside(BaseHTTPRequestHandler):
    """Whoever expects to be asked for every minute."""

    asked: ClassVar[list[tuple[str, str, bytes]]] = []
    status: ClassVar[int] = 200

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.asked.append((self.command, self.path, self.rfile.read(length)))
        self.send_response(self.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def outside() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Outside)
    Outside.asked.clear()
    Outside.status = 200
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/ping/abc"
    server.shutdown()
    thread.join()
    server.server_close()


def test_outside_is_asked_for_with_nothing_in_it_while_all_is_well(
    town: Town, outside: str
) -> None:
    town.work()
    watched = Watched(town, outside)
    town.asks("kid1")
    town.work()
    watched.deliver()
    assert [watched.look().heartbeat for _ in range(2)] == ["pinged", "pinged"]
    assert Outside.asked == [("GET", "/ping/abc", b"")] * 2
    Outside.status = 500
    assert watched.look().heartbeat == "failed"
    watched.url = "http://127.0.0.1:9/none"
    watched.watchman = watched.another()
    assert watched.look().heartbeat == "failed"


def test_outside_is_not_asked_for_when_the_sums_differ_or_help_is_stuck(
    town: Town, outside: str, clock: MovableClock
) -> None:
    town.work()
    watched = Watched(town, outside)
    town.asks("kid1", ["nurse"])
    town.work()
    watched.deliver()
    change(town, delete(alerts).where(alerts.c.kind == "consultation"))
    assert watched.look().heartbeat == "refused"  # at once, not only when found twice
    change(town, delete(deliveries))
    clock.move_by(timedelta(days=2))
    watched.close_days()
    town.work()
    assert watched.look().heartbeat == "pinged"  # that day is over
    change(town, update(consumers).values(owner=""))
    town.asks("kid1")
    assert [watched.look().heartbeat for _ in range(2)] == ["pinged", "refused"]
    assert len(Outside.asked) == 2


# --- dead letters -------------------------------------------------------------------------------


def test_dead_letters_are_seen_without_anybody_and_sent_again(watched: Watched, log: Log) -> None:
    town = watched.town
    town.asks("kid1")
    town.asks("kid3", ["homeroom"])
    town.work()
    watched.deliver(works=False, tries=1)
    with log.database.reading() as conn:
        found = dead_letters.letters(conn, watched.wall.now())
    assert (found.given_up_count, found.late_count) == (3, 0)
    assert {(one.channel, one.urgent, one.open, one.error) for one in found.given_up} == {
        ("slack", True, True, "http_500")
    }
    said = msgspec.json.encode(found).decode()
    assert not [word for word in ("C-c11", "C-nurse1", "kid1") if word in said]

    who = principal("board1")
    one = found.given_up[0].id
    assert dead_letters.send_again(log, town.trail, who, watched.wall, [one]) == 1
    assert dead_letters.send_again(log, town.trail, who, watched.wall, [one]) == 0
    watched.deliver()
    assert dead_letters.send_again(log, town.trail, who, watched.wall) == 2
    [mine] = town.alerts.of_student("kid3")
    town.alerts.acknowledge(mine.id, principal("hr12"), "portal")
    watched.deliver()
    with log.database.reading() as conn:
        rows = conn.execute(select(deliveries.c.alert_id, deliveries.c.state)).all()
        left = dead_letters.letters(conn, watched.wall.now())
        lines = conn.execute(
            text("SELECT detail FROM audit WHERE action = 'resend_messages' ORDER BY detail")
        ).scalars()
        assert list(lines) == ["1", "2"]
    assert (left.given_up_count, left.late_count) == (0, 0)
    assert {row.state for row in rows if row.alert_id != mine.id} == {"sent"}


def test_a_message_that_is_tried_on_is_shown_as_late(watched: Watched, log: Log) -> None:
    watched.town.asks("kid1", ["nurse"])
    watched.town.work()
    watched.deliver(works=False)
    now = watched.wall.now()
    with log.database.reading() as conn:
        assert dead_letters.letters(conn, now).late_count == 0
        later = dead_letters.letters(conn, now + dead_letters.LATE + timedelta(seconds=1))
    assert (later.late_count, later.late[0].attempts, later.late[0].given_up) == (1, 1, False)
