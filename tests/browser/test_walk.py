"""The demo town, walked through by a child, teachers, a committee and a board."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import town
from tests.browser.walk import Walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_whole_way_once(tmp_path: Path) -> None:
    with town.served(tmp_path / "town") as served, town.browser() as chromium:
        walk = Walk(served, chromium)
        walk.all_of_it()
        print(f"seen after {walk.seen_after[0]:.2f} s")
        assert "Traceback" not in served.log.read_text("utf-8")
