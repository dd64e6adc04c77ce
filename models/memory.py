"""A bounded memory of settled student-dates, against which the online model is calibrated again.

All labels of a cohort settle together, so an online model's level drifts with the calendar; asking
it again about a fair sample of all that ever settled keeps its probabilities straight. Which rows
are kept is decided by a hash of (student, day): the smallest hashes of all that ever came, hits and
negatives apart. That is a uniform sample whatever the order of arrival, the same on every run, and
a student can be taken out of it exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec
import numpy as np
import numpy.typing as npt

HITS = 200
NEGATIVES = 400


def priority(student: str, day: int) -> int:
    """A fixed pseudo-random 63-bit number for a student-date."""
    digest = hashlib.blake2b(f"{student}\x1f{day}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """One remembered student-date: its hash, whose it is, and its feature row (float32 bytes)."""

    priority: int
    student: str
    row: bytes


class Memory(msgspec.Struct, array_like=True):
    """Kept hits and negatives, each sorted by hash, and how many there ever were."""

    hits: list[Kept] = []
    negatives: list[Kept] = []
    hits_seen: int = 0
    negatives_seen: int = 0

    def add(
        self,
        hits: Iterable[Kept],
        negatives: Iterable[Kept],
        *,
        most: tuple[int, int] = (HITS, NEGATIVES),
        seen: tuple[int, int] | None = None,
    ) -> None:
        """Take in newly settled rows and keep the `most` smallest hashes of (hits, negatives).

        `seen`: how many (hits, negatives) settled, where not all of them are handed over.
        """
        new_hits, new_negatives = list(hits), list(negatives)
        of_hits, of_negatives = seen or (len(new_hits), len(new_negatives))
        self.hits_seen += of_hits
        self.negatives_seen += of_negatives
        self.hits = _smallest([*self.hits, *new_hits], most[0])
        self.negatives = _smallest([*self.negatives, *new_negatives], most[1])

    def forget(self, student: str) -> bool:
        """Take a student out; False when it was not in."""
        hits = [k for k in self.hits if k.student != student]
        negatives = [k for k in self.negatives if k.student != student]
        found = len(hits) < len(self.hits) or len(negatives) < len(self.negatives)
        self.hits, self.negatives = hits, negatives
        return found

    def rows(self, columns: int, kind: str = "<f4") -> npt.NDArray[np.float32]:
        """All kept rows, hits first, as (kept, columns). `kind`: how their numbers are kept."""
        data = b"".join(kept.row for kept in (*self.hits, *self.negatives))
        return np.frombuffer(data, dtype=kind).reshape(-1, columns)

    def labels(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """(hit, weight) of each row of `rows`.

        Weights bring hits and negatives back to the shares in which they occurred; they average 1.
        """
        kept = len(self.hits) + len(self.negatives)
        each = kept / max(1, self.hits_seen + self.negatives_seen)
        hits = np.arange(kept) < len(self.hits)
        hit = each * self.hits_seen / max(1, len(self.hits))
        negative = each * self.negatives_seen / max(1, len(self.negatives))
        return hits, np.where(hits, hit, negative)


def mixed(number: int, turn: int) -> int:
    """Another fixed pseudo-random number for each turn, so that no order repeats."""
    x = (number ^ (turn * 0x9E3779B97F4A7C15)) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    return (x ^ (x >> 27)) & 0xFFFFFFFFFFFFFFFF


def _smallest(rows: list[Kept], most: int) -> list[Kept]:
    rows.sort(key=lambda k: (k.priority, k.student))
    return rows[:most]
