"""Terms, reach, corrections and stops that count; disclosure is in test_disclosure.py."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from teacher_portal.queries import observations
from tests import make
from tests.rights.conftest import Pages, Town, absent, decided, moved
from warning_service.access.gateway import NotYours
from warning_service.access.tables import audit
from warning_service.access.trail.audit import Trail
from warning_service.database import StorageUnavailable
from warning_service.events.log import of_student
from warning_service.events.types import (
    ObservationCorrected,
    ObservationRecorded,
    UseStopped,
    tag_of,
)
from warning_service.playbooks.sharing import Side
from warning_service.rights.amend import EVERYTHING, stopped_of
from warning_service.rights.service import LONGEST_TEXT, Refused
from warning_service.rights.tables import (
    family_requests,
    request_corrections,
)
from warning_service.rights.terms import Decision, State
from warning_service.roster import queries, service
from warning_service.roster.tables import student_secrets


def events(town: Town, *kinds: Any) -> list[Any]:
    with town.rooms.database.reading() as conn:
        return [e.body for e in of_student(conn, town.child, [tag_of(k) for k in kinds])]


# -- receiving and terms ---------------------------------------------------------------------------


def test_a_term_is_counted_from_the_day_after_receipt(town: Town) -> None:
    request = town.asked("disclosure", received_on=date(2026, 5, 1))
    view = town.rights.requests.one(town.who("officer"), request)
    assert view.row.due_on == date(2026, 5, 31) and view.days_left == 20 and not view.overdue
    moved(town, days=21)
    assert town.rights.requests.one(town.who("officer"), request).overdue


def test_what_is_overdue_comes_first_and_what_has_no_term_is_done(town: Town) -> None:
    later = town.asked("correction")
    sooner = town.asked("stop", days=5)
    refusal = town.asked("opt_out", asked_by="guardian", identity="known")
    requests, officer = town.rights.requests, town.who("officer")
    assert [view.row.id for view in requests.inbox(officer)] == [sooner, later]
    assert [view.row.id for view in requests.inbox(officer, ended=True)] == [refusal]
    moved(town, days=6)
    assert requests.count(town.who("officer")) == (2, 1)


def test_a_term_is_extended_once_with_a_reason_and_pauses_do_not_count(town: Town) -> None:
    request = town.asked("disclosure")
    requests, officer = town.rights.requests, town.who("officer")
    due = requests.one(officer, request).row.due_on
    for days, reason, field in ((0, "x", "extension"), (31, "x", "extension"), (5, " ", "reason")):
        with pytest.raises(Refused) as error:
            requests.extend(officer, request, days, reason)
        assert error.value.field == field
    requests.extend(officer, request, 30, "多いため")
    with pytest.raises(Refused):
        requests.extend(officer, request, 1, "もう一度")
    with pytest.raises(Refused):
        requests.pause(officer, request, 0, "x")
    requests.pause(officer, request, 3, "委任状を待った")
    requests.pause(officer, request, 2, "また待った")
    view = requests.one(officer, request)
    assert view.row.due_on == due + timedelta(days=35) and view.row.paused_days == 5
    assert [s.what for s in requests.history(view)] == ["received", "extended", "paused", "paused"]
    assert requests.history(view)[1].words == "多いため"


@pytest.mark.parametrize(
    ("kind", "more", "field"),
    [
        ("nothing", {}, "asked_by"),
        ("disclosure", {"asked_by": "guardian"}, "asked_by"),
        ("disclosure", {"identity": "known"}, "identity"),
        ("disclosure", {"identity": "nothing"}, "identity"),
        ("disclosure", {"days": 31}, "days"),
        ("disclosure", {"received_on": date(2026, 5, 12)}, "received_on"),
        ("disclosure", {"received_on": date(2024, 5, 12)}, "received_on"),
        ("disclosure", {"wish": "あ" * (LONGEST_TEXT + 1)}, "too_long"),
        ("correction", {"wish": "  "}, "wish"),
    ],
)
def test_what_cannot_be_taken_in_is_not(
    town: Town, kind: str, more: dict[str, object], field: str
) -> None:
    with pytest.raises(Refused) as error:
        town.asked(kind, **more)
    assert error.value.field == field
    assert make.rows(town.rooms.database, family_requests) == []


def test_sending_a_form_twice_is_one_request(town: Town) -> None:
    assert town.asked("disclosure", once="abc") == town.asked("disclosure", once="abc") == "abc"
    assert len(make.rows(town.rooms.database, family_requests)) == 1


def test_a_request_is_taken_back_or_handed_over_in_the_right_state(town: Town) -> None:
    requests, officer = town.rights.requests, town.who("officer")
    request = town.asked("disclosure", asked_by="self")
    with pytest.raises(Refused):
        requests.close(officer, request)
    requests.take_back(officer, request, "")
    with pytest.raises(Refused):
        requests.take_back(officer, request, "")
    other = town.asked("disclosure", asked_by="self")
    assert decided(town, other) is Decision.FULL
    with pytest.raises(Refused):
        requests.close(officer, other)
    town.rights.disclosures.approve(town.who("board"), other)
    requests.close(officer, other)
    assert {v.state for v in requests.inbox(officer, ended=True)} == {State.CLOSED}


def test_words_are_sealed_and_gone_with_the_key(town: Town) -> None:
    request = town.asked("correction", wish="ひみつの願い")
    (row,) = make.rows(town.rooms.database, family_requests)
    assert "ひみつ" not in row.sealed_wish
    requests, officer = town.rights.requests, town.who("officer")
    view = requests.one(officer, request)
    assert requests.words(view, row.sealed_wish) == "ひみつの願い"
    with town.rooms.database.writing() as conn:
        conn.execute(student_secrets.delete())
    assert requests.words(view, row.sealed_wish) == "…"


def test_each_step_is_on_the_trail_without_words(town: Town) -> None:
    request = town.asked("correction", wish="ひみつ")
    town.rights.amendments.refuse(town.who("officer"), request, "事実のとおり")
    rows = [r for r in make.rows(town.rooms.database, audit) if r.subject == town.child]
    assert [r.action for r in rows] == ["request_correction", "request_decided"]
    assert {r.purpose for r in rows} == {"rights"} and {r.duty for r in rows} == {"privacy"}
    assert not any("ひみつ" in str(r) or "事実" in str(r) for r in rows)


def test_an_officer_of_another_board_finds_nothing(town: Town) -> None:
    request = town.asked("disclosure")
    make.staff(town.rooms.database, "abroad", ("privacy", "elsewhere"))
    abroad = town.who("abroad")
    assert town.rights.requests.inbox(abroad) == []
    with pytest.raises(NotYours):
        town.rights.requests.one(abroad, request)
    with pytest.raises(NotYours):
        town.rights.requests.receive(
            abroad, town.child, "opt_out", asked_by="self", identity="photo_id",
            received_on=town.rooms.clock.today(),
        )  # fmt: skip
    with town.rooms.database.reading() as conn:
        assert not queries.opted_out(conn, town.child)


# -- correction and stop of use --------------------------------------------------------------------


def test_a_correction_adds_what_is_right_and_pages_show_it(town: Town, pages: Pages) -> None:
    wrong = absent(town, 2.0)
    request = town.asked("correction")
    officer = pages("officer")
    path = f"/portal/requests/{request}"
    assert "欠席 2日" in officer.get(path)
    fields = {"accept": "yes", "fact": wrong, "reason": "出席簿で確かめた"}
    answer = officer.post(path + "/correct", how="value", value="たくさん", **fields)
    assert answer.status_code == 422 and "出席簿で確かめた" in answer.text
    answer = officer.post(path + "/correct", how="value", value="2", **fields)
    assert answer.status_code == 422
    answer = officer.post(
        path + "/correct", how="value", value="1", recipients="福祉課 5月11日", **fields
    )
    assert answer.status_code == 303
    kinds = [type(body) for body in events(town, ObservationRecorded, ObservationCorrected)]
    assert kinds == [ObservationRecorded, ObservationCorrected]
    with town.rooms.database.reading() as conn:
        book = town.rooms.playbooks.of(make.BOARD)
        facts = observations(conn, book, town.child, town.rooms.clock.today(), Side.SCHOOL)
    absence = next(f for f in facts.shown if f.item.id == "absent_days")
    assert absence.last == 1.0
    notice = officer.get(path + "/notice")
    assert "訂正決定通知書" in notice and "訂正前 2、訂正後 1" in notice
    assert officer.post(path + "/told", recipients="").status_code == 422
    assert officer.post(path + "/told", recipients="学校").status_code == 303
    shown = officer.get(path)
    assert "福祉課 5月11日" in shown and "学校" in shown


def test_a_fact_is_corrected_again_from_what_counts_now(town: Town) -> None:
    wrong = absent(town, 2.0)
    officer, amendments = town.who("officer"), town.rights.amendments
    amendments.correct(officer, town.asked("correction"), "まちがい", {wrong: None})
    assert [f.value for f in amendments.facts(town.rights.requests.inbox(officer)[0])] == [None]
    amendments.correct(officer, town.asked("correction"), "やはり", {wrong: 1.0})
    told = events(town, ObservationCorrected)
    assert [(b.was, b.value) for b in told] == [(2.0, None), (0.0, 1.0)]
    assert len(make.rows(town.rooms.database, request_corrections)) == 2


def test_what_is_put_right_elsewhere_needs_no_event(town: Town) -> None:
    request = town.asked("correction")
    officer, amendments = town.who("officer"), town.rights.amendments
    with pytest.raises(Refused):
        amendments.correct(officer, request, "x", {"nothing": 1.0})
    with pytest.raises(Refused):
        amendments.tell(officer, request, "x")
    amendments.correct(officer, request, "名簿の生年月日を直した", {})
    assert events(town, ObservationCorrected) == []
    with pytest.raises(Refused):
        amendments.correct(officer, request, "もう一度", {})


def test_stopping_everything_is_a_refusal_and_stopping_items_is_of_those(town: Town) -> None:
    absent(town)
    officer, amendments = town.who("officer"), town.rights.amendments
    request = town.asked("stop")
    view = town.rights.requests.one(officer, request)
    assert ("absent_days", "欠席") in amendments.items(view)
    assert any(item == "q.mood" and words != item for item, words in amendments.items(view))
    for items in ([], ["nothing"]):
        with pytest.raises(Refused):
            amendments.stop(officer, request, "x", items)
    amendments.stop(officer, request, "目的の外", ["absent_days"])
    (told,) = events(town, UseStopped)
    assert told.items == ("absent_days",)
    with town.rooms.database.as_service().reading() as conn:
        assert stopped_of(conn, make.BOARD) == {(town.child, "absent_days")}
        assert not queries.opted_out(conn, town.child)
        book = town.rooms.playbooks.of(make.BOARD)
        facts = observations(conn, book, town.child, town.rooms.clock.today(), Side.SCHOOL)
    assert "absent_days" not in {fact.item.id for fact in facts.shown}
    again = town.asked("stop")
    amendments.stop(officer, again, "すべて", [EVERYTHING, "absent_days"])
    with town.rooms.database.reading() as conn:
        assert queries.opted_out(conn, town.child)
    third = town.asked("stop")
    with pytest.raises(Refused):
        amendments.correct(officer, third, "x", {})
    amendments.refuse(officer, third, "理由がない")
    assert town.rights.requests.one(officer, third).row.decision == Decision.REFUSED


def test_a_stop_through_the_page(town: Town, pages: Pages) -> None:
    request = town.asked("stop")
    officer, path = pages("officer"), f"/portal/requests/{request}"
    answer = officer.post(path + "/stop", accept="yes", reason="だいじな理由")
    assert answer.status_code == 422 and "だいじな理由" in answer.text
    answer = officer.post(path + "/stop", accept="yes", item="*", reason="だいじな理由")
    assert answer.status_code == 303
    assert "利用停止決定通知書" in officer.get(path + "/notice")
    with town.rooms.database.reading() as conn:
        assert queries.opted_out(conn, town.child)


def test_a_child_that_has_left_is_still_found(town: Town, pages: Pages) -> None:
    with town.rooms.log.unit_of_work() as unit:
        service.end_enrolment(
            unit, board=make.BOARD, student=town.child, class_id="sakura-1",
            on=town.rooms.clock.today(), actor="x",
        )  # fmt: skip
    officer = pages("officer")
    answer = officer.post("/portal/requests/new/disclosure", words="きざし こ1")
    assert town.child in answer.text and "在籍していない" in answer.text
    officer.get(f"/portal/requests/new/disclosure/{town.child}")
    assert officer.post("/portal/requests/new/disclosure", words="兆").status_code == 422


def test_time_and_withdrawal_through_the_page(town: Town, pages: Pages) -> None:
    request = town.asked("disclosure")
    officer, path = pages("officer"), f"/portal/requests/{request}"
    officer.get(path + "/notice", 404)
    answer = officer.post(path + "/time", what="extend", days="40", reason="わけ")
    assert answer.status_code == 422 and "延長は1回だけ" in answer.text
    assert officer.post(path + "/time", what="extend", days="10", reason="わけ").status_code == 303
    assert "期限の延長について" in officer.get(path + "/notice")
    assert officer.post(path + "/time", what="pause", days="2", reason="待ち").status_code == 303
    assert officer.post(path + "/take-back", reason="やめた").status_code == 303
    assert officer.post(path + "/take-back").status_code == 422
    assert officer.post(path + "/close").status_code == 422
    officer.get(path + "/notice", 404)


def test_pages_for_one_kind_are_not_there_for_another(town: Town, pages: Pages) -> None:
    correction, disclosure = town.asked("correction"), town.asked("disclosure")
    officer = pages("officer")
    officer.get(f"/portal/requests/{correction}/held", 404)
    officer.get(f"/portal/requests/{disclosure}/held/nothing", 404)
    officer.get("/portal/requests/nothing", 404)
    path = f"/portal/requests/{disclosure}"
    assert officer.post(path + "/correct", accept="no", reason="x").status_code == 422
    assert officer.post(path + "/decide", decision="file", as_of="x").status_code == 422
    assert officer.post(path + "/decide", decision="file", as_of="2026-05-11").status_code == 422
    assert officer.post(path + "/held", section="answers").status_code == 422
    assert officer.post(f"/portal/requests/new/stop/{town.child}").status_code == 422
    for login in ("homeroom", "nurse", "board"):
        pages(login).get("/portal/requests", 403)


def test_a_request_without_its_line_on_the_trail_is_not_taken_in(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a refusal in force then: the officer is told, and can say it again."""
    head = town.rooms.log.head(make.BOARD)
    running = town.asked("correction")

    def broken(*_: object) -> None:
        raise StorageUnavailable("the trail")

    monkeypatch.setattr(Trail, "write", broken)
    with pytest.raises(StorageUnavailable):
        town.asked("opt_out", asked_by="guardian")
    with pytest.raises(StorageUnavailable):
        town.rights.requests.take_back(town.who("officer"), running, "")
    assert town.rooms.log.head(make.BOARD) == head
    assert [view.row.id for view in town.rights.requests.inbox(town.who("officer"))] == [running]
