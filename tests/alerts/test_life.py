"""The life of an alert between taking it on and closing it: by hand, by itself, and undone."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from tests import make
from tests.alerts.town import BOARD, Town, principal
from warning_service.access.gateway import NotYours
from warning_service.access.tables import audit
from warning_service.alerts import rebuild, states
from warning_service.alerts.outbox import Owed, due
from warning_service.alerts.sending import Writer
from warning_service.alerts.service import AlertView, SnoozeRefused
from warning_service.alerts.tables import alerts, deliveries
from warning_service.clock import Clock, MovableClock
from warning_service.events.types import (
    AlertClosed,
    AlertHandled,
    FollowUpRecorded,
    NewEvent,
    derived_id,
    new_id,
)
from warning_service.roster import tables as roster

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def alert(town: Town) -> str:
    """A call for help of kid1, for its homeroom teacher and the nurse."""
    town.asks("kid1")
    town.work()
    [view] = town.alerts.of_student("kid1")
    return view.id


@pytest.fixture
def soft(town: Town) -> str:
    """What is due today: three bad days of kid3, for hr12 and nurse1."""
    for days_ago in (2, 1, 0):
        town.answers("kid3", days_ago=days_ago, mood=3)
    town.work()
    [view] = town.alerts.of_student("kid3")
    return view.id


def now_of(town: Town, alert: str, who: str = "nurse1") -> AlertView:
    return town.alerts.one(principal(who), alert)


def record(town: Town, alert: str, author: str = "hr11") -> None:
    with town.log.unit_of_work() as unit:
        assert town.alerts.handle(unit, alert, new_id(), author)


def follow_up(town: Town, student: str, author: str) -> str:
    """A record written from the child's page, not from the alert."""
    record_id = new_id()
    body = FollowUpRecorded(
        follow_up_id=record_id, action="talked", change="same", list_id=None, alert_id=None,
        sealed=None,
    )  # fmt: skip
    with town.log.unit_of_work() as unit:
        unit.append(
            NewEvent(
                id=record_id, board=BOARD, student=student, on=town.log.clock.today(),
                actor=author, body=body,
            )
        )  # fmt: skip
    return record_id


def told(town: Town, purpose: str = "escalated") -> list[str]:
    rows = make.rows(town.log.database, deliveries)
    return sorted(row.address for row in rows if row.purpose == purpose)


def steps(town: Town, alert: str, who: str = "nurse1") -> list[tuple[str, str]]:
    return [(one.what, one.author) for one in town.alerts.history(principal(who), alert)]


def same_again(town: Town) -> None:
    assert rebuild.differences(town.log, BOARD) == []


# -- taking back ---------------------------------------------------------------------------------


def test_a_mistaken_tap_is_taken_back_and_everybody_is_told_again(
    town: Town, alert: str, clock: MovableClock
) -> None:
    due = now_of(town, alert).due_at
    clock.move_by(timedelta(minutes=3))
    town.alerts.acknowledge(alert, principal("hr11"), "slack")
    assert now_of(town, alert).undo_until == clock.now() + timedelta(minutes=5)
    clock.move_by(timedelta(minutes=2))
    assert not town.alerts.undo(alert, principal("nurse1"))  # it is not hers
    assert town.alerts.undo(alert, principal("hr11"))
    view = now_of(town, alert)
    assert (view.state, view.acknowledged_by, view.due_at) == ("open", "", due)
    assert told(town) == ["C-c11", "C-nurse1"]
    [row] = make.rows(town.log.database, alerts)
    assert row.answered_at is None
    clock.move_by(timedelta(minutes=5))  # the ten minutes since it was raised
    assert town.alerts.escalate_due() == 1
    same_again(town)


def test_a_tap_taken_back_twice_at_the_same_moment_tells_twice(town: Town, alert: str) -> None:
    for _ in range(2):
        assert town.alerts.acknowledge(alert, principal("hr11"), "portal")
        assert town.alerts.undo(alert, principal("hr11"))
    assert told(town) == ["C-c11", "C-c11", "C-nurse1", "C-nurse1"]
    same_again(town)


