"""A made-up town: 兆市, its six schools, about 2,000 children, their households and teachers.

Everything follows from a seed, so that a rerun is the same town to the byte. Places and people are
invented (see `names.py`); there is no such city, and its numbers begin with KZ, which no register
uses. What happens to the children day by day is `life.py`; here is only who is where.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta

import msgspec

from demo import names
from student_checkin.pictures import LENGTH, PICTURES
from warning_service.roster.calendar import SchoolCalendar

SEED = 20250407
BOARD = "kizashi"
BOARD_NAME = "兆市教育委員会(生成データ)"
PLAYBOOK = "nishinomiya"
FIRST_DAY = date(2025, 4, 1)
LAST_DAY = date(2026, 7, 31)
YEARS = (2025, 2026)
COHORTS = range(2017, 2027)  # the April in which a child enters grade 1


class School(msgspec.Struct, frozen=True):
    """A school. `founded`: (month, day) on which it is closed. `feeds`: where its year 6 goes."""

    id: str
    name: str
    stage: str
    founded: tuple[int, int]
    feeds: str = ""


SCHOOLS = (
    School("sakura", "さくら小学校", "primary", (6, 10), "asahi"),
    School("midori", "みどり小学校", "primary", (10, 22), "asahi"),
    School("higashi", "ひがし小学校", "primary", (11, 5), "umikaze"),
    School("minami", "みなみ小学校", "primary", (5, 20), "umikaze"),
    School("asahi", "あさひ中学校", "junior_high", (6, 17), ""),
    School("umikaze", "うみかぜ中学校", "junior_high", (11, 12), ""),
)
BY_ID = {school.id: school for school in SCHOOLS}
DAILY_SCHOOL = "midori"
"""The one school that asks every morning, beside the monthly questionnaire of all schools."""

CLOSED = (
    (date(2025, 4, 1), date(2025, 4, 6), "春休み"),
    (date(2025, 7, 19), date(2025, 8, 31), "夏休み"),
    (date(2025, 12, 24), date(2026, 1, 7), "冬休み"),
    (date(2026, 3, 25), date(2026, 4, 6), "春休み"),
    (date(2026, 7, 18), date(2026, 8, 31), "夏休み"),
)
ROOMS = {"primary": 2, "junior_high": 4}
BOARD_OFFICE = (
    ("shidou", "指導主事"),
    ("welfare", "福祉担当"),
    ("privacy", "個人情報担当"),
    ("accounts", "アカウント管理者"),
    ("auditor", "監査担当"),
)
"""Logins and duties at the board and its neighbour, beside the board's statistics desk."""


class Place(msgspec.Struct, frozen=True):
    """Where a child sits in a school year. `grade` 1-9; `room` as on the door."""

    school: str
    grade: int
    room: str
    seat: int

    @property
    def door_grade(self) -> int:
        """The grade as the school counts it: junior high 1-3."""
        return self.grade - 6 if self.grade > 6 else self.grade


class Child(msgspec.Struct):
    """A made-up child. `at`: school year -> place, for the years it is at one of the schools."""

    number: str
    family: tuple[str, str]
    given: tuple[str, str]
    born: date
    sex: str
    household: str
    primary: str
    cohort: int
    at: dict[int, Place] = msgspec.field(default_factory=dict)

    def grade(self, year: int) -> int:
        """1-9, else not at school that year."""
        return year - self.cohort + 1


class Duty(msgspec.Struct, frozen=True):
    """What a teacher is there for in one school year.

    `room` is '' unless a homeroom, `grade` 0 unless a homeroom or a grade's lead.
    """

    year: int
    role: str
    school: str = ""
    grade: int = 0
    room: str = ""


class Adult(msgspec.Struct, frozen=True):
    """A made-up member of staff; `slack` is the id by which the demo's chat knows them."""

    login: str
    name: str
    password: str
    slack: str
    duties: tuple[Duty, ...]


class Town(msgspec.Struct):
    """All of it. Children are in the order of their numbers."""

    seed: int
    children: list[Child]
    staff: list[Adult]
    hardship: dict[str, tuple[str, ...]]  # household -> welfare schemes it is in

    def is_school_day(self, day: date, school: str = "") -> bool:
        """Are there lessons (at that school)?"""
        if not _WEEKDAYS.is_school_day(day) or any(a <= day <= b for a, b, _ in CLOSED):
            return False
        return not school or (day.month, day.day) != BY_ID[school].founded

    def school_days(self, first: date, last: date, school: str = "") -> list[date]:
        """School days from `first` to `last`, both included."""
        return [day for day in days(first, last) if self.is_school_day(day, school)]

    def first_school_day(self, year: int, month: int) -> date | None:
        """The first school day of a month, None if it has none."""
        first = date(year, month, 1)
        last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        return next(iter(self.school_days(first, last)), None)

    def secret_of(self, child: Child) -> str:
        """The three pictures by which the child signs in, e.g. `cat-sun-boat`."""
        return "-".join(_rng(self.seed, "pictures", child.number).sample(list(PICTURES), LENGTH))


_WEEKDAYS = SchoolCalendar(None, "")


