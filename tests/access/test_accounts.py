"""Staff accounts: within the board, never one's own, at once, and on the trail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from tests import make
from warning_service.access.doors.accounts import ALONE_DAYS, PER_PAGE, Search, Unfit
from warning_service.access.doors.second_factors import code_now
from warning_service.access.doors.tokens import BadToken
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import OFFICES, Ability, Place, Role
from warning_service.access.tables import audit, looking_alarms
from warning_service.access.trail.alarm_rules import load_rules
from warning_service.access.trail.alarms import Watch
from warning_service.access.trail.halves import POWER
from warning_service.clock import MovableClock
from warning_service.rooms import Rooms
from warning_service.roster import service
from warning_service.roster import tables as t

TODAY = date(2026, 5, 11)
ROOM = "sakura-1"


def person(rooms: Rooms, login: str, role: str = "", place: str = "") -> None:
    """Somebody without a password, with a duty if one is named."""
    with rooms.database.writing() as conn:
        service.put_rows(
            conn, t.staff, ["staff"],
            [
                {
                    "staff": f"staff-{login}", "board": make.BOARD, "login": login,
                    "name": f"先生 {login}", "password_hash": "", "slack_user": None,
                    "active": True,
                }
            ],
        )  # fmt: skip
        if role:
            service.put_rows(
                conn, t.duties, ["staff", "role", "place", "from_day"],
                [
                    {
                        "staff": f"staff-{login}", "role": role, "place": place,
                        "from_day": date(2026, 4, 1), "until_day": None,
                    }
                ],
            )  # fmt: skip


class Office:
    """A board with schools and staff; two accounts officers; another board's teacher."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.accounts = rooms.accounts
        make.places(rooms.database, schools=2, classes=2)
        make.staff(rooms.database, "mori", ("homeroom", ROOM))  # the one who signs in
        for login, role, place in (
            ("clerk", "accounts", make.BOARD),
            ("clerk2", "accounts", make.BOARD),
            ("lead", "grade_lead", "sakura:4"),
            ("nurse2", "nurse", "school2"),
            ("idle", "", ""),
        ):
            person(rooms, login, role, place)
        with rooms.database.writing() as conn:
            service.put_rows(
                conn, t.boards, ["id"],
                [{"id": "other", "name": "他市", "playbook": "nishinomiya", "generated": True}],
            )  # fmt: skip
            service.put_rows(
                conn, t.schools, ["id"],
                [{"id": "elsewhere", "board": "other", "name": "他校", "stage": "primary"}],
            )  # fmt: skip
            service.put_rows(
                conn, t.staff, ["staff"],
                [
                    {
                        "staff": "staff-far", "board": "other", "login": "far", "name": "遠い人",
                        "password_hash": "", "slack_user": None, "active": True,
                    }
                ],
            )  # fmt: skip
        self.clerk = self.who("clerk")

    def who(self, login: str) -> Principal:
        found = self.rooms.sessions.find(
            self.rooms.sessions.start_staff(f"staff-{login}", make.BOARD)
        )
        assert found is not None
        return found

    def found(self, **wanted: object) -> list[str]:
        if words := str(wanted.pop("words", "")):
            wanted["staff"] = self.accounts.named(self.clerk, words)[0]
        search = Search(**wanted)  # type: ignore[arg-type]
        return [one.login for one in self.accounts.search(self.clerk, search).accounts]

    def give(self, role: str, place: str, first: date = TODAY, last: date | None = None) -> None:
        self.accounts.give_duty(self.clerk, "staff-idle", role, place, first=first, last=last)

    def actions(self) -> list[tuple[str, str, str]]:
        return [
            (row.action, row.subject, row.detail)
            for row in make.rows(self.rooms.database, audit)
            if row.actor == "staff-clerk"
        ]


@pytest.fixture
def office(rooms: Rooms) -> Office:
    return Office(rooms)


# -- looking ---------------------------------------------------------------------------------------


def test_staff_are_found_sorted_and_by_page(office: Office) -> None:
    everybody = ["clerk", "clerk2", "idle", "lead", "mori", "nurse2"]
    assert office.found() == everybody
    assert office.found(sort="login", descending=True) == everybody[::-1]
    assert office.found(words="先生 m") == ["mori"]
    assert office.found(words="CLERK") == ["clerk", "clerk2"]
    assert office.found(words="%") == office.found(words="_") == []
    assert office.found(role="nurse") == ["nurse2"]
    assert office.found(school="sakura") == ["lead", "mori"]
    assert office.found(school="school2", role="nurse") == ["nurse2"]
    assert office.found(state="no_duty") == ["idle"]
    office.accounts.set_active(office.clerk, "staff-mori", active=False)
    assert office.found(state="inactive") == ["mori"]
    assert "mori" not in office.found(state="active")
    assert office.found(sort="state")[0] == "mori"
    for n in range(PER_PAGE):
        office.accounts.add(office.clerk, f"z{n:03d}", f"わ {n:03d}")
    first = office.accounts.search(office.clerk, Search(sort="login"))
    last = office.accounts.search(office.clerk, Search(sort="login", page=99))
    assert (first.total, first.pages, last.page) == (PER_PAGE + 6, 2, 2)
    assert len(first.accounts) == PER_PAGE and len(last.accounts) == 6
    assert office.accounts.search(office.clerk, Search(page=-3)).page == 1
    assert office.accounts.search(office.clerk, Search(staff=())).pages == 1


