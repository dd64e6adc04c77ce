"""Exactness, as properties over made-up towns in which everything happens at odd moments.

Families refuse and come back, ask for corrections, stop the use of items, children change schools,
other boards' numbers come and go. Whatever the sequence: a judge that is stored and loaded at any
moments ends with the same bytes as one that never stopped; what is derived without a child is what
a log without the child gives; and the own model learns the same whatever others tell.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine, select
from sqlalchemy.pool import StaticPool
from sqlmodel import SQLModel

from models.pooling import to_text
from tests.judging.test_pooling import pool_for
from tests.judging.town import BOARD, FIRST, SCHOOLS, _new, days_of_events, key, small_setup
from warning_service.events.types import (
    EnrolmentEnded,
    EnrolmentStarted,
    Event,
    ListDue,
    NewEvent,
    ObservationCorrected,
    ObservationRecorded,
    OptOutRecorded,
    OptOutWithdrawn,
    PoolTaken,
    UseStopped,
)
from warning_service.judging.consumer import STATE, encode, restore, write
from warning_service.judging.judge import Gone, Judge
from warning_service.judging.tables import (
    list_entries,
    list_scores,
    training_blocks,
    warning_lists,
)

SETUP = small_setup()
CHILDREN, DAYS = 12, 64
LISTS = (warning_lists, list_entries, list_scores)
SEEDS = st.integers(0, 10**6)
few = settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a smaller seed is no smaller town
)  # fmt: skip


def odd_town(seed: int, spared: str = "") -> list[NewEvent]:
    """A town in which about one odd thing a day happens; none of them to the child `spared`."""
    dice = random.Random(seed)
    events: list[NewEvent] = []
    seen: list[NewEvent] = []
    for step, day in enumerate(days_of_events(days=DAYS, children=CHILDREN, seed=seed % 97)):
        on = FIRST + timedelta(days=step)
        new = list(day)
        for turn in range(dice.choice((0, 0, 1, 2))):
            odd = _odd(dice, on, seen, f"{step}-{turn}")
            if odd.student != spared:
                new.insert(dice.randrange(len(new)), odd)
        events += new
        seen += [e for e in day if isinstance(e.body, ObservationRecorded)]
    return events


def _odd(dice: random.Random, on: date, seen: Sequence[NewEvent], name: str) -> NewEvent:
    child = key(dice.randrange(CHILDREN))
    wrong = dice.choice(seen) if seen else None
    school = dice.choice(SCHOOLS)
    kind = dice.randrange(9)
    body: Any = ListDue(school=school)
    if kind == 0:
        body = OptOutRecorded()
    elif kind == 1:
        body = OptOutWithdrawn()
    elif kind == 2:
        body = UseStopped(items=(dice.choice(("absent_days", "q.mood")),), request="r")
    elif kind == 3 and wrong is not None and isinstance(wrong.body, ObservationRecorded):
        child, on = wrong.student or child, wrong.on
        body = ObservationCorrected(
            item=wrong.body.item, was=wrong.body.value, value=None, corrects=wrong.id, request="r"
        )
    elif kind == 4:
        body = EnrolmentStarted(school=school, class_id=f"{school}c9", grade=5)
    elif kind == 5:
        body = EnrolmentEnded(class_id=f"{school}c{dice.randrange(4)}")
    elif kind in (6, 7):
        pool = pool_for(weight=dice.uniform(-0.3, 0.3))
        body = PoolTaken(pool=to_text(dice.choice((pool, pool, None))))
    about = None if isinstance(body, ListDue | PoolTaken) else child
    return _new(on, about, body, "odd", name)


def stored_in(new: Sequence[NewEvent]) -> list[Event]:
    """As the log would hold them."""
    at = datetime(2026, 5, 11, tzinfo=UTC)
    return [
        Event(
            position=n, id=e.id, board=e.board, student=e.student, on=e.on, recorded_at=at,
            actor=e.actor, body=e.body,
        )
        for n, e in enumerate(new, start=1)
    ]  # fmt: skip


def memory_database() -> Connection:
    """The tables of judging in a database of its own."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    SQLModel.metadata.create_all(engine, tables=[*STATE, *LISTS])
    return engine.connect()


