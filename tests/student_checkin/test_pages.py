"""The pages without script, asked as a plain browser would."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import httpx
import pytest

from tests import make
from tests.student_checkin.conftest import Town, check_in
from tests.student_checkin.test_api import CHECK_INS, stored
from warning_service.clock import MovableClock
from warning_service.events.types import NOT_KEPT
from warning_service.roster import tables as roster

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def fields(page: str) -> dict[str, str]:
    """The hidden fields of the page's form that sends something."""
    forms = [form.split("</form>", maxsplit=1)[0] for form in page.split("<form")[1:]]
    form = next((form for form in forms if 'name="id"' in form), forms[-1])
    found = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {name: html.unescape(value) for name, value in found}


def open_questions(tablet: httpx.Client, name: str = "kokoro_daily") -> dict[str, str]:
    page = tablet.get(f"/child/questionnaires/{name}")
    assert page.status_code == 200
    return fields(page.text)


def test_the_way_in_step_by_step(town: Town) -> None:
    with town.client() as tablet:
        assert tablet.get("/child").headers["location"] == "/child/sign-in"
        assert tablet.post("/child/sign-in", data={"code": "nowhere"}).status_code == 422
        grid = tablet.post("/child/sign-in", data={"code": f" {town.code} "}, follow_redirects=True)
        assert re.findall(r'/child/sign-in/[^"]+/(\d+)"', grid.text) == ["1", "2", "3", "4", "5"]
        assert "児1" not in grid.text  # no child's name stands at the door
        here = f"/child/sign-in/{town.code}/2"
        page = tablet.get(here)
        for pick in ("cat", "sun"):
            page = tablet.post(here, data={**fields(page.text), "pick": pick})
            assert page.status_code == 200
        home = tablet.post(here, data={**fields(page.text), "pick": "boat"}, follow_redirects=True)
        assert home.url.path == "/child"
        assert "児2" in home.text
        # The tablet knows its class from now on; the next child begins at the numbers.
        csrf = fields(home.text)["csrf"]
        turn = tablet.post("/child/sign-out", data={"csrf": csrf}, follow_redirects=True)
        assert turn.url.path == f"/child/sign-in/{town.code}"
        assert tablet.get("/child").status_code == 303


def test_wrong_pictures_are_told_kindly_then_slowed(town: Town, clock: MovableClock) -> None:
    here = f"/child/sign-in/{town.code}/1"
    wrong = {"chosen": "dog-dog", "pick": "dog"}
    with town.client() as tablet:
        statuses = [tablet.post(here, data=wrong).status_code for _ in range(6)]
        assert statuses == [422] * 5 + [429]
        right = {"chosen": "cat-sun", "pick": "boat"}
        slowed = tablet.post(here, data=right)
        assert slowed.status_code == 429
        wait = int(slowed.headers["retry-after"])
        assert f"{wait}びょう" in slowed.text
        clock.move_by(timedelta(seconds=wait))
        assert tablet.post(here, data=right).headers["location"] == "/child"


def test_another_site_cannot_sign_a_tablet_in(town: Town) -> None:
    with town.client() as tablet:
        answer = tablet.post(
            f"/child/sign-in/{town.code}/1",
            data={"chosen": "cat-sun", "pick": "boat"},
            headers={"Sec-Fetch-Site": "cross-site"},
        )
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_the_plain_form_stores_once_and_shows_what_arrived(town: Town) -> None:
    with town.client(seat=1) as tablet:
        form = {**open_questions(tablet), "q.mood": "3", "q.sleep": "skip", "q.body": "0"}
        path = "/child/questionnaires/kokoro_daily"
        for _ in range(2):  # pressed twice
            sent = tablet.post(path, data=form)
            assert sent.headers["location"] == f"/child/received/{form['id']}"
        assert "とどきました" in tablet.get(sent.headers["location"]).text
        changed = tablet.post(path, data={**form, "q.mood": "0"})
        assert changed.status_code == 409
        assert "なおしたものはとどいていません" in re.sub(
            "<r[tp]>[^<]*</r[tp]>|<[^>]+>", "", changed.text
        )
        nothing = tablet.post(path, data={"csrf": form["csrf"], "id": form["id"]})
        assert nothing.status_code == 422
        foreign = {**form, "csrf": "x"}
        assert tablet.post(path, data=foreign, headers={"X-Kizashi-CSRF": ""}).status_code == 403
        bad = tablet.post(path, data={**form, "id": "1"})
        assert bad.status_code == 422
    (event,) = stored(town)
    assert event.body.answers == {"mood": 3, "sleep": None, "body": 0}


