"""Boards learn together by exchanging a model's parameters, never a record.

One round: every board tells the averaged weights of its own model, how often a label was learned
and how well the model did (`Shared`); whoever combines them makes one `Pool` for each board out of
what the *others* told, an average weighted by labels; that board's scores then lie between its own
model and the pool, the nearer to its own the more outcomes it has seen itself (`blend`).

The own model learns exactly as it would alone, and only the own model is ever told. So nobody's
parameters come back in the next round: what a board takes out of its model is out of everybody's
next pool, and taking a child out of the own model stays exact.

What is told are averages over many children, but averages of a small town can point at one. So a
board with few labels tells nothing (`TooFew`), a column in which fewer than CARRIERS children
differ from the rest is left out (a certificate held by two children), and numbers are rounded. This
is no mathematical guarantee (no differential privacy); docs/models.md says what can still be
learned from it. Nothing here knows files, keys or the log: that is judging/pooling.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from models.online import F64, Folded

if TYPE_CHECKING:
    from models.learner import Learner

CARRIERS = 10
"""A column is told when so many different children at least are not like the usual one in it."""

HIT_CHILDREN = 10
OTHER_CHILDREN = 50
LABELS = 500
"""A board tells its model when so many different children had the outcome, so many had it not, and
so many labels were learned. Children are counted in the memory, which may know fewer of them."""

LEAST_BOARDS = 2
"""A pool holds at least so many boards' parameters, so that it is nobody's own."""

TRUST = 600.0
"""Hits a board must have seen itself before its own model counts as much as the pool. Compared by
time-forward validation (benchmarks/pooling.py) were 30 to 1,000: the small town did better the
larger it was, from 300 on by less than the luck of the split; larger towns lost nothing."""

USED_DAYS = 400
"""A pool is used so many days at most: then a new round has to come, or the board is alone."""

DIGITS = 4

LARGEST = 1e9
"""No mean or weight of a model comes near it; products of two stay far from what floats hold."""


class TooFew(ValueError):
    """A board knows too few children to tell its model to anybody."""


class NotAlike(ValueError):
    """Parameters that mean different things, or of the same board twice, cannot be combined."""


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pairs of hit and negative on settled days, and how many each judge had put in order.

    `compared`: hits that stand in those pairs.
    """

    pairs: int
    compared: int
    model_right: float
    rules_right: float

    def aucs(self) -> tuple[float | None, float | None, float | None]:
        """Within-group AUC of model and rule, and how far two equal judges' easily are apart.

        The last as in models/standing.Standing.doubt. None with nothing measured.
        """
        if not self.pairs or not self.compared:
            return None, None, None
        doubt = math.sqrt(1.0 / (12.0 * self.compared))
        return self.model_right / self.pairs, self.rules_right / self.pairs, doubt


class Shared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one board tells. `terms`: a hash of what its columns, rule and outcome are.

    The own model's log-odds of a row are `intercept + sum(weights * (row - means))`; None stands
    for a column that too few children carry.
    """

    board: str
    terms: str
    schema: str
    made_on: date
    labels: int
    hits: int
    measured: Measured
    intercept: float
    means: tuple[float | None, ...]
    weights: tuple[float | None, ...]

    def __post_init__(self) -> None:
        _whole(self.labels, self.hits, self.means, self.weights)


class Pool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the boards `boards` know together, made for the board `receiver`, which is not in it."""

    receiver: str
    boards: tuple[str, ...]
    terms: str
    schema: str
    made_on: date
    labels: int
    hits: int
    measured: Measured
    intercept: float
    means: tuple[float | None, ...]
    weights: tuple[float | None, ...]

    def __post_init__(self) -> None:
        _whole(self.labels, self.hits, self.means, self.weights)
        if self.receiver in self.boards or len(set(self.boards)) != len(self.boards):
            raise ValueError("a pool holds other boards, each once")

    @property
    def until(self) -> int:
        """The last day (ordinal) on which it is used."""
        return self.made_on.toordinal() + USED_DAYS


def _whole(labels: int, hits: int, means: Sequence[object], weights: Sequence[object]) -> None:
    if not 0 <= hits <= labels:
        raise ValueError("more hits than labels")
    if len(means) != len(weights) or any(
        (mean is None) != (weight is None) for mean, weight in zip(means, weights, strict=True)
    ):
        raise ValueError("means and weights are of other columns")


def sound(pool: Pool) -> bool:
    """Can these be numbers of models? What a member made by mistake, or in ill will, must not turn
    another board's scores into no numbers at all, nor be one board's own model.
    """
    numbers = (pool.intercept, *pool.means, *pool.weights)
    of = pool.measured
    most = of.pairs * (1.0 + 10.0 ** (1 - DIGITS))  # rounded on their way
    return (
        len(pool.boards) >= LEAST_BOARDS
        and all(number is None or abs(number) <= LARGEST for number in numbers)
        and 0 <= of.compared <= of.pairs
        and all(0.0 <= right <= most for right in (of.model_right, of.rules_right))
    )


def to_bytes(what: Shared | Pool) -> bytes:
    """Canonical JSON: equal numbers give equal bytes."""
    return msgspec.json.encode(what, order="deterministic")


def to_text(pool: Pool | None) -> str:
    """A pool as JSON text; '' for none."""
    return "" if pool is None else to_bytes(pool).decode()


