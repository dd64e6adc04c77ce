"""The made-up town: the same from the same seed, of a sane shape, and plainly made up."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from datetime import date

import pytest

from connectors.records.columns import understand
from connectors.records.reading import read_bytes
from demo import files
from demo.life import World, make_world
from demo.people import shown_children, shown_logins
from demo.town import DAILY_SCHOOL, SEED
from student_checkin.pictures import PICTURES

YEAR_END = date(2026, 3, 31)
FINGERPRINT = """
import hashlib
from demo import files
from demo.town import SEED
found = hashlib.sha256()
for one in files.deliveries(SEED):
    found.update(str(one.path).encode() + one.arrives.isoformat().encode() + one.data)
print(found.hexdigest())
"""


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


def test_every_file_is_the_same_in_another_process() -> None:
    found = hashlib.sha256()
    for one in files.deliveries(SEED):
        found.update(str(one.path).encode() + one.arrives.isoformat().encode() + one.data)
    other = subprocess.run(
        [sys.executable, "-c", FINGERPRINT], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == found.hexdigest()


def test_another_seed_is_another_town() -> None:
    one, other = make_world(SEED).town, make_world(SEED + 1).town
    assert [c.family for c in one.children] != [c.family for c in other.children]


def test_six_schools_and_about_two_thousand_children(world: World) -> None:
    children = world.town.children
    for year in (2025, 2026):
        there = [child for child in children if year in child.at]
        assert 1_900 <= len(there) <= 2_100
        assert len({child.at[year].school for child in there}) == 6
        seats = Counter((p.school, p.grade, p.room, p.seat) for c in there if (p := c.at[year]))
        assert max(seats.values()) == 1
    moved_up = [c for c in children if 2025 in c.at and 2026 in c.at]
    assert all(c.at[2026].grade == c.at[2025].grade + 1 for c in moved_up)
    homes = Counter(child.household for child in children)
    assert 0.2 < sum(count > 1 for count in homes.values()) / len(homes) < 0.6


def test_about_one_in_twenty_five_reaches_thirty_absences(world: World) -> None:
    absent: Counter[int] = Counter()
    for day, life in world.days.items():
        if day <= YEAR_END:
            absent.update(child for child, what in life.absent.items() if what == "欠席")
    there = [n for n, child in enumerate(world.town.children) if 2025 in child.at]
    share = sum(absent[n] >= 30 for n in there) / len(there)
    assert 0.03 <= share <= 0.055
    assert 4 <= sum(absent[n] for n in there) / len(there) <= 11


def test_answers_say_something_about_later_absences_but_not_all(world: World) -> None:
    """Children on the way to 30 absences answer worse on average, and many of them do not."""
    absent: Counter[int] = Counter()
    school: dict[int, list[int]] = {}
    for day, life in world.days.items():
        if day > YEAR_END:
            continue
        absent.update(child for child, what in life.absent.items() if what == "欠席")
        for said in life.answered:
            if (value := said.answers.get("school")) is not None:
                school.setdefault(said.child, []).append(value)
    mean = {child: sum(v) / len(v) for child, v in school.items() if len(v) >= 3}
    away = [mean[c] for c in mean if absent[c] >= 30]
    others = [mean[c] for c in mean if absent[c] < 30]
    assert sum(away) / len(away) > sum(others) / len(others) + 0.15
    middle = sorted(others)[len(others) // 2]
    assert 0.05 < sum(one <= middle for one in away) / len(away) < 0.6


def test_critical_answers_and_consultations_are_few(world: World) -> None:
    days = [life for day, life in world.days.items() if day <= YEAR_END]
    critical = sum((a.answers.get("vanish") or 0) >= 1 for life in days for a in life.answered)
    assert 10 <= critical <= 120
    assert 10 <= sum(len(life.asked) for life in days) <= 120


def test_only_one_school_asks_daily(world: World) -> None:
    asked = Counter(
        (world.town.children[a.child].at[2025].school, a.questionnaire)
        for day, life in world.days.items()
        if day <= YEAR_END
        for a in life.answered
    )
    assert {school for school, form in asked if form == "kokoro_daily"} == {DAILY_SCHOOL}
    assert len({school for school, form in asked if form == "kokoro_monthly"}) == 6


def test_files_are_as_a_city_hands_them_over() -> None:
    for one in files.deliveries(SEED):
        one.data.decode("cp932")
        table = read_bytes(one.data, one.name)
        assert understand(table.header).kind.id == one.kind
        assert one.name.startswith("生成データ_")
        assert b"20" + one.name[8:10].encode() not in one.data.split(b"\r\n")[1][:4]
    kinds = {one.kind for one in files.deliveries(SEED)}
    assert kinds == {
        "schools", "roster", "attendance", "nurse", "health", "dental", "welfare",
        "infant_checks", "opt_outs", "staff", "closed_days",
    }  # fmt: skip


def test_nothing_in_the_files_points_at_a_real_person(world: World) -> None:
    """Numbers are of a series no register uses; no address, phone or mail is ever written."""
    assert all(child.number.startswith("KZ") for child in world.town.children)
    headings = {
        heading
        for one in files.deliveries(SEED)
        for heading in read_bytes(one.data, one.name).header
    }
    assert not {h for h in headings if any(w in h for w in ("住所", "電話", "メール", "保護者"))}
    assert "生成データ" in files.README
    assert "generated" in files.README


def test_the_shown_people_are_there(world: World) -> None:
    one, daily = shown_children(world.town)
    assert one.at[2025].grade >= 4  # asked the critical question too
    assert daily.at[2025].school == DAILY_SCHOOL
    assert {2025, 2026} <= set(one.at) & set(daily.at)
    assert {"board", "operator", "sakura.nurse", "sakura.committee"} <= shown_logins(world.town)
    assert set(world.town.secret_of(one).split("-")) <= set(PICTURES)
