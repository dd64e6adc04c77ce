"""The playbook: one readable, validated file that says how a board works.

Adding a board is adding a file. The models here say which fields there are; pydantic refuses what
is unknown or out of range and names the field. Values the source does not publish are marked
"example value" in the shipped files.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from warning_service.catalogue.items import Item, all_items
from warning_service.playbooks.alert_life import AlertLife
from warning_service.playbooks.follow_up import Choice, FollowUp
from warning_service.playbooks.judging import Bands, Difficulty, Judgement, ListRule
from warning_service.playbooks.kinds import (
    A_YEAR,
    CENTURY,
    Escalation,
    Kind,
    Kinds,
    Part,
    Step,
    Urgency,
)
from warning_service.playbooks.meetings import Meeting, Review, chain_fits
from warning_service.playbooks.reading import read
from warning_service.playbooks.resources import Resource, resources_fit
from warning_service.playbooks.sheets import Sheet, sheets_fit


class Outcome(Part):
    """What one wants to prevent: `item` adding up to `threshold` within a school year."""

    id: str
    label: str
    label_en: str
    item: str
    threshold: float = Field(gt=0)
    horizon_days: int = Field(ge=1, le=CENTURY, description="A list looks this many days ahead.")
    label_delay_days: int = Field(ge=0, le=CENTURY, default=0)


class ItemInUse(Part):
    """An item of the catalogue in this playbook, and what it does to a score without a model.

    It is *reached* when the sum (counts, flags) or mean (measures) over the last `window_days` is
    `at` or worse, in the direction the catalogue calls worse; `points` then count. A formula adds
    `coefficient` times that sum or mean, of a flag once (below 0: it lowers the score). `types`:
    the difficulties it speaks for; none: all. `hidden`: it feeds the score and is shown to nobody
    in a meeting.

    A file that does not say otherwise looks back 28 days for what happens day by day (counts and
    answers), and for everything else as long as the catalogue calls it fresh.
    """

    id: str
    points: float = Field(ge=0, default=0.0)
    at: float = 1.0
    window_days: int = Field(ge=1, le=CENTURY, default=28)
    coefficient: float = 0.0
    types: tuple[str, ...] = ()
    hidden: bool = False

    @model_validator(mode="before")
    @classmethod
    def _as_long_as_fresh(cls, data: Any) -> Any:
        known = all_items().get(data.get("id", "")) if isinstance(data, dict) else None
        if known is None or known.kind == "count" or "window_days" in data:
            return data
        return {**data, "window_days": known.fresh_days}


class HandOver(Part):
    """When the model may make the list in place of the points rule."""

    least_hits: int = Field(
        default=20, ge=1, description="Outcomes known before the model is trusted."
    )
    least_gain: float = Field(
        default=0.0, description="AUC of the model minus AUC of the rule, at least."
    )


class AlertRule(Part):
    """A rule for same-day alerts: on answers, or on the model's own score.

    `streak`: `question` at or worse than `at` on `days` answered days running. `fall`: today's
    answer is at least `by` worse than the child's own mean of the last `days` days (at least
    `least` answers). `critical`: `question` at or worse than `at`, once. `rise`: at the close of a
    day with news of the child, its probability is at least `at` and at least `by` above that of
    the latest list (a rise is told once until the next list); it asks no question.
    """

    id: str
    kind: Literal["streak", "fall", "critical", "rise"]
    question: str = ""
    at: float | None = None
    by: float | None = None
    days: int = Field(default=1, ge=1, le=A_YEAR)
    least: int = Field(default=5, ge=1)
    urgency: Urgency = "today"
    label: str
    label_en: str

    @model_validator(mode="after")
    def _has_its_threshold(self) -> AlertRule:
        for needed in {"fall": ("by",), "rise": ("at", "by")}.get(self.kind, ("at",)):
            if getattr(self, needed) is None:
                raise ValueError(f"alert rule '{self.id}': {self.kind} needs '{needed}'")
        if (self.kind == "rise") == bool(self.question):
            raise ValueError(f"alert rule '{self.id}': a question, and none for a rise")
        return self


_LIFE_OR_DEATH = AlertRule(
    id="wants_to_vanish",
    kind="critical",
    question="vanish",
    at=1,
    urgency="urgent",
    label="命にかかわるかもしれない回答です",
    label_en="An answer that may concern life and death",
)


Listener = Literal["homeroom", "nurse", "counsellor", "social_worker", "guidance", "management"]
"""Duties at a child's own class or school that a call for help can be for."""


