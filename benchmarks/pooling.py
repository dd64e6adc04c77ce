"""Does a small town gain when boards exchange their models' parameters, against learning alone?

    python benchmarks/pooling.py FOLDER [--seeds 10] [--lists-between 1]

A replay folder's students are split by a hash into four towns of unequal size (8, 22, 30 and 40 %:
of oulad_dev about 150, 420, 570 and 760). All play forward in time through the service's own judge.
On the day before a list date each town that knows enough children tells its own model, through the
functions that `kizashi pool` calls; the smallest takes in what the others told, as the event that
the service would store. It plays once alone and once so; everything else is equal. Lists of a day
know nothing of later days, in no town.

"Alike" towns are random parts of the same students: the best case for pooling. "Unlike": the small
town is a part of the group that came last, and the others are made of all other groups (of
oulad_dev: another course), so that the small town is judged by what others learned elsewhere.

The challenger is kept silent in both: it costs ten times the rest and no part of it is exchanged.

Figures are of all lists of the small town, also those before there was anything to take in: AUC
within groups, hits among the listed (as many as the service lists), Brier score. The interval over
the seeds (1.96 standard errors) tells how much the luck of the split matters; the students are
always the same ones, so it does not tell how another population would do.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported

import argparse
import contextlib
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from models.challenger import Challenger
from models.evaluation import within_groups
from models.labels import label
from models.pooling import LEAST_BOARDS, Shared, TooFew, combine, share, to_text
from models.replay_folder import Folder, read_folder
from warning_service.clock import cpu_seconds
from warning_service.events.types import Event, ListDue, NewEvent, PoolTaken
from warning_service.judging.judge import Judge
from warning_service.judging.replaying.replay import events_of_days
from warning_service.judging.replaying.report import histories_of
from warning_service.judging.replaying.setup import setup_of
from warning_service.judging.terms import terms_of

SMALL = "town-1"
SHARES = {SMALL: 0.08, "town-2": 0.22, "town-3": 0.30, "town-4": 0.40}
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
Told = dict[date, list[Shared]]


class Silent(Challenger):
    """Never fits, so that it never judges."""

    def fit(self, day: int) -> bool:
        """Not on any day."""
        del day
        return False


@dataclass
class Lists:
    """What the lists of one town said: one entry for each student-date that counts."""

    scores: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    listed: list[bool] = field(default_factory=list)
    by_model: int = 0
    lists: int = 0

    def figures(self) -> np.ndarray:
        """AUC within groups, share of hits among the listed, Brier score."""
        scores, hits, listed = np.array(self.scores), np.array(self.hits), np.array(self.listed)
        right, pairs = within_groups(scores, hits, self.groups)
        return np.array([right / pairs, hits[listed].mean(), ((scores - hits) ** 2).mean()])


def part_of(student: str, seed: int) -> float:
    """A fixed pseudo-random number from 0 to 1 for a student."""
    digest = hashlib.blake2b(f"{seed}\x1f{student}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def town_of(part: float, shares: dict[str, float]) -> str:
    """Which town a part of the line from 0 to 1 is in; the last one takes what is left over."""
    end = 0.0
    for town, width in shares.items():
        end += width
        if part < end:
            return town
    return list(shares)[-1]


def alike(data: Folder, seed: int) -> dict[str, Folder]:
    """Towns that are random parts of the same students."""
    return split(data, lambda s, _group: town_of(part_of(s, seed), SHARES))


def unlike(data: Folder, seed: int) -> dict[str, Folder]:
    """The small town is a part of the group that came last, the others are of other groups."""
    starts: dict[str, date] = {}
    sizes: dict[str, int] = {}
    for s in data.students:
        starts[s.group] = min(s.start, starts.get(s.group, s.start))
        sizes[s.group] = sizes.get(s.group, 0) + 1
    last = max(starts, key=lambda g: (starts[g], g))
    wanted = SHARES[SMALL] * len(data.students) / sizes[last]
    others = {town: width for town, width in SHARES.items() if town != SMALL}
    scale = sum(others.values())

    def town(student: str, group: str) -> str:
        part = part_of(student, seed)
        if group == last:
            return SMALL if part < wanted else ""
        return town_of(part, {name: width / scale for name, width in others.items()})

    return split(data, town)


def split(data: Folder, town: Callable[[str, str], str]) -> dict[str, Folder]:
    """The folder's rows by town; students of the town '' are in none."""
    mine = {s.student: town(s.student, s.group) for s in data.students}

    def of(name: str) -> Folder:
        return replace(
            data,
            students=type(data.students)(s for s in data.students if mine[s.student] == name),
            observations=type(data.observations)(
                o for o in data.observations if mine[o.student] == name
            ),
            outcomes=type(data.outcomes)(o for o in data.outcomes if mine[o.student] == name),
        )

    return {name: of(name) for name in SHARES}


