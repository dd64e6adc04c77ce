"""The challenger: gradient boosting (scikit-learn), fitted anew as labels come, beside the others.

It learns from a bounded uniform sample of settled student-dates (memory.py), which is all it keeps
of children; a child can be taken out of that exactly. Three thirds of the children are each left
out of one fit: their scores by the fit that did not know them calibrate the whole, and the mean of
the three judges. What was fitted is kept as plain arrays, no pickle, and walked through here, so
that scoring needs no scikit-learn and equal rows get equal scores wherever they stand.

It sees the features alone, not the rule's points, and says nothing before enough hits are known.
Fitting runs on one thread with a fixed seed: the same sample gives the same trees. Whether it may
make a list is decided elsewhere (judging/hand_over.py).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.evaluation import calibrate
from models.memory import Kept, Memory, priority

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

LEAST_HITS = 50
"""Hits in the sample before it speaks: with fewer, each third has next to none to be tried on."""
GROWN = 1.25
"""It is fitted again for a list when so many times as many hits, or labels, are known as at the
last fit: trees from four fifths of the same labels are near those from all of them, and fitting is
most of what judging costs where lists are made daily."""
SAMPLE_BYTES = 400_000
"""The sample's feature rows take at most so much, so that a board's state stays near a megabyte."""
MOST_ROWS = 3000
HITS_SHARE = 3  # a third of the places is for hits
TREES, DEPTH, RATE, LEAF, PULL, BINS = 60, 3, 0.07, 25, 1.0, 64
FOLDS = 3
TRUST = 100.0
"""Student-dates of evidence that its scores are calibrated already, against the sample's."""
AT_ONCE = 2048
"""Rows walked through the trees together: what fits into a processor's cache."""
LARGEST = 60_000.0  # half-precision numbers end at 65,504


def library_versions() -> dict[str, str]:
    """Versions that change what is fitted; kept with every snapshot."""
    return {"scikit-learn": version("scikit-learn")}


def halved(rows: F32) -> npt.NDArray[np.float16]:
    """Rows in half precision, as the sample keeps them and the trees see them."""
    return np.clip(rows, -LARGEST, LARGEST).astype("<f2")


