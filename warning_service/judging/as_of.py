"""A child's own facts as they stood when a list was made, put together again from the log.

A state looks at nobody else, so a child's own events up to the list's position are enough, and
nothing about the child has to be kept with the list. Facts whose use the family has since stopped
do not come back, and what retention has deleted is gone: whoever uses this compares the score that
comes out with the frozen one, and says so when they differ.
"""

from __future__ import annotations

from sqlalchemy import Connection

from models.student_state import Outcome, StudentState
from warning_service.events.log import of_student
from warning_service.events.types import OutcomeRecorded, UseStopped
from warning_service.judging import outcomes
from warning_service.judging.judge import Gone, Judge
from warning_service.judging.setup import Setup


def state_as_of(conn: Connection, setup: Setup, student: str, position: int) -> StudentState | None:
    """The child's state after the log up to `position`; None when nothing of it is there."""
    events = of_student(conn, student)
    stopped = frozenset(
        item for event in events if isinstance(event.body, UseStopped) for item in event.body.items
    )
    judge = Judge("", setup, _no_blocks, Gone(items={student: stopped}))
    for event in events:
        if event.position > position:
            break
        if event.actor != outcomes.ACTOR:
            judge.take(event)
            continue
        body, state = event.body, judge.students.get(student)
        if (
            isinstance(body, OutcomeRecorded)
            and body.outcome == setup.outcome
            and state is not None
        ):
            # What judging found out itself: it looks at whole days, and here only events come by.
            over = None if body.over_on is None else body.over_on.toordinal()
            state.put_outcome(Outcome(event.on.toordinal(), body.known_on.toordinal(), over))
    return judge.students.get(student)


def _no_blocks(day: int) -> bytes:
    raise KeyError(day)  # no day is closed here, so none is ever asked for
