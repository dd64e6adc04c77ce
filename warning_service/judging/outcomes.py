"""Notices the playbook's own outcome: an item adding up to a threshold within a school year.

Detection is made when a day is closed, from all facts of that school year up to that day. The
outcome is dated on the day that reached the threshold; it is over when the next school year begins,
because the count begins again then. Outcomes that arrive as events are simply recorded elsewhere.
"""

from __future__ import annotations

from datetime import date

from models.student_state import Outcome, StudentState
from warning_service.events.types import NewEvent, OutcomeRecorded, derived_id
from warning_service.judging.setup import Setup
from warning_service.roster.calendar import school_year_of

ACTOR = "system:judging"


def add_up(state: StudentState, day: int, value: float) -> None:
    """Count one observation of the outcome item into its school year's total.

    A fact of an earlier school year than the running one comes too late to count.
    """
    year = school_year_of(date.fromordinal(day))
    if year > state.year:
        state.year, state.year_sum = year, 0.0
    if year == state.year:
        state.year_sum += value


def year_begins(day: int) -> int:
    """Ordinal of the 1 April on which the school year of `day` began."""
    return date(school_year_of(date.fromordinal(day)), 4, 1).toordinal()


def detect(setup: Setup, state: StudentState, day: int, begins: int) -> Outcome | None:
    """A new outcome, or an old one that is over, as of the end of `day`; None for no news.

    `begins`: `year_begins(day)`, handed in because it is the same for every student.
    """
    if setup.outcome_item is None:
        return None
    for held in state.outcomes:
        if held.over_on is None and held.on < begins:
            return Outcome(held.on, held.known_on, begins)
    if state.year_sum < setup.threshold or state.year != date.fromordinal(begins).year:
        return None
    if any(held.on >= begins for held in state.outcomes):
        return None
    return _reached(setup.outcome_item, setup.threshold, state, day)


def _reached(item: str, threshold: float, state: StudentState, day: int) -> Outcome | None:
    """Walk back from the year's total to the day that reached the threshold."""
    history = state.items.get(item)
    if history is None:  # the playbook does not use the item otherwise: no single days are kept
        return Outcome(day, day, None)
    entries = list(zip(history.days, history.values, strict=True))
    total = state.year_sum - sum(value for when, value in entries if when > day)
    if total < threshold:
        return None
    on = day
    for when, value in reversed(entries):
        if when <= day:
            on, total = when, total - value
            if total < threshold:
                break
    return Outcome(on, day, None)


def event(board: str, student: str, setup: Setup, found: Outcome) -> NewEvent:
    """The event that tells of it; made again, it is the same event."""
    over = None if found.over_on is None else date.fromordinal(found.over_on)
    return NewEvent(
        id=derived_id("outcome", board, student, setup.outcome, str(found.on), str(over or "")),
        board=board,
        student=student,
        on=date.fromordinal(found.on),
        actor=ACTOR,
        body=OutcomeRecorded(
            outcome=setup.outcome, known_on=date.fromordinal(found.known_on), over_on=over
        ),
    )
