"""The part of a playbook about what an adult can record in 20 seconds, and a standard for it.

A board that has words of its own for what it does names them; one that has not takes these, which
are ours: no source publishes the buttons of its screens. A choice's id goes into the log, its
wording only onto pages.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from warning_service.playbooks.kinds import Part


class Choice(Part):
    """A choice people make, with its wording."""

    id: str
    label: str
    label_en: str


_ACTIONS = (
    Choice(id="talked", label="声をかけた", label_en="Talked with the child"),
    Choice(id="consulted", label="話をきいた", label_en="Listened at length"),
    Choice(id="home", label="家庭と連絡した", label_en="Contacted the family"),
    Choice(
        id="counsellor",
        label="SC・関係機関につないだ",
        label_en="Brought in counsellor or services",
    ),
    Choice(id="watched", label="見守った", label_en="Watched"),
)
_CHANGES = (
    Choice(id="better", label="よくなってきた", label_en="Better"),
    Choice(id="same", label="かわらない", label_en="No change"),
    Choice(id="worse", label="心配がふえた", label_en="Worse"),
    Choice(id="unknown", label="まだわからない", label_en="Not known yet"),
)


class FollowUp(Part):
    """What an adult can record in 20 seconds.

    Whoever names actions of its own also says which of them count as support.
    """

    actions: tuple[Choice, ...] = Field(default=_ACTIONS, min_length=1)
    changes: tuple[Choice, ...] = Field(default=_CHANGES, min_length=1)
    support_actions: tuple[str, ...] = Field(
        default=("talked", "consulted", "home", "counsellor"),
        description="Actions that count as support given.",
    )
    better: tuple[str, ...] = Field(
        default=("better",), description="Change ids that count as 'changed for the better'."
    )

    @model_validator(mode="after")
    def _once(self) -> FollowUp:
        for name, choices in (("actions", self.actions), ("changes", self.changes)):
            if len({choice.id for choice in choices}) != len(choices):
                raise ValueError(f"follow_up.{name} names a choice twice")
        return self