def test_one_person_with_past_and_coming_duties(office: Office) -> None:
    office.give("nurse", "sakura", date(2025, 4, 1), date(2026, 3, 31))
    office.give("counsellor", "sakura", date(2026, 6, 1))
    office.give("nurse", "school2", date(2026, 5, 1), date(2026, 5, 11))
    found = office.accounts.one(office.clerk, "staff-idle")
    assert [(d.role, d.state(TODAY)) for d in found.duties] == [
        (Role.COUNSELLOR, "later"), (Role.NURSE, "now"), (Role.NURSE, "past"),
    ]  # fmt: skip
    assert found.duties[1].state(TODAY + timedelta(days=1)) == "past"
    assert ("account", "staff-idle", "") in office.actions()


def test_only_the_own_board_and_only_with_the_duty(office: Office) -> None:
    accounts, mori = office.accounts, office.who("mori")
    asks: list[Callable[[Principal, str], object]] = [
        accounts.one,
        accounts.invite,
        accounts.reset_factors,
        lambda who, staff: accounts.set_active(who, staff, active=False),
        lambda who, staff: accounts.end_duty(who, staff, "nurse", "sakura", TODAY),
        lambda who, staff: accounts.give_duty(
            who, staff, "nurse", "sakura", first=TODAY, last=None
        ),
    ]
    for ask in asks:
        for who, staff in ((office.clerk, "staff-far"), (mori, "staff-idle"), (mori, "staff-mori")):
            with pytest.raises(NotYours):
                ask(who, staff)
    with pytest.raises(NotYours):
        accounts.search(mori, Search())
    with pytest.raises(NotYours):
        accounts.add(mori, "new", "新しい人")
    assert not any(row.action == "duty_given" for row in make.rows(office.rooms.database, audit))


# -- letting in ------------------------------------------------------------------------------------


def test_a_person_is_added_and_invited(office: Office) -> None:
    staff = office.accounts.add(office.clerk, " Sato.1 ", " 佐藤　 花 ")
    found = office.accounts.one(office.clerk, staff)
    assert (found.login, found.name, found.duties) == ("sato.1", "佐藤 花", ())
    assert office.rooms.staff_door.sign_in("sato.1", "", "here") is None
    token = office.accounts.invite(office.clerk, staff)
    assert office.rooms.passwords.accept(token, "とてもながいことばです-2026")[0] == staff
    with pytest.raises(BadToken):
        office.rooms.passwords.accept(token, "とてもながいことばです-2027")
    assert office.rooms.staff_door.sign_in("sato.1", "とてもながいことばです-2026", "here")
    assert [a for a, s, _ in office.actions() if s == staff] == [
        "account_added", "account", "invited",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("login", "name", "key"),
    [
        ("x", "名", "login"), ("さとう", "名", "login"), ("-sato", "名", "login"),
        ("a" * 65, "名", "login"), ("sato", " ", "name"), ("sato", "名" * 81, "name"),
        ("mori", "名", "taken"), ("far", "名", "taken"),
    ],
)  # fmt: skip
def test_an_unfit_account_is_refused(office: Office, login: str, name: str, key: str) -> None:
    with pytest.raises(Unfit) as refused:
        office.accounts.add(office.clerk, login, name)
    assert refused.value.key == key
    assert not any(action == "account_added" for action, _, _ in office.actions())


def test_a_duty_is_in_force_from_its_first_to_its_last_day(office: Office) -> None:
    token = office.rooms.sessions.start_staff("staff-idle", make.BOARD)
    seen = office.rooms.sessions.find(token)
    assert seen is not None and not seen.duties
    office.give("homeroom", ROOM, TODAY, TODAY + timedelta(days=1))
    seen = office.rooms.sessions.find(token)  # at once, without signing in again
    assert seen is not None and seen.may(Ability.MANAGE_CARDS)
    (duty,) = office.accounts.one(office.clerk, "staff-idle").duties
    assert duty.until_day == TODAY + timedelta(days=2)
    assert ("duty_given", "staff-idle", "homeroom@sakura-1 2026-05-11") in office.actions()


