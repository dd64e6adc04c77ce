"""The part of a playbook about meetings: who sits in which, on whom, and what they may decide.

A board's way of working is a chain of meetings. The first is `[review]`; each of `[[meetings]]`
takes on children whom an earlier one put into certain classes, and sorts them into classes of its
own. Letters mean nothing without a scheme's name, so no two meetings share a scheme.

Nothing here decides about a child: what a meeting chose is follow_up/service.py's to record.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from warning_service.playbooks.follow_up import Choice
from warning_service.playbooks.kinds import A_YEAR, Part

Seat = Literal[
    "committee", "guidance", "management", "nurse", "counsellor", "social_worker",
    "board_guidance", "welfare",
]  # fmt: skip
"""Duties that can have a seat in a meeting. A homeroom teacher is heard, by a sheet."""

AT_SCHOOL: tuple[Seat, ...] = ("committee", "guidance", "management")


class Sitting(Part):
    """What every meeting has: who takes part, the classes it sorts into, how long it has.

    `duties`: who may open it and record what was decided; each still reaches only its own children,
    and the welfare office only those whose turn has come here. `supports`: classes that mean
    "support agreed". `minutes` a child and `households` a sitting are what the screen shows and
    counts; nothing is cut off. `days`: by when every child should have been decided on, in school
    days after the list (or after the earlier meeting's decision); None: what `[kinds.review_due]`
    says. `resources`: the list of community resources is shown.
    """

    label: str = Field(default="", description="The meeting's own name; '' is the scheme's.")
    label_en: str = ""
    scheme: str
    scheme_label: str
    scheme_label_en: str
    classes: tuple[Choice, ...] = Field(min_length=2)
    directions: tuple[Choice, ...] = ()
    supports: tuple[str, ...] = Field(
        default=(), description="Class ids that count as 'support agreed'."
    )
    duties: tuple[Seat, ...] = Field(default=AT_SCHOOL, min_length=1)
    minutes: float = Field(default=0.5, gt=0, le=24 * 60, description="For one child.")
    households: int | None = Field(default=None, ge=1, description="In one sitting, at most.")
    days: int | None = Field(default=None, ge=1, le=A_YEAR)
    resources: bool = False

    @model_validator(mode="after")
    def _classes_fit(self) -> Sitting:
        known = [choice.id for choice in self.classes]
        if len(set(known)) != len(known):
            raise ValueError(f"scheme '{self.scheme}' names a class twice")
        if len({choice.id for choice in self.directions}) != len(self.directions):
            raise ValueError(f"scheme '{self.scheme}' names a direction twice")
        if unknown := set(self.supports) - set(known):
            raise ValueError(f"{self.scheme}.supports names unknown classes: {sorted(unknown)}")
        return self

    def name(self, lang: str) -> str:
        """The meeting's name in the reader's language."""
        if lang == "en":
            return self.label_en or self.scheme_label_en
        return self.label or self.scheme_label

    def scheme_name(self, lang: str) -> str:
        """The scheme's name, which goes with every letter."""
        return self.scheme_label_en if lang == "en" else self.scheme_label


class Review(Sitting):
    """The first meeting. `of`: the children listed; everybody on the roll of the list's school
    (Aizumisato's screening of all pupils); or, where no list is made, the cases handed over.
    """

    id: str = "review"
    of: Literal["list", "roll", "cases"] = "list"


class Meeting(Sitting):
    """A later meeting, on those whom the meeting `after` put into one of the classes `takes`."""

    id: str
    after: str = "review"
    takes: tuple[str, ...] = Field(min_length=1)


def chain_fits(review: Review, meetings: Sequence[Meeting]) -> None:
    """Raises ValueError for a chain of meetings that does not hold together."""
    before: dict[str, Sitting] = {review.id: review}
    schemes = {review.scheme}
    for meeting in meetings:
        if meeting.id in before:
            raise ValueError(f"two meetings have the id '{meeting.id}'")
        if meeting.scheme in schemes:
            raise ValueError(f"two meetings have the scheme '{meeting.scheme}'")
        earlier = before.get(meeting.after)
        if earlier is None:
            raise ValueError(f"meeting '{meeting.id}': 'after' names no earlier '{meeting.after}'")
        if unknown := set(meeting.takes) - {choice.id for choice in earlier.classes}:
            raise ValueError(
                f"meeting '{meeting.id}' takes unknown classes of '{meeting.after}': "
                f"{sorted(unknown)}"
            )
        before[meeting.id] = meeting
        schemes.add(meeting.scheme)
