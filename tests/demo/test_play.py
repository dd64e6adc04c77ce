"""The town played into a real installation, on both databases, stopped and started again."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select

from demo import looks, office, play
from demo.life import make_world
from demo.mover import Mover
from demo.people import People
from demo.progress import Silent
from demo.run import NotATown, clear, prepare, ready, settings_for
from demo.town import BOARD
from warning_service.access.roles import Ability, Role
from warning_service.access.tables import audit, class_cards, looking_alarms
from warning_service.access.trail.audit import verify
from warning_service.access.trail.review import RightsReview
from warning_service.alerts.tables import alerts, deliveries
from warning_service.app import Jobs, Running
from warning_service.clock import MovableClock, at
from warning_service.database import Database
from warning_service.events.log import Log, head
from warning_service.events.tables import events
from warning_service.events.types import DayClosed, NewEvent
from warning_service.events.wakeups import Wakeups
from warning_service.follow_up.tables import cases, follow_ups, reviews
from warning_service.judging.tables import warning_lists
from warning_service.rights.tables import family_requests
from warning_service.rooms import Rooms
from warning_service.roster import tables as t
from warning_service.settings import Settings

MAY = at(date(2025, 5, 12), 8, 20)
pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return settings_for(tmp_path / "town", 8000, database_url)[0]


class Stops(Silent):
    """Fails at a step, as a kill would."""

    def __init__(self, after: int) -> None:
        self.left = after

    def step(self, what: str = "") -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def count(database: Database, table: object, *where: object) -> int:
    with database.reading() as conn:
        query = select(func.count()).select_from(table)  # type: ignore[arg-type]
        return int(conn.execute(query.where(*where)).scalar_one())  # type: ignore[arg-type]


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks and the offices' story, otherwise of the last winter months, in these weeks."""
    monkeypatch.setattr(looks, "FROM", date(2025, 4, 8))
    days = {
        "refusal": (4, 10), "case_given_first": (5, 1), "disclosure_asked": (5, 1),
        "case_returned": (5, 7), "who_looked": (5, 8), "case_given_second": (5, 8),
        "odd_evening": (5, 8), "disclosure_decided": (5, 9),
    }  # fmt: skip
    assert days.keys() == office.STORY.keys()
    monkeypatch.setattr(office, "STORY", {name: date(2025, *day) for name, day in days.items()})


@pytest.mark.usefixtures("story")
# A year on PostgreSQL takes as long again and goes through code the other tests ask of both.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_town_is_built_kept_and_goes_on(settings: Settings) -> None:
    with pytest.raises(KeyboardInterrupt):
        prepare(settings, Stops(12), until=MAY)  # killed on the way: begun again, cleanly
    rooms = prepare(settings, Silent(), until=MAY)
    database = rooms.database

    # What the files said is in, through the importer; what had slips in it waits.
    assert count(database, t.enrolments) == count(database, t.students) > 1_900
    assert count(database, events, events.c.type == "observation_recorded") > 4_000
    assert count(database, t.seats, t.seats.c.secret_hash == "") == 0
    # Alerts were raised by the rules and taken on by people; lists came out and were reviewed.
    raised = count(database, alerts)
    assert raised > 10
    assert count(database, alerts, alerts.c.state == "open") < raised / 2
    assert count(database, warning_lists) == 6
    assert count(database, reviews) > 20
    assert count(database, follow_ups) > 5
    assert count(database, deliveries) == 0  # the past does not flood the chat
    assert rooms.clock.now() >= MAY

    offices_have_something_to_see(rooms)

    # The printed sign-ins work.
    signs = ready(rooms)
    child, board = signs[0], next(s for s in signs if s.role_en == "education board")
    token = rooms.child_door.sign_in(child.name, int(child.number), child.secret, "test")
    assert token is not None
    staff = rooms.staff_door.sign_in(board.name, board.secret, "test")
    assert staff is not None
    found = rooms.sessions.find(staff)
    assert found is not None
    assert found.has(Role.BOARD)
    assert rooms.staff_door.sign_in(board.name, board.secret + "x", "test") is None

    # Stopped and started again it is the same town, a little later.
    with database.reading() as conn:
        before = head(conn)
        keys = set(conn.execute(select(t.students.c.student)).scalars())
    rooms.database.close()
    again = prepare(settings, Silent(), until=MAY)
    with again.database.reading() as conn:
        assert head(conn) == before
    assert again.clock.now() >= MAY

    # A running service moves on by a month.
    mover = Mover(again)
    with Running(again, Jobs(work=True, schedule=True), intake=False):
        assert mover.start()
        assert not mover.start()
        mover.wait(120)
    assert mover.state.state == "done"
    assert again.clock.now() >= at(date(2025, 6, 2), 8, 20)
    assert count(again.database, warning_lists) == 12
    assert again.sessions.find(staff) is not None  # nobody was thrown out by the jump
    again.database.close()

    # Thrown away and built again from the seed, the children have the same keys.
    fresh = prepare(settings, Silent(), fresh=True, until=at(date(2025, 4, 3)))
    with fresh.database.reading() as conn:
        assert set(conn.execute(select(t.students.c.student)).scalars()) == keys
    fresh.database.close()