class Consultations(Part):
    """Who reads what a child wrote, beside those it chose."""

    life_or_death: tuple[Listener, ...] = Field(
        default=("nurse", "management"),
        min_length=1,
        description="Told at once, and may read, when the child says it is about life and death. "
        "Its page says so before it sends.",
    )

    @model_validator(mode="after")
    def _once(self) -> Consultations:
        if len(set(self.life_or_death)) != len(self.life_or_death):
            raise ValueError("consultations.life_or_death names a duty twice")
        return self


class Basis(Choice):
    """On what another division may look at a child. `consent`: somebody agreed, on a day that is
    recorded; else a rule of law (an ordinance) that the label names.
    """

    consent: bool = False


class Sharing(Part):
    """Items that cross between school and welfare office beyond what the catalogue says.

    Ids of the catalogue; for the welfare office also answers (`q.mood`, or `q.*` for all of them).
    `bases`: one of them is recorded with each case handed over for support, before the office sees
    anything; none: nothing is asked. `item_by_item`: the giving side chooses for each case which of
    its items the office sees, and nothing else of what it holds is shown.
    """

    school_sees: tuple[str, ...] = ()
    welfare_sees: tuple[str, ...] = ()
    bases: tuple[Basis, ...] = ()
    item_by_item: bool = False

    @model_validator(mode="after")
    def _once(self) -> Sharing:
        if len({basis.id for basis in self.bases}) != len(self.bases):
            raise ValueError("sharing.bases names a basis twice")
        return self


class SignIn(Part):
    """How the board's children sign in.

    A child's secret is three pictures, and digits from `digits_from_grade` on (10: never); a child
    keeps what it has until it is given a new one.
    """

    class_codes: bool = Field(
        default=True, description="May a tablet be set to a class by typing its code, too?"
    )
    digits_from_grade: int = Field(default=7, ge=1, le=10)
    digits: int = Field(default=4, ge=4, le=8)


