"""What happens to the town's children day by day: how they feel, stay away, come late, answer.

Each child has a latent distress: its own level, a slow wandering about it, a dip after holidays,
and for some a slide. In about two thirds of the slides answers, lateness and visits to the nurse
change weeks before absences do; the others come without warning. Some children are low for a while
and nothing follows, some are absent for a long illness, and one in ten always answers "fine". So
the lists made from these records can be neither perfect nor random.

The numbers are invented to give shares like those published for Japan (about 4 % of children reach
30 days absent in the year); they say nothing about any real child or town. Draws come from numpy's
PCG64 in a fixed order, so a seed gives the same life with the numpy of the lock file.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from demo.town import DAILY_SCHOOL, FIRST_DAY, LAST_DAY, SCHOOLS, SEED, Town, make_town
from warning_service.catalogue.questionnaires import questionnaire
from warning_service.clock import at
from warning_service.roster.calendar import school_year_of

F64 = npt.NDArray[np.float64]
MONTHLY, DAILY = "kokoro_monthly", "kokoro_daily"
LOADS = {"mood": 0.62, "sleep": 0.45, "body": 0.40, "friends": 0.50, "school": 0.72}


class Answered(msgspec.Struct, frozen=True):
    """A child's (index in the town) answers and when it gave them."""

    child: int
    questionnaire: str
    answers: dict[str, int | None]
    at: datetime


class Asked(msgspec.Struct, frozen=True):
    """A child asks to talk."""

    child: int
    whom: str
    about: str
    at: datetime


class Day(msgspec.Struct):
    """One school day. `absent`: child index -> 出欠区分; `nurse`: (child, time, reason)."""

    on: date
    absent: dict[int, str] = msgspec.field(default_factory=dict)
    nurse: list[tuple[int, str, str]] = msgspec.field(default_factory=list)
    answered: list[Answered] = msgspec.field(default_factory=list)
    asked: list[Asked] = msgspec.field(default_factory=list)


class World(msgspec.Struct):
    """The town and its days."""

    town: Town
    days: dict[date, Day]


@lru_cache(maxsize=2)
def make_world(seed: int = SEED) -> World:
    """The whole world of a seed; takes about two seconds, so it is kept."""
    town = make_town(seed)
    return World(town, _live(town, np.random.Generator(np.random.PCG64(seed))))


class _Slides(msgspec.Struct):
    """Per child and school day: what pulls at answers (`felt`) and at attendance (`away`)."""

    felt: F64
    away: F64


class _Morning(msgspec.Struct):
    """Per child, one morning: is it there in time, how is it, how it tells, is it shy."""

    here: npt.NDArray[np.bool_]
    distress: F64
    style: F64
    shy: npt.NDArray[np.bool_]


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _ramp(days: int, start: int, rise: int, height: float, until: int) -> F64:
    """0 before `start`, rising to `height` in `rise` days, falling off over 30 after `until`."""
    t = np.arange(days)
    up = np.clip((t - start) / rise, 0, 1)
    down = np.clip(1 - (t - until) / 30, 0, 1)
    return np.asarray(height * np.minimum(up, down), dtype=np.float64)


def _slides(
    rng: np.random.Generator, base: F64, older: npt.NDArray[np.bool_], days: int
) -> _Slides:
    children = len(base)
    felt, away = np.zeros((children, days)), np.zeros((children, days))
    # Slides begin at any time, more often after long weekends and the summer.
    weights = np.ones(days)
    for first, last in ((18, 40), (72, 110), (150, 175)):
        weights[first:last] = 3
    weights /= weights.sum()
    chance = np.where(older, 0.125, 0.052) * np.exp(0.5 * base)
    for child in np.flatnonzero(rng.random(children) < chance):
        start = int(rng.choice(days, p=weights))
        height = rng.uniform(3.8, 6.6)
        until = start + int(rng.uniform(45, 110)) if rng.random() < 0.4 else days + 60
        if rng.random() < 0.65:  # with warning
            lag = int(rng.uniform(12, 38))
            felt[child] = _ramp(days, start, int(rng.uniform(8, 25)), 2.7, until)
            away[child] = _ramp(days, start + lag, int(rng.uniform(15, 35)), height, until + 10)
        else:
            felt[child] = _ramp(days, start, 20, 0.4, until)
            away[child] = _ramp(days, start, int(rng.uniform(4, 14)), height, until)
    # Some stayed away before the year began.
    for child in np.flatnonzero(rng.random(children) < np.where(older, 0.030, 0.010)):
        until = int(rng.uniform(40, 120)) if rng.random() < 0.35 else days + 60
        away[child] = np.maximum(away[child], _ramp(days, -40, 1, rng.uniform(4, 6.5), until))
        felt[child] = np.maximum(felt[child], away[child] * 0.35)
    # A low spell that passes: answers fall, nothing follows.
    for child in np.flatnonzero(rng.random(children) < 0.09):
        start = int(rng.integers(0, days))
        felt[child] += _ramp(days, start, 6, rng.uniform(1.2, 2.4), start + int(rng.uniform(8, 30)))
    return _Slides(felt, away)


