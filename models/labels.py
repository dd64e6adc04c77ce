"""Labels: was a student, seen at the end of day T, hit within the horizon?

The rules are those of the replay format. A student-date counts when the student is not inside an
outcome on T; it is a hit when an outcome begins within T < on <= T + H; otherwise a negative, which
is sure only from T + H + D. Hits of one date become known before its negatives; learning from each
as it arrives would see a one-sided sample, so a date is settled as a whole once T + H + D is over.
"""

from __future__ import annotations

from models.student_state import StudentState


def matures_on(day: int, horizon: int, delay: int) -> int:
    """The ordinal of the day whose end settles all labels of `day`."""
    return day + horizon + delay


def label(state: StudentState, day: int, horizon: int) -> bool | None:
    """True for a hit, False for a negative, None when the student-date does not count."""
    if any(o.holds(day) for o in state.outcomes):
        return None
    return any(day < o.on <= day + horizon for o in state.outcomes)
