"""Reads a replay folder and refuses whatever is not exactly as the format says.

Four files: `replay.toml`, `students.csv`, `observations.csv.gz`, `outcomes.csv`. Every error names
file and line. Row order carries no meaning and exact duplicates count once, so everything handed
out is sorted. `trait_*` columns are checked for nothing and not even kept: they can feed no score.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import math
import tomllib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from models.items import ItemSpec, Kind, Worse

MOST_DAYS = 36600
YEARS = range(1900, 2201)
"""Of list dates: weeks are counted back and on from them, and the calendar itself has ends."""


class FolderError(ValueError):
    """The folder is not in the replay format. The text begins with file:line (line 0: the file)."""

    def __init__(self, file: str, line: int, what: str) -> None:
        super().__init__(f"{file}:{line}: {what}" if line else f"{file}: {what}")
        self.file, self.line = file, line


@dataclass(frozen=True)
class FolderItem:
    """An item of `replay.toml`."""

    spec: ItemSpec
    label: str


@dataclass(frozen=True)
class FolderStudent:
    """On the roll of `group` from `start` until before `until` (None: no end)."""

    student: str
    group: str
    start: date
    until: date | None


@dataclass(frozen=True, order=True)
class FolderObservation:
    """One fact, known at the end of `on`."""

    on: date
    student: str
    item: str
    value: float


@dataclass(frozen=True)
class FolderOutcome:
    """One outcome; `over_on` None: not again."""

    student: str
    on: date
    known_on: date
    over_on: date | None


@dataclass(frozen=True)
class Folder:
    """A whole folder, validated and sorted."""

    outcome: str
    horizon: int
    delay: int
    share: Fraction
    list_dates: tuple[date, ...]
    items: tuple[FolderItem, ...]
    students: tuple[FolderStudent, ...]
    observations: tuple[FolderObservation, ...]
    outcomes: tuple[FolderOutcome, ...]

    def without(self, student: str) -> Folder:
        """The folder as if that student had never been in it."""
        return Folder(
            self.outcome, self.horizon, self.delay, self.share, self.list_dates, self.items,
            tuple(s for s in self.students if s.student != student),
            tuple(o for o in self.observations if o.student != student),
            tuple(o for o in self.outcomes if o.student != student),
        )  # fmt: skip


def read_folder(path: Path) -> Folder:
    """Read and validate. Raises FolderError."""
    told = _settings(path / "replay.toml")
    students = _students(path / "students.csv", told["list_dates"][-1])
    roll = {s.student: s for s in students}
    items = {item.spec.id for item in told["items"]}
    return Folder(
        **told,
        students=tuple(students),
        observations=tuple(_observations(path / "observations.csv.gz", roll, items)),
        outcomes=tuple(_outcomes(path / "outcomes.csv", roll, told["delay"])),
    )


# -- replay.toml ----


def _settings(path: Path) -> dict[str, Any]:
    def wrong(what: str) -> FolderError:
        return FolderError(path.name, 0, what)

    try:
        data = tomllib.loads(_text(path, path.read_bytes()), parse_float=Decimal)
    except FileNotFoundError:
        raise wrong("the file is missing") from None
    except OSError as error:
        raise wrong(f"cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise wrong(str(error)) from None
    known = {"outcome", "horizon_days", "label_delay_days", "list_share", "list_dates", "items"}
    if unknown := sorted(set(data) - known):
        raise wrong(f"unknown key '{unknown[0]}'")
    for key, least in (("horizon_days", 1), ("label_delay_days", 0)):
        if type(data.get(key)) is not int or not least <= data[key] <= MOST_DAYS:
            raise wrong(f"'{key}' must be a whole number from {least} to {MOST_DAYS}")
    if not isinstance(data.get("outcome"), str) or not data["outcome"]:
        raise wrong("'outcome' must be a name")
    share = data.get("list_share")
    if isinstance(share, Decimal) and not share.is_finite():
        share = None
    if not isinstance(share, (int, Decimal)) or isinstance(share, bool) or not 0 < share <= 1:
        raise wrong("'list_share' must be a number above 0 and up to 1")
    dates = data.get("list_dates")
    if not isinstance(dates, list) or not dates or any(type(d) is not date for d in dates):
        raise wrong("'list_dates' must be a list of dates")
    if (max(dates) - min(dates)).days > MOST_DAYS:
        raise wrong(f"'list_dates' must lie within {MOST_DAYS} days")
    if min(dates).year not in YEARS or max(dates).year not in YEARS:
        raise wrong(f"'list_dates' must lie in the years {YEARS.start} to {YEARS.stop - 1}")
    return {
        "outcome": data["outcome"],
        "horizon": data["horizon_days"],
        "delay": data["label_delay_days"],
        "share": Fraction(share),
        "list_dates": tuple(sorted(set(dates))),
        "items": _items(path.name, data.get("items")),
    }


def _items(file: str, data: Any) -> tuple[FolderItem, ...]:
    if not isinstance(data, dict) or not data:
        raise FolderError(file, 0, "'items' must name at least one item")
    found = []
    for item, told in sorted(data.items()):
        if not isinstance(told, dict) or set(told) - {"kind", "worse", "label"}:
            raise FolderError(file, 0, f"item '{item}' takes kind, worse and label")
        if told.get("kind") not in get_args(Kind):
            raise FolderError(file, 0, f"item '{item}': kind must be count, measure or flag")
        if told.get("worse") not in get_args(Worse):
            raise FolderError(file, 0, f"item '{item}': worse must be high, low or unknown")
        spec = ItemSpec(id=item, kind=told["kind"], worse=told["worse"])
        found.append(FolderItem(spec, str(told.get("label", item))))
    return tuple(found)


# -- the CSV files ----


def _text(path: Path, data: bytes) -> str:
    if data.startswith(codecs.BOM_UTF8):
        raise FolderError(path.name, 1, "begins with a byte order mark; save as plain UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FolderError(path.name, line, "not UTF-8") from None


def _opened(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FolderError(path.name, 0, "the file is missing") from None
    except OSError as error:
        raise FolderError(path.name, 0, f"cannot be read: {error.strerror}") from None
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            raise FolderError(path.name, 0, "not a complete gzip file") from None
    return _text(path, data)


def _columns(file: str, header: list[str] | None, needed: list[str], optional: list[str]) -> None:
    if header is None:
        raise FolderError(file, 1, "the header line is missing")
    if len(set(header)) != len(header):
        raise FolderError(file, 1, "a column is named twice")
    for column in needed:
        if column not in header:
            raise FolderError(file, 1, f"column '{column}' is missing")
    for column in header:
        if column not in needed and column not in optional and not column.startswith("trait_"):
            raise FolderError(file, 1, f"unknown column '{column}'")


def _rows(path: Path, needed: list[str], optional: list[str]) -> Iterator[tuple[int, list[str]]]:
    """(line, values of needed + optional columns, absent ones as "-") of each different row."""
    reader = csv.reader(io.StringIO(_opened(path), newline=""), strict=True)
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise FolderError(path.name, 1, str(error)) from None
    _columns(path.name, header, needed, optional)
    assert header is not None
    where = [header.index(c) if c in header else -1 for c in (*needed, *optional)]
    seen: set[tuple[str, ...]] = set()
    try:
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                wide = f"{len(row)} fields, the header has {len(header)}"
                raise FolderError(path.name, reader.line_num, wide)
            if (whole := tuple(row)) not in seen:
                seen.add(whole)
                yield reader.line_num, ["-" if at < 0 else row[at] for at in where]
    except csv.Error as error:
        raise FolderError(path.name, reader.line_num, str(error)) from None


class _Dates:
    """Dates from text, each text parsed once."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._known: dict[str, date] = {}

    def read(self, line: int, column: str, text: str) -> date:
        """An ISO date. Raises FolderError."""
        found = self._known.get(text)
        if found is None:
            try:
                found = date.fromisoformat(text)
                if found.isoformat() != text:
                    raise ValueError
            except ValueError:
                what = f"{column} '{text}' is not a date like 2031-04-07"
                raise FolderError(self._file, line, what) from None
            self._known[text] = found
        return found


