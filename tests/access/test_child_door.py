"""The children's door: class cards, pictures and digits, guesses side by side, shared tablets."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert, select, update

from tests import make
from tests.access.test_accounts import person
from warning_service import app
from warning_service.access.doors import child_secrets
from warning_service.access.doors.child import CardStopped, ClassDoor, door_key
from warning_service.access.doors.child_secrets import Kind, is_easy, new_secret
from warning_service.access.doors.pictures import PICTURES, PICTURES_OF_SECRETS
from warning_service.access.doors.sessions import REMEMBER_SECONDS
from warning_service.access.doors.tries import (
    ACCOUNT_FREE_TRIES,
    ADDRESS_FREE_TRIES,
    ADDRESS_SECONDS_A_TRY,
    TooManyTries,
    Tries,
    Try,
    factor_try,
    seat_try,
    staff_try,
)
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.tables import audit, class_cards
from warning_service.access.tables import sessions as table
from warning_service.clock import MovableClock, at, monotonic
from warning_service.playbooks.model import SignIn
from warning_service.rooms import Rooms
from warning_service.roster import tables as roster

SECRET = "cat-sun-boat"
ROOM = "sakura-1"


class Class:
    """A class of four with its homeroom teacher; another class with its own."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        make.places(rooms.database, schools=2, classes=2)
        self.children = make.children(rooms.log, ROOM, 4)
        make.seats(rooms.database, rooms.sealer, ROOM, self.children, SECRET)
        for login, duty in (
            ("mori", ("homeroom", ROOM)),
            ("hara", ("homeroom", "sakura-2")),
            ("head", ("management", "sakura")),
            ("head2", ("management", "school2")),
            ("nurse", ("nurse", "sakura")),
        ):
            person(rooms, login, *duty)

    def who(self, login: str) -> Principal:
        found = self.rooms.sessions.find(
            self.rooms.sessions.start_staff(f"staff-{login}", make.BOARD)
        )
        assert found is not None
        return found

    def tablet(self) -> tuple[str, ClassDoor]:
        """A new card, read: what the tablet keeps, and the class it is set to."""
        key = self.rooms.child_door.open_card(self.rooms.cards.new_card(self.who("mori"), ROOM))
        assert key is not None
        door = self.rooms.child_door.card_door(key)
        assert door is not None
        return key, door

    def grade(self, grade: int) -> None:
        with self.rooms.database.writing() as conn:
            conn.execute(
                update(roster.classes).where(roster.classes.c.id == ROOM).values(grade=grade)
            )


@pytest.fixture
def room(rooms: Rooms) -> Class:
    return Class(rooms)


# -- the class's card ------------------------------------------------------------------------------


def test_a_card_sets_a_tablet_to_its_class(room: Class) -> None:
    card = room.rooms.cards.new_card(room.who("mori"), ROOM)
    key = room.rooms.child_door.open_card(card)
    assert key is not None
    door = room.rooms.child_door.card_door(key)
    assert door is not None
    assert (door.class_id, door.name, door.seats, door.digits) == (
        ROOM, "4年1組", (1, 2, 3, 4), frozenset(),
    )  # fmt: skip
    token = room.rooms.child_door.enter(door, 2, SECRET, "here")
    assert token is not None
    child = room.rooms.sessions.find(token)
    assert child is not None
    assert (child.key, child.class_id) == (room.children[1], ROOM)
    # Neither the card nor what a tablet keeps can be had from the database, nor one from the other.
    held = str(make.rows(room.rooms.database, class_cards))
    assert card not in held and key not in held
    assert room.rooms.child_door.open_card(key) is None
    assert room.rooms.child_door.card_door(card) is None
    for wrong in ("", "x", card[:-1], card + "x"):
        assert room.rooms.child_door.open_card(wrong) is None


