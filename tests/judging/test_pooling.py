"""Learning with other boards, through the log: told, sealed, taken in, and derived again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from models.pooling import USED_DAYS, Measured, Pool, Shared, TooFew, combine, to_text
from models.standing import Settled, Standing
from tests import make
from tests.command import environment, in_here
from tests.judging.test_consumer import _lists, stored, wipe, wipe_owner
from tests.judging.test_removal import GONE, drain, everything, never, on, other, remove, without
from tests.judging.town import BOARD, FIRST, OnePlaybook, _new, days_of_events, small_setup, store
from warning_service.access.tables import audit
from warning_service.clock import Clock, MovableClock
from warning_service.database import Database
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.events.tables import events
from warning_service.events.types import DayClosed, NewEvent, OptOutRecorded, PoolTaken
from warning_service.judging import consumer, pooling, queries
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.deriving.rebuild import rebuild
from warning_service.judging.hand_over import decide
from warning_service.judging.setup import Setup, from_playbook
from warning_service.judging.tables import model_snapshots
from warning_service.judging.terms import terms_of
from warning_service.migrate import migrate
from warning_service.playbooks.model import shipped

__all__ = ["other"]  # a fixture

SETUP = small_setup()
KEY, OTHER_KEY = (Fernet.generate_key().decode() for _ in range(2))
DAYS = 75
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def told(board: str, setup: Setup = SETUP, on: date = FIRST, weight: float = 0.1) -> Shared:
    """What a larger board might tell: the rule's column counts, the others a little."""
    columns = len(setup.schema) + 1
    return Shared(
        board=board, terms=terms_of(setup), schema=setup.schema.hash, made_on=on,
        labels=5000, hits=600, measured=Measured(9000, 600, 8000.0, 7000.0), intercept=-2.5,
        means=(0.5,) * columns, weights=(*(weight,) * (columns - 1), 0.4),
    )  # fmt: skip


def pool_for(
    board: str = BOARD, setup: Setup = SETUP, on: date = FIRST, weight: float = 0.1
) -> Pool:
    return combine([told("a", setup, on, weight), told("b", setup, on)], board)


def taken(step: int, text: str, name: str = "pool") -> NewEvent:
    return _new(FIRST + timedelta(days=step), None, PoolTaken(pool=text), name)


def town_with_a_pool() -> list[list[NewEvent]]:
    days = days_of_events(days=DAYS, children=24)
    days[15].append(taken(15, to_text(pool_for())))
    return days


# -- in the judge ----


@on_sqlite
def test_lists_say_so_and_the_log_gives_the_same_bytes_however_it_is_read(log: Log) -> None:
    store(log, town_with_a_pool())
    drain(log)
    found = stored(log)
    lists = _lists(log)
    before = [row for row in lists if row.list_date <= FIRST + timedelta(days=15)]
    after = [row for row in lists if row not in before]
    assert not any(row.model_version.startswith("pooled-") for row in before)
    assert all(row.model_version.startswith("pooled-") for row in after)
    first, why = after[0], queries.why_of(after[0])
    assert first.judge == "model" and why["reason"] == "pool_measured_no_worse"
    assert why["hits"] < SETUP.least_hits and why["auc_model"] == pytest.approx(8 / 9, abs=1e-3)
    assert (why["pool_boards"], why["pool_labels"]) == (2, 10_000) and why["own_share"] < 0.1
    report = rebuild(log, OnePlaybook(), BOARD)
    assert report.equal, report.differences
    wipe(log)
    with log.database.reading() as conn:
        until = conn.execute(
            select(events.c.position).where(events.c.type == "pool_taken")
        ).scalar_one()
    for cut in (until - 1, until, until + 40, None):  # a new process each time: all is loaded
        wipe_owner(log)
        reader = JudgingConsumer(log, OnePlaybook())
        Dispatcher(log, reader, BOARD, batch=500).drain(until=cut)
    assert stored(log) == found


@on_sqlite
def test_a_child_that_left_is_as_one_that_never_was_though_a_pool_is_used(
    log: Log, other: Log
) -> None:
    days = town_with_a_pool()
    days[30].append(on(30, OptOutRecorded(), "refuse"))
    store(log, days[:50])
    drain(log)
    remove(log)
    store(log, days[50:])
    drain(log)
    now, wanted = everything(log, 50), never(other, without(days), 50)
    assert {row[1] for row in wanted["model_snapshots"]} >= {"model", "memory", "pool"}
    assert wanted["warning_lists"]
    for table, rows in wanted.items():
        assert now[table] == rows, table


