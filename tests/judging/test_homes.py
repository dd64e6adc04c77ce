"""What siblings show reaches the models of boards that look at households, and only theirs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import numpy as np
import pytest

from models.household import COLUMNS, OWNER
from models.learner import TrainingBlock
from tests.judging.test_picks import Source
from tests.judging.test_removal import everything, other
from tests.judging.town import (
    BOARD,
    FIRST,
    _new,
    days_of_events,
    key,
    small_playbook,
    small_setup,
    store,
)
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.events.types import HouseholdKnown, NewEvent, OptOutRecorded
from warning_service.judging import queries
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.deriving.rebuild import rebuild
from warning_service.judging.deriving.removal import Removal
from warning_service.judging.setup import from_playbook
from warning_service.judging.telling.what_if import WhatIf, prepare
from warning_service.playbooks.judging import Sibling
from warning_service.playbooks.model import Playbook

__all__ = ["other"]  # a fixture

CHILDREN, DAYS = 44, 90


def of_homes() -> Playbook:
    """The small town's playbook, with a point for a sibling of many points."""
    whole = small_playbook()
    how = whole.judgement.model_copy(update={"sibling": Sibling(at=5, points=1)})
    return whole.model_copy(update={"judgement": how})


def town() -> list[list[NewEvent]]:
    """Homes of three across both schools; every seventh child's is not known."""
    days = days_of_events(DAYS, CHILDREN)
    for n in range(CHILDREN):
        lives = HouseholdKnown(household=f"h{n // 3}" if n % 7 else "")
        days[0].append(_new(FIRST, key(n), lives, "home", key(n)))
    return days


def home(student: str) -> str:
    """As `town` has it; '' for none."""
    n = int(student[1:])
    return f"h{n // 3}" if n % 7 else ""


def played(log: Log, days: list[list[NewEvent]]) -> JudgingConsumer:
    """The town judged; what judged it."""
    store(log, days)
    consumer = JudgingConsumer(log, Source(of_homes()))
    Dispatcher(log, consumer, BOARD).drain()
    return consumer


def test_only_a_playbook_of_households_has_the_columns() -> None:
    assert from_playbook(of_homes()).schema.names[-2:] == COLUMNS
    assert not set(COLUMNS) & set(small_setup().schema.names)
    assert from_playbook(of_homes()).schema.hash != small_setup().schema.hash


def test_lists_and_rows_that_know_siblings_come_out_again(log: Log) -> None:
    days = town()
    refused = FIRST + timedelta(days=40)
    days[40].insert(0, _new(refused, key(4), OptOutRecorded(), "no"))
    played(log, days)
    setup = from_playbook(of_homes())
    judges, told, shown, moved = set(), 0, 0, 0
    with log.database.reading() as conn:
        for made in queries.lists_of_board(conn, BOARD):
            for entry in queries.entries(conn, made.id):
                judges.add(made.judge)
                evidence = queries.evidence_of(entry)
                affected, points = evidence["siblings_show"]
                shown += affected > 0
                assert affected <= 2 and (home(entry.student) or (affected, points) == (0, 0))
                lines = [f for f in evidence["raising"] if f["item"] == OWNER]
                told += made.judge == "model" and len(lines)
                ready = prepare(conn, setup, made, entry)
                if isinstance(ready, WhatIf):
                    assert ready.asked({}).before.score == entry.score
                    if made.judge == "model" and points:
                        alone = replace(ready, siblings=replace(ready.siblings, shown=(0.0, 0.0)))
                        moved += alone.asked({}).before.score != entry.score
    assert judges == {"rules", "model"} and shown and told and moved
    report = rebuild(log, Source(of_homes()), BOARD)
    assert report.equal, report.differences
    assert rebuild(log, Source(of_homes()), BOARD, replace=True).forgotten == [key(4)]
    assert rebuild(log, Source(of_homes()), BOARD).equal


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_who_is_taken_out_is_in_no_siblings_columns(log: Log, other: Log) -> None:
    gone, step = key(4), 55
    refused = town()[:60]
    no = _new(FIRST + timedelta(days=step), gone, OptOutRecorded(), "no")
    refused[step].insert(0, no)
    played(log, refused)
    Removal(log, Source(of_homes()), BOARD).run()
    played(other, [[e for e in events if e.student != gone] for events in town()[:60]])
    now, wanted = everything(log), everything(other)
    assert now == wanted and wanted["training_blocks"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_rows_it_learns_from_hold_what_the_others_show(log: Log) -> None:
    consumer = played(log, town())
    judge = consumer.judge
    blocks = [
        msgspec.msgpack.decode(judge.read_block(day), type=TrainingBlock) for day in judge.waiting
    ]
    seen = 0
    for block in blocks:
        rows = np.frombuffer(block.rows, dtype="<f4").reshape(len(block.students), -1)
        for at, student in enumerate(block.students):
            others = [
                state for other, state in judge.students.items()
                if other != student and home(other) and home(other) == home(student)
            ]  # fmt: skip
            expected = sum(bool(state.known_by(block.day)) for state in others)
            assert rows[at, -3] == expected, (student, block.day)
            seen += expected > 0
    assert seen