def test_a_lost_card_stops_tablets_and_sessions_at_once(room: Class) -> None:
    key, door = room.tablet()
    by_card = room.rooms.child_door.enter(door, 1, SECRET, "here")
    by_code = room.rooms.child_door.sign_in(ROOM.upper(), 2, SECRET, "here")
    assert by_card is not None and by_code is not None
    assert room.rooms.sessions.find(by_card) is not None
    fresh = room.rooms.cards.new_card(room.who("mori"), ROOM)
    assert room.rooms.child_door.card_door(key) is None
    assert room.rooms.sessions.find(by_card) is None
    assert room.rooms.sessions.find(by_code) is not None
    with pytest.raises(CardStopped):
        room.rooms.child_door.enter(door, 1, SECRET, "here")
    assert room.rooms.child_door.open_card(fresh) is not None
    (stopped,) = [c for c in make.rows(room.rooms.database, class_cards) if c.revoked_at]
    assert stopped.revoked_by == "staff-mori"
    actions = [row.action for row in make.rows(room.rooms.database, audit)]
    assert actions.count("class_card_made") == 2


def test_a_card_can_be_stopped_without_a_new_one(room: Class) -> None:
    key, _ = room.tablet()
    mori = room.who("mori")
    assert room.rooms.cards.in_force(mori, [ROOM])[ROOM].made_by == "staff-mori"
    room.rooms.cards.stop_card(room.who("head"), ROOM)
    assert room.rooms.child_door.card_door(key) is None
    assert room.rooms.cards.in_force(mori, [ROOM]) == {}
    room.rooms.cards.stop_card(mori, ROOM)  # nothing to stop is no error


def test_cards_are_for_those_who_reach_the_class(room: Class) -> None:
    cards = room.rooms.cards
    for login in ("hara", "head2", "nurse"):
        who = room.who(login)
        for ask in (
            lambda who=who: cards.new_card(who, ROOM),
            lambda who=who: cards.stop_card(who, ROOM),
            lambda who=who: cards.renew(who, ROOM),
            lambda who=who: cards.seats(who, ROOM),
            lambda who=who: cards.room(who, ROOM),
        ):
            with pytest.raises(NotYours):
                ask()
    with pytest.raises(NotYours):
        cards.room(room.who("mori"), "no-such-class")
    assert make.rows(room.rooms.database, class_cards) == []
    cards.new_card(room.who("head"), ROOM)
    assert cards.in_force(room.who("hara"), [ROOM]) == {}
    assert set(cards.in_force(room.who("head"), [ROOM, "sakura-2"])) == {ROOM}


def test_two_who_lose_it_at_once_leave_one_card(room: Class) -> None:
    made: list[str] = []
    people = [room.who(login) for login in ("mori", "head") * 4]

    def lose(who: Principal) -> None:
        made.append(room.rooms.cards.new_card(who, ROOM))

    _together([lambda who=who: lose(who) for who in people])
    assert len(made) == 8
    opened = [one for one in made if room.rooms.child_door.open_card(one)]
    assert len(opened) == 1


def test_a_session_that_begins_while_its_card_is_stopped_ends_with_it(room: Class) -> None:
    """However the two meet: either the child is refused, or the session is ended."""
    mori = room.who("mori")
    for _ in range(5):
        _, door = room.tablet()
        tokens: list[str | None] = []

        def enter(door: ClassDoor = door, tokens: list[str | None] = tokens) -> None:
            try:
                tokens.append(room.rooms.child_door.enter(door, 1, SECRET, "here"))
            except CardStopped:
                tokens.append(None)

        _together([enter, lambda: room.rooms.cards.stop_card(mori, ROOM)])
        assert len(tokens) == 1
        living = [t for t in tokens if t and room.rooms.sessions.find(t)]
        assert living == []


def test_a_card_ends_with_its_school_year(room: Class, clock: MovableClock) -> None:
    key, _ = room.tablet()
    clock.move_to(at(date(2027, 3, 31), 12))
    assert room.rooms.child_door.card_door(key) is not None
    clock.move_to(at(date(2027, 4, 1), 0))
    assert room.rooms.child_door.card_door(key) is None
    assert room.rooms.child_door.card_door(door_key("no card at all")) is None


