"""How right lists were, counted by hand on small towns: by list, child and trait; the missed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from models.shares import Share
from tests import make
from tests.teacher_portal.school import School
from warning_service.access.roles import Ability
from warning_service.access.tables import audit
from warning_service.clock import at
from warning_service.events.types import (
    CheckInSubmitted,
    LogShortened,
    NewEvent,
    ObservationCorrected,
    ObservationRecorded,
    OutcomeRecorded,
    UseStopped,
    new_id,
)
from warning_service.follow_up.evaluating.children import Line, figures, spread, standings
from warning_service.follow_up.evaluating.lists import Ranked, Scored
from warning_service.follow_up.tables import follow_ups
from warning_service.judging.tables import list_scores, warning_lists
from warning_service.keeping.erase import erase
from warning_service.roster.service import set_opt_out

MAY, JUNE, JULY = date(2026, 5, 1), date(2026, 6, 1), date(2026, 7, 1)
LATE = date(2026, 9, 30)  # all three months' lists are settled: 84 days later

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def outcome(student: str, began: date, over: date | None = None) -> NewEvent:
    return NewEvent(
        id=new_id(), board=make.BOARD, student=student, on=began, actor="system:test",
        body=OutcomeRecorded(outcome="futoko", known_on=began, over_on=over),
    )  # fmt: skip


def fact(student: str, item: str, on: date, value: float = 1.0) -> NewEvent:
    return NewEvent(
        id=new_id(), board=make.BOARD, student=student, on=on, actor="system:test",
        body=ObservationRecorded(item=item, value=value, source="test"),
    )  # fmt: skip


def supported(school: School, student: str, on: date, *, action: str = "talked") -> None:
    with school.rooms.database.writing() as conn:
        conn.execute(
            insert(follow_ups).values(
                id=new_id(), board=make.BOARD, school="sakura", student=student, action=action,
                change="better", author="staff-nurse", at=at(on, 10),
            )
        )  # fmt: skip


def move(school: School, day: date) -> None:
    school.rooms.clock.move_to(at(day, 9))  # type: ignore[attr-defined]


@pytest.fixture
def three_months(school: School) -> School:
    """Three lists of sakura (12 children ranked); what came of the children is in the log."""
    one, two = school.children["sakura-1"], school.children["sakura-2"]
    ranked = [*one, *two]
    school.warning_list([one[0], one[1]], on=MAY, ranked=ranked)
    school.warning_list([one[0], two[0]], on=JUNE, ranked=ranked)
    school.warning_list([one[1], two[1]], on=JULY, ranked=ranked)
    make.append(
        school.rooms.log,
        outcome(one[0], date(2026, 6, 10)),  # on the lists of May and June: 40 days ahead
        outcome(two[2], date(2026, 6, 20)),  # on none
        outcome(two[1], date(2026, 7, 11)),  # on July's: 10 days ahead
    )
    return school


def test_a_years_lists_by_hand(three_months: School) -> None:
    rooms, room = three_months.rooms, three_months.rooms.evaluation
    move(three_months, LATE)
    found = room.right(make.BOARD)
    assert (found.lists, found.settled, found.first, found.last) == (3, 3, MAY, JULY)
    july, june, may = found.months
    # July: who began in June is inside the outcome and is not counted; two[1] is a hit.
    assert july.figures is not None and june.figures is not None and may.figures is not None
    assert (july.figures.precision, july.figures.recall) == (Share(1, 2), Share(1, 1))
    assert july.figures.base == Share(1, 10)
    # June: one[0] (on 10 June) is a hit, two[2] and two[1] (within 84 days) are missed.
    assert (june.figures.precision, june.figures.recall) == (Share(1, 2), Share(1, 3))
    assert (may.figures.precision, may.figures.recall) == (Share(1, 2), Share(1, 3))
    assert may.figures.lift is not None and may.figures.lift.value == pytest.approx(0.5 / 0.25)
    # The year, each child once: listed one[0], one[1], two[0], two[1]; found one[0] and two[1].
    assert found.year.precision == Share(2, 4) and found.year.recall == Share(2, 3)
    assert found.year.base == Share(3, 12)
    assert found.year.false_alarms == Share(2, 9) and found.year.missed == Share(1, 3)
    # one[0]: 40 days from 1 May; two[1]: 10 days from 1 July.
    assert found.lead is not None and (found.lead.n, found.lead.middle) == (2, 25.0)
    # School.warning_list says that every third place is supported: nobody here.
    assert found.new_to_us == Share(4, 4)
    assert room.right(make.BOARD, "school2").lists == 0
    # Counted from memory while nothing changed, and anew when something did.
    assert room.known(make.BOARD) is room.known(make.BOARD)
    make.append(rooms.log, outcome(three_months.children["sakura-2"][0], date(2026, 7, 2)))
    assert room.right(make.BOARD).year.precision == Share(3, 4)


@SQLITE
def test_nothing_is_said_while_the_horizon_runs(three_months: School) -> None:
    room = three_months.rooms.evaluation
    move(three_months, date(2026, 7, 23))  # the first list settles on 24 July
    found = room.right(make.BOARD)
    assert found.settled == 0 and found.last is None
    assert [month.figures for month in found.months] == [None] * 3
    assert found.months[-1].known_on == date(2026, 7, 24)
    assert found.year.ranked == 0 and found.year.precision.value is None
    assert found.lead is None and found.bins == ()
    move(three_months, date(2026, 7, 24))
    assert [month.figures is None for month in room.right(make.BOARD).months] == [True, True, False]


@SQLITE
def test_refusing_families_children_are_counted_nowhere(three_months: School) -> None:
    room, student = three_months.rooms.evaluation, three_months.children["sakura-1"][0]
    move(three_months, LATE)
    assert room.right(make.BOARD).year.recall == Share(2, 3)
    set_opt_out(three_months.rooms.log, board=make.BOARD, student=student, refused=True, actor="x")
    found = room.right(make.BOARD)
    assert found.year.recall == Share(1, 2) and found.year.ranked == 11
    assert student not in {one.student for one in room.missed(make.BOARD)[0]}
    assert (
        student
        not in room._traits.of(
            three_months.who("board"), [student], LATE, using=Ability.SEE_COUNTS, detail=""
        ).groups["sex"]
    )
    set_opt_out(three_months.rooms.log, board=make.BOARD, student=student, refused=False, actor="x")
    assert room.right(make.BOARD).year.recall == Share(2, 3)


def test_an_erased_child_is_gone_from_what_was_counted_before(three_months: School) -> None:
    rooms, room = three_months.rooms, three_months.rooms.evaluation
    student = three_months.children["sakura-1"][0]
    make.append(rooms.log, fact(student, "absent_days", MAY))
    move(three_months, LATE)
    assert room.right(make.BOARD).year.recall == Share(2, 3)
    assert student in room._recorded.of(make.BOARD, {"absent_days": True}).values["absent_days"]
    erase(rooms.log, rooms.trail, make.BOARD, [student], kind="request", actor="x")
    found = room.right(make.BOARD)
    assert found.year.recall == Share(1, 2) and found.year.ranked == 11
    assert "absent_days" not in room._recorded.of(make.BOARD, {"absent_days": True}).values
    held = [child.student for one in room.known(make.BOARD).lists for child in one.children]
    assert student not in held and student not in room.known(make.BOARD).spells


def test_the_missed_are_those_never_listed_before(three_months: School) -> None:
    one, two = three_months.children["sakura-1"], three_months.children["sakura-2"]
    supported(three_months, one[0], date(2026, 5, 20))  # listed in May
    supported(three_months, one[3], date(2026, 6, 5))  # never listed
    supported(three_months, two[1], date(2026, 6, 15))  # listed later, in July
    supported(three_months, one[4], date(2026, 6, 15), action="watched")  # watching is no support
    supported(three_months, one[5], date(2026, 4, 15))  # before the first list of all
    move(three_months, LATE)
    found, counts = three_months.rooms.evaluation.missed(make.BOARD)
    told = {each.student: (each.began, each.supported) for each in found}
    assert told == {
        two[2]: (date(2026, 6, 20), None),
        one[3]: (None, date(2026, 6, 5)),
        two[1]: (None, date(2026, 6, 15)),
    }
    assert counts["sakura"].affected == Share(1, 3)
    assert counts["sakura"].supported == Share(2, 3)
    assert counts["school2"].affected == Share(0, 0)
    # What was known then: the lists before, where the child stood on them, and nothing of later.
    [lines] = [each.lines for each in found if each.student == one[3]]
    assert [(line.on, line.rank, line.ranked, line.listed) for line in lines] == [
        (MAY, 4, 12, 2), (JUNE, 5, 12, 2),
    ]  # fmt: skip
    assert isinstance(lines[0], Line) and lines[0].points == 3.0


def test_who_was_listed_more_than_a_year_ago_has_been_listed_before(school: School) -> None:
    one, two = school.children["sakura-1"], school.children["sakura-2"]
    ranked = [*one, *two]
    school.warning_list([one[0]], on=date(2025, 8, 1), ranked=ranked)  # too long ago to be counted
    school.warning_list([two[0]], on=JULY, ranked=ranked)
    supported(school, one[0], date(2026, 7, 10))
    supported(school, one[1], date(2026, 7, 10))
    make.append(school.rooms.log, outcome(one[0], date(2026, 7, 20)))
    move(school, LATE)
    room = school.rooms.evaluation
    assert room.right(make.BOARD).first == JULY and room.known(make.BOARD).first > date(2025, 8, 1)
    found, counts = room.missed(make.BOARD)
    assert [each.student for each in found] == [one[1]]
    assert (counts["sakura"].affected, counts["sakura"].supported) == (Share(0, 1), Share(1, 2))


def scored(on: date, *children: tuple[str, bool, date | None]) -> Scored:
    ranked = [
        Ranked(student=s, score=0.1, chance=None, points=1, rank=n, listed=listed, new_to_us=listed,
               counts=True, began=began)
        for n, (s, listed, began) in enumerate(children, 1)
    ]  # fmt: skip
    return Scored(
        id=f"l{on}", school="s", on=on, published_at=at(on), judge="rules", known_on=on,
        settled=True, children=tuple(ranked),
    )  # fmt: skip


def test_a_list_too_early_for_the_outcome_did_not_find_it() -> None:
    began = date(2026, 12, 1)
    # a was listed in January, out of the horizon's reach; only November's list looked at December.
    lists = [
        scored(date(2026, 1, 5), ("a", True, None), ("b", True, None)),
        scored(date(2026, 11, 2), ("a", False, began), ("b", False, None)),
    ]
    by_key = {child.student: child for child in standings(lists)}
    assert by_key["a"].began == began and by_key["a"].first_listed is None
    assert by_key["b"].began is None and by_key["b"].first_listed == date(2026, 1, 5)
    found = figures(by_key.values())
    assert (found.missed, found.false_alarms) == (Share(1, 1), Share(1, 1))
    assert spread([]) is None and spread([3.0]) == type(spread([3.0]))(1, 3.0, 3.0, 3.0)  # type: ignore[misc]


# -- traits --------------------------------------------------------------------------------------


def grouped(school: School, students: Sequence[str], on: date = LATE) -> dict[str, dict[str, str]]:
    who = school.who("board")
    room = school.rooms.evaluation
    return room._traits.of(who, students, on, using=Ability.SEE_COUNTS, detail="").groups


def test_traits_come_from_the_register_the_roll_and_the_records(school: School) -> None:
    a, b, c, *_ = school.children["sakura-1"]
    make.append(
        school.rooms.log,
        fact(a, "child_allowance", date(2026, 4, 10)),
        fact(b, "public_assistance", date(2026, 4, 10)),
        fact(b, "child_allowance", date(2026, 4, 10)),
        fact(c, "public_assistance", date(2026, 4, 10)),
        fact(c, "public_assistance", date(2026, 5, 10), 0.0),  # not any more
        fact(c, "mental_certificate", date(2026, 4, 10)),
        NewEvent(
            id=new_id(), board=make.BOARD, student=a, on=MAY, actor="system:test",
            body=UseStopped(items=("disability_certificate",), request="r"),
        ),
    )  # fmt: skip
    found = grouped(school, [a, b, c])
    assert found["sex"] == {a: "female", b: "male", c: "female"}
    assert found["grade"] == dict.fromkeys((a, b, c), "4")
    assert found["school"] == dict.fromkeys((a, b, c), "sakura")
    assert found["siblings"] == dict.fromkeys((a, b, c), "alone")
    assert found["household"] == {a: "allowance", b: "assistance", c: "otherwise"}
    assert found["disability"] == {b: "otherwise", c: "certificate"}  # a: its use was stopped
    rows = [
        row for row in make.rows(school.rooms.database, audit) if row.action == "fairness_report"
    ]
    assert len(rows) == 1 and rows[0].subject == make.BOARD


@SQLITE
def test_without_the_trail_no_trait_is_read(school: School) -> None:
    who = school.who("board")
    with make.no_trail(school.rooms.database), pytest.raises(make.NO_TRAIL):
        school.rooms.evaluation._traits.of(
            who, school.children["sakura-1"], LATE, using=Ability.SEE_COUNTS, detail=""
        )


@pytest.fixture
def unfair(rooms: Any) -> School:
    """Of 100 children 24 girls are listed and nothing comes; of the boys only those it comes to.

    It comes to ten of either; the list knows all ten boys and two of the girls.
    """
    school = School(rooms, children=25)
    everyone = [key for keys in school.children.values() for key in keys]
    sex = grouped(school, everyone)["sex"]
    girls = [key for key in everyone if sex[key] == "female"]
    boys = [key for key in everyone if sex[key] == "male"]
    school.warning_list([*girls[:26], *boys[:10]], on=MAY, ranked=everyone)
    hit = [*girls[24:34], *boys[:10]]
    make.append(rooms.log, *(outcome(key, date(2026, 6, 1)) for key in hit))
    move(school, LATE)
    return school


@SQLITE
def test_a_list_known_to_be_unfair_is_shown_to_be(unfair: School) -> None:
    found = {
        one.trait.id: {group.group: group for group in one.groups}
        for one in unfair.rooms.evaluation.fairness(
            unfair.who("board"), using=Ability.SEE_COUNTS
        )
    }  # fmt: skip
    girls, boys = found["sex"]["female"], found["sex"]["male"]
    of_girls, of_boys = girls.figures.ranked, boys.figures.ranked
    assert of_girls + of_boys == 100
    assert girls.figures.false_alarms == Share(24, of_girls - 10)
    assert boys.figures.false_alarms == Share(0, of_boys - 10)
    assert girls.figures.missed == Share(8, 10) and boys.figures.missed == Share(0, 10)
    assert girls.false_apart is not None and girls.false_apart[1] > 0.3
    assert girls.miss_apart is not None and girls.miss_apart[1] > 0.3
    assert boys.false_apart is not None and boys.false_apart[2] < -0.3
    # Where all children are alike there is one group and nothing to hold it against.
    assert [group.false_apart for group in found["grade"].values()] == [None]


@SQLITE
def test_only_probabilities_that_were_stated_are_held_against_what_happened(
    unfair: School,
) -> None:
    room = unfair.rooms.evaluation
    assert room.right(make.BOARD).bins == ()  # the scores of that list only ordered the children
    with unfair.rooms.database.writing() as conn:
        conn.execute(list_scores.update().values(rules_chance=0.25, model_chance=0.9))
    make.append(unfair.rooms.log, outcome("somebody-else", LATE))  # read anew
    [found] = room.right(make.BOARD).bins
    assert (found.n, found.children, found.stated, found.hits) == (100, 100, 0.25, 20)
    assert [month.stated for month in room.right(make.BOARD).months] == [True]
    # Too few outcomes were known: what the judge reckoned with was assumed, and told to nobody.
    with unfair.rooms.database.writing() as conn:
        why = '{"reason": "too_few_outcomes", "hits": 19, "least_hits": 20}'
        conn.execute(warning_lists.update().values(judge_why=why))
    make.append(unfair.rooms.log, outcome("somebody-else-again", LATE))
    assert room.right(make.BOARD).bins == ()
    assert [month.stated for month in room.right(make.BOARD).months] == [False]


# -- what stands on record ------------------------------------------------------------------------


def test_what_is_on_record_is_kept_up_with_the_log(school: School) -> None:
    a, b, *_ = school.children["sakura-1"]
    log, recorded = school.rooms.log, school.rooms.evaluation._recorded
    wanted = {"absent_days": True, "weight_percentile": False}
    day = date(2026, 5, 7)
    first = fact(a, "absent_days", day)
    make.append(
        log, first, fact(a, "absent_days", day), fact(b, "weight_percentile", day, 40.0),
        fact(a, "late_days", day), make.check_in(a, school.rooms.clock, mood=2),
    )  # fmt: skip
    found = recorded.of(make.BOARD, wanted)
    assert found.days("absent_days", a) == {day: 2.0} and found.first["absent_days"] == day
    assert found.days("weight_percentile", b) == {day: 40.0} and "late_days" not in found.values

    def later(student: str, body: Any, on: date = day) -> NewEvent:
        return NewEvent(
            id=new_id(), board=make.BOARD, student=student, on=on, actor="system:test", body=body
        )

    def correction(item: str, was: float, value: float | None) -> ObservationCorrected:
        return ObservationCorrected(item=item, was=was, value=value, corrects=first.id, request="r")

    make.append(log, later(a, correction("absent_days", 1.0, None)),
                later(b, correction("weight_percentile", 40.0, 50.0)))  # fmt: skip
    found = recorded.of(make.BOARD, wanted)
    assert found.days("absent_days", a) == {day: 1.0}
    assert found.days("weight_percentile", b) == {day: 50.0}
    make.append(log, later(b, UseStopped(items=("weight_percentile",), request="r")),
                fact(b, "weight_percentile", date(2026, 5, 9), 60.0))  # fmt: skip
    assert recorded.of(make.BOARD, wanted).days("weight_percentile", b) == {}
    # One more item, or rows gone from the log: it begins again and comes to the same.
    assert recorded.of(make.BOARD, {"late_days": True}).days("late_days", a) == {day: 1.0}
    gone = LogShortened(kind="answers", rows=0, oldest=MAY, newest=MAY, judged=False)
    make.append(log, NewEvent(id=new_id(), board=make.BOARD, student=None, on=day,
                              actor="system:test", body=gone))  # fmt: skip
    assert recorded.of(make.BOARD, wanted).days("absent_days", a) == {day: 1.0}


# -- two views -----------------------------------------------------------------------------------


@SQLITE
def test_answers_stand_beside_records_child_by_child(school: School) -> None:
    from warning_service.events.dispatcher import Dispatcher
    from warning_service.judging.consumer import JudgingConsumer

    rooms = school.rooms
    both, said, seen, neither, silent, refusing = school.children["sakura-1"]
    today = rooms.clock.today()

    def answers(student: str, mood: int) -> NewEvent:
        on = today - timedelta(days=2)
        return NewEvent(
            id=new_id(), board=make.BOARD, student=student, on=on, actor="child",
            body=CheckInSubmitted(questionnaire="kokoro_monthly", version=1,
                                  answers={"mood": mood}, answered_at=at(on, 8)),
        )  # fmt: skip

    away = [today - timedelta(days=n) for n in (3, 4, 5)]  # the playbook's mark: 3 in 28 days
    make.append(
        rooms.log,
        *(fact(child, "absent_days", day) for child in (both, seen, silent, refusing)
          for day in away),
        *(answers(child, 3) for child in (both, said, refusing)),
        *(answers(child, 0) for child in (seen, neither)),
    )  # fmt: skip
    set_opt_out(rooms.log, board=make.BOARD, student=refusing, refused=True, actor="x")
    dispatcher = Dispatcher(rooms.log, JudgingConsumer(rooms.log, rooms.playbooks), make.BOARD)
    dispatcher.drain()
    dispatcher.release()
    found = rooms.evaluation.views(make.BOARD)
    assert found is not None
    table = found.schools["sakura"]
    assert (table.both, table.first_only, table.second_only, table.neither) == (1, 1, 1, 1)
    assert table.agreed == Share(2, 4) and table.kappa is not None and table.kappa[0] == 0.0
    # sakura-1's silent child, and the 18 of the other classes.
    assert found.silent == 19 and found.table == table


def test_nothing_that_judges_can_reach_a_trait() -> None:
    root = Path(__file__).resolve().parents[2]
    readers = {
        file.relative_to(root).as_posix()
        for room in ("models", "warning_service", "teacher_portal", "connectors", "demo")
        for file in (root / room).rglob("*.py")
        if re.search(r"(catalogue|access)(\.| import )traits|traits\.toml", file.read_text("utf-8"))
    }
    assert "warning_service/follow_up/evaluating/room.py" in readers  # the search finds something
    judging = ("models/", "warning_service/judging/", "warning_service/alerts/")
    assert not [path for path in readers if path.startswith(judging)]
