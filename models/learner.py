"""What one board has learned: the online model, its memory, and how well it and the rules did.

A training block holds one day's feature rows and the scores both judges gave that day. When all
labels of the day are sure, `settle` measures those scores (they were given before anything was
known, so this is honest), recalibrates the rule, and only then lets the model learn all its labels.
How much of what was learned is used (`trust`) is assumed by counts, and more where settled days
measured that more is better (standing.py).
The model is calibrated on the memory, a fair sample of all that ever settled. (Doing so on the
latest days was measured to make it worse: a cohort's labels settle together, and the last days are
not the next ones.)

The challenger (challenger.py) takes the same labels into a sample of its own, and its scores are
measured on the same pairs once it has given any. What it costs is counted apart.

Not here: when a block is due and what the labels are (the judging room), and which judge may make
a list (judging/hand_over).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from models.challenger import Challenger
from models.drift import Watch
from models.evaluation import calibrate
from models.memory import Kept, Memory, mixed, priority
from models.online import F64, Folded, OnlineModel
from models.paired import in_order, sums
from models.pooling import Pool, blend, of_text, to_bytes
from models.standing import (
    CHALLENGER,
    MODEL,
    MODEL_PRIOR,
    RULES,
    RULES_PRIOR,
    TRUSTED,
    TRUSTS,
    Settled,
    Standing,
)
from warning_service.clock import cpu_seconds

BLOCKS = 12
"""Settled days on which the judges are measured."""

PAIRS = 250
"""Predictions of one settled day that serve calibration."""

HITS_A_COLUMN = 5.0
"""With so many known hits (or negatives, if fewer) for each column, half of what the model learned
beside the rule is used; with few nearly nothing, with many nearly all. (Ten events a variable is a
rule of thumb of regression: Peduzzi and others 1996.)"""

MODEL_TRUST = 100.0
"""Student-dates of evidence that the model is its own calibration already, against the memory's."""


class TrainingBlock(msgspec.Struct, array_like=True):
    """Feature rows of one day, students sorted.

    `rows` is float32 of shape (students, columns + 1): the features, and the rule's points as the
    last column. `learned`: how many labels the model had learned when it gave its scores.
    `challenger_scores`: empty while the challenger was silent. `weights`: all that the own model
    had learned that day (float64, one for each column), empty before it had learned anything; with
    the rows they give the model's order by any share of trust.
    """

    day: int
    schema: str
    learned: int
    students: list[str]
    groups: list[str]
    model_scores: bytes
    rows: bytes
    challenger_scores: bytes = b""
    weights: bytes = b""

    def without(self, students: Collection[str]) -> TrainingBlock:
        """The block without these students; the same object when none is in it."""
        keep = [at for at, student in enumerate(self.students) if student not in students]
        if len(keep) == len(self.students):
            return self
        wide = len(self.rows) // len(self.students)

        def kept(data: bytes, size: int) -> bytes:
            return b"".join(data[at * size : (at + 1) * size] for at in keep)

        return msgspec.structs.replace(
            self,
            students=[self.students[at] for at in keep],
            groups=[self.groups[at] for at in keep],
            model_scores=kept(self.model_scores, 4),
            rows=kept(self.rows, wide),
            challenger_scores=kept(self.challenger_scores, 4) if self.challenger_scores else b"",
        )


def _by_trust(block: TrainingBlock, rows: npt.NDArray[np.float32]) -> F64:
    """The model's order of that day by each of TRUSTS: (trusts, students)."""
    weights = np.frombuffer(block.weights, dtype="<f8")
    beside = np.einsum("ij,j->i", rows[:, :-1].astype(np.float64), weights[:-1])
    rule = rows[:, -1].astype(np.float64) * weights[-1]
    return np.array([rule + trust * beside for trust in TRUSTS])


class _Stored(msgspec.Struct, array_like=True):
    online: bytes
    standing: Standing


