"""What the town's adults look at and sign in for, put on the audit trail day by day.

The town's adults do their work through services, without a browser: what they change is on the
trail by that, what they looked at before would be missing. From `FROM` on it is written here,
through the trail's own door, sealed like any other, at the demo's time; a batch for each moment of
the day. Who looks at whom follows from the seed: homeroom teachers at their class, whole-school
duties at the listed, most people daily, a few hardly ever, some never. Earlier months have no
looks, because a whole year of them would only make the building slower.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from random import Random

from sqlalchemy import select

from demo.people import People
from demo.town import BOARD, SCHOOLS, Town
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability, Role
from warning_service.access.trail.audit import Look
from warning_service.follow_up import cases
from warning_service.judging import queries as judging
from warning_service.rooms import Rooms
from warning_service.roster import tables as t

FROM = date(2026, 1, 8)
"""The first day whose looks are written: the year's last two months before the demo's now."""

MOMENTS = ((7, 52), (8, 4), (10, 26), (12, 48), (15, 37))
"""When people sit down at the computer; everybody at one of them."""

_SCHOOL = {
    Role.NURSE: 4, Role.COUNSELLOR: 3, Role.SOCIAL_WORKER: 2, Role.GUIDANCE: 3, Role.MANAGEMENT: 2,
}  # fmt: skip
"""Whole-school duties, and how many children's pages they open on a day at most."""

_BUSY = 0.08
"""The chance that somebody opens the page of a child that is on no list."""


