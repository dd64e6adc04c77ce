from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from models.student_state import from_bytes
from tests.judging.town import (
    BOARD,
    FIRST,
    OnePlaybook,
    _new,
    days_of_events,
    key,
    small_setup,
    store,
)
from warning_service.clock import monotonic
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.events.tables import events as events_table
from warning_service.events.types import (
    DayClosed,
    ListDue,
    ObservationRecorded,
    OptOutRecorded,
    OptOutWithdrawn,
)
from warning_service.judging import queries
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.deriving.rebuild import rebuild
from warning_service.judging.judge import Judge
from warning_service.judging.tables import (
    derivations,
    feature_states,
    left_out,
    list_entries,
    list_scores,
    model_snapshots,
    training_blocks,
    warning_lists,
)

DERIVED = (
    feature_states, left_out, derivations, model_snapshots, training_blocks, warning_lists,
    list_entries, list_scores,
)  # fmt: skip


def stored(log: Log) -> dict[str, list[tuple[Any, ...]]]:
    """Everything judging has stored, every byte of it."""
    with log.database.reading() as conn:
        return {
            t.name: sorted((tuple(row) for row in conn.execute(select(t))), key=str)
            for t in DERIVED
        }


def wipe(log: Log) -> None:
    """Forget everything derived, keep the log."""
    from warning_service.events.tables import consumers

    with log.database.writing() as conn:
        for table in (*DERIVED, consumers):
            conn.execute(table.delete())


@pytest.fixture
def played(log: Log) -> Iterator[Log]:
    """A log of a hundred days, judged."""
    store(log, days_of_events())
    Dispatcher(log, JudgingConsumer(log, OnePlaybook()), BOARD).drain()
    yield log


def test_the_small_town_exercises_everything(played: Log) -> None:
    found = stored(played)
    judges = {row.judge for row in _lists(played)}
    assert judges == {"rules", "model"}, "both judges should have made lists"
    assert {row[1] for row in found["model_snapshots"]} >= {"model", "memory", "book"}
    assert found["training_blocks"] and found["list_entries"]
    with played.database.reading() as conn:
        known = conn.execute(
            select(events_table.c.id).where(events_table.c.type == "outcome_recorded")
        ).all()
        published = conn.execute(
            select(events_table.c.id).where(events_table.c.type == "list_published")
        ).all()
    assert len(known) > 5, "the threshold should have been reached by some"
    assert len(published) == len(found["warning_lists"]) == 8


def _lists(log: Log) -> list[Any]:
    with log.database.reading() as conn:
        return list(
            conn.execute(
                select(warning_lists).order_by(warning_lists.c.list_date, warning_lists.c.school)
            )
        )


@pytest.mark.parametrize("batch", [1, 37, 5000])
def test_batches_do_not_matter(played: Log, batch: int) -> None:
    before = stored(played)
    wipe(played)
    size = 400 if batch == 1 else None  # one by one is slow: the first 400 events, then at once
    consumer = JudgingConsumer(played, OnePlaybook())
    if size:
        Dispatcher(played, consumer, BOARD, batch=1).drain(until=size)
        wipe_owner(played)
    Dispatcher(played, consumer, BOARD, batch=max(batch, 37)).drain()
    assert stored(played) == before


def wipe_owner(log: Log) -> None:
    from warning_service.events.tables import consumers

    with log.database.writing() as conn:
        conn.execute(update(consumers).values(owner=""))


def test_killed_between_work_and_commit_and_between_batches(played: Log) -> None:
    before = stored(played)
    wipe(played)

    class Killed(BaseException):
        pass

    class Fragile(JudgingConsumer):
        calls = 0

        def work(self, events: list[Any]) -> Any:
            effects = super().work(events)
            type(self).calls += 1
            if type(self).calls % 3 == 0:
                raise Killed
            if type(self).calls % 5 == 0:

                def half(unit: Any) -> None:
                    effects(unit)
                    raise Killed

                return half
            return effects

    while True:  # each round is a new process: new consumer, new memory
        wipe_owner(played)
        dispatcher = Dispatcher(played, Fragile(played, OnePlaybook()), BOARD, batch=60)
        try:
            dispatcher.drain()
            break
        except Killed:
            continue
    assert Fragile.calls > 10
    assert stored(played) == before


