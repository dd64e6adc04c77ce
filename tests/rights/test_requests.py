"""Terms, reach, the second person, corrections and stops that count."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import date, timedelta
from typing import Any

import pytest

from teacher_portal.queries import observations
from tests import make
from tests.rights.conftest import Pages, Town
from warning_service.access.gateway import NotYours
from warning_service.access.tables import audit
from warning_service.clock import MovableClock
from warning_service.events.log import of_student
from warning_service.events.types import (
    NewEvent,
    ObservationCorrected,
    ObservationRecorded,
    UseStopped,
    new_id,
    tag_of,
)
from warning_service.playbooks.sharing import Side
from warning_service.rights.amend import EVERYTHING, stopped_of
from warning_service.rights.service import LONGEST_TEXT, Refused
from warning_service.rights.tables import (
    family_requests,
    request_choices,
    request_corrections,
    request_steps,
)
from warning_service.rights.terms import Decision, State
from warning_service.roster import queries, service
from warning_service.roster.tables import student_secrets


def moved(town: Town, **by: int) -> None:
    clock = town.rooms.clock
    assert isinstance(clock, MovableClock)
    clock.move_by(timedelta(**by))


def absent(town: Town, value: float = 1.0, item: str = "absent_days") -> str:
    event = NewEvent(
        id=new_id(), board=make.BOARD, student=town.child, on=town.rooms.clock.today(),
        actor="system:import",
        body=ObservationRecorded(item=item, value=value, source="attendance"),
    )  # fmt: skip
    make.append(town.rooms.log, event)
    return event.id


def events(town: Town, *kinds: Any) -> list[Any]:
    with town.rooms.database.reading() as conn:
        return [e.body for e in of_student(conn, town.child, [tag_of(k) for k in kinds])]


def decided(town: Town, request: str, decision: str = "file", reason: str = "りゆう") -> Decision:
    return town.rights.disclosures.decide(
        town.who("officer"), request, decision, as_of=town.rooms.clock.now(), reason=reason
    )


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


# -- disclosure ------------------------------------------------------------------------------------


def test_only_another_person_who_may_approves(town: Town) -> None:
    request = town.asked("disclosure")
    make.staff(town.rooms.database, "both", ("privacy", make.BOARD), ("management", make.SCHOOL))
    disclosures, requests = town.rights.disclosures, town.rights.requests
    disclosures.decide(
        town.who("both"), request, "none", as_of=town.rooms.clock.now(), reason="りゆう"
    )
    for login in ("both", "officer", "head2", "nurse"):
        with pytest.raises(NotYours):
            disclosures.approve(town.who(login), request)
        assert requests.waiting(town.who(login)) == []
    assert [v.row.id for v in requests.waiting(town.who("board"))] == [request]
    disclosures.approve(town.who("head"), request)
    view = requests.one(town.who("officer"), request)
    assert view.state is State.DECIDED and view.row.approved_by == "staff-head"
    assert disclosures.link(view) is None  # nothing is given, so there is no file
    with pytest.raises(NotYours):
        disclosures.approve(town.who("board"), request)
    with pytest.raises(Refused):
        disclosures.renew(town.who("officer"), request, "x")


def test_the_boards_approver_sees_reasons_and_no_name(town: Town, pages: Pages) -> None:
    request = town.asked("disclosure")
    decided(town, request)
    board, head2 = pages("board"), pages("head2")
    shown = board.get(f"/portal/approvals/{request}")
    assert "兆 児1" not in shown and "子どもの名前は表示しません" in shown and "りゆう" in shown
    assert "第78条第1項第1号" in shown
    head2.get(f"/portal/approvals/{request}", 404)
    answer = board.post(f"/portal/approvals/{request}", agree="no", reason="")
    assert answer.status_code == 422 and "理由を書いてください" in answer.text
    answer = board.post(f"/portal/approvals/{request}", agree="no", reason="広すぎる")
    assert answer.status_code == 303
    view = town.rights.requests.one(town.who("officer"), request)
    assert view.state is State.OPEN and view.row.decision == "" and view.row.as_of is None
    assert town.rights.requests.history(view)[-1].words == "広すぎる"


def test_a_decision_needs_a_fresh_look_and_a_reason_for_what_is_withheld(town: Town) -> None:
    request = town.asked("disclosure")
    officer, now = town.who("officer"), town.rooms.clock.now()
    decide = town.rights.disclosures.decide
    for decision, as_of, reason, field in (
        ("file", now + timedelta(minutes=1), "x", "as_of"),
        ("file", now - timedelta(days=1), "x", "as_of"),
        ("nothing", now, "x", "decision"),
        ("file", now, "", "reason"),
    ):
        with pytest.raises(Refused) as error:
            decide(officer, request, decision, as_of=as_of, reason=reason)
        assert error.value.field == field
    other = town.asked("correction")
    with pytest.raises(Refused):
        decide(officer, other, "file", as_of=now, reason="x")


def test_marks_are_checked_and_a_wider_one_replaces_the_narrower(town: Town) -> None:
    absent(town)
    request = town.asked("disclosure")
    officer, disclosures = town.who("officer"), town.rights.disclosures
    view = town.rights.requests.one(officer, request)
    (record,) = disclosures.look(view).of("school")
    for pieces, ground, note, field in (
        ([], "harm", "x", "pieces"),
        (["school"], "nothing", "x", "ground"),
        (["school"], "harm", "", "note"),
        (["nothing"], "harm", "x", "pieces"),
        (["school/nothing"], "harm", "x", "pieces"),
        ([f"{record.piece}/a/b"], "harm", "x", "pieces"),
    ):
        with pytest.raises(Refused) as error:
            disclosures.mark(officer, request, pieces, ground, note)
        assert error.value.field == field
    disclosures.mark(officer, request, [f"{record.piece}/value", record.piece], "conduct", "わけ")
    assert disclosures.look(view).count("school") == (1, 1)
    lines = disclosures.withheld(view)
    assert any(line.what.endswith("値") and line.note == "わけ" for line in lines)
    disclosures.mark(officer, request, ["school"], "")
    pieces = {row.piece for row in make.rows(town.rooms.database, request_choices)}
    assert pieces == {"school"} and disclosures.look(view).count("school") == (1, 0)


def test_what_came_after_the_look_is_not_in_the_file(town: Town) -> None:
    request = town.asked("disclosure", asked_by="self")
    town.consultation(town.child, "nurse", words="まえのことば")
    decided(town, request)
    moved(town, minutes=5)
    absent(town)
    town.consultation(town.child, "nurse", words="あとのことば")
    officer = town.who("officer")
    view = town.rights.requests.one(officer, request)
    link = town.rights.disclosures.link(view)
    assert link is not None
    made = town.rights.disclosures.make(officer, request, link.id)
    with zipfile.ZipFile(io.BytesIO(made)) as packed:
        html, told = packed.read("kaiji.html").decode(), json.loads(packed.read("kaiji.json"))
    assert "まえのことば" in html and "あとのことば" not in html and "欠席" not in html
    assert "お答えしません" not in html
    assert told["format"] == "kizashi-disclosure-1"
    stored = str(make.rows(town.rooms.database, request_steps)) + str(
        make.rows(town.rooms.database, request_choices)
    )
    assert "まえのことば" not in stored


def test_a_file_says_the_same_whether_a_child_asked_for_help_or_not(town: Town) -> None:
    quiet, asked = town.children["sakura-1"][1], town.children["sakura-1"][2]
    alert = town.alert(asked, "nurse", words="ことば")
    town.rooms.follow_ups.record(
        town.who("nurse"), asked, "talked", "better", "話せた", alert_id=alert
    )
    texts = []
    for student in (quiet, asked):
        request = town.asked("disclosure", student=student)
        decided(town, request)
        town.rights.disclosures.approve(town.who("board"), request)
        officer = town.who("officer")
        link = town.rights.disclosures.link(town.rights.requests.one(officer, request))
        assert link is not None
        made = town.rights.disclosures.make(officer, request, link.id)
        with zipfile.ZipFile(io.BytesIO(made)) as packed:
            told = json.loads(packed.read("kaiji.json"))
        texts.append(
            {
                section["id"]: (section["silent"], [r["title"] for r in section["records"]])
                for section in told["sections"]
                if section["id"] in ("consultation", "alerts", "follow_up", "looks", "departments")
            }
        )
    assert texts[0] == texts[1]
    assert all("あるかないかも含めて" in silent for silent, _ in texts[0].values())


def test_a_leave_ends_by_itself(town: Town) -> None:
    request = town.asked("disclosure", asked_by="self")
    with pytest.raises(Refused):
        town.rights.disclosures.make(town.who("officer"), request, "x")
    decided(town, request)
    moved(town, days=15)
    officer = town.who("officer")
    link = town.rights.disclosures.link(town.rights.requests.one(officer, request))
    assert link is not None
    with pytest.raises(Refused):
        town.rights.disclosures.make(officer, request, link.id)
    town.rights.disclosures.renew(officer, request, "取りに来なかった")
    newer = town.rights.disclosures.link(town.rights.requests.one(officer, request))
    assert newer is not None and newer.id != link.id
    assert town.rights.disclosures.make(officer, request, newer.id)[:2] == b"PK"


def test_a_note_whose_key_is_gone_says_so(town: Town) -> None:
    town.rooms.follow_ups.record(town.who("nurse"), town.child, "talked", "better", "話せた")
    request = town.asked("disclosure", asked_by="self")
    officer, disclosures = town.who("officer"), town.rights.disclosures
    view = town.rights.requests.one(officer, request)
    note = next(p for r in disclosures.look(view).of("follow_up") for p in r.parts if p.sealed)
    assert disclosures.text(view, note) == "話せた"
    with town.rooms.database.writing() as conn:
        conn.execute(student_secrets.delete())
    assert "開けません" in str(disclosures.text(view, note))


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