def places(columns: int) -> tuple[int, int]:
    """How many (hits, negatives) the sample holds of rows with so many columns."""
    rows = min(MOST_ROWS, SAMPLE_BYTES // (2 * max(1, columns)))
    return max(1, rows // HITS_SHARE), max(1, rows - rows // HITS_SHARE)


class Forest(msgspec.Struct, array_like=True, frozen=True):
    """Fitted trees, node by node behind each other, as little-endian arrays.

    A leaf points to itself. `values`: what a node says in log-odds; of an inner node the mean of
    what is below it, by how many of the sample came there. `slope`, `shift`: the calibration.
    `roots`: where each tree begins. A score is the mean over FOLDS fits.
    """

    roots: bytes  # i4
    features: bytes  # i4
    thresholds: bytes  # f8
    left: bytes  # i4
    right: bytes  # i4
    values: bytes  # f8
    base: float
    slope: float
    shift: float
    hits: int
    rows: int

    @property
    def version(self) -> str:
        """A name for what was fitted: a hash over it."""
        return "boosting-" + hashlib.sha256(self.to_bytes()).hexdigest()[:12]

    def to_bytes(self) -> bytes:
        """Canonical bytes; `forest_of` reads them."""
        return msgspec.msgpack.encode(self)

    def score(self, rows: F32) -> F32:
        """Calibrated log-odds of a block of shape (students, columns), row by row."""
        walk = _Walk(self)
        found = np.empty(len(rows), dtype=np.float64)
        for start in range(0, len(rows), AT_ONCE):
            part = halved(rows[start : start + AT_ONCE]).astype(np.float32)
            # Tree by tree, so that every row is added up in the same order wherever it stands.
            found[start : start + AT_ONCE] = walk.values.take(walk.leaves(part)).sum(axis=0)
        raw = self.base + found / FOLDS
        return (raw * self.slope + self.shift).astype(np.float32)

    def contributions(self, row: F32) -> F64:
        """What each column adds to one row's calibrated log-odds, against the sample's mean.

        Going down a tree, each step moves the value; the step is the column's that decided it
        (Saabas 2014). The parts add up exactly to the score minus the mean score.
        """
        walk = _Walk(self)
        parts = np.zeros(len(row))
        at = walk.roots.copy()
        seen = halved(row[None, :]).astype(np.float32)[0]
        for _ in range(DEPTH):
            columns = walk.features[at]
            below = np.where(seen[columns] <= walk.thresholds[at], walk.left[at], walk.right[at])
            np.add.at(parts, columns, walk.values[below] - walk.values[at])
            at = below
        return parts * (self.slope / FOLDS)


def forest_of(data: bytes) -> Forest:
    """Trees from their own bytes. Raises msgspec.DecodeError for others'."""
    return msgspec.msgpack.decode(data, type=Forest)


class _Walk:
    """A forest's arrays, ready to be gone through. `below`: right and left child of each node."""

    def __init__(self, forest: Forest) -> None:
        def read(data: bytes, kind: str) -> npt.NDArray[Any]:
            return np.frombuffer(data, dtype=kind)

        self.roots = read(forest.roots, "<i4").astype(np.int64)
        self.features = read(forest.features, "<i4").astype(np.int64)
        # Between two half-precision numbers there is always a single-precision one.
        self.thresholds = read(forest.thresholds, "<f8").astype(np.float32)
        self.left, self.right = read(forest.left, "<i4"), read(forest.right, "<i4")
        self.below = np.stack((self.right, self.left), axis=1).ravel().astype(np.int64)
        self.values = read(forest.values, "<f8")

    def leaves(self, rows: F32) -> I64:
        """The leaf each row ends in: shape (trees, rows)."""
        n = len(rows)
        flat, each = np.ascontiguousarray(rows.T).ravel(), np.arange(n)[None, :]
        at = np.broadcast_to(self.roots[:, None], (len(self.roots), n))
        for _ in range(DEPTH):
            low = flat.take(self.features.take(at) * n + each) <= self.thresholds.take(at)
            at = self.below.take(2 * at + low)
        return at


class _Stored(msgspec.Struct, array_like=True):
    sample: Memory
    forest: Forest | None
    fitted_on: int
    fitted_from: tuple[int, int] = (0, 0)


class Challenger:
    """One board's challenger. `fitted_on`: the list date (ordinal) it was last asked to fit for.

    `fitted_from`: (hits, labels) that were known at the last fit; (0, 0): the next date fits.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.sample = Memory()
        self.forest: Forest | None = None
        self.fitted_on = 0
        self.fitted_from = (0, 0)

    def add(
        self,
        students: list[str],
        hashes: list[int],
        hits: npt.NDArray[np.bool_],
        rows: F32,
    ) -> None:
        """Take in settled student-dates. `rows`: (students, columns or more), features first."""
        most = places(self.columns)
        kept: tuple[list[Kept], list[Kept]] = ([], [])
        for side, held, room in (
            (0, self.sample.hits, most[0]),
            (1, self.sample.negatives, most[1]),
        ):
            line = held[-1].priority if len(held) >= room else None
            for at in np.flatnonzero(hits if side == 0 else ~hits).tolist():
                if line is None or hashes[at] <= line:
                    row = halved(rows[at, : self.columns]).tobytes()
                    kept[side].append(Kept(hashes[at], students[at], row))
        of_hits = int(hits.sum())
        self.sample.add(*kept, most=most, seen=(of_hits, len(hits) - of_hits))

    def forget(self, student: str) -> bool:
        """Take a student out of the sample; False when it was not in. The trees go with the next
        list or when the models are derived again without the student, whichever is first.
        """
        found = self.sample.forget(student)
        if found:
            self.fitted_from = (0, 0)
        return found

    def fit(self, day: int) -> bool:
        """Fit for the list date `day` if enough came to be known; False when asked for it already.

        Without enough hits, or with one kind of label only in a part, there are no trees.
        """
        if day == self.fitted_on:
            return False
        self.fitted_on = day
        hits = self.sample.hits_seen
        known = (hits, hits + self.sample.negatives_seen)
        if any(now >= GROWN * then for now, then in zip(known, self.fitted_from, strict=True)):
            self.forest = fitted(self.sample, self.columns)
            self.fitted_from = known if self.forest is not None else (0, 0)
        return True

    def score(self, rows: F32) -> F32 | None:
        """Calibrated log-odds of rows of (students, columns or more); None while it is silent."""
        return None if self.forest is None else self.forest.score(rows[:, : self.columns])

    # -- bytes ----

    def to_bytes(self) -> bytes:
        """Canonical bytes of sample and trees."""
        return msgspec.msgpack.encode(
            _Stored(self.sample, self.forest, self.fitted_on, self.fitted_from)
        )

    def restore(self, data: bytes) -> None:
        """Put stored bytes back. Raises msgspec.ValidationError for others' bytes."""
        stored = msgspec.msgpack.decode(data, type=_Stored)
        self.sample, self.forest = stored.sample, stored.forest
        self.fitted_on, self.fitted_from = stored.fitted_on, stored.fitted_from


def without(data: bytes, students: Collection[str]) -> bytes | None:
    """Stored bytes without these students' rows; None when there was none of them."""
    stored = msgspec.msgpack.decode(data, type=_Stored)
    if not sum(stored.sample.forget(student) for student in students):
        return None
    stored.fitted_from = (0, 0)  # as in Challenger.forget
    return msgspec.msgpack.encode(stored)


def fitted(sample: Memory, columns: int) -> Forest | None:
    """Trees fitted on the sample; None when it is too small to say anything."""
    if len(sample.hits) < LEAST_HITS or not sample.negatives:
        return None
    rows = sample.rows(columns, "<f2").astype(np.float32)
    labels, weights = sample.labels()
    students = [kept.student for kept in (*sample.hits, *sample.negatives)]
    fold = np.array([priority(student, 0) % FOLDS for student in students])
    for one in range(FOLDS):
        if len(set(labels[fold != one].tolist())) < 2 or not (fold == one).any():
            return None
    parts: list[Any] = []
    beside = np.zeros(len(rows))
    for one in range(FOLDS):
        known = fold != one
        part, beside[~known] = _boosted(rows[known], labels[known], rows[~known])
        parts.append(part)
    # The trees saw more hits than there are; the weights bring them back to their share.
    assumed = math.log(max(1e-9, weights[0] / weights[-1]))
    slope, shift = calibrate(beside, labels, slope=1.0, shift=assumed, weights=weights, trust=TRUST)
    return _forest(parts, (slope, shift), len(sample.hits), len(rows))


def _boosted(rows: F32, labels: npt.NDArray[np.bool_], others: F32) -> tuple[Any, F64]:
    """(the fitted model, its log-odds for `others`)."""
    # A second of imports, paid by whoever fits and not by every process.
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    # One thread: with several, sums are added up in an order that the machine chooses.
    with threadpool_limits(limits=1):
        made = HistGradientBoostingClassifier(
            max_iter=TREES, max_depth=DEPTH, max_leaf_nodes=2**DEPTH, learning_rate=RATE,
            min_samples_leaf=LEAF, l2_regularization=PULL, early_stopping=False, random_state=0,
            max_bins=BINS,
        ).fit(rows, labels)  # fmt: skip
        return made, made.decision_function(others)


def _forest(parts: list[Any], calibration: tuple[float, float], hits: int, rows: int) -> Forest:
    """The fitted models' trees as one row of nodes.

    scikit-learn keeps them in `_predictors`, which it promises to nobody: the version is locked,
    and a test holds our walk against its own scores.
    """
    roots: list[int] = []
    columns: dict[str, list[npt.NDArray[Any]]] = {
        name: [] for name in ("features", "thresholds", "left", "right", "values")
    }
    base, at = 0.0, 0
    for part in parts:
        base += float(np.asarray(part._baseline_prediction).ravel()[0]) / FOLDS
        for (tree,) in part._predictors:
            nodes, n = tree.nodes, len(tree.nodes)
            leaf = nodes["is_leaf"].astype(bool)
            own = np.arange(n)
            left = np.where(leaf, own, nodes["left"].astype(np.int64))
            right = np.where(leaf, own, nodes["right"].astype(np.int64))
            roots.append(at)
            columns["features"].append(np.where(leaf, 0, nodes["feature_idx"].astype(np.int64)))
            columns["thresholds"].append(np.where(leaf, 0.0, nodes["num_threshold"]))
            columns["left"].append(left + at)
            columns["right"].append(right + at)
            columns["values"].append(_means(nodes, leaf, left, right))
            at += n

    def packed(name: str, kind: str) -> bytes:
        return np.concatenate(columns[name]).astype(kind).tobytes()

    return Forest(
        np.array(roots).astype("<i4").tobytes(), packed("features", "<i4"),
        packed("thresholds", "<f8"), packed("left", "<i4"), packed("right", "<i4"),
        packed("values", "<f8"), base, *calibration, hits, rows,
    )  # fmt: skip


def _means(nodes: Any, leaf: npt.NDArray[np.bool_], left: I64, right: I64) -> F64:
    """Each node's value; of inner nodes the mean below, by how many rows came there."""
    values = np.where(leaf, nodes["value"], 0.0).astype(np.float64)
    counts = nodes["count"].astype(np.float64)
    for at in range(len(values) - 1, -1, -1):  # children always stand behind their parent
        if not leaf[at]:
            both = (left[at], right[at])
            values[at] = sum(values[b] * counts[b] for b in both) / sum(counts[b] for b in both)
    return values
