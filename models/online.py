"""The online model: River's StandardScaler | LogisticRegression with AdaGrad, one label at a time.

Its state is not pickled. Scaler, weights, optimiser and intercept are written as float64 in the
order of the feature schema, and put back into River's own objects; the same bytes come out again.
For scoring, the scaler is folded into the weights, so that a block costs one matrix product.

Scores are the same for equal rows wherever they stand: the product is `einsum`, which adds each
row by itself. (BLAS was measured to give equal rows different sums at the end of a block.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

LEARNING_RATE = 0.05
INTERCEPT_RATE = 0.02
L2 = 1e-3


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

    def score(self, block: F32) -> F32:
        """Raw scores (log-odds) of a block of shape (students, columns)."""
        product = np.einsum("ij,j->i", block, self.weights.astype(np.float32))
        return np.asarray(product + np.float32(self.constant), dtype=np.float32)

    def contributions(self, row: F32) -> F64:
        """What each column adds to one student's log-odds, against the average student."""
        return np.asarray(self.weights * (row.astype(np.float64) - self.means), dtype=np.float64)


class OnlineModel:
    """River's pipeline over a fixed list of feature names."""

    def __init__(self, names: Sequence[str]) -> None:
        from models import pipeline  # brings River, a second of imports: only for a model

        self.names = tuple(names)
        self.scaler, self.regression = pipeline.parts(
            rate=LEARNING_RATE, l2=L2, intercept_rate=INTERCEPT_RATE
        )
        self.pipeline: Any = self.scaler | self.regression

    @property
    def steps(self) -> int:
        """How many labels were learned (repeats from memory included)."""
        return int(self.regression.optimizer.n_iterations)

    def learn(self, row: Sequence[float], hit: bool, weight: float, *, fresh: bool) -> None:
        """Learn one label. `fresh`: the row is seen for the first time and moves the scaler too."""
        x = dict(zip(self.names, row, strict=True))
        if fresh:
            self.scaler.learn_one(x)
        self.regression.learn_one(self.scaler.transform_one(x), hit, weight)

    def predict(self, row: Sequence[float]) -> float:
        """River's own probability for one row; scoring uses `folded`, tests compare the two."""
        x = dict(zip(self.names, row, strict=True))
        return float(self.pipeline.predict_proba_one(x)[True])

    def folded(self) -> Folded:
        """Scaler and weights as one linear score."""
        means, variances = self._scaler_arrays()
        held = self.regression.weights
        weights = np.array([held.get(name, 0.0) for name in self.names], dtype=np.float64)
        spread = np.sqrt(variances)
        live = spread > 0
        folded = np.where(live, weights / np.where(live, spread, 1.0), 0.0)
        products = (folded * means).tolist()
        return Folded(folded, float(self.regression.intercept) - sum(products), means)

    def _scaler_arrays(self) -> tuple[F64, F64]:
        means = [self.scaler.means.get(name, 0.0) for name in self.names]
        variances = [self.scaler.vars.get(name, 0.0) for name in self.names]
        return np.array(means, dtype=np.float64), np.array(variances, dtype=np.float64)

    # -- bytes ----

    def to_bytes(self) -> bytes:
        """Canonical bytes of everything River has learned."""
        means, variances = self._scaler_arrays()
        held, squares = self.regression.weights, self.regression.optimizer.g2
        seen = max(self.scaler.counts.values(), default=0)
        return msgspec.msgpack.encode(
            _Stored(
                len(self.names),
                seen,
                self.steps,
                float(self.regression.intercept),
                means.astype("<f8").tobytes(),
                variances.astype("<f8").tobytes(),
                np.array([held.get(n, 0.0) for n in self.names], dtype="<f8").tobytes(),
                np.array([squares.get(n, 0.0) for n in self.names], dtype="<f8").tobytes(),
            )
        )

    @classmethod
    def from_bytes(cls, names: Sequence[str], data: bytes) -> OnlineModel:
        """River objects as they were. Raises ValueError when the bytes are of other columns."""
        from models.pipeline import vector

        stored = msgspec.msgpack.decode(data, type=_Stored)
        if stored.names != len(names):
            raise ValueError("the stored model has other columns")
        model = cls(names)
        if stored.seen:
            model.scaler.counts.update(dict.fromkeys(model.names, stored.seen))
            model.scaler.means.update(_named(model.names, stored.means))
            model.scaler.vars.update(_named(model.names, stored.variances))
        if stored.steps:
            # In the order of the schema, as learning put them: River adds up in that order.
            model.regression._weights = vector(_named(model.names, stored.weights))
            model.regression.optimizer.g2.update(_named(model.names, stored.squares))
        model.regression.intercept = stored.intercept
        model.regression.optimizer.n_iterations = stored.steps
        return model


def _named(names: Sequence[str], data: bytes) -> dict[str, float]:
    return dict(zip(names, np.frombuffer(data, dtype="<f8").tolist(), strict=True))