def test_nothing_after_a_list_reaches_it(played: Log) -> None:
    """Replace all that came after a list date: that list and all before stay the same bytes."""
    lists = _lists(played)
    middle = next(row for row in lists if row.judge == "model").list_date
    wanted = {row.id for row in lists if row.list_date <= middle}
    assert len(wanted) >= 4
    before = {
        t.name: [r for r in stored(played)[t.name] if r[0] in wanted]
        for t in (warning_lists, list_entries, list_scores)
    }
    days = days_of_events()
    other = days_of_events(seed=99)
    cut = (middle - FIRST).days
    due = [e for e in days[cut] if isinstance(e.body, ListDue)]
    mixed = [*days[:cut], [*due, *(e for e in other[cut] if e not in due)], *other[cut + 1 :]]
    future = [
        [e for e in events if e.student is None or e.on > middle or at >= cut]
        for at, events in enumerate(mixed)
    ]
    consumer = _judged([*days[:cut], due, *future[cut + 1 :]])
    again = {
        "warning_lists": [m.row for m in consumer if m.row["id"] in wanted],
        "list_entries": [e for m in consumer for e in m.entries if e["list_id"] in wanted],
        "list_scores": [s for m in consumer for s in m.scores if s["list_id"] in wanted],
    }
    names = {
        t.name: [c.name for c in t.columns] for t in (warning_lists, list_entries, list_scores)
    }
    skip = {"as_of", "published_at"}
    for table, rows in again.items():
        now = sorted(
            (tuple(row[c] for c in names[table] if c not in skip) for row in rows), key=str
        )
        then = sorted(
            (
                tuple(v for c, v in zip(names[table], row, strict=True) if c not in skip)
                for row in before[table]
            ),
            key=str,
        )
        assert now == then


def _judged(days: list[list[Any]]) -> list[Any]:
    """Lists that a judge in memory makes of the events."""
    from datetime import UTC, datetime

    from warning_service.events.types import Event

    blocks: dict[int, bytes] = {}
    judge = Judge(BOARD, small_setup(), blocks.__getitem__)
    made = []
    position = 0
    for events in days:
        for e in events:
            position += 1
            judge.take(
                Event(
                    position=position, id=e.id, board=e.board, student=e.student, on=e.on,
                    recorded_at=datetime(2026, 5, 11, tzinfo=UTC), actor=e.actor, body=e.body,
                )
            )  # fmt: skip
            changes = judge.collect()
            blocks.update(changes.blocks)
            made += changes.lists
    return made


def test_budget_supported_and_again(played: Log) -> None:
    setup = small_setup()
    seen: dict[tuple[str, str], tuple[date, int]] = {}
    previous: dict[str, date] = {}
    with played.database.reading() as conn:
        for row in _lists(played):
            entries = queries.entries(conn, row.id)
            scores = queries.scores(conn, row.id)
            assert len(entries) == row.budget == setup.budget(row.ranked) <= len(scores)
            assert [e.place for e in entries] == list(range(1, len(entries) + 1))
            assert [s.rank for s in scores] == list(range(1, len(scores) + 1))
            assert scores == sorted(scores, key=lambda s: (-s.score, s.student))
            assert {e.student for e in entries} == {s.student for s in scores if s.listed}
            support = [e.supported for e in entries]
            assert support == sorted(support), "supported children come after the others"
            for e in entries:
                on, times = seen.get((row.school, e.student), (None, 0))
                again = on is not None and on == previous.get(row.school)
                assert e.is_new == (not again)
                assert e.times_running == (times + 1 if again else 1)
                seen[row.school, e.student] = (row.list_date, e.times_running)
            previous[row.school] = row.list_date


