"""Plays historic data forward in time through the service's own pipeline.

The folder's facts become the same events the service writes, in a log in a temporary SQLite file,
each on the day it became known; the same dispatcher and consumer read them, learn, and publish the
lists. `scores.csv` is what the list tables then hold. What a later day would tell (that a student
leaves, that an outcome is over) is not in the log before that day.

The report's figures are counted afterwards from the folder's outcomes; they feed nothing.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from models.replay_folder import Folder, read_folder
from models.replay_traits import read_traits
from warning_service.clock import MovableClock, at, cpu_seconds, monotonic
from warning_service.database import Database
from warning_service.events.dispatcher import Dispatcher
from warning_service.events.log import Log
from warning_service.events.types import (
    AnyBody,
    DayClosed,
    EnrolmentEnded,
    EnrolmentStarted,
    ListDue,
    NewEvent,
    ObservationRecorded,
    OutcomeRecorded,
    derived_id,
)
from warning_service.events.wakeups import Wakeups
from warning_service.judging.consumer import JudgingConsumer
from warning_service.judging.queries import why_of
from warning_service.judging.replaying.page import to_html
from warning_service.judging.replaying.report import results
from warning_service.judging.replaying.setup import setup_of
from warning_service.judging.tables import list_scores, model_snapshots, warning_lists
from warning_service.migrate import migrate
from warning_service.playbooks.model import Playbook, load_file

BOARD = "replay"
ACTOR = "system:replay"
BATCH = 5000
Progress = Callable[[date, int, int], None]


class _NoPlaybooks:
    """A replay brings its setup with it; asking for a board's playbook would be a mistake."""

    def of(self, board: str) -> Playbook:
        """Raises KeyError."""
        raise KeyError(board)


