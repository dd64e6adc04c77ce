"""A corrected fact counts as corrected, a stopped item not at all; the log keeps what was."""

from __future__ import annotations

from datetime import date

import pytest

from models.items import ItemSpec
from models.student_state import StudentState, to_bytes
from warning_service.events.types import (
    DayClosed,
    EnrolmentStarted,
    Event,
    ObservationCorrected,
    ObservationRecorded,
    UseStopped,
)
from warning_service.judging.judge import Judge
from warning_service.judging.setup import from_playbook
from warning_service.playbooks.model import shipped

DAY = date(2026, 5, 11)
COUNT = ItemSpec(id="c", kind="count", worse="high")
FLAG = ItemSpec(id="f", kind="flag", worse="high")
MEASURE = ItemSpec(id="m", kind="measure", worse="high")


def state(spec: ItemSpec, *facts: tuple[int, float], today: int = 0) -> StudentState:
    made = StudentState()
    for day, value in facts:
        made.put(spec, day, value, today)
    return made


@pytest.mark.parametrize(
    ("spec", "was", "value", "facts", "same_as"),
    [
        (COUNT, 1.0, None, [(5, 1.0)], []),
        (COUNT, 1.0, 3.0, [(5, 1.0), (5, 2.0)], [(5, 5.0)]),
        (FLAG, 1.0, 0.0, [(4, 1.0), (5, 1.0)], [(4, 1.0)]),
        (MEASURE, 7.0, 2.0, [(5, 7.0)], [(5, 2.0)]),
        (MEASURE, 7.0, 0.0, [(5, 7.0)], [(5, 0.0)]),
        (MEASURE, 7.0, None, [(4, 1.0), (5, 7.0)], [(4, 1.0)]),
        (COUNT, 1.0, None, [(4, 1.0)], [(4, 1.0)]),  # nothing on that day: nothing to correct
    ],
)
def test_a_corrected_state_is_one_that_was_told_right(
    spec: ItemSpec,
    was: float,
    value: float | None,
    facts: list[tuple[int, float]],
    same_as: list[tuple[int, float]],
) -> None:
    made, wanted = state(spec, *facts), state(spec, *same_as)
    made.correct(spec, 5, was, value)
    wanted.items.setdefault(spec.id, made.items[spec.id].__class__())
    assert to_bytes(made) == to_bytes(wanted)


def test_what_was_folded_into_the_sums_is_corrected_there() -> None:
    made = state(COUNT, (5, 2.0), (6, 1.0), (500, 1.0), today=500)
    held = made.items["c"]
    assert (held.old_n, held.old_sum, held.days) == (2, 3.0, [500])
    made.correct(COUNT, 5, 2.0, None)
    assert (held.old_n, held.old_sum) == (1, 1.0)
    made.correct(COUNT, 6, 1.0, 4.0)
    assert (held.old_n, held.old_sum, held.old_last_value) == (1, 4.0, 4.0)
    made.correct(COUNT, 400, 1.0, None)
    assert held.old_sum == 4.0
    StudentState().correct(COUNT, 5, 1.0, None)


class Told:
    """A judge that is told events of one student."""

    def __init__(self) -> None:
        self.judge = Judge("town", from_playbook(shipped("nishinomiya")), lambda _: b"")
        self.position = 0
        self.take(EnrolmentStarted(school="sakura", class_id="sakura-1", grade=4))

    def take(self, body: object, on: date = DAY, student: str | None = "s") -> None:
        self.position += 1
        self.judge.take(
            Event(
                position=self.position, id=str(self.position), board="town", student=student,
                on=on, recorded_at=None, actor="x", body=body,  # type: ignore[arg-type]
            )
        )  # fmt: skip

    def absent(self, value: float = 1.0) -> None:
        self.take(ObservationRecorded(item="absent_days", value=value, source="x"))

    @property
    def bytes(self) -> bytes:
        return to_bytes(self.judge.students["s"])


def corrected(item: str, was: float, value: float | None) -> ObservationCorrected:
    return ObservationCorrected(item=item, was=was, value=value, corrects="1", request="r")


def test_the_year_total_follows_a_correction() -> None:
    told, right = Told(), Told()
    told.absent()
    told.absent(2.0)
    told.take(corrected("absent_days", 2.0, None))
    right.absent()
    assert told.bytes == right.bytes
    assert told.judge.students["s"].year_sum == 1.0


def test_a_correction_of_what_the_playbook_does_not_use_changes_nothing() -> None:
    told = Told()
    before = told.bytes
    told.take(corrected("not_in_use", 1.0, None))
    assert told.bytes == before


def test_a_stopped_item_is_forgotten_and_not_taken_in_again() -> None:
    told = Told()
    told.absent()
    told.take(UseStopped(items=("absent_days", "q.mood"), request="r"))
    told.absent()
    told.take(corrected("absent_days", 1.0, 5.0))
    held = told.judge.students["s"]
    assert held.items == {} and held.year_sum == 0.0
    assert held.stopped == {"absent_days": DAY.toordinal(), "q.mood": DAY.toordinal()}
    assert held.stopped_after(DAY.toordinal()) and not held.stopped_after(DAY.toordinal() + 1)


def test_a_day_that_waits_for_its_label_is_not_learned_after_a_stop() -> None:
    told = Told()
    told.absent()
    told.take(DayClosed(), student=None)
    told.judge._sample(DAY.toordinal())
    block = told.judge.changes.blocks[DAY.toordinal()]
    told.judge.read_block = lambda _: block
    told.take(UseStopped(items=("nurse_visits",), request="r"))
    told.judge.waiting = [DAY.toordinal()]
    told.judge._settle(DAY.toordinal(), 9)
    assert told.judge.spent.labels == 0
