"""Who makes the list: the points rule, the model once it has earned it, or the challenger.

In a first year rules beat models. The model, which starts as the rule and learns where the rule is
wrong, takes over when enough outcomes are known, unless on settled days its scores of that day put
fewer pairs in the right order within a school than the rule's did: fewer than the playbook's margin
asks for, by more than chance easily makes of two judges of the same children (two paired standard
errors). (Asking for a better figure outright was measured to let noise choose, and to hand the list
back and forth.)

The challenger, refitted trees that start from nothing, has to be clearly better than whoever would
make the list without it: by the playbook's margin and CLEARLY such errors, on pairs that all three
have scored before anything was known. The comparison is made again for every list, so whoever has
the place can also lose it. What it was decided on is frozen with the list.

Chance is counted in children and in days (models/paired.py): one outcome makes every sample of its
horizon a hit, and those are one accident and not several. (Counting each was measured to let a
challenger that knew the same children's last weeks take a list of others, and to judge worse
there.) While too few outcomes or days are known to bear such an error, a wider one stands for the
model that needs only the number of hits; and of the challenger nothing can be said yet.

Where other boards' models are used, their outcomes count as known for the online model, and their
measurements stand until the first day that was measured here; from then on the own ones decide.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from models.pooling import Pool, own_share
from models.standing import CHALLENGER, EASILY, MODEL, RULES, Standing
from warning_service.judging.setup import Setup

Name = Literal["rules", "model", "challenger"]

CLEARLY = 3.0
"""So many standard errors ahead is clearly better. Three and not two, because the question is asked
again at every list, for years: of two equals one would soon be ahead by two (control charts draw
their line at three for that: Shewhart 1931)."""


class Decision(msgspec.Struct, frozen=True):
    """The judge in charge and the evidence for it."""

    judge: Name
    why: dict[str, Any]
    measured: bool
    """Are there enough known outcomes to speak of probabilities?"""


def decide(
    setup: Setup, standing: Standing, *, challenger: bool = False, pool: Pool | None = None
) -> Decision:
    """Who judges now. `challenger`: has it trees to judge with? `pool`: other boards' models."""
    model, rules, doubt = standing.auc_model, standing.auc_rules, standing.doubt
    here = standing.hits >= setup.least_hits
    enough = here or (pool is not None and standing.hits + pool.hits >= setup.least_hits)
    if pool is not None and not standing.pairs:
        model, rules, doubt = pool.measured.aucs()
    paired = standing.apart(MODEL, RULES)
    if paired is not None:
        doubt = EASILY * paired.error
    elif doubt is not None:
        doubt *= _alike(setup)
    better = (
        model is not None
        and rules is not None
        and doubt is not None
        and model >= rules + setup.least_gain - doubt
    )
    judge: Name = "model" if enough and better else "rules"
    if not enough:
        reason = "too_few_outcomes"
    elif model is None:
        reason = "not_measured_yet"
    elif not better:
        reason = "rules_measured_better"
    else:
        reason = "model_measured_no_worse" if here else "pool_measured_no_worse"
    against = _challenged(setup, standing, judge)
    if here and challenger and against["challenger"] == "clearly_better":
        judge, reason = "challenger", "challenger_measured_better"
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
        **against,
        **_pooled(standing, pool),
    }
    return Decision(judge, why, here)


def _alike(setup: Setup) -> float:
    """By how much chance is larger than as many hits as there are labels would have it."""
    return math.sqrt(max(1.0, setup.horizon / setup.sample_every))


def _pooled(standing: Standing, pool: Pool | None) -> dict[str, Any]:
    """How much of the model's score comes from others."""
    if pool is None:
        return {}
    return {
        "pool_boards": len(pool.boards),
        "pool_labels": pool.labels,
        "pool_made_on": pool.made_on.isoformat(),
        "own_share": round(own_share(standing.hits), 3),
    }


def _challenged(setup: Setup, standing: Standing, present: Name) -> dict[str, Any]:
    """How the challenger stands against the present judge, on the pairs it has scored itself."""
    three = standing.three
    if three is None:
        return {"challenger": "silent"}
    holder = three.model if present == "model" else three.rules
    paired = standing.apart(CHALLENGER, MODEL if present == "model" else RULES)
    lead, needed = three.challenger - holder, max(0.0, setup.least_gain)
    needed += CLEARLY * paired.error if paired is not None else 0.0
    clearly = paired is not None and lead > needed
    known = "clearly_better" if clearly else "not_clearly_better"
    return {
        "challenger": known if paired is not None else "too_little_compared",
        "against": present,
        "auc_challenger": round(three.challenger, 4),
        "auc_of_present": round(holder, 4),
        "challenger_lead": round(lead, 4),
        "challenger_needs": None if paired is None else round(needed, 4),
        "challenger_pairs": three.pairs,
    }
