"""How right are the lists, against models that are refitted at every list and against plain rules?

    python benchmarks/judgement.py FOLDER … --self-checks FOLDER …

Plays each replay folder through the service's own judge. Beside it, at every list date, it fits
gradient boosting (scikit-learn's defaults, and a smaller, more careful one) and logistic regression
on all training blocks whose labels were sure by then, from the same feature rows, and scores the
points rule and the child's-own-history rule (how the latest observations stand against the child's
own mean), which fit nothing. All list as many as the service did. A refitted model without labels
of both kinds gives everyone the same score.

Figures are told apart by what was known: "cold" are the groups that were there on the first list
date, "with history" those that came later, when outcomes of earlier ones were known. In folders of
self-checks all groups are counted together, against gradient boosting and the child's own history.

One thread each, so that CPU seconds compare. The last line: `auc_gap` (ours minus the best), ratios
to gradient boosting's defaults of precision in the listed (`p10_ratio`; `p10_rule_ratio` to the
rule), area under precision-recall, Brier score and learning CPU; our calibration error (ten bins);
how much more of a list one would have to read to reach 85 % of the hits; the cold and the
self-check gaps; and how much further apart our recall is between groups of people than gradient
boosting's (`recall_apart_more`): for each trait of the folder the mean distance of its groups'
recall from everybody's, each group weighted by its hits, averaged over the traits. Traits are read
apart; no score knows them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and scikit-learn are imported

import argparse
import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.evaluation import within_groups
from models.features import Extract, extract
from models.labels import label, matures_on
from models.learner import TrainingBlock
from models.replay_folder import Folder, read_folder
from models.replay_traits import read_traits
from warning_service.clock import cpu_seconds
from warning_service.events.types import Event, ListDue
from warning_service.judging import rules
from warning_service.judging.judge import Judge
from warning_service.judging.picking.lists import top
from warning_service.judging.replaying.replay import events_of_days
from warning_service.judging.replaying.report import histories_of
from warning_service.judging.replaying.setup import setup_of

RESAMPLES = 300
"""Draws of the students (Poisson bootstrap): the standard error of what groups differ by."""

OURS, RULE, OWN = "the service", "points rule", "own history"
BOOSTING, CAREFUL, LOGISTIC = "gradient boosting", "careful boosting", "logistic regression"
FITTED = {
    BOOSTING: lambda: HistGradientBoostingClassifier(random_state=0),
    CAREFUL: lambda: HistGradientBoostingClassifier(
        random_state=0, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=40,
        l2_regularization=1.0,
    ),
    LOGISTIC: lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)),
}  # fmt: skip


@dataclass
class Scored:
    """What one judge said on the list dates: one entry per student-date that counts."""

    scores: list[float] = field(default_factory=list)
    hits: list[bool] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    listed: list[bool] = field(default_factory=list)
    students: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, float]:
        """All figures; NaN where a score is not a probability."""
        scores, hits = np.array(self.scores), np.array(self.hits)
        right, pairs = within_groups(scores, hits, self.groups)
        listed = np.array(self.listed)
        chances = scores.min() > 0 and scores.max() < 1
        order = np.argsort(scores, kind="stable")
        bins = np.array_split(order, 10)
        off = sum(abs(float(scores[b].sum() - hits[b].sum())) for b in bins) / len(scores)
        return {
            "auc": right / pairs,
            "p10": float(hits[listed].mean()),
            "prauc": float(average_precision_score(hits, scores)),
            "brier": float(((scores - hits) ** 2).mean()) if chances else np.nan,
            "ece": off if chances else np.nan,
            "read85": self._read(0.85),
        }

    def _read(self, share: float) -> float:
        """How much of each group one reads, best first, until that share of all hits was met."""
        met: list[float] = []
        labels, scores, hits = np.array(self.groups), np.array(self.scores), np.array(self.hits)
        for group in sorted(set(self.groups)):
            mine = np.flatnonzero(labels == group)
            ranked = mine[np.argsort(-scores[mine], kind="stable")]
            met += ((np.flatnonzero(hits[ranked]) + 1) / len(ranked)).tolist()
        return float(np.quantile(met, share)) if met else np.nan


@dataclass
class Result:
    """Everybody's scores in one folder, by whether outcomes of earlier groups were known."""

    scored: dict[str, dict[str, Scored]]
    learning: float
    cpu: dict[str, float]
    state: int
    wall_events: tuple[int, float]
    traits: dict[str, dict[str, str]]


