"""The town's records as the files a city would hand over: CP932 CSV, Japanese headings, 和暦.

A `Delivery` is one file with the moment it arrives: registers and staff when a school year begins,
absences and the nurse's office every Friday, check-ups once a year, welfare extracts each month,
refusals when families make them. Now and then a row has a slip in it, as in life: a number nobody
has, a 32nd. Every name begins with 生成データ, and a README beside the files says the same.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path

import msgspec

from connectors.records.dates import short_wareki, wareki
from demo.life import World, make_world
from demo.town import BY_ID, CLOSED, FIRST_DAY, LAST_DAY, SCHOOLS, Child, Town, days
from warning_service.clock import at, day_of
from warning_service.roster.calendar import school_year_of

MARK = "生成データ"
README = """このフォルダのファイルはすべて、きざしの見本のために作られた「生成データ」です。
実在の人・学校・市のものではありません。氏名は、よくある姓と名を無作為に組み合わせたものです。

Every file in this folder was generated for Kizashi's demo. None of it is about real people, schools
or cities; names are random combinations of frequent family and given names.
"""


class Delivery(msgspec.Struct, frozen=True):
    """One file and when it arrives. `kind` is the importer's."""

    arrives: datetime
    order: int
    name: str
    kind: str
    data: bytes

    @property
    def path(self) -> Path:
        """Where it lies below the folder of files: by school year and month."""
        day = day_of(self.arrives)
        return Path(f"R{school_year_of(day) - 2018}") / f"{day:%Y-%m}" / self.name


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode("cp932")


def _name(day: date, what: str) -> str:
    return f"{MARK}_{day:%Y%m%d}_{what}.csv"


@lru_cache(maxsize=2)
def deliveries(seed: int) -> tuple[Delivery, ...]:
    """All files of a seed's town from April 2025 to July 2026, in the order they arrive."""
    world = make_world(seed)
    found = [
        *_beginnings(world.town),
        *_weekly(world),
        *_check_ups(world.town),
        *_welfare(world.town),
        *_refusals(world.town),
    ]
    return tuple(sorted(found, key=lambda d: (d.arrives, d.order, d.name)))


