"""How long what is kept: the clocks, what they say today, and the one door for deletions.

The clocks are data (`retention.toml`, and the installation's own file beside its playbooks), so
that an officer can read them and a page can show them. What belongs to a kind and how it is deleted
is in `warning_service/keeping`; nothing here deletes anything by itself.

The log and the trail are append-only by triggers. `leave_to_delete` lays a permit into
`deletion_permits`, which the triggers look for, and takes it away again before the transaction
ends: no committed permit is ever there, and nobody else's transaction sees this one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Connection, delete, insert, select

from warning_service.events.tables import deletion_permits
from warning_service.roster.calendar import school_year_of

OWN_FILE = "retention.toml"


class Clock(BaseModel):
    """How long one kind of data is kept. Exactly one of `months` and `days` is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    ja: str
    en: str
    after: Literal["school_year", "leaving", "event"]
    months: int | None = Field(default=None, ge=0)
    days: int | None = Field(default=None, ge=1)
    why_ja: str = Field(min_length=1)
    why_en: str = Field(min_length=1)

    @model_validator(mode="after")
    def _one_measure(self) -> Clock:
        wanted = (self.months is None, self.days is None)
        if wanted != ((True, False) if self.after == "event" else (False, True)):
            raise ValueError(f"{self.kind}: days after an event, months after a school year")
        return self

    def before(self, today: date) -> date:
        """What is of a day before this one has to go by `today`."""
        if self.days is not None:
            return today - timedelta(days=self.days)
        assert self.months is not None
        year = school_year_of(today)  # it began on 1 April; the one before ended the day before
        while _months_later(date(year, 4, 1), self.months) > today:
            year -= 1
        return date(year, 4, 1)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    clocks: list[Clock]


def _months_later(first_of_month: date, months: int) -> date:
    at = first_of_month.year * 12 + first_of_month.month - 1 + months
    return date(at // 12, at % 12 + 1, 1)


@lru_cache(maxsize=1)
def shipped_clocks() -> dict[str, Clock]:
    """The clocks that come with the service, by kind, in the file's order."""
    return _read(files(__package__).joinpath("retention.toml").read_text("utf-8"))


def clocks(data_dir: Path) -> dict[str, Clock]:
    """The clocks in force: the shipped ones, single ones replaced by the installation's own file.

    Raises ValueError (pydantic's and tomllib's errors are ones) for a file that is not fit, or one
    that names a kind there is none of.
    """
    found = dict(shipped_clocks())
    own = data_dir / OWN_FILE
    if own.is_file():
        mine = _read(own.read_text("utf-8"))
        if strays := sorted(mine.keys() - found.keys()):
            raise ValueError(f"{OWN_FILE}: no such kind: {', '.join(strays)}")
        found.update(mine)
    return found


def _read(text: str) -> dict[str, Clock]:
    listed = _File.model_validate(tomllib.loads(text)).clocks
    found = {clock.kind: clock for clock in listed}
    if len(found) != len(listed):
        raise ValueError("a kind has two clocks")
    return found


# -- the door ----


@contextmanager
def leave_to_delete(conn: Connection, subject: Literal["events", "audit"]) -> Iterator[None]:
    """Within this block, rows of that table may be deleted in the caller's write transaction.

    An error inside leaves the transaction to be rolled back by the caller, and the permit with it.
    """
    conn.execute(insert(deletion_permits).values(subject=subject))
    yield
    conn.execute(delete(deletion_permits).where(deletion_permits.c.subject == subject))


def permits_lying_about(conn: Connection) -> list[str]:
    """Tables whose door somebody left open; empty when all is well."""
    return list(conn.execute(select(deletion_permits.c.subject)).scalars())