def test_it_is_too_late_after_the_playbooks_minutes(
    town: Town, alert: str, clock: MovableClock
) -> None:
    town.alerts.acknowledge(alert, principal("hr11"), "portal")
    clock.move_by(timedelta(minutes=5, seconds=1))
    assert not town.alerts.undo(alert, principal("hr11"))
    assert now_of(town, alert).state == "acknowledged"


# -- an acknowledgement without a record -------------------------------------------------------


def test_without_a_record_it_opens_again_and_the_next_are_told(
    town: Town, alert: str, clock: MovableClock
) -> None:
    town.alerts.acknowledge(alert, principal("hr11"), "portal")
    assert now_of(town, alert).due_at == clock.now() + DAY
    clock.move_by(DAY - timedelta(seconds=1))
    assert town.alerts.escalate_due() == 0
    clock.move_by(timedelta(seconds=1))
    assert town.alerts.escalate_due() == 1
    view = now_of(town, alert)
    assert (view.state, view.step, view.acknowledged_by) == ("open", 1, "")
    assert told(town) == ["C-head1"]
    assert town.alerts.escalate_due() == 0
    assert ("expired", "system:alerts") in steps(town, alert)
    [row] = make.rows(town.log.database, alerts)
    assert row.answered_at is not None  # that somebody was quick stays true
    same_again(town)


def test_months_later_nothing_rings_for_what_was_handled(
    town: Town, alert: str, clock: MovableClock
) -> None:
    town.alerts.acknowledge(alert, principal("hr11"), "portal")
    record(town, alert)
    for _ in range(12):
        clock.move_by(timedelta(days=30))
        town.alerts.escalate_due()
    view = now_of(town, alert)
    assert (view.state, view.closed_by) == ("closed", "system:alerts")
    assert told(town) == []
    assert told(town, "raised") == ["C-c11", "C-nurse1"]
    same_again(town)


def test_a_record_from_the_childs_page_answers_it_too(
    town: Town, alert: str, clock: MovableClock
) -> None:
    town.alerts.acknowledge(alert, principal("hr11"), "portal")
    clock.move_by(HOUR)
    written = follow_up(town, "kid1", "hr11")
    clock.move_by(DAY)
    assert town.alerts.escalate_due() == 1
    view = now_of(town, alert)
    assert (view.state, view.handled_by) == ("handled", "hr11")
    [done] = [
        step.body
        for step in town.alerts.history(principal("nurse1"), alert)
        if isinstance(step.body, AlertHandled)
    ]
    assert done.follow_up_id == written
    assert told(town) == []
    same_again(town)


@pytest.mark.parametrize("how", ["before", "by another"])
def test_a_record_that_is_no_answer_does_not_keep_it_from_expiring(
    town: Town, alert: str, clock: MovableClock, how: str
) -> None:
    if how == "before":
        follow_up(town, "kid1", "hr11")
        clock.move_by(HOUR)
    town.alerts.acknowledge(alert, principal("hr11"), "portal")
    clock.move_by(HOUR)
    if how == "by another":
        follow_up(town, "kid1", "nurse1")
    clock.move_by(DAY)
    town.alerts.escalate_due()
    assert now_of(town, alert).state == "open"


def test_what_was_taken_on_before_there_were_deadlines_never_rings_by_itself(
    town: Town, alert: str, clock: MovableClock
) -> None:
    town.alerts.acknowledge(alert, principal("hr11"), "portal")
    with town.log.database.writing() as conn:
        conn.execute(update(alerts).values(due_at=None))
    clock.move_by(timedelta(days=200))
    assert town.alerts.escalate_due() == 0


def test_todays_minutes_only_run_while_school_is_open(
    town: Town, soft: str, clock: MovableClock
) -> None:
    """18 hours of school, 9 a day: from Monday 9:00 to Wednesday 9:00."""
    town.alerts.acknowledge(soft, principal("hr12"), "portal")
    assert now_of(town, soft).due_at == clock.now() + 2 * DAY


