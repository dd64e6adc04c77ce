"""What-if on the lists of a played town, from the log alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.judging.town import BOARD, FIRST, OnePlaybook, _new, days_of_events, small_setup, store
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.events.types import UseStopped
from warning_service.judging import queries
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.telling.what_if import Unable, WhatIf, prepare

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SETUP = small_setup()


@pytest.fixture
def played(log: Log) -> Iterator[Log]:
    store(log, days_of_events(90, 44))
    Dispatcher(log, JudgingConsumer(log, OnePlaybook()), BOARD).drain()
    yield log


def test_every_entry_starts_from_its_frozen_score_and_moves_with_its_facts(played: Log) -> None:
    judges, fell, same = set(), 0, 0
    with played.database.reading() as conn:
        for made in queries.lists_of_board(conn, BOARD):
            for entry in queries.entries(conn, made.id):
                ready = prepare(conn, SETUP, made, entry)
                if isinstance(ready, Unable):
                    assert ready.why == "no_facts"
                    continue
                judges.add(made.judge)
                best = {f.now.use.spec.id: f.now.steps[-1] for f in ready.facts}
                moved = ready.asked(best)
                assert moved.before.score == entry.score
                ranks = {r.student: r.rank for r in queries.scores(conn, made.id)}
                assert moved.before.place is not None
                assert moved.before.place <= ranks[entry.student], "ties share a place"
                assert [now.use.spec.id for now, _, _ in moved.alone] == list(best)
                if len(best) == 1:
                    assert moved.alone[0][2] == moved.after
                if made.judge == "rules":
                    assert moved.after.points <= moved.before.points, "rules are monotone"
                fell += moved.after.score < moved.before.score
                same += moved.after.score == moved.before.score
                assert ready.asked({}).after == moved.before
                nonsense = ready.asked({"absent_days": -5.0, "no_such_item": 1.0})
                assert nonsense.alone == [] and nonsense.after == moved.before
    assert judges == {"rules", "model"} and fell > 5


def test_a_reader_is_offered_only_what_it_may_see(played: Log) -> None:
    offered = set()
    with played.database.reading() as conn:
        for made in queries.lists_of_board(conn, BOARD):
            for entry in queries.entries(conn, made.id):
                mine = prepare(conn, SETUP, made, entry, visible=frozenset({"absent_days"}))
                if isinstance(mine, WhatIf):
                    offered |= {fact.now.use.spec.id for fact in mine.facts}
    assert offered == {"absent_days"}


def test_it_says_when_it_cannot(played: Log) -> None:
    with played.database.reading() as conn:
        made = queries.lists_of_board(conn, BOARD)[0]
        able = [
            (entry, ready)
            for entry in queries.entries(conn, made.id)
            if isinstance(ready := prepare(conn, SETUP, made, entry), WhatIf)
        ]
        entry, ready = able[0]
        other = replace(SETUP, playbook="nishinomiya:2:changed")
        assert prepare(conn, other, made, entry) == Unable("playbook_changed")
    item = ready.facts[0].now.use.spec.id
    stopped = UseStopped(items=(item,), request="r1")
    day: date = FIRST + timedelta(days=91)
    with played.unit_of_work() as unit:
        unit.append(_new(day, entry.student, stopped, "stop", entry.student))
    with played.database.reading() as conn:
        assert prepare(conn, SETUP, made, entry) == Unable("facts_changed"), "not from memory"
