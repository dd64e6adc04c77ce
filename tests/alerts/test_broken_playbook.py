"""A board's own playbook cannot be read: who asks for help is heard all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.alerts.town import BOARD, Town, principal
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.alerts.service import Alerts
from warning_service.clock import MovableClock
from warning_service.events.dispatcher import Dispatcher
from warning_service.playbooks.service import Playbooks


@pytest.mark.parametrize("text", ["broken = [", 'name = "half"'])
def test_a_broken_playbook_silences_nobody(
    town: Town, clock: MovableClock, tmp_path: Path, text: str
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "nishinomiya.toml").write_text(text)
    broken = Playbooks(town.log.database, own)
    with pytest.raises(ValueError):
        broken.of(BOARD)  # judging and deciding stop
    consumer = AlertsConsumer(town.log, broken)
    town.asks("kid1", ["nurse"])
    Dispatcher(town.log, consumer, BOARD).drain()
    service = Alerts(town.log, broken, town.trail)
    [view] = service.inbox(principal("nurse1"))
    clock.move_to(view.due_at or clock.now())
    assert service.escalate_due() == 1
    assert service.acknowledge(view.id, principal("nurse1"), "portal")
