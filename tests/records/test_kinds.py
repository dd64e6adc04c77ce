"""Each kind of file: what its rows become."""

from __future__ import annotations

from datetime import date

from sqlalchemy import select

from tests.records.conftest import BOARD, ROSTER, SCHOOLS, ImportRooms
from tests.records.test_bad_input import observations
from warning_service.access.roles import OFFICES, Place, Role
from warning_service.clock import monotonic
from warning_service.events.log import read
from warning_service.events.types import EnrolmentEnded, EnrolmentStarted
from warning_service.roster import bulk, queries
from warning_service.roster import tables as t
from warning_service.roster.calendar import SchoolCalendar

HEAD = "学籍番号,氏名,ふりがな,生年月日,学校,学年,組,出席番号,異動日,異動区分\n"


def roll(rooms: ImportRooms, on: date) -> dict[str, str]:
    """Number -> class on a day."""
    s = t.students
    with rooms.database.reading() as conn:
        return {
            number: row.class_id
            for number, key in conn.execute(select(s.c.number, s.c.student)).all()
            if (row := queries.enrolment_on(conn, key, on)) is not None
        }


def test_health_dental_nurse_and_welfare_become_observations(town: ImportRooms) -> None:
    assert (
        town.take(
            "学籍番号,検査日,体重パーセンタイル,視力(右),視力(左)\n"
            "K001,R7.5.8,12.5,A,B\nK002,R7.5.8,50,A,A\n"
        ).rows_new
        == 2
    )
    assert town.take("学籍番号,検診日,未処置歯数\nK001,R7.6.2,3\nK002,R7.6.2,0\n").rows_new == 2
    nurse = "学籍番号,来室日,来室時刻,理由\nK001,R7.6.3,10:20,頭痛\nK001,R7.6.3,14:05,腹痛\n"
    assert town.take(nurse).rows_new == 2
    assert town.take("宛名番号,抽出日,制度区分\nK001,R7.7.1,児童扶養手当\n").rows_new == 1
    infant = "宛名番号,抽出日,3〜4か月児健診受診日,1歳6か月児健診受診日,3歳児健診受診日\n"
    assert town.take(infant + "K001,R7.7.1,H27.9.1,,H30.6.1\n").rows_new == 1
    assert observations(town) == [
        ("2025-05-08", "weight_percentile", 12.5),
        ("2025-05-08", "eyesight_low", 1),
        ("2025-05-08", "weight_percentile", 50),
        ("2025-06-02", "dental_untreated", 3),
        ("2025-06-02", "dental_untreated", 0),
        ("2025-06-03", "nurse_visits", 1),
        ("2025-06-03", "nurse_visits", 1),
        ("2025-07-01", "child_allowance", 1),
        ("2025-07-01", "infant_check_missed", 1),
    ]


def test_any_item_of_the_catalogue_comes_by_its_label_or_id(town: ImportRooms) -> None:
    report = town.take(
        "宛名番号,基準日,データ項目,値\n"
        "K001,R7.7.1,産婦健診のEPDS,11\nK001,R7.7.1,要対協の登録歴(終結),\n"
        "K002,R7.7.1,sheet_homework,0\nK002,R7.7.1,DVの相談歴,0\n"
    )
    assert (report.rows_new, report.rows_rejected) == (3, 0)
    assert observations(town) == [
        ("2025-07-01", "epds_score", 11), ("2025-07-01", "youtaikyo_past", 1),
        ("2025-07-01", "sheet_homework", 0),
    ]  # fmt: skip


def test_an_item_without_its_value_or_unknown_is_refused(town: ImportRooms) -> None:
    report = town.take(
        "宛名番号,基準日,データ項目,値\nK001,R7.7.1,産婦健診のEPDS,\nK002,R7.7.1,年収,300\n"
        "K003,R7.7.1,要対協の登録歴(終結),2\n"
    )
    assert report.rows_rejected == 3
    assert observations(town) == []


def test_amounts_out_of_range_are_refused(town: ImportRooms) -> None:
    report = town.take(
        "学籍番号,検診日,未処置歯数\nK001,R7.6.2,33\nK002,R7.6.2,1.5\nK003,R7.6.2,nan\n"
    )
    assert report.rows_rejected == 3
    assert observations(town) == []


