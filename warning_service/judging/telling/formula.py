"""What made a list's scores, small enough to be kept with it: folded model, the school's scales.

Weights and constants of the judge in charge, its calibration, and the school's means and deviations
that a child's features are placed by. With them and a child's own facts as of the list, its score
comes out again to the last digit, and so does the score it would have had with other facts while
everybody else stayed as they were. Nothing in it is about one child.

A list the challenger made keeps the scales, and no weights: its trees are asked for beside them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from models.challenger import Forest
from models.features import Extract, extract
from models.online import Folded
from models.relative import Scale
from models.student_state import StudentState
from warning_service.judging import rules
from warning_service.judging.picking.lists import F32, on_grid, score_block
from warning_service.judging.picking.siblings import FromSiblings
from warning_service.judging.rules import Judged
from warning_service.judging.setup import Setup

KEY = "formula"
"""Under which it stands in a list's `judge_why`; queries.why_of leaves it away."""


class Formula(msgspec.Struct, frozen=True, array_like=True):
    """The judge in charge, as of one list of one school.

    `weights`: float64, features and the rule's total behind them, calibrated; empty for the rule
    and for the challenger, whose list has the name of its trees as its model's version.
    `calibration`: the rule's slope and shift. `scales`: see models/relative.Scales. `alike`: the
    weights of `similarity`. `until`: the last day whose facts counted (an ordinal).
    """

    judge: str
    schema: str
    playbook: str
    until: int
    weights: bytes
    constant: float
    calibration: tuple[float, float]
    scales: dict[str, Scale]
    alike: dict[str, float]

    def text(self) -> str:
        """As it is kept."""
        data = msgspec.msgpack.encode(self, order="deterministic")
        return base64.b64encode(data).decode()

    def fits(self, setup: Setup) -> bool:
        """Is it of this way of judging? After a change of the playbook nothing comes out again."""
        return (self.schema, self.playbook) == (setup.schema.hash, setup.playbook)

    def judged(
        self,
        setup: Setup,
        states: Sequence[StudentState],
        siblings: FromSiblings,
        *,
        was: StudentState | None = None,
    ) -> tuple[Extract, Judged]:
        """Features and rule of one child in several states, among the others of the list.

        `was`: as it was on the list; the school's means then move with what it has instead.
        """
        names, until, among = [f"{at:06d}" for at in range(len(states))], self.until, self.scales
        own = extract(setup.schema, ["was"], [was], until, among=among).own if was else None
        found = extract(setup.schema, names, states, until, among=among, instead=own)
        judged = rules.judge(setup, found, self.alike or None)
        if setup.sibling is not None:
            judged = judged.with_siblings(np.full(len(states), siblings.points))
        if setup.schema.homes and siblings.shown:
            found = found.with_homes(np.tile(siblings.shown, (len(states), 1)))
        return found, judged

    def scores(self, found: Extract, judged: Judged, trees: Forest | None = None) -> F32:
        """Log-odds on the grid, as the list's own. `trees`: the challenger's, of that list.

        Raises AssertionError for a list of the challenger's without them.
        """
        if self.judge == "challenger":
            assert trees is not None
            return on_grid(trees.score(found.block))
        if self.weights:
            weights = np.frombuffer(self.weights, dtype="<f8")
            folded = Folded(weights, self.constant, np.zeros(len(weights)))
            return score_block(rules.beside(found.block, judged.total), folded)
        slope, shift = self.calibration
        return on_grid((judged.total * slope + shift).astype(np.float32))


def freeze(
    setup: Setup,
    judge: str,
    group: Extract,
    *,
    folded: Folded,
    calibration: tuple[float, float],
    alike: dict[str, float],
) -> Formula | None:
    """The formula of a list; None where there is no playbook (replays)."""
    if setup.rules != "points":
        return None
    if setup.similar_to is not None and not alike:
        return None  # whose likeness is learned needs the weights it was judged by
    weights = folded.weights.astype("<f8").tobytes() if judge == "model" else b""
    return Formula(
        judge,
        setup.schema.hash,
        setup.playbook,
        group.day,
        weights,
        folded.constant if judge == "model" else 0.0,
        calibration,
        group.scales,
        alike,
    )


def kept_in(why: dict[str, Any]) -> Formula | None:
    """The formula in a list's `judge_why`; None when there is none, or of another version."""
    text = why.get(KEY)
    if not isinstance(text, str):
        return None
    try:
        return msgspec.msgpack.decode(base64.b64decode(text), type=Formula)
    except (ValueError, msgspec.DecodeError):
        return None