def _season(on: list[date]) -> tuple[F64, F64]:
    """Per school day: what the calendar adds to distress, and how much illness is about."""
    low, ill = np.zeros(len(on)), np.ones(len(on))
    since = 99
    for n, day in enumerate(on):
        gap = (day - on[n - 1]).days if n else 30
        since = 0 if gap >= 5 else since + 1
        low[n] = 0.45 * np.exp(-since / 4) + (0.12 if day.weekday() == 0 else 0)
        low[n] += 0.12 if day.month in (6, 11) else 0
        ill[n] = {12: 1.8, 1: 2.1, 2: 1.9, 6: 1.1, 7: 0.8}.get(day.month, 1.0)
    return low, ill


def _live(town: Town, rng: np.random.Generator) -> dict[date, Day]:
    on = town.school_days(FIRST_DAY, LAST_DAY)
    people, span = len(town.children), len(on)
    older = np.array([child.grade(2025) >= 6 for child in town.children])
    hard = np.array([child.household in town.hardship for child in town.children])
    base = rng.normal(0, 0.5, people) + 0.35 * hard + 0.1 * older
    slides = _slides(rng, base, older, span)
    low, ill = _season(on)
    style = rng.normal(0, 0.35, people) - 1.4 * (rng.random(people) < 0.10)
    frail = np.exp(rng.normal(-0.15, 0.55, people)) * 0.0105
    tardy, weak = rng.normal(0, 0.9, people), rng.normal(0, 0.8, people)
    shy = rng.random(people) < 0.12
    long_ill = {
        int(child): (start := int(rng.integers(0, span)), start + int(rng.integers(5, 13)))
        for child in np.flatnonzero(rng.random(people) < 0.05)
    }
    wander = rng.normal(0, 0.45, people)
    was_ill = np.zeros(people, dtype=bool)
    days = {}
    for n, day in enumerate(on):
        wander = 0.94 * wander + 0.15 * rng.normal(0, 1, people)
        distress = base + wander + low[n] + slides.felt[:, n]
        present = _at_school(town, day)
        draw = rng.random((6, people))
        is_ill = draw[0] < np.where(was_ill, 0.42, frail * ill[n])
        for child, (first, last) in long_ill.items():
            is_ill[child] |= first <= n < last
        gone = draw[1] < _sigmoid(-6.6 + 1.12 * slides.away[:, n] + 0.5 * (base + wander))
        absent = present & (is_ill | gone)
        here = present & ~absent
        late = here & (
            draw[2] < _sigmoid(-5.0 + tardy + 0.75 * slides.felt[:, n] + 0.3 * slides.away[:, n])
        )
        left = here & (draw[3] < _sigmoid(-6.0 + 0.55 * distress))
        nurse = here & (draw[4] < _sigmoid(-5.0 + weak + 0.75 * distress))
        asks = here & (draw[5] < _sigmoid(-10.4 + 1.35 * distress))
        was_ill = is_ill
        life = days[day] = Day(day)
        _attend(life, absent, late, left)
        _visits(life, rng, nurse)
        _answers(life, town, rng, _Morning(here & ~late, distress, style, shy))
        _asks(life, rng, asks)
    return days


def _at_school(town: Town, day: date) -> npt.NDArray[np.bool_]:
    year = school_year_of(day)
    open_ = {school.id for school in SCHOOLS if town.is_school_day(day, school.id)}
    return np.array(
        [(place := child.at.get(year)) is not None and place.school in open_
         for child in town.children]
    )  # fmt: skip