def test_a_register_names_children_and_places_them(town: ImportRooms) -> None:
    s = t.students
    with town.database.reading() as conn:
        first = conn.execute(select(s).where(s.c.number == "K001")).one()
        third = conn.execute(select(s).where(s.c.number == "K003")).one()
        enrolled = queries.enrolment_on(conn, third.student, date(2025, 4, 1))
        room = queries.school_class(conn, "sakura-25-5-1")
        seat = conn.execute(select(t.seats).where(t.seats.c.student == first.student)).one()
        secrets = conn.execute(select(t.student_secrets)).all()
    assert (first.family_name, first.given_kana, first.born) == ("春野", "そら", date(2015, 5, 1))
    assert enrolled is not None
    assert (enrolled.class_id, enrolled.grade, enrolled.school) == ("asahi-25-2-3", 8, "asahi")
    assert room is not None
    assert (room.name, room.school_year, room.grade) == ("5年1組", 2025, 5)
    assert (seat.class_id, seat.seat, seat.secret_hash) == ("sakura-25-5-1", 1, "")
    assert len(secrets) == 3


def test_next_years_register_moves_children_and_keeps_keys_and_secrets(town: ImportRooms) -> None:
    s, p = t.students, t.seats
    with town.database.reading() as conn:
        before = dict(conn.execute(select(s.c.number, s.c.student)).tuples().all())
    bulk.set_child_secrets(town.database, {before["K001"]: "mac"})
    report = town.take(
        HEAD
        + "K001,春野 そら,はるの そら,H27.5.1,sakura,6,2,4,R8.4.1,進級\n"
        + "K002,夏木 りく,なつき りく,H27.8.9,,,,,R8.4.1,転出\n"
    )
    assert (report.rows_new, report.rows_rejected) == (2, 0)
    assert roll(town, date(2026, 3, 31)) == {
        "K001": "sakura-25-5-1", "K002": "sakura-25-5-1", "K003": "asahi-25-2-3",
    }  # fmt: skip
    assert roll(town, date(2026, 4, 1)) == {"K001": "sakura-26-6-2", "K003": "asahi-25-2-3"}
    with town.database.reading() as conn:
        after = dict(conn.execute(select(s.c.number, s.c.student)).tuples().all())
        seats = conn.execute(select(p).where(p.c.student == after["K001"])).all()
        bodies = [event.body for event in read(conn, BOARD, 0, 100)]
    assert after == before
    assert {seat.class_id: seat.secret_hash for seat in seats} == {
        "sakura-25-5-1": "mac", "sakura-26-6-2": "mac",
    }  # fmt: skip
    assert sum(isinstance(body, EnrolmentEnded) for body in bodies) == 2
    assert sum(isinstance(body, EnrolmentStarted) for body in bodies) == 4
    # Last year's register again is harmless: it does not turn the clock back.
    again = town.take(ROSTER)
    assert (again.rows_new, again.rows_known, again.rows_rejected) == (0, 3, 0)
    assert roll(town, date(2026, 4, 1))["K001"] == "sakura-26-6-2"
    stale = town.take(HEAD + "K001,春野 そら,はるの そら,H27.5.1,sakura,5,3,9,R7.9.1,在籍\n")
    assert "新しい在籍" in stale.problems[0].reason_ja


def test_a_register_refuses_what_cannot_be(town: ImportRooms) -> None:
    report = town.take(
        HEAD
        + "K010,一 郎,,H27.5.1,sakura,7,1,8,R7.4.1,\n"  # no such grade
        + "K011,二 郎,,H27.5.1,nowhere,5,1,9,R7.4.1,\n"
        + "K012,三郎,,H27.5.1,sakura,5,1,10,R7.4.1,\n"  # no space in the name
        + "K013,四 郎,,H27.5.1,sakura,5,1,11,R7.4.1,\n"
        + "K014,五 郎,,H27.5.1,sakura,5,1,11,R7.4.1,\n"  # seat taken
        + "K013,四 郎,,H27.5.1,sakura,5,1,12,R7.4.1,\n"  # twice
        + "K015,六 郎,,H27.5.1,,,,,R7.4.1,転出\n"  # never came
    )
    assert report.rows_new == 1
    assert [(p.row, p.column) for p in report.problems] == [
        (2, "学年"), (3, "学校"), (4, "氏名"), (6, "出席番号"), (7, "学籍番号"), (8, "学籍番号"),
    ]  # fmt: skip


def test_seats_can_be_swapped(town: ImportRooms) -> None:
    swapped = ROSTER.replace("5,1,1,", "5,1,X,").replace("5,1,2,", "5,1,1,").replace("X", "2")
    report = town.take(swapped)
    assert (report.rows_known, report.rows_rejected) == (3, 0)
    p, s = t.seats, t.students
    with town.database.reading() as conn:
        rows = conn.execute(
            select(s.c.number, p.c.seat).join(p, p.c.student == s.c.student)
        ).tuples()
        assert dict(rows.all()) == {"K001": 2, "K002": 1, "K003": 1}


