"""What judging needs to know of how a board works, drawn from its playbook (or a replay folder).

The playbook is written for people; this is the small exact part of it that scores and lists depend
on. Shares are exact fractions, because 0.10 of 30 children is 3 places and not 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Literal

from models.features import Schema
from models.items import SLACK, WINDOW, ItemSpec
from warning_service.catalogue.items import Shown
from warning_service.catalogue.questionnaires import Question, plain, questionnaire
from warning_service.playbooks.judging import (
    Bands,
    Condition,
    Difficulty,
    ListRule,
    Method,
    Sibling,
)
from warning_service.playbooks.model import ItemInUse, Playbook, fingerprint
from warning_service.playbooks.sharing import Side, answer_shown_to, shown_to

ANSWER_FRESH_DAYS = 45


@dataclass(frozen=True)
class Rise:
    """A rule for sudden rises: at least `at` now, and at least `by` above the latest list."""

    rule: str
    at: float
    by: float


@dataclass(frozen=True)
class Use:
    """One item in use: what it is, how people call it, and its points. `points` 0: no points.

    `answers`: of a question, (value, Japanese, English) of each answer a child can choose.
    `types`: the difficulties it speaks for; none: all. `basic`: one of the 19 basic linkage items.
    `hidden`: feeds the score only; its `shown` is "score_only", whatever the catalogue says.
    `shown`: how it may stand for those at a school, `for_welfare`: for the welfare office.
    `at_school`: a school holds it; answers are held there, too.
    """

    spec: ItemSpec
    label_ja: str
    label_en: str
    unit: str = ""
    shown: Shown = "value"
    fresh_days: int = ANSWER_FRESH_DAYS
    points: float = 0.0
    at: float = 0.0
    window: int = WINDOW
    answers: tuple[tuple[float, str, str], ...] = ()
    question_en: str = ""
    for_welfare: Shown = "score_only"
    at_school: bool = True
    coefficient: float = 0.0
    types: tuple[str, ...] = ()
    basic: bool = False
    hidden: bool = False

    def speaks_for(self, difficulty: str) -> bool:
        """Does the item say anything of that type of difficulty?"""
        return not self.types or difficulty in self.types


@dataclass(frozen=True)
class Setup:
    """One board's judging. `rules`: "points", a playbook's `method`; "generic": without a playbook.

    `outcome_item`: sums to `threshold` within a school year make the outcome (None: outcomes come
    from outside only). `share` of the ranked, at least `least`, is the list's budget in places, or
    `places`; with neither there is none. `rule`: who is picked; None: the highest scores.
    """

    playbook: str
    uses: tuple[Use, ...]
    rules: Literal["points", "generic"]
    outcome: str
    outcome_ja: str
    outcome_en: str
    outcome_item: str | None
    threshold: float
    horizon: int
    delay: int
    share: Fraction | None
    least: int
    new_first: bool
    supported_days: int
    least_hits: int
    least_gain: float
    support_classes: frozenset[tuple[str, str]] = frozenset()  # (scheme, class), of every meeting
    schemes: frozenset[str] = frozenset()  # of every meeting
    support_actions: frozenset[str] = frozenset()
    welfare_sits: bool = False  # the welfare office has a seat in a meeting
    rises: tuple[Rise, ...] = ()
    method: Method = "points"
    intercept: float = 0.0
    sibling: Sibling | None = None
    similar_to: Condition | None = None
    types: tuple[Difficulty, ...] = ()
    bands: Bands | None = None
    rule: ListRule | None = None
    places: int | None = None

    @cached_property
    def schema(self) -> Schema:
        """The feature columns of the items in use."""
        return Schema([use.spec for use in self.uses], homes=self.needs_households)

    @property
    def sample_every(self) -> int:
        """Days between two training samples: weekly, denser for short horizons."""
        return max(1, min(7, self.horizon // 4))

    @property
    def whole_board(self) -> bool:
        """Are children picked from the whole board, and not from each school?"""
        return self.rule is not None and self.rule.scope == "board"

    @property
    def has_budget(self) -> bool:
        """Is the number of places limited?"""
        return self.places is not None or self.share is not None

    @property
    def needs_households(self) -> bool:
        """Does a child's score or place depend on its siblings?"""
        picks = self.rule.picks if self.rule is not None else ()
        return self.sibling is not None or any(pick.by == "siblings" for pick in picks)

    def budget(self, ranked: int) -> int:
        """Places on a list of `ranked` students: exact, rounded up, never more than there are.

        Without a budget there is a place for each of them: the list is as long as the picks say.
        """
        if self.places is not None:
            return min(ranked, self.places)
        if self.share is None:
            return ranked
        return min(ranked, max(self.least, share_of(self.share, ranked)))