def _students(path: Path, last: date) -> list[FolderStudent]:
    dates, found = _Dates(path.name), dict[str, FolderStudent]()
    for line, (student, group, start, until) in _rows(
        path, ["student", "group", "from", "until"], []
    ):
        if not student or not group:
            raise FolderError(path.name, line, "student and group must not be empty")
        if student in found:
            raise FolderError(path.name, line, f"student '{student}' is there twice")
        begins = dates.read(line, "from", start)
        if (last - begins).days > MOST_DAYS:  # every day since is played
            what = f"from {begins} is more than {MOST_DAYS} days before the last list date"
            raise FolderError(path.name, line, what)
        ends = dates.read(line, "until", until) if until else None
        if ends is not None and ends <= begins:
            raise FolderError(path.name, line, "until must be later than from")
        found[student] = FolderStudent(student, group, begins, ends)
    return [found[student] for student in sorted(found)]


def _observations(
    path: Path, roll: dict[str, FolderStudent], items: set[str]
) -> list[FolderObservation]:
    dates, found = _Dates(path.name), dict[tuple[str, date, str], FolderObservation]()
    for line, (student, on_text, item, text) in _rows(path, ["student", "on", "item", "value"], []):
        on = dates.read(line, "on", on_text)
        who = roll.get(student)
        if who is None:
            raise FolderError(path.name, line, f"unknown student '{student}'")
        if on < who.start or (who.until is not None and on >= who.until):
            raise FolderError(path.name, line, f"student '{student}' is not on the roll on {on}")
        if item not in items:
            raise FolderError(path.name, line, f"unknown item '{item}'")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or "_" in text:
            raise FolderError(path.name, line, f"value '{text}' is not a number")
        if (student, on, item) in found:
            raise FolderError(path.name, line, f"'{item}' of '{student}' on {on} is there twice")
        found[student, on, item] = FolderObservation(on, student, item, value)
    return sorted(found.values())


