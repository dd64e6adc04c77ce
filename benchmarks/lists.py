"""Warning lists at the size of a state: our list functions against bare numpy over the same blocks.

    python benchmarks/lists.py [--students 1473087] [--columns 113] [--rounds 5]

Blocks of 400 to 900 students (schools), float32. "Bare" is one matrix product and one argpartition
per block; "ours" is what the service calls: scoring with scaler and calibration folded in, the
grid, and the places with ties by student and "new first". Both run in turn in the same process;
the ratio is of the medians. Then all score rows, ranks included, are written to SQLite with
synchronous=FULL, in one transaction per 100 schools, scoring included.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from models.online import Folded
from warning_service.clock import monotonic
from warning_service.judging.picking.lists import choose, order, probability, score_block

SHARE = Fraction("0.03")


def blocks_of(students: int, columns: int) -> list[np.ndarray]:
    random = np.random.default_rng(20)
    found, left = [], students
    while left > 0:
        size = min(left, int(random.integers(400, 901)))
        found.append(random.standard_normal((size, columns), dtype=np.float32))
        left -= size
    return found


def places(size: int) -> int:
    return -((-SHARE * size) // 1)


def bare(blocks: list[np.ndarray], weights: np.ndarray) -> float:
    began = monotonic()
    for block in blocks:
        scores = block @ weights
        k = places(len(scores))
        np.argpartition(scores, len(scores) - k)[-k:]
    return monotonic() - began


def ours(blocks: list[np.ndarray], folded: Folded, supported: list[np.ndarray]) -> float:
    began = monotonic()
    for block, busy in zip(blocks, supported, strict=True):
        scores = score_block(block, folded)
        choose(scores, places(len(scores)), busy, new_first=True)
    return monotonic() - began


def all_rows(blocks: list[np.ndarray], folded: Folded, supported: list[np.ndarray]) -> float:
    """Seconds until every score row of every school is durable in SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        conn = sqlite3.connect(Path(folder) / "lists.db", isolation_level=None)
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("PRAGMA synchronous=FULL")
        conn.execute(
            "CREATE TABLE list_scores (list_id TEXT, student TEXT, score REAL, rules_score REAL,"
            " rank INTEGER, listed INTEGER, PRIMARY KEY (list_id, student)) WITHOUT ROWID"
        )
        began = monotonic()
        conn.execute("BEGIN IMMEDIATE")
        for number, (block, busy) in enumerate(zip(blocks, supported, strict=True)):
            scores = score_block(block, folded)
            listed = set(choose(scores, places(len(scores)), busy, new_first=True).tolist())
            ranks = np.empty(len(scores), dtype=np.int64)
            ranks[order(scores)] = np.arange(1, len(scores) + 1)
            name = f"list-{number:06d}"
            conn.executemany(
                "INSERT INTO list_scores VALUES (?, ?, ?, 0.0, ?, ?)",
                (
                    (name, f"{number:06d}{at:014d}", probability(z), rank, at in listed)
                    for at, (z, rank) in enumerate(
                        zip(scores.tolist(), ranks.tolist(), strict=True)
                    )
                ),
            )
            if number % 100 == 99:
                conn.execute("COMMIT")
                conn.execute("BEGIN IMMEDIATE")
        conn.execute("COMMIT")
        took = monotonic() - began
        rows = conn.execute("SELECT count(*) FROM list_scores").fetchone()[0]
        conn.close()
    assert rows == sum(len(block) for block in blocks), "rows are missing"
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=1_470_000)
    parser.add_argument("--columns", type=int, default=113)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    blocks = blocks_of(asked.students, asked.columns)
    random = np.random.default_rng(21)
    weights = random.standard_normal(asked.columns)
    folded = Folded(weights, -3.0, np.zeros(asked.columns))
    supported = [random.random(len(block)) < 0.05 for block in blocks]
    plain = weights.astype(np.float32)
    bare(blocks, plain), ours(blocks, folded, supported)  # warm
    times = [(bare(blocks, plain), ours(blocks, folded, supported)) for _ in range(asked.rounds)]
    base, mine = statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)
    print(f"students={asked.students} schools={len(blocks)} columns={asked.columns}")
    print(f"bare_s={base:.3f} ours_s={mine:.3f}")
    print(f"list_all_rows_s={all_rows(blocks, folded, supported):.2f}")
    print(f"list_ratio={mine / base:.3f}")


if __name__ == "__main__":
    main()