def refit(judge: Judge, blocks: dict[int, TrainingBlock], day: int, cpu: dict[str, float]):
    """The fitted models on every block settled by `day`; None without both kinds of label."""
    setup, xs, ys = judge.setup, [], []
    for when, block in sorted(blocks.items()):
        if matures_on(when, setup.horizon, setup.delay) > day:
            continue
        labels = [label(judge.students[s], when, setup.horizon) for s in block.students]
        use = [at for at, found in enumerate(labels) if found is not None]
        rows = np.frombuffer(block.rows, dtype="<f4").reshape(len(block.students), -1)
        xs.append(rows[use, :-1])  # the last column is our rule's
        ys.append(np.array([bool(labels[at]) for at in use]))
    if not xs or len(set(np.concatenate(ys).tolist())) < 2:
        return None
    x, y = np.concatenate(xs), np.concatenate(ys)
    fitted: dict[str, Any] = {}
    for name, make in FITTED.items():
        began = cpu_seconds()
        fitted[name] = make().fit(x, y)
        cpu[name] += cpu_seconds() - began
    return fitted


def own_history(judge: Judge, whole: Extract) -> np.ndarray:
    """Over all items with a worse direction: the latest against the child's own mean, ever."""
    score = np.zeros(len(whole.students))
    for use in judge.setup.uses:
        stats = whole.items[use.spec.id].stats
        if use.spec.kind == "flag" or not use.spec.direction:
            continue
        measure = use.spec.kind == "measure"
        change = stats["last"] - stats["mean_ever"] if measure else stats["change7"]
        spread = float(change.std()) or 1.0
        score = score + use.spec.direction * change / spread
    return score


def play(data: Folder, traits: dict[str, dict[str, str]]) -> Result:
    """Play the folder once and score every list date with everybody."""
    blocks: dict[int, TrainingBlock] = {}
    raw: dict[int, bytes] = {}
    judge = Judge("quality", setup_of(data, None), raw.__getitem__)
    histories, cpu = histories_of(data), dict.fromkeys(FITTED, 0.0)
    scored: dict[str, dict[str, Scored]] = {
        part: defaultdict(Scored) for part in ("cold", "with history")
    }
    first: set[str] | None = None
    position, spent = 0, 0.0
    for day, events in events_of_days(data):
        fitted, asked = None, False
        today: set[str] = set()
        for e in events:
            position += 1
            event = Event(
                position=position, id=e.id, board=e.board, student=e.student, on=e.on,
                recorded_at=datetime(2000, 1, 1, tzinfo=UTC), actor=e.actor, body=e.body,
            )  # fmt: skip
            began = cpu_seconds()
            judge.take(event)
            changes = judge.collect()
            spent += cpu_seconds() - began
            for when, block in changes.blocks.items():
                raw[when] = block
                blocks[when] = msgspec.msgpack.decode(block, type=TrainingBlock)
            if not isinstance(e.body, ListDue) or not changes.lists:
                continue
            if not asked:
                fitted, asked = refit(judge, blocks, day.toordinal(), cpu), True
            made, group = changes.lists[0], e.body.school
            if made.scores:
                today.add(group)
            part = "cold" if first is None or group in first else "with history"
            beside(judge, made, (day, group), fitted, histories, scored[part])
        if first is None and today:
            first = today
    learner = judge.learner
    state = len(learner.model_bytes()) + len(learner.memory_bytes())
    state += len(learner.challenger.to_bytes())
    return Result(scored, judge.spent.learning, cpu, state, (position, spent), traits)


