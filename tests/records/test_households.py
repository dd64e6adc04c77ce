"""Households by a random key, and children before school, through the register's file."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select

from tests.records.conftest import BOARD, ROSTER, ImportRooms
from warning_service.events.log import read
from warning_service.events.types import Event, HouseholdKnown
from warning_service.roster import grades, households
from warning_service.roster import tables as t

HEAD = "学籍番号,氏名,ふりがな,生年月日,性別,世帯番号,学校名,学年,組,出席番号,基準日\n"
YOUNG = (
    "学校コード,学校名,校種\nmomo,もも保育園,保育所\nhome,在宅,在宅\n",
    HEAD + "K010,春野 はな,はるの はな,令和1年6月1日,女,H1,もも保育園,年長,ゆり,,R7.4.1\n"
    "K011,冬木 ゆき,ふゆき ゆき,令和3年6月1日,女,H9,在宅,3歳児,,,R7.4.1\n",
)  # fmt: skip


def keys(rooms: ImportRooms) -> dict[str, str]:
    with rooms.database.reading() as conn:
        rows = conn.execute(select(t.students.c.number, t.students.c.student))
        return {row.number: row.student for row in rows}


def told(rooms: ImportRooms) -> list[tuple[str | None, str, date]]:
    return [
        (e.student, e.body.household, e.on)
        for e in everything(rooms)
        if isinstance(e.body, HouseholdKnown)
    ]


def everything(rooms: ImportRooms) -> list[Event]:
    with rooms.database.reading() as conn:
        return read(conn, BOARD, 0, 10_000)


def test_siblings_share_a_random_key_and_the_number_stays_in_the_roster(town: ImportRooms) -> None:
    first = told(town)
    assert len(first) == len({key for _, key, _ in first}) == 3
    assert {on for _, _, on in first} == {date(2025, 4, 1)}
    more = HEAD + "K004,春野 うた,はるの うた,H29.5.1,女,H1,さくら小学校,3,1,1,R7.4.1\n"
    assert town.take(more).rows_new == 1
    of = keys(town)
    homes = {student: key for student, key, _ in told(town)}
    assert homes[of["K004"]] == homes[of["K001"]] != homes[of["K002"]]
    with town.database.reading() as conn:
        assert households.siblings(conn, of["K001"]) == [of["K004"]]
        assert households.siblings(conn, of["K002"]) == households.siblings(conn, "nobody") == []
    log = "".join(str(event.body) for event in everything(town))
    assert not any(f"H{n}" in log.replace("HouseholdKnown", "") for n in (1, 2, 3))
    assert town.take(more).rows_known == 1 and len(told(town)) == 4, "told once"


def test_a_move_is_told_and_a_file_without_the_column_takes_nothing_away(
    town: ImportRooms,
) -> None:
    of = keys(town)
    before = {student: key for student, key, _ in told(town)}
    moved = HEAD + "K002,夏木 りく,なつき りく,H27.8.9,男,H1,さくら小学校,5,1,2,R7.6.1\n"
    assert town.take(moved).rows_rejected == 0
    (last,) = told(town)[3:]
    assert last == (of["K002"], before[of["K001"]], date(2025, 6, 1))
    without = HEAD.replace("世帯番号,", "") + (
        "K002,夏木 りく,なつき りく,H27.8.9,男,さくら小学校,5,1,2,R7.7.1\n"
    )
    assert town.take(without).rows_rejected == 0
    assert len(told(town)) == 4
    with town.database.reading() as conn:
        held = conn.execute(select(t.students.c.household).where(t.students.c.number == "K002"))
        assert held.scalar_one() == "H1"


def test_a_number_put_right_there_and_back_again_is_told_each_time(town: ImportRooms) -> None:
    """Files of one base day, the wrong one twice: the log says what the register says at last."""
    of, before = keys(town), {student: key for student, key, _ in told(town)}
    file = HEAD + "K002,夏木 りく,なつき りく,H27.8.9,男,{},さくら小学校,5,1,2,R7.6.1\n"
    for number in ("H1", "H3", "H1", "H3"):
        assert town.take(file.format(number)).rows_rejected == 0
    mine = [key for student, key, _ in told(town)[3:] if student == of["K002"]]
    one, other = before[of["K001"]], before[of["K003"]]
    assert mine == [one, other, one, other]
    with town.database.reading() as conn:
        assert households.untold(conn, of.values()) == {}


def test_an_import_cut_off_before_it_told_the_log_is_mended_by_the_next(town: ImportRooms) -> None:
    of = keys(town)
    with town.database.writing() as conn:
        conn.execute(t.households.delete().where(t.households.c.student == of["K003"]))
    with town.database.reading() as conn:
        assert list(households.untold(conn, of.values())) == [of["K003"]]


def test_who_was_there_before_households_had_keys_gets_one_from_the_next_file(
    town: ImportRooms,
) -> None:
    with town.database.writing() as conn:
        conn.execute(t.households.delete())
        conn.execute(t.students.update().values(home=""))
    assert town.take(ROSTER).rows_known == 3
    again = told(town)[3:]
    assert len({key for _, key, _ in again}) == len(again) == 3 and "" not in again[0]


def test_children_before_school_are_on_a_roll_and_have_no_number(town: ImportRooms) -> None:
    places, register = YOUNG
    assert town.take(places).rows_new == 2
    report = town.take(register)
    assert (report.rows_new, report.rows_rejected) == (2, 0)
    of = keys(town)
    with town.database.reading() as conn:
        e, c = t.enrolments, t.classes
        query = select(e.c.student, e.c.school, e.c.grade, c.c.name, c.c.id).join(
            c, c.c.id == e.c.class_id
        )
        rolls = {row.student: row for row in conn.execute(query)}
        seats = set(conn.execute(select(t.seats.c.student)).scalars())
    hana, yuki = rolls[of["K010"]], rolls[of["K011"]]
    assert (hana.school, hana.grade, hana.name, hana.id) == (
        "momo",
        0,
        "5歳児 ゆり",
        "momo-25-y0-ゆり",
    )
    assert (yuki.school, yuki.grade, yuki.name) == ("home", -2, "3歳児")
    assert not seats & {of["K010"], of["K011"]} and of["K001"] in seats
    homes = {student: key for student, key, _ in told(town)}
    assert homes[of["K010"]] == homes[of["K001"]], "a sister at the nursery"
    wrong = register.replace("年長", "6歳児")
    assert town.take(wrong).rows_rejected == 1
    school = HEAD + "K012,春野 はる,はるの はる,R1.6.1,女,H1,さくら小学校,年長,1,9,R7.4.1\n"
    assert town.take(school).rows_rejected == 1, "a primary school has no such grade"


@pytest.mark.parametrize(
    ("text", "grade"),
    [("年長", 0), ("年中", -1), ("年少", -2), ("5歳児", 0), ("0歳児クラス", -5), ("-3", -3),
     ("0", 0), ("1", None), ("6歳児", None), ("", None)],
)  # fmt: skip
def test_how_registers_write_what_is_before_school(text: str, grade: int | None) -> None:
    assert grades.before_school(text) == grade
    if grade is not None:
        assert not grades.signs_in(grade) and "歳児" in grades.in_words(grade)[0]


def test_grades_in_words() -> None:
    assert [grades.in_words(n)[0] for n in (-5, 0, 1, 6, 7, 9)] == [
        "0歳児", "5歳児", "小1", "小6", "中1", "中3",
    ]  # fmt: skip
