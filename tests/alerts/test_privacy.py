"""Whom a call for help is for: who sees it, who reads it, and that it never fails closed."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, insert, update

from tests.alerts.town import BOARD, SCHOOLS, Town, principal
from warning_service.access.gateway import NotYours
from warning_service.access.principals import Principal, duty_at
from warning_service.access.roles import OFFICES, Ability, Place, Role
from warning_service.alerts.listeners import chosen_duties
from warning_service.alerts.many_calls import MOST_CALLS, WITHIN
from warning_service.alerts.service import AlertView
from warning_service.catalogue.questionnaires import Consultation, consultation
from warning_service.clock import MovableClock
from warning_service.playbooks.model import Listener, Playbook, shipped
from warning_service.roster import tables as t


def called(town: Town, student: str = "kid1", **more: object) -> AlertView:
    source = town.asks(student, **more)  # type: ignore[arg-type]
    town.work()
    found = town.alerts.of_source(source)
    assert found is not None
    return found


def sees(town: Town, staff: str, alert: AlertView) -> bool:
    try:
        town.alerts.one(principal(staff), alert.id)
    except NotYours:
        return False
    return True


def reads(town: Town, staff: str, alert: AlertView) -> bool:
    return town.alerts.may_read(principal(staff), town.alerts.one(principal(staff), alert.id))


def test_a_call_is_for_those_it_chose_and_others_learn_its_number(town: Town) -> None:
    alert = called(town, whom=["nurse"])
    assert (alert.duties, alert.readers) == (("nurse",), ("nurse",))
    assert sees(town, "nurse1", alert) and reads(town, "nurse1", alert)
    for staff in ("hr11", "head1", "nurse2", "board1"):
        assert not sees(town, staff, alert)
        assert town.alerts.inbox(principal(staff)) == []
        assert town.alerts.of_child(principal(staff), "kid1") == []
        assert town.alerts.hidden_from(principal(staff), [alert.id, None]) == {alert.id}
    assert [town.alerts.look(principal(s)).for_others for s in ("hr11", "head1", "nurse2")] == [
        1, 1, 0,
    ]  # fmt: skip
    assert town.alerts.look(principal("nurse1")).for_others == 0
    assert town.alerts.hidden_from(principal("nurse1"), [alert.id]) == set()


def test_who_is_told_later_sees_it_and_does_not_read_it(town: Town, clock: MovableClock) -> None:
    alert = called(town, whom=["nurse"])
    assert alert.due_at is not None
    clock.move_to(alert.due_at)
    assert town.alerts.escalate_due() == 1
    assert town.alerts.one(principal("head1"), alert.id).readers == ("nurse",)
    assert sees(town, "head1", alert) and not reads(town, "head1", alert)
    assert reads(town, "nurse1", alert)
    assert not sees(town, "hr11", alert)


def test_who_took_it_on_keeps_it(town: Town, clock: MovableClock) -> None:
    alert = called(town, whom=["nurse"])
    assert town.alerts.acknowledge(alert.id, principal("hr11"), "slack")
    assert sees(town, "hr11", alert) and not reads(town, "hr11", alert)


def test_life_and_death_is_told_to_the_playbooks_duties_too(town: Town) -> None:
    alert = called(town, whom=["homeroom"], about=["life"])
    assert alert.readers == ("homeroom", "nurse", "management")
    for staff in ("hr11", "nurse1", "head1"):
        assert reads(town, staff, alert)
    assert not sees(town, "hr12", alert)


def test_what_the_child_is_told_beforehand_is_what_happens(town: Town) -> None:
    for student in ("kid1", "kid4"):  # kid4's class and school have a nurse and nobody else
        before = town.alerts.listeners(BOARD, student)
        for whom in (["nurse"], ["homeroom"], ["counsellor"], ["anyone"], ["counsellor", "nurse"]):
            for about in (["friends"], ["life"]):
                alert = called(town, student, whom=whom, about=about)
                assert alert.readers == before.of(whom, about), (student, whom, about)
        assert set(alert.readers) <= set(before.everybody())
    assert town.alerts.listeners(BOARD, "never enrolled").of(["nurse"], []) == ("board",)


def test_while_nobody_holds_a_duty_that_was_told_everybody_around_sees_it(town: Town) -> None:
    alert = called(town, whom=["nurse"])
    with town.log.database.writing() as conn:
        conn.execute(update(t.staff).where(t.staff.c.staff == "nurse1").values(active=False))
    for staff in ("hr11", "head1"):
        assert sees(town, staff, alert) and not reads(town, staff, alert)
    assert not sees(town, "hr12", alert)  # another class: out of reach as ever
    assert town.alerts.look(principal("hr11")).for_others == 0


def test_while_nobody_holds_the_readers_duties_those_told_later_read(
    town: Town, clock: MovableClock
) -> None:
    alert = called(town, whom=["nurse"])
    assert alert.due_at is not None
    clock.move_to(alert.due_at)
    town.alerts.escalate_due()
    with town.log.database.writing() as conn:
        conn.execute(delete(t.duties).where(t.duties.c.staff == "nurse1"))
    assert reads(town, "head1", alert)
    assert not sees(town, "hr11", alert)  # somebody who was told is there: it is theirs


def test_a_duty_elsewhere_or_one_that_hears_no_calls_is_not_being_told(town: Town) -> None:
    alert = called(town, whom=["anyone"])
    with town.log.database.writing() as conn:
        conn.execute(
            insert(t.duties).values(
                staff="hr12", role="management", place=SCHOOLS[1], from_day=town.log.clock.today()
            )
        )
    other = Principal(
        kind="staff", key="x", board=BOARD, csrf="",
        duties=(duty_at(Role.NURSE, SCHOOLS[1]), duty_at(Role.COMMITTEE, SCHOOLS[0])),
    )  # fmt: skip
    with pytest.raises(NotYours):
        town.alerts.one(other, alert.id)
    assert town.alerts.hidden_from(other, [alert.id]) == {alert.id}


def test_answers_are_for_the_whole_reach_as_before(town: Town) -> None:
    town.answers("kid1", vanish=1)
    town.work()
    [alert] = town.alerts.of_student("kid1")
    for staff in ("hr11", "nurse1", "head1"):
        assert sees(town, staff, alert)
    assert town.alerts.hidden_from(principal("hr12"), [alert.id]) == set()  # it is no call


def test_the_twenty_first_call_of_an_hour_joins_an_open_one(
    town: Town, clock: MovableClock
) -> None:
    for _ in range(MOST_CALLS):
        town.asks("kid1", ["nurse"])
    town.work()
    joined = town.asks("kid1", ["nurse"])
    other_reader = town.asks("kid1", ["homeroom"])
    of_life = town.asks("kid1", ["nurse"], about=["life"])
    other_child = town.asks("kid2", ["nurse"])
    town.work()
    assert town.alerts.of_source(joined) is None
    for event in (other_reader, of_life, other_child):
        assert town.alerts.of_source(event) is not None
    clock.move_by(WITHIN)
    late = town.asks("kid1", ["nurse"])  # the hour is over
    town.work()
    assert town.alerts.of_source(late) is not None
    assert len(town.alerts.of_student("kid1")) == MOST_CALLS + 3


def test_a_flood_in_one_batch_rings_twenty_times(town: Town) -> None:
    for _ in range(MOST_CALLS * 3):
        town.asks("kid1", ["nurse"])
    town.work()
    assert len(town.alerts.of_student("kid1")) == MOST_CALLS


def test_the_duties_a_playbook_may_name_are_those_that_can_listen() -> None:
    listening = {
        role.value
        for role, office in OFFICES.items()
        if Ability.SEE_ALERTS in office.abilities and office.place in {Place.CLASS, Place.SCHOOL}
    }
    assert set(Listener.__args__) == listening  # type: ignore[attr-defined]


@pytest.mark.parametrize("bad", [[], ["nurse", "nurse"], ["board"], ["committee"], ["nobody"]])
def test_a_life_or_death_rule_that_tells_nobody_is_refused(bad: list[str]) -> None:
    whole = shipped("nishinomiya").model_dump()
    with pytest.raises(ValueError, match="life_or_death"):
        Playbook.model_validate({**whole, "consultations": {"life_or_death": bad}})


def test_a_playbook_says_who_is_told_of_life_and_death() -> None:
    whole = shipped("nishinomiya").model_dump()
    own = Playbook.model_validate({**whole, "consultations": {"life_or_death": ["counsellor"]}})
    assert chosen_duties(own, ["nurse"], ["life"]) == ("nurse", "counsellor")
    assert chosen_duties(own, ["nurse"], ["friends"]) == ("nurse",)


def test_the_consultation_page_must_offer_life_and_death() -> None:
    whole = consultation().model_dump()
    without = [{**c, "life_or_death": False} for c in whole["about"]]
    with pytest.raises(ValueError, match="life_or_death"):
        Consultation.model_validate({**whole, "about": without})
    wrong = [{**c, "life_or_death": True} for c in whole["whom"]]
    with pytest.raises(ValueError, match="about"):
        Consultation.model_validate({**whole, "whom": wrong})