def test_evidence_has_own_numbers_and_keeps_to_the_catalogue(played: Log) -> None:
    with played.database.reading() as conn:
        found = [
            (row.judge, queries.evidence_of(e))
            for row in _lists(played)
            for e in queries.entries(conn, row.id)
        ]
    texts = [f["text_ja"] for _, e in found for f in (*e["raising"], *e["lowering"])]
    assert any("欠席 28日で" in t and "ふだん" in t for t in texts)
    assert any(t.startswith("気分:「") and "日前" in t for t in texts)
    assert not any("直近" in t for t in texts), "an answer is told in its words, not as a code"
    for judge, e in found:
        assert set(e) == {
            "judge", "score", "rules_points", "probability", "base_rate", "raising", "lowering",
            "trend", "data_age", "model_version", "playbook", "method", "mark", "items_reached",
            "since_last", "off_list", "habits", "held",
        }  # fmt: skip
        assert e["judge"] == judge
        assert (judge == "model") <= (e["probability"] is not None)
        named = {f["item"] for f in (*e["raising"], *e["lowering"])}
        assert not named & {"public_assistance", "youtaikyo_case", "infant_check_missed"}
        assert {a["item"] for a in e["data_age"]} >= {"absent_days", "q.mood"}
        assert "public_assistance" not in {a["item"] for a in e["data_age"]}
        assert e["trend"][-1]["score"] in (e["score"], e["mark"]), "by the rule until measured"


def test_refusal_takes_a_child_out_at_once_and_rebuild_takes_it_out_of_the_model(log: Log) -> None:
    days = days_of_events()
    gone = key(3)
    days[60].insert(0, _new(FIRST + timedelta(days=60), gone, OptOutRecorded(), "refuse"))
    store(log, days)
    Dispatcher(log, JudgingConsumer(log, OnePlaybook()), BOARD).drain()
    refused_on = FIRST + timedelta(days=60)
    with log.database.reading() as conn:
        state = from_bytes(
            conn.execute(select(left_out.c.state).where(left_out.c.student == gone)).scalar_one()
        )
        known = conn.execute(select(feature_states.c.student)).scalars().all()
        assert gone not in known
        for row in _lists(log):
            ranked = {s.student for s in queries.scores(conn, row.id)}
            assert row.list_date < refused_on or gone not in ranked
    assert state.roll and not state.items and not state.outcomes and not state.scores
    report = rebuild(log, OnePlaybook(), BOARD)
    assert report.equal, report.differences
    replaced = rebuild(log, OnePlaybook(), BOARD, replace=True)
    assert replaced.replaced and replaced.forgotten == [gone]
    after = stored(log)
    for name, blob in [(r[1], r[5]) for r in after["model_snapshots"]]:
        assert gone.encode() not in bytes(blob), name
    assert all(gone.encode() not in bytes(r[2]) for r in after["training_blocks"])
    # As if the child had never been there: the same model as from a log without it.
    never = [[e for e in events if e.student != gone] for events in days]
    assert [_judged_model(never)] == [
        bytes(r[5]) for r in after["model_snapshots"] if r[1] == "model"
    ]


def _judged_model(days: list[list[Any]]) -> bytes:
    from datetime import UTC, datetime

    from warning_service.events.types import Event

    blocks: dict[int, bytes] = {}
    judge = Judge(BOARD, small_setup(), blocks.__getitem__)
    for position, e in enumerate((e for events in days for e in events), start=1):
        judge.take(
            Event(
                position=position, id=e.id, board=e.board, student=e.student, on=e.on,
                recorded_at=datetime(2026, 5, 11, tzinfo=UTC), actor=e.actor, body=e.body,
            )
        )  # fmt: skip
        blocks.update(judge.collect().blocks)
    return judge.learner.model_bytes()


def test_rebuild_stays_equal_after_a_replacement_and_more_days(log: Log) -> None:
    days = days_of_events()
    days[50].append(_new(FIRST + timedelta(days=50), key(8), OptOutRecorded(), "refuse"))
    days[80].append(_new(FIRST + timedelta(days=80), key(8), OptOutWithdrawn(), "again"))
    store(log, days[:70])
    consumer = JudgingConsumer(log, OnePlaybook())
    dispatcher = Dispatcher(log, consumer, BOARD)
    dispatcher.drain()
    assert rebuild(log, OnePlaybook(), BOARD, replace=True).forgotten == [key(8)]
    store(log, days[70:])
    dispatcher._lease_checked = monotonic()  # on a slow machine it would look at its lease first
    with pytest.raises(Exception, match="judging"):  # its fence is old: it lost the ownership
        dispatcher.drain()
    dispatcher.drain()
    report = rebuild(log, OnePlaybook(), BOARD)
    assert report.equal, report.differences
    assert report.lists == 8 and report.rows_compared > 200


