"""Where an alert would reach nobody, found before it matters.

Looks a fortnight ahead, for every class and every chain of the playbook, at two moments of each
open day: is there a homeroom teacher, is the first step reached at all, is any, has whoever is told
a channel that works, is somebody on duty on the days of a vacation. It asks exactly what a real
alert asks (telling.py). Places and duties only, never names.

What to do about a gap is people's; the daily notice and the page are gap_watch.py's and the
portal's. That the chain passes over who is not there, and goes upward, does not depend on any of
this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, select

from warning_service.access.roles import AT_SCHOOL, Role
from warning_service.alerts.tables import deliveries
from warning_service.alerts.telling import Place, Telling
from warning_service.clock import at, day_of
from warning_service.playbooks.kinds import Step
from warning_service.playbooks.model import Playbook
from warning_service.roster import queries
from warning_service.roster.calendar import school_year_of
from warning_service.roster.tables import classes, enrolments

DAYS = 14
MOMENTS = (10, 14)
"""Hours at which a day is looked at: half a day's absence shows in one of them."""
FAILED_LATELY = timedelta(days=7)

Kind = Literal[
    "no_teacher",  # a class without a homeroom teacher
    "away",  # whoever holds the duty is away, and nobody stands in
    "first_step",  # of the first step nobody is there: the alert goes up at once
    "nobody",  # of the whole chain nobody is there
    "no_channel",  # whoever is told is told on the portal's pages only
    "channel_fails",  # the last message to the only address was given up
    "no_day_duty",  # a vacation day without anybody on duty
]
GRAVE: frozenset[str] = frozenset({"no_teacher", "first_step", "nobody", "channel_fails"})
"""Gaps worth a message of their own; the others stand on the page."""


