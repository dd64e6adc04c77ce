"""Disclosure: what is withheld and who agrees, and a file that does not tell of a call for help."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests import make
from tests.rights.conftest import Pages, Town, absent, approved, decided, file_of, moved
from warning_service.access.gateway import NotYours
from warning_service.access.tables import audit
from warning_service.rights.service import Refused
from warning_service.rights.tables import (
    family_requests,
    request_choices,
    request_links,
    request_steps,
)
from warning_service.rights.terms import Decision, State
from warning_service.roster.tables import student_secrets, students


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
    marked = {row.piece for row in make.rows(town.rooms.database, request_choices)}
    assert marked == {"school"} and disclosures.look(view).count("school") == (1, 0)


def test_what_came_after_the_look_is_not_in_the_file(town: Town) -> None:
    request = town.asked("disclosure", asked_by="self")
    town.consultation(town.child, "nurse", words="まえのことば")
    decided(town, request)
    moved(town, minutes=5)
    absent(town)
    town.consultation(town.child, "nurse", words="あとのことば")
    town.rights.disclosures.approve(town.who("board"), request)
    html, told = file_of(town, request)
    assert "まえのことば" in html and "あとのことば" not in html and "欠席" not in html
    assert "お答えしません" not in html
    assert told["format"] == "kizashi-disclosure-1"
    stored = str(make.rows(town.rooms.database, request_steps)) + str(
        make.rows(town.rooms.database, request_choices)
    )
    assert "まえのことば" not in stored


def test_a_file_says_the_same_whether_a_child_asked_for_help_or_not(
    town: Town, pages: Pages
) -> None:
    quiet, asked = town.children["sakura-1"][0], town.children["sakura-1"][2]
    alert = town.alert(asked, "nurse", words="ことば")
    make.staff(town.rooms.database, "office", ("welfare", make.BOARD))
    nurse, head, office = pages("nurse"), pages("head"), pages("office")
    nurse.get(f"/portal/students/{asked}")
    nurse.get(f"/portal/alerts/{alert}")
    nurse.post(
        f"/portal/follow-up/{asked}", action="talked", change="better", note="話せた",
        alert_id=alert,
    )  # fmt: skip
    answer = head.post(f"/portal/students/{asked}/hand-over", ground="help", reason="しんぱい")
    assert answer.status_code == 303
    office.get("/portal/cases")
    office.get(f"/portal/students/{asked}")
    answer = office.post(f"/portal/follow-up/{asked}", action="home", change="same", note="訪問")
    assert answer.status_code == 303
    nurse.get(f"/portal/students/{quiet}")
    nurse.get("/portal/classes/sakura-1")
    texts = []
    for student, number in ((quiet, 1), (asked, 3)):
        request = town.asked("disclosure", student=student)
        approved(town, request)
        html, told = file_of(town, request)
        text = html + json.dumps(told, ensure_ascii=False)
        view = town.rights.requests.one(town.who("officer"), request)
        with town.rooms.database.reading() as conn:
            query = select(students.c.home).where(students.c.student == student)
            home = conn.execute(query).scalar_one()
        # What is each child's own: name, reading, number, household, seat, keys, and the reference.
        for own in (
            f"兆 児{number}", f"きざし こ{number}", f"h-sakura-1-{number}", f"sakura-1/{number}",
            f"1組 {number}番", student, home, view.reference,
        ):  # fmt: skip
            assert own in text
            text = text.replace(own, "…")
        texts.append(text)
    assert "あるかないかも含めて" in texts[0] and "学級の一覧を見た" in texts[0]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("ground", ["support", "help"])
def test_the_traces_of_a_hand_over_do_not_tell_its_ground(
    town: Town, pages: Pages, ground: str
) -> None:
    make.staff(town.rooms.database, "office", ("welfare", make.BOARD))
    path = f"/portal/students/{town.child}"
    pages("head").post(f"{path}/hand-over", ground=ground, reason="しんぱい")
    office = pages("office")
    office.get(path)
    office.post(f"/portal/follow-up/{town.child}", action="home", change="same", note="訪問")
    office.post(f"{path}/hand-over", ground=ground, reason="x")  # refused: no duty, but welfare's
    pages("head").post(f"{path}/take-back")
    request = town.asked("disclosure")
    approved(town, request)
    _, told = file_of(town, request)
    shown = {s["id"]: s["records"] for s in told["sections"]}
    assert shown["follow_up"] == [] and len(shown["departments"]) == (ground == "support")
    by = {p["text"] for r in shown["looks"] for p in r["parts"] if p["name"] == "by"}
    assert by and not any("福祉" in one for one in by)
    assert not any("引き継" in r["title"] or "ケース" in r["title"] for r in shown["looks"])


def test_sealed_words_are_never_opened_by_one_officer_alone(town: Town, pages: Pages) -> None:
    town.alert(town.child, "nurse", words="ちちがこわい")
    disclosures, requests = town.rights.disclosures, town.rights.requests
    request = town.asked("disclosure")
    view = requests.one(town.who("officer"), request)
    with pytest.raises(Refused) as error:
        disclosures.mark(town.who("officer"), request, ["consultation"], "")
    assert error.value.field == "note"
    disclosures.mark(town.who("officer"), request, ["consultation"], "", "本人がのぞんだ")
    assert [line.note for line in disclosures.opened(view)] == ["本人がのぞんだ"]
    assert decided(town, request, reason="") is Decision.FULL
    assert requests.one(town.who("officer"), request).state is State.WAITING
    assert disclosures.link(view) is None
    shown = pages("board").get(f"/portal/approvals/{request}")
    assert "はじめから不開示のもののうち" in shown and "本人がのぞんだ" in shown
    disclosures.approve(town.who("board"), request)
    assert "ちちがこわい" in file_of(town, request)[0]
    own = town.asked("disclosure", asked_by="self")
    assert decided(town, own, reason="") is Decision.FULL
    assert requests.one(town.who("officer"), own).state is State.WAITING
    assert "本人が請求しているため" in pages("board").get(f"/portal/approvals/{own}")


def test_the_approver_and_the_notice_are_told_of_what_has_a_default_ground(town: Town) -> None:
    town.warning_list([town.child])
    officer, disclosures = town.who("officer"), town.rights.disclosures
    request = town.asked("disclosure")
    view = town.rights.requests.one(officer, request)

    def lines() -> list[tuple[str, str]]:
        return [(one.section, one.what) for one in disclosures.withheld(view)]

    assert lines() == [("相談", ""), ("リストと根拠", "そのとき支援があったか")]
    with pytest.raises(Refused):
        disclosures.mark(officer, request, ["lists"], "")
    disclosures.mark(officer, request, ["lists"], "", "なにもない")
    assert lines() == [("相談", "")]
    (record,) = disclosures.look(view).of("lists")
    rules = disclosures.look(view).rules
    assert rules.opens(f"{record.piece}/supported", [record]) and rules.opens(
        record.piece, [record]
    )
    assert not rules.opens(f"{record.piece}/rank", [record]) and not rules.opens("school", [record])


def test_a_boards_approver_who_heads_another_school_is_refused_nothing(
    town: Town, pages: Pages
) -> None:
    make.staff(town.rooms.database, "two", ("board", make.BOARD), ("management", "school2"))
    request = town.asked("disclosure")
    decided(town, request)
    assert "子どもの名前は表示しません" in pages("two").get(f"/portal/approvals/{request}")
    rows = [r for r in make.rows(town.rooms.database, audit) if r.actor == "staff-two"]
    assert [r.action for r in rows] == ["request_approval"]


def test_a_leave_ends_by_itself(town: Town) -> None:
    request = town.asked("disclosure", asked_by="self")
    with pytest.raises(Refused):
        town.rights.disclosures.make(town.who("officer"), request, "x")
    approved(town, request)
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


def test_a_step_without_its_line_on_the_trail_is_not_taken(town: Town) -> None:
    """Marks, decisions, answers of the second person, leaves and files: all or nothing."""
    absent(town)
    marked, waiting = town.asked("disclosure"), town.asked("disclosure")
    officer, board = town.who("officer"), town.who("board")
    disclosures, requests = town.rights.disclosures, town.rights.requests
    decided(town, waiting)
    ready = town.asked("disclosure")
    approved(town, ready)
    link = disclosures.link(requests.one(officer, ready))
    assert link is not None
    kept = [family_requests, request_choices, request_links, request_steps]

    def stored() -> list[list[tuple[object, ...]]]:
        return [
            sorted(map(tuple, make.rows(town.rooms.database, table)), key=str) for table in kept
        ]

    before = stored()
    with make.no_trail(town.rooms.database):
        steps: list[Callable[[], object]] = [
            lambda: disclosures.mark(officer, marked, ["school"], "harm", "わけ"),
            lambda: decided(town, marked),
            lambda: disclosures.approve(board, waiting),
            lambda: disclosures.send_back(board, waiting, "広すぎる"),
            lambda: disclosures.renew(officer, ready, "取りに来なかった"),
            lambda: disclosures.make(officer, ready, link.id),
        ]
        for step in steps:
            with pytest.raises(make.NO_TRAIL):
                step()
            assert stored() == before
    assert disclosures.make(officer, ready, link.id)