GOOD = {
    Place.CLASS: ROOM, Place.GRADE: "sakura:4", Place.SCHOOL: "sakura", Place.BOARD: make.BOARD,
}  # fmt: skip


def test_each_duty_is_held_at_its_own_kind_of_place(office: Office) -> None:
    for role in Role:
        if role is Role.CHILD:
            continue
        kind = OFFICES[role].place
        for other, place in GOOD.items():
            if other is kind:
                office.give(role, place)
            else:
                with pytest.raises(Unfit, match="place"):
                    office.give(role, place)
    for role, place in (
        ("homeroom", "no-class"), ("nurse", "elsewhere"), ("nurse", ""), ("board", "other"),
        ("grade_lead", "sakura:0"), ("grade_lead", "sakura:10"), ("grade_lead", "elsewhere:4"),
        ("grade_lead", "sakura:"), ("grade_lead", ":4"),
    ):  # fmt: skip
        with pytest.raises(Unfit, match="place"):
            office.give(role, place)
    for role in ("child", "king", ""):
        with pytest.raises(Unfit, match="role"):
            office.give(role, "sakura")
    with pytest.raises(Unfit, match="dates"):
        office.give("nurse", "sakura", TODAY, TODAY - timedelta(days=1))
    for first, last in ((date.min, None), (TODAY, date.max), (date(1999, 12, 31), TODAY)):
        with pytest.raises(Unfit, match="dates"):
            office.give("nurse", "sakura", first, last)
    with pytest.raises(Unfit, match="duplicate"):
        office.give("nurse", "sakura")


# -- letting out -----------------------------------------------------------------------------------


def test_a_duty_ends_at_once(office: Office) -> None:
    token = office.rooms.sessions.start_staff("staff-mori", make.BOARD)
    seen = office.rooms.sessions.find(token)
    assert seen is not None and seen.duties
    end = office.accounts.end_duty
    end(office.clerk, "staff-mori", "homeroom", ROOM, date(2026, 4, 1))
    seen = office.rooms.sessions.find(token)
    assert seen is not None and not seen.duties
    (duty,) = office.accounts.one(office.clerk, "staff-mori").duties
    assert duty.until_day == TODAY  # what was stays on record
    for place in (ROOM, "sakura-2"):  # over already, or never held
        with pytest.raises(NotYours):
            end(office.clerk, "staff-mori", "homeroom", place, date(2026, 4, 1))
    later = TODAY + timedelta(days=20)
    office.give("nurse", "sakura", later)
    end(office.clerk, "staff-idle", "nurse", "sakura", later)
    assert office.accounts.one(office.clerk, "staff-idle").duties == ()
    assert [s for a, s, _ in office.actions() if a == "duty_ended"] == ["staff-mori", "staff-idle"]


def test_a_duty_used_and_ended_on_one_day_stays_on_record(office: Office) -> None:
    office.give("management", "sakura")
    office.accounts.end_duty(office.clerk, "staff-idle", "management", "sakura", TODAY)
    (duty,) = office.accounts.one(office.clerk, "staff-idle").duties
    assert (duty.from_day, duty.until_day, duty.state(TODAY)) == (TODAY, TODAY, "past")
    token = office.rooms.sessions.start_staff("staff-idle", make.BOARD)
    seen = office.rooms.sessions.find(token)
    assert seen is not None and not seen.duties


def test_a_closed_account_is_out_at_once_and_can_be_opened_again(office: Office) -> None:
    token = office.rooms.sessions.start_staff("staff-mori", make.BOARD)
    assert office.rooms.sessions.find(token) is not None
    office.accounts.set_active(office.clerk, "staff-mori", active=False)
    assert office.rooms.sessions.find(token) is None
    assert office.rooms.staff_door.sign_in("mori", make.PASSWORD, "here") is None
    with pytest.raises(Unfit, match="inactive"):
        office.accounts.invite(office.clerk, "staff-mori")
    office.accounts.set_active(office.clerk, "staff-mori", active=True)
    assert office.rooms.sessions.find(token) is None  # what has ended stays ended
    assert office.rooms.staff_door.sign_in("mori", make.PASSWORD, "here")
    assert [a for a, s, _ in office.actions() if s == "staff-mori"] == [
        "account_closed", "account_opened",
    ]  # fmt: skip


def test_lost_factors_are_forgotten_and_sessions_end(office: Office) -> None:
    factors = office.rooms.factors
    secret = factors.offer_totp("staff-mori", "session")
    assert factors.prove_totp("staff-mori", code_now(secret, office.rooms.clock.now()), "session")
    token = office.rooms.sessions.start_staff("staff-mori", make.BOARD, factors=("totp",))
    assert office.rooms.sessions.find(token) is not None
    office.accounts.reset_factors(office.clerk, "staff-mori")
    assert not factors.of("staff-mori").any
    assert office.rooms.sessions.find(token) is None
    assert ("factors_reset", "staff-mori", "") in office.actions()