class Gap(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One gap. `place`: where the duty is asked for; `days`: how many days of the next fortnight,
    from `first` to `last`. `urgency`: of which chain, '' when of any.
    """

    school: str
    kind: Kind
    place: str
    duty: str = ""
    urgency: str = ""
    first: date
    last: date
    days: int


class _Found:
    """Collects days of gaps."""

    def __init__(self) -> None:
        self.days: dict[tuple[str, Kind, str, str, str], set[date]] = {}

    def add(
        self, day: date, school: str, kind: Kind, place: str, *, duty: str = "", urgency: str = ""
    ) -> None:
        self.days.setdefault((school, kind, place, duty, urgency), set()).add(day)

    def gaps(self) -> list[Gap]:
        return sorted(
            Gap(
                school=school, kind=kind, place=place, duty=duty, urgency=urgency,
                first=min(days), last=max(days), days=len(days),
            )
            for (school, kind, place, duty, urgency), days in self.days.items()
        )  # fmt: skip


def find(
    conn: Connection,
    board: str,
    playbook: Playbook,
    now: datetime,
    *,
    wall: datetime,
    schools: Iterable[str] | None = None,
    days: int = DAYS,
) -> list[Gap]:
    """Gaps of the next `days` days at these schools (None: all of the board), sorted.

    `wall`: the real time, for messages that failed lately. Reads with the connection's own rights;
    give it the service's.
    """
    today = day_of(now)
    wanted = [s.id for s in queries.schools(conn, board)]
    if schools is not None:
        wanted = sorted(set(wanted) & set(schools))
    places = _places(conn, wanted, today)
    if not places:
        return []
    telling = Telling(conn, board, playbook.escalation, places=places, urgencies={"today"}, now=now)
    chains = _chains(playbook)
    broken = _broken(conn, telling, wall - FAILED_LATELY)
    found = _Found()
    for day in (today + timedelta(days=n) for n in range(days)):
        _vacation(telling, found, wanted, day)
        moments = [moment for hour in MOMENTS if (moment := at(day, hour)) >= now]
        for place in places:
            if not telling.calendar.lessons.is_school_day(day, place.school):
                continue
            for moment in moments or [now]:
                _of_class(telling, found, place, chains, day=day, moment=moment)
    _channels(telling, found, places, chains, broken=broken, now=now)
    return found.gaps()


def _places(conn: Connection, schools: Sequence[str], today: date) -> list[Place]:
    """Classes of this school year with somebody on the roll."""
    c, e = classes.c, enrolments.c
    found = []
    for start in range(0, len(schools), 500):
        rows = conn.execute(
            select(c.school, c.id)
            .where(c.school.in_(schools[start : start + 500]))
            .where(c.school_year == school_year_of(today))
            .where(
                select(e.student)
                .where(e.class_id == c.id, e.from_day <= today)
                .where(e.until_day.is_(None) | (e.until_day > today))
                .exists()
            )
            .order_by(c.school, c.id)
        )
        found += [Place(row.school, row.id) for row in rows]
    return found


def _chains(playbook: Playbook) -> dict[str, tuple[Step, ...]]:
    """The chains by which a child's alerts go."""
    return {
        "urgent": playbook.chain("consultation", "urgent"),
        "today": playbook.chain("same_day", playbook.kinds.same_day.urgency),
    }


def _of_class(
    telling: Telling,
    found: _Found,
    place: Place,
    chains: dict[str, tuple[Step, ...]],
    *,
    day: date,
    moment: datetime,
) -> None:
    for urgency, chain in chains.items():
        reached = []
        for step in chain:
            how = {duty: telling.reached(duty, place, moment) for duty in step.duties}
            reached.append(bool({"there", "route"} & set(how.values())))
            for duty, state in how.items():
                where = telling.where(duty, place)
                if state == "away":
                    found.add(day, place.school, "away", where, duty=duty)
                elif duty == Role.HOMEROOM and state != "there":
                    # A room in chat may still have a route; a child has nobody of its own.
                    found.add(day, place.school, "no_teacher", place.class_id, duty=duty)
        if not any(reached):
            found.add(day, place.school, "nobody", place.class_id, urgency=urgency)
        elif not reached[0]:
            found.add(day, place.school, "first_step", place.class_id, urgency=urgency)


def _vacation(telling: Telling, found: _Found, schools: Sequence[str], day: date) -> None:
    """Days the board or school has closed for a vacation; weekends and holidays are everybody's."""
    for school in schools:
        if telling.calendar.lessons.is_closed(day, school) and not telling.presence.rostered(
            school, day
        ):
            found.add(day, school, "no_day_duty", school)


def _channels(
    telling: Telling,
    found: _Found,
    places: Sequence[Place],
    chains: dict[str, tuple[Step, ...]],
    *,
    broken: set[tuple[str, str]],
    now: datetime,
) -> None:
    """Duties that somebody holds and no channel reaches, or only one whose last message failed."""
    today = day_of(now)
    for place in places:
        for duty in dict.fromkeys(d for chain in chains.values() for s in chain for d in s.duties):
            where = telling.where(duty, place)
            if not telling.presence.holders(duty, where, today):
                continue
            # Wherever they are today: it is about their addresses, not about the day.
            routes = telling.all_routes(duty, place, today)
            of_board = duty != Role.HOMEROOM and duty not in AT_SCHOOL | {Role.GRADE_LEAD}
            school = "" if of_board else place.school
            if not routes:
                found.add(today, school, "no_channel", where, duty=duty)
            elif {(one.channel, one.address) for one in routes} <= broken:
                found.add(today, school, "channel_fails", where, duty=duty)


def _broken(conn: Connection, telling: Telling, since: datetime) -> set[tuple[str, str]]:
    """Addresses whose latest decided message was given up."""
    d = deliveries.c
    rows: Sequence[Any] = conn.execute(
        select(d.channel, d.address, d.state)
        .where(d.created_at > since, d.state.in_(["sent", "failed"]), d.purpose != "update")
        .order_by(d.created_at, d.id)
    ).all()
    latest = {(row.channel, row.address): row.state for row in rows}
    return {
        address
        for address, state in latest.items()
        if state == "failed" and address in telling.addresses
    }
