"""What-if: how a listed child's score would move, had some of its facts been otherwise.

The list's own formula is used on the child's own facts of that day, so the starting point is the
frozen score itself, to the last digit; if it is not, nothing is calculated. The others stay as they
were. It is arithmetic and no promise: the model has seen that children with such facts were hit
less often, not that bringing a fact about protects anybody. A support that is given changes no
number by itself; it changes what may happen next, and who is listed first.

Nothing is stored. Who looked is on the trail; that is the page's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection

from models.challenger import Forest
from models.features import extract
from models.items import WINDOW
from models.student_state import StudentState
from warning_service.judging import queries
from warning_service.judging.as_of import state_as_of
from warning_service.judging.picking.lists import probability
from warning_service.judging.picking.siblings import FromSiblings
from warning_service.judging.setup import Setup
from warning_service.judging.telling import reachable
from warning_service.judging.telling.formula import Formula
from warning_service.judging.telling.reachable import Now

Why = Literal["no_formula", "playbook_changed", "facts_changed", "no_facts"]


@dataclass(frozen=True)
class Unable:
    """Nothing can be calculated, and why.

    "no_formula": what made the list was not kept with it (it is older than this page).
    "playbook_changed".
    "facts_changed": the facts of that day are no longer all there. "no_facts": nothing that counts
    against the child could soon be otherwise.
    """

    why: Why


@dataclass(frozen=True)
class Fact:
    """A fact one may change. `usual`: the step nearest to the child's own usual, if it has one."""

    now: Now
    usual: float | None


@dataclass(frozen=True)
class Outlook:
    """A score with changed facts. `place`: among all ranked of that list, by score alone.

    `points`: the rule's total, a formula's in log-odds; `mark`: the rule's in its method's terms.
    """

    score: float
    points: float
    mark: float
    place: int | None


@dataclass(frozen=True)
class Moved:
    """The result: as it was, with everything wished for, and with each wish by itself."""

    before: Outlook
    after: Outlook
    alone: list[tuple[Now, float, Outlook]]


@dataclass(frozen=True)
class WhatIf:
    """One child on one list, ready to be asked about."""

    setup: Setup
    formula: Formula
    state: StudentState
    facts: list[Fact]
    siblings: FromSiblings
    others: tuple[float, ...]
    by_points: bool
    trees: Forest | None = None

    def asked(self, wanted: Mapping[str, float]) -> Moved:
        """The score with these facts: item -> one of its steps; what is none of them is left."""
        wishes = {
            fact.now: value
            for fact in self.facts
            for value in (wanted.get(fact.now.use.spec.id),)
            if value in fact.now.steps
        }
        tries: list[Mapping[Now, float]] = [{}, wishes]
        tries += [{now: value} for now, value in wishes.items()]
        before, after, *rest = self._scored(tries)
        alone = [(now, value, one) for (now, value), one in zip(wishes.items(), rest, strict=True)]
        return Moved(before, after, alone)

    def _scored(self, wishes: Sequence[Mapping[Now, float]]) -> list[Outlook]:
        states = [reachable.changed(self.state, self.formula.until, wish) for wish in wishes]
        found, judged = self.formula.judged(self.setup, states, self.siblings, was=self.state)
        log_odds = self.formula.scores(found, judged, self.trees).tolist()
        chances = [probability(z) for z in log_odds]
        return [
            Outlook(
                chance, points, mark, self._place(round(points, 6) if self.by_points else chance)
            )
            for chance, points, mark in zip(
                chances, judged.total.tolist(), judged.score.tolist(), strict=True
            )
        ]

    def _place(self, score: float) -> int | None:
        return 1 + sum(other > score for other in self.others) if self.others else None


def prepare(
    conn: Connection,
    setup: Setup,
    made: Any,
    entry: Any,
    *,
    visible: frozenset[str] | None = None,
    place: bool = True,
) -> WhatIf | Unable:
    """A child's entry as something to be asked about. `made`: the list's row.

    `visible`: the items whose facts the reader may see; None: all that the catalogue shows.
    `place`: may the reader know a place among all ranked? None is told either where the database
    keeps the others' scores from a reader (row security).
    """
    formula = queries.formula_of(made)
    trees = queries.trees_of(conn, made) if made.judge == "challenger" else None
    if formula is None or (made.judge == "challenger" and trees is None):
        return Unable("no_formula")
    if not formula.fits(setup):
        return Unable("playbook_changed")
    state = state_as_of(conn, setup, entry.student, made.as_of)
    if state is None:
        return Unable("facts_changed")
    by_points = formula.judge == "rules"
    rows = queries.scores(conn, made.id)
    column = "rules_score" if by_points else "score"
    others = [float(getattr(row, column)) for row in rows if row.student != entry.student]
    facts = [
        Fact(now, _usual(setup, now, state, formula.until))
        for now in reachable.reachable(setup.uses, state, formula.until)
        if visible is None or now.use.spec.id in visible
    ]
    told = queries.evidence_of(entry)
    ready = WhatIf(
        setup,
        formula,
        state,
        facts,
        FromSiblings(told.get("sibling_points", 0.0), tuple(told.get("siblings_show", ()))),
        tuple(others) if place and len(rows) == made.ranked else (),
        by_points,
        trees,
    )
    if not math.isclose(ready.asked({}).before.score, entry.score, abs_tol=1e-12):
        return Unable("facts_changed")
    return ready if facts else Unable("no_facts")


def _usual(setup: Setup, now: Now, state: StudentState, until: int) -> float | None:
    """The step that comes nearest to what is usual for the child, from above."""
    usual = float(extract(setup.schema, ["k"], [state], until).items[now.use.spec.id].usual[0])
    if math.isnan(usual):
        return None
    if now.use.spec.kind == "count":
        usual *= now.window / WINDOW
    fitting = [step for step in now.steps if step >= usual - 1e-9]
    return min(fitting) if fitting else None