class Looks:
    """Collects lines for the trail and writes them in batches."""

    def __init__(self, rooms: Rooms, town: Town, people: People) -> None:
        self._rooms = rooms
        self._town = town
        self._people = people
        self._waiting: list[Look] = []
        self._rolls: tuple[tuple[int, int], dict[str, list[str]]] = ((0, 0), {})
        self._carded: set[str] = set()

    def _rng(self, *what: object) -> Random:
        return Random(":".join(map(str, (self._town.seed, "looks", *what))))

    def add(  # noqa: PLR0917
        self,
        who: Principal,
        role: Role,
        action: str,
        subjects: Iterable[str],
        using: Ability | None = None,
        detail: str = "",
    ) -> None:
        """One line for each subject, with the next `write`; none before `FROM`."""
        if self._rooms.clock.today() < FROM:
            return
        duty = "" if using is None else role.value
        self._waiting += [
            self._rooms.trail.look(who, action, one, detail, using=using, duty=duty)
            for one in subjects
        ]

    def write(self) -> None:
        """Put what was collected on the trail, in one transaction."""
        self._rooms.trail.record(self._waiting)
        self._waiting = []

    def sign_in(self, who: Principal, role: Role) -> None:
        """Somebody signs in; whose duty needs a second factor shows it."""
        self.add(who, role, "signed_in", [who.key])
        if role in self._rooms.settings.roles_with_second_factor:
            self.add(who, role, "factor_shown", [who.key], detail="totp")

    # -- one moment of a day -----------------------------------------------------------------------

    def moment(self, number: int, day: date) -> None:
        """Those whose moment this is sign in and look at what their duty is for."""
        if day < FROM:
            return
        rolls = self._rolls_of(day)
        for role, place in self._people.posts(day):
            who = self._people.who(role, place, day)
            if who is None or role is Role.COMMITTEE:  # its screen is opened for meetings only
                continue
            rng = self._rng(day, role.value, place)
            here = rng.randrange(len(MOMENTS)) == number
            if not here or rng.random() > self._habit(who):
                continue
            self.sign_in(who, role)
            self._look(rng, who, role, place, rolls)
        self.write()

    def _habit(self, who: Principal) -> float:
        """How likely somebody signs in on a day: a few never do, some hardly ever."""
        rng = self._rng("habit", self._people.login_of(who))
        kind = rng.random()
        if any(duty.place == BOARD for duty in who.duties):
            return 0.7
        return 0.0 if kind < 0.04 else 0.05 if kind < 0.12 else rng.uniform(0.4, 0.95)

    def _look(
        self, rng: Random, who: Principal, role: Role, place: str, rolls: dict[str, list[str]]
    ) -> None:
        if role is Role.HOMEROOM:
            self._homeroom(rng, who, place, rolls.get(place, []))
        elif role is Role.GRADE_LEAD:
            school, _, _ = place.partition(":")
            listed = self._listed(school)[1]
            rooms = [room for duty in who.duties for room in duty.classes]
            mine = {key for room in rooms for key in rolls.get(room, ())}
            self._open(who, role, [key for key in listed if key in mine][:2])
        elif role in _SCHOOL:
            listed = self._listed(place)[1]
            if rng.random() < 0.2:
                self._list(who, role, place, listed)
            count = min(len(listed), rng.randrange(_SCHOOL[role] + 1))
            self._open(who, role, rng.sample(listed, count))
        elif role is Role.BOARD:
            month = self._rooms.clock.today().replace(day=1).isoformat()
            self.add(who, role, "board_counts", [BOARD], Ability.SEE_COUNTS, month)
        elif role is Role.BOARD_GUIDANCE and rng.random() < 0.4:
            school = rng.choice(SCHOOLS).id
            listed = self._listed(school)[1]
            self._list(who, role, school, listed)
            self._open(who, role, rng.sample(listed, min(len(listed), 2)))
        elif role is Role.WELFARE:
            self._cases(who, role)
        elif role is Role.ACCOUNTS and rng.random() < 0.3:
            self.add(who, role, "accounts_list", [BOARD], Ability.MANAGE_ACCOUNTS)
        elif role is Role.AUDITOR and rng.random() < 0.3:
            self.add(who, role, "alarms", [BOARD], Ability.SEE_TRAIL)

    def _homeroom(self, rng: Random, who: Principal, room: str, roll: Sequence[str]) -> None:
        if room not in self._carded:
            # The secret goes to the printer only; a teacher at the demo makes a new card.
            if room not in self._rooms.cards.in_force(who, [room]):
                self._rooms.cards.new_card(who, room)
            self._carded.add(room)
        if rng.random() < 0.25:
            self.add(who, Role.HOMEROOM, "class", roll, Ability.SEE_STUDENT)
        listed = set(self._listed(room.split("-", maxsplit=1)[0])[1])
        chosen = [key for key in roll if rng.random() < (0.25 if key in listed else _BUSY / 4)]
        self._open(who, Role.HOMEROOM, chosen)

    def _open(self, who: Principal, role: Role, students: Iterable[str]) -> None:
        self.add(who, role, "student", students, Ability.SEE_STUDENT)

    def _list(self, who: Principal, role: Role, school: str, listed: Sequence[str]) -> None:
        list_id = self._listed(school)[0]
        if list_id:
            self.add(who, role, "list", listed, Ability.SEE_LIST, list_id)
            self.add(who, role, "open_list", [list_id], Ability.SEE_LIST, "list")

    def _cases(self, who: Principal, role: Role) -> None:
        with self._rooms.database.reading() as conn:
            mine = [row.student for row in cases.at_offices(conn, [BOARD])]
        self.add(who, role, "cases", mine, Ability.TAKE_CASES)
        self._open(who, role, mine[:1])

    # -- who is where ------------------------------------------------------------------------------

    def _listed(self, school: str) -> tuple[str, list[str]]:
        """The school's latest list: its id, and the children on it."""
        with self._rooms.database.reading() as conn:
            row = judging.latest_list(conn, school)
            if row is None:
                return "", []
            listed = [entry.student for entry in judging.entries(conn, row.id)]
        there = {key for roll in self._rolls_of(self._rooms.clock.today()).values() for key in roll}
        return row.id, [key for key in listed if key in there]

    def _rolls_of(self, day: date) -> dict[str, list[str]]:
        """Class id -> the children on its roll; read anew each month."""
        month = (day.year, day.month)
        if self._rolls[0] != month:
            e = t.enrolments.c
            found: dict[str, list[str]] = {}
            with self._rooms.database.reading() as conn:
                for row in conn.execute(
                    select(e.class_id, e.student)
                    .where(e.from_day <= day, e.until_day.is_(None) | (e.until_day > day))
                    .order_by(e.class_id, e.student)
                ):
                    found.setdefault(row.class_id, []).append(row.student)
            self._rolls = (month, found)
        return self._rolls[1]
