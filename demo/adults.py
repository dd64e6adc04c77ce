"""The town's adults: they take alerts on, talk with children, meet about lists, write down a line.

Deterministic from the seed and the thing they react to, imperfect as people are: most alerts are
taken on within minutes, some only after the next ones were told, a few are never written up. All
through the services, with the duties the person really has; nothing here writes a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from random import Random
from typing import Any

import msgspec
from sqlalchemy import select

from demo.looks import Looks
from demo.people import People
from demo.town import SCHOOLS, Town
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal
from warning_service.access.roles import Ability, Role
from warning_service.alerts.service import AlertView
from warning_service.clock import day_of
from warning_service.follow_up.tables import reviews
from warning_service.judging import queries as judging
from warning_service.rooms import Rooms
from warning_service.roster import queries as roster

ROUNDS = ((8, 50), (9, 15), (10, 40), (13, 10), (15, 50))
"""Times of day at which the adults get round to things."""

LISTENERS = (Role.NURSE, Role.COUNSELLOR, Role.GUIDANCE, Role.MANAGEMENT)
"""Whole-school duties that calls for help reach, at once or when told on."""

NOTES = (
    "朝、廊下で声をかけた。笑顔で返事。",
    "放課後に少し話した。よく眠れないと言っていた。",
    "保健室で休ませて話をきいた。",
    "家庭に電話。家でも元気がないとのこと。",
    "友だちのことで気になることがあるようす。",
    "給食はよく食べていた。しばらく見守る。",
)


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Something an adult will write down: about an alert or a list entry, on a day's last round."""

    student: str
    school: str
    class_id: str
    action: str
    change: str
    note: str
    alert_id: str | None = None
    list_id: str | None = None
    role: Role | None = None  # who does it, where that is not open