@on_sqlite
def test_another_river_derives_pool_and_model_again_and_gets_the_same(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installed River says it is another one: nothing stored is believed, the log is."""
    days = town_with_a_pool()
    store(log, days[:60])
    drain(log)
    before = stored(log)
    shown = before["warning_lists"]
    real = consumer.library_versions()
    with log.database.writing() as conn:  # what another River's numbers would be: nothing we know
        conn.execute(update(model_snapshots).where(model_snapshots.c.name == "pool").values(
            state=b"?", sha256=hashlib.sha256(b"?").hexdigest()))  # fmt: skip
    monkeypatch.setattr(consumer, "library_versions", lambda: {**real, "river": "99.0"})
    store(log, days[60:61])
    drain(log)
    with log.database.reading() as conn:
        stamps = {row.versions for row in conn.execute(select(model_snapshots))}
    assert len(stamps) == 1 and '"river":"99.0"' in stamps.pop()
    now = stored(log)["warning_lists"]
    assert shown and all(row in now for row in shown), "what people were shown is not touched"
    report = rebuild(log, OnePlaybook(), BOARD)
    assert report.equal, report.differences
    monkeypatch.undo()
    store(log, days[61:])
    drain(log)
    again = stored(log)
    wipe(log)
    wipe_owner(log)
    drain(log)
    assert stored(log) == again, "as if there had been one River all along"


@on_sqlite
def test_a_pool_is_used_so_long_and_no_longer(log: Log) -> None:
    days = town_with_a_pool()[:40]
    store(log, days)
    late = FIRST + timedelta(days=USED_DAYS)

    def closed(after: int) -> NewEvent:
        return _new(late + timedelta(days=after), None, DayClosed(), "late", str(after))

    reader = JudgingConsumer(log, OnePlaybook())
    for after, used in ((0, True), (1, False)):
        store(log, [[closed(after)]])
        Dispatcher(log, reader, BOARD).drain()
        assert (reader.judge.learner.pool is not None) == used
        assert reader.judge.model_version.startswith("pooled-" if used else "online-")
        wipe_owner(log)
    with log.database.reading() as conn:
        state = conn.execute(
            select(model_snapshots.c.state).where(model_snapshots.c.name == "pool")
        ).scalar_one()
    assert bytes(state) == b""
    assert rebuild(log, OnePlaybook(), BOARD).equal


@on_sqlite
def test_numbers_that_mean_something_else_are_passed_over(log: Log) -> None:
    """The playbook has changed since: other items, or other points for the same ones."""
    days = days_of_events(days=10, children=8)
    bad = msgspec.structs.replace(pool_for(), schema="of an older playbook")
    days[3].append(taken(3, to_text(bad), "columns"))
    days[5].append(taken(5, to_text(msgspec.structs.replace(pool_for(), terms="x")), "points"))
    store(log, days)
    reader = JudgingConsumer(log, OnePlaybook(), SETUP)
    Dispatcher(log, reader, BOARD).drain()
    assert reader.judge.learner.pool is None
    wipe_owner(log)
    store(log, [[taken(9, to_text(pool_for()))]])
    Dispatcher(log, reader, BOARD).drain()
    assert reader.judge.learner.pool == pool_for()
    first = SETUP.uses[0]
    dearer = (replace(first, points=first.points + 1), *SETUP.uses[1:])
    for setup, used in ((SETUP, True), (replace(SETUP, uses=dearer), False)):
        again = JudgingConsumer(log, OnePlaybook(), setup)
        with log.database.reading() as conn:
            again.load(conn, BOARD)
        assert (again.judge.learner.pool is not None) == used


# -- who judges ----


def test_others_measurements_stand_until_own_days_are_measured() -> None:
    pool = pool_for()
    fresh = decide(SETUP, Standing(), pool=pool)
    assert (fresh.judge, fresh.measured) == ("model", False), "no chances of this board's yet"
    assert decide(SETUP, Standing()).why["reason"] == "too_few_outcomes"
    assert "pool_boards" not in decide(SETUP, Standing()).why
    worse = msgspec.structs.replace(pool, measured=Measured(9000, 600, 1000.0, 8000.0))
    assert decide(SETUP, Standing(), pool=worse).judge == "rules"
    # One own measured day on which the rule was far better outweighs whatever others measured.
    own = Settled(1, 400, 200, 20_000, 200, 2000.0, 18_000.0, [], [])
    here = Standing(recent=[own], hits=3, counted=400)
    found = decide(SETUP, here, pool=pool)
    assert (found.judge, found.why["reason"]) == ("rules", "rules_measured_better")
    few = msgspec.structs.replace(pool, hits=1)
    assert decide(SETUP, Standing(hits=1), pool=few).why["reason"] == "too_few_outcomes"


# -- telling, files, taking in ----


@on_sqlite
def test_what_a_board_tells_is_its_own_model_when_nobody_waits_to_leave(log: Log) -> None:
    days = days_of_events(days=DAYS, children=80)
    store(log, days[:10])
    drain(log)
    with log.database.reading() as conn, pytest.raises(pooling.NotYet, match="nothing has been"):
        pooling.tell(conn, BOARD, SETUP, FIRST)
    store(log, days[10:])
    drain(log)
    with log.database.reading() as conn:
        found = pooling.tell(conn, BOARD, SETUP, FIRST)
    assert found.board == BOARD and found.labels > 500 and found.terms == terms_of(SETUP)
    names = dict(zip((*SETUP.schema.names, "rule"), found.weights, strict=True))
    assert names["absent_days:rate28"] is not None and names["rule"] is not None
    assert names["youtaikyo_case:ever"] is None, "nobody has it here: nothing can be told of it"
    everybody = {e.student for events_ in days for e in events_ if e.student}
    data = pooling.to_file(found, [KEY])
    assert len(everybody) == 80 and not any(s.encode() in data for s in everybody)
    with log.database.writing() as conn:
        conn.execute(update(model_snapshots).values(versions="{}"))
    with log.database.reading() as conn, pytest.raises(pooling.NotYet, match="another version"):
        pooling.tell(conn, BOARD, SETUP, FIRST)
    store(log, [[_new(FIRST + timedelta(days=DAYS), GONE, OptOutRecorded(), "refuse")]])
    drain(log)
    with log.database.reading() as conn, pytest.raises(pooling.NotYet, match="kizashi removal"):
        pooling.tell(conn, BOARD, SETUP, FIRST)
    remove(log)
    with log.database.reading() as conn:
        after = pooling.tell(conn, BOARD, SETUP, FIRST)
    assert after.labels < found.labels and after.weights != found.weights


@on_sqlite
def test_a_small_town_tells_nothing(log: Log) -> None:
    store(log, days_of_events(days=DAYS, children=24))
    drain(log)
    with log.database.reading() as conn, pytest.raises(TooFew):
        pooling.tell(conn, BOARD, SETUP, FIRST)


def test_files_are_read_back_and_nothing_else_is() -> None:
    for what in (told("a"), pool_for()):
        data = pooling.to_file(what, [KEY, OTHER_KEY])
        assert pooling.from_file(data, [KEY]) == what
        assert pooling.from_file(data, [OTHER_KEY, KEY]) == what, "an older key is still believed"
        for bad in (
            data.replace(b"5000", b"5001") if b"5000" in data else data.replace(b"10000", b"10001"),
            data.replace(b"-2.5", b"-2.4"),
            data.replace(b"kizashi-pool-1", b"kizashi-pool-2"),
            data.replace(b'"share"', b'"pool"').replace(b'"pool"', b'"share"', 1),
            data[:-9],
            b"",
            b"[]",
        ):
            if bad != data:
                with pytest.raises(pooling.NotForUs):
                    pooling.from_file(bad, [KEY])
        with pytest.raises(pooling.NotForUs, match="another key"):
            pooling.from_file(data, [OTHER_KEY])
        with pytest.raises(pooling.NotForUs):
            pooling.from_file(data, [])
        with pytest.raises(pooling.NotForUs, match="pool_keys"):
            pooling.to_file(what, [])


def test_what_is_taken_in(log: Log, clock: MovableClock) -> None:
    today = clock.today()
    new, old = pool_for(on=today), pool_for(on=today - timedelta(days=30))
    for bad, why in (
        (pool_for("b2", on=today), "made for 'b2'"),
        (msgspec.structs.replace(new, terms="x"), "other items, points or outcomes"),
        (msgspec.structs.replace(new, schema="x"), "other items, points or outcomes"),
        (pool_for(on=today - timedelta(days=USED_DAYS + 1)), "more than"),
        (pool_for(on=today + timedelta(days=1)), "in the future"),
    ):
        with pytest.raises(pooling.NotForUs, match=why):
            pooling.take(log, BOARD, SETUP, bad, "test")
    assert not pooling.drop(log, BOARD, "test")
    pooling.take(log, BOARD, SETUP, new, "test")
    with pytest.raises(pooling.NotForUs, match="in use"):
        pooling.take(log, BOARD, SETUP, new, "test")
    with pytest.raises(pooling.NotForUs, match="who has left"):
        pooling.take(log, BOARD, SETUP, old, "test")
    assert pooling.drop(log, BOARD, "test") and not pooling.drop(log, BOARD, "test")
    with pytest.raises(pooling.NotForUs, match="who has left"):  # dropped, and old all the same
        pooling.take(log, BOARD, SETUP, old, "test")
    with log.database.reading() as conn:
        assert pooling.latest(conn, BOARD) is None
        kinds = conn.execute(select(events.c.type, events.c.student)).all()
    assert kinds == [("pool_taken", None)] * 2


@on_sqlite
def test_numbers_no_model_has_are_not_taken_in(log: Log, clock: MovableClock) -> None:
    """The seal says only that a member made the file, not that its numbers are any good."""
    good = pool_for(on=clock.today())
    of, columns = good.measured, len(good.weights)
    for change in (
        {"weights": good.weights[:-1], "means": good.means[:-1]},
        {"weights": (1e308,) * columns, "means": (1e308,) * columns},
        {"intercept": -1e300},
        {"boards": ("a",)},
        {"measured": msgspec.structs.replace(of, pairs=-5, compared=-3)},
        {"measured": msgspec.structs.replace(of, pairs=10, compared=2, model_right=11.0)},
    ):
        with pytest.raises(pooling.NotForUs, match="cannot be those of models"):
            pooling.take(log, BOARD, SETUP, msgspec.structs.replace(good, **change), "test")
    pooling.take(log, BOARD, SETUP, good, "test")


def test_what_cannot_be_put_on_the_trail_is_not_taken_in(log: Log, clock: MovableClock) -> None:
    def broken(_conn: object) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        pooling.take(log, BOARD, SETUP, pool_for(on=clock.today()), "test", note=broken)
    with log.database.reading() as conn:
        assert pooling.latest(conn, BOARD) is None
    pooling.take(log, BOARD, SETUP, pool_for(on=clock.today()), "test")
    with pytest.raises(RuntimeError):
        pooling.drop(log, BOARD, "test", note=broken)
    with log.database.reading() as conn:
        assert pooling.latest(conn, BOARD) is not None


def test_terms_change_with_what_the_numbers_mean() -> None:
    terms = terms_of(SETUP)
    assert terms_of(small_setup()) == terms
    first = SETUP.uses[0]
    for other_setup in (
        replace(SETUP, horizon=SETUP.horizon + 1),
        replace(SETUP, threshold=SETUP.threshold + 1),
        replace(SETUP, uses=(replace(first, points=first.points + 1), *SETUP.uses[1:])),
        replace(SETUP, uses=SETUP.uses[1:]),
        replace(SETUP, method="count"),
    ):
        assert terms_of(other_setup) != terms
    assert terms_of(replace(SETUP, share=SETUP.share / 2)) == terms, "places mean nothing"


# -- the command ----


def test_a_round_by_the_command(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'kizashi.db'}")
    migrate(database)
    make.places(database)
    setup = from_playbook(shipped("nishinomiya"))
    env = environment(tmp_path, [Fernet.generate_key().decode()])
    keyed = {**env, "KIZASHI_POOL_KEYS": json.dumps([KEY])}
    today = Clock().today()
    for name in ("a", "b", "c"):
        key = OTHER_KEY if name == "c" else KEY
        data = pooling.to_file(told(name, setup, today), [key])
        (tmp_path / name).write_bytes(data)

    def run(*words: str, env: dict[str, str] = keyed) -> tuple[int, str]:
        done = in_here(tmp_path, "pool", *words, env=env)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    mine = ("--board", make.BOARD)
    combined = ("combine", "a", "b", "--for", make.BOARD, "--out", "made")
    for words, status, said in (
        (("export", *mine, "--out", "x"), 1, "nothing has been learned here yet"),
        (("export", "--board", "nowhere", "--out", "x"), 2, "no board 'nowhere'"),
        (("combine", "a", "c", "--for", make.BOARD, "--out", "x"), 1, "seal does not fit"),
        (("combine", "a", "--for", make.BOARD, "--out", "x"), 1, "needs 2 boards"),
        (combined, 0, "of a, b"),
        (("combine", "a", "made", "--for", make.BOARD, "--out", "x"), 1, "only exports"),
        (("import", "a", *mine), 1, "pool combine"),
        (("import", "made", *mine), 0, "judges with a, b"),
        (("import", "made", *mine), 1, "in use"),
        (("drop", *mine), 0, "judges alone from here on"),
        (("drop", *mine), 0, "alone already"),
    ):
        found, text = run(*words)
        assert (found, said in text) == (status, True), (words, text)
    assert not (tmp_path / "x").exists()
    assert run(*combined, env=env)[0] == 1, "without a key nothing is believed"
    with database.reading() as conn:
        trail = conn.execute(select(audit.c.action).order_by(audit.c.seq)).scalars().all()
    database.close()
    assert trail == ["pool_taken", "pool_dropped"]
