"""Kills consumers with SIGKILL again and again until they have worked through a log.

Run as a program, so that forking happens in a process without threads:
`python -m tests.faults.forker URL DATA_DIR SEED`. Each round forks a child that drains both
consumers and is killed after a random moment; the round that is left alone ends it. Prints how
many were killed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import models.pipeline  # noqa: F401 - before forking: no child should spend its life importing
from tests.make import BOARD
from warning_service.alerts.consumer import AlertsConsumer
from warning_service.clock import Clock, MovableClock
from warning_service.database import Database
from warning_service.events.dispatcher import LEASE, Dispatcher
from warning_service.events.log import Log
from warning_service.events.wakeups import Wakeups
from warning_service.judging.consumer import JudgingConsumer
from warning_service.playbooks.service import Playbooks


def drain(url: str, data_dir: Path, clock: Clock, wall: Clock, batch: int) -> None:
    """Work through the log with both consumers, in a fresh process's memory."""
    database = Database(url)
    log = Log(database, clock, Wakeups())
    playbooks = Playbooks(database, data_dir / "playbooks")
    readers = [
        Dispatcher(log, AlertsConsumer(log, playbooks), BOARD, batch=batch, wall=wall),
        Dispatcher(log, JudgingConsumer(log, playbooks), BOARD, batch=batch, wall=wall),
    ]
    # Both append events the other reads, so go round until neither has anything left.
    while sum(reader.drain() for reader in readers):
        pass
    database.close()


def main(url: str, data_dir: str, seed: str) -> int:
    rng = random.Random(int(seed))
    clock = MovableClock(Clock().now())
    now = Clock().now()
    killed = 0
    longest = 0.02
    while True:
        # Every round comes after the dead owner's lease.
        now += 2 * LEASE
        wall = MovableClock(now)
        batch = rng.choice((1, 7, 40, 200))
        child = os.fork()
        if child == 0:
            drain(url, Path(data_dir), clock, wall, batch)
            os._exit(0)
        time.sleep(rng.uniform(0.0, longest))
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status != 0:
                return 1
            break
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        killed += 1
        longest *= 1.12  # so that it ends: each round may live a little longer
    print(f"killed={killed}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