def test_nobody_changes_their_own_account(office: Office) -> None:
    accounts, me = office.accounts, "staff-clerk"
    for ask in (
        lambda: accounts.invite(office.clerk, me),
        lambda: accounts.reset_factors(office.clerk, me),
        lambda: accounts.set_active(office.clerk, me, active=False),
        lambda: accounts.end_duty(office.clerk, me, "accounts", make.BOARD, date(2026, 4, 1)),
        lambda: accounts.give_duty(
            office.clerk, me, "management", "sakura", first=TODAY, last=None
        ),
    ):
        with pytest.raises(Unfit, match="own"):
            ask()
    assert office.rooms.sessions.find(office.rooms.sessions.start_staff(me, make.BOARD))
    accounts.set_active(office.who("clerk2"), me, active=False)  # somebody else may


# -- two people ------------------------------------------------------------------------------------


def test_nobody_makes_a_second_person_with_power_alone(office: Office) -> None:
    accounts, clerk, other = office.accounts, office.clerk, office.who("clerk2")
    for n, role in enumerate(sorted(POWER)):
        new = accounts.add(clerk, f"ghost{n}", "だれでもない人")
        place = GOOD[OFFICES[role].place]
        accounts.give_duty(clerk, new, role, place, first=TODAY, last=None)
        accounts.end_duty(clerk, new, role, place, TODAY)  # that it is over makes no difference
        with pytest.raises(Unfit, match="second_person"):
            accounts.invite(clerk, new)
        assert accounts.invite(other, new)
        late = accounts.add(clerk, f"late{n}", "あとの人")
        accounts.give_duty(clerk, late, "nurse", "sakura", first=TODAY, last=None)
        assert accounts.invite(clerk, late)  # one officer is enough for a new teacher
        with pytest.raises(Unfit, match="second_person"):
            accounts.give_duty(clerk, late, role, place, first=TODAY, last=None)
        accounts.give_duty(other, late, role, place, first=TODAY, last=None)


def test_nobody_becomes_somebody_who_is_there_alone(office: Office, clock: MovableClock) -> None:
    accounts, other = office.accounts, office.who("clerk2")
    accounts.reset_factors(office.clerk, "staff-nurse2")
    with pytest.raises(Unfit, match="second_person"):
        accounts.invite(office.clerk, "staff-nurse2")
    assert accounts.invite(other, "staff-nurse2")
    with pytest.raises(Unfit, match="second_person"):  # nor in the other order
        accounts.reset_factors(other, "staff-nurse2")
    assert accounts.invite(office.clerk, "staff-lead")  # a forgotten password alone
    clock.move_by(timedelta(days=ALONE_DAYS, seconds=1))
    assert accounts.invite(office.who("clerk"), "staff-nurse2")


def test_whoever_did_both_halves_is_asked_about(office: Office, clock: MovableClock) -> None:
    accounts = office.accounts
    watch = Watch(office.rooms.database, clock, load_rules(office.rooms.settings.data_dir))
    accounts.invite(office.clerk, "staff-idle")
    office.give("nurse", "sakura")
    accounts.reset_factors(office.clerk, "staff-lead")
    accounts.invite(office.who("clerk2"), "staff-lead")
    clock.move_by(timedelta(days=20))
    assert watch.run() == 0
    clerk = office.who("clerk")
    accounts.give_duty(clerk, "staff-idle", "auditor", make.BOARD, first=clock.today(), last=None)
    assert watch.run() == 1
    (alarm,) = make.rows(office.rooms.database, looking_alarms)
    assert (alarm.rule, alarm.subject, alarm.count) == ("alone", "staff-clerk", 1)


def test_the_person_is_told_of_a_reset_and_an_invitation(office: Office) -> None:
    passwords, now = office.rooms.passwords, office.rooms.clock.now()
    assert passwords.by_others("staff-nurse2") == (None, None)
    office.accounts.reset_factors(office.clerk, "staff-nurse2")
    passwords.change(
        "staff-nurse2", "とてもながいことばです-2026"
    )  # by the person: nothing to tell
    assert passwords.by_others("staff-nurse2") == (now, None)
    token = office.accounts.invite(office.who("clerk2"), "staff-nurse2")
    passwords.accept(token, "とてもながいことばです-2027")
    assert passwords.by_others("staff-nurse2") == (now, now)


def test_days_of_another_century_are_refused(office: Office) -> None:
    for first, last in (
        (date(1999, 12, 31), None), (date(2101, 1, 1), None), (TODAY, date.max), (date.min, TODAY),
    ):  # fmt: skip
        with pytest.raises(Unfit, match="dates"):
            office.give("nurse", "sakura", first, last)