def test_staff_and_their_duties(town: ImportRooms) -> None:
    text = (
        "ログインID,氏名,担当,学校,学年,組,開始日,終了日,SlackユーザーID\n"
        "tanaka,田中 一,担任,さくら小学校,5,1,R7.4.1,R8.3.31,U1\n"
        "tanaka,田中 一,校内委員会,さくら小学校,,,R7.4.1,,U1\n"
        "mori,森 二,担任,あさひ中学校,2,3,R7.4.1,,\n"
        "kyoiku,林 三,教育委員会,,,,R7.4.1,,\n"
        "bad,林 四,王様,,,,R7.4.1,,\n"
        "ono,小野 五,学年主任,さくら小学校,5,,R7.4.1,R8.3.31,\n"
        "ono2,小野 六,学年主任,あさひ中学校,8,,R7.4.1,,\n"
        "ono3,小野 七,学年主任,さくら小学校,7,,R7.4.1,,\n"
        "ono4,小野 八,学年主任,さくら小学校,,,R7.4.1,,\n"
        "ssw,原 九,スクールソーシャルワーカー,さくら小学校,,,R7.4.1,,\n"
    )
    report = town.take(text)
    assert (report.rows_new, report.rows_rejected) == (7, 3)
    assert town.take(text).rows_known == 7
    d, st = t.duties, t.staff
    with town.database.reading() as conn:
        rows = conn.execute(
            select(st.c.login, d.c.role, d.c.place, d.c.until_day)
            .join(d, d.c.staff == st.c.staff)
            .order_by(st.c.login, d.c.role)
        ).all()
    assert [tuple(row) for row in rows] == [
        ("kyoiku", Role.BOARD, BOARD, None),
        ("mori", Role.HOMEROOM, "asahi-25-2-3", None),
        ("ono", Role.GRADE_LEAD, "sakura:5", date(2026, 4, 1)),
        ("ono2", Role.GRADE_LEAD, "asahi:8", None),
        ("ssw", Role.SOCIAL_WORKER, "sakura", None),
        ("tanaka", Role.COMMITTEE, "sakura", None),
        ("tanaka", Role.HOMEROOM, "sakura-25-5-1", date(2026, 4, 1)),
    ]


def test_every_duty_of_staff_has_its_name_in_files(town: ImportRooms) -> None:
    names = (
        "指導主事", "福祉担当", "個人情報担当", "アカウント管理者", "監査担当", "教育委員会",
        "運用担当",
    )  # fmt: skip
    rows = [f"p{n},林 {n},{name},,,,R7.4.1,," for n, name in enumerate(names)]
    report = town.take(
        "ログインID,氏名,担当,学校,学年,組,開始日,終了日,SlackID\n" + "\n".join(rows)
    )
    assert (report.rows_new, report.rows_rejected) == (len(names), 0)
    with town.database.reading() as conn:
        held = {(row.role, row.place) for row in conn.execute(select(t.duties))}
    assert held == {
        (role.value, BOARD) for role, office in OFFICES.items() if office.place is Place.BOARD
    }


def test_closed_days_may_be_spans(town: ImportRooms) -> None:
    text = "開始日,終了日,学校,理由\nR7.7.21,R7.8.31,全校,夏休み\nR7.6.10,,sakura,開校記念日\n"
    assert town.take(text).rows_new == 2
    assert town.take(text).rows_known == 2
    with town.database.reading() as conn:
        calendar = SchoolCalendar(conn, BOARD)
    assert not calendar.is_school_day(date(2025, 8, 29), "asahi")
    assert not calendar.is_school_day(date(2025, 6, 10), "sakura")
    assert calendar.is_school_day(date(2025, 6, 10), "asahi")


def test_refusals_take_effect_at_once(town: ImportRooms) -> None:
    text = "学籍番号,届出日,届出区分\nK002,R7.4.10,不同意\n"
    assert town.take(text).rows_new == 1
    assert town.take(text).rows_known == 1
    seen = town.take("学籍番号,日付,出欠\nK002,R7.4.11,欠席\n")
    assert seen.rows_opted_out == 1


def test_schools_are_found_by_code_and_name(empty: ImportRooms) -> None:
    assert empty.take(SCHOOLS).rows_new == 2
    assert empty.take(SCHOOLS).rows_known == 2
    assert empty.take(ROSTER.replace("さくら小学校", "sakura")).rows_new == 3


def test_a_register_of_two_thousand_takes_seconds(empty: ImportRooms) -> None:
    empty.take(SCHOOLS)
    lines = [
        f"N{n:05d},春野 {n},はるの そら,H27.5.1,女,H{n},sakura,{n % 6 + 1},"
        f"{n % 48},{n // 48 + 1},R7.4.1"
        for n in range(2000)
    ]
    text = ROSTER.splitlines()[0] + "\n" + "\n".join(lines) + "\n"
    started = monotonic()
    report = empty.take(text)
    took = monotonic() - started
    assert report.rows_new == 2000
    assert took < 6, f"{took:.1f} s"
    print(f"2,000 enrolments in {took:.2f} s")
