"""Generates a city for a playbook: children by grade, households, and facts at plausible rates.

Everything follows from the seed and the size. Nothing is true of any city: rates are guesses that
make rules bite (some children reach many items, most reach none). Children of one household share a
burden, so that hardship clusters as it does in life; boys and girls are not told apart, because
nothing may depend on it.

A child's number is its row, and rows stand in the order of keys, which decides ties.
"""

from __future__ import annotations

import tomllib
import zlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from warning_service.judging.picking.arrays import City
from warning_service.judging.rules import Flat

DAY = 739_800  # an ordinal: a list day in the summer of 2026
YOUNGEST = -5
OLDEST = 9

RATES = {
    "nursery_use": 0.97, "support_history": 0.02, "youtaikyo_case": 0.01, "youtaikyo_past": 0.01,
    "temporary_custody": 0.002, "child_allowance": 0.1, "public_assistance": 0.02,
    "infant_no_meals": 0.005, "infant_mouth_covered": 0.005, "infant_shaken": 0.005,
    "infant_hit": 0.03, "infant_left_alone": 0.01, "school_subsidy": 0.12, "moved_in": 0.06,
    "one_parent_household": 0.08, "single_parent_medical": 0.08, "many_children": 0.1,
    "after_school_care": 0.2, "postnatal_care": 0.1, "dv_history": 0.005, "case_opened": 0.004,
}  # fmt: skip
"""How many children a flag is on record of; 3 % where nothing is said."""

MEASURES = {
    "weight_percentile": (50.0, 28.0), "pregnancy_weeks": (9.0, 4.0), "epds_score": (4.0, 3.5),
    "prenatal_checks_missed": (0.4, 1.5), "infant_check_missed": (0.1, 0.8),
    "dental_untreated": (0.5, 1.6), "infant_caries": (0.3, 1.3), "vaccines_missed": (0.3, 1.2),
    "newborn_followups": (1.0, 1.2), "qu_satisfaction": (60.0, 14.0), "sheet_signs": (0.4, 1.2),
    "parent_survey_child": (1.0, 1.2), "parent_survey_home": (1.0, 1.2),
    "case_note_signs": (0.4, 1.0), "first_consult_age": (6.0, 3.0),
}  # fmt: skip
"""Middle and spread; 1 and 1 where nothing is said (answers, sheets); low is worse: mirrored."""

COUNTS = {"absent_days": 0.9, "late_days": 0.5, "nurse_visits": 0.8, "early_leave_days": 0.3}
"""How often within eight weeks; 0.2 where nothing is said."""


def catalogue() -> dict[str, dict[str, Any]]:
    """The catalogue's entries as they stand in its files, read without the product's reader."""
    found: dict[str, dict[str, Any]] = {}
    for file in files("warning_service.catalogue").iterdir():
        if file.name.startswith("items") and file.name.endswith(".toml"):
            told = tomllib.loads(file.read_text("utf-8"))
            for entry in told["items"]:
                found[entry["id"]] = {**told.get("defaults", {}), **entry}
    return found


CATALOGUE = catalogue()


def raw(playbook: str) -> dict[str, Any]:
    """The shipped file as it stands, read without the product's reader."""
    text = files("warning_service.playbooks").joinpath("shipped", f"{playbook}.toml")
    return tomllib.loads(text.read_text("utf-8"))


NOT_NO_14 = {"habits"}
"""Questionnaires that are about something else than basic item 14, how a child feels."""


def counted(playbook: str) -> tuple[int, int]:
    """Items and basic items as the source counts them: a survey is one item, and no. 14; the
    difficulty of a brother or sister (Takagi) is one, too.
    """
    told = raw(playbook)
    asked = [item["id"] for item in told["items"]]
    items = [item for item in asked if item in CATALOGUE]
    survey = len(items) < len(asked)
    basic = {CATALOGUE[item]["basic"] for item in items if "basic" in CATALOGUE[item]}
    if survey and not set(told["questionnaires"]) & NOT_NO_14:
        basic.add(14)
    return len(items) + survey + ("sibling" in told.get("judgement", {})), len(basic)


