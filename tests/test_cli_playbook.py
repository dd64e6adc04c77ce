"""`kizashi playbook`: a file is checked by line and field, and tried on the board's own past."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import func, select

from tests import make
from tests.command import as_process, environment, in_here
from tests.conftest import START
from tests.judging.town import BOARD, FIRST, days_of_events, small_playbook, store
from warning_service.access.tables import audit
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.events.wakeups import Wakeups
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.tables import trials, warning_lists
from warning_service.playbooks.model import Playbook, shipped_text
from warning_service.roster import service
from warning_service.roster import tables as t

SINCE = FIRST + timedelta(days=25)


class _Own:
    def of(self, board: str) -> Playbook:
        return small_playbook()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A town with a past, the board's own playbook, and files to check and try."""
    made = tmp_path_factory.mktemp("playbook")
    for file in sqlite_template.iterdir():
        shutil.copy(file, made / file.name)
    database = Database(f"sqlite:///{made / 'kizashi.db'}")
    with database.writing() as conn:
        service.put_rows(
            conn, t.boards, ["id"],
            [{"id": BOARD, "name": "兆市", "playbook": "own", "generated": True}],
        )  # fmt: skip
        service.put_rows(
            conn, t.schools, ["id"],
            [
                {"id": s, "board": BOARD, "name": f"{s}小学校", "stage": "primary"}
                for s in ("s1", "s2")
            ],
        )  # fmt: skip
    log = Log(database, MovableClock(START), Wakeups(database))
    store(log, days_of_events(days=70, children=30))
    Dispatcher(log, JudgingConsumer(log, _Own()), BOARD).drain()
    database.close()
    text = shipped_text("nishinomiya")
    small = re.sub(r'^id = "nishinomiya"', 'id = "own"', text, count=1, flags=re.MULTILINE)
    for name, value in (
        ("threshold", "6"), ("horizon_days", "21"), ("budget_share", "0.1"), ("budget_least", "2"),
        ("least_hits", "5"), ("least_gain", "-0.4"),
    ):  # fmt: skip
        small = re.sub(rf"^{name} = \S+", f"{name} = {value}", small, count=1, flags=re.MULTILINE)
    (made / "playbooks").mkdir()
    (made / "playbooks" / "own.toml").write_text(small, "utf-8")
    (made / "wider.toml").write_text(small.replace("budget_share = 0.1", "budget_share = 0.5"))
    (made / "bad.toml").write_text(
        small.replace("budget_share = 0.1", "budget_share = 3").replace("hour = 7", "hours = 7")
    )
    (made / "torn.toml").write_text('id = "own"\nname = \n')
    (made / "sjis.toml").write_bytes('id = "own"\nname = "兆"'.encode("cp932"))
    (made / "keys.toml").write_text('"a\\u001b[31mb" = 1\n')
    return made


def kizashi(folder: Path, *words: str) -> CompletedProcess[str]:
    return in_here(folder, *words, env=environment(folder, [Fernet.generate_key().decode()]))


def test_every_error_has_its_line_and_field_in_both_languages(folder: Path) -> None:
    text = (folder / "bad.toml").read_text("utf-8")
    done = kizashi(folder, "playbook", "check", "bad.toml")
    assert done.returncode == 1
    for wrong, field, ja, en in (
        ("budget_share = 3", "list.budget_share", "1.0 以下にします", "must be 1.0 or less"),
        ("hours = 7", "list.hours", "hour のことですか", "did you mean hour?"),
    ):
        line = text[: text.index(wrong)].count("\n") + 1
        assert f"bad.toml:{line}:1:" in done.stderr
        assert field in done.stderr
        assert ja in done.stderr
        assert en in done.stderr
    assert "使えません / not fit for use (2 errors" in done.stderr


def test_a_good_file_is_fit_and_its_oddities_are_warnings(folder: Path) -> None:
    run = as_process(
        folder, "playbook", "check", "wider.toml",
        env=environment(folder, [Fernet.generate_key().decode()]),
    )  # fmt: skip
    here = kizashi(folder, "playbook", "check", "wider.toml")
    assert run.returncode == here.returncode == 0, run.stderr
    for done in (run, here):
        assert "使えます / fit for use (0 errors" in done.stdout
        assert "注意 warning list.budget_share" in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["check", "torn.toml"], 1, "torn.toml:2:8:"),
        (["check", "sjis.toml"], 1, "sjis.toml:2: 誤り error UTF-8"),
        (["check", "none.toml"], 1, "このファイルはありません / there is no such file"),
        (["check", "playbooks"], 1, "フォルダです / is a folder"),
        (["check", "/dev/zero"], 1, "zero:1: 誤り error TOML"),
        (["check", "keys.toml"], 1, "keys.toml:1:1: 誤り error a?[31mb"),
        (["check", "wider.toml", "--replaces", "nowhere"], 2, "no shipped playbook 'nowhere'"),
        (["try", "wider.toml", "--since", "yesterday"], 2, "write it as 2026-04-01"),
        (["try", "wider.toml", "--since", "2026-05-01", "--board", "x"], 2, BOARD),
        (["try", "bad.toml", "--since", "2026-05-01"], 1, "list.budget_share"),
    ],
)
def test_a_mistake_is_named_in_a_line(
    folder: Path, words: list[str], status: int, said: str
) -> None:
    done = kizashi(folder, "playbook", *words)
    assert done.returncode == status, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_lists_would_have_been(folder: Path) -> None:
    database = Database(f"sqlite:///{folder / 'kizashi.db'}")
    with database.reading() as conn:
        dates = conn.execute(
            select(warning_lists.c.list_date).where(warning_lists.c.list_date >= SINCE).distinct()
        ).scalars()
        wanted = sorted(on.isoformat() for on in dates)
        before = conn.execute(select(func.count()).select_from(audit)).scalar_one()
    done = kizashi(folder, "playbook", "try", "wider.toml", "--since", SINCE.isoformat())
    assert done.returncode == 0, done.stderr
    assert len(wanted) >= 2
    for on in wanted:
        # Four places of thirty now, fifteen by the tried one: the four hidden, who enters too.
        assert re.search(rf"{on} +│ +1-4 │ +\S+ │", done.stdout), done.stdout
    assert "s1小学校" in done.stdout
    assert "outcomes known" in done.stdout
    assert "6 of 6" in done.stdout or f"{2 * len(wanted)} of {2 * len(wanted)}" in done.stdout
    assert not re.search(r"\bk0\d\d\b", done.stdout), "a child's key"
    with database.reading() as conn:
        rows = conn.execute(select(audit.c.action, audit.c.subject, audit.c.detail)).all()
        assert conn.execute(select(func.count()).select_from(trials)).scalar_one() == 0
    database.close()
    assert len(rows) == before + 1
    assert tuple(rows[-1]) == ("playbook_tried", BOARD, SINCE.isoformat())
    assert make.BOARD != BOARD


def test_a_broken_playbook_in_force_is_named_by_its_line(folder: Path) -> None:
    own = folder / "playbooks" / "own.toml"
    whole = own.read_text("utf-8")
    own.write_text(whole.replace("budget_share = 0.1", "budget_share = 7"), "utf-8")
    done = kizashi(folder, "playbook", "try", "wider.toml", "--since", SINCE.isoformat())
    own.write_text(whole, "utf-8")
    assert done.returncode == 1
    assert re.search(r"playbook in force:\d+:1: 誤り error list.budget_share", done.stderr)
    assert "Traceback" not in done.stderr