def test_received_is_shown_only_for_ones_own_and_only_for_what_is_in_the_log(town: Town) -> None:
    with town.client(seat=1) as tablet, town.client(seat=2) as other:
        body = check_in(town.rooms)
        assert tablet.get(f"/child/received/{body['id']}").status_code == 404
        tablet.post(CHECK_INS, json=body)
        assert tablet.get(f"/child/received/{body['id']}").status_code == 200
        assert other.get(f"/child/received/{body['id']}").status_code == 404


def test_a_plain_call_for_help_that_cannot_be_stored_says_so_and_can_be_sent_again(
    town: Town,
) -> None:
    intake = town.rooms.intake
    with town.client(seat=1) as tablet:
        page = tablet.get("/child/consultation").text
        form = {**fields(page), "words": "きいてほしい\r\nことがある"}
        intake._queue_limit, intake._reserve, kept = 0, 0, intake._queue_limit
        late = tablet.post("/child/consultation", data=form)
        assert late.status_code == 503
        assert int(late.headers["retry-after"]) >= 1
        assert "0120-0-78310" in late.text
        assert "<h1>とどきました" not in late.text
        intake._queue_limit = kept
        again = tablet.post("/child/consultation", data={**fields(late.text), "csrf": form["csrf"]})
        assert again.headers["location"] == f"/child/received/{form['id']}"
        # This town has no staff yet: what the playbook ends with is told, and the child is told so.
        assert "教育委員会" in tablet.get(again.headers["location"]).text
    (event,) = stored(town)
    assert event.body.whom == ("anyone",)  # none was chosen: not a reason to send a child away
    assert town.rooms.sealer.open(event.student, event.body.sealed) == "きいてほしい\nことがある"


def test_what_is_asked_when(town: Town, clock: MovableClock) -> None:
    def due(tablet: httpx.Client) -> list[str]:
        return re.findall(r'data-questionnaire="(\w+)"', tablet.get("/child").text)

    with town.client(seat=1) as tablet:
        assert due(tablet) == ["kokoro_daily", "kokoro_monthly"]
        for name in due(tablet):
            tablet.post(CHECK_INS, json=check_in(town.rooms, questionnaire=name))
        assert due(tablet) == []
        done = tablet.get("/child/questionnaires/kokoro_daily").text
        assert 'name="q.mood"' not in done
        assert "5月11日(月)" in tablet.get("/child").text
    clock.move_by(timedelta(days=1))  # Tuesday
    with town.client(seat=1) as tablet:
        assert due(tablet) == ["kokoro_daily"]
    clock.move_by(timedelta(days=4))  # Saturday
    with town.client(seat=1) as tablet:
        assert due(tablet) == []
    clock.move_by(timedelta(days=20))  # a Friday in June
    with town.rooms.database.writing() as conn:
        conn.execute(
            roster.school_questionnaires.insert().values(
                school=make.SCHOOL, questionnaire="kokoro_monthly"
            )
        )
    with town.client(seat=1) as tablet:
        assert due(tablet) == ["kokoro_monthly"]


@pytest.mark.parametrize(
    ("grade", "shown"),
    [(1, "<ruby>今日<rp>(</rp><rt>きょう</rt>"), (3, "今日の気分はどうですか。")],
)
def test_furigana_goes_with_the_grade(town: Town, grade: int, shown: str) -> None:
    town.grade(grade)
    with town.client(seat=1) as tablet:
        assert shown in tablet.get("/child/questionnaires/kokoro_daily").text