def offices_have_something_to_see(rooms: Rooms) -> None:
    """The trail, the alarm, the cases, the requests and the cards of a played spring."""
    with rooms.database.reading() as conn:
        assert verify(conn, rooms.trail.keys) == []
        rows = conn.execute(select(audit.c.action, func.count("*")).group_by(audit.c.action)).all()
        kinds = {row[0]: row[1] for row in rows}
        given = conn.execute(select(cases).order_by(cases.c.given_at)).all()
        asked = conn.execute(select(family_requests).order_by(family_requests.c.created_at)).all()
        (alarm,) = conn.execute(select(looking_alarms)).all()
    assert kinds["signed_in"] > 300
    assert min(kinds[one] for one in ("student", "class", "alert", "committee", "list")) > 10
    assert kinds["trail_of_child"] == 1
    assert (alarm.rule, alarm._mapping["count"], alarm.acknowledged_at) == ("night", 9, None)
    assert [case.ended_at is None for case in given] == [False, True]
    assert [(one.kind, one.state) for one in asked] == [
        ("opt_out", "closed"), ("disclosure", "waiting")
    ]  # fmt: skip
    # Nearly everybody has signed in, and the review says of the few that they have not.
    people = People(rooms, make_world(play.seed_of(rooms)).town)
    today = rooms.clock.today()
    accounts = people.who(Role.ACCOUNTS, BOARD, today)
    assert accounts is not None
    found = RightsReview(rooms.database, rooms.clock, rooms.trail).of_board(accounts, 2025)
    never = [one for one in found if "never_signed_in" in one.hints]
    assert 0 < len(never) < len(found) / 4
    # Each office's own page would name whom it is for.
    privacy, welfare = (people.who(r, BOARD, today) for r in (Role.PRIVACY, Role.WELFARE))
    board = people.who(Role.BOARD, BOARD, today)
    assert privacy is not None and welfare is not None and board is not None
    assert len(rooms.rights.requests.inbox(privacy)) == 1
    assert len(rooms.rights.requests.waiting(board)) == 1
    held = rooms.gateway.children(
        welfare, [case.student for case in given], using=Ability.TAKE_CASES, why="cases"
    )
    assert set(held) == {given[1].student}
    assert count(rooms.database, class_cards, class_cards.c.revoked_at.is_(None)) > 30


def test_what_is_not_a_town_is_left_alone(settings: Settings, database: Database) -> None:
    log = Log(database, MovableClock(MAY), Wakeups(database))
    with log.unit_of_work() as unit:
        unit.append(
            NewEvent(
                id="real", board="other", student=None, on=date(2025, 5, 1), actor="x",
                body=DayClosed(),
            )
        )  # fmt: skip
    with pytest.raises(NotATown):
        clear(settings)
    with pytest.raises(NotATown):
        prepare(settings, Silent(), fresh=True)
    assert count(database, events) == 1


def test_the_town_says_where_it_ends() -> None:
    world = make_world()
    assert play.next_goal(world, play.NOW) == at(date(2026, 4, 7), 8, 20)
    assert play.next_goal(world, at(date(2026, 6, 5))) == at(date(2026, 7, 1), 8, 20)
    with pytest.raises(play.TownEnds):
        play.next_goal(world, at(date(2026, 7, 1), 8, 20))
    assert world.town.is_school_day(date(2026, 3, 2))
    assert BOARD == "kizashi"
