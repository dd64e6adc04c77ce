"""A list that the challenger made: through the consumer, explained, rebuilt byte for byte.

In so small a town nobody is ever clearly better, so the lead it needs is set below nought here;
where that line lies is tested by hand in test_hand_over.py.
"""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select

from models import challenger, paired
from tests.judging.town import BOARD, OnePlaybook, days_of_events, small_setup, store
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log, read
from warning_service.events.types import ListPublished
from warning_service.judging import hand_over, queries
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.deriving.rebuild import rebuild
from warning_service.judging.tables import list_entries, list_scores, list_trees, warning_lists
from warning_service.judging.telling.what_if import Unable, prepare


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_list_of_the_challengers_is_explained_and_can_be_proved(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_over, "CLEARLY", -1000.0)
    monkeypatch.setattr(challenger, "LEAST_HITS", 20)
    monkeypatch.setattr(paired, "LEAST_OUTCOMES", 2)
    monkeypatch.setattr(paired, "LEAST_DAYS", 2)
    store(log, days_of_events(days=125, children=60))
    consumer = JudgingConsumer(log, OnePlaybook())
    Dispatcher(log, consumer, BOARD).drain()
    with log.database.reading() as conn:
        lists = [row for row in conn.execute(select(warning_lists)) if row.judge == "challenger"]
        assert lists, "the challenger should have made a list"
        one = lists[-1]
        entries = conn.execute(select(list_entries).where(list_entries.c.list_id == one.id)).all()
        scores = conn.execute(select(list_scores).where(list_scores.c.list_id == one.id)).all()
    assert one.model_version.startswith("boosting-")
    assert queries.why_of(one)["reason"] == "challenger_measured_better"
    assert all(row.score == row.challenger_chance for row in scores)
    assert all(row.model_chance is not None and row.rules_chance is not None for row in scores)
    assert len({row.challenger_chance for row in scores}) > 5
    for entry in entries:
        evidence = queries.evidence_of(entry)
        assert evidence["judge"] == "challenger"
        lines = [*evidence["raising"], *evidence["lowering"]]
        shown = sum(line["share"] for line in lines)
        assert lines and 0.0 < shown <= 1.0001, "shares of what may be shown"
    with log.database.reading() as conn:
        told = [e.body for e in read(conn, BOARD, 0, 100_000) if isinstance(e.body, ListPublished)]
    mine = next(body for body in told if body.list_id == one.id)
    assert mine.judge == "challenger" and mine.why["challenger"] == "clearly_better"
    assert mine.why["auc_challenger"] == queries.why_of(one)["auc_challenger"]
    spent = consumer.spent
    assert spent.challenger > 0
    told_off, moved = 0, 0
    with log.database.reading() as conn:
        for entry in entries:
            evidence, ready = queries.evidence_of(entry), prepare(conn, small_setup(), one, entry)
            assert (evidence["off_list"]["way"] == "no_facts") == isinstance(ready, Unable)
            told_off += len(evidence["off_list"]["lines"])
            if isinstance(ready, Unable):
                continue
            best = ready.asked({fact.now.use.spec.id: fact.now.steps[-1] for fact in ready.facts})
            assert best.before.score == entry.score, "by the trees of that day, to the last digit"
            moved += best.after.score < best.before.score
        assert told_off and moved
        assert [row.version for row in conn.execute(select(list_trees))] == sorted(
            {row.model_version for row in lists}
        )
    report = rebuild(log, OnePlaybook(), BOARD)
    assert report.equal, report.differences[:5]
    with log.database.writing() as conn:
        conn.execute(delete(list_trees).where(list_trees.c.version == one.model_version))
    with log.database.reading() as conn:
        assert prepare(conn, small_setup(), one, entries[0]) == Unable("no_formula")
    assert rebuild(log, OnePlaybook(), BOARD).differences == [
        f"list_trees {BOARD}/{one.model_version}: missing"
    ]
