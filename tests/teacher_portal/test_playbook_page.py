"""The board's page on its way of working: errors beside their field, a try worked on apart."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import product

import msgspec
import pytest
from sqlalchemy import func, select, update

from teacher_portal.playbook_figures import changed, view_of
from teacher_portal.suppression import SMALL, Cell
from tests import make
from tests.judging import town
from tests.teacher_portal.conftest import Browsers
from warning_service.access.tables import audit
from warning_service.clock import Clock, MovableClock
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.tables import events
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.tables import trials
from warning_service.judging.trying.counts import Tried
from warning_service.judging.trying.trials import DEAD_AFTER, Busy, Trier, result_of
from warning_service.playbooks.model import parse, shipped_text
from warning_service.rooms import Rooms

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SINCE = town.FIRST + timedelta(days=25)
FORM = {"list.budget_share": "0.5", "since": SINCE.isoformat()}


@pytest.fixture
def board(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    """A board with a past of some weeks, and somebody who may try."""
    make.places(rooms.database)
    make.staff(rooms.database, "office", ("board", make.BOARD))
    make.staff(rooms.database, "nurse", ("nurse", make.SCHOOL))
    monkeypatch.setattr(town, "BOARD", make.BOARD)
    town.store(rooms.log, town.days_of_events(days=45, children=12))
    return rooms


def trier(rooms: Rooms) -> Trier:
    return Trier(rooms.log, rooms.playbooks)


@SQLITE
def test_errors_stand_beside_their_fields_and_nothing_is_started(
    board: Rooms, browsers: Browsers
) -> None:
    who = browsers("office")
    page = who.get("/portal/playbook")
    assert "試算はまだありません" in page
    assert 'name="list.budget_share"' in page
    assert "きぶん" in page or "気分" in page
    wrong = who.post(
        "/portal/playbook/numbers",
        **{"list.budget_share": "3", "items.0.points": "abc", "since": SINCE.isoformat()},
    )
    assert wrong.status_code == 422
    for field, words in (("list.budget_share", "1.0 以下にします"), ("items.0.points", "数で入力")):
        beside = re.search(rf'name="{re.escape(field)}".*?</div>|name="{re.escape(field)}".*?</td>',
                           wrong.text, re.DOTALL)  # fmt: skip
        assert beside is not None
        assert 'aria-invalid="true"' in beside.group()
        assert words in beside.group()
    assert 'value="abc"' in wrong.text
    same = who.post("/portal/playbook/numbers", since=SINCE.isoformat())
    assert same.status_code == 422
    assert "変わった数字がありません" in same.text
    late = who.post("/portal/playbook/numbers", **(FORM | {"since": "soon"}))
    assert "日付を正しく" in late.text
    assert make.rows(board.database, trials) == []


@SQLITE
def test_a_pasted_file_is_checked_by_line(board: Rooms, browsers: Browsers) -> None:
    who = browsers("office")
    text = shipped_text("nishinomiya")
    bad = text.replace("hour = 7", "hours = <7>")
    done = who.post("/portal/playbook/file", text=bad, since=SINCE.isoformat())
    assert done.status_code == 422
    line = bad[: bad.index("hours = <7>")].count("\n") + 1
    assert f"{line}行目" in done.text
    bad = text.replace("hour = 7", 'hour = 77 # "<b>"')
    done = who.post("/portal/playbook/file", text=bad, since=SINCE.isoformat())
    assert "list.hour" in done.text
    assert "23 以下にします" in done.text
    assert "&lt;b&gt;" in done.text, "the line is shown, as text"
    assert "<b>" not in done.text
    only = who.post("/portal/playbook/file", text=text, since="", only="check")
    assert only.status_code == 200
    assert "まちがいは見つかりませんでした" in only.text
    assert make.rows(board.database, trials) == []


@SQLITE
def test_a_try_from_the_form_to_the_file_for_the_operator(board: Rooms, browsers: Browsers) -> None:
    Dispatcher(board.log, JudgingConsumer(board.log, board.playbooks), make.BOARD).drain()
    who = browsers("office")
    before = _events(board)
    started = who.post("/portal/playbook/numbers", **FORM)
    assert started.status_code == 303, started.text
    path = started.headers["location"]
    waiting = who.get(path)
    assert "まもなくはじまります" in waiting
    assert 'http-equiv="refresh"' in waiting
    second = who.post("/portal/playbook/numbers", **FORM)
    assert second.status_code == 409
    assert "試算は一度に一つ" in second.text

    assert trier(board).look() == path.rpartition("/")[2]
    page = who.get(path)
    assert "結果が出ました" in page
    assert 'http-equiv="refresh"' not in page
    assert "新しくのる" in page
    assert "さくら" in page or "sakura小学校" in page or "s1" in page
    assert not re.search(r"\bk0\d\d\b", page), "a child's key"
    assert "結果が出ました" in who.get("/portal/playbook")

    file = who.client.get(f"{path}/file")
    assert file.headers["content-disposition"] == 'attachment; filename="nishinomiya.toml"'
    now = board.playbooks.of(make.BOARD)
    tried = parse(file.text)
    assert (tried.list.budget_share, tried.version) == (0.5, now.version + 1)
    assert tried.model_copy(update={"list": now.list, "version": now.version}) == now
    assert board.playbooks.of(make.BOARD).list.budget_share == 0.03, "nothing came into force"
    assert _events(board) == before
    with board.database.reading() as conn:
        actions = conn.execute(
            select(audit.c.action).where(audit.c.action.like("playbook%")).order_by(audit.c.seq)
        ).scalars()
        assert list(actions)[:2] == ["playbook_tried", "playbook_trial"]

    # Somebody of a school, and somebody of another board, have no business here.
    assert browsers("nurse").client.get(path).status_code == 403
    assert board.trials.one("elsewhere", path.rpartition("/")[2]) is None


def _events(rooms: Rooms) -> int:
    with rooms.database.reading() as conn:
        return int(conn.execute(select(func.count()).select_from(events)).scalar_one())


@SQLITE
def test_a_try_is_stopped_before_and_while_it_runs(board: Rooms, browsers: Browsers) -> None:
    who = browsers("office")
    path = who.post("/portal/playbook/numbers", **FORM).headers["location"]
    assert who.post(f"{path}/stop").status_code == 303
    assert "途中でやめました" in who.get(path)
    assert trier(board).look() is None

    path = who.post("/portal/playbook/numbers", **FORM).headers["location"]
    worker, beats = trier(board), []
    put = worker._put

    def stop_at_the_second_beat(trial: str, values: dict[str, object]) -> bool:
        beats.append(values)
        if len(beats) == 2:
            assert board.trials.stop(make.BOARD, trial)
        return put(trial, values)

    worker._put = stop_at_the_second_beat  # type: ignore[method-assign]
    worker.look()
    [_, row] = sorted(make.rows(board.database, trials), key=lambda row: row.id)
    assert (row.state, row.result) == ("stopped", None)
    assert "途中でやめました" in who.get(path)


def test_a_try_outlives_its_worker_and_is_taken_over(board: Rooms) -> None:
    """On both databases: one at a time, begun again by another, never worked on by two."""
    text = shipped_text("nishinomiya")
    trial = board.trials.ask(make.BOARD, "staff-office", text, SINCE)
    with pytest.raises(Busy):
        board.trials.ask(make.BOARD, "staff-office", text, SINCE)
    with pytest.raises(ValueError, match="budget"):
        board.trials.ask(
            make.BOARD, "x", text.replace("budget_share = 0.03", "budget_share = 3"), SINCE
        )
    with board.database.writing() as conn:  # a worker took it and was killed
        conn.execute(
            update(trials).values(state="running", worker="gone", beat_at=Clock().now(), done=7)
        )
    assert trier(board).look() is None
    late = MovableClock(Clock().now() + DEAD_AFTER + timedelta(seconds=1))
    assert Trier(board.log, board.playbooks, real=late).look() == trial
    row = board.trials.one(make.BOARD, trial)
    assert row is not None
    assert row.state == "done"
    found = result_of(row)
    assert isinstance(found, Tried)
    assert all(one.entering == one.leaving == 0 for one in found.dates)
    assert found.dates
    assert trier(board).look() is None
    assert board.trials.ask(make.BOARD, "staff-office", text, SINCE)


@SQLITE
def test_a_worker_that_is_told_to_end_puts_its_try_back(board: Rooms) -> None:
    trial = board.trials.ask(make.BOARD, "x", shipped_text("nishinomiya"), SINCE)
    worker = trier(board)
    worker._stopping.set()
    worker.look()
    row = board.trials.one(make.BOARD, trial)
    assert row is not None
    assert (row.state, row.worker, row.ended_at) == ("waiting", "", None)


@SQLITE
def test_a_try_that_breaks_says_so_and_the_next_can_come(board: Rooms, browsers: Browsers) -> None:
    who = browsers("office")
    path = who.post("/portal/playbook/numbers", **FORM).headers["location"]
    with board.database.writing() as conn:
        conn.execute(update(trials).values(text="id = 1"))
    trier(board).look()
    page = who.get(path)
    assert "途中で止まりました(ValidationError)" in page
    assert who.post("/portal/playbook/numbers", **FORM).status_code == 303


@SQLITE
def test_a_file_with_a_japanese_id_can_be_taken_out(board: Rooms, browsers: Browsers) -> None:
    who = browsers("office")
    text = shipped_text("nishinomiya").replace('id = "nishinomiya"', 'id = "西宮"', 1)
    answer = who.post("/portal/playbook/file", text=text, since=SINCE.isoformat())
    assert answer.status_code == 303
    file = who.client.get(answer.headers["location"] + "/file")
    assert file.status_code == 200 and file.text == text
    found = file.headers["content-disposition"]
    assert found == "attachment; filename*=UTF-8''%E8%A5%BF%E5%AE%AE.toml"


@SQLITE
def test_the_page_is_complete_in_english(board: Rooms, browsers: Browsers) -> None:
    who = browsers("office")
    path = who.post("/portal/playbook/numbers", **FORM).headers["location"]
    trier(board).look()
    who.client.cookies.set("lang", "en")
    for page in (who.get("/portal/playbook"), who.get(path)):
        body = re.sub(r"<textarea.*?</textarea>|<header.*?</header>", "", page, flags=re.DOTALL)
        main = body[body.index("<main") :]
        left = re.findall(r">([^<]*[ぁ-んァ-ヶ][^<]*)<", main)
        assert [words for words in left if "小学校" not in words and "先生" not in words
                and "事例集" not in words] == []  # fmt: skip


# -- what may be shown ----


def test_few_children_cannot_be_told_from_the_four_numbers() -> None:
    """Whatever is shown of a date, every small count behind it could as well be another."""
    size = 12
    shown: dict[tuple[Cell, ...], set[tuple[int, ...]]] = {}
    for counts in product(range(size), repeat=3):
        shown.setdefault(changed(*counts), set()).add(counts)
    for cells, behind in shown.items():
        for at in range(3):
            values = {counts[at] for counts in behind}
            edge = any(max(counts) >= size - 1 for counts in behind)
            assert edge or len(values) > 1 or not 0 < next(iter(values)) < SMALL, (cells, behind)
    assert changed(60, 40, 0) == (Cell(60), Cell(100), Cell(40), Cell(0))
    hidden = Cell(None, "withheld")
    assert changed(58, 43, 2) == (Cell(60), Cell(101), hidden, hidden)
    assert changed(0, 5, 3) == (Cell(None, "small"), hidden, hidden, hidden)


def test_hits_too_few_to_show_stay_hidden_on_both_sides() -> None:
    from warning_service.judging.trying.counts import Right

    def right(listed: int, hits: int, all_hits: int) -> Right:
        return Right(
            lists=3, listed=listed, listed_hits=hits, children=listed, ranked=400,
            ranked_hits=all_hits,
        )  # fmt: skip

    empty = Tried(
        since=SINCE, until=SINCE, position=1, playbook_current="a", playbook_tried="b",
        other_dates=False, dates=[], schools=[], items=[], by_order=0,
        right=(right(40, 2, 20), right(60, 9, 20)), right_own=None, outcome="futoko",
        same_as_shown=0, shown=0, shortened=False, excluded=0,
    )  # fmt: skip
    now, tried = view_of(empty, {}).right
    assert now.hits == Cell(None, "small")
    assert now.interval is None
    assert now.at_most is not None
    assert tried.hits in (Cell(5, "about"), Cell(10, "about"))
    assert tried.interval is not None
    few = msgspec.structs.replace(empty, right=(right(40, 2, 3), right(60, 1, 3)))
    for side in view_of(few, {}).right:
        assert side.base is None
        assert side.hits.value is side.missed.value is None