def run_replay(
    folder: Path,
    out: Path,
    playbook: Path | None = None,
    without: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Replay `folder`, write scores.csv, report.json and report.html to `out`, return the report.

    `progress` is called with (day, days done, days in all). Raises FolderError for a bad folder and
    ValueError for a bad playbook.
    """
    began, cpu_began = monotonic(), cpu_seconds()
    data = read_folder(folder)
    if without is not None:
        data = data.without(without)
    setup = setup_of(data, load_file(playbook) if playbook else None)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kizashi-replay-") as scratch:
        database = Database(f"sqlite:///{Path(scratch) / 'replay.db'}")
        try:
            migrate(database)
            log = Log(database, MovableClock(at(_days(data)[0])), Wakeups())
            consumer = JudgingConsumer(log, _NoPlaybooks(), setup)
            dispatcher = Dispatcher(log, consumer, BOARD, batch=BATCH)
            _play(data, log, dispatcher, progress)
            scores, lists, model_bytes = _results(database)
            spent = consumer.spent if data.students else None
        finally:
            database.close()
    _write_scores(out / "scores.csv", scores)
    report: dict[str, Any] = {
        "list_dates": [d.isoformat() for d in data.list_dates],
        "students": len(data.students),
        "rows": len(scores),
        "labels_learned": spent.labels if spent else 0,
        "learn_cpu_s": round(spent.learning, 3) if spent else 0.0,
        "score_cpu_s": round(spent.scoring, 3) if spent else 0.0,
        "challenger_cpu_s": round(spent.challenger, 3) if spent else 0.0,
        "cpu_s": round(cpu_seconds() - cpu_began, 3),
        "wall_s": round(monotonic() - began, 3),
        "model_bytes": model_bytes,
        "outcome": data.outcome,
        "observations": len(data.observations),
        "judges": lists,
        "playbook": setup.playbook,
        "named_items": [use.spec.id for use in setup.uses if use.points],
        **results(data, scores, read_traits(folder, without)),
    }
    text = json.dumps(report, ensure_ascii=False, indent=2)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")
    (out / "report.html").write_text(to_html(report), encoding="utf-8")
    return report


@dataclass(frozen=True, order=True)
class Scored:
    """One row of scores.csv, with its group, and what each judge would have said."""

    list_date: date
    student: str
    group: str
    score: float
    rank: int
    listed: bool
    said: Mapping[str, float | None] = field(default_factory=dict, compare=False)


# -- facts to events ----


def _days(data: Folder) -> list[date]:
    """All days from the first fact to the last list date."""
    first = min((s.start for s in data.students), default=data.list_dates[0])
    first, last = min(first, data.list_dates[0]), data.list_dates[-1]
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _event(on: date, student: str | None, body: AnyBody, *name: str) -> NewEvent:
    return NewEvent(
        id=derived_id("replay", *name), board=BOARD, student=student, on=on, actor=ACTOR, body=body
    )


def _by_day(data: Folder) -> dict[date, list[NewEvent]]:
    """What becomes known on each day, in a fixed order: roll, outcomes, observations."""
    known: dict[date, list[NewEvent]] = defaultdict(list)
    for s in data.students:
        body = EnrolmentStarted(school=s.group, class_id=s.group, grade=0)
        known[s.start].append(_event(s.start, s.student, body, "from", s.student))
    for s in data.students:
        if s.until is not None:
            ended = EnrolmentEnded(class_id=s.group)
            known[s.until].append(_event(s.until, s.student, ended, "until", s.student))
    for o in data.outcomes:
        name = ("outcome", o.student, o.on.isoformat())
        over_at_once = o.over_on is not None and o.over_on <= o.known_on
        told = OutcomeRecorded(
            outcome=data.outcome, known_on=o.known_on, over_on=o.over_on if over_at_once else None
        )
        known[o.known_on].append(_event(o.on, o.student, told, *name))
        if o.over_on is not None and not over_at_once:
            over = OutcomeRecorded(outcome=data.outcome, known_on=o.known_on, over_on=o.over_on)
            known[o.over_on].append(_event(o.on, o.student, over, *name, "over"))
    for f in data.observations:
        seen = ObservationRecorded(item=f.item, value=f.value, source="replay")
        known[f.on].append(_event(f.on, f.student, seen, f.student, f.item, f.on.isoformat()))
    return known


def events_of_days(data: Folder) -> Iterator[tuple[date, list[NewEvent]]]:
    """Each day of the replay with its events: facts, the day's close, then the lists."""
    known = _by_day(data)
    groups = sorted({s.group for s in data.students})
    days = _days(data)
    # What was known before the replay begins is known when it begins, in the order it came.
    before = [event for day in sorted(known) if day < days[0] for event in known[day]]
    known[days[0]] = before + known.get(days[0], [])
    for day in days:
        events = known.get(day, [])
        events.append(_event(day, None, DayClosed(), "closed", day.isoformat()))
        if day in data.list_dates:
            events += [
                _event(day, None, ListDue(school=g), "list", g, day.isoformat()) for g in groups
            ]
        yield day, events


def _play(data: Folder, log: Log, dispatcher: Dispatcher, progress: Progress | None) -> None:
    of = len(_days(data))
    new: list[NewEvent] = []
    for done, (day, events) in enumerate(events_of_days(data), start=1):
        new += events
        if len(new) >= BATCH or done == of:
            assert isinstance(log.clock, MovableClock)
            log.clock.move_to(_end_of(day))
            with log.unit_of_work() as unit:
                unit.append(*new)
            new = []
            dispatcher.drain()
        if progress is not None:
            progress(day, done, of)


def _end_of(day: date) -> datetime:
    return at(day, 23, 59)


# -- results ----


def _results(database: Database) -> tuple[list[Scored], list[dict[str, Any]], int]:
    lists, scores = warning_lists, list_scores
    with database.reading() as conn:
        rows = conn.execute(
            select(lists.c.list_date, lists.c.school, scores).join(
                scores, scores.c.list_id == lists.c.id
            )
        )
        found = sorted(
            Scored(r.list_date, r.student, r.school, r.score, r.rank, r.listed, _said(r))
            for r in rows
        )
        judges = [
            {
                "list_date": r.list_date.isoformat(),
                "group": r.school,
                "judge": r.judge,
                "ranked": r.ranked,
                "why": why_of(r),
            }
            for r in conn.execute(select(lists).order_by(lists.c.list_date, lists.c.school))
            if r.ranked
        ]
        size = conn.execute(select(func.sum(func.length(model_snapshots.c.state)))).scalar_one()
    return found, judges, int(size or 0)


def _said(row: Any) -> dict[str, float | None]:
    return {
        "rules": row.rules_chance,
        "model": row.model_chance,
        "challenger": row.challenger_chance,
    }


def _write_scores(path: Path, scores: list[Scored]) -> None:
    lines = ["list_date,student,score,rank,listed"]
    lines += [
        f"{s.list_date.isoformat()},{_cell(s.student)},{s.score:.13f},{s.rank},{int(s.listed)}"
        for s in scores
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _cell(text: str) -> str:
    if any(mark in text for mark in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text
