"""Every call for help is delivered or visibly moved on, whatever is killed meanwhile.

A few seconds of it, on both databases; benchmarks/help_under_fire.py does it for minutes and at
the rate of a whole city.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests.faults.fire import town

SECONDS = float(os.environ.get("KIZASHI_FIRE_SECONDS", "6"))


@pytest.mark.slow
# With SQLite there is no database to kill; test_processes_killed.py does the rest on both, and
# benchmarks/help_under_fire.py this, for as long as one likes.
@pytest.mark.parametrize("kind", ["postgresql"])
def test_every_call_is_delivered_or_moved_on_and_the_sums_agree(kind: str, secret_key: str) -> None:
    # Not below pytest's own folder, which PostgreSQL's user may not enter (see tests/conftest.py).
    with (
        tempfile.TemporaryDirectory(prefix="kizashi-fire-", ignore_cleanup_errors=True) as folder,
        town(kind, Path(folder), secret_key, tablets=4, pause=0.05) as fire,
    ):
        fire.burn(SECONDS, seed=5)
        result = fire.check()
    assert min(fire.kills.values()) >= 1
    assert set(fire.kills) >= {"serve", "work", "schedule", "chat"}
    assert ("database" in fire.kills) == (kind == "postgresql")
    assert result.calls > 20
    assert result.told == result.alerts
