"""The way through the pages of somebody who does this twice a year."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import timedelta

from tests import make
from tests.rights.conftest import Pages, Town, decided, moved
from warning_service.clock import MovableClock
from warning_service.rights.tables import family_requests
from warning_service.rights.terms import State
from warning_service.roster import queries


def opted_out(town: Town, student: str) -> bool:
    with town.rooms.database.reading() as conn:
        return queries.opted_out(conn, student)


def received(town: Town) -> str:
    return str(make.rows(town.rooms.database, family_requests)[-1].id)


def test_a_refusal_is_found_recorded_and_in_force(town: Town, pages: Pages) -> None:
    officer = pages("officer")
    assert "対応中の申し出はありません" in officer.get("/portal/requests")
    assert "記録した瞬間に有効" in officer.get("/portal/requests/new")
    answer = officer.post("/portal/requests/new/opt_out", words="児1", school="sakura")
    assert town.child in answer.text and town.children["school2-1"][0] not in answer.text
    path = f"/portal/requests/new/opt_out/{town.child}"
    assert "相談と、いのちにかかわる回答は、いままでと同じ先生に届きます" in officer.get(path)
    today = town.rooms.clock.today().isoformat()
    fields = {"asked_by": "guardian", "received_on": today, "wish": "電話のあと"}
    answer = officer.post(path, **fields)
    assert answer.status_code == 422 and "電話のあと" in answer.text
    assert not opted_out(town, town.child)
    answer = officer.post(path, identity="known", **fields)
    assert answer.status_code == 303 and opted_out(town, town.child)
    shown = officer.get(answer.headers["location"])
    assert "記録しました" in shown and "電話のあと" in shown and "すぐに有効" in shown
    notice = officer.get(answer.headers["location"].split("?")[0] + "/notice")
    assert "不同意書を受け付けました" in notice and "相談できます" in notice
    answer = officer.post(
        f"/portal/requests/new/withdrawal/{town.child}",
        asked_by="self", identity="photo_id", received_on=today,
    )  # fmt: skip
    assert answer.status_code == 303 and not opted_out(town, town.child)


def test_a_disclosure_from_receipt_to_the_file(town: Town, pages: Pages) -> None:
    words = "だれにも言わないで"
    town.consultation(town.child, "nurse", words=words)
    town.raise_alerts()
    make.append(town.rooms.log, make.check_in(town.child, town.rooms.clock, mood=2))
    request = town.asked("disclosure")
    path = f"/portal/requests/{request}"
    officer, head = pages("officer"), pages("head")
    assert "あと30日" in officer.get("/portal/requests")
    held = officer.get(path + "/held")
    assert "まとめて不開示" in held and words not in held
    assert words not in officer.get(path + "/held/consultation")
    assert "気分" in officer.get(path + "/held/answers")
    answer = officer.post(path + "/held", piece="answers", ground="third_party", note="")
    assert answer.status_code == 422 and "なぜ不開示にするのか" in answer.text
    answer = officer.post(
        path + "/held", piece="answers", ground="third_party", note="弟のこと", section="answers"
    )
    assert answer.headers["location"] == f"{path}/held/answers?page=1&saved=rq_done"
    shown = officer.get(path)
    assert "しるしのとおり、一部をのぞいて開示する" in shown
    as_of = re.search(r'name="as_of" value="([^"]+)"', shown)
    assert as_of is not None
    fields = {"decision": "file", "as_of": as_of.group(1)}
    answer = officer.post(path + "/decide", reason="", **fields)
    assert answer.status_code == 422 and "理由を書いてください" in answer.text
    assert officer.post(path + "/decide", reason="ほかの人のこと", **fields).status_code == 303
    assert "承認を待っています" in officer.get(path)
    officer.get("/portal/approvals", 403)
    assert request in head.get("/portal/approvals")
    asked = head.get(f"/portal/approvals/{request}")
    assert "弟のこと" in asked and words not in asked and "児1" in asked
    assert head.post(f"/portal/approvals/{request}", agree="yes").status_code == 303
    decided = officer.get(path)
    link = re.search(rf'href="({path}/file/[^"]+)"', decided)
    assert link is not None
    notice = officer.get(path + "/notice")
    assert "一部開示決定通知書" in notice and "審査請求" in notice and "弟のこと" not in notice
    assert "1回だけ作れます" in officer.get(link.group(1))
    answer = officer.post(link.group(1))
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"] == 'attachment; filename="kaiji.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.namelist() == ["kaiji.html", "kaiji.json"]
        html = packed.read("kaiji.html").decode()
        told = json.loads(packed.read("kaiji.json"))
    assert "兆 児1" in html and words not in html and "弟のこと" not in html
    assert "あるかないかも含めて" in html and "不開示(理由: 第78条第1項第2号" in html
    assert "src=" not in html and "http" not in html
    assert [s["id"] for s in told["sections"]][:2] == ["registration", "answers"]
    again = officer.post(link.group(1))
    assert again.status_code == 422 and "もう作られた" in again.text
    assert officer.post(path + "/renew", reason="").status_code == 422
    assert officer.post(path + "/renew", reason="こわれた").status_code == 303
    assert officer.post(path + "/close").headers["location"].startswith("/portal/requests?")
    assert request in officer.get("/portal/requests?ended=true")


def test_the_file_asks_for_a_fresh_second_factor(town: Town, pages: Pages) -> None:
    request = town.asked("disclosure", asked_by="self")
    officer = pages("officer")
    as_of = town.rooms.clock.now().isoformat()
    answer = officer.post(f"/portal/requests/{request}/decide", decision="file", as_of=as_of)
    assert answer.status_code == 303
    town.rights.disclosures.approve(town.who("board"), request)
    shown = officer.get(f"/portal/requests/{request}")
    link = re.search(r'href="(/portal/requests/[^"]+/file/[^"]+)"', shown)
    assert link is not None
    clock = town.rooms.clock
    assert isinstance(clock, MovableClock)
    clock.move_by(timedelta(minutes=25))
    for path in (f"/portal/requests/{request}/held", f"/portal/requests/{request}/held/answers"):
        officer.get(path, 303)
    answer = officer.post(f"/portal/requests/{request}/held", piece="answers", ground="harm")
    assert answer.status_code == 401
    answer = officer.post(link.group(1))
    assert answer.status_code != 200 and "content-disposition" not in answer.headers
    view = town.rights.requests.one(town.who("officer"), request)
    leave = town.rights.disclosures.link(view)
    assert leave is not None and leave.used_at is None


def test_every_step_of_a_disclosure_asks_again_who_it_is(town: Town, pages: Pages) -> None:
    fresh, waiting, agreed = (town.asked("disclosure") for _ in range(3))
    for request in (waiting, agreed):
        decided(town, request)
    town.rights.disclosures.approve(town.who("board"), agreed)
    officer, head = pages("officer"), pages("head")
    as_of = town.rooms.clock.now().isoformat()
    assert 'value="no_answer"' in officer.get(f"/portal/requests/{fresh}")
    moved(town, minutes=6)
    shown = officer.get(f"/portal/requests/{fresh}")
    assert 'value="no_answer"' not in shown and "先に本人の確認をしてください" in shown
    assert f"/portal/confirm?next=/portal/requests/{fresh}" in shown
    steps = [
        (
            officer,
            f"/portal/requests/{fresh}/decide",
            {"decision": "none", "as_of": as_of, "reason": "x"},
        ),
        (officer, f"/portal/requests/{agreed}/renew", {"reason": "x"}),
        (head, f"/portal/approvals/{waiting}", {"agree": "yes"}),
        (head, f"/portal/approvals/{waiting}", {"agree": "no", "reason": "x"}),
    ]
    for page, path, fields in steps:
        answer = page.post(path, **fields)
        assert answer.status_code == 401 and "本人の確認" in answer.text, path
    looks = [(head, f"/portal/approvals/{waiting}"), (officer, f"/portal/trail/child/{town.child}")]
    for page, path in looks:
        page.get(path, 303)
    states = {view.row.id: view.state for view in town.rights.requests.inbox(town.who("officer"))}
    assert states == {fresh: State.OPEN, waiting: State.WAITING, agreed: State.DECIDED}
    assert head.get("/portal/approvals").count(waiting) >= 1  # the list names nobody


def test_who_looked_tells_no_more_of_help_than_the_file(town: Town, pages: Pages) -> None:
    quiet, asked = town.children["sakura-1"][1], town.child
    alert = town.alert(asked, "nurse", words="ちちがこわい")
    make.staff(town.rooms.database, "office", ("welfare", make.BOARD))
    nurse, office, officer = pages("nurse"), pages("office"), pages("officer")
    nurse.get(f"/portal/alerts/{alert}")
    nurse.post(f"/portal/follow-up/{asked}", action="talked", change="better", alert_id=alert)
    pages("head").post(f"/portal/students/{asked}/hand-over", ground="help", reason="しんぱい")
    office.get(f"/portal/students/{asked}")
    for student in (quiet, asked):
        nurse.get(f"/portal/students/{student}")

    def told(student: str, query: str = "") -> str:
        page = officer.get(f"/portal/trail/child/{student}{query}").split("<h1>")[1]
        return page.replace(student, "…").replace("児1", "…").replace("児2", "…")

    assert told(quiet) == told(asked)
    assert "あったかなかったかも含めて" in told(quiet) and "のべ2回" not in told(asked, "?x=1")
    request = town.asked("disclosure", asked_by="self")
    as_of = town.rooms.clock.now()
    town.rights.disclosures.decide(town.who("officer"), request, "file", as_of=as_of)
    assert "相談を読みました" not in told(asked, f"?asked={request}")
    town.rights.disclosures.approve(town.who("board"), request)
    assert f"?asked={request}" in officer.get(f"/portal/requests/{request}")
    whole = told(asked, f"?asked={request}")
    assert "福祉・こども家庭センターへ引き継ぎました" in whole and "含めて、ここには" not in whole
    assert "引き継ぎました" not in told(asked)
    assert "福祉" not in told(quiet, f"?asked={request}").split('class="notice plain"')[0]
    officer.get(f"/portal/trail/child/{asked}?asked=nothing", 404)


def test_who_looked_at_the_child_is_one_click_from_the_request(town: Town, pages: Pages) -> None:
    request = town.asked("stop")
    officer = pages("officer")
    inbox = officer.get("/portal/requests")
    opened = re.search(rf'href="(/portal/requests/{request})"', inbox)
    assert opened is not None
    link = re.search(r'href="(/portal/trail/child/[^"?]+)"', officer.get(opened.group(1)))
    assert link is not None and link.group(1).endswith(town.child)
    page = officer.get(link.group(1))
    assert "児1" in page and "だれが見たか" in page
    assert "data-print" in page and "/static/portal/print.js" in page
    found = officer.post("/portal/requests/new/disclosure", words="児1", school="sakura").text
    assert f'href="/portal/trail/child/{town.child}"' in found
