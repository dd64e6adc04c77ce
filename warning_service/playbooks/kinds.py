"""The part of a playbook that says who is told of what: kinds of alerts, chains, quiet hours.

Duties stand here, never names: who holds a duty, who is away and who stands in is the roster's.
How the hours and days named here become moments is alerts/deadlines.py's. Nothing here decides
whether an alert is raised.
"""

from __future__ import annotations

from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticKnownError

A_YEAR = 366
YEAR_MINUTES = A_YEAR * 24 * 60
"""No deadline is longer: one beyond the calendar could not be reckoned, and no alert be raised."""

CENTURY = 100 * A_YEAR
"""No time looked back or ahead, in days, is longer."""


class Part(BaseModel):
    """A part of a playbook: refuses fields it does not know, and never changes.

    What is written is taken as it stands: no number out of quotes or `true`, no `nan` or `inf` (a
    score of which has no place in any order), nothing empty where a wording or an id is needed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        # Before its own check the library would read "3" and true as numbers, and "no" as false.
        kinds, needed = _plain(cls, info.field_name or "")
        if bool in kinds and not isinstance(value, bool):
            raise PydanticKnownError("bool_type")
        if isinstance(value, (bool, str)) and kinds & {int, float}:
            raise PydanticKnownError("int_type" if int in kinds else "float_type")
        if needed and str in kinds and isinstance(value, str) and not value.strip():
            raise PydanticKnownError("string_too_short", {"min_length": 1})
        return value


@cache
def _plain(part: type[Part], name: str) -> tuple[frozenset[Any], bool]:
    """The plain types a field may have (not those within a list), and whether it must be there."""
    field = part.model_fields[name]
    found = field.annotation
    kinds = get_args(found) if get_origin(found) is UnionType else (found,)
    return frozenset(one for one in kinds if one in (bool, int, float, str)), field.is_required()


Urgency = Literal["urgent", "today", "routine"]
"""`urgent`: minutes count at any hour. `today`: in-school minutes. `routine`: within days."""


class Step(Part):
    """One step of the escalation chain: who is told, and how long they have.

    Either `minutes` or `school_days`: by the time school closes on the so-manieth school day
    after the one on which they were told (1: the next school day).
    """

    duties: tuple[str, ...] = Field(min_length=1)
    minutes: int = Field(
        default=0, ge=0, le=YEAR_MINUTES,
        description="In-school minutes until the next step; plain ones if urgent.",
    )  # fmt: skip
    school_days: int = Field(
        default=0, ge=0, le=A_YEAR, description="Or school days until the next step."
    )

    @model_validator(mode="after")
    def _one_deadline(self) -> Step:
        if bool(self.minutes) == bool(self.school_days):
            raise ValueError("a step needs either 'minutes' or 'school_days'")
        return self


class QuietHours(Part):
    """From `begin` o'clock to `end` o'clock nothing that can wait is sent; with `school_free_days`
    it waits over the whole of weekends, holidays and vacations, too. Equal hours: no quiet hours.
    """

    begin: int = Field(default=19, ge=0, le=24)
    end: int = Field(default=7, ge=0, le=23)
    school_free_days: bool = True


class Escalation(Part):
    """Chains by urgency, quiet hours, and the hours that bound deadlines of what is not urgent."""

    urgent: tuple[Step, ...] = Field(
        default=(
            Step(duties=("homeroom", "nurse"), minutes=10),
            Step(duties=("grade_lead", "guidance", "management"), minutes=15),
            Step(duties=("board",), minutes=30),
        ),
        min_length=1,
    )
    today: tuple[Step, ...] = Field(
        default=(
            Step(duties=("homeroom", "nurse"), minutes=120),
            Step(duties=("grade_lead", "guidance", "management"), minutes=240),
        ),
        min_length=1,
    )
    routine: tuple[Step, ...] = Field(
        default=(
            Step(duties=("management", "guidance"), school_days=3),
            Step(duties=("board_guidance",), school_days=5),
        ),
        min_length=1,
    )
    school_opens: int = Field(default=8, ge=0, le=23)
    school_closes: int = Field(default=17, ge=1, le=24)
    quiet: QuietHours = QuietHours()
    day_duty: Literal["guidance", "management", "nurse"] = Field(
        default="guidance",
        description="The duty under which whoever is on the school's roster for days without "
        "lessons (日直) is told, beside the step's own duties.",
    )

    @model_validator(mode="after")
    def _told_before_it_is_due(self) -> Escalation:
        quiet = self.quiet
        if quiet.begin != quiet.end and quiet.end > self.school_opens:
            raise ValueError("quiet hours must be over when school opens: deadlines run from then")
        return self


KindName = Literal[
    "consultation",
    "critical",
    "same_day",
    "list_published",
    "review_due",
    "follow_up_overdue",
    "extract_missing",
    "duty_gap",
    "looking_alarm",
    "request_due",
    "system_trouble",
]
"""What adults are told of."""


class Kind(Part):
    """How one kind of alert is told.

    `steps` is its own chain (audience and deadlines); without one it goes the way of its urgency.
    `after_days`: school days after which a kind that is about lateness counts as late.
    """

    urgency: Urgency
    quiet_hours: Literal["ignore", "hold"] = "hold"
    steps: tuple[Step, ...] = ()
    after_days: int = Field(default=0, ge=0, le=A_YEAR)

    @model_validator(mode="after")
    def _urgent_rings(self) -> Kind:
        if self.urgency == "urgent" and self.quiet_hours != "ignore":
            raise ValueError("what is urgent ignores quiet hours")
        return self


def _kind(urgency: Urgency, *steps: Step, after_days: int = 0) -> Kind:
    quiet: Literal["ignore", "hold"] = "ignore" if urgency == "urgent" else "hold"
    return Kind(urgency=urgency, quiet_hours=quiet, steps=steps, after_days=after_days)


_SCHOOL = Step(duties=("guidance", "management"), school_days=3)
_BOARD = Step(duties=("board_guidance", "board"), school_days=5)


class Kinds(Part):
    """Every kind of alert; a board's file need only name those it wants otherwise.

    A `critical` or `same_day` alert's urgency is its rule's own; when that is another than the
    kind's, the rule's chain is followed.
    """

    consultation: Kind = _kind("urgent")
    critical: Kind = _kind("urgent")
    same_day: Kind = _kind("today")
    list_published: Kind = _kind("routine", _SCHOOL, _BOARD)
    review_due: Kind = _kind("routine", _SCHOOL, _BOARD, after_days=5)
    follow_up_overdue: Kind = _kind(
        "routine", Step(duties=("homeroom", "guidance"), school_days=2), _SCHOOL, after_days=10
    )
    extract_missing: Kind = _kind(
        "routine", Step(duties=("operator", "board_guidance"), school_days=2), after_days=3
    )
    duty_gap: Kind = _kind(
        "routine",
        Step(duties=("guidance", "management"), school_days=1),
        Step(duties=("board_guidance", "accounts", "board"), school_days=2),
    )
    # Auditors alone: an alarm may be about anybody whom a longer chain would tell.
    looking_alarm: Kind = _kind("routine", Step(duties=("auditor",), school_days=3))
    request_due: Kind = _kind(
        "routine",
        Step(duties=("privacy",), school_days=1),
        Step(duties=("privacy", "board"), school_days=2),
    )
    system_trouble: Kind = _kind(
        "urgent", Step(duties=("operator",), minutes=30), Step(duties=("board",), minutes=60)
    )

    @model_validator(mode="after")
    def _help_is_urgent(self) -> Kinds:
        if self.consultation.urgency != "urgent":
            raise ValueError("kinds.consultation: a call for help is urgent")
        return self

    def of(self, kind: str) -> Kind:
        """How that kind is told. Raises AttributeError for an unknown one."""
        found = getattr(self, kind)
        assert isinstance(found, Kind)
        return found
