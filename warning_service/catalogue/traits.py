"""Reads `traits.toml`: what fairness reports tell children apart by.

A trait a child cannot change (sex, income of the household, disability) is no reason to list it;
but whether the list errs more often for some children than for others must be looked at, and that
needs the trait. So traits are named here, apart from the items models may use, and only
`access/traits.py` resolves them, with a line on the trail each time.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from warning_service.catalogue.items import all_items

OTHERWISE = "otherwise"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Words(_Part):
    """A label in both languages."""

    label: str
    label_en: str


class Group(Words):
    """Children any of these items is on record of."""

    id: str = Field(pattern=r"^[a-z_]+$")
    items: tuple[str, ...] = Field(min_length=1)


class Trait(Words):
    """One way to tell children apart. `groups` and `otherwise`: of source `items` only."""

    id: str = Field(pattern=r"^[a-z_]+$")
    source: Literal["sex", "grade", "school", "siblings", "items"]
    groups: tuple[Group, ...] = ()
    otherwise: Words | None = None

    @model_validator(mode="after")
    def _fits(self) -> Trait:
        by_items = self.source == "items"
        if by_items != bool(self.groups) or by_items != (self.otherwise is not None):
            raise ValueError(f"trait '{self.id}': groups and otherwise go with source 'items'")
        for group in self.groups:
            if unknown := set(group.items) - set(all_items()):
                raise ValueError(f"trait '{self.id}': not in the catalogue: {sorted(unknown)}")
        return self


@lru_cache(maxsize=1)
def all_traits() -> tuple[Trait, ...]:
    """Every trait, in the file's order. Raises ValueError for a file that does not hold."""
    text = files(__package__).joinpath("traits.toml").read_text("utf-8")
    found = tuple(Trait.model_validate(entry) for entry in tomllib.loads(text)["traits"])
    if len({trait.id for trait in found}) != len(found):
        raise ValueError("traits.toml names a trait twice")
    return found


def items_of_traits() -> frozenset[str]:
    """The items any trait is made from."""
    return frozenset(i for trait in all_traits() for group in trait.groups for i in group.items)
