"""A small invented board as events: two schools, sixty children, a few months, some fall ill.

Made for tests only; everything follows from the seed.
"""

from __future__ import annotations

import random
from datetime import date, timedelta

from warning_service.clock import at
from warning_service.events.log import Log
from warning_service.events.types import (
    CheckInSubmitted,
    DayClosed,
    EnrolmentStarted,
    FollowUpRecorded,
    ListDue,
    NewEvent,
    ObservationRecorded,
    derived_id,
)
from warning_service.judging.setup import Setup, from_playbook
from warning_service.playbooks.model import Playbook, shipped

BOARD = "b1"
FIRST = date(2026, 4, 6)
SCHOOLS = ("s1", "s2")


def small_playbook() -> Playbook:
    """Nishinomiya's, with an outcome that happens and settles within a test's few months."""
    whole = shipped("nishinomiya")
    outcome = whole.outcome.model_copy(update={"threshold": 6.0, "horizon_days": 21})
    places = whole.list.model_copy(update={"budget_share": 0.1, "budget_least": 2})
    trust = whole.hand_over.model_copy(update={"least_hits": 5, "least_gain": -0.4})
    return whole.model_copy(update={"outcome": outcome, "list": places, "hand_over": trust})


def small_setup() -> Setup:
    return from_playbook(small_playbook())


class OnePlaybook:
    """A playbook source for one board."""

    def of(self, board: str) -> Playbook:
        return small_playbook()


def key(number: int) -> str:
    return f"k{number:03d}"


def _new(on: date, student: str | None, body: object, *name: str) -> NewEvent:
    return NewEvent(
        id=derived_id("town", *name), board=BOARD, student=student, on=on, actor="test",
        body=body,  # type: ignore[arg-type]
    )  # fmt: skip


def days_of_events(days: int = 90, children: int = 44, seed: int = 4) -> list[list[NewEvent]]:
    """One list of events per day, in the order in which they come."""
    dice = random.Random(seed)
    found: list[list[NewEvent]] = []
    trouble = {
        n: dice.randrange(10, max(days, 20)) for n in range(children) if dice.random() < 0.35
    }
    for step in range(days):
        day = FIRST + timedelta(days=step)
        events: list[NewEvent] = []
        if day.day == 1 or step == 21:
            events += [
                _new(day, None, ListDue(school=s), "due", s, day.isoformat()) for s in SCHOOLS
            ]
        if step == 0:
            for n in range(children):
                school = SCHOOLS[n % 2]
                body = EnrolmentStarted(school=school, class_id=f"{school}c{n % 4}", grade=5)
                events.append(_new(day, key(n), body, "enrol", key(n)))
        if day.weekday() < 5:
            for n in range(children):
                events += _child_day(dice, day, step, n, step >= trouble.get(n, days))
        events.append(_new(day, None, DayClosed(), "closed", day.isoformat()))
        found.append(events)
    return found


def _child_day(dice: random.Random, day: date, step: int, n: int, ill: bool) -> list[NewEvent]:
    events = []
    for item, chance in (("absent_days", 0.45 if ill else 0.02), ("late_days", 0.05)):
        if dice.random() < chance:
            on = day - timedelta(days=dice.choice((0, 0, 0, 3)) if step > 10 else 0)
            body = ObservationRecorded(item=item, value=1.0, source="test")
            events.append(_new(on, key(n), body, item, key(n), day.isoformat()))
    if dice.random() < 0.2:
        mood = dice.choice((1, 2, 3, 3)) if ill else dice.choice((0, 0, 1, 2))
        answers = {"mood": mood, "sleep": dice.choice((0, 1, None)), "vanish": 0}
        checked = CheckInSubmitted(
            questionnaire="kokoro_daily", version=1, answers=answers, answered_at=at(day, 8)
        )
        events.append(_new(day, key(n), checked, "check", key(n), day.isoformat()))
    if ill and dice.random() < 0.02:
        done = FollowUpRecorded(
            follow_up_id=f"f{n}{step}", action="talked", change="same", list_id=None,
            alert_id=None, sealed=None,
        )  # fmt: skip
        events.append(_new(day, key(n), done, "follow", key(n), day.isoformat()))
    return events


def store(log: Log, days: list[list[NewEvent]]) -> None:
    """Append all events, in order, as they stand."""
    with log.unit_of_work() as unit:
        for events in days:
            unit.append(*events)
