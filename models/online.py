"""The online model: River's StandardScaler and LogisticRegression (AdaGrad), label by label.

Its state is not pickled. Scaler, weights, optimiser and intercept are written as float64 in the
order of the feature schema, and put back into River's own objects; the same bytes come out again.
For scoring, the scaler is folded into the weights, so that a block costs one matrix product.

The last column is the points rule's own score (`PRIOR`). It enters `PRIOR_SCALE` times as large as
the others, so that small steps move it that much further: a model that has learned little is close
to the rule, and what it learns is where the rule is wrong. The weights that judge are an average
over the last labels' weights. Constants
were chosen by time-forward validation on the two open data sets (docs/models.md says how).

Scores are the same for equal rows wherever they stand: the product is `einsum`, which adds each
row by itself. (BLAS was measured to give equal rows different sums at the end of a block.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import msgspec
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

PRIOR = "rule:points"
PRIOR_SCALE = 20.0
LEARNING_RATE = 0.06
INTERCEPT_RATE = 0.005
L2 = 0.01

AVERAGED, AVERAGED_SHARE = 5_000, 0.25
"""Latest labels over which the weights that judge are averaged (Polyak and Juditsky 1992), so that
what is learned from the last few does not shake the list: so many, or that share of all ever
learned, whichever is more (as Shamir and Zhang 2013 weigh the later ones)."""
AVERAGE_EVERY = 10

ASSUMED = 10
"""So many hits and as many negatives are assumed beside the first labels, for the intercept."""


def library_versions() -> dict[str, str]:
    """Versions that change what the bytes mean; kept with every snapshot."""
    return {"river": version("river"), "numpy": version("numpy")}


class _Stored(msgspec.Struct, array_like=True):
    names: int
    seen: int
    steps: int
    intercept: float
    means: bytes
    variances: bytes
    weights: bytes
    squares: bytes
    averaged: int
    average: bytes
    average_intercept: float


@dataclass(frozen=True)
class Folded:
    """A linear score over raw features: `block @ weights + constant`.

    `means` are the scaler's; `weights * (row - means)` are the exact contributions of one row
    relative to the average student the model has seen.
    """

    weights: F64
    constant: float
    means: F64

    def scaled(self, slope: float, shift: float) -> Folded:
        """The same score after `slope * score + shift` (a calibration)."""
        return Folded(self.weights * slope, self.constant * slope + shift, self.means)

    def without_last(self) -> Folded:
        """The score of all columns but the last, which whoever asks accounts for otherwise."""
        return Folded(self.weights[:-1], self.constant, self.means[:-1])

    def score(self, block: F32) -> F32:
        """Raw scores (log-odds) of a block of shape (students, columns)."""
        product = np.einsum("ij,j->i", block, self.weights.astype(np.float32))
        return np.asarray(product + np.float32(self.constant), dtype=np.float32)

    def contributions(self, row: F32) -> F64:
        """What each column adds to one student's log-odds, against the average student."""
        return np.asarray(self.weights * (row.astype(np.float64) - self.means), dtype=np.float64)