def test_a_board_can_do_without_codes(room: Class) -> None:
    assert room.rooms.child_door.takes_codes()
    playbook = room.rooms.playbooks.of(make.BOARD)
    room.rooms.playbooks._by_board[make.BOARD] = playbook.model_copy(
        update={"sign_in": SignIn(class_codes=False)}
    )
    assert not room.rooms.child_door.takes_codes()
    assert room.rooms.child_door.class_door(ROOM.upper()) is None
    assert room.rooms.child_door.sign_in(ROOM.upper(), 1, SECRET, "here") is None
    _key, door = room.tablet()
    assert room.rooms.child_door.enter(door, 1, SECRET, "here")


# -- pictures and digits ---------------------------------------------------------------------------


def test_the_young_have_pictures_and_the_older_digits() -> None:
    rules = SignIn(digits_from_grade=5, digits=6)
    for _ in range(50):
        kind, secret = new_secret(PICTURES_OF_SECRETS, rules, 4)
        assert kind is Kind.PICTURES
        assert len(secret.split("-")) == 3 and set(secret.split("-")) <= set(PICTURES)
        kind, secret = new_secret(PICTURES_OF_SECRETS, rules, 5)
        assert kind is Kind.DIGITS
        assert re.fullmatch(r"[0-9]{6}", secret)
    assert new_secret(PICTURES_OF_SECRETS, SignIn(digits_from_grade=10), 9)[0] is Kind.PICTURES


def test_what_a_classmate_tries_first_is_never_given() -> None:
    assert all(map(is_easy, ("0000", "1234", "9876", ["cat", "cat", "cat"])))
    assert not any(map(is_easy, ("1235", "0101", "2468", ["cat", "sun", "cat"])))
    few = child_secrets.Pictures(("a", "b"), 2)
    assert {new_secret(few, SignIn(), 1)[1] for _ in range(40)} == {"a-b", "b-a"}


def test_a_new_secret_ends_the_old_one_its_sessions_and_the_waiting(room: Class) -> None:
    _, door = room.tablet()
    enter = room.rooms.child_door.enter
    token, other = enter(door, 3, SECRET, "here"), enter(door, 4, SECRET, "here")
    assert token is not None and other is not None
    for _ in range(ACCOUNT_FREE_TRIES):
        assert enter(door, 3, "dog-dog-sun", "here") is None
    (made,) = room.rooms.cards.renew(room.who("mori"), ROOM, seat=3)
    assert (made.student, made.seat, made.kind) == (room.children[2], 3, Kind.PICTURES)
    assert made.parts == made.secret.split("-")
    assert room.rooms.sessions.find(token) is None
    assert room.rooms.sessions.find(other) is not None
    assert enter(door, 3, made.secret, "here")
    if made.secret != SECRET:
        assert enter(door, 3, SECRET, "here") is None
    noted = [r for r in make.rows(room.rooms.database, audit) if r.action == "child_secret_made"]
    assert [(r.subject, r.detail) for r in noted] == [(room.children[2], ROOM)]
    assert made.secret not in str(make.rows(room.rooms.database, audit))
    with pytest.raises(NotYours):
        room.rooms.cards.renew(room.who("mori"), ROOM, seat=40)


def test_a_whole_class_gets_digits_when_it_is_old_enough(room: Class) -> None:
    room.grade(7)
    made = room.rooms.cards.renew(room.who("head"), ROOM)
    assert [(one.seat, one.kind) for one in made] == [(n, Kind.DIGITS) for n in (1, 2, 3, 4)]
    assert made[0].parts == list(made[0].secret)
    _, door = room.tablet()
    assert door.digits == {1, 2, 3, 4}
    assert (door.kind(1), door.kind(9)) == (Kind.DIGITS, Kind.PICTURES)
    assert room.rooms.child_door.enter(door, 2, made[1].secret, "here")
    assert room.rooms.child_door.enter(door, 2, made[1].secret + "1", "here") is None
    held = str(make.rows(room.rooms.database, roster.seats))
    assert not any(one.secret in re.sub(r"[0-9a-f]{20,}", "", held) for one in made)
    # The same digits of two children have different hashes, and a class is not renewed by halves.
    hashes = {row.secret_hash for row in make.rows(room.rooms.database, roster.seats)}
    assert len(hashes) == 4 and all(one.startswith("digits$") for one in hashes)


