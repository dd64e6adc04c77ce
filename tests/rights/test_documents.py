"""What the documents' tables say is what the program does."""

from __future__ import annotations

from pathlib import Path

import pytest

from warning_service.access.roles import OFFICES, Ability, Purpose, Reach, Role
from warning_service.catalogue.items import all_items
from warning_service.rights.doc_tables import (
    ABILITY,
    FILES,
    PURPOSE,
    REACH,
    TABLES,
    duties,
    items,
    main,
    renewed,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("lang", FILES)
def test_the_documents_are_current(lang: str) -> None:
    text = (ROOT / FILES[lang]).read_text("utf-8")
    assert renewed(text, lang) == text, "run: python -m warning_service.rights.doc_tables"
    assert [name for name in TABLES if f"<!-- table: {name} -->" not in text] == []


def test_a_stale_table_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for lang, name in FILES.items():
        text = (ROOT / name).read_text("utf-8")
        (tmp_path / name).write_text(text.replace("| 第83条第1項 |", "| 第999条 |"), "utf-8")
        assert renewed((tmp_path / name).read_text("utf-8"), lang) == text
    assert main(tmp_path) == 2 and main(tmp_path) == 0


def test_the_tables_name_everything_there_is() -> None:
    assert set(ABILITY) == set(Ability) and set(REACH) == set(Reach)
    assert set(PURPOSE) == set(Purpose)
    assert duties("ja").count("\n") == len(set(OFFICES) - {Role.CHILD}) + 1
    for item in all_items().values():
        assert item.label in items("ja") and item.label_en in items("en")
