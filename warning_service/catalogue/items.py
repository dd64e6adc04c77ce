"""Reads the catalogue of data items (`items*.toml`) and gives each item by its id.

An item says what a number *is*: `count` (an amount on that day; a day on the roll without a row is
0), `measure` (a value when observed; no row = not observed) or `flag` (it happened), and which
direction is worse. How much an item weighs is not here: that is the playbook's.

Labels are as the field says them. Legal bases are as cities arranged them for themselves (事例集
R7): a board checks them against its own arrangement before linking.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["count", "measure", "flag"]
Worse = Literal["high", "low", "unknown"]
Department = Literal["school", "welfare", "health"]
Shown = Literal["value", "count_only", "score_only"]


class Item(BaseModel):
    """One data item. `basic` is its number among the 19 基本連携データ項目, if it is one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    label: str
    label_en: str
    unit: str = ""
    kind: Kind
    worse: Worse
    owner: str
    department: Department
    legal_basis: str
    fresh_days: int = Field(ge=1, description="Older than this is shown as out of date.")
    extract: str = Field(
        default="", description="The kind of file it comes with; '': with none that is waited for."
    )
    shown: Shown = Field(
        description="To school staff: the value, only 'other departments: +n', or nothing."
    )
    basic: int | None = Field(default=None, ge=1, le=19)


_FILES = ("items", "items_school", "items_sheets", "items_welfare", "items_health")


@lru_cache(maxsize=1)
def all_items() -> dict[str, Item]:
    """Every item of the catalogue by id, in the files' order.

    What a file's `[defaults]` say holds for all its items that do not say otherwise.
    """
    listed: list[Item] = []
    for name in _FILES:
        told = tomllib.loads(files(__package__).joinpath(f"{name}.toml").read_text("utf-8"))
        shared = told.get("defaults", {})
        listed += [Item.model_validate({**shared, **entry}) for entry in told["items"]]
    found = {item.id: item for item in listed}
    if len(found) != len(listed):
        raise ValueError("the catalogue names an item twice")
    return found
