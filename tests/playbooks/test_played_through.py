"""Each of the twenty played once through the real service: log, schedule, judge, meeting, record.

A small town on SQLite. What is published is held against what the rule lists on the same town's
arrays, where test_schools.py and test_welfare.py hold the rule itself against plain Python.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec
import numpy as np
import pytest

from tests import make
from tests.playbooks.city import CATALOGUE
from tests.playbooks.seen import SIZES
from tests.playbooks.small import SCHOOLS, Small, build
from warning_service.access.principals import Principal
from warning_service.clock import MovableClock, at
from warning_service.events.log import read
from warning_service.events.types import FollowUpRecorded, ListDue, ReviewDecided
from warning_service.follow_up.hand_over import LooksOn, NotHandedOver
from warning_service.follow_up.meetings import CASES
from warning_service.follow_up.tables import follow_ups, reviews
from warning_service.judging.picking.arrays import choose
from warning_service.judging.setup import from_playbook
from warning_service.judging.tables import list_entries, warning_lists
from warning_service.playbooks.meetings import Meeting, Review
from warning_service.playbooks.sharing import on_offer
from warning_service.rooms import Rooms
from warning_service.schedule import Schedule

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

OF_THE_BOARD = ("board_guidance", "welfare")
HELD_THERE = [one for one, held in CATALOGUE.items() if held["department"] != "school"]


def published(small: Small) -> dict[str, list[Any]]:
    """The entries of each school's list, in their places."""
    lists = {row.id: row for row in make.rows(small.rooms.database, warning_lists)}
    found: dict[str, list[Any]] = {row.school: [] for row in lists.values()}
    for entry in sorted(make.rows(small.rooms.database, list_entries), key=lambda e: e.place):
        found[lists[entry.list_id].school].append(entry)
    return found


def by_the_rule(small: Small) -> dict[str, list[str]]:
    """Whom the rule lists on the arrays, by school."""
    city = small.grown.city
    assert city.schools is not None
    found: dict[str, list[str]] = {}
    for rows, chosen in choose(from_playbook(small.book), city):
        for row in rows[chosen.rows].tolist():
            found.setdefault(SCHOOLS[int(city.schools[row])], []).append(small.keys[row])
    return found


def chair(small: Small, sitting: Review | Meeting, school: str) -> Principal:
    """Somebody with a seat in the meeting: at the child's school, else at the board."""
    own = [duty for duty in sitting.duties if duty not in OF_THE_BOARD]
    return small.who(own[0], school) if own else small.who(sitting.duties[-1], make.BOARD)


def decided(small: Small, student: str, list_id: str) -> list[tuple[str, str]]:
    """Every meeting of the playbook decides on the child; (scheme, class) in their order."""
    made: list[tuple[str, str]] = []
    for sitting in small.book.sittings:
        later = [m.takes[0] for m in small.book.meetings if m.after == sitting.id]
        chosen = (later or list(sitting.supports))[0]
        directions = [one.id for one in sitting.directions[:2]]
        who = chair(small, sitting, small.school_of(student))
        small.rooms.follow_ups.review(who, list_id, student, chosen, directions, meeting=sitting.id)
        made.append((sitting.scheme, chosen))
    return made


@pytest.mark.parametrize("playbook", SIZES)
def test_a_playbook_is_played_through(playbook: str, rooms: Rooms, clock: MovableClock) -> None:
    small = build(playbook, rooms, clock)
    schedule = Schedule(rooms)
    schedule.run_due()
    clock.move_to(at(small.day, small.book.list.hour))
    schedule.run_due()
    small.judge()
    with rooms.database.reading() as conn:
        due = [e for e in read(conn, make.BOARD, 0, 100_000) if isinstance(e.body, ListDue)]
    if small.book.list.cadence == "none":
        assert not due and not published(small), "nobody is scored"
        student, list_id = small.keys[-1], CASES
        _handed_over(small, student)
    else:
        assert due[-1].on == small.day
        student, list_id = _listed_as_the_rule_says(small)
    made = decided(small, student, list_id)
    kept = {(row.scheme, row.chosen): row for row in make.rows(rooms.database, reviews)}
    assert sorted(kept) == sorted(made)
    assert all(scheme.startswith(f"{playbook}.") for scheme, _ in made)
    _recorded(small, student)
    with rooms.database.reading() as conn:
        told = [e.body for e in read(conn, make.BOARD, 0, 100_000) if e.student == student]
    assert [(b.scheme, b.chosen) for b in told if isinstance(b, ReviewDecided)] == made
    assert isinstance(told[-1], FollowUpRecorded)