def beside(
    judge: Judge,
    made: Any,
    where: tuple[date, str],
    fitted: dict[str, Any] | None,
    histories: dict[str, Any],
    into: dict[str, Scored],
) -> None:
    """Score one list's students with every judge, listing as many as the service did."""
    ranked = sorted(s["student"] for s in made.scores)
    if not ranked:
        return
    (day, school), ordinal = where, where[0].toordinal()
    states = judge.by_school(ordinal)[school]
    whole = extract(judge.setup.schema, list(states), list(states.values()), ordinal)
    at_row = {student: at for at, student in enumerate(whole.students)}
    use = [at_row[s] for s in ranked]
    service = {s["student"]: s["score"] for s in made.scores}
    points = rules.total(rules.points_by_item(judge.setup, whole), len(whole.students))
    found = {
        OURS: np.array([service[s] for s in ranked]),
        RULE: points[use],
        OWN: own_history(judge, whole)[use],
    }
    for name in FITTED:
        found[name] = (
            fitted[name].predict_proba(whole.block[use])[:, 1] if fitted else np.full(len(use), 0.5)
        )
    hits = [label(histories[s], ordinal, judge.setup.horizon) for s in ranked]
    for name, given in found.items():
        listed = set(top(given.astype(np.float32), made.row["budget"]).tolist())
        held = into[name]
        for at, hit in enumerate(hits):
            if hit is not None:
                held.scores.append(float(given[at]))
                held.hits.append(hit)
                held.groups.append(f"{day}\x1f{school}")
                held.listed.append(at in listed)
                held.students.append(ranked[at])


def joined(parts: list[dict[str, Scored]]) -> dict[str, Scored]:
    """Everybody's scores of several parts as one."""
    whole: dict[str, Scored] = defaultdict(Scored)
    for part in parts:
        for name, held in part.items():
            for key in ("scores", "hits", "groups", "listed", "students"):
                getattr(whole[name], key).extend(getattr(held, key))
    return whole


def table(title: str, scored: dict[str, Scored]) -> dict[str, dict[str, float]]:
    """Print everybody's figures; give them back."""
    ours = scored[OURS]
    print(f"\n{title}: {len(ours.hits)} student-dates, base rate {np.mean(ours.hits):.3f}")
    figures = {}
    for name, held in scored.items():
        figures[name] = held.figures()
        print(f"  {name:20s}", "  ".join(f"{k} {v:6.4f}" for k, v in figures[name].items()))
    return figures


def best(figures: dict[str, dict[str, float]], names: tuple[str, ...], key: str) -> float:
    """The highest of theirs."""
    return max(figures[name][key] for name in names)


def apart(shares: np.ndarray, hits: np.ndarray) -> float:
    """How far the groups' recall is from everybody's, on average over the hits."""
    return float(np.average(np.abs(shares - np.average(shares, weights=hits)), weights=hits))


