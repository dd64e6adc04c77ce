"""How far the town is: for a terminal (rich), for a page, or for nobody."""

from __future__ import annotations

import threading
from typing import Protocol

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichBars


class Progress(Protocol):
    """Told about each station of the work."""

    def station(self, name: str, total: int) -> None:
        """A new station begins, of `total` steps; the one before is done."""

    def step(self, what: str = "") -> None:
        """One step is done; `what` says where we are."""


class Silent:
    """Tells nobody."""

    def station(self, name: str, total: int) -> None:
        """Nothing."""

    def step(self, what: str = "") -> None:
        """Nothing."""


class Shown:
    """One line for each station on a terminal. Enter and leave `bars` around the work."""

    def __init__(self, bars: RichBars) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def station(self, name: str, total: int) -> None:
        """Begin a line; the one before is filled."""
        self.finish()
        self._task = self._bars.add_task(name, total=total, what="")

    def step(self, what: str = "") -> None:
        """Move the line's bar."""
        if self._task is not None:
            self._bars.update(self._task, advance=1, what=what)

    def finish(self) -> None:
        """Fill the current line."""
        if self._task is not None:
            task = self._bars.tasks[self._task]
            self._bars.update(self._task, completed=task.total, what="")


class Lines:
    """One plain line for each station and month, for a terminal that cannot redraw."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def station(self, name: str, total: int) -> None:
        """Print the station and how many steps it has."""
        self._console.print(f"{name} ({total})")

    def step(self, what: str = "") -> None:
        """Print where we are, when that has changed."""
        if what and what != self._last:
            self._last = what
            self._console.print(f"  {what}")


def bars(console: Console) -> RichBars:
    """The bars of `Shown`."""
    return RichBars(
        TextColumn("{task.description:<34}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}"),
        console=console,
    )


class State(msgspec.Struct, frozen=True):
    """What a page shows. `state`: idle, running, done or failed."""

    state: str = "idle"
    station: str = ""
    done: int = 0
    total: int = 1


class Watched:
    """Progress that a page can look at while a thread works."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = State()

    def station(self, name: str, total: int) -> None:
        """Begin a station."""
        with self._lock:
            self.now = State("running", name, 0, max(1, total))

    def step(self, what: str = "") -> None:
        """One step."""
        with self._lock:
            station = what or self.now.station
            self.now = State("running", station, self.now.done + 1, self.now.total)

    def end(self, state: str) -> None:
        """The work is `done` or `failed`."""
        with self._lock:
            self.now = State(state, self.now.station, self.now.total, self.now.total)
