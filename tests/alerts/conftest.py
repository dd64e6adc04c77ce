from __future__ import annotations

from pathlib import Path

import pytest

from tests.alerts.town import Town
from warning_service.events.log import Log


@pytest.fixture
def town(log: Log, tmp_path: Path) -> Town:
    """A small town on the test's database."""
    return Town(log, tmp_path)