def write(folder: Path, batch: Iterable[Delivery]) -> list[Path]:
    """Write files below `folder`, with a README that says what they are; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{MARK}_README.txt").write_text(README, "utf-8")
    paths = []
    for delivery in batch:
        path = folder / delivery.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(delivery.data)
        paths.append(path)
    return paths


# --- when a school year begins --------------------------------------------------------------------


def _beginnings(town: Town) -> Iterator[Delivery]:
    first, second = FIRST_DAY, date(2026, 4, 1)

    def arriving(day: date, order: int, what: str, kind: str, data: bytes) -> Delivery:
        return Delivery(at(day, 6), order, _name(day, what), kind, data)

    stages = {"primary": "小学校", "junior_high": "中学校"}
    yield arriving(
        first, 0, "学校一覧", "schools",
        _csv(("学校コード", "学校名", "校種"), [(s.id, s.name, stages[s.stage]) for s in SCHOOLS]),
    )  # fmt: skip
    for year, day in ((2025, first), (2026, second)):
        yield arriving(day, 1, "休業日", "closed_days", _closed_days(year))
        yield arriving(day, 2, "学齢簿", "roster", _roster(town, year, day))
        yield arriving(day, 3, "職員", "staff", _staff(town, year, day))


def _closed_days(year: int) -> bytes:
    rows: list[tuple[str, ...]] = [
        (wareki(first), wareki(last), "全校", why)
        for first, last, why in CLOSED
        if school_year_of(first) == year or first == FIRST_DAY
    ]
    for school in SCHOOLS:
        month, day = school.founded
        founded = wareki(date(year if month >= 4 else year + 1, month, day))
        rows.append((founded, founded, school.name, "開校記念日"))
    return _csv(("開始日", "終了日", "学校", "休業理由"), rows)


def _roster(town: Town, year: int, day: date) -> bytes:
    header = (
        "学籍番号", "姓", "名", "姓ふりがな", "名ふりがな", "生年月日", "性別", "世帯番号",
        "学校名", "学年", "組", "出席番号", "基準日", "異動区分",
    )  # fmt: skip
    rows: list[tuple[object, ...]] = []
    for child in town.children:
        who = (
            child.number, child.family[0], child.given[0], child.family[1], child.given[1],
            wareki(child.born), child.sex, child.household,
        )  # fmt: skip
        if (place := child.at.get(year)) is not None:
            status = "入学" if child.grade(year) in (1, 7) else "進級"
            where = (BY_ID[place.school].name, place.door_grade, place.room, place.seat)
            rows.append((*who, *where, wareki(day), status))
        elif year - 1 in child.at:
            rows.append((*who, "", "", "", "", wareki(day - timedelta(days=1)), "卒業"))
    return _csv(header, rows)


def _staff(town: Town, year: int, day: date) -> bytes:
    header = (
        "ログインID",
        "氏名",
        "担当",
        "学校名",
        "学年",
        "組",
        "開始日",
        "終了日",
        "SlackユーザーID",
    )
    ends = short_wareki(date(year + 1, 3, 31))
    rows = []
    for adult in town.staff:
        for duty in adult.duties:
            if duty.year != year:
                continue
            school = BY_ID[duty.school].name if duty.school else ""
            grade = duty.grade - 6 if duty.grade > 6 else duty.grade
            rows.append(
                (
                    adult.login, adult.name, duty.role, school, grade or "", duty.room,
                    short_wareki(day), ends if duty.grade else "", adult.slack,
                )
            )  # fmt: skip
    return _csv(header, rows)


# --- every week -----------------------------------------------------------------------------------


def _weekly(world: World) -> Iterator[Delivery]:
    children = world.town.children
    slips = random.Random(f"{world.town.seed}:slips")
    for friday in (day for day in days(FIRST_DAY, LAST_DAY) if day.weekday() == 4):
        since = friday - timedelta(days=6)
        week = [world.days[day] for day in days(since, friday) if day in world.days]
        absent: list[tuple[str, ...]] = [
            (wareki(day.on), children[child].number, _who(children[child]), what)
            for day in week
            for child, what in sorted(day.absent.items())
        ]
        nurse = [
            (wareki(day.on), time, children[child].number, _who(children[child]), why)
            for day in week
            for child, time, why in day.nurse
        ]
        if absent and slips.random() < 0.12:
            absent.insert(slips.randrange(len(absent)), _slip(slips, absent[0]))
        if absent:
            yield Delivery(
                at(friday, 16, 30), 0, _name(friday, "出欠"), "attendance",
                _csv(("日付", "学籍番号", "氏名", "出欠区分"), absent),
            )  # fmt: skip
        if nurse:
            yield Delivery(
                at(friday, 16, 30), 1, _name(friday, "保健室利用"), "nurse",
                _csv(("来室日", "来室時刻", "学籍番号", "氏名", "来室理由"), nurse),
            )  # fmt: skip


def _slip(slips: random.Random, row: tuple[str, ...]) -> tuple[str, ...]:
    day, number, name, what = row
    if slips.random() < 0.5:
        return (day, "KZ9" + number[3:], name, what)
    return (day.split("月", maxsplit=1)[0] + "月32日", number, name, what)


def _who(child: Child) -> str:
    return f"{child.family[0]} {child.given[0]}"


# --- once a year, each month, once ----------------------------------------------------------------


def _check_ups(town: Town) -> Iterator[Delivery]:
    for year in (2025, 2026):
        health, dental = date(year, 5, 15), date(year, 6, 5)
        rng = random.Random(f"{town.seed}:checkups:{year}")
        weights, teeth = [], []
        for child in town.children:
            if year not in child.at:
                continue
            lasting = random.Random(f"{town.seed}:body:{child.number}")
            poor = child.household in town.hardship
            weight = min(99.5, max(0.5, lasting.uniform(1, 99) + rng.gauss(0, 3)))
            eyes = lasting.choices("ABCD", (62, 15, 13, 10), k=2)
            weights.append((wareki(health), child.number, _who(child), f"{weight:.1f}", *eyes))
            decayed = min(12, int(lasting.expovariate(0.7 if poor else 1.6)))
            teeth.append((wareki(dental), child.number, _who(child), decayed))
        yield Delivery(
            at(health + timedelta(days=7), 16), 2, _name(health, "健康診断"), "health",
            _csv(
                ("検査日", "学籍番号", "氏名", "体重パーセンタイル", "視力(右)", "視力(左)"),
                weights,
            ),
        )  # fmt: skip
        yield Delivery(
            at(dental + timedelta(days=7), 16), 3, _name(dental, "歯科検診"), "dental",
            _csv(("検診日", "学籍番号", "氏名", "未処置歯数"), teeth),
        )  # fmt: skip


def _welfare(town: Town) -> Iterator[Delivery]:
    """Extracts know a child by 宛名番号; in this town it is the same as the 学籍番号."""
    rng = random.Random(f"{town.seed}:certificates")
    certificates = {
        child.number: tuple(
            name
            for name, share in (("身体障害者手帳等", 0.012), ("精神障害者保健福祉手帳", 0.005))
            if rng.random() < share
        )
        for child in town.children
    }
    for month in _months():
        year = school_year_of(month)
        taken = month + timedelta(days=9)
        rows = []
        for child in town.children:
            if year not in child.at:
                continue
            schemes = (*town.hardship.get(child.household, ()), *certificates[child.number])
            rows += [(wareki(taken), child.number, scheme) for scheme in schemes]
        yield Delivery(
            at(taken, 17), 4, _name(taken, "福祉抽出"), "welfare",
            _csv(("抽出日", "宛名番号", "制度区分"), rows),
        )  # fmt: skip
        if month.month == 4:
            yield _infant_checks(town, year, taken)


def _months() -> Iterator[date]:
    month = FIRST_DAY
    while month <= LAST_DAY:
        yield month
        month = (month + timedelta(days=32)).replace(day=1)


def _infant_checks(town: Town, year: int, taken: date) -> Delivery:
    rows = []
    for child in town.children:
        if year not in child.at:
            continue
        lasting = random.Random(f"{town.seed}:infant:{child.number}")
        poor = child.household in town.hardship
        dates = []
        for months in (4, 18, 37):
            missed = lasting.random() < (0.10 if poor else 0.02)
            seen = child.born + timedelta(days=months * 30 + lasting.randrange(40))
            dates.append("" if missed else wareki(seen))
        rows.append((wareki(taken), child.number, *dates))
    header = (
        "抽出日",
        "宛名番号",
        "3〜4か月児健診受診日",
        "1歳6か月児健診受診日",
        "3歳児健診受診日",
    )
    return Delivery(
        at(taken, 17), 5, _name(taken, "乳幼児健診"), "infant_checks", _csv(header, rows)
    )


def _refusals(town: Town) -> Iterator[Delivery]:
    """A handful of families who do not want their records linked."""
    rng = random.Random(f"{town.seed}:refusals")
    there = [child for child in town.children if 2025 in child.at and 2026 in child.at]
    for child, month in zip(rng.sample(there, 5), (5, 6, 9, 10, 1), strict=True):
        day = date(2025 if month >= 4 else 2026, month, 20)
        yield Delivery(
            at(day, 15), 6, _name(day, "不同意書"), "opt_outs",
            _csv(("学籍番号", "届出日", "届出区分"), [(child.number, wareki(day), "不同意")]),
        )  # fmt: skip