def days(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both included."""
    for step in range((last - first).days + 1):
        yield first + timedelta(days=step)


def _rng(seed: int, *what: object) -> random.Random:
    return random.Random(":".join(map(str, (seed, *what))))


def make_town(seed: int = SEED) -> Town:
    """The town of a seed."""
    children = [child for school in SCHOOLS if school.feeds for child in _households(seed, school)]
    rng = _rng(seed, "numbers")
    rng.shuffle(children)
    for n, child in enumerate(children, 1):
        child.number = f"KZ{n:06d}"
    for year in YEARS:
        _seat(seed, children, year)
    return Town(seed, children, _staff(seed), _hardship(seed, children))


def _households(seed: int, school: School) -> list[Child]:
    """Children of one primary school's quarter, siblings sharing a household."""
    rng = _rng(seed, "households", school.id)
    places = {cohort: rng.randint(51, 59) for cohort in COHORTS}
    found: list[Child] = []
    homes = 0
    while open_ := [cohort for cohort in COHORTS if places[cohort]]:
        size = min(rng.choices((1, 2, 3), (50, 40, 10))[0], len(open_))
        homes += 1
        family = rng.choice(names.FAMILY)
        used: set[str] = set()
        for cohort in sorted(rng.sample(open_, size)):
            places[cohort] -= 1
            sex = rng.choice(("男", "女"))
            pool = [n for n in (names.BOYS if sex == "男" else names.GIRLS) if n[1] not in used]
            given = rng.choice(pool)
            used.add(given[1])
            born = date(cohort - 7, 4, 2) + timedelta(days=rng.randrange(365))
            home = f"HH-{school.id}-{homes:04d}"
            found.append(Child("", family, given, born, sex, home, school.id, cohort))
    return found


def _seat(seed: int, children: list[Child], year: int) -> None:
    """Sort a school year's children into classes; numbers follow the order of the kana."""
    groups: dict[tuple[str, int], list[Child]] = {}
    for child in children:
        grade = child.grade(year)
        if 1 <= grade <= 9:
            school = child.primary if grade <= 6 else BY_ID[child.primary].feeds
            groups.setdefault((school, grade), []).append(child)
    for (school, grade), group in sorted(groups.items()):
        _rng(seed, "rooms", year, school, grade).shuffle(group)
        rooms = ROOMS[BY_ID[school].stage]
        for room in range(rooms):
            members = sorted(group[room::rooms], key=lambda c: (c.family[1], c.given[1], c.number))
            for seat, child in enumerate(members, 1):
                child.at[year] = Place(school, grade, str(room + 1), seat)


def _staff(seed: int) -> list[Adult]:
    rng = _rng(seed, "staff")
    found: list[Adult] = []

    def add(login: str, *duties: Duty) -> None:
        family, given = rng.choice(names.FAMILY), rng.choice(names.GIRLS + names.BOYS)
        password = f"{rng.choice(names.WORDS)}-{rng.randrange(1000, 10000)}"
        slack = f"U{len(found) + 1:04d}DEMO"
        found.append(Adult(login, f"{family[0]} {given[0]}", password, slack, duties))

    for school in SCHOOLS:
        first = 1 if school.stage == "primary" else 7
        last = 6 if school.stage == "primary" else 9
        rooms = [
            (grade, str(room + 1))
            for grade in range(first, last + 1)
            for room in range(ROOMS[school.stage])
        ]
        following = rooms[:]
        rng.shuffle(following)
        for n, (now, then) in enumerate(zip(rooms, following, strict=True), 1):
            add(
                f"{school.id}.t{n:02d}",
                Duty(2025, "担任", school.id, *now),
                Duty(2026, "担任", school.id, *then),
            )
        for login, role in (
            ("nurse", "養護教諭"),
            ("counsellor", "スクールカウンセラー"),
            ("guidance", "生徒指導主任"),
            ("head", "管理職"),
            ("committee", "校内委員会"),
        ):
            add(f"{school.id}.{login}", Duty(2025, role, school.id))
    add("board", Duty(2025, "教育委員会"))
    add("operator", Duty(2025, "運用担当"))
    # Newer duties come last, so that a seed's earlier people keep their names and passwords.
    for grade, at in ((5, "sakura"), (8, "asahi")):
        add(
            f"{at}.lead",
            Duty(2025, "学年主任", at, grade),
            Duty(2026, "学年主任", at, grade + 1),
        )
    for school in SCHOOLS:
        add(f"{school.id}.ssw", Duty(2025, "スクールソーシャルワーカー", school.id))
    for login, role in BOARD_OFFICE:
        add(login, Duty(2025, role))
    return found


def _hardship(seed: int, children: list[Child]) -> dict[str, tuple[str, ...]]:
    """Which households are in which welfare scheme: about one in eight in any."""
    rng = _rng(seed, "hardship")
    found = {}
    for home in sorted({child.household for child in children}):
        schemes = []
        if rng.random() < 0.085:
            schemes.append("児童扶養手当")
        if rng.random() < (0.12 if schemes else 0.010):
            schemes.append("生活保護")
        if rng.random() < (0.05 if schemes else 0.006):
            schemes.append("要対協登録")
        if schemes:
            found[home] = tuple(schemes)
    return found
