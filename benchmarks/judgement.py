"""How good are a replay's lists, against models that are refitted at every list?

    python benchmarks/replay_quality.py FOLDER

Plays FOLDER through the same judge, and beside it, at every list date, refits gradient boosting and
logistic regression (scikit-learn) on all training blocks whose labels were sure by then, from the
same feature rows. All are measured on the list dates on which any label was sure ("warm"); what the
service did on all dates is printed too. The judge's own CPU for learning and the challengers' CPU
for refitting are printed beside it.
"""

from __future__ import annotations

import argparse
import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.features import extract
from models.labels import label, matures_on
from models.learner import TrainingBlock
from models.replay_folder import Folder, read_folder
from warning_service.clock import cpu_seconds
from warning_service.events.types import Event, ListDue
from warning_service.judging import rules
from warning_service.judging.judge import Judge
from warning_service.judging.lists import score_block, top
from warning_service.judging.replay import events_of_days
from warning_service.judging.replay_report import figures, histories_of
from warning_service.judging.replay_setup import setup_of


@dataclass(frozen=True)
class Row:
    """A scored student-date."""

    list_date: date
    student: str
    group: str
    score: float
    listed: bool


def refit(blocks: dict[int, TrainingBlock], judge: Judge, day: int, columns: int):
    """Challengers fitted on every block settled by `day`; None without both kinds of label."""
    setup, xs, ys = judge.setup, [], []
    for when, block in sorted(blocks.items()):
        if matures_on(when, setup.horizon, setup.delay) > day:
            continue
        labels = [label(judge.students[s], when, setup.horizon) for s in block.students]
        use = [at for at, found in enumerate(labels) if found is not None]
        rows = np.frombuffer(block.rows, dtype="<f4").reshape(-1, columns)
        xs.append(rows[use])
        ys.append(np.array([bool(labels[at]) for at in use]))
    if not xs or len(set(np.concatenate(ys).tolist())) < 2:
        return None
    x, y = np.concatenate(xs), np.concatenate(ys)
    boosting = HistGradientBoostingClassifier(random_state=0, max_iter=200, learning_rate=0.06)
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return {"boosting": boosting.fit(x, y), "logistic": linear.fit(x, y)}


def play(data: Folder) -> tuple[dict[str, list[Row]], set[date], Judge, float]:
    blocks: dict[int, TrainingBlock] = {}
    raw: dict[int, bytes] = {}
    judge = Judge("quality", setup_of(data, None), raw.__getitem__)
    rows: dict[str, list[Row]] = defaultdict(list)
    warm: set[date] = set()
    position, refitting = 0, 0.0
    for day, events in events_of_days(data):
        fitted: dict | None = None
        asked = False
        for e in events:
            position += 1
            event = Event(
                position=position, id=e.id, board=e.board, student=e.student, on=e.on,
                recorded_at=datetime(2000, 1, 1, tzinfo=UTC), actor=e.actor, body=e.body,
            )  # fmt: skip
            judge.take(event)
            changes = judge.collect()
            for when, block in changes.blocks.items():
                raw[when] = block
                blocks[when] = msgspec.msgpack.decode(block, type=TrainingBlock)
            if isinstance(e.body, ListDue):
                if not asked:
                    began = cpu_seconds()
                    columns = len(judge.setup.schema)
                    fitted, asked = refit(blocks, judge, day.toordinal(), columns), True
                    refitting += cpu_seconds() - began
                    if fitted:
                        warm.add(day)
                beside(judge, changes.lists[0], day, e.body.school, fitted, rows)
    return rows, warm, judge, refitting


def beside(judge: Judge, made, day: date, group: str, fitted: dict | None, rows) -> None:
    """Score the list's students with every scorer, listing as many as the list did."""
    ranked = sorted(s["student"] for s in made.scores)
    if not ranked:
        return
    ordinal = day.toordinal()
    states = judge.by_school(ordinal)[group]
    whole = extract(judge.setup.schema, list(states), list(states.values()), ordinal)
    where = {student: at for at, student in enumerate(whole.students)}
    use = [where[s] for s in ranked]
    points = rules.total(rules.points_by_item(judge.setup, whole), len(whole.students))
    service = {s["student"]: s["score"] for s in made.scores}
    found = {
        "service": np.array([service[s] for s in ranked]),
        "rule alone": points[use],
        "online model alone": score_block(whole.block, judge.learner.calibrated())[use],
    }
    if fitted:
        for name, model in fitted.items():
            found[f"{name} refitted"] = model.predict_proba(whole.block[use])[:, 1]
    for name, given in found.items():
        scores = np.asarray(given, dtype=np.float32)
        listed = set(top(scores, made.row["budget"]).tolist())
        rows[name] += [
            Row(day, student, group, float(scores[at]), at in listed)
            for at, student in enumerate(ranked)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    logging.disable(logging.WARNING)
    data = read_folder(folder)
    rows, warm, judge, refitting = play(data)
    histories = histories_of(data)

    def counted(name: str, dates: set[date]) -> list[tuple[Row, bool]]:
        labelled = [
            (r, label(histories[r.student], r.list_date.toordinal(), data.horizon))
            for r in rows[name]
            if r.list_date in dates
        ]
        return [(r, hit) for r, hit in labelled if hit is not None]

    for title, dates in (("warm dates", warm), ("all dates", set(data.list_dates))):
        print(f"\n{title}: {len(dates)}")
        for name in sorted(rows):
            if title == "all dates" and "refitted" in name:
                continue
            held = counted(name, dates)
            f = figures(held)
            area = average_precision_score([h for _, h in held], [r.score for r, _ in held])
            print(
                f"{name:22s} auc_within_group={f['auc_within_group']} "
                f"precision_listed={f['precision_listed']} average_precision={area:.3f} "
                f"base_rate={f['base_rate']} counted={f['counted']} hits={f['hits']}"
            )
    print(f"\nlearn_cpu_s={judge.spent.learning:.2f} refit_cpu_s={refitting:.2f}")


if __name__ == "__main__":
    main()
