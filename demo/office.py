"""What happens at the town's offices: cases handed to welfare, families' requests, an odd evening.

A handful of fixed days, so that the welfare officer, the privacy officer and the auditor find on
their pages what such pages are for: a case that came back and one still open, a refusal of months
ago, a disclosure that waits for the second person, a family that asked who looked, and somebody who
opened many children late at night. All through the services, by the people who have the duty; whom
it concerns follows from the seed and from what happened to the town's children.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from random import Random

from sqlalchemy import Connection, select

from demo.looks import Looks
from demo.people import People, shown_children
from demo.town import BOARD, Town
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability, Role
from warning_service.alerts.tables import alerts
from warning_service.clock import at
from warning_service.follow_up import cases
from warning_service.follow_up.cases import HELP, SUPPORT
from warning_service.follow_up.tables import reviews
from warning_service.judging import queries as judging
from warning_service.rights.tables import family_requests
from warning_service.rights.terms import AskedBy, Identity, Kind, State
from warning_service.rooms import Rooms
from warning_service.roster import queries as roster
from warning_service.roster import tables as t

STORY: dict[str, date] = {
    "refusal": date(2025, 10, 16),
    "case_given_first": date(2026, 1, 22),
    "disclosure_asked": date(2026, 2, 12),
    "case_returned": date(2026, 2, 17),
    "who_looked": date(2026, 2, 19),
    "case_given_second": date(2026, 2, 20),
    "odd_evening": date(2026, 2, 25),
    "disclosure_decided": date(2026, 2, 26),
}
"""What happens, and on which day."""

AFTERNOON, EVENING = (16, 20), (22, 38)
FIRST, SECOND, REFUSING, ASKING, ODD = "sakura", "asahi", "midori", "higashi", "minami"
OPENED_AT_NIGHT = 9


class Office:
    """Plays the story's days."""

    def __init__(self, rooms: Rooms, town: Town, people: People, looks: Looks) -> None:
        self._rooms = rooms
        self._town = town
        self._people = people
        self._looks = looks

    def happenings(self, day: date) -> Iterator[tuple[datetime, Callable[[], None]]]:
        """What the story has for a day, with the moment."""
        for name, on in STORY.items():
            if on != day:
                continue
            if name != "odd_evening":
                yield at(day, *AFTERNOON), getattr(self, f"_{name}")
                continue
            for n in range(OPENED_AT_NIGHT):
                moment = at(day, *EVENING) + timedelta(minutes=2 * n)
                yield moment, lambda n=n: self._odd_evening(n)  # type: ignore[misc]

    def _who(self, role: Role, place: str = BOARD) -> Principal | None:
        return self._people.who(role, place, self._rooms.clock.today())

    # -- cases -------------------------------------------------------------------------------------

    def _case_given_first(self) -> None:
        words = "夜に一人で過ごす日が多い。食事と登校の支援を家庭と相談したい。"
        self._give(Role.SOCIAL_WORKER, FIRST, SUPPORT, words)

    def _case_given_second(self) -> None:
        words = "本人から、家に帰りたくないと相談があった。学校では話をきき、安全を確かめた。"
        self._give(Role.GUIDANCE, SECOND, HELP, words)

    def _give(self, role: Role, school: str, ground: str, words: str) -> None:
        who, student = self._who(role, school), self._worried(school)
        if who is None or student is None:
            return
        self._looks.sign_in(who, role)
        self._looks.add(who, role, "student", [student], Ability.SEE_STUDENT)
        self._looks.write()
        self._rooms.follow_ups.hand_overs.give(who, student, ground, words)

    def _case_returned(self) -> None:
        who = self._who(Role.WELFARE)
        with self._rooms.database.reading() as conn:
            mine = [row for row in cases.at_offices(conn, [BOARD]) if row.school == FIRST]
        if who is None or not mine:
            return
        self._looks.sign_in(who, Role.WELFARE)
        self._looks.write()
        words = "家庭への支援が始まり、夕食の見守りが続いています。学校での様子をお願いします。"
        self._rooms.follow_ups.hand_overs.give_back(who, mine[-1].id, words)

    def _worried(self, school: str) -> str | None:
        """Of the latest list's children, one the meeting put in class A, else the first."""
        with self._rooms.database.reading() as conn:
            row = judging.latest_list(conn, school)
            if row is None:
                return None
            listed = [entry.student for entry in judging.entries(conn, row.id)]
            r = reviews.c
            chosen = set(
                conn.execute(
                    select(r.student).where(r.list_id == row.id, r.chosen == "A")
                ).scalars()
            )
            here = [one for one in listed if self._is_here(conn, one, school)]
        return next((one for one in here if one in chosen), next(iter(here), None))

    def _is_here(self, conn: Connection, student: str, school: str) -> bool:
        place = roster.enrolment_on(conn, student, self._rooms.clock.today())
        return (
            place is not None
            and place.school == school
            and not roster.opted_out(conn, student)
            and student not in {self._people.student[c.number] for c in shown_children(self._town)}
        )

    # -- families' requests ------------------------------------------------------------------------

    def _refusal(self) -> None:
        self._receive(Kind.OPT_OUT, self._any(REFUSING), AskedBy.GUARDIAN, Identity.KNOWN)

    def _disclosure_asked(self) -> None:
        with self._rooms.database.reading() as conn:
            a = alerts.c
            told = conn.execute(
                select(a.student).where(a.school == ASKING).order_by(a.raised_at, a.student)
            ).scalars()
            found = next((one for one in told if self._is_here(conn, one, ASKING)), None)
        student = found or self._any(ASKING)
        self._receive(
            Kind.DISCLOSURE, student, AskedBy.LEGAL, Identity.REGISTER,
            wish="今年度に学校が記録したものを見たい。",
        )  # fmt: skip

    def _receive(
        self, kind: Kind, student: str, asked_by: AskedBy, identity: Identity, wish: str = ""
    ) -> None:
        who = self._who(Role.PRIVACY)
        if who is None:
            return
        self._find(who, student)
        self._rooms.rights.requests.receive(
            who, student, kind, asked_by=asked_by, identity=identity,
            received_on=self._rooms.clock.today(), wish=wish,
        )  # fmt: skip

    def _find(self, who: Principal, student: str) -> None:
        """The officer signs in and looks the child up."""
        self._looks.sign_in(who, Role.PRIVACY)
        self._looks.write()
        number = next(number for number, key in self._people.student.items() if key == student)
        self._rooms.rights.people.search(who, number)

    def _disclosure_decided(self) -> None:
        who = self._who(Role.PRIVACY)
        r = family_requests.c
        with self._rooms.database.reading() as conn:
            row = conn.execute(
                select(family_requests)
                .where(r.board == BOARD, r.kind == Kind.DISCLOSURE, r.state == State.OPEN)
                .order_by(r.created_at)
            ).first()
        if who is None or row is None:
            return
        self._looks.sign_in(who, Role.PRIVACY)
        using = Ability.HANDLE_REQUESTS
        self._looks.add(who, Role.PRIVACY, "request_held", [row.student], using, row.id)
        self._looks.write()
        self._rooms.rights.disclosures.decide(
            who, row.id, "file", as_of=self._rooms.clock.now(),
            reason="相談に関する記録と、他の方の個人情報にあたる部分を除いて開示する。",
        )  # fmt: skip

    def _who_looked(self) -> None:
        """A family asks at the counter who has looked; the officer makes the page."""
        who = self._who(Role.PRIVACY)
        student = self._worried(ASKING) or self._any(ASKING)
        if who is not None:
            self._find(who, student)
            self._rooms.rights.people.person(
                who, student, using=Ability.HANDLE_REQUESTS, why="trail_of_child"
            )

    # -- somebody at night -------------------------------------------------------------------------

    def _odd_evening(self, number: int) -> None:
        who = self._who(Role.GUIDANCE, ODD)
        if who is None:
            return
        if not number:
            self._looks.sign_in(who, Role.GUIDANCE)
        keys = self._here(ODD)
        chosen = Random(f"{self._town.seed}:odd").sample(keys, OPENED_AT_NIGHT)[number]
        self._looks.add(who, Role.GUIDANCE, "student", [chosen], Ability.SEE_STUDENT)
        self._looks.write()

    # -- whom --------------------------------------------------------------------------------------

    def _any(self, school: str) -> str:
        """A child of the school, the same in every run; never one whose sign-in the demo shows."""
        with self._rooms.database.reading() as conn:
            keys = [key for key in self._here(school) if self._is_here(conn, key, school)]
        return Random(f"{self._town.seed}:office:{school}").choice(keys)

    def _here(self, school: str) -> list[str]:
        e, today = t.enrolments.c, self._rooms.clock.today()
        with self._rooms.database.reading() as conn:
            return list(
                conn.execute(
                    select(e.student)
                    .where(e.school == school, e.from_day <= today)
                    .where(e.until_day.is_(None) | (e.until_day > today))
                    .order_by(e.student)
                ).scalars()
            )