def test_who_has_none_gets_one_and_who_has_left_does_not(room: Class, clock: MovableClock) -> None:
    newcomer, leaver = make.children(room.rooms.log, "sakura-2", 2)
    with room.rooms.database.writing() as conn:
        for seat, child in ((5, newcomer), (6, leaver)):
            conn.execute(
                insert(roster.seats).values(
                    student=child, class_id="sakura-2", seat=seat, secret_hash=""
                )
            )
        conn.execute(
            update(roster.enrolments)
            .where(roster.enrolments.c.student == leaver)
            .values(until_day=clock.today())
        )
    hara = room.who("hara")
    assert [(s.seat, s.has_secret) for s in room.rooms.cards.seats(hara, "sakura-2")] == [
        (5, False)
    ]
    door = room.rooms.child_door.class_door("SAKURA-2")
    assert door is not None
    assert room.rooms.child_door.enter(door, 5, "", "here") is None  # no secret fits none
    (made,) = room.rooms.cards.renew(hara, "sakura-2", missing=True)
    assert made.student == newcomer
    assert room.rooms.cards.renew(hara, "sakura-2", missing=True) == []
    assert room.rooms.child_door.enter(door, 5, made.secret, "here")


# -- guessing --------------------------------------------------------------------------------------


def test_guesses_side_by_side_gain_nothing(room: Class) -> None:
    """Forty at once, all past the first look: only the free tries are judged, in some order."""
    _, door = room.tablet()
    barrier = threading.Barrier(40)
    real = Tries.slow_down

    class Late(Tries):
        def slow_down(self, one: Try) -> None:
            real(self, one)
            barrier.wait(30)  # everybody has been let in before anybody is counted

    door_ = room.rooms.child_door
    door_._tries = Late(room.rooms.database, room.rooms.clock, room.rooms.settings)
    told: list[str] = []

    def guess() -> None:
        try:
            token = door_.enter(door, 1, "dog-dog-sun", "here")
            told.append("wrong" if token is None else "in")
        except TooManyTries:
            told.append("wait")

    _together([guess] * 40)
    assert sorted(set(told)) == ["wait", "wrong"]
    assert told.count("wrong") == ACCOUNT_FREE_TRIES


def test_a_right_guess_among_many_waits_its_turn(room: Class) -> None:
    _, door = room.tablet()
    tries = Tries(room.rooms.database, room.rooms.clock, room.rooms.settings)
    one = seat_try(ROOM, 1, "here", by_card=True)
    for _ in range(ACCOUNT_FREE_TRIES):
        tries.count_failure(one)
    with pytest.raises(TooManyTries):  # past the first look, as it would have been side by side
        tries.passed(one)
    with pytest.raises(TooManyTries):
        tries.count_failure(one)
    before = len(make.rows(room.rooms.database, table))
    room.rooms.child_door._tries = Unlooking(
        room.rooms.database, room.rooms.clock, room.rooms.settings
    )
    with pytest.raises(TooManyTries):
        room.rooms.child_door.enter(door, 1, SECRET, "here")
    assert len(make.rows(room.rooms.database, table)) == before
    assert room.rooms.child_door.enter(door, 2, SECRET, "here")  # nobody else waits


class Unlooking(Tries):
    """Tries whose first look has been passed."""

    def slow_down(self, one: Try) -> None:
        """Nothing."""


def test_a_stranger_who_guesses_does_not_keep_the_child_from_its_tablet(
    room: Class, clock: MovableClock
) -> None:
    """One wrong guess a minute, by the class's code, from the same address: for a morning."""
    _, door = room.tablet()
    held = 0
    for minute in range(180):
        try:
            room.rooms.child_door.sign_in(ROOM.upper(), 1, "dog-dog-sun", "school")
        except TooManyTries:
            held += 1
        if minute % 30 == 7:
            assert room.rooms.child_door.enter(door, 1, SECRET, "school")
        clock.move_by(timedelta(minutes=1))
    assert held > 60  # the stranger waits more and more, although the child signed in
    with pytest.raises(TooManyTries):
        room.rooms.child_door.sign_in(ROOM.upper(), 1, SECRET, "home")