class Learner:
    """One board's model, memory and standing."""

    def __init__(self, names: Sequence[str], schema: str) -> None:
        self.names, self.schema = tuple(names), schema
        self.online = OnlineModel(names)
        self.columns = len(self.online.names)
        self.memory = Memory()
        self.pool: Pool | None = None
        self.challenger = Challenger(len(self.names))
        self.challenger_cpu = 0.0
        self.watch = Watch()
        self.standing = Standing()

    @property
    def learned(self) -> int:
        """Labels behind the scores: the own model's, and the pool's where one is used."""
        return self.online.steps + (self.pool.labels if self.pool else 0)

    def folded(self) -> Folded:
        """The model's calibrated log-odds, over features and the rule's points behind them."""
        return self._raw().scaled(*self.standing.model)

    def _raw(self) -> Folded:
        if self.pool is None:
            return self.online.folded(self.trust)
        return blend(
            self.online.folded(), self.pool, self.standing.hits, learned=self.online.steps > 0
        )

    @property
    def beside_rule(self) -> bytes:
        """All weights as learned, for a training block; b"" before anything was learned."""
        return self.online.folded().weights.astype("<f8").tobytes() if self.online.steps else b""

    @property
    def trust(self) -> float:
        """How much of what was learned beside the rule is used, 0 to 1: assumed, or measured."""
        return max(self.assumed_trust, self.standing.trust)

    @property
    def assumed_trust(self) -> float:
        """How much of what was learned beside the rule the number of labels bears, 0 to 1."""
        hits = self.standing.hits
        each = min(hits, self.standing.counted - hits) / (HITS_A_COLUMN * self.columns)
        return each**2 / (1.0 + each**2)

    def use_pool(self, pool: Pool | None) -> bool:
        """From here on judge with what other boards know, too; None: alone.

        The own model goes on learning as if there were none. False, and nothing changed, when the
        pool is of other columns.
        """
        if pool is not None and (pool.schema, len(pool.weights)) != (self.schema, self.columns):
            return False
        self.pool = pool
        if self.memory.hits or self.memory.negatives:
            self._calibrate()
        return True

    def settle(self, block: TrainingBlock, labels: Sequence[bool | None]) -> None:
        """Measure, recalibrate and learn one day whose labels are all sure.

        `labels`: one for each of the block's students, None where it does not count.
        Raises ValueError when the block has other columns than the model.
        """
        if block.schema != self.schema:
            raise ValueError("the training block has other columns")
        use = [at for at, found in enumerate(labels) if found is not None]
        if not use:
            return
        hits = np.array([bool(labels[at]) for at in use], dtype=bool)
        hashes = [priority(block.students[at], block.day) for at in use]
        rows = np.frombuffer(block.rows, dtype="<f4").reshape(len(block.students), self.columns)
        self._measure(block, use, hits, hashes, rows)
        self._learn(block, use, hits, hashes, rows)
        began = cpu_seconds()
        self.challenger.add([block.students[at] for at in use], hashes, hits, rows[use])
        self.challenger_cpu += cpu_seconds() - began

    def ask_challenger(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | None:
        """The challenger's calibrated log-odds; None while it is silent."""
        began = cpu_seconds()
        found = self.challenger.score(rows)
        self.challenger_cpu += cpu_seconds() - began
        return found

    def fit_challenger(self, day: int) -> bool:
        """Fit it for the lists of `day`, once for all of them; False when that was done."""
        began = cpu_seconds()
        done = self.challenger.fit(day)
        self.challenger_cpu += cpu_seconds() - began
        return done

    def forget(self, student: str) -> tuple[bool, bool]:
        """Take a student out of the memory and the challenger's sample: was it in (either)?"""
        return self.memory.forget(student), self.challenger.forget(student)

    def _measure(
        self,
        block: TrainingBlock,
        use: list[int],
        hits: npt.NDArray[np.bool_],
        hashes: list[int],
        rows: npt.NDArray[np.float32],
    ) -> None:
        model = np.frombuffer(block.model_scores, dtype="<f4").astype(np.float64)[use]
        rules = rows[use, -1].astype(np.float64)
        if block.learned:
            self.watch.settle(block.day, model, hits)
        model_right, rules_right, pairs = 0.0, 0.0, 0
        challenger_right: float | None = None
        parts, tried = b"", bool(block.weights)
        if block.learned:
            judges = np.zeros((TRUSTED + len(TRUSTS), len(use)))
            judges[MODEL], judges[RULES] = model, rules
            if block.challenger_scores:
                theirs = np.frombuffer(block.challenger_scores, dtype="<f4").astype(np.float64)
                judges[CHALLENGER] = theirs[use]
            if tried:
                judges[TRUSTED:] = _by_trust(block, rows[use])
            right, of = in_order(judges, hits, [block.groups[at] for at in use])
            pairs = int(of[hits].sum())
            model_right, rules_right, others = right[:TRUSTED, hits].sum(axis=1).tolist()
            challenger_right = others if block.challenger_scores else None
            counted = sums([block.students[at] for at in use], hits, right, of)
            parts = counted.astype("<f8").tobytes()
        sample = sorted(range(len(use)), key=lambda at: hashes[at])[:PAIRS]
        standing = self.standing
        standing.recent.append(
            Settled(
                block.day,
                len(use),
                int(hits.sum()),
                pairs,
                int(hits.sum()) if pairs else 0,
                model_right,
                rules_right,
                [float(rules[at]) for at in sample],
                [bool(hits[at]) for at in sample],
                challenger_right,
                parts,
                tried,
            )
        )
        del standing.recent[:-BLOCKS]
        standing.hits += int(hits.sum())
        standing.counted += len(use)
        standing.trust = standing.measured_trust(self.assumed_trust)
        standing.rules = calibrate(
            np.array([x for s in standing.recent for x in s.rules_points]),
            np.array([h for s in standing.recent for h in s.were_hits]),
            slope=RULES_PRIOR[0], shift=RULES_PRIOR[1],
        )  # fmt: skip

    def _learn(
        self,
        block: TrainingBlock,
        use: list[int],
        hits: npt.NDArray[np.bool_],
        hashes: list[int],
        rows: npt.NDArray[np.float32],
    ) -> None:
        order = sorted(range(len(use)), key=lambda at: (mixed(hashes[at], block.day), use[at]))
        self.online.begin(int(hits.sum()), len(use))
        for at in order:
            self.online.learn(rows[use[at]].tolist(), bool(hits[at]))
        self.memory.add(
            (self._kept(block, use[at], hashes[at], rows) for at in order if hits[at]),
            (self._kept(block, use[at], hashes[at], rows) for at in order if not hits[at]),
        )
        self._calibrate()

    def _calibrate(self) -> None:
        labels, weights = self.memory.labels()
        raw = self._raw().score(self.memory.rows(self.columns)).astype(np.float64)
        slope, shift = MODEL_PRIOR
        self.standing.model = calibrate(
            raw, labels, slope=slope, shift=shift, weights=weights, trust=MODEL_TRUST
        )

    @staticmethod
    def _kept(block: TrainingBlock, at: int, number: int, rows: npt.NDArray[np.float32]) -> Kept:
        return Kept(number, block.students[at], rows[at].tobytes())

    # -- bytes ----

    def model_bytes(self) -> bytes:
        """Canonical bytes of model and standing."""
        return msgspec.msgpack.encode(_Stored(self.online.to_bytes(), self.standing))

    def memory_bytes(self) -> bytes:
        """Canonical bytes of the memory."""
        return msgspec.msgpack.encode(self.memory)

    def pool_bytes(self) -> bytes:
        """Canonical bytes of the pool in use, b"" for none."""
        return b"" if self.pool is None else to_bytes(self.pool)

    def restore(self, model: bytes | None, memory: bytes | None, pool: bytes = b"") -> None:
        """Put stored bytes back. Raises ValueError or msgspec.ValidationError for others' bytes."""
        if model is not None:
            stored = msgspec.msgpack.decode(model, type=_Stored)
            self.online = OnlineModel.from_bytes(self.names, stored.online)
            self.standing = stored.standing
        if memory is not None:
            self.memory = msgspec.msgpack.decode(memory, type=Memory)
        self.pool = of_text(pool.decode())