def _attend(
    life: Day, absent: npt.NDArray[np.bool_], late: npt.NDArray[np.bool_],
    left: npt.NDArray[np.bool_],
) -> None:  # fmt: skip
    for child in np.flatnonzero(absent | late | left).tolist():
        if absent[child]:
            life.absent[child] = "欠席"
        elif late[child] and left[child]:
            life.absent[child] = "遅刻・早退"
        else:
            life.absent[child] = "遅刻" if late[child] else "早退"


def _visits(life: Day, rng: np.random.Generator, nurse: npt.NDArray[np.bool_]) -> None:
    reasons = ("頭痛", "腹痛", "けが", "気分不良", "休養", "相談")
    who = np.flatnonzero(nurse).tolist()
    minutes = rng.integers(0, 360, len(who)).tolist()
    why = rng.integers(0, len(reasons), len(who)).tolist()
    for child, minute, reason in zip(who, minutes, why, strict=True):
        time = f"{8 + (40 + minute) // 60}:{(40 + minute) % 60:02d}"
        life.nurse.append((child, time, reasons[reason]))


def _asks(life: Day, rng: np.random.Generator, asks: npt.NDArray[np.bool_]) -> None:
    for child in np.flatnonzero(asks).tolist():
        whom = ("homeroom", "nurse", "counsellor", "anyone")[int(rng.integers(0, 4))]
        about = ("friends", "study", "family", "body", "bullying", "other")[int(rng.integers(0, 6))]
        minute = int(rng.integers(0, 300))
        life.asked.append(Asked(child, whom, about, at(life.on, 9) + timedelta(minutes=minute)))


def asks_monthly(town: Town, school: str, day: date) -> bool:
    """Is `day` that school's day of the monthly questionnaire? One of the first ten school days."""
    number = 5 + [s.id for s in SCHOOLS].index(school)
    before = town.school_days(day.replace(day=1), day, school)
    return bool(before) and before[-1] == day and len(before) == number


def _answers(life: Day, town: Town, rng: np.random.Generator, morning: _Morning) -> None:
    day, here, distress = life.on, morning.here, morning.distress
    year = school_year_of(day)
    asking = {school.id: [] for school in SCHOOLS}  # type: dict[str, list[str]]
    for school in SCHOOLS:
        if town.is_school_day(day, school.id):
            if asks_monthly(town, school.id, day):
                asking[school.id].append(MONTHLY)
            if school.id == DAILY_SCHOOL:
                asking[school.id].append(DAILY)
    if not any(asking.values()):
        return
    people = len(town.children)
    noise = rng.normal(0, 0.5, (len(LOADS), people))
    misses = rng.random((2, people))
    silent = rng.random((len(LOADS) + 1, people))
    vanish = rng.random((2, people))
    seconds = rng.integers(0, 1500, people)
    values = {}
    for row, (question, load) in enumerate(LOADS.items()):
        felt = 0.12 + morning.style + load * distress + noise[row]
        values[question] = np.digitize(felt, (0.0, 1.15, 2.0))
    dark = np.where(vanish[0] < _sigmoid(-7.6 + 1.7 * distress), np.where(vanish[1] < 0.2, 2, 1), 0)
    for child in np.flatnonzero(here).tolist():
        place = town.children[child].at[year]
        for n, form in enumerate(asking[place.school]):
            if misses[n, child] < (0.04 if form == MONTHLY else 0.12):
                continue
            answers: dict[str, int | None] = {}
            for q, question in enumerate(_asked(form, place.grade)):
                said = dark[child] if question == "vanish" else values[question][child]
                kept = silent[q, child] < (0.10 if morning.shy[child] else 0.006)
                answers[question] = None if kept else int(said)
            when = at(day, 8, 15) + timedelta(seconds=int(seconds[child]) + 60 * n)
            life.answered.append(Answered(child, form, answers, when))
    life.answered.sort(key=lambda answered: (answered.at, answered.child))


@lru_cache(maxsize=32)
def _asked(form: str, grade: int) -> tuple[str, ...]:
    return tuple(question.id for question in questionnaire(form).for_grade(grade))
