"""Traits as groups by random key, for a fairness report only; siblings by a word and no number."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, update

from tests import make
from warning_service.access.roles import Ability, Role
from warning_service.access.tables import audit
from warning_service.access.traits import Traits, recorded_items
from warning_service.catalogue.traits import OTHERWISE, all_traits
from warning_service.events.types import NewEvent, ObservationRecorded, UseStopped, new_id
from warning_service.rooms import Rooms
from warning_service.roster import service
from warning_service.roster import tables as t


def test_children_are_told_apart_by_key_and_the_look_is_on_the_trail(rooms: Rooms) -> None:
    room = make.places(rooms.database)[0]
    keys = make.children(rooms.log, room, 6)
    with rooms.database.writing() as conn:
        for key, sex, home in zip(keys, ("男", "female", "", "", "", ""), "AAB   ", strict=True):
            conn.execute(
                update(t.students)
                .where(t.students.c.student == key)
                .values(sex=sex, household=home.strip())
            )
        # A name that was taken away leaves the place on the roll.
        conn.execute(delete(t.students).where(t.students.c.student == keys[4]))
    today = rooms.clock.today()
    [item, *_] = recorded_items()
    facts = [(keys[0], 1.0, 9), (keys[1], 1.0, 9), (keys[1], 0.0, 3), (keys[3], 1.0, 9)]
    make.append(
        rooms.log,
        *(
            NewEvent(
                id=new_id(), board=make.BOARD, student=key, on=today - timedelta(days=ago),
                actor="x", body=ObservationRecorded(item=item, value=value, source="x"),
            )
            for key, value, ago in facts
        ),
        NewEvent(
            id=new_id(), board=make.BOARD, student=keys[3], on=today, actor="x",
            body=UseStopped(request="r", items=(item,)),
        ),
    )  # fmt: skip
    service.set_opt_out(rooms.log, board=make.BOARD, student=keys[5], refused=True, actor="x")
    make.staff(rooms.database, "office", ("board", make.BOARD))
    token = rooms.staff_door.sign_in("office", make.PASSWORD, "test")
    assert token is not None
    who = rooms.sessions.find(token)
    assert who is not None and who.duties[0].role is Role.BOARD
    traits = Traits(rooms.database, rooms.trail, rooms.evaluation._recorded)
    found = traits.of(who, keys, today, using=Ability.SEE_COUNTS, detail="now")
    assert set(found.stage) == set(keys[:5])
    by_source = {trait.source: found.groups[trait.id] for trait in all_traits()}
    assert by_source["sex"][keys[0]] == "male" and by_source["sex"][keys[1]] == "female"
    assert by_source["sex"][keys[2]] == "not_said"
    siblings = [by_source["siblings"][key] for key in keys[:4]]
    assert siblings == ["with_siblings", "with_siblings", "alone", "not_known"]
    assert set(by_source["school"].values()) == {make.SCHOOL}
    assert set(by_source["grade"]) == set(keys[:5])
    [trait] = [one for one in all_traits() if any(item in g.items for g in one.groups)]
    held = found.groups[trait.id]
    assert held[keys[0]] != OTHERWISE == held[keys[1]] == held[keys[2]]
    assert keys[4] not in {**by_source["sex"], **held}
    assert keys[3] not in held, "the use of the item was stopped"
    assert ("fairness_report", "now") in [
        (row.action, row.detail) for row in make.rows(rooms.database, audit)
    ]
    same = rooms.gateway.households(keys)
    assert same[keys[0]] == same[keys[1]] != same[keys[2]]
    assert set(same.values()) <= set(keys) and keys[3] not in same
