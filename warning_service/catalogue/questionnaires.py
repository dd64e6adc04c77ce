"""Questionnaires as data: questions, scales, wording with furigana, choices of the consultation.

A question is a data item too (`q.<id>`, a measure; higher is always worse), which is why the
files live in the catalogue. Wording marks kanji as `{漢字|かんじ|3}`: the reading, and the school
grade in which the kanji is learnt (it is read without help from the grade after). `_` marks a gap
between words, which first readers see as a space (わかち書き) and nobody else sees. `readable`
gives the text for one grade as (text, reading) runs.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib.resources import files

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

GAP = "_"
GAPS_UNTIL_GRADE = 2
_MARK = re.compile(r"\{([^|{}]+)\|([^|{}]+)\|(\d)\}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(_Part):
    """One point of a scale. `face` names the drawing the tablet shows; `value`: higher is worse."""

    value: int = Field(ge=0, le=9)
    text: str
    text_en: str
    face: str = ""


class Question(_Part):
    """One question. `skippable`: the child may say "I would rather not say"."""

    id: str = Field(pattern=r"^[a-z][a-z_]*$")
    text: str
    text_en: str
    label: str = Field(description="Short, for adults' tables.")
    skippable: bool = True
    least_grade: int = Field(default=1, ge=1, le=9)
    answers: tuple[Answer, ...] = Field(min_length=2)

    @property
    def item(self) -> str:
        """Its id as a data item."""
        return f"q.{self.id}"


class Questionnaire(_Part):
    """A set of questions. `cadence`: how often a school asks it."""

    id: str
    version: int = Field(ge=1)
    title: str
    title_en: str
    cadence: str = Field(pattern="^(daily|monthly)$")
    questions: tuple[Question, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Questionnaire:
        if len({q.id for q in self.questions}) != len(self.questions):
            raise ValueError("a question id is used twice")
        for question in self.questions:
            if len({a.value for a in question.answers}) != len(question.answers):
                raise ValueError(f"question '{question.id}' uses a value twice")
        return self

    def for_grade(self, grade: int) -> tuple[Question, ...]:
        """The questions a child of that grade (1-9) is asked."""
        return tuple(q for q in self.questions if grade >= q.least_grade)


class ConsultationChoice(_Part):
    """Whom a child can choose to talk to, or about what. `duty`: the role that is told.

    `life_or_death`: who chooses it is also heard by the duties its board's playbook names for that.
    """

    id: str
    text: str
    text_en: str
    duty: str = ""
    life_or_death: bool = False


class HelpLine(_Part):
    """A phone number shown whatever else is down."""

    name: str
    name_en: str
    number: str
    hours: str
    hours_en: str


class Consultation(_Part):
    """The consultation page's choices and the phone numbers."""

    whom: tuple[ConsultationChoice, ...]
    about: tuple[ConsultationChoice, ...]
    help_lines: tuple[HelpLine, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_life_or_death(self) -> Consultation:
        if not any(choice.life_or_death for choice in self.about):
            raise ValueError("no choice of 'about' says life_or_death")
        if any(choice.life_or_death for choice in self.whom):
            raise ValueError("life_or_death belongs to 'about'")
        return self


def _read(name: str) -> str:
    return files(__package__).joinpath("questionnaires", f"{name}.toml").read_text("utf-8")


@lru_cache(maxsize=64)
def questionnaire(questionnaire_id: str) -> Questionnaire:
    """A questionnaire by id. Raises KeyError for an unknown one."""
    if not questionnaire_id.isidentifier() or questionnaire_id == "consultation":
        raise KeyError(questionnaire_id)
    try:
        text = _read(questionnaire_id)
    except FileNotFoundError:
        raise KeyError(questionnaire_id) from None
    return Questionnaire.model_validate(tomllib.loads(text))


@lru_cache(maxsize=1)
def consultation() -> Consultation:
    """What the consultation page offers."""
    return Consultation.model_validate(tomllib.loads(_read("consultation")))


class Run(msgspec.Struct, frozen=True):
    """A stretch of text; `reading` is the furigana to show above it, '' for none."""

    text: str
    reading: str


def readable(marked: str, grade: int) -> list[Run]:
    """Marked-up wording as runs for a reader of that grade (1-9; 10 and up: never furigana)."""
    marked = marked.replace(GAP, " " if grade <= GAPS_UNTIL_GRADE else "")
    runs: list[Run] = []
    end = 0
    for mark in _MARK.finditer(marked):
        if mark.start() > end:
            runs.append(Run(marked[end : mark.start()], ""))
        known_from = int(mark.group(3))
        runs.append(Run(mark.group(1), "" if grade > known_from else mark.group(2)))
        end = mark.end()
    if end < len(marked):
        runs.append(Run(marked[end:], ""))
    return runs


def plain(marked: str) -> str:
    """The wording without readings and gaps, for adults' pages."""
    return _MARK.sub(lambda mark: mark.group(1), marked.replace(GAP, ""))