def play(data: Folder, name: str, rounds: list[date], told: Told, *, pooled: bool) -> Lists:
    """Play a town. On each round's day it tells its model into `told`, and takes in if `pooled`."""
    raw: dict[int, bytes] = {}
    judge = Judge(name, setup_of(data, None), raw.__getitem__)
    judge.learner.challenger = Silent(len(judge.learner.names))
    histories, found, position = histories_of(data), Lists(), 0

    def take(new: NewEvent) -> None:
        nonlocal position
        position += 1
        judge.take(
            Event(
                position=position, id=new.id, board=name, student=new.student, on=new.on,
                recorded_at=EPOCH, actor=new.actor, body=new.body,
            )
        )  # fmt: skip

    for day, events in events_of_days(data):
        for event in events:
            take(event)
            changes = judge.collect()
            raw.update(changes.blocks)
            if isinstance(event.body, ListDue):
                for made in changes.lists:
                    note(found, made, histories, judge, day)
        if day not in rounds:
            continue
        if pooled and len([s for s in told.get(day, []) if s.board != name]) >= LEAST_BOARDS:
            text = to_text(combine(told[day], name))
            take(
                NewEvent(
                    id=f"pool-{day}", board=name, student=None, on=day, actor="benchmark",
                    body=PoolTaken(pool=text),
                )
            )  # fmt: skip
        elif not pooled:
            with contextlib.suppress(TooFew):
                mine = share(judge.learner, name, terms_of(judge.setup), day)
                told.setdefault(day, []).append(mine)
    return found


def note(found: Lists, made, histories, judge: Judge, day: date) -> None:
    """Count one list's student-dates."""
    if not made.scores:
        return
    found.lists += 1
    found.by_model += made.row["judge"] != "rules"
    for row in made.scores:
        hit = label(histories[row["student"]], day.toordinal(), judge.setup.horizon)
        if hit is not None:
            found.scores.append(row["score"])
            found.hits.append(hit)
            found.groups.append(f"{day}\x1f{made.row['school']}")
            found.listed.append(row["listed"])


def measured(
    data: Folder, cut: Callable[[Folder, int], dict[str, Folder]], seeds: int, between: int
) -> np.ndarray:
    """(seed, alone and with the others, figures) for the small town; prints a line for each."""
    rounds = [day - timedelta(days=1) for day in data.list_dates[::between]]
    rows = []
    for seed in range(1, seeds + 1):
        towns, told = cut(data, seed), {}
        for name, town in towns.items():
            if name != SMALL:
                play(town, name, rounds, told, pooled=False)
        alone = play(towns[SMALL], SMALL, rounds, {}, pooled=False)
        beside = play(towns[SMALL], SMALL, rounds, told, pooled=True)
        rows.append([alone.figures(), beside.figures()])
        used = sum(len(shares) >= LEAST_BOARDS for shares in told.values())
        print(
            f"  seed {seed:2d}: {len(towns[SMALL].students):3d} students,"
            f" {sum(alone.hits):3d} of {len(alone.hits)} student-dates hits,"
            f" {used} of {len(rounds)} rounds with a pool; alone",
            "  ".join(f"{v:.3f}" for v in rows[-1][0]),
            f"({alone.by_model} of {alone.lists} lists not by the rule); with the others",
            "  ".join(f"{v:.3f}" for v in rows[-1][1]),
            f"({beside.by_model})", flush=True,
        )  # fmt: skip
    return np.array(rows)


def told_of(title: str, rows: np.ndarray) -> tuple[float, float, float, float]:
    """Print means and intervals; (AUC gain, its half interval, precision ratio, its half)."""
    alone, beside = rows[:, 0].mean(axis=0), rows[:, 1].mean(axis=0)
    gains = rows[:, 1] - rows[:, 0]
    half = 1.96 * gains.std(axis=0, ddof=1) / np.sqrt(len(gains))
    print(title)
    for at, name in enumerate(("AUC", "hits among the listed", "Brier (lower is better)")):
        print(
            f"  {name:24s} alone {alone[at]:.4f}  with the others {beside[at]:.4f}"
            f"  gain {gains[:, at].mean():+.4f} ± {half[at]:.4f}"
        )
    return gains[:, 0].mean(), half[0], beside[1] / alone[1], half[1] / alone[1]


def main() -> None:
    """Play the towns and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--lists-between", type=int, default=1, help="rounds: at every n-th list")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    data, began = read_folder(given.folder), cpu_seconds()
    results = {}
    for cut in (alike, unlike):
        print(f"{cut.__name__} towns:")
        rows = measured(data, cut, given.seeds, given.lists_between)
        results[cut.__name__] = told_of(f"the small town among {cut.__name__} towns", rows)
    print(f"CPU {cpu_seconds() - began:.0f} s")
    auc, auc_half, ratio, ratio_half = results["alike"]
    other, other_half, other_ratio, other_ratio_half = results["unlike"]
    print(
        f"pooling_unlike_auc_gain={other:.4f} pooling_unlike_auc_gain_half={other_half:.4f}"
        f" pooling_unlike_p10_ratio={other_ratio:.4f}"
        f" pooling_unlike_p10_ratio_half={other_ratio_half:.4f}"
        f" pooling_auc_gain_half={auc_half:.4f} pooling_p10_ratio_half={ratio_half:.4f}"
        f" pooling_auc_gain={auc:.4f} pooling_p10_ratio={ratio:.4f}"
    )


if __name__ == "__main__":
    main()
