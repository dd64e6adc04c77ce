"""How the judges did on the latest settled days, and what that bears out.

What is measured are scores given before anything was known (learner.py puts them in). On the same
pairs the model's order is measured by several shares of what it learned beside the rule, so that it
need not be assumed for ever how much of it to use.

Not here: who makes the list on these figures (judging/hand_over).
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from models.paired import F64, FIRST, Apart, apart, aucs

RULES_PRIOR = (0.5, -4.0)
"""Slope and shift from points to log-odds before anything is known: assumed, soon replaced."""

MODEL_PRIOR = (1.0, 0.0)

TRUSTS = (0.0, 0.1, 0.25, 0.5, 1.0)
"""Shares of what was learned beside the rule that are measured on settled days."""

EASILY = 2.0
"""So many standard errors are more than chance easily makes: one time in forty of two equals."""

MODEL, RULES, CHALLENGER, TRUSTED = 0, 1, 2, 3
"""Rows of a settled day's judges; from the last on, the model by each of TRUSTS."""


class Settled(msgspec.Struct, array_like=True):
    """How the judges did on one settled day, and a fair sample of points with outcomes.

    Days on which the model had not learned anything yet say nothing about it: they have no pairs.
    `compared`: hits that stand in those pairs. `challenger_right`: None when the challenger had
    given no scores that day. `parts`: the judges' pairs by parts of the children (paired.sums,
    float64), `tried`: are the trusts among them?
    """

    day: int
    counted: int
    hits: int
    pairs: int
    compared: int
    model_right: float
    rules_right: float
    rules_points: list[float]
    were_hits: list[bool]
    challenger_right: float | None = None
    parts: bytes = b""
    tried: bool = False

    @property
    def sums(self) -> F64:
        """The judges' pairs by parts of the children."""
        return np.frombuffer(self.parts, dtype="<f8").reshape(FIRST + TRUSTED + len(TRUSTS), -1)


class Three(msgspec.Struct, frozen=True):
    """Within-group AUC of all three on the same pairs."""

    challenger: float
    model: float
    rules: float
    pairs: int


class Standing(msgspec.Struct, array_like=True):
    """The latest settled days, totals since the beginning, and both calibrations.

    `trust`: what those days bear out, 0 for nothing.
    """

    recent: list[Settled] = []
    hits: int = 0
    counted: int = 0
    model: tuple[float, float] = MODEL_PRIOR
    rules: tuple[float, float] = RULES_PRIOR
    trust: float = 0.0

    @property
    def pairs(self) -> int:
        """Pairs of hit and negative on which both judges were measured."""
        return sum(s.pairs for s in self.recent)

    @property
    def doubt(self) -> float | None:
        """How far apart two equally good judges' AUCs easily are: one standard error by chance.

        That of an AUC of 1/2 with many negatives, sqrt(1 / (12 hits)) (Mann and Whitney 1947): for
        judges of whom only totals are known, and while too little is known for `apart`.
        """
        return _doubt(sum(s.compared for s in self.recent))

    def apart(self, first: int, second: int) -> Apart | None:
        """How far two of MODEL, RULES and CHALLENGER are apart on days on which both spoke.

        With the paired error; None while too few outcomes or days bear one.
        """
        days = [s for s in self.recent if s.pairs and s.parts]
        if CHALLENGER in (first, second):
            days = [s for s in days if s.challenger_right is not None]
        return apart([s.sums for s in days], first, second)

    @property
    def three(self) -> Three | None:
        """All three on the days on which the challenger spoke, too; None without such days."""
        days = [s for s in self.recent if s.challenger_right is not None and s.pairs]
        pairs = sum(s.pairs for s in days)
        if not any(s.compared for s in days):
            return None
        return Three(
            sum(s.challenger_right or 0.0 for s in days) / pairs,
            sum(s.model_right for s in days) / pairs,
            sum(s.rules_right for s in days) / pairs,
            pairs,
        )

    def measured_trust(self, assumed: float) -> float:
        """The share of trust that the latest settled days bear out; 0 where they bear out none.

        The smallest of TRUSTS that is no worse than the best of them by more than chance easily
        makes, and clearly better than the one next to what is `assumed`. The smallest, because
        what was learned is shaken by the next labels and the rule is not.
        """
        days = [s.sums for s in self.recent if s.tried and s.pairs]
        if not days:
            return 0.0
        right = aucs(days)[TRUSTED:].tolist()
        best = max(range(len(TRUSTS)), key=lambda at: (right[at], -at))
        now = min(range(len(TRUSTS)), key=lambda at: abs(TRUSTS[at] - assumed))
        for at in range(now + 1, len(TRUSTS)):
            gain = apart(days, TRUSTED + at, TRUSTED + now)
            short = apart(days, TRUSTED + best, TRUSTED + at)
            if gain is None or short is None:
                return 0.0
            if gain.lead > EASILY * gain.error and short.lead <= short.error:
                return TRUSTS[at]
        return 0.0

    @property
    def auc_model(self) -> float | None:
        """Within-group AUC of the model's earlier scores; None with nothing to measure."""
        return sum(s.model_right for s in self.recent) / self.pairs if self.pairs else None

    @property
    def auc_rules(self) -> float | None:
        """Within-group AUC of the points rule's earlier scores."""
        return sum(s.rules_right for s in self.recent) / self.pairs if self.pairs else None

    @property
    def base_rate(self) -> float | None:
        """Share of hits among the latest settled student-dates."""
        counted = sum(s.counted for s in self.recent)
        return sum(s.hits for s in self.recent) / counted if counted else None


def _doubt(compared: int) -> float | None:
    return math.sqrt(1.0 / (12.0 * compared)) if compared else None
