"""The statutory register: the law's lines, every item in use, what only the board knows."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests import make
from warning_service.catalogue.items import all_items
from warning_service.catalogue.questionnaires import plain, questionnaire
from warning_service.cli import cli
from warning_service.playbooks.model import shipped
from warning_service.rights.register import (
    LEAST_PEOPLE,
    SENSITIVE,
    Office,
    fill,
    items_of,
    people,
    to_csv,
    to_html,
)
from warning_service.rooms import Rooms
from warning_service.settings import Settings

BOOK = shipped("nishinomiya")
OFFICE = Office(section="学校教育課", address="兆市1-1", law="学校教育法", remarks="条例第5条。")


def test_every_item_and_question_in_use_is_in_it() -> None:
    text = next(line.text for line in fill("兆市", BOOK, 5, OFFICE) if line.label == "記録項目")
    known = all_items()
    for item in items_of(BOOK):
        assert f"{known[item.id].label}({known[item.id].owner})" in text
    assert {use.id for use in BOOK.items if use.id in known} <= {i.id for i in items_of(BOOK)}
    for name in BOOK.questionnaires:
        for question in questionnaire(name).questions:
            assert plain(question.label) in text


def test_the_outcomes_item_is_in_it_even_when_no_rule_uses_it() -> None:
    book = BOOK.model_copy(update={"items": tuple(u for u in BOOK.items if u.id == "q.mood")})
    assert [item.id for item in items_of(book)] == [BOOK.outcome.item]


def test_it_says_what_the_law_wants_and_asks_for_what_it_cannot_know() -> None:
    lines = {line.label: line.text for line in fill("兆市", BOOK, LEAST_PEOPLE, OFFICE)}
    assert lines["行政機関等の名称"] == "兆市"
    assert lines["開示請求等を受理する組織の名称及び所在地"] == "学校教育課 兆市1-1"
    assert "健康診断の結果" in lines["要配慮個人情報が含まれるときは、その旨"]
    assert "義務の外" not in lines["備考"] and lines["備考"].endswith("条例第5条。")
    empty = fill("兆市", BOOK, LEAST_PEOPLE - 1, Office())
    assert any("記入してください" in line.text for line in empty)
    assert any("義務の外" in line.text for line in empty)
    plainer = BOOK.model_copy(update={"items": ()})
    words = {line.label: line.text for line in fill("兆市", plainer, 5, OFFICE)}
    assert words["要配慮個人情報が含まれるときは、その旨"] == "含まない"
    assert "提供を取り込む" not in words["記録情報の収集方法"]


def test_what_is_sensitive_is_in_the_catalogue() -> None:
    assert set(SENSITIVE) <= set(all_items())


def test_both_forms_hold_the_same_lines() -> None:
    lines = fill("兆<市>", BOOK, 5, OFFICE)
    rows = list(csv.reader(io.StringIO(to_csv(lines).decode("utf-8-sig"))))
    assert rows[0] == ["項目", "内容"]
    assert rows[1:] == [[line.label, line.text] for line in lines]
    html = to_html(lines, "兆<市>", date(2026, 5, 11))
    assert html.count("<tr>") == len(lines) and "兆&lt;市&gt;" in html


@pytest.fixture
def installed(rooms: Rooms, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    room = make.places(rooms.database)[0]
    make.children(rooms.log, room, 3)
    monkeypatch.setenv("KIZASHI_ENVIRONMENT", "test")
    monkeypatch.setenv("KIZASHI_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("KIZASHI_DATA_DIR", str(settings.data_dir))
    keys = [key.get_secret_value() for key in settings.secret_keys]
    monkeypatch.setenv("KIZASHI_SECRET_KEYS", f'["{keys[0]}"]')
    return rooms


def test_the_command_writes_both_files(installed: Rooms, tmp_path: Path) -> None:
    out = tmp_path / "register"
    done = CliRunner().invoke(
        cli, ["file-register", "--board", make.BOARD, "--out", str(out), "--section", "学校教育課"]
    )
    assert done.exit_code == 0, done.output
    assert "学校教育課" in (out / "file-register.html").read_text("utf-8")
    assert "対象者数 3人" in (out / "file-register.csv").read_text("utf-8-sig")
    with installed.database.reading() as conn:
        assert people(conn, make.BOARD) == 3
    missing = CliRunner().invoke(cli, ["file-register", "--board", "nowhere", "--out", str(out)])
    assert missing.exit_code == 2
