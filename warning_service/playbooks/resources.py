"""The part of a playbook about community resources (地域資源): whom a child or family can turn to.

A prepared list of places and services, for the meeting's screen and, where the board says so, for
the page a child sees after it asked to talk ("contact points that fit"). Public information only:
nothing here is about a child.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from warning_service.catalogue.questionnaires import consultation, plain
from warning_service.playbooks.kinds import Part


class Resource(Part):
    """One place or service. `shown`: in the meeting, and after a consultation. Words for children
    may carry furigana as the questionnaires write it.

    `directions`: support directions of meetings it fits; `topics`: what a consultation can be about
    (choice ids of the questionnaire's `about`); `grades`: first and last. None of them: for all.
    """

    id: str
    label: str
    label_en: str
    about: str
    about_en: str
    contact: str = Field(default="", description="Telephone or place, as people would use it.")
    contact_en: str = ""
    hours: str = ""
    hours_en: str = ""
    directions: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    grades: tuple[int, int] | None = None
    shown: tuple[Literal["meeting", "consultation"], ...] = Field(
        default=("meeting",), min_length=1
    )

    @model_validator(mode="after")
    def _can_be_reached(self) -> Resource:
        if "consultation" in self.shown and not self.contact:
            raise ValueError(f"resource '{self.id}': a child needs a contact to turn to")
        if self.grades is not None and self.grades[0] > self.grades[1]:
            raise ValueError(f"resource '{self.id}': grades run from the lower to the higher")
        return self

    @property
    def english(self) -> tuple[str, str]:
        """Contact and hours for readers of English; where there is none, the Japanese, unmarked."""
        return self.contact_en or plain(self.contact), self.hours_en or plain(self.hours)

    def fits(self, *, directions: Sequence[str] = (), grade: int | None = None) -> bool:
        """Does it serve one of these directions (none asked: any), for a child of that grade?"""
        right = (
            not directions or not self.directions or bool(set(directions) & set(self.directions))
        )
        if grade is None or self.grades is None:
            return right
        return right and self.grades[0] <= grade <= self.grades[1]

    def helps_with(self, topics: Sequence[str], grade: int) -> bool:
        """Is it for a child of that grade that asked to talk about these topics?"""
        if "consultation" not in self.shown or not self.fits(grade=grade):
            return False
        return not self.topics or bool(set(topics) & set(self.topics))


def resources_fit(resources: Sequence[Resource], directions: set[str]) -> None:
    """Raises ValueError when a resource serves a direction no meeting has."""
    if len({one.id for one in resources}) != len(resources):
        raise ValueError("two resources have one id")
    for one in resources:
        if unknown := set(one.topics) - {choice.id for choice in consultation().about}:
            raise ValueError(f"resource '{one.id}' names unknown topics: {sorted(unknown)}")
        if unknown := set(one.directions) - directions:
            raise ValueError(f"resource '{one.id}' names unknown directions: {sorted(unknown)}")
