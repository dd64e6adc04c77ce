"""Who makes the list: the points rule, or the model once it has earned it.

In a first year rules beat models. The model, which starts as the rule and learns where the rule is
wrong, takes over when enough outcomes are known, unless on settled days its scores of that day put
fewer pairs in the right order within a school than the rule's did: fewer than the playbook's margin
asks for, by more than chance easily makes of two equal judges. (Asking for a better figure outright
was measured to let noise choose, and to hand the list back and forth.) The comparison is made again
for every list, so the model can also lose the place. What it was decided on is frozen with the
list.
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
    doubt = standing.doubt
    better = (
        model is not None
        and rules is not None
        and doubt is not None
        and model >= rules + setup.least_gain - doubt
    )
    judge: Literal["rules", "model"] = "model" if enough and better else "rules"
    if not enough:
        reason = "too_few_outcomes"
    elif not better:
        reason = "rules_measured_better"
    else:
        reason = "model_measured_no_worse"
    why: dict[str, Any] = {
        "judge": judge,
        "reason": reason,
        "hits": standing.hits,
        "least_hits": setup.least_hits,
        "auc_model": None if model is None else round(model, 4),
        "auc_rules": None if rules is None else round(rules, 4),
        "least_gain": setup.least_gain,
        "doubt": None if doubt is None else round(doubt, 4),
        "pairs": standing.pairs,
        "days_measured": len(standing.recent),
        "base_rate": None if standing.base_rate is None else round(standing.base_rate, 5),
    }
    return Decision(judge, why, enough)
