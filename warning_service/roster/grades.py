"""What a grade's number means, from birth to the end of junior high, and how a register writes it.

1 to 6 are primary school, 7 to 9 junior high. 0 is the year before school (年長, 5歳児), -1 the
year before that, and so on down to -5 (0歳児): one number a school year, so that a child's next
grade is always one more. Children below 1 have no sign-in: what they would say is asked of those
around them.
"""

from __future__ import annotations

import re

YOUNGEST, FIRST, LAST = -5, 1, 9
PLACES_BEFORE_SCHOOL = ("nursery", "home")
"""Stages of places whose children are not at school: nurseries of any kind, and at home (在宅)."""

_WORDS = {"年長": 0, "年中": -1, "年少": -2, "満3歳": -2}
_AGE = re.compile(r"([0-5])歳(?:児)?(?:クラス|組)?")


def signs_in(grade: int) -> bool:
    """May children of that grade have a sign-in of their own?"""
    return grade >= FIRST


def before_school(text: str) -> int | None:
    """The grade a nursery's register means: 年長, 5歳児, 0, -1 …; None for anything else.

    An age is that of the class, reached in the school year before: 5歳児 turn six and go to school.
    """
    if text in _WORDS:
        return _WORDS[text]
    if found := _AGE.fullmatch(text):
        return int(found[1]) - 5
    if re.fullmatch(r"0|-[1-5]", text):
        return int(text)
    return None


def in_words(grade: int) -> tuple[str, str]:
    """The grade in Japanese and English."""
    if grade > 6:
        return f"中{grade - 6}", f"Junior high {grade - 6}"
    if grade >= FIRST:
        return f"小{grade}", f"Grade {grade}"
    return f"{grade + 5}歳児", f"Age {grade + 5} before school"
