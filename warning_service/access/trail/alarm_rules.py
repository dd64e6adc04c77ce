"""The figures behind alarms on odd looking: one validated file, shipped or the board's own."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from warning_service.access.roles import Role

FILE = "alarm_rules.toml"
OTHER = "other"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Usual(_Part):
    """More than `factor` times the person's own usual."""

    factor: float = Field(gt=1)
    days: int = Field(ge=7, le=366)
    known_days: int = Field(ge=1)
    least: int = Field(ge=1)


class Limit(_Part):
    """A plain limit; reaching it is an alarm."""

    limit: int = Field(ge=1)


class Night(Limit):
    """Hours of the night in Japan, from the evening's to the morning's."""

    from_hour: int = Field(ge=12, le=23)
    until_hour: int = Field(ge=0, le=11)

    def covers(self, hour: int) -> bool:
        """Is it night at that hour?"""
        return hour >= self.from_hour or hour < self.until_hour


class FreeDay(Limit):
    """`closed_limit`: for weekdays without lessons (vacations), when staff are at work."""

    closed_limit: int = Field(ge=1)


class Watched(Limit):
    """How many people may open one child within `days` days."""

    days: int = Field(ge=1, le=31)
    factor: float = Field(ge=1)


class Alone(Limit):
    """Accounts that one officer both let in and gave power to (halves.py) within `days` days."""

    days: int = Field(ge=1, le=366)


class AlarmRules(_Part):
    """All figures. `hour`, `day` and `shown` are by role."""

    hour: dict[str, int]
    day: dict[str, int]
    shown: dict[str, int]
    usual: Usual
    refused: Limit
    night: Night
    free_day: FreeDay
    export: Limit
    alone: Alone
    watched: Watched

    @field_validator("hour", "day", "shown")
    @classmethod
    def _by_role(cls, limits: dict[str, int]) -> dict[str, int]:
        if OTHER not in limits:
            raise ValueError(f"needs a figure for '{OTHER}'")
        known = {OTHER, *(role.value for role in Role)}
        if unknown := set(limits) - known:
            raise ValueError(f"no such role: {', '.join(sorted(unknown))}")
        if any(limit < 1 for limit in limits.values()):
            raise ValueError("a limit is at least 1")
        return limits


def limit_for(limits: dict[str, int], roles: Iterable[str]) -> int:
    """The largest limit of these roles; that of `other` when there is none."""
    return max((limits.get(role, limits[OTHER]) for role in roles), default=limits[OTHER])


def load_rules(data_dir: Path) -> AlarmRules:
    """The board's own file in `data_dir`, else the shipped one.

    Raises ValueError (pydantic's names each bad field).
    """
    own = data_dir / FILE
    text = (
        own.read_text("utf-8")
        if own.is_file()
        else files(__package__).joinpath(FILE).read_text("utf-8")
    )
    return AlarmRules.model_validate(tomllib.loads(text))