def test_one_browser_does_not_shut_a_school_out(room: Class, clock: MovableClock) -> None:
    """Failures at every door from the school's address, ten a second, while children come in."""
    _, door = room.tablet()
    tries = Tries(room.rooms.database, clock, room.rooms.settings)
    with room.rooms.database.writing() as conn:  # the first minute of it
        for one in (
            staff_try("x", "school"),
            factor_try("x", "school"),
            seat_try(ROOM, 1, "school", by_card=True),
        ):
            tries._put(conn, one.address, ADDRESS_FREE_TRIES, clock.now())
    with pytest.raises(TooManyTries):
        tries.slow_down(staff_try("mori", "school"))
    for second in range(10):
        for n in range(10):
            with suppress(TooManyTries):
                tries.count_failure(seat_try(ROOM, second * 10 + n + 2000, "school", by_card=True))
            clock.move_by(timedelta(milliseconds=100))
        assert room.rooms.child_door.enter(door, 1 + second % 4, SECRET, "school")
    tries.passed(factor_try("staff-mori", "school"))
    # Who has a wrong try of its own waits for the address, a few seconds.
    tries.count_failure(seat_try(ROOM, 1, "school", by_card=True))
    with pytest.raises(TooManyTries) as slowed:
        room.rooms.child_door.enter(door, 1, SECRET, "school")
    assert slowed.value.seconds <= ADDRESS_SECONDS_A_TRY + 1
    assert room.rooms.child_door.enter(door, 2, SECRET, "school")


@pytest.mark.parametrize(("by_card", "first", "later"), [(False, 81, 24), (True, 147, 96)])
def test_so_many_guesses_a_day_are_possible(
    room: Class, clock: MovableClock, by_card: bool, first: int, later: int
) -> None:
    """The numbers in the module's text, for somebody who tries as soon as it may be."""
    tries = Tries(room.rooms.database, clock, room.rooms.settings)
    one = seat_try(ROOM, 1, "", by_card=by_card)
    counts, start = [0, 0, 0], clock.now()
    while (day := (clock.now() - start).days) < 3:
        try:
            tries.count_failure(msgspec.structs.replace(one, address=str(sum(counts))))
            counts[day] += 1
        except TooManyTries as wait:
            clock.move_by(timedelta(seconds=wait.seconds))
    assert counts[0] == first and max(counts[1:]) == later


# -- shared tablets --------------------------------------------------------------------------------


def test_a_shared_session_ends_when_nobody_opens_a_page(room: Class, clock: MovableClock) -> None:
    idle = timedelta(seconds=room.rooms.settings.shared_session_idle)
    _, door = room.tablet()
    token = room.rooms.child_door.enter(door, 1, SECRET, "here")
    assert token is not None
    assert room.rooms.sessions.find(token) is not None
    clock.move_by(idle)
    assert room.rooms.sessions.find(token) is None  # although it is remembered
    assert room.rooms.sessions.find_cached(token) is None
    assert room.rooms.sessions.find_children([token]) == {}


