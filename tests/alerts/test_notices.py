"""Notices: raised once, told, acknowledged and escalated like alerts, and about no child."""

from __future__ import annotations

import threading
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.alerts.town import BOARD, Town, principal
from warning_service import playbooks
from warning_service.alerts import rebuild
from warning_service.alerts.notices import (
    EXTRACT_MISSING,
    LIST_PUBLISHED,
    SYSTEM_TROUBLE,
    Notices,
)
from warning_service.alerts.tables import alerts, deliveries
from warning_service.clock import MovableClock
from warning_service.events.tables import events
from warning_service.playbooks.kinds import Kinds


@pytest.fixture
def notices(town: Town) -> Notices:
    return Notices(town.log, town.playbooks)


def rows(town: Town) -> list[Any]:
    with town.log.database.reading() as conn:
        return list(conn.execute(select(alerts).order_by(alerts.c.raised_at)))


def test_a_notice_is_about_a_place_and_told_by_duty(town: Town, notices: Notices) -> None:
    raised = notices.raise_notice(BOARD, LIST_PUBLISHED, "list-1", slot="list-1", school="s1")
    [row] = rows(town)
    assert (row.id, row.kind, row.school, row.class_id) == (raised, LIST_PUBLISHED, "s1", "")
    assert (row.student, row.source, row.state) == ("", "list-1", "open")
    with town.log.database.reading() as conn:
        told = {row.address for row in conn.execute(select(deliveries))}
        stored = conn.execute(select(events).where(events.c.type == "alert_raised")).one()
    assert told == {"C-head1"}
    assert stored.student is None
    assert rebuild.differences(town.log, BOARD) == []


def test_the_same_slot_is_raised_once_however_often_it_is_tried(
    town: Town, notices: Notices
) -> None:
    def again() -> None:
        Notices(town.log, town.playbooks).raise_notice(
            BOARD, LIST_PUBLISHED, "list-1", slot="list-1", school="s1"
        )

    threads = [threading.Thread(target=again) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notices.raise_notice(BOARD, LIST_PUBLISHED, "list-1", slot="list-1", school="s1") is None
    assert len(rows(town)) == 1
    with town.log.database.reading() as conn:
        assert len(conn.execute(select(deliveries)).all()) == 1
    other = notices.raise_notice(BOARD, LIST_PUBLISHED, "list-2", slot="list-2", school="s1")
    assert other is not None


def test_a_trouble_is_not_raised_again_while_it_stands(
    town: Town, notices: Notices, clock: MovableClock
) -> None:
    first = notices.raise_notice(BOARD, SYSTEM_TROUBLE, "dead_letters")
    assert first is not None
    clock.move_by(timedelta(days=3))
    assert notices.raise_notice(BOARD, SYSTEM_TROUBLE, "dead_letters") is None
    assert notices.raise_notice(BOARD, SYSTEM_TROUBLE, "sums_differ") is not None
    assert notices.settle(BOARD, SYSTEM_TROUBLE, "dead_letters") == 1
    assert notices.settle(BOARD, SYSTEM_TROUBLE, "dead_letters") == 0
    again = notices.raise_notice(BOARD, SYSTEM_TROUBLE, "dead_letters")
    assert again not in (None, first)
    assert notices.settle(BOARD, SYSTEM_TROUBLE) == 2
    assert notices.raise_notice(BOARD, SYSTEM_TROUBLE, "dead_letters") not in (None, first, again)
    assert rebuild.differences(town.log, BOARD) == []


def test_a_notice_nobody_takes_on_goes_up_and_one_taken_on_does_not(
    town: Town, notices: Notices, clock: MovableClock
) -> None:
    left = notices.raise_notice(BOARD, LIST_PUBLISHED, "list-1", slot="1", school="s1")
    taken = notices.raise_notice(BOARD, LIST_PUBLISHED, "list-2", slot="1", school="s1")
    assert taken is not None
    assert town.alerts.acknowledge(taken, principal("head1"), "portal")
    clock.move_by(timedelta(days=30))
    assert town.alerts.escalate_due() == 1
    by_id = {row.id: row for row in rows(town)}
    assert by_id[left].step >= 1
    assert by_id[taken].state == "acknowledged"
    with town.log.database.reading() as conn:
        found = conn.execute(select(events).where(events.c.type.like("alert_%"))).all()
    assert {row.student for row in found} == {None}
    assert rebuild.differences(town.log, BOARD) == []


def test_what_is_no_notice_is_refused(town: Town, notices: Notices) -> None:
    with pytest.raises(ValueError, match="consultation"):
        notices.raise_notice(BOARD, "consultation", "x")
    with pytest.raises(KeyError):
        notices.raise_notice("nowhere", EXTRACT_MISSING, "x")
    event = town.asks()
    town.work()
    view = town.alerts.of_source(event)
    assert view is not None
    with town.log.unit_of_work() as unit, pytest.raises(ValueError, match="record"):
        notices.close(unit, view, "hr11")


def test_the_fullest_playbook_says_of_every_kind_how_it_is_told() -> None:
    """The file a board would copy; the others need only name what they want otherwise."""
    file = Path(playbooks.__file__).parent / "shipped/nishinomiya.toml"
    said = tomllib.loads(file.read_text("utf-8"))["kinds"]
    assert said.keys() == Kinds.model_fields.keys()
    Kinds.model_validate(said)
