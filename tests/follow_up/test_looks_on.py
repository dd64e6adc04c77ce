"""On what another division may look, how far the giving side shares: recorded and held to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import make
from tests.follow_up.staged import playbook, work_by
from tests.follow_up.test_meetings import OFFICER, person
from tests.teacher_portal.school import School
from warning_service.access.roles import Role
from warning_service.events.types import NewEvent, ObservationRecorded, new_id
from warning_service.follow_up import rebuild
from warning_service.follow_up.hand_over import LooksOn, NotHandedOver
from warning_service.follow_up.tables import cases
from warning_service.playbooks.model import Playbook
from warning_service.playbooks.sharing import Side, on_offer, shown_to

HEAD = person(Role.MANAGEMENT, make.SCHOOL)
BASES = [
    {"id": "consent", "label": "保護者の同意", "label_en": "Consent", "consent": True},
    {"id": "ordinance", "label": "子ども条例", "label_en": "Ordinance"},
]


def without_lists(**sharing: Any) -> Playbook:
    """A board that makes no lists and asks for a ground before another division looks."""
    whole = playbook().model_dump()
    return playbook(
        review={"of": "cases", "duties": ["welfare"]}, meetings=(),
        judgement={"method": "none"},
        list={**whole["list"], "cadence": "none", "budget_share": None},
        sharing={"bases": BASES, "item_by_item": True, **sharing},
    )  # fmt: skip


@pytest.fixture
def asking(school: School) -> School:
    work_by(school, without_lists())
    return school


def test_a_consent_or_an_ordinance_comes_before_the_look(asking: School) -> None:
    student, other, helped = asking.children["sakura-1"][:3]
    give, today = asking.rooms.follow_ups.hand_overs.give, asking.rooms.clock.today()
    for on, why in (
        (None, "basis"), (LooksOn(basis="because"), "basis"),
        (LooksOn(basis="consent"), "consent"),
        (LooksOn(basis="consent", consent_on=today + timedelta(days=1)), "consent"),
        (LooksOn(basis="ordinance", items=("public_assistance",)), "items"),
    ):  # fmt: skip
        with pytest.raises(NotHandedOver) as refused:
            give(HEAD, student, "support", "理由", on)
        assert refused.value.why == why
    assert make.rows(asking.rooms.database, cases) == []
    give(HEAD, student, "support", "理由", LooksOn(basis="consent", consent_on=today))
    chosen = LooksOn(basis="ordinance", consent_on=today, items=("nurse_visits", "absent_days"))
    give(HEAD, other, "support", "理由", chosen)
    give(HEAD, helped, "help", "理由")  # for its safety the law itself is the ground
    rows = {row.student: row for row in make.rows(asking.rooms.database, cases)}
    assert (rows[student].basis, rows[student].consent_on) == ("consent", today)
    assert (rows[other].basis, rows[other].consent_on) == ("ordinance", None)
    assert rows[student].items == "" and rows[helped].basis == ""
    assert rows[other].items == "absent_days,nurse_visits"  # in the playbook's order
    assert rebuild.differences(asking.rooms.log, make.BOARD) == []


def test_only_what_was_chosen_is_seen(asking: School) -> None:
    from teacher_portal.queries import observations

    student, other = asking.children["sakura-1"][:2]
    log, today = asking.rooms.log, asking.rooms.clock.today()
    for child in (student, other):
        for item in ("absent_days", "nurse_visits", "public_assistance"):
            make.append(
                log,
                NewEvent(
                    id=new_id(), board=make.BOARD, student=child, on=today, actor="t",
                    body=ObservationRecorded(item=item, value=1.0, source="t"),
                ),
            )  # fmt: skip
    give = asking.rooms.follow_ups.hand_overs.give
    case = give(HEAD, student, "support", "理", LooksOn(basis="ordinance", items=("absent_days",)))
    give(HEAD, other, "support", "理", LooksOn(basis="ordinance"))
    board = asking.rooms.playbooks.of(make.BOARD)

    def seen(child: str) -> set[str]:
        with asking.rooms.database.reading() as conn:
            found = observations(conn, board, child, today, Side.WELFARE)
        return {fact.item.id for fact in found.shown}

    assert seen(student) == {"absent_days", "public_assistance"}
    assert seen(other) == {"public_assistance"}
    asking.rooms.follow_ups.hand_overs.give_back(OFFICER, case)
    assert seen(student) == {"public_assistance"}


def test_what_can_be_chosen_is_what_the_school_sees_itself() -> None:
    board = without_lists(welfare_sees=["nurse_visits"])
    offered = {item.id for item in on_offer(board)}
    assert "absent_days" in offered and "public_assistance" not in offered
    assert not any(item.startswith("q.") for item in offered)
    known = board.catalogue_items()
    # Item by item means that nothing is open for every case.
    assert shown_to(Side.WELFARE, known["nurse_visits"], board) != "value"
    assert shown_to(Side.WELFARE, known["nurse_visits"], board, ["nurse_visits"]) == "value"