@dataclass(frozen=True)
class Grown:
    """A generated city, and what it was generated for. `opened`: inside a known outcome."""

    playbook: str
    city: City
    opened: npt.NDArray[np.bool_]


def grow(
    playbook: str,
    children: int,
    *,
    youngest: int = YOUNGEST,
    schools: int = 1,
    seed: int = 4,
    opened: bool = True,
) -> Grown:
    """A city of so many children, with facts for every item the playbook uses."""
    dice = np.random.default_rng([seed, zlib.crc32(playbook.encode()), children])
    grades = dice.integers(youngest, OLDEST + 1, children)
    sizes = dice.choice([1, 2, 3], children, p=[0.4, 0.45, 0.15])
    homes = np.repeat(np.arange(children), sizes)[:children].astype(np.int64)
    homes = dice.permutation(homes)
    burden = 0.8 * dice.standard_normal(children)[homes] + 0.6 * dice.standard_normal(children)
    facts = {
        item["id"]: _facts(item["id"], dice, burden, grades) for item in raw(playbook)["items"]
    }
    inside = dice.random(children) < (RATES["case_opened"] if opened else 0.0)
    supported = np.where(dice.random(children) < 0.03, DAY - dice.integers(1, 200, children), 0)
    judged = np.where(dice.random(children) < 0.05, DAY - dice.integers(1, 500, children), 0)
    city = City(
        judged_on=judged, day=DAY, children=children, facts=facts,
        schools=dice.integers(0, schools, children), grades=grades, households=homes,
        supported_on=supported, present=~inside,
    )  # fmt: skip
    return Grown(playbook, city, inside)


def _facts(
    item: str,
    dice: np.random.Generator,
    burden: npt.NDArray[np.float64],
    grades: npt.NDArray[np.int64],
) -> Flat:
    known = CATALOGUE.get(item, {"kind": "measure", "worse": "high", "department": "school"})
    fresh = int(known.get("fresh_days", 45))
    may = np.ones(len(burden), dtype=bool)
    if known["department"] == "school":
        may = grades >= 1
    elif item.startswith("nursery"):
        may = grades <= 0
    if known["kind"] == "flag":
        rate = RATES.get(item, 0.03)
        heavy = -burden if known["worse"] == "low" else burden
        chance = 1 / (1 + np.exp(-(np.log(rate / (1 - rate)) - 0.6 + 1.2 * heavy)))
        rows = np.flatnonzero(may & (dice.random(len(burden)) < chance))
        # Most on record within the time it is fresh, some older: "now" and "ever" have to differ.
        age = np.where(dice.random(len(rows)) < 0.85, 1.0, 1.3) * dice.integers(1, fresh, len(rows))
        # An extract comes again and again, and says the same anew.
        again = np.flatnonzero(dice.random(len(rows)) < 0.3)
        rows = np.concatenate((rows, rows[again]))
        age = np.concatenate((age, np.maximum(0.0, age[again] - 30)))
        return _flat(rows, DAY - 1 - age.astype(np.int64), np.ones(len(rows)))
    if known["kind"] == "count":
        rate = COUNTS.get(item, 0.2)
        many = dice.poisson(rate * np.exp(0.9 * burden - 0.4)) * may
        rows = np.repeat(np.arange(len(burden)), np.minimum(many, 40))
        return _flat(rows, DAY - 1 - dice.integers(0, 56, len(rows)), np.ones(len(rows)))
    middle, spread = MEASURES.get(item, (1.0, 1.0))
    rows = np.flatnonzero(may & (dice.random(len(burden)) < 0.7))
    worse = 0.6 * burden[rows] + 0.8 * dice.standard_normal(len(rows))
    if known["worse"] == "low":
        middle, worse = (3.5 if item.startswith("star_") else middle), -worse
    most = 99.0 if item == "weight_percentile" else np.inf
    values = np.clip(np.rint(middle + spread * worse), 0.0, most)
    return _flat(rows, DAY - 1 - dice.integers(0, min(fresh, 400), len(rows)), values)


def _flat(rows: npt.NDArray[Any], days: npt.NDArray[Any], values: npt.NDArray[np.float64]) -> Flat:
    order = np.lexsort((days, rows))
    return Flat(rows[order].astype(np.int64), days[order].astype(np.int64), values[order])
