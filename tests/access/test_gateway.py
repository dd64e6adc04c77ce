"""The gateway: names only in scope, every look on the trail, and a trail that cannot be bent."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests import make
from warning_service.access.gateway import Gateway, NotYours
from warning_service.access.principals import Principal, duty_at
from warning_service.access.roles import Ability, Role
from warning_service.access.tables import audit as trail
from warning_service.access.trail.audit import Trail, TrailKeys
from warning_service.database import StorageUnavailable
from warning_service.events.log import Log
from warning_service.follow_up.circles import FollowUpCircles
from warning_service.playbooks.service import Playbooks
from warning_service.roster import service
from warning_service.settings import Settings


def who(*duties: tuple[Role, str], key: str = "staff-1") -> Principal:
    return Principal(
        kind="staff", key=key, board=make.BOARD, csrf="c",
        duties=tuple(duty_at(role, place) for role, place in duties),
    )  # fmt: skip


@pytest.fixture
def keys(settings: Settings) -> TrailKeys:
    return TrailKeys(settings)


@pytest.fixture
def gateway(log: Log, keys: TrailKeys, tmp_path: Path) -> Gateway:
    circles = FollowUpCircles(Playbooks(log.database, tmp_path), log.clock)
    return Gateway(log.database, log.clock, circles, Trail(log.database, log.clock, keys))


def test_a_homeroom_teacher_sees_the_own_class_only(log: Log, gateway: Gateway) -> None:
    own, other = make.places(log.database, classes=2)
    mine, theirs = make.children(log, own, 2), make.children(log, other, 2)
    teacher = who((Role.HOMEROOM, own))
    assert {
        c.student for c in gateway.class_roll(teacher, own, using=Ability.SEE_STUDENT, why="class")
    } == set(mine)
    assert gateway.child(teacher, mine[0], using=Ability.SEE_STUDENT, why="page").class_id == own
    for ask in (
        lambda: gateway.child(teacher, theirs[0], using=Ability.SEE_STUDENT, why="page"),
        lambda: gateway.class_roll(teacher, other, using=Ability.SEE_STUDENT, why="class"),
        lambda: gateway.child(teacher, "no such child", using=Ability.SEE_STUDENT, why="page"),
    ):
        with pytest.raises(NotYours):
            ask()
    assert gateway.children(
        teacher, [*mine, *theirs], using=Ability.SEE_STUDENT, why="list"
    ).keys() == set(mine)


def test_the_whole_school_role_ends_at_the_school(log: Log, gateway: Gateway) -> None:
    here, there = make.places(log.database, schools=2)
    mine, theirs = make.children(log, here, 1), make.children(log, there, 1)
    nurse = who((Role.NURSE, make.SCHOOL))
    assert gateway.child(nurse, mine[0], using=Ability.SEE_STUDENT, why="page").name == "兆 児1"
    with pytest.raises(NotYours):
        gateway.child(nurse, theirs[0], using=Ability.SEE_STUDENT, why="page")


@pytest.mark.parametrize("role", [Role.BOARD, Role.OPERATOR])
def test_boards_and_operators_see_no_child(log: Log, gateway: Gateway, role: Role) -> None:
    room = make.places(log.database)[0]
    keys = make.children(log, room, 1)
    with pytest.raises(NotYours):
        gateway.child(who((role, make.BOARD)), keys[0], using=Ability.SEE_STUDENT, why="page")


def test_who_has_left_the_class_is_no_longer_seen(log: Log, gateway: Gateway) -> None:
    room = make.places(log.database)[0]
    keys = make.children(log, room, 1)
    teacher = who((Role.HOMEROOM, room))
    gateway.child(teacher, keys[0], using=Ability.SEE_STUDENT, why="page")
    with log.unit_of_work() as unit:
        service.end_enrolment(
            unit, board=make.BOARD, student=keys[0], class_id=room, on=date(2026, 5, 1), actor="t"
        )
    with pytest.raises(NotYours):
        gateway.child(teacher, keys[0], using=Ability.SEE_STUDENT, why="page")


def test_every_look_and_every_refusal_is_on_the_trail(log: Log, gateway: Gateway) -> None:
    own, other = make.places(log.database, classes=2)
    mine, theirs = make.children(log, own, 1), make.children(log, other, 1)
    teacher = who((Role.HOMEROOM, own))
    gateway.child(teacher, mine[0], using=Ability.SEE_STUDENT, why="page")
    with pytest.raises(NotYours):
        gateway.child(teacher, theirs[0], using=Ability.SEE_STUDENT, why="page")
    found = [(r.actor, r.action, r.subject) for r in make.rows(log.database, trail)]
    assert found == [("staff-1", "page", mine[0]), ("staff-1", "refused:page", theirs[0])]


def test_when_the_look_cannot_be_recorded_nothing_is_shown(log: Log, gateway: Gateway) -> None:
    room = make.places(log.database)[0]
    keys = make.children(log, room, 1)
    with log.database.writing() as conn:
        conn.execute(text("ALTER TABLE audit RENAME TO audit_away"))
    with pytest.raises((StorageUnavailable, DBAPIError)):
        gateway.child(
            who((Role.NURSE, make.SCHOOL)), keys[0], using=Ability.SEE_STUDENT, why="page"
        )


def test_only_a_child_has_an_own_name_and_it_leaves_no_trail(log: Log, gateway: Gateway) -> None:
    room = make.places(log.database)[0]
    [key] = make.children(log, room, 1)
    child = Principal(kind="child", key=key, board=make.BOARD, csrf="c", duties=())
    own = gateway.own_name(child)
    assert own is not None
    assert (own.student, own.class_id) == (key, room)
    with pytest.raises(NotYours):
        gateway.own_name(who((Role.HOMEROOM, room), key=key))
    assert make.rows(log.database, trail) == []


def test_colleagues_names_are_the_boards_and_no_childs(log: Log, gateway: Gateway) -> None:
    room = make.places(log.database)[0]
    key = make.staff(log.database, "sato", ("homeroom", room))
    asker = who((Role.HOMEROOM, room))
    assert gateway.staff_names(asker, [key, "unknown"]) == {key: "先生 sato"}
    assert gateway.staff_names(asker, []) == {}
    child = Principal(kind="child", key="kid", board=make.BOARD, csrf="c", duties=())
    assert gateway.staff_names(child, [key]) == {}
    elsewhere = Principal(
        kind="staff", key="x", board="other", csrf="c", duties=(duty_at(Role.HOMEROOM, room),)
    )
    assert gateway.staff_names(elsewhere, [key]) == {}


def test_places_of_the_asker_are_this_years_and_through_a_class_its_school(
    log: Log, gateway: Gateway
) -> None:
    assert gateway.classes_of(who((Role.NURSE, make.SCHOOL)), using=Ability.SEE_STUDENT) == []
    rooms = make.places(log.database, schools=2, classes=2)
    nurse, teacher = who((Role.NURSE, make.SCHOOL)), who((Role.HOMEROOM, rooms[-1]))
    ids = [row.id for row in gateway.classes_of(nurse, using=Ability.SEE_STUDENT)]
    assert ids == [f"{make.SCHOOL}-1", f"{make.SCHOOL}-2"]
    schools = gateway.schools_of(teacher, using=Ability.SEE_STUDENT)
    assert [row.id for row in schools] == ["school2"]