@dataclass
class Recalled:
    """Of one trait: hits, and listed hits by (our, boosting's) list, for each student and value."""

    values: list[str]
    value: np.ndarray
    hits: np.ndarray
    listed: np.ndarray

    @classmethod
    def of(cls, scored: dict[str, Scored], trait: dict[str, str]) -> Recalled:
        """Counted per student: it is students, not dates, that chance draws."""
        values = sorted({value for value in trait.values() if value})
        students = sorted(student for student, value in trait.items() if value)
        row = {student: at for at, student in enumerate(students)}
        found = cls(
            values,
            np.array([values.index(trait[student]) for student in students], dtype=np.int64),
            np.zeros(len(students)),
            np.zeros((2, len(students))),
        )
        for number, name in enumerate((OURS, BOOSTING)):
            held = scored[name]
            for student, hit, listed in zip(held.students, held.hits, held.listed, strict=True):
                if hit and student in row:
                    found.hits[row[student]] += number == 0
                    found.listed[number, row[student]] += listed
        return found

    def recall(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """((ours, boosting's) x values: recall, hits of each value, the values with any), each
        student so many times.
        """
        many = len(self.values)
        hits = np.bincount(self.value, self.hits * times, many)
        listed = np.array([np.bincount(self.value, each * times, many) for each in self.listed])
        kept = np.flatnonzero(hits > 0)
        return listed[:, kept] / hits[kept], hits[kept], [self.values[at] for at in kept]

    def more_apart(self, times: np.ndarray) -> float:
        """How much further apart our recall is than boosting's; 0 with a single value."""
        recall, hits, _ = self.recall(times)
        return apart(recall[0], hits) - apart(recall[1], hits) if len(hits) else 0.0


def between_groups(scored: dict[str, Scored], traits: dict[str, dict[str, str]]) -> float | None:
    """Print recall by trait, ours/boosting's; their mean `more_apart`, None without a trait."""
    dice, means = np.random.default_rng(0), []
    for trait, of in sorted(traits.items()):
        counted = Recalled.of(scored, of)
        if len(counted.values) < 2:
            continue
        all_once = np.ones(len(counted.value))
        (ours, theirs), hits, values = counted.recall(all_once)
        drawn = [
            counted.more_apart(dice.poisson(1.0, len(all_once)).astype(float))
            for _ in range(RESAMPLES)
        ]
        means.append((counted.more_apart(all_once), float(np.std(drawn))))
        print(
            f"  recall by {trait}: further apart than boosting's by {means[-1][0]:.4f}"
            f" (standard error {means[-1][1]:.4f}):",
            ", ".join(
                f"{name} {a:.3f}/{b:.3f} of {n:.0f}"
                for name, a, b, n in zip(values, ours, theirs, hits, strict=True)
            ),
        )
    return float(np.mean([mean for mean, _ in means])) if means else None


def told(results: list[tuple[Folder, Result, bool]]) -> dict[str, float]:
    """The figures of the last line, averaged over the folders they apply to."""
    found: dict[str, list[float]] = defaultdict(list)
    for data, result, self_checks in results:
        if self_checks:
            all_parts = [part for part in result.scored.values() if part]
            f = table(f"{data.outcome}: self-checks", joined(all_parts))
            ours = f[OURS]
            found["self_check_gap"].append(ours["auc"] - best(f, (BOOSTING, OWN), "auc"))
            found["self_check_ece_ratio"].append(ours["ece"] / f[BOOSTING]["ece"])
        else:
            later = result.scored["with history"] or result.scored["cold"]
            f = table(f"{data.outcome}: with history", later)
            ours = f[OURS]
            rivals = (BOOSTING, CAREFUL, LOGISTIC, RULE)
            found["auc_gap"].append(ours["auc"] - best(f, rivals, "auc"))
            found["p10_ratio"].append(ours["p10"] / f[BOOSTING]["p10"])
            found["p10_rule_ratio"].append(ours["p10"] / f[RULE]["p10"])
            found["prauc_ratio"].append(ours["prauc"] / f[BOOSTING]["prauc"])
            found["brier_ratio"].append(ours["brier"] / f[BOOSTING]["brier"])
            found["ece"].append(ours["ece"])
            found["read85_more"].append(ours["read85"] - f[BOOSTING]["read85"])
            found["cpu_ratio"].append(result.learning / result.cpu[BOOSTING])
            if result.scored["with history"]:
                c = table(f"{data.outcome}: cold", result.scored["cold"])
                found["cold_gap"].append(c[OURS]["auc"] - best(c, (BOOSTING, RULE), "auc"))
                found["cold_p10_ratio"].append(c[OURS]["p10"] / c[RULE]["p10"])
            everywhere = joined([part for part in result.scored.values() if part])
            more = between_groups(everywhere, result.traits)
            if more is not None:
                found["recall_apart_more"].append(more)
        events, seconds = result.wall_events
        print(
            f"  learning CPU {result.learning:.2f} s; refitting",
            ", ".join(f"{name} {spent:.2f} s" for name, spent in result.cpu.items()),
            f"; state {result.state / 1e6:.3f} MB; {events / seconds:.0f} events/s",
        )
        found["state_mb"].append(result.state / 1e6)
    return {name: float(np.mean(values)) for name, values in found.items()}


def main() -> None:
    """Play the folders and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="*")
    parser.add_argument("--self-checks", type=Path, nargs="*", default=[], metavar="FOLDER")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    results = []
    for folder in (*given.folder, *given.self_checks):
        data = read_folder(folder)
        played = play(data, read_traits(folder))
        results.append((data, played, folder in given.self_checks))
    last = told(results)
    print()
    print(" ".join(f"{name}={value:.4f}" for name, value in last.items()))


if __name__ == "__main__":
    main()
