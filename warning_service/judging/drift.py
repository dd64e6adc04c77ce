"""What is watched of a board's items and model: kept while judging, read by pages and metrics.

The judge hands over the extracts it makes anyway; only counts over the whole board are kept, in the
snapshot WATCH, and derived again with everything else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from datetime import date

import msgspec
import numpy as np
from prometheus_client import Gauge
from sqlalchemy import Connection, select

from models import drift
from models.drift import ItemDrift, ModelDrift, Watch
from models.items import WINDOW
from warning_service.judging.changes import Changes
from warning_service.judging.scope import Group
from warning_service.judging.setup import Setup, Use
from warning_service.judging.tables import model_snapshots
from warning_service.playbooks.model import Playbook
from warning_service.roster.calendar import SchoolCalendar

WATCH = "watch"

MOVED = Gauge(
    "kizashi_item_drift", "Stability index of an item against its usual months", ["board", "item"]
)
SILENT = Gauge(
    "kizashi_item_silent_days", "Days since anything of an item was known", ["board", "item"]
)
STATED = Gauge(
    "kizashi_model_stated_rate", "Mean probability on the latest settled days", ["board"]
)
HAPPENED = Gauge("kizashi_model_happened_rate", "Share that came true on the same days", ["board"])
CHANGED = Gauge("kizashi_model_changed", "1 when the model does worse since a change", ["board"])


class Found(msgspec.Struct, frozen=True):
    """Everything told of one board. `today`: the last closed day it was looked on; None: never."""

    items: list[ItemDrift]
    model: ModelDrift | None
    looked_on: date | None


def patience(use: Use) -> int:
    """Days without anything of an item before it counts as silent: as long as its data are fresh,
    and no less than a month.
    """
    return max(WINDOW, use.fresh_days)


def look(watch: Watch, setup: Setup, groups: Sequence[Group], day: int, changes: Changes) -> None:
    """Keep this month's distributions, if a month has gone by, and note in `changes` that it was.

    For the close of a day: `changes.book_at` is the position of that event.
    """
    if not groups or not watch.due(day):
        return
    for use in setup.uses:
        values: list[float] = []
        newest = 0
        for group in groups:
            columns = group.extract.items[use.spec.id]
            recent, fresh = columns.recent, columns.last_on > day - patience(use)
            if use.spec.kind == "measure":  # what is no longer fresh is not known any more
                recent = np.where(fresh, recent, np.nan)
            elif use.spec.kind == "flag" and patience(use) > WINDOW:
                recent = fresh.astype(np.float64)  # a yearly mark: is it on record, not how often
            values += recent.tolist()
            newest = max(newest, int(columns.last_on.max(initial=0)))
        watch.look(use.spec.id, day, values, newest)
    watch.looked_on, changes.watch_at = day, changes.book_at


def on_school_days(playbook: Playbook) -> frozenset[str]:
    """The items of which nothing comes in a vacation: the school's own, and children's answers."""
    known = playbook.catalogue_items()
    return frozenset(
        use.id
        for use in playbook.items
        if use.id not in known or known[use.id].department == "school"
    )


def found(conn: Connection, board: str, setup: Setup, in_school: Set[str]) -> Found:
    """What is to be told of a board, as of what judging has stored. No personal data in it.

    `in_school`: the items that come on school days only.
    """
    t = model_snapshots
    data = conn.execute(
        select(t.c.state).where(t.c.board == board, t.c.name == WATCH)
    ).scalar_one_or_none()
    if data is None:
        return Found([], None, None)
    watch = msgspec.msgpack.decode(bytes(data), type=Watch)
    uses = {use.spec.id: use for use in setup.uses}
    first = min((m.day for held in watch.items.values() for m in held.months), default=0) - WINDOW
    lessons: list[int] = []
    if watch.looked_on and first > 0:
        days = (date.fromordinal(first), date.fromordinal(watch.looked_on))
        lessons = [day.toordinal() for day in SchoolCalendar(conn, board).days(*days)]
    items = [
        drift.of_item(
            name,
            held,
            watch.looked_on,
            patience(uses[name]),
            # What stays fresh beyond a vacation is no less known in it.
            lessons if name in in_school and patience(uses[name]) <= 2 * WINDOW else None,
        )
        for name, held in sorted(watch.items.items())
        if name in uses
    ]
    looked = date.fromordinal(watch.looked_on) if watch.looked_on else None
    return Found(items, drift.of_model(watch, setup.horizon), looked)


def measure(board: str, told: Found, today: date) -> None:
    """Set the metrics of one board."""
    for one in told.items:
        MOVED.labels(board, one.item).set(
            math.nan if one.against_usual is None else one.against_usual
        )
        SILENT.labels(board, one.item).set(
            today.toordinal() - one.last_on if one.last_on else math.nan
        )
    model = told.model
    STATED.labels(board).set(math.nan if model is None else model.stated)
    HAPPENED.labels(board).set(math.nan if model is None else model.happened)
    CHANGED.labels(board).set(int(model is not None and model.worse))