def test_pages_prolong_it_up_to_the_longest_and_check_ins_do_not(
    room: Class, clock: MovableClock
) -> None:
    settings = room.rooms.settings
    _, door = room.tablet()
    token = room.rooms.child_door.enter(door, 1, SECRET, "here")
    assert token is not None
    began = clock.now()

    def ends() -> object:
        with room.rooms.database.reading() as conn:
            return conn.execute(select(table.c.ends_at).where(table.c.kind == "child")).scalar_one()

    first = ends()
    another = app.build(settings, clock)
    clock.move_by(timedelta(seconds=30))
    assert another.sessions.find(token) is not None
    assert ends() == first  # a child that is quick costs no write
    clock.move_by(timedelta(seconds=90))
    assert another.sessions.find_children([token])
    assert ends() == first
    another.sessions.look_again(room.children[0])
    assert another.sessions.find(token, touch=False) is not None
    assert ends() == first
    another.sessions.look_again(room.children[0])
    assert another.sessions.find(token) is not None
    assert ends() == clock.now() + timedelta(seconds=settings.shared_session_idle)
    while clock.now() < began + timedelta(seconds=settings.child_session_longest - 120):
        clock.move_by(timedelta(seconds=120))
        another.sessions.look_again(room.children[0])
        assert another.sessions.find(token) is not None
    clock.move_to(began + timedelta(seconds=settings.child_session_longest))
    assert another.sessions.find(token) is None
    another.database.close()


def test_a_device_of_ones_own_keeps_its_session(room: Class, clock: MovableClock) -> None:
    token = room.rooms.sessions.start_child(room.children[0], make.BOARD, "")
    clock.move_by(timedelta(seconds=room.rooms.settings.child_session_longest - 1))
    assert room.rooms.sessions.find(token) is not None


def test_other_processes_hear_that_a_session_has_ended(room: Class) -> None:
    """On PostgreSQL in well under the time they would remember it; SQLite has one process."""
    other = app.build(room.rooms.settings, room.rooms.clock)
    other.log.wakeups.listen()
    _, door = room.tablet()
    tokens = [room.rooms.child_door.enter(door, seat, SECRET, "here") for seat in (1, 2, 3)]
    if not room.rooms.database.is_sqlite:
        began = monotonic()
        while not _listening(room.rooms):
            assert monotonic() - began < 10
    assert all(t is not None and other.sessions.find(t) for t in tokens)
    assert tokens[0] is not None
    room.rooms.sessions.sign_out(tokens[0])
    room.rooms.cards.stop_card(room.who("mori"), ROOM)
    began = monotonic()
    while any(t is not None and other.sessions.find_cached(t) for t in tokens):
        if room.rooms.database.is_sqlite:
            break
        assert monotonic() - began < REMEMBER_SECONDS["child"] / 6
    if room.rooms.database.is_sqlite:
        assert all(t is not None and other.sessions.find_cached(t) for t in tokens)
    other.sessions._hear("something else")  # a note about another matter is none of its business
    other.log.wakeups.stop()
    other.database.close()


def _listening(rooms: Rooms) -> bool:
    with rooms.database.reading() as conn:
        return bool(
            conn.exec_driver_sql(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
            ).scalar_one()
        )


def test_somebody_whose_duties_change_is_looked_up_again(room: Class) -> None:
    token = room.rooms.sessions.start_staff("staff-mori", make.BOARD)
    seen = room.rooms.sessions.find(token)
    assert seen is not None and seen.may(Ability.MANAGE_CARDS)
    with room.rooms.database.writing() as conn:
        conn.execute(update(roster.duties).values(until_day=date(2026, 4, 2)))
    assert room.rooms.sessions.find(token) == seen
    room.rooms.sessions.look_again("staff-mori")
    seen = room.rooms.sessions.find(token)
    assert seen is not None and not seen.may(Ability.MANAGE_CARDS)


def _together(jobs: list[object]) -> None:
    failed: list[BaseException] = []

    def run(job: object) -> None:
        try:
            job()  # type: ignore[operator]
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []


def test_a_card_page_for_the_command_line_makes_what_the_grade_has(
    room: Class, tmp_path: Path
) -> None:
    from warning_service.access.doors.setting_up import make_cards

    with room.rooms.database.writing() as conn:
        conn.execute(update(roster.seats).values(secret_hash=""))
    room.grade(8)
    rooms = room.rooms
    given = (rooms.database, rooms.sealer, rooms.playbooks, ROOM.upper(), PICTURES_OF_SECRETS)
    made = make_cards(*given, trail=rooms.trail, actor="system:cli")
    assert [one.kind for one in made] == [Kind.DIGITS] * 4
