"""Numbers, dates and answers as people write them, in Japanese and English, for frozen evidence.

Only the words; which fact is told, and whether it may stand on one side, is decided in facts.py.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from warning_service.judging.setup import Use

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")  # fmt: skip


class Told(NamedTuple):
    """One sentence in both languages.

    `about`: (Japanese, English) labels of what it is about, for sentences that are put together
    when they say the same of several items; empty where the sentence names its item itself.
    """

    ja: str
    en: str
    about: tuple[tuple[str, str], ...] = ()

    def whole(self) -> tuple[str, str]:
        """The sentence with what it is about in front."""
        if not self.about:
            return self.ja, self.en
        names = list(zip(*self.about, strict=True))
        return f"{'・'.join(names[0])}:{self.ja}", f"{', '.join(names[1])}: {self.en}"


def number(value: float) -> str:
    """A number as people write it: whole where it is whole, else one decimal."""
    rounded = round(float(value), 1)
    return str(int(rounded)) if rounded == int(rounded) else f"{rounded:.1f}"


def dated(day: int, today: int) -> Told:
    """A date; with its year when that is not the year of `today`. Both are ordinals."""
    on, now = date.fromordinal(day), date.fromordinal(today)
    if on.year == now.year:
        return Told(f"{on.month}月{on.day}日", f"{on.day} {MONTHS[on.month - 1]}")
    return Told(f"{on.year}年{on.month}月{on.day}日", f"{on.day} {MONTHS[on.month - 1]} {on.year}")


def ago(day: int, today: int) -> Told:
    """How long since `day`."""
    days = today - day
    if not days:
        return Told("今日", "today")
    return Told(f"{days}日前", "1 day ago" if days == 1 else f"{days} days ago")


def answer(use: Use, value: float) -> Told:
    """The words a child chose; the number where the questionnaire has no such answer."""
    for known, ja, en in use.answers:
        if known == value:
            return Told(f"「{ja}」", f"“{en}”")
    return Told(number(value), number(value))


def asked(use: Use) -> str:
    """The English question an answer belongs to (“No” alone says nothing)."""
    return use.question_en or use.label_en


def amount(use: Use, value: float) -> str:
    """A number with the item's unit, Japanese."""
    return number(value) + use.unit


def than(up: bool, use: Use) -> Told:
    """More or less than something, as one says of this item."""
    if use.unit:
        return Told("多い" if up else "少ない", "more" if up else "less")
    return Told("高い" if up else "低い", "higher" if up else "lower")