def played(
    events: Sequence[Event], cuts: Sequence[int] = (), gone: Gone | None = None
) -> tuple[Judge, Connection, list[NewEvent]]:
    """Judge the events; at each cut all is stored, and a new judge goes on from what is stored."""
    conn, found = memory_database(), []

    def read_block(day: int) -> bytes:
        when = training_blocks.c.day == date.fromordinal(day)
        return bytes(conn.execute(select(training_blocks.c.block).where(when)).scalar_one())

    def fresh() -> Judge:
        judge = Judge(BOARD, SETUP, read_block, gone)
        assert restore(conn, judge, BOARD)
        return judge

    judge = fresh()
    for at, event in enumerate(events):
        if at in cuts:
            found += _put(judge, conn)
            judge = fresh()
        judge.take(event)
    found += _put(judge, conn)
    return judge, conn, found


def _put(judge: Judge, conn: Connection) -> list[NewEvent]:
    writes = encode(judge, judge.collect(), BOARD)
    write(conn, BOARD, writes)
    return writes.events


def everything(conn: Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {
        t.name: sorted((tuple(row) for row in conn.execute(select(t))), key=str)
        for t in (*STATE, *LISTS)
    }


@given(SEEDS, st.lists(st.floats(0, 0.999), min_size=1, max_size=12))
@few
def test_stored_and_loaded_at_any_moments_is_as_never_stopped(
    seed: int, moments: list[float]
) -> None:
    events = stored_in(odd_town(seed))
    _, whole, told = played(events)
    cuts = {int(moment * len(events)) for moment in moments}
    _, again, told_again = played(events, sorted(cuts))
    assert told == told_again
    for table, rows in everything(whole).items():
        assert rows == everything(again)[table], table
    assert everything(whole)["warning_lists"] and everything(whole)["training_blocks"]


@given(SEEDS, st.integers(0, CHILDREN - 1), st.floats(0.1, 0.95))
@few
def test_derived_without_a_child_is_a_log_without_it(seed: int, number: int, moment: float) -> None:
    child = key(number)
    new = odd_town(seed, spared=child)
    cut = int(moment * len(new))
    refusal = _new(new[cut].on, child, OptOutRecorded(), "refuse")
    events = stored_in([*new[:cut], refusal, *new[cut:]])
    left, conn, told = played(events, gone=Gone({child: events[cut].position}))
    never, other, wanted = played(stored_in([e for e in new if e.student != child]))
    assert told == wanted, "outcomes, rises and lists found out"
    learned: Sequence[Callable[[Judge], bytes]] = (
        lambda j: j.learner.model_bytes(),
        lambda j: j.learner.memory_bytes(),
        lambda j: j.learner.pool_bytes(),
        lambda j: j.learner.challenger.to_bytes(),
    )
    for bytes_of in learned:
        assert bytes_of(left) == bytes_of(never)
    now, then = everything(conn), everything(other)
    for table in ("feature_states", "training_blocks", "list_entries", "list_scores"):
        assert now[table] == then[table], table
    assert not any(child.encode() in row[-1] for row in now["training_blocks"])
    assert [row[1] for row in now["left_out"] if row not in then["left_out"]] == [child]


@given(SEEDS)
@few
def test_the_own_model_learns_the_same_whatever_others_tell(seed: int) -> None:
    new = odd_town(seed)
    with_others, _, _ = played(stored_in(new))
    alone, _, _ = played(stored_in([e for e in new if not isinstance(e.body, PoolTaken)]))
    assert with_others.learner.online.to_bytes() == alone.learner.online.to_bytes()
    assert with_others.learner.memory_bytes() == alone.learner.memory_bytes()
    assert with_others.learner.challenger.to_bytes() == alone.learner.challenger.to_bytes()
    assert alone.learner.pool is None and alone.learner.online.steps > 0
