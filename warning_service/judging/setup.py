"""What judging needs to know of how a board works, drawn from its playbook (or a replay folder).

The playbook is written for people; this is the small exact part of it that scores and lists depend
on. Shares are exact fractions, because 0.10 of 30 children is 3 places and not 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal

from models.features import Schema
from models.items import SLACK, WINDOW, ItemSpec
from warning_service.catalogue.questionnaires import Question, plain, questionnaire
from warning_service.playbooks.model import ItemInUse, Playbook, fingerprint
from warning_service.playbooks.sharing import Side, shown_to

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
    """

    spec: ItemSpec
    label_ja: str
    label_en: str
    unit: str = ""
    shown: Literal["value", "count_only", "score_only"] = "value"
    fresh_days: int = ANSWER_FRESH_DAYS
    points: float = 0.0
    at: float = 0.0
    window: int = WINDOW
    answers: tuple[tuple[float, str, str], ...] = ()
    question_en: str = ""


@dataclass(frozen=True)
class Setup:
    """One board's judging. `rules`: "points" of the playbook, or "generic" without one.

    `outcome_item`: sums to `threshold` within a school year make the outcome (None: outcomes come
    from outside only). `share` of the ranked, at least `least`, is the list's budget in places.
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
    share: Fraction
    least: int
    new_first: bool
    supported_days: int
    least_hits: int
    least_gain: float
    scheme: str = ""
    support_classes: frozenset[str] = frozenset()
    support_actions: frozenset[str] = frozenset()
    rises: tuple[Rise, ...] = ()

    @cached_property
    def schema(self) -> Schema:
        """The feature columns of the items in use."""
        return Schema([use.spec for use in self.uses])

    @property
    def sample_every(self) -> int:
        """Days between two training samples: weekly, denser for short horizons."""
        return max(1, min(7, self.horizon // 4))

    def budget(self, ranked: int) -> int:
        """Places on a list of `ranked` students: exact, rounded up, never more than there are."""
        places = -((-self.share * ranked) // 1)
        return min(ranked, max(self.least, int(places)))


def from_playbook(playbook: Playbook) -> Setup:
    """The judging part of a playbook."""
    chosen = playbook.outcome
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
        share=Fraction(str(playbook.list.budget_share)),
        least=playbook.list.budget_least,
        new_first=playbook.list.new_first,
        supported_days=playbook.list.supported_days,
        least_hits=playbook.hand_over.least_hits,
        least_gain=playbook.hand_over.least_gain,
        scheme=playbook.review.scheme,
        support_classes=frozenset(playbook.review.supports),
        support_actions=frozenset(playbook.follow_up.support_actions),
        rises=tuple(
            Rise(rule.id, rule.at or 0.0, rule.by or 0.0)
            for rule in playbook.alert_rules
            if rule.kind == "rise"
        ),
    )


def _use(playbook: Playbook, item: ItemInUse) -> Use:
    keep = max(WINDOW, item.window_days) + SLACK
    known = playbook.catalogue_items().get(item.id)
    if known is not None:
        return Use(
            ItemSpec(id=item.id, kind=known.kind, worse=known.worse, keep_days=keep),
            known.label, known.label_en, known.unit,
            shown_to(Side.SCHOOL, known, playbook), known.fresh_days,
            item.points, item.at, item.window_days,
        )  # fmt: skip
    question = _question(playbook, item.id)
    spec = ItemSpec(id=item.id, kind="measure", worse="high", keep_days=keep)
    if question is None:
        return Use(
            spec, item.id, item.id,
            points=item.points, at=item.at, window=item.window_days,
        )  # fmt: skip
    return Use(
        spec, plain(question.label), question.id.replace("_", " ").capitalize(),
        points=item.points, at=item.at, window=item.window_days,
        answers=tuple((a.value, plain(a.text), plain(a.text_en)) for a in question.answers),
        question_en=plain(question.text_en),
    )  # fmt: skip


def _question(playbook: Playbook, item: str) -> Question | None:
    """The question behind an item; of several questionnaires' the first one's words."""
    for name in playbook.questionnaires:
        for question in questionnaire(name).questions:
            if question.item == item:
                return question
    return None
