"""The town played into a real installation, on both databases, stopped and started again."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import func, select

from demo import play
from demo.mover import Mover
from demo.progress import Silent
from demo.run import NotATown, clear, prepare, ready, settings_for
from demo.town import BOARD
from warning_service.access.roles import Role
from warning_service.alerts.tables import alerts, deliveries
from warning_service.app import Jobs, Running
from warning_service.clock import MovableClock, at
from warning_service.database import Database
from warning_service.events.log import Log, head
from warning_service.events.tables import events
from warning_service.events.types import DayClosed, NewEvent
from warning_service.events.wakeups import Wakeups
from warning_service.follow_up.tables import follow_ups, reviews
from warning_service.judging.tables import warning_lists
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
    world = play.make_world()
    assert play.next_goal(world, play.NOW) == at(date(2026, 4, 7), 8, 20)
    assert play.next_goal(world, at(date(2026, 6, 5))) == at(date(2026, 7, 1), 8, 20)
    with pytest.raises(play.TownEnds):
        play.next_goal(world, at(date(2026, 7, 1), 8, 20))
    assert world.town.is_school_day(date(2026, 3, 2))
    assert BOARD == "kizashi"