class Adults:
    """Plays the adults of all schools."""

    def __init__(self, rooms: Rooms, town: Town, people: People, looks: Looks) -> None:
        self._rooms = rooms
        self._looks = looks
        self._town = town
        self._people = people
        self._tasks: dict[date, list[Task]] = {}
        self._meetings: dict[date, list[tuple[str, str]]] = {}
        self._seen: set[str] = set()

    def _rng(self, *what: object) -> Random:
        return Random(":".join(map(str, (self._town.seed, "adults", *what))))

    # -- alerts ------------------------------------------------------------------------------------

    def round(self, number: int, day: date) -> int:
        """One round: open alerts whose turn has come are taken on; return how many are left."""
        left = 0
        for school in SCHOOLS:
            for alert in self._open(school.id):
                if self._turn(alert, day) <= number:
                    self._take_on(alert, day)
                else:
                    left += 1
        return left

    def _open(self, school: str) -> list[AlertView]:
        """What waits at a school today, whoever it is for."""
        return self._rooms.alerts.waiting_at(school, limit=60)

    def _hearer(self, alert: AlertView, day: date, *, nurse: bool) -> Role | None:
        """Who takes it on: the homeroom teacher or the nurse, or whoever a call was for."""
        first = (Role.NURSE, Role.HOMEROOM) if nurse else (Role.HOMEROOM, Role.NURSE)
        for role in (*first, *LISTENERS):
            told = alert.kind != "consultation" or role in alert.duties
            if told and self._holder(role, alert.school, alert.class_id, day) is not None:
                return role
        return None

    def _holder(self, role: Role, school: str, class_id: str, day: date) -> Principal | None:
        return self._people.who(role, class_id if role is Role.HOMEROOM else school, day)

    def _turn(self, alert: AlertView, day: date) -> int:
        """The round in which somebody takes it on; urgent ones mostly at once."""
        if day_of(alert.raised_at) < day:
            return 0
        quick = 0.9 if alert.urgency == "urgent" else 0.65
        rng = self._rng("turn", alert.student, alert.source)
        return 0 if rng.random() < quick else rng.randrange(1, len(ROUNDS))

    def _take_on(self, alert: AlertView, day: date) -> None:
        rng = self._rng("alert", alert.student, alert.source)
        role = self._hearer(alert, day, nurse=rng.random() < 0.3)
        if role is None:
            return
        who = self._holder(role, alert.school, alert.class_id, day)
        if who is None:
            return
        via = "slack" if rng.random() < 0.4 else "portal"
        if via == "portal":  # who presses the button in the chat opens no page
            for action, detail in (("alerts", ""), ("alert", alert.id)):
                self._looks.add(who, role, action, [alert.student], Ability.SEE_ALERTS, detail)
            self._looks.write()
        self._rooms.alerts.acknowledge(alert.id, who, via)
        urgent = alert.urgency == "urgent"
        if not urgent and rng.random() < 0.25 and alert.step == 0:
            return  # talked in passing, nothing written; who is told next for that writes it down
        action = rng.choices(
            ("consulted", "talked", "home", "counsellor", "watched"),
            (6, 3, 2, 3, 0) if urgent else (2, 6, 1, 1, 3),
        )[0]
        change = rng.choices(("unknown", "better", "same", "worse"), (5, 3, 3, 1))[0]
        task = Task(
            student=alert.student, school=alert.school, class_id=alert.class_id, action=action,
            change=change, note=rng.choice(NOTES) if rng.random() < 0.5 else "", alert_id=alert.id,
            role=role if alert.kind == "consultation" else None,
        )  # fmt: skip
        self._plan(day, 0 if urgent else rng.choice((0, 0, 1, 2)), task)

    # -- lists -------------------------------------------------------------------------------------

    def published(self, day: date) -> None:
        """Lists are out: each school's committee sets a meeting a few school days after them.

        Asked again (in a later process) it sets the same meetings, unless their day is past.
        """
        with self._rooms.database.reading() as conn:
            for school in SCHOOLS:
                row = judging.latest_list(conn, school.id)
                if row is None or row.id in self._seen:
                    continue
                self._seen.add(row.id)
                wait = self._rng("meeting", school.id, row.list_date).randrange(2, 6)
                meeting = self._later(row.list_date, wait)
                if meeting >= day:
                    self._meetings.setdefault(meeting, []).append((school.id, row.id))

    def meet(self, day: date) -> None:
        """Committees that meet today class their entries and agree who does what."""
        for school, list_id in self._meetings.pop(day, []):
            who = self._people.who(Role.COMMITTEE, school, day)
            with self._rooms.database.reading() as conn:
                entries = judging.entries(conn, list_id)
                r = reviews
                decided = set(
                    conn.execute(select(r.c.student).where(r.c.list_id == list_id)).scalars()
                )
            if who is not None:
                self._looks.sign_in(who, Role.COMMITTEE)
                listed = [entry.student for entry in entries]
                using = Ability.SEE_LIST
                self._looks.add(who, Role.COMMITTEE, "committee", listed, using, list_id)
                self._looks.write()
            for entry in entries:
                if who is not None and entry.student not in decided:
                    self._review(who, day, school, entry)

    def _review(self, who: Principal, day: date, school: str, entry: Any) -> None:
        list_id, student, again = entry.list_id, entry.student, entry.times_running
        rng = self._rng("review", student, day)
        if rng.random() < 0.06:
            return  # the bell rang
        weights = (30, 38, 22, 10) if again > 1 else (14, 38, 34, 14)
        chosen = rng.choices("ABCD", weights)[0]
        directions: list[str] = []
        if chosen == "A":
            directions = rng.sample(("counsellor", "centre", "medical"), rng.choice((1, 1, 2)))
        try:
            self._rooms.follow_ups.review(who, list_id, student, chosen, directions)
        except NotYours:  # left the school since the list was made
            return
        if chosen == "D" or (chosen == "C" and rng.random() < 0.6):
            return
        self._follow(rng, day, school, entry, chosen)

    def _follow(self, rng: Random, day: date, school: str, entry: Any, chosen: str) -> None:
        """One to three records in the weeks after a meeting; how it goes is open."""
        list_id, student = entry.list_id, entry.student
        with self._rooms.database.reading() as conn:
            place = roster.enrolment_on(conn, student, day)
        if place is None:
            return
        goes = rng.choices(("better", "same", "worse"), (45, 40, 15))[0]
        count = rng.choice((1, 2, 3)) if chosen in "AB" else 1
        wait = 1
        for n in range(count):
            last = n == count - 1
            action = {
                "A": ("consulted", "home", "counsellor"),
                "B": ("talked", "talked", "watched"),
            }
            task = Task(
                student=student, school=school, class_id=place.class_id,
                action=action.get(chosen, ("watched",) * 3)[n],
                change=goes if last else rng.choice(("unknown", "same")),
                note=rng.choice(NOTES) if rng.random() < 0.4 else "",
                list_id=list_id,
            )  # fmt: skip
            self._plan(day, wait, task)
            wait += rng.randrange(3, 8)

    # -- writing down ------------------------------------------------------------------------------

    def write_down(self, day: date) -> None:
        """What was planned for today is recorded; a child who has left is nobody's any more."""
        for task in self._tasks.pop(day, []):
            who = self._who(task.school, task.class_id, day, nurse=task.action == "counsellor")
            if task.role is not None:
                who = self._holder(task.role, task.school, task.class_id, day)
            if who is None:
                continue
            try:
                self._rooms.follow_ups.record(
                    who, task.student, task.action, task.change, task.note,
                    list_id=task.list_id, alert_id=task.alert_id,
                )  # fmt: skip
            except NotYours:
                continue
            role = who.duties[0].role
            using = Ability.RECORD_FOLLOW_UP
            self._looks.add(who, role, "follow_up_form", [task.student], using)
        self._looks.write()

    def _who(self, school: str, class_id: str, day: date, *, nurse: bool) -> Principal | None:
        if not nurse:
            homeroom = self._people.who(Role.HOMEROOM, class_id, day)
            if homeroom is not None:
                return homeroom
        return self._people.who(Role.NURSE, school, day)

    def _plan(self, day: date, wait: int, task: Task) -> None:
        self._tasks.setdefault(self._later(day, wait), []).append(task)

    def _later(self, day: date, wait: int) -> date:
        """The `wait`-th school day after `day` (0: `day` itself)."""
        following: Sequence[date] = self._town.school_days(
            day, date.fromordinal(day.toordinal() + 60)
        )
        return following[min(wait, len(following) - 1)] if following else day
