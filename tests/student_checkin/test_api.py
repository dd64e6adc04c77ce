"""The two addresses: what is taken, what is refused by name, and that "received" is never a lie."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from student_checkin.bodies import MOST_BYTES
from tests import make
from tests.student_checkin.conftest import Town, check_in, consultation
from warning_service.clock import MovableClock
from warning_service.database import Database
from warning_service.events.log import from_row
from warning_service.events.tables import events
from warning_service.events.types import CheckInSubmitted, ConsultationRequested
from warning_service.roster.service import set_opt_out

CHECK_INS = "/child/api/check-ins"
CONSULTATIONS = "/child/api/consultations"


def stored(town: Town) -> list[Any]:
    """What children sent, as the log holds it."""
    found = [from_row(row) for row in make.rows(town.rooms.database, events)]
    return [e for e in found if isinstance(e.body, CheckInSubmitted | ConsultationRequested)]


def test_an_answer_is_stored_once_however_often_it_is_sent(town: Town) -> None:
    with town.client(seat=2) as tablet:
        body = check_in(town.rooms)
        for _ in range(3):
            answer = tablet.post(CHECK_INS, json=body)
            assert (answer.status_code, answer.json()) == (202, {"received": body["id"]})
    (event,) = stored(town)
    assert event.student == town.children[1]
    assert (event.id, event.actor, event.on) == (body["id"], "child", town.rooms.clock.today())
    assert event.body.answers == {"mood": 1, "sleep": None, "body": 0}


def test_a_late_answer_belongs_to_the_japanese_day_on_which_it_was_given(
    town: Town, clock: MovableClock
) -> None:
    before = clock.now() - timedelta(days=2, hours=9, minutes=1)  # 23:59 in Japan, three days back
    with town.client(seat=1) as tablet:
        tablet.post(CHECK_INS, json=check_in(town.rooms, answered_at=before.isoformat()))
    (event,) = stored(town)
    assert event.on == clock.today() - timedelta(days=3)


def test_the_same_id_with_other_answers_is_a_conflict(town: Town) -> None:
    with town.client(seat=1) as tablet, town.client(seat=2) as other:
        body = check_in(town.rooms)
        assert tablet.post(CHECK_INS, json=body).status_code == 202
        changed = {**body, "answers": {"mood": 3}}
        assert tablet.post(CHECK_INS, json=changed).status_code == 409
        assert other.post(CHECK_INS, json=body).status_code == 409  # another child, the same id
    assert len(stored(town)) == 1


SOON = timedelta(minutes=6)
LONG_AGO = timedelta(days=14, minutes=1)
REFUSED = [
    ({"student": "someone-else"}, 422, "student"),
    ({"id": "3f2b8c1e-0000-4000-8000-000000000000"}, 422, "id"),
    ({"id": ...}, 422, "id"),
    ({"id": 7}, 422, "id"),
    ({"questionnaire": "consultation"}, 422, "questionnaire"),
    ({"questionnaire": "../secrets"}, 422, "questionnaire"),
    ({"version": 2}, 422, "version"),
    ({"version": "1"}, 422, "version"),
    ({"answers": {}}, 422, "answers"),
    ({"answers": {"mood": "1"}}, 422, "answers"),
    ({"answers": {"mood": True}}, 422, "answers"),
    ({"answers": {"mood": 4}}, 422, "answers.mood"),
    ({"answers": {"hunger": 1}}, 422, "answers"),
    ({"answered_at": "2026-05-11T09:00:00"}, 422, "answered_at"),
    ({"answered_at": "yesterday"}, 422, "answered_at"),
    ({"answered_at": SOON}, 422, "answered_at"),
    ({"answered_at": -LONG_AGO}, 422, "answered_at"),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_cannot_be_taken_is_refused_by_name_and_not_stored(town: Town) -> None:
    with town.client(seat=1) as tablet:
        for changes, status, field in REFUSED:
            given = {
                key: (town.rooms.clock.now() + v).isoformat() if isinstance(v, timedelta) else v
                for key, v in changes.items()
            }
            answer = tablet.post(CHECK_INS, json=check_in(town.rooms, **given))
            assert answer.status_code == status, (changes, answer.text)
            error = answer.json()["error"]
            assert error["field"] == field, (changes, error)
            assert error["message"] and error["message_en"].isascii()
        edges = (SOON - timedelta(minutes=1), timedelta(minutes=2) - LONG_AGO)
        for edge in edges:
            at = (town.rooms.clock.now() + edge).isoformat()
            assert tablet.post(CHECK_INS, json=check_in(town.rooms, answered_at=at)).is_success
    assert len(stored(town)) == len(edges)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_body_and_its_bearer_are_checked_before_anything_else(town: Town) -> None:
    good = json.dumps(check_in(town.rooms)).encode()
    kind = {"Content-Type": "application/json"}

    def status(client: httpx.Client, content: Any, headers: dict[str, str]) -> tuple[int, str]:
        answer = client.post(CHECK_INS, content=content, headers=headers)
        return answer.status_code, answer.json()["error"]["field"]

    with town.client() as nobody, town.client(seat=1) as tablet:
        assert status(nobody, good, kind) == (401, "session")
        assert status(tablet, good, {"Content-Type": "text/plain"}) == (415, "content-type")
        assert status(tablet, good, {**kind, "X-Kizashi-CSRF": "x"}) == (403, "x-kizashi-csrf")
        assert status(tablet, b"{" + good, kind) == (400, "body")
        assert status(tablet, b"\xff\xfe", kind) == (400, "body")
        assert status(tablet, good + b" " * MOST_BYTES, kind) == (413, "body")
        pieces = (b" " * 1000 for _ in range(40))  # chunked: no length to look at
        assert status(tablet, pieces, kind) == (413, "body")
        answer = tablet.post(CHECK_INS, content=good, headers=kind)
        assert answer.status_code == 202
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        tablet.post("/child/sign-out", headers={"Accept": "text/html"})
        assert status(tablet, good, kind) == (401, "session")  # at once, though it was remembered


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_questions_of_another_grade_are_refused(town: Town) -> None:
    town.grade(3)
    body = check_in(town.rooms, questionnaire="kokoro_monthly", answers={"vanish": 2})
    with town.client(seat=1) as tablet:
        answer = tablet.post(CHECK_INS, json=body)
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "answers.vanish")
    assert stored(town) == []


def test_words_are_sealed_and_a_retry_of_them_counts_once(town: Town, database: Database) -> None:
    canary = "だれにも いえない ことが あります xyzzy-canary"
    with town.client(seat=3) as tablet:
        body = consultation(town.rooms, words=canary)
        for _ in range(2):  # sealed anew each time, and still the same call for help
            assert tablet.post(CONSULTATIONS, json=body).status_code == 202
        other = {**body, "words": canary + "!"}
        assert tablet.post(CONSULTATIONS, json=other).status_code == 409
        refused = tablet.post(CONSULTATIONS, json=consultation(town.rooms, whom=["stranger"]))
        assert (refused.status_code, refused.json()["error"]["field"]) == (422, "whom")
        long = tablet.post(CONSULTATIONS, json=consultation(town.rooms, words="あ" * 501))
        assert (long.status_code, long.json()["error"]["field"]) == (422, "words")
    (event,) = stored(town)
    assert event.body.whom == ("nurse",)
    assert town.rooms.sealer.open(event.student, event.body.sealed) == canary
    for row in make.rows(database, events):
        assert "xyzzy" not in str(row)
    if database.is_sqlite:  # every byte on disk, the write-ahead log included
        for file in database.path.parent.glob("kizashi*"):
            raw = file.read_bytes()
            assert b"xyzzy" not in raw
            assert "だれにも".encode() not in raw


def test_a_child_whose_family_refused_can_still_answer_and_ask_for_help(town: Town) -> None:
    set_opt_out(
        town.rooms.log, board=make.BOARD, student=town.children[0], refused=True, actor="test"
    )
    with town.client(seat=1) as tablet:
        assert tablet.post(CHECK_INS, json=check_in(town.rooms)).status_code == 202
        assert tablet.post(CONSULTATIONS, json=consultation(town.rooms)).status_code == 202
    assert len(stored(town)) == 2


def test_a_full_queue_refuses_check_ins_but_takes_cries_for_help(town: Town) -> None:
    intake = town.rooms.intake
    intake._queue_limit = 0  # full from the start
    with town.client(seat=1) as tablet:
        answer = tablet.post(CHECK_INS, json=check_in(town.rooms))
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert tablet.post(CONSULTATIONS, json=consultation(town.rooms)).status_code == 202
        critical = check_in(town.rooms, questionnaire="kokoro_monthly", answers={"vanish": 1})
        assert tablet.post(CHECK_INS, json=critical).status_code == 202
        intake._reserve = 0
        answer = tablet.post(CONSULTATIONS, json=consultation(town.rooms))
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert len(stored(town)) == 2


def test_without_storage_nothing_is_called_received(town: Town, database: Database) -> None:
    with town.client(seat=1) as tablet:
        assert tablet.post(CHECK_INS, json=check_in(town.rooms)).status_code == 202
        with database.writing() as conn:  # the table is gone: as good as a lost disk
            conn.exec_driver_sql("ALTER TABLE events RENAME TO lost")
        for path, body in (
            (CHECK_INS, check_in(town.rooms)),
            (CONSULTATIONS, consultation(town.rooms)),
        ):
            answer = tablet.post(path, json=body)
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["retry-after"]) >= 1
        with database.writing() as conn:
            conn.exec_driver_sql("ALTER TABLE lost RENAME TO events")
        assert len(stored(town)) == 1
        assert tablet.post(CHECK_INS, json=check_in(town.rooms)).status_code == 202


@pytest.mark.parametrize("off", [SOON, timedelta(days=3000), -LONG_AGO, -timedelta(days=20000)])
def test_a_call_for_help_is_not_refused_for_the_tablets_clock(
    town: Town, clock: MovableClock, off: timedelta
) -> None:
    body = consultation(town.rooms, asked_at=(clock.now() + off).isoformat())
    with town.client(seat=1) as tablet:
        assert tablet.post(CONSULTATIONS, json=body).status_code == 202
        clock.move_by(timedelta(seconds=30))
        assert tablet.post(CONSULTATIONS, json=body).status_code == 202  # its answer was lost
    (event,) = stored(town)
    assert isinstance(event.body, ConsultationRequested)
    assert event.body.asked_at == clock.now() - timedelta(seconds=30)
    assert event.on == clock.today()
