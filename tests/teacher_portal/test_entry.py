"""The page of one entry: frozen facts, a what-if that leaves nothing behind but the look."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from tests import make
from tests.teacher_portal.conftest import Browsers
from tests.teacher_portal.school import School
from warning_service.access.tables import audit
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.tables import events
from warning_service.events.types import DayClosed, ListDue, NewEvent, ObservationRecorded, new_id
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.tables import list_entries

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def listed(school: School) -> tuple[str, str]:
    """(list, child): one child absent for four days, judged and listed for real."""
    rooms = school.rooms
    child = school.children["sakura-1"][0]
    today = rooms.clock.today()
    news = [
        NewEvent(
            id=new_id(), board=make.BOARD, student=child, on=today - timedelta(days=n),
            actor="test", body=ObservationRecorded(item="absent_days", value=1.0, source="test"),
        )
        for n in (9, 4, 3, 2)
    ]  # fmt: skip
    for body in (DayClosed(), ListDue(school=make.SCHOOL)):
        news.append(
            NewEvent(id=new_id(), board=make.BOARD, student=None, on=today, actor="t", body=body)
        )
    make.append(rooms.log, *news)
    dispatcher = Dispatcher(rooms.log, JudgingConsumer(rooms.log, rooms.playbooks), make.BOARD)
    dispatcher.drain()
    dispatcher.release()
    with rooms.database.reading() as conn:
        row = conn.execute(select(list_entries).where(list_entries.c.student == child)).one()
    return row.list_id, child


def looks(school: School, child: str) -> list[str]:
    with school.rooms.database.reading() as conn:
        return list(
            conn.execute(
                select(audit.c.action).where(audit.c.subject == child).order_by(audit.c.seq)
            ).scalars()
        )


def test_an_entry_says_what_would_take_it_off_and_answers_a_what_if(
    school: School, browsers: Browsers
) -> None:
    list_id, child = listed(school)
    nurse = browsers("nurse")
    path = f"/portal/lists/{list_id}/entry/{child}"
    assert path in nurse.get(f"/portal/lists/{list_id}")
    page = nurse.get(path)
    for words in (
        "くらべる前回はありません", "どの事実がちがえば", "欠席(4週間)", "そのまま(4日)",
        "約束ではありません", "閲覧記録",
    ):  # fmt: skip
        assert words in page, words
    with school.rooms.database.reading() as conn:
        before = conn.execute(select(func.count()).select_from(events)).scalar_one()
    answer = nurse.post(path, item="absent_days", to="0", support="talked")
    assert answer.status_code == 200
    for words in (
        "試算の結果",
        "「声をかけた」を記録しても",
        "規則の点数",
        "リストの値",
        "欠席(4週間)だけ、0日なら",
    ):
        assert words in answer.text, words
    assert "absent_days" not in str(answer.url), "facts never stand in an address"
    empty = nurse.post(path, item="absent_days", to="nonsense")
    assert empty.status_code == 200 and "変える事実が選ばれていません" in empty.text
    with school.rooms.database.reading() as conn:
        after = conn.execute(select(func.count()).select_from(events)).scalar_one()
    assert after == before, "nothing is stored but the look"
    assert {"entry", "what_if"} <= set(looks(school, child))
    english = nurse.client.get(path, headers={"accept": "text/html"}, cookies={"lang": "en"}).text
    assert "Days absent (4 weeks)" in english and "not a promise" in english


def test_a_what_if_is_told_in_its_methods_terms(
    school: School, browsers: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = school.rooms.playbooks.of(make.BOARD)
    how = now.judgement.model_copy(update={"method": "formula", "intercept": -2.0})
    items = tuple(
        item.model_copy(update={"coefficient": 0.5 if item.id == "absent_days" else 0.0})
        for item in now.items
    )
    changed = now.model_copy(update={"judgement": how, "items": items})
    monkeypatch.setattr(school.rooms.playbooks, "of", lambda board: changed)
    list_id, child = listed(school)
    path = f"/portal/lists/{list_id}/entry/{child}"
    page = browsers("nurse").post(path, item="absent_days", to="0").text
    assert "規則では" in page and "規則の点数" not in page
    # 1 / (1 + exp(2 - 0.5 * 4)) and 1 / (1 + exp(2)): never the log-odds, 0 and -2
    assert page.count("計算式による見込み 50%") == 2 and "計算式による見込み 12%" in page


def test_who_may_not_see_the_child_sees_no_entry_and_no_what_if(
    school: School, browsers: Browsers
) -> None:
    list_id, child = listed(school)
    path = f"/portal/lists/{list_id}/entry/{child}"
    own = browsers("homeroom").post(path, item="absent_days", to="0").text
    whole = browsers("nurse").post(path, item="absent_days", to="0").text
    assert "点だけの順" in whole and "人中 1番目" in whole
    assert "点だけの順" not in own and "リストの値" in own, "places are for who sees everybody's"
    for login in ("other", "nurse2"):
        browser = browsers(login)
        browser.get(path, status=404)
        assert browser.post(path, item="absent_days", to="0").status_code == 404
    assert browsers("nurse").post(path, csrf="wrong").status_code in (400, 403)
    with school.rooms.database.reading() as conn:  # ties go by random keys: whoever is on it
        on_it = set(conn.execute(select(list_entries.c.student)).scalars())
    unlisted = next(c for c in school.children["sakura-2"] if c not in on_it)
    browsers("nurse").get(f"/portal/lists/{list_id}/entry/{unlisted}", status=404)


def test_a_list_without_its_formula_says_so(school: School, browsers: Browsers) -> None:
    child = school.children["sakura-1"][0]
    list_id = school.warning_list([child], on=date(2026, 5, 1))
    page = browsers("nurse").get(f"/portal/lists/{list_id}/entry/{child}")
    assert "試算に要るものが残っていません" in page and "計算していません" in page