def of_text(text: str) -> Pool | None:
    """The pool back. Raises msgspec.ValidationError for anything else."""
    return msgspec.json.decode(text, type=Pool) if text else None


# -- telling ----


def share(learner: Learner, board: str, terms: str, on: date) -> Shared:
    """The board's own model, as it may be told. Raises TooFew."""
    with_it, without = _children(learner)
    if with_it < HIT_CHILDREN or without < OTHER_CHILDREN or learner.online.steps < LABELS:
        raise TooFew(
            f"at least {HIT_CHILDREN} children with the outcome, {OTHER_CHILDREN} without and"
            f" {LABELS} labels are needed before a model is told to others"
        )
    own = learner.online.folded()
    told = _told_columns(learner)
    at_mean = own.constant + sum((own.weights * own.means).tolist())
    standing = learner.standing
    return Shared(
        board=board,
        terms=terms,
        schema=learner.schema,
        made_on=on,
        labels=learner.online.steps,
        hits=standing.hits,
        measured=Measured(
            standing.pairs,
            sum(day.compared for day in standing.recent),
            _rounded(sum(day.model_right for day in standing.recent)),
            _rounded(sum(day.rules_right for day in standing.recent)),
        ),
        intercept=_rounded(at_mean),
        means=_masked(own.means, told),
        weights=_masked(own.weights, told),
    )


def _children(learner: Learner) -> tuple[int, int]:
    """Different children in the memory: with the outcome, and never with it."""
    memory = learner.memory
    had = {kept.student for kept in memory.hits}
    return len(had), len({kept.student for kept in memory.negatives} - had)


def _told_columns(learner: Learner) -> list[bool]:
    """Which columns enough different children of the memory carry.

    The usual value is the most frequent one; a child carries a column when it once had another.
    """
    memory = learner.memory
    owners = [kept.student for kept in (*memory.hits, *memory.negatives)]
    rows = memory.rows(learner.columns)
    found = []
    for column in rows.T.tolist():
        usual = Counter(column).most_common(1)[0][0]
        carriers = {who for who, value in zip(owners, column, strict=True) if value != usual}
        found.append(len(carriers) >= CARRIERS)
    return found


def _masked(values: F64, told: Sequence[bool]) -> tuple[float | None, ...]:
    return tuple(
        _rounded(value) if use else None for value, use in zip(values.tolist(), told, strict=True)
    )


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


# -- combining ----


def combine(told: Sequence[Shared], receiver: str) -> Pool:
    """The pool for `receiver` out of what others told; what it told itself is left out.

    Each column is the average over the boards that tell it, weighted by labels. The pool is as old
    as its oldest part. Raises NotAlike.
    """
    others = sorted((s for s in told if s.board != receiver), key=lambda s: s.board)
    if len({s.board for s in others}) != len(others):
        raise NotAlike("the same board is there twice")
    if len(others) < LEAST_BOARDS:
        raise NotAlike(f"a pool needs {LEAST_BOARDS} boards besides the one it is for")
    if len({(s.schema, s.terms, len(s.weights)) for s in told}) != 1:
        raise NotAlike("the boards use other items, points or outcomes: parameters do not compare")
    labels = sum(s.labels for s in others)
    return Pool(
        receiver=receiver,
        boards=tuple(s.board for s in others),
        terms=others[0].terms,
        schema=others[0].schema,
        made_on=min(s.made_on for s in others),
        labels=labels,
        hits=sum(s.hits for s in others),
        measured=Measured(
            sum(s.measured.pairs for s in others),
            sum(s.measured.compared for s in others),
            sum(s.measured.model_right for s in others),
            sum(s.measured.rules_right for s in others),
        ),
        intercept=sum(s.intercept * s.labels for s in others) / labels,
        means=_averages(others, [s.means for s in others]),
        weights=_averages(others, [s.weights for s in others]),
    )


def _averages(
    boards: Sequence[Shared], columns: Sequence[tuple[float | None, ...]]
) -> tuple[float | None, ...]:
    found: list[float | None] = []
    for values in zip(*columns, strict=True):
        known = [(b.labels, v) for b, v in zip(boards, values, strict=True) if v is not None]
        weight = sum(n for n, _ in known)
        found.append(sum(n * v for n, v in known) / weight if known else None)
    return tuple(found)


# -- using ----


def own_share(hits: int) -> float:
    """How much the own model counts against the pool, 0 to 1, after so many own hits."""
    return hits / (hits + TRUST)


def blend(own: Folded, pool: Pool, own_hits: int, *, learned: bool) -> Folded:
    """The score between the own model and the pool.

    What nobody tells about a column, the own model says alone. `means` stay the own ones, against
    which contributions are told; the pool's until the own model has `learned` a label.
    """
    part = own_share(own_hits)
    known = np.array([weight is not None for weight in pool.weights], dtype=bool)
    weights, means = _filled(pool.weights), _filled(pool.means)
    theirs = np.where(known, weights, own.weights)
    at = np.where(known, means, own.means)
    constant = pool.intercept - sum((theirs * at).tolist())
    return Folded(
        part * own.weights + (1.0 - part) * theirs,
        part * own.constant + (1.0 - part) * constant,
        own.means if learned else at,
    )


def _filled(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    return np.array([0.0 if value is None else value for value in values], dtype=np.float64)
