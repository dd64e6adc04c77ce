"""What an officer is shown of retention: the coming night as it will be, the last as they were."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import make
from tests.rights.conftest import Pages, Town, pages, server, town
from warning_service.access import retention
from warning_service.clock import MovableClock, at
from warning_service.keeping.night import Nights
from warning_service.keeping.outlook import NIGHTS, Outlook, outlook

__all__ = ["pages", "server", "town"]


def seen(town: Town) -> Outlook:
    return outlook(town.rooms.log, town.rooms.trail, town.rooms.settings, make.BOARD)


def due(found: Outlook) -> dict[str, int]:
    return {one.clock.kind: one.rows for one in found.coming if one.rows}


def old_answers(town: Town, count: int) -> None:
    clock = town.rooms.clock
    days = [1500 + n for n in range(count)]
    make.append(
        town.rooms.log, *(make.check_in(town.child, clock, days_ago=day, mood=1) for day in days)
    )


def test_what_is_shown_for_the_coming_night_is_what_goes_then(
    town: Town, clock: MovableClock
) -> None:
    nights = Nights(town.rooms.log, town.rooms.trail, town.rooms.settings)
    assert seen(town).nights == () and due(seen(town)) == {}
    assert nights.look()
    old_answers(town, 3)
    found = seen(town)
    assert found.night == clock.today() + timedelta(days=1)
    assert due(found) == {"answers": 3}
    [answers] = [one for one in found.coming if one.rows]
    assert answers.newest == clock.today() - timedelta(days=1500) and not answers.whole
    assert answers.oldest == clock.today() - timedelta(days=1502)
    assert {one.clock.kind for one in found.coming} == set(retention.shipped_clocks())
    clock.move_to(at(found.night, 2, 30))
    assert seen(town).night == found.night
    assert nights.look()
    after = seen(town)
    assert due(after) == {}
    first, second = after.nights
    assert (first.day, first.ran, second.went) == (found.night, True, ())
    [went] = first.went
    assert (went.kind, went.rows) == ("answers", 3)
    assert (went.oldest, went.newest) == (answers.oldest, answers.newest)
    clock.move_by(timedelta(days=NIGHTS + 1))
    assert seen(town).nights == ()


def test_what_goes_only_by_the_date_of_the_coming_night_is_shown_the_day_before(
    town: Town, clock: MovableClock
) -> None:
    """A school year's data goes in the night to 1 April, and stands there on 31 March."""
    make.append(town.rooms.log, make.check_in(town.child, clock, days_ago=40, mood=1))
    (found,) = [c for c in retention.shipped_clocks().values() if c.kind == "answers"]
    day = clock.today()
    while found.before(day) <= clock.today() - timedelta(days=40):
        day += timedelta(days=1)
    assert (day.month, day.day) == (4, 1)
    clock.move_to(at(day - timedelta(days=1), 3))
    assert "answers" not in due(seen(town))
    clock.move_to(at(day - timedelta(days=1), 12))
    assert due(seen(town))["answers"] == 1


def test_another_boards_data_is_not_counted(town: Town) -> None:
    old_answers(town, 2)
    other = outlook(town.rooms.log, town.rooms.trail, town.rooms.settings, "another")
    assert due(other) == {} and due(seen(town)) == {"answers": 2}


def test_a_file_of_clocks_that_is_not_fit_deletes_nothing_and_says_so(
    town: Town, pages: Pages
) -> None:
    old_answers(town, 2)
    officer = pages("officer")
    assert "2</td>" in officer.get("/portal/retention")
    own = town.rooms.settings.data_dir / retention.OWN_FILE
    own.parent.mkdir(exist_ok=True)
    own.write_text("[[clocks]]\nkind = 'answers'\n", "utf-8")
    assert seen(town).unfit and seen(town).coming == ()
    page = officer.get("/portal/retention")
    assert "なにも削除されません" in page and "子どもの回答" in page


def test_the_page_for_the_officer_and_for_nobody_else(
    town: Town, pages: Pages, clock: MovableClock
) -> None:
    officer = pages("officer")
    page = officer.get("/portal/retention")
    assert "次の夜に削除されるものはありません" in page and "動いていません" in page
    assert "35日" in page and 'href="/portal/retention"' in page
    old_answers(town, 3)
    page = officer.get("/portal/retention")
    assert "子どもの回答" in page and "学年の終わりから24か月" in page and "5月12日" in page
    clock.move_to(at(clock.today() + timedelta(days=1), 2, 30))
    assert Nights(town.rooms.log, town.rooms.trail, town.rooms.settings).look()
    officer = pages("officer")
    page = officer.get("/portal/retention")
    assert "次の夜に削除されるものはありません" in page
    assert "子どもの回答(心の健康観察・セルフチェック): 3" in page
    officer.client.cookies.set("lang", "en")
    assert "Children&#39;s answers (check-ins): 3" in officer.get("/portal/retention")
    for login in ("head", "board", "nurse", "homeroom"):
        pages(login).get("/portal/retention", 403)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_row_security_does_not_hide_what_goes(town: Town, pages: Pages) -> None:
    old_answers(town, 2)
    assert "子どもの回答" in pages("officer").get("/portal/retention").split('id="tonight"')[1]