def test_a_broken_playbook_keeps_nobody_from_taking_on(
    town: Town, alert: str, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warning_service.alerts import life

    def broken(*_: object, **__: object) -> datetime:
        raise ValueError("calendar")

    monkeypatch.setattr(life, "due_after", broken)
    assert town.alerts.acknowledge(alert, principal("hr11"), "portal")
    assert now_of(town, alert).due_at == clock.now() + life.UNLESS_KNOWN


# -- taking over, handing over -------------------------------------------------------------------


def test_another_adult_takes_it_over_and_has_it_alone(town: Town, alert: str) -> None:
    assert town.alerts.acknowledge(alert, principal("hr11"), "portal")
    assert town.alerts.take_over(alert, principal("nurse1"), "slack")
    assert not town.alerts.take_over(alert, principal("nurse1"), "slack")
    view = now_of(town, alert)
    assert (view.acknowledged_by, view.acknowledged_via) == ("nurse1", "slack")
    assert not town.alerts.undo(alert, principal("hr11"))
    with pytest.raises(NotYours):
        town.alerts.take_over(alert, principal("nurse2"), "portal")
    same_again(town)


def test_taking_over_what_is_open_again_is_taking_it_on(town: Town, alert: str) -> None:
    assert town.alerts.take_over(alert, principal("nurse1"), "portal")
    assert ("acknowledged", "nurse1") in steps(town, alert)


def test_the_giver_has_it_until_somebody_accepts(
    town: Town, alert: str, clock: MovableClock
) -> None:
    town.alerts.acknowledge(alert, principal("hr11"), "portal")
    due = now_of(town, alert).due_at
    assert town.alerts.offer(alert, principal("hr11"), "duty:management")
    assert told(town, "offered") == ["C-head1"]
    head = principal("head1")
    view = now_of(town, alert, "head1")  # who is asked sees it
    assert (view.acknowledged_by, view.offered_to, view.due_at) == ("hr11", "duty:management", due)
    assert town.alerts.asked(head, view) and not town.alerts.asked(principal("nurse1"), view)
    with pytest.raises(NotYours):
        town.alerts.accept(alert, principal("nurse1"), "portal")
    clock.move_by(HOUR)
    assert town.alerts.accept(alert, head, "portal")
    assert not town.alerts.asked(head, now_of(town, alert, "head1"))
    with pytest.raises(NotYours):
        town.alerts.accept(alert, head, "portal")
    view = now_of(town, alert)
    assert (view.acknowledged_by, view.offered_to) == ("head1", "")
    assert view.due_at == clock.now() + DAY
    same_again(town)


def test_an_offer_nobody_accepts_ends_with_the_acknowledgement(
    town: Town, alert: str, clock: MovableClock
) -> None:
    town.alerts.acknowledge(alert, principal("hr11"), "portal")
    town.alerts.offer(alert, principal("hr11"), "staff:nurse1")
    clock.move_by(DAY)
    town.alerts.escalate_due()
    view = now_of(town, alert)
    assert (view.state, view.offered_to) == ("open", "")
    with pytest.raises(NotYours):
        town.alerts.accept(alert, principal("nurse1"), "portal")
    same_again(town)


def test_an_offer_can_be_declined_and_withdrawn(town: Town, alert: str) -> None:
    giver, nurse = principal("hr11"), principal("nurse1")
    town.alerts.acknowledge(alert, giver, "portal")
    assert not town.alerts.withdraw(alert, giver)  # there is none
    town.alerts.offer(alert, giver, "staff:nurse1")
    with pytest.raises(NotYours):
        town.alerts.withdraw(alert, nurse)
    assert town.alerts.decline(alert, nurse)
    assert town.alerts.offer(alert, giver, "staff:nurse1")
    assert town.alerts.withdraw(alert, giver)
    view = now_of(town, alert)
    assert (view.acknowledged_by, view.offered_to) == ("hr11", "")
    with pytest.raises(NotYours):
        town.alerts.decline(alert, nurse)
    same_again(town)


def test_only_who_could_be_told_anyway_can_be_asked_about_a_call_for_help(town: Town) -> None:
    """A child that chose the nurse does not have its homeroom teacher told by a colleague."""
    town.asks("kid1", whom=("nurse",))
    town.work()
    [view] = town.alerts.of_student("kid1")
    town.alerts.acknowledge(view.id, principal("nurse1"), "portal")
    asked = {one.duty for one in town.alerts.candidates(principal("nurse1"), view.id)}
    assert asked == {"management"}  # the board learns counts, not calls
    for nobody in ("duty:homeroom", "staff:hr11", "duty:nurse", "staff:nurse2", "hr11", "duty:"):
        with pytest.raises(ValueError, match="can be asked"):
            town.alerts.offer(view.id, principal("nurse1"), nobody)
    with pytest.raises(NotYours):
        town.alerts.candidates(principal("hr11"), view.id)


def test_who_is_asked_gets_a_message_of_its_own_while_it_makes_sense(
    town: Town, alert: str
) -> None:
    giver = principal("hr11")
    town.alerts.acknowledge(alert, giver, "portal")
    town.alerts.offer(alert, giver, "duty:management")

    def offered() -> Owed:
        with town.log.database.reading() as conn:
            owed = due(conn, ["slack"], Clock().now(), limit=50)
        [one] = [one for one in owed if one.purpose == "offered"]
        return one

    message = Writer("https://portal.example", names_class=False).of([offered()])
    assert (message.title, message.waiting) == ("相談 1件:引き継ぎのお願い", ())
    assert message.link == f"https://portal.example/portal/alerts/{alert}"
    assert not offered().unneeded
    town.alerts.undo(alert, giver)
    assert offered().unneeded  # it is open, and everybody has been told


def test_who_has_it_not_cannot_offer_it(town: Town, alert: str) -> None:
    assert not town.alerts.offer(alert, principal("hr11"), "duty:nurse")  # nobody has it
    town.alerts.acknowledge(alert, principal("nurse1"), "portal")
    assert not town.alerts.offer(alert, principal("hr11"), "duty:management")
    assert told(town, "offered") == []


# -- not now -------------------------------------------------------------------------------------


def test_a_snooze_has_a_reason_and_an_end_and_wakes_by_itself(
    town: Town, soft: str, clock: MovableClock
) -> None:
    until = clock.now() + 3 * HOUR
    assert town.alerts.snooze(soft, principal("hr12"), until, "absent")
    view = now_of(town, soft)
    assert (view.state, view.due_at, view.snoozed_by) == ("snoozed", until, "hr12")
    clock.move_by(3 * HOUR - timedelta(seconds=1))
    assert town.alerts.escalate_due() == 0
    clock.move_by(timedelta(seconds=1))
    assert town.alerts.escalate_due() == 1
    view = now_of(town, soft)
    assert (view.state, view.step, view.due_at) == ("open", 0, clock.now() + 2 * HOUR)
    assert told(town) == ["C-c12", "C-nurse1"]
    clock.move_by(2 * HOUR)
    assert town.alerts.escalate_due() == 1  # and from there on as ever
    assert now_of(town, soft).step == 1
    same_again(town)


def test_what_is_put_off_can_be_taken_on_at_any_time(town: Town, soft: str) -> None:
    until = town.log.clock.now() + HOUR
    town.alerts.snooze(soft, principal("hr12"), until, "appointment")
    assert town.alerts.acknowledge(soft, principal("nurse1"), "portal")
    view = now_of(town, soft)
    assert (view.state, view.snoozed_by, view.snooze_reason) == ("acknowledged", "", "")
    assert not town.alerts.snooze(soft, principal("hr12"), until, "absent")  # not theirs
    assert town.alerts.snooze(soft, principal("nurse1"), until, "absent")
    same_again(town)


@pytest.mark.parametrize(
    ("hours", "reason", "why"),
    [(1, "because", "reason"), (0, "absent", "past"), (24 * 7 + 1, "absent", "too_long")],
)
def test_a_snooze_the_playbook_does_not_allow(
    town: Town, soft: str, hours: int, reason: str, why: str
) -> None:
    with pytest.raises(SnoozeRefused) as refused:
        town.alerts.snooze(soft, principal("hr12"), town.log.clock.now() + hours * HOUR, reason)
    assert refused.value.why == why
    assert now_of(town, soft).state == "open"


def test_a_call_for_help_is_not_put_off(town: Town, alert: str) -> None:
    with pytest.raises(SnoozeRefused) as refused:
        town.alerts.snooze(alert, principal("hr11"), town.log.clock.now() + HOUR, "absent")
    assert refused.value.why == "urgent"


def test_while_one_is_put_off_another_call_rings(town: Town, soft: str) -> None:
    """Twenty calls and one more: the last joins only what somebody looks at now."""
    for _ in range(20):
        town.asks("kid1")
    town.work()
    with town.log.database.writing() as conn:
        conn.execute(update(alerts).where(alerts.c.student == "kid1").values(state="snoozed"))
    town.asks("kid1")
    town.work()
    assert [v.state for v in town.alerts.of_student("kid1")].count("open") == 1


# -- handled, closed, opened again -------------------------------------------------------------


def test_nothing_but_a_record_leads_to_closed(town: Town, alert: str) -> None:
    assert not town.alerts.close(alert, principal("hr11"))
    town.alerts.acknowledge(alert, principal("hr11"), "portal")
    assert not town.alerts.close(alert, principal("hr11"))
    record(town, alert)
    assert town.alerts.close(alert, principal("hr11"))
    assert not town.alerts.close(alert, principal("hr11"))
    assert town.alerts.inbox(principal("hr11")) == []
    assert [v.state for v in town.alerts.inbox(principal("hr11"), include_done=True)] == ["closed"]
    same_again(town)


@pytest.mark.parametrize("state", [states.OPEN, states.ACKNOWLEDGED, states.SNOOZED])
def test_the_table_has_no_way_from_an_unhandled_state_to_closed(state: str) -> None:
    row = {"id": "a", "student": "kid1", "state": state, "version": 1}
    closed = AlertClosed(alert_id="a", at=datetime.fromisoformat("2026-05-11T00:00:00+00:00"))
    with pytest.raises(states.NotAllowed):
        states.changes(row, "system:alerts", closed)


@pytest.mark.parametrize("closed", [True, False])
def test_opened_again_those_first_told_are_told_again(
    town: Town, alert: str, clock: MovableClock, closed: bool
) -> None:
    assert not town.alerts.reopen(alert, principal("hr11"))
    record(town, alert)
    if closed:
        town.alerts.close(alert, principal("hr11"))
    clock.move_by(3 * DAY)
    assert town.alerts.reopen(alert, principal("hr11"))
    view = now_of(town, alert)
    assert (view.state, view.step, view.due_at) == ("open", 0, clock.now() + timedelta(minutes=10))
    assert (view.handled_at, view.closed_at, view.acknowledged_by) == (None, None, "")
    assert told(town) == ["C-c11", "C-nurse1"]
    record(town, alert, "nurse1")
    assert now_of(town, alert).state == "handled"
    same_again(town)


# -- delivered, seen, history ------------------------------------------------------------------


def test_delivered_and_seen_are_noted_once(town: Town, alert: str, clock: MovableClock) -> None:
    town.alerts.escalate_due()
    assert now_of(town, alert).delivered_at is None
    with town.log.database.writing() as conn:
        conn.execute(
            update(deliveries)
            .where(deliveries.c.address == "C-c11")
            .values(state="sent", sent_at=clock.now())
        )
    town.alerts.escalate_due()
    town.alerts.shown([alert, "no-such-alert"], principal("hr11"))
    for who in ("nurse1", "hr11"):
        town.alerts.seen(alert, principal(who))
    view = now_of(town, alert)
    assert (view.delivered_via, view.seen_by, view.version) == ("slack", "nurse1", 0)
    assert [what for what, _ in steps(town, alert)] == ["raised", "delivered", "seen"]
    assert town.alerts.acknowledge(alert, principal("hr11"), "portal")  # no version was lost
    same_again(town)


def test_an_open_page_counts_as_delivered(town: Town, alert: str) -> None:
    town.alerts.shown([alert], principal("hr11"))
    assert now_of(town, alert).delivered_via == "portal"
    same_again(town)


def test_the_history_tells_every_step_with_its_author(
    town: Town, alert: str, clock: MovableClock
) -> None:
    town.asks("kid1")  # another alert of the same child, which is not in it
    town.work()
    town.alerts.acknowledge(alert, principal("hr11"), "slack")
    town.alerts.offer(alert, principal("hr11"), "staff:nurse1")
    town.alerts.accept(alert, principal("nurse1"), "portal")
    clock.move_by(HOUR)
    record(town, alert, "nurse1")
    town.alerts.close(alert, principal("hr11"))
    town.alerts.reopen(alert, principal("nurse1"))
    assert steps(town, alert) == [
        ("raised", "system:alerts"),
        ("acknowledged", "hr11"),
        ("offered", "hr11"),
        ("taken_over", "nurse1"),
        ("handled", "nurse1"),
        ("closed", "hr11"),
        ("reopened", "nurse1"),
    ]
    with pytest.raises(NotYours):
        town.alerts.history(principal("hr12"), alert)


def test_what_people_do_is_on_the_trail(town: Town, alert: str, soft: str) -> None:
    hr11, nurse = principal("hr11"), principal("nurse1")
    town.alerts.acknowledge(alert, hr11, "portal")
    town.alerts.offer(alert, hr11, "staff:nurse1")
    town.alerts.decline(alert, nurse)
    town.alerts.offer(alert, hr11, "staff:nurse1")
    town.alerts.withdraw(alert, hr11)
    town.alerts.undo(alert, hr11)
    town.alerts.take_over(alert, nurse, "portal")
    record(town, alert)
    town.alerts.close(alert, hr11)
    town.alerts.reopen(alert, hr11)
    town.alerts.snooze(soft, principal("hr12"), town.log.clock.now() + HOUR, "family")
    with town.log.database.reading() as conn:
        found = conn.execute(select(audit.c.actor, audit.c.action).order_by(audit.c.seq)).all()
    assert [tuple(row) for row in found] == [
        ("hr11", "take_on"),
        ("hr11", "offer_alert"),
        ("nurse1", "offer_declined"),
        ("hr11", "offer_alert"),
        ("hr11", "offer_withdrawn"),
        ("hr11", "put_back"),
        ("nurse1", "take_over"),
        ("hr11", "close_alert"),
        ("hr11", "reopen"),
        ("hr12", "snooze"),
    ]


# -- at once ---------------------------------------------------------------------------------------


def test_undone_taken_over_recorded_and_escalated_at_once_one_after_the_other(
    town: Town, clock: MovableClock
) -> None:
    """Whatever order they come in, the row is what the events say."""
    for _ in range(6):
        town.asks("kid1")
    town.work()
    ids = [view.id for view in town.alerts.of_student("kid1")]
    for alert in ids:
        town.alerts.acknowledge(alert, principal("hr11"), "portal")
    clock.move_by(timedelta(minutes=5))
    gate = threading.Barrier(4)
    broken: list[Exception] = []

    def reach(act: object) -> None:
        gate.wait()
        try:
            for alert in ids:
                act(alert)  # type: ignore[operator]
        except Exception as error:
            broken.append(error)

    acts = (
        lambda alert: town.alerts.undo(alert, principal("hr11")),
        lambda alert: town.alerts.take_over(alert, principal("nurse1"), "portal"),
        lambda alert: record(town, alert, "nurse1"),
        lambda _: town.alerts.escalate_due(),
    )
    hands = [threading.Thread(target=reach, args=(act,)) for act in acts]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert broken == []
    assert {view.state for view in town.alerts.of_student("kid1")} == {"handled"}
    same_again(town)


def test_an_event_nobody_could_have_written_is_named_and_passed_over(
    town: Town, alert: str
) -> None:
    body = AlertClosed(alert_id=alert, at=town.log.clock.now())
    stray = AlertClosed(alert_id="never-raised", at=town.log.clock.now())
    with town.log.unit_of_work() as unit:
        for one in (body, stray):
            unit.append(
                NewEvent(
                    id=derived_id("forged", one.alert_id), board=BOARD, student="kid1",
                    on=town.log.clock.today(), actor="somebody", body=one,
                )
            )  # fmt: skip
    assert rebuild.differences(town.log, BOARD) == []
    assert now_of(town, alert).state == "open"


def test_a_boards_trouble_does_not_keep_anothers_alert_asleep(
    town: Town, soft: str, clock: MovableClock
) -> None:
    town.alerts.snooze(soft, principal("hr12"), clock.now() + HOUR, "absent")
    [row] = make.rows(town.log.database, alerts)
    with town.log.database.writing() as conn:
        conn.execute(insert(alerts).values(**{**row._mapping, "id": "lost", "board": "lost"}))
        assert conn.execute(select(roster.boards.c.id)).scalars().all() == [BOARD]
    clock.move_by(HOUR)
    assert town.alerts.escalate_due() == 1
    assert now_of(town, soft).state == "open"
