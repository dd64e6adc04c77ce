"""Tries that a board asked for on its page: kept, worked on one at a time, shown while they run.

A try is a row; the page that asked for it may be closed and opened again. A board has one at a time
that waits or runs. `Trier` is a thread of the worker that takes the oldest waiting one and plays
the log (play.py), with pauses as long as its work, because children's answers go through the same
processor. A worker that dies loses only time: another takes the row over after a while and begins
again. What is kept is the tried file and counts; a try never puts a playbook into force.
"""

from __future__ import annotations

import threading
from datetime import date, timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection, or_, select, update

from warning_service.clock import Clock, monotonic
from warning_service.database import Database, StorageUnavailable, insert_new
from warning_service.events.log import Log
from warning_service.events.types import new_id
from warning_service.judging.consumer import PlaybookSource
from warning_service.judging.setup import from_playbook
from warning_service.judging.tables import trials
from warning_service.judging.trying.counts import Tried
from warning_service.judging.trying.play import Cancelled, try_playbook
from warning_service.playbooks.model import parse

log = structlog.get_logger()

LOOK_SECONDS = 1.0
BEAT_SECONDS = 1.0
DEAD_AFTER = timedelta(seconds=90)
"""A worker that has shown no sign for so long is gone. A beat comes with every word of progress."""
PAUSE = 1.0
"""Rest, as a part of the seconds worked: half the time is others'."""
KEPT_ON_PAGE = 20


class Busy(Exception):
    """The board has a try that waits or runs. One at a time."""


class Trials:
    """The rows. `database` reads with the service's own rights: what a board has tried is counts,
    and its page asks by the board of whoever is signed in.
    """

    def __init__(self, database: Database, clock: Clock, playbooks: PlaybookSource) -> None:
        self._database, self._clock, self._playbooks = database, clock, playbooks

    def ask(self, board: str, by: str, text: str, since: date) -> str:
        """Have a playbook tried; returns the try's id. Raises Busy, ValueError for an unfit text.

        Whoever calls has checked the text and put the asking on the trail.
        """
        parse(text)
        trial = new_id()
        with self._database.writing() as conn:
            made = conn.execute(
                insert_new(conn, trials)
                .values(
                    id=trial, board=board, asked_by=by, asked_at=self._clock.now(), since=since,
                    text=text, current=from_playbook(self._playbooks.of(board)).playbook,
                    state="waiting", worker="", done=0, of=0, why="",
                )
                .returning(trials.c.id)
            ).first()  # fmt: skip
        if made is None:
            raise Busy
        return trial

    def of_board(self, board: str) -> list[Any]:
        """The board's latest tries, newest first."""
        t = trials.c
        query = select(trials).where(t.board == board).order_by(t.asked_at.desc(), t.id.desc())
        with self._database.reading() as conn:
            return list(conn.execute(query.limit(KEPT_ON_PAGE)))

    def one(self, board: str, trial: str) -> Any | None:
        """One try of that board, or None."""
        t = trials.c
        with self._database.reading() as conn:
            return conn.execute(select(trials).where(t.board == board, t.id == trial)).one_or_none()

    def stop(self, board: str, trial: str) -> bool:
        """Want it no more; False when it is over already. It ends at its next word of progress."""
        t = trials.c
        with self._database.writing() as conn:
            ended = conn.execute(
                update(trials)
                .where(t.board == board, t.id == trial, t.ended_at.is_(None))
                .values(state="stopped", ended_at=self._clock.now())
                .returning(t.id)
            ).first()
        return ended is not None


def result_of(row: Any) -> Tried | None:
    """What came of a try, if it is done and this version can read it."""
    if row.result is None:
        return None
    try:
        return msgspec.json.decode(row.result, type=Tried)
    except msgspec.ValidationError:
        return None


class Trier:
    """Works on tries, one at a time; several workers share them. `real`: time that runs by itself,
    for signs of life (the demo's clock stands and jumps).
    """

    def __init__(self, log_: Log, playbooks: PlaybookSource, *, real: Clock | None = None) -> None:
        self._log, self._playbooks = log_, playbooks
        self._real = real or Clock()
        self._name = new_id()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trier", daemon=True)

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """Let go of what is in hand; another start takes it up again from its beginning."""
        self._stopping.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self.look()
            except StorageUnavailable as error:
                log.error("trier_storage_unavailable", error=str(error))
            except Exception as error:  # the next look must come, whatever this one met
                log.exception("trier_failed", error=type(error).__name__)

    def look(self) -> str | None:
        """Work on the try that waits longest, to its end; returns its id, None when none waits."""
        row = self._take()
        if row is None:
            return None
        try:
            playbook = parse(row.text)
            found = try_playbook(
                self._log, row.board, self._playbooks.of(row.board), playbook, row.since,
                progress=_Telling(self, row.id),
            )  # fmt: skip
        except Cancelled:
            if self._stopping.is_set():
                self._put(row.id, {"state": "waiting", "worker": "", "beat_at": None})
        except StorageUnavailable:
            raise  # it stays ours until we are taken for dead, or take it up again ourselves
        except Exception as error:
            # By its name only: a message may quote what it met.
            log.exception("trial_failed", trial=row.id, error=type(error).__name__)
            self._end(row.id, state="failed", why=type(error).__name__)
        else:
            self._end(row.id, state="done", result=msgspec.json.encode(found).decode())
        return str(row.id)

    def _take(self) -> Any | None:
        """Take the oldest one that nobody works on."""
        t, now = trials.c, self._real.now()
        free = or_(
            t.state == "waiting",
            t.worker == self._name,
            t.beat_at < now - DEAD_AFTER,
        )
        with self._log.database.reading() as conn:
            query = select(t.id).where(t.ended_at.is_(None), free).order_by(t.asked_at, t.id)
            wanted = conn.execute(query.limit(1)).scalar_one_or_none()
        if wanted is None:
            return None
        with self._log.database.writing() as conn:
            return conn.execute(
                update(trials)
                .where(t.id == wanted, t.ended_at.is_(None), free)
                .values(state="running", worker=self._name, beat_at=now, done=0, of=0, day=None)
                .returning(trials)
            ).first()

    def _put(self, trial: str, values: dict[str, Any]) -> bool:
        """Change our own, running try; False when it is not ours or was stopped."""
        t = trials.c
        with self._log.database.writing() as conn:
            return _changed(
                conn,
                update(trials)
                .where(t.id == trial, t.worker == self._name, t.ended_at.is_(None))
                .values(values)
                .returning(t.id),
            )

    def _end(self, trial: str, **values: Any) -> None:
        self._put(trial, {**values, "ended_at": self._log.clock.now()})


def _changed(conn: Connection, statement: Any) -> bool:
    return conn.execute(statement).first() is not None


class _Telling:
    """What `try_playbook` tells of its progress: onto the row, with a rest for others."""

    def __init__(self, trier: Trier, trial: str) -> None:
        self._trier, self._trial = trier, trial
        self._began = monotonic()
        self._told = 0.0

    def __call__(self, done: int, of: int, day: date | None) -> None:
        trier, worked = self._trier, monotonic() - self._began
        if monotonic() - self._told >= BEAT_SECONDS or done == of:
            beat = trier._real.now()
            ours = trier._put(self._trial, {"done": done, "of": of, "day": day, "beat_at": beat})
            if not ours:
                raise Cancelled
            self._told = monotonic()
        if trier._stopping.wait(worked * PAUSE):
            raise Cancelled
        self._began = monotonic()