def test_a_conference_of_divisions_reads_the_items_behind_a_likeness(
    rooms: Rooms, clock: MovableClock
) -> None:
    """Fukuoka's three divisions hold them; at a school they are one line, "other departments"."""
    small = build("fukuoka", rooms, clock)
    schedule = Schedule(rooms)
    schedule.run_due()
    clock.move_to(at(small.day, small.book.list.hour))
    schedule.run_due()
    small.judge()
    entries = [entry for held in published(small).values() for entry in held]
    named = set()
    for entry in entries:
        words = json.loads(entry.evidence)
        for line in words["welfare"]["raising"]:
            named.add(line["item"])
        assert not {line["item"] for line in words["raising"]} & set(HELD_THERE)
    assert entries and named & set(HELD_THERE)
    assert named & set(small.book.sharing.welfare_sees), "check-ups and home visits, too"


def test_whom_a_conference_has_judged_comes_later_next_month(
    rooms: Rooms, clock: MovableClock
) -> None:
    small = build("kaisei", rooms, clock)
    schedule = Schedule(rooms)
    for day in (small.day, date(2026, 7, 1)):
        schedule.run_due()
        clock.move_to(at(day, 7))
        schedule.run_due()
        small.judge()
        if day == small.day:
            student, list_id = _listed_as_the_rule_says(small)
            who = chair(small, small.book.review, small.school_of(student))
            rooms.follow_ups.review(who, list_id, student, "3")  # no need, says the conference
    lists = {row.id: row.list_date for row in make.rows(rooms.database, warning_lists)}
    second = {
        entry.student
        for entry in make.rows(rooms.database, list_entries)
        if lists[entry.list_id] == date(2026, 7, 1)
    }
    city = replace(small.grown.city, day=small.grown.city.day + 30)
    decided = np.zeros(city.children, dtype=np.int64)
    decided[small.keys.index(student)] = small.grown.city.day
    later = replace(small, grown=replace(small.grown, city=replace(city, judged_on=decided)))
    without = replace(small, grown=replace(small.grown, city=city))
    assert {one for mine in by_the_rule(later).values() for one in mine} == second
    assert student in {one for mine in by_the_rule(without).values() for one in mine} - second


def _listed_as_the_rule_says(small: Small) -> tuple[str, str]:
    """Holds the published lists against the rule; gives a listed child and its list."""
    rule, lists = by_the_rule(small), published(small)
    newest = {
        row.school: row.id
        for row in make.rows(small.rooms.database, warning_lists)
        if row.list_date == small.day
    }
    mine = {
        school: [e.student for e in entries if e.list_id == newest[school]]
        for school, entries in lists.items()
    }
    assert {school: sorted(found) for school, found in mine.items() if found} == {
        school: sorted(found) for school, found in rule.items()
    }
    entries = [e for es in lists.values() for e in es if e.list_id in newest.values()]
    assert entries, "a town in which nobody is listed shows nothing"
    for entry in entries:
        words = json.loads(entry.evidence)
        assert words["playbook"].startswith(f"{small.book.id}:{small.book.version}:")
        assert words["judge"] == "rules"
        assert ("held" in words) == (small.book.judgement.method in ("points", "count"))
        if "held" in words:
            parts = (*words["held"].values(), words.get("sibling_points", 0.0))
            assert sum(parts) == pytest.approx(words["mark"]), "two parts, and a sibling's"
        if small.book.bands is not None:
            scheme, _, level = entry.level.partition(":")
            assert scheme == small.book.bands.scheme
            assert level in {band.id for band in small.book.bands.levels}
    return entries[0].student, entries[0].list_id


def _handed_over(small: Small, student: str) -> None:
    """The school gives the case to the welfare office, on the ground the playbook asks for."""
    who, give = (
        small.who("guidance", small.school_of(student)),
        small.rooms.follow_ups.hand_overs.give,
    )
    on = LooksOn()
    if small.book.sharing.bases:
        with pytest.raises(NotHandedOver):
            give(who, student, "support", "相談したい")
        basis = small.book.sharing.bases[0]
        on = LooksOn(basis=basis.id, consent_on=small.day if basis.consent else None)
    if small.book.sharing.item_by_item:
        on = msgspec.structs.replace(on, items=(on_offer(small.book)[0].id,))
    give(who, student, "support", "相談したい", on)


def _recorded(small: Small, student: str) -> None:
    """What was done then is recorded, in the playbook's own words, and counts as support."""
    if small.book.list.cadence == "none":
        who = small.who("welfare", make.BOARD)
    else:
        who = small.who("management", small.school_of(student))
    action, change = small.book.follow_up.support_actions[0], small.book.follow_up.better[0]
    small.rooms.follow_ups.record(who, student, action, change)
    [row] = make.rows(small.rooms.database, follow_ups)
    assert (row.student, row.action, row.change) == (student, action, change)
