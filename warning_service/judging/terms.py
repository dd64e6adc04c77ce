"""What the numbers of a board's model mean, as one hash: other boards' may be used only if equal.

The rule's points are a column of the model, so other points make other numbers, even with the same
items. How long lists are and who is told of them is no part of it.
"""

from __future__ import annotations

import hashlib

import msgspec

from warning_service.judging.setup import Setup


def terms_of(setup: Setup) -> str:
    """A hash of all that the model's numbers mean: columns, the rule's points, the outcome."""
    siblings = setup.sibling and (setup.sibling.at, setup.sibling.points)
    similar = setup.similar_to and (setup.similar_to.item, setup.similar_to.state)
    told = (
        setup.schema.hash, setup.rules, setup.outcome, setup.outcome_item, setup.threshold,
        setup.horizon, setup.delay, setup.method, setup.intercept, siblings, similar,
        [(use.spec.id, use.points, use.at, use.window, use.coefficient) for use in setup.uses],
    )  # fmt: skip
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]
