"""Sudden rises of risk: only against the model's own list, once until the next, then an alert."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from tests.judging.test_consumer import stored, wipe
from tests.judging.town import BOARD, days_of_events, small_playbook, store
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.alerts.tables import alerts
from warning_service.clock import MovableClock, at
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.events.tables import events
from warning_service.events.types import NewEvent, RiskRose, decode, new_id
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.tables import list_scores, warning_lists
from warning_service.playbooks.model import Playbook
from warning_service.playbooks.service import Playbooks
from warning_service.roster import tables as t

AT, BY = 0.2, 0.1


class Watchful:
    """The small town's playbook with a low threshold for rises."""

    def of(self, board: str) -> Playbook:
        whole = small_playbook()
        rules = [
            rule.model_copy(update={"at": AT, "by": BY}) if rule.kind == "rise" else rule
            for rule in whole.alert_rules
        ]
        return whole.model_copy(update={"alert_rules": tuple(rules)})

    for_help = of


@pytest.fixture
def played(log: Log) -> Log:
    store(log, days_of_events())
    Dispatcher(log, JudgingConsumer(log, Watchful()), BOARD).drain()
    return log


def rises(log: Log) -> list[tuple[Any, RiskRose]]:
    with log.database.reading() as conn:
        rows = conn.execute(
            select(events).where(events.c.type == "risk_rose").order_by(events.c.position)
        ).all()
    found = []
    for row in rows:
        body = decode(row.body)
        assert isinstance(body, RiskRose)
        found.append((row, body))
    return found


def test_a_rise_is_against_a_list_of_the_model_and_told_once(played: Log) -> None:
    found = rises(played)
    assert found, "the small town should have a rise"
    with played.database.reading() as conn:
        lists = {row.id: row for row in conn.execute(select(warning_lists))}
        scores = {
            (row.student, lists[row.list_id].list_date): (row.score, lists[row.list_id].judge)
            for row in conn.execute(select(list_scores))
        }
    assert {row.judge for row in lists.values()} == {"rules", "model"}
    for row, body in found:
        score, judge = scores[row.student, body.listed_on]
        assert (judge, body.before) == ("model", score)
        assert body.score >= AT and body.score - body.before >= BY
        assert body.listed_on < row.day and body.model_version.startswith("online-")
    assert set(Counter((row.student, b.rule, b.listed_on) for row, b in found).values()) == {1}


def test_rises_do_not_depend_on_how_events_were_batched(log: Log, played: Log) -> None:
    before, kept = [body for _, body in rises(played)], stored(played)
    wipe(log)
    with log.database.writing() as conn:
        assert conn.execute(select(events.c.id).limit(1)).first() is not None
    reader = Dispatcher(log, JudgingConsumer(log, Watchful()), BOARD, batch=7)
    reader.drain()
    assert [body for _, body in rises(log)] == before
    assert stored(log) == kept


def test_a_rise_becomes_a_same_day_alert_unless_the_family_refuses(
    log: Log, clock: MovableClock, tmp_path: Path
) -> None:
    on = clock.today()
    with log.database.writing() as conn:
        conn.execute(
            insert(t.boards).values(id=BOARD, name="町", playbook="nishinomiya", generated=True)
        )
        conn.execute(insert(t.schools).values(id="s1", board=BOARD, name="s1", stage="primary"))
        conn.execute(
            insert(t.classes).values(
                id="c1", school="s1", school_year=2026, grade=5, name="5年1組", code="C1"
            )
        )
        for student in ("k1", "k2", "k3", "k4"):
            conn.execute(
                insert(t.enrolments).values(
                    student=student, class_id="c1", from_day=date(2026, 4, 6), until_day=None,
                    board=BOARD, school="s1", grade=5,
                )
            )  # fmt: skip
        conn.execute(
            insert(t.opt_outs).values(student="k2", from_at=at(on - timedelta(1)), board=BOARD)
        )

    def rose(student: str, rule: str, day: date) -> NewEvent:
        body = RiskRose(
            rule=rule, score=0.4, before=0.1, listed_on=date(2026, 5, 1), model_version="online-x"
        )
        return NewEvent(
            id=new_id(), board=BOARD, student=student, on=day, actor="system:judging", body=body
        )

    with log.unit_of_work() as unit:
        unit.append(
            rose("k1", "risk_rise", on),
            rose("k2", "risk_rise", on),  # refuses
            rose("k3", "a rule of before", on),
            rose("k4", "risk_rise", on - timedelta(days=30)),  # an old log played again
        )
    Dispatcher(log, AlertsConsumer(log, Playbooks(log.database, tmp_path)), BOARD).drain()
    with log.database.reading() as conn:
        [row] = conn.execute(select(alerts)).all()
    assert (row.student, row.kind, row.urgency, row.rule) == (
        "k1",
        "same_day",
        "today",
        "risk_rise",
    )