def test_rebuild_names_each_difference_and_mends_the_model(played: Log) -> None:
    assert rebuild(played, OnePlaybook(), BOARD).equal
    before = stored(played)
    with played.database.writing() as conn:
        conn.execute(
            update(feature_states).where(feature_states.c.student == key(1)).values(state=b"\x90")
        )
        entry = queries.entries(conn, _lists(played)[0].id)[0]
        conn.execute(
            update(list_entries)
            .where(list_entries.c.list_id == entry.list_id)
            .where(list_entries.c.student == entry.student)
            .values(place=77)
        )
    report = rebuild(played, OnePlaybook(), BOARD)
    assert report.found == 2
    assert any(f"feature_states {BOARD}/{key(1)}: state differs" in d for d in report.differences)
    assert any("place differs" in d for d in report.differences)
    rebuild(played, OnePlaybook(), BOARD, replace=True)
    again = stored(played)
    assert again["feature_states"] == before["feature_states"]
    assert again["model_snapshots"] == before["model_snapshots"]


def test_other_versions_are_rebuilt_from_the_log_and_compared(played: Log) -> None:
    with played.database.writing() as conn:
        conn.execute(update(list_scores).where(list_scores.c.rank == 1).values(score=0.5))
    before = stored(played)
    wipe_owner(played)
    with played.database.writing() as conn:
        conn.execute(update(model_snapshots).values(versions='{"river":"0.1"}'))
        conn.execute(update(feature_states).values(state=b"from another version"))
    with played.unit_of_work() as unit:
        unit.append(_new(FIRST + timedelta(days=30), None, DayClosed(), "late"))  # means nothing
    with capture_logs() as lines:
        Dispatcher(played, JudgingConsumer(played, OnePlaybook()), BOARD).drain()
    assert stored(played) == before
    (told,) = [line for line in lines if line["event"] == "judging_rebuilt_and_compared"]
    assert told["lists"] == len(before["warning_lists"]) and told["others"] == 0
    assert told["scores"] > told["lists"] and 0.0 < told["largest"] < 1.0


def test_a_damaged_snapshot_is_refused(played: Log) -> None:
    with played.database.writing() as conn:
        conn.execute(update(model_snapshots).values(sha256="0" * 64))
    with played.database.reading() as conn, pytest.raises(ValueError, match="damaged"):
        JudgingConsumer(played, OnePlaybook()).load(conn, BOARD)


def test_own_outcome_is_applied_once(played: Log) -> None:
    with played.database.reading() as conn:
        row = conn.execute(
            select(events_table).where(events_table.c.type == "outcome_recorded").limit(1)
        ).one()
        data = conn.execute(
            select(feature_states.c.state).where(feature_states.c.student == row.student)
        ).scalar_one()
    outcomes = from_bytes(data).outcomes
    assert [o.on for o in outcomes] == [row.day.toordinal()]
    with played.database.reading() as conn:
        for made in _lists(played):
            if made.list_date > date.fromordinal(outcomes[0].known_on):
                ranked = {s.student for s in queries.scores(conn, made.id)}
                assert row.student not in ranked, "inside a known outcome: noticed already"


def test_asked_twice_for_a_list_makes_one(log: Log) -> None:
    days = days_of_events(days=25)
    for number in range(2):
        due = _new(FIRST + timedelta(days=24), None, ListDue(school="s1"), "twice", str(number))
        days[24].append(due)
    store(log, days)
    Dispatcher(log, JudgingConsumer(log, OnePlaybook()), BOARD).drain()
    assert len([r for r in _lists(log) if r.list_date == FIRST + timedelta(days=24)]) == 1


def test_items_outside_the_playbook_leave_no_trace(log: Log) -> None:
    days = days_of_events(days=2)
    store(log, days)
    extra = ObservationRecorded(item="not_in_the_playbook", value=1.0, source="test")
    with log.unit_of_work() as unit:
        unit.append(_new(FIRST, key(0), extra, "extra"))
    Dispatcher(log, JudgingConsumer(log, OnePlaybook()), BOARD).drain()
    with log.database.reading() as conn:
        states = conn.execute(select(feature_states.c.state)).scalars().all()
    items = {item for data in states for item in from_bytes(bytes(data)).items}
    assert "not_in_the_playbook" not in items and "q.vanish" not in items
    assert "q.mood" in items