class Playbook(Part):
    """One board's way of working."""

    id: str
    version: int = Field(ge=1)
    name: str
    name_en: str
    source: str
    questionnaires: tuple[str, ...]
    outcome: Outcome
    types: tuple[Difficulty, ...] = ()
    items: tuple[ItemInUse, ...] = Field(min_length=1)
    judgement: Judgement = Judgement()
    bands: Bands | None = None
    list: ListRule
    hand_over: HandOver = HandOver()
    alert_rules: tuple[AlertRule, ...] = (_LIFE_OR_DEATH,)
    escalation: Escalation = Escalation()
    kinds: Kinds = Kinds()
    review: Review
    meetings: tuple[Meeting, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    resources: tuple[Resource, ...] = ()
    follow_up: FollowUp = FollowUp()
    sign_in: SignIn = SignIn()
    alert_life: AlertLife = AlertLife()
    consultations: Consultations = Consultations()
    sharing: Sharing = Sharing()

    @model_validator(mode="after")
    def _names_fit(self) -> Playbook:
        known = all_items()
        for name in (*(item.id for item in self.items), self.outcome.item):
            if name not in known and not name.startswith("q."):
                raise ValueError(f"item '{name}' is not in the catalogue")
        for name in (*self.sharing.school_sees, *self.sharing.welfare_sees):
            if name not in known and not (
                name.startswith("q.") and name in self.sharing.welfare_sees
            ):
                raise ValueError(f"sharing names '{name}', which is not in the catalogue")
        for part in ("types", "alert_rules"):
            ids = [one.id for one in getattr(self, part)]
            if len(set(ids)) != len(ids):
                raise ValueError(f"{part}: one id stands twice")
        if len(set(self.questionnaires)) != len(self.questionnaires):
            raise ValueError("a questionnaire is named twice")
        self._judging_fits()
        self._meetings_fit(set(known))
        if unknown := set(self.follow_up.support_actions) - {c.id for c in self.follow_up.actions}:
            raise ValueError(f"follow_up.support_actions: unknown {sorted(unknown)}")
        if unknown := set(self.follow_up.better) - {c.id for c in self.follow_up.changes}:
            raise ValueError(f"follow_up.better: unknown {sorted(unknown)}")
        return self

    def _meetings_fit(self, known: set[str]) -> None:
        """Each meeting follows from an earlier one; what is shown there is there."""
        chain_fits(self.review, self.meetings)
        if self.bands is not None and self.bands.scheme in {one.scheme for one in self.sittings}:
            raise ValueError("bands and a meeting have one scheme")
        if (self.review.of == "cases") != (self.judgement.method == "none"):
            raise ValueError(
                "review.of is 'cases' where no list is made (method 'none'), only there"
            )
        sheets_fit(self.sheets, [one.id for one in self.sittings], known)
        directions = {choice.id for one in self.sittings for choice in one.directions}
        resources_fit(self.resources, directions)

    @property
    def sittings(self) -> tuple[Review | Meeting, ...]:
        """All meetings, in order; the first is the review."""
        return (self.review, *self.meetings)

    def sitting(self, meeting_id: str) -> Review | Meeting:
        """A meeting by its id; '' is the first. Raises KeyError."""
        for one in self.sittings:
            if one.id == (meeting_id or self.review.id):
                return one
        raise KeyError(meeting_id)

    @property
    def support_classes(self) -> frozenset[tuple[str, str]]:
        """(scheme, class) of every decision that means "support agreed", in any meeting."""
        return frozenset((one.scheme, chosen) for one in self.sittings for chosen in one.supports)

    def _judging_fits(self) -> None:
        """What is judged by must be there to be judged by."""
        used = {item.id for item in self.items}
        types = {one.id for one in self.types}
        if len(used) != len(self.items):
            raise ValueError("items names an item twice")
        for item in self.items:
            if unknown := set(item.types) - types:
                raise ValueError(f"item '{item.id}': unknown types {sorted(unknown)}")
            if item.coefficient and self.judgement.method != "formula":
                raise ValueError(f"item '{item.id}': only a formula has coefficients")
        rule = self.list
        conditions = [*rule.leave_out, *rule.later]
        if self.judgement.similar_to is not None:
            conditions.append(self.judgement.similar_to)
        named = [c.item for c in conditions if c.item]
        named += [item.id for item in rule.second.items] if rule.second else []
        if unknown := set(named) - used:
            raise ValueError(f"the list asks for items that are not in use: {sorted(unknown)}")
        if (self.judgement.method == "none") != (rule.cadence == "none"):
            raise ValueError("method 'none' and cadence 'none' go together")
        if self.bands is not None and self.bands.each == "type" and not types:
            raise ValueError("bands.each: there are no types")
        for pick in rule.picks:
            if pick.by == "type" and not any(one.at is not None for one in self.types):
                raise ValueError(f"pick '{pick.id}': no type says from where on it is reached")
            if pick.each == "type" and not types:
                raise ValueError(f"pick '{pick.id}': there are no types")

    def chain(self, kind: str, urgency: str) -> tuple[Step, ...]:
        """Who is told of an alert of that kind, step by step.

        A kind this version does not know (an old alert) goes the way of its urgency.
        """
        own = getattr(self.kinds, kind, None)
        if isinstance(own, Kind) and own.steps and own.urgency == urgency:
            return own.steps
        by_urgency = {"urgent": self.escalation.urgent, "routine": self.escalation.routine}
        return by_urgency.get(urgency, self.escalation.today)

    def rings_at_night(self, kind: str, urgency: str) -> bool:
        """Is an alert of that kind told at once, also in quiet hours?"""
        own = getattr(self.kinds, kind, None)
        held = isinstance(own, Kind) and own.quiet_hours == "hold"
        return urgency == "urgent" or not held

    def catalogue_items(self) -> dict[str, Item]:
        """The catalogue's entries for the items in use (questions are not in the catalogue)."""
        known = all_items()
        return {item.id: known[item.id] for item in self.items if item.id in known}


def parse(text: str) -> Playbook:
    """A playbook from TOML text. Raises ValueError (pydantic's names each bad field)."""
    return Playbook.model_validate(read(text))


def load_file(path: Path) -> Playbook:
    """A playbook from a file of the board's own."""
    return parse(path.read_text("utf-8"))


@lru_cache(maxsize=32)
def shipped(playbook_id: str) -> Playbook:
    """A playbook that ships with Kizashi. Raises KeyError for an unknown id."""
    return parse(shipped_text(playbook_id))


def shipped_text(playbook_id: str) -> str:
    """The file of a playbook that ships with Kizashi. Raises KeyError for an unknown id."""
    file = files(__package__).joinpath("shipped", f"{playbook_id}.toml")
    if not playbook_id.isidentifier() or not file.is_file():
        raise KeyError(playbook_id)
    return file.read_text("utf-8")


def fingerprint(playbook: Playbook) -> str:
    """A short hash of the playbook's content, frozen with every list it made."""
    return hashlib.sha256(playbook.model_dump_json().encode()).hexdigest()[:16]