def share_of(share: Fraction, whole: int) -> int:
    """So many of `whole`, rounded up."""
    return int(-((-share * whole) // 1))


def exact(share: float) -> Fraction:
    """The share as it was written: 0.1 is a tenth, and not the binary number next to it."""
    return Fraction(str(share))


def from_playbook(playbook: Playbook) -> Setup:
    """The judging part of a playbook."""
    chosen, rule, how = playbook.outcome, playbook.list, playbook.judgement
    return Setup(
        playbook=f"{playbook.id}:{playbook.version}:{fingerprint(playbook)}",
        uses=tuple(_use(playbook, item) for item in sorted(playbook.items, key=lambda i: i.id)),
        rules="points",
        outcome=chosen.id,
        outcome_ja=chosen.label,
        outcome_en=chosen.label_en,
        outcome_item=chosen.item,
        threshold=chosen.threshold,
        horizon=chosen.horizon_days,
        delay=chosen.label_delay_days,
        share=None if rule.budget_share is None else exact(rule.budget_share),
        least=rule.budget_least,
        new_first=rule.new_first,
        supported_days=rule.supported_days,
        least_hits=playbook.hand_over.least_hits,
        least_gain=playbook.hand_over.least_gain,
        support_classes=playbook.support_classes,
        schemes=frozenset(one.scheme for one in playbook.sittings),
        support_actions=frozenset(playbook.follow_up.support_actions),
        welfare_sits=any("welfare" in one.duties for one in playbook.sittings),
        rises=tuple(
            Rise(rule.id, rule.at or 0.0, rule.by or 0.0)
            for rule in playbook.alert_rules
            if rule.kind == "rise"
        ),
        method=how.method,
        intercept=how.intercept,
        sibling=how.sibling,
        similar_to=how.similar_to,
        types=playbook.types,
        bands=playbook.bands,
        rule=rule,
        places=rule.budget_places,
    )


def _use(playbook: Playbook, item: ItemInUse) -> Use:
    again = playbook.list.second.items if playbook.list.second is not None else ()
    windows = [item.window_days, *(one.window_days for one in again if one.id == item.id)]
    keep = max(WINDOW, *windows) + SLACK
    known = playbook.catalogue_items().get(item.id)
    question = None if known is not None else _question(playbook, item.id)
    if known is not None:
        use = Use(
            ItemSpec(id=item.id, kind=known.kind, worse=known.worse, keep_days=keep),
            known.label, known.label_en, known.unit,
            shown_to(Side.SCHOOL, known, playbook), known.fresh_days,
            basic=known.basic is not None, for_welfare=shown_to(Side.WELFARE, known, playbook),
            at_school=known.department == "school",
        )  # fmt: skip
    else:
        spec = ItemSpec(id=item.id, kind="measure", worse="high", keep_days=keep)
        use = Use(spec, item.id, item.id)
    if question is not None:
        use = replace(
            use, label_ja=plain(question.label),
            label_en=question.id.replace("_", " ").capitalize(),
            answers=tuple((a.value, plain(a.text), plain(a.text_en)) for a in question.answers),
            question_en=plain(question.text_en),
            for_welfare="value"
            if answer_shown_to(Side.WELFARE, question.id, playbook)
            else "score_only",
        )  # fmt: skip
    return replace(
        use, points=item.points, at=item.at, window=item.window_days,
        coefficient=item.coefficient, types=item.types, hidden=item.hidden,
        shown="score_only" if item.hidden else use.shown,
        for_welfare="score_only" if item.hidden else use.for_welfare,
    )  # fmt: skip


def _question(playbook: Playbook, item: str) -> Question | None:
    """The question behind an item; of several questionnaires' the first one's words."""
    for name in playbook.questionnaires:
        for question in questionnaire(name).questions:
            if question.item == item:
                return question
    return None
