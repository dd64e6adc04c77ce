"""How a replay folder is judged: its own items and dates, a playbook's points if there is one."""

from __future__ import annotations

from dataclasses import replace

from models.features import Schema
from models.items import SLACK, WINDOW, ItemSpec
from models.replay_folder import Folder
from warning_service.judging.setup import Setup, Use, from_playbook
from warning_service.playbooks.judging import Method
from warning_service.playbooks.model import Playbook

LEAST_GAIN = 0.0
FRESH_DAYS = 45


def setup_of(data: Folder, playbook: Playbook | None) -> Setup:
    """The folder's setup. A playbook adds points for items it names, and its hand-over rule.

    Without one the model may judge from as many known hits on as it has columns: with fewer than
    one each, what it learned beside the rule is chance.
    """
    generic = Setup(
        playbook="none",
        uses=tuple(
            Use(item.spec, item.label, item.label, fresh_days=FRESH_DAYS) for item in data.items
        ),
        rules="generic",
        outcome=data.outcome,
        outcome_ja=data.outcome,
        outcome_en=data.outcome,
        outcome_item=None,
        threshold=0.0,
        horizon=data.horizon,
        delay=data.delay,
        share=data.share,
        least=0,
        new_first=False,
        supported_days=1,
        least_hits=len(Schema([item.spec for item in data.items])),
        least_gain=LEAST_GAIN,
    )
    if playbook is None:
        return generic
    written = from_playbook(playbook)
    named = {use.spec.id: use for use in written.uses}
    return replace(
        generic,
        playbook=written.playbook,
        uses=tuple(
            _with_points(use, named.get(use.spec.id), written.method) for use in generic.uses
        ),
        rules="points" if any(use.spec.id in named for use in generic.uses) else "generic",
        # A count is one point each; a folder knows of no support that one could be like.
        method="formula" if written.method == "formula" else "points",
        intercept=written.intercept,
        least_hits=written.least_hits,
        least_gain=written.least_gain,
    )


def _with_points(use: Use, named: Use | None, method: Method) -> Use:
    if named is None:
        return use
    keep = max(WINDOW, named.window) + SLACK
    spec = ItemSpec(id=use.spec.id, kind=use.spec.kind, worse=use.spec.worse, keep_days=keep)
    return replace(
        use, spec=spec, points=1.0 if method == "count" else named.points, at=named.at,
        window=named.window, coefficient=named.coefficient,
    )  # fmt: skip
