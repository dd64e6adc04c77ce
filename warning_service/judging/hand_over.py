"""Who makes the list: the points rule, or the model once it has earned it.

In a first year rules beat models. The model takes over when enough outcomes are known and, on
settled days, its scores of that day put at least as many pairs in the right order within a school
as the rule's did, by the playbook's margin. The comparison is made again for every list, so the
model can also lose the place. What it was decided on is frozen with the list.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from models.learner import Standing
from warning_service.judging.setup import Setup


class Decision(msgspec.Struct, frozen=True):
    """The judge in charge and the evidence for it."""

    judge: Literal["rules", "model"]
    why: dict[str, Any]
    measured: bool
    """Are there enough known outcomes to speak of probabilities?"""


def decide(setup: Setup, standing: Standing) -> Decision:
    """Who judges now."""
    model, rules = standing.auc_model, standing.auc_rules
    enough = standing.hits >= setup.least_hits
    better = model is not None and rules is not None and model >= rules + setup.least_gain
    judge: Literal["rules", "model"] = "model" if enough and better else "rules"
    if not enough:
        reason = "too_few_outcomes"
    elif not better:
        reason = "rules_measured_better"
    else:
        reason = "model_measured_better"
    why: dict[str, Any] = {
        "judge": judge,
        "reason": reason,
        "hits": standing.hits,
        "least_hits": setup.least_hits,
        "auc_model": None if model is None else round(model, 4),
        "auc_rules": None if rules is None else round(rules, 4),
        "least_gain": setup.least_gain,
        "pairs": standing.pairs,
        "days_measured": len(standing.recent),
        "base_rate": None if standing.base_rate is None else round(standing.base_rate, 5),
    }
    return Decision(judge, why, enough)