class OnlineModel:
    """River's pipeline over a fixed list of feature names, the rule's points behind them."""

    def __init__(self, names: Sequence[str]) -> None:
        from models import pipeline  # brings River, a second of imports: only for a model

        self.names = (*names, PRIOR)
        self.scaler, self.regression = pipeline.parts(
            rate=LEARNING_RATE, l2=L2, intercept_rate=INTERCEPT_RATE
        )

        self.averaged = 0
        self.average = np.zeros(len(self.names))
        self.average_intercept = 0.0

    @property
    def steps(self) -> int:
        """How many labels were learned (repeats from memory included)."""
        return int(self.regression.optimizer.n_iterations)

    def begin(self, hits: int, counted: int) -> None:
        """Start the intercept at the first labels' base rate; later calls do nothing."""
        if not self.steps:
            chance = (hits + ASSUMED) / (counted + 2 * ASSUMED)
            self.regression.intercept = math.log(chance / (1.0 - chance))
            self.average_intercept = self.regression.intercept

    def learn(self, row: Sequence[float], hit: bool) -> None:
        """Learn one label."""
        x = dict(zip(self.names, row, strict=True))
        self.scaler.learn_one(x)
        self.regression.learn_one(self._scaled(x), hit)
        if self.steps % AVERAGE_EVERY == 0:
            self.averaged += AVERAGE_EVERY
            window = max(AVERAGED, self.averaged * AVERAGED_SHARE)
            part = AVERAGE_EVERY / min(self.averaged, window)
            self.average += (self.latest() - self.average) * part
            self.average_intercept += (self.regression.intercept - self.average_intercept) * part

    def predict(self, row: Sequence[float]) -> float:
        """River's own probability for one row by the latest weights, not the averaged ones."""
        x = dict(zip(self.names, row, strict=True))
        return float(self.regression.predict_proba_one(self._scaled(x))[True])

    def _scaled(self, x: dict[str, float]) -> dict[str, float]:
        scaled: dict[str, float] = self.scaler.transform_one(x)
        scaled[PRIOR] *= PRIOR_SCALE
        return scaled

    def latest(self) -> F64:
        """River's weights after the last label, not averaged."""
        held = self.regression.weights
        return np.array([held.get(name, 0.0) for name in self.names], dtype=np.float64)

    def folded(self, trust: float = 1.0) -> Folded:
        """Scaler and averaged weights as one linear score.

        `trust`, 0 to 1: how much of what was learned beside the rule's column is used.
        """
        means, variances = self._scaler_arrays()
        weights = self.average.copy()
        weights[:-1] *= trust
        weights[-1] *= PRIOR_SCALE
        spread = np.sqrt(variances)
        live = spread > 0
        folded = np.where(live, weights / np.where(live, spread, 1.0), 0.0)
        products = (folded * means).tolist()
        return Folded(folded, self.average_intercept - sum(products), means)

    def _scaler_arrays(self) -> tuple[F64, F64]:
        means = [self.scaler.means.get(name, 0.0) for name in self.names]
        variances = [self.scaler.vars.get(name, 0.0) for name in self.names]
        return np.array(means, dtype=np.float64), np.array(variances, dtype=np.float64)

    # -- bytes ----

    def to_bytes(self) -> bytes:
        """Canonical bytes of everything River has learned."""
        means, variances = self._scaler_arrays()
        squares = self.regression.optimizer.g2
        seen = max(self.scaler.counts.values(), default=0)
        return msgspec.msgpack.encode(
            _Stored(
                len(self.names),
                seen,
                self.steps,
                float(self.regression.intercept),
                means.astype("<f8").tobytes(),
                variances.astype("<f8").tobytes(),
                self.latest().astype("<f8").tobytes(),
                np.array([squares.get(n, 0.0) for n in self.names], dtype="<f8").tobytes(),
                self.averaged,
                self.average.astype("<f8").tobytes(),
                self.average_intercept,
            )
        )

    @classmethod
    def from_bytes(cls, names: Sequence[str], data: bytes) -> OnlineModel:
        """River objects as they were. Raises ValueError when the bytes are of other columns."""
        from models.pipeline import vector

        stored = msgspec.msgpack.decode(data, type=_Stored)
        model = cls(names)
        if stored.names != len(model.names):
            raise ValueError("the stored model has other columns")
        if stored.seen:
            model.scaler.counts.update(dict.fromkeys(model.names, stored.seen))
            model.scaler.means.update(_named(model.names, stored.means))
            model.scaler.vars.update(_named(model.names, stored.variances))
        if stored.steps:
            # In the order of the schema, as learning put them: River adds up in that order.
            model.regression._weights = vector(_named(model.names, stored.weights))
            model.regression.optimizer.g2.update(_named(model.names, stored.squares))
        model.averaged = stored.averaged
        model.average = np.frombuffer(stored.average, dtype="<f8").copy()
        model.average_intercept = stored.average_intercept
        model.regression.intercept = stored.intercept
        model.regression.optimizer.n_iterations = stored.steps
        return model


def _named(names: Sequence[str], data: bytes) -> dict[str, float]:
    return dict(zip(names, np.frombuffer(data, dtype="<f8").tolist(), strict=True))