def test_help_is_on_every_page_and_english_is_complete(town: Town) -> None:
    pages = ["/child", "/child/questionnaires/kokoro_daily", "/child/consultation"]
    doors = [
        "/child/sign-in?other=1",
        f"/child/sign-in/{town.code}",
        f"/child/sign-in/{town.code}/1",
    ]
    with town.client(seat=1) as tablet:
        for path in pages:
            assert 'href="/child/consultation"' in tablet.get(path).text, path
        tablet.cookies.set("lang", "en")
        japanese = re.compile("[ぁ-んァ-ヶ一-龠]")
        for path in [*pages, "/child/help", "/child/offline", "/child/sign-in?other=1"]:
            text = re.sub(r'日本語|child-name">[^<]*|Hello, [^<]*', "", tablet.get(path).text)
            text = re.sub(r"\w+年\d組", "", text)
            assert not japanese.search(text), (path, japanese.search(text))
    with town.client() as nobody:
        for path in doors:
            assert 'href="/child/help"' in nobody.get(path).text, path


def test_no_page_has_inline_script_or_style(town: Town) -> None:
    with town.client(seat=1) as tablet:
        for path in (
            "/child",
            "/child/questionnaires/kokoro_monthly",
            "/child/consultation",
            "/child/help",
        ):
            page = tablet.get(path)
            assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page.text), (
                path
            )
            assert page.headers["cache-control"] == "no-store"
        worker = tablet.get("/child/sw.js")
        assert worker.headers["service-worker-allowed"] == "/child"
        for file in re.findall(r'"([\w-]+\.(?:js|css|svg))"', worker.text):
            assert tablet.get(f"/static/child/{file}").status_code == 200, file


@pytest.mark.parametrize("value", ["sometimes", "-1", "9" * 5000, "７", "9"])
def test_what_is_no_choice_of_the_page_is_refused_and_not_taken_for_silence(
    town: Town, value: str
) -> None:
    with town.client(seat=1) as tablet:
        form = {**open_questions(tablet), "q.mood": value, "q.sleep": "skip", "q.body": "0"}
        sent = tablet.post("/child/questionnaires/kokoro_daily", data=form)
        assert sent.status_code == 422
    assert stored(town) == []


def test_a_call_is_heard_without_its_words_when_they_cannot_be_sealed(town: Town) -> None:
    from sqlalchemy import update

    from warning_service.roster.tables import student_secrets

    with town.client(seat=1) as tablet:
        form = {
            **fields(tablet.get("/child/consultation").text), "words": "きいてほしい",
            "about": "life",
        }  # fmt: skip
        with town.rooms.database.writing() as conn:  # a master key that is gone
            conn.execute(update(student_secrets).values(wrapped=b"not one of ours"))
        for _ in range(2):  # and sent again, because the answer was lost on the way
            sent = tablet.post("/child/consultation", data=form)
            assert sent.headers["location"] == f"/child/received/{form['id']}"
        page = tablet.get(sent.headers["location"]).text
        assert "とっておけませんでした" in page
    (event,) = stored(town)
    assert event.body.sealed == NOT_KEPT and event.body.about == ("life",)


def test_a_retry_is_the_same_call_when_its_words_cannot_be_opened_any_more(town: Town) -> None:
    from sqlalchemy import update

    from warning_service.roster.tables import student_secrets

    with town.client(seat=1) as tablet:
        form = {**fields(tablet.get("/child/consultation").text), "words": "きいてほしい"}
        assert tablet.post("/child/consultation", data=form).status_code == 303
        with town.rooms.database.writing() as conn:
            conn.execute(update(student_secrets).values(wrapped=b"not one of ours"))
        assert tablet.post("/child/consultation", data=form).status_code == 303
    (event,) = stored(town)
    assert event.body.sealed


def test_who_reads_is_said_before_it_is_sent_and_after(town: Town) -> None:
    from tests import make

    make.staff(town.rooms.database, "nurse", ("nurse", make.SCHOOL))
    make.staff(town.rooms.database, "head", ("management", make.SCHOOL))
    with town.client(seat=1) as tablet:
        page = tablet.get("/child/consultation").text
        assert 'value="nurse" data-reads="nurse"' in page
        assert 'value="homeroom" data-reads=""' in page and "いまはいません" in page
        assert 'data-life="nurse management"' in page and "校長先生" in page
        form = {**fields(page), "whom": "homeroom", "about": "life"}
        sent = tablet.post("/child/consultation", data=form)
        told = tablet.get(sent.headers["location"]).text
        names = re.sub(r"<rt>.*?</rt>|<[^>]+>", "", told.split('id="told"')[1].split("</ul>")[0])
        assert "保健室" in names and "校長先生" in names and "担任" not in names