def _outcomes(path: Path, roll: dict[str, FolderStudent], delay: int) -> list[FolderOutcome]:
    dates, rows = _Dates(path.name), list[tuple[int, FolderOutcome]]()
    for line, (student, on_text, known_text, over_text) in _rows(
        path, ["student", "on", "known_on"], ["over_on"]
    ):
        if student not in roll:
            raise FolderError(path.name, line, f"unknown student '{student}'")
        on = dates.read(line, "on", on_text)
        known_on = dates.read(line, "known_on", known_text)
        if not timedelta(0) <= known_on - on <= timedelta(days=delay):
            raise FolderError(path.name, line, f"known_on must be 0 to {delay} days after on")
        over_on: date | None = None  # as good as the day after the calendar's last
        if over_text == "-" and known_on < date.max:
            over_on = known_on + timedelta(days=1)
        elif over_text not in {"", "-"}:
            over_on = dates.read(line, "over_on", over_text)
        if over_on is not None and over_on < on:
            raise FolderError(path.name, line, "over_on must not be earlier than on")
        rows.append((line, FolderOutcome(student, on, known_on, over_on)))
    rows.sort(key=lambda r: (r[1].student, r[1].on, r[1].over_on or date.max))
    for (_, before), (line, after) in pairwise(rows):
        if before.student == after.student and (
            before.over_on is None or after.on < before.over_on or after.on == before.on
        ):
            what = f"overlaps another outcome of '{after.student}'"
            raise FolderError(path.name, line, what)
    return [row for _, row in rows]
