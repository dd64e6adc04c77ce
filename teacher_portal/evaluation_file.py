"""The aggregates of the evaluation pages as rows of one file: what, of which, how many, interval.

Only what the pages show: a hidden count is a word here as it is there, so that a file passed on
tells no more than the page it came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fastapi.responses import Response

from design.render import say
from models.effects import Gap
from models.reliability import Bin
from teacher_portal import evaluation_cells as cells
from teacher_portal.csv_files import csv_file
from teacher_portal.suppression import Cell, is_small
from warning_service.follow_up.evaluating.effects import Corrected
from warning_service.follow_up.evaluating.room import Effects, Right

if TYPE_CHECKING:
    from teacher_portal.evaluation import Month, TraitShown

COLUMNS = ("what", "which", "number", "of", "rate", "low", "high")


def file_of(
    lang: str, *, right: Right, bins: Sequence[Bin], months: Sequence[Month],
    traits: Sequence[TraitShown], effects: Effects,
) -> Response:  # fmt: skip
    """The file; rates are shares between 0 and 1, differences in the outcome's own unit."""
    head = [say(lang, f"eval.column_{name}") for name in COLUMNS]
    rows = [*_right(lang, right, bins, months), *_traits(lang, traits), *_effects(lang, effects)]
    return csv_file(f"kizashi-evaluation-{right.first.isoformat()}.csv", [head, *rows])


def _right(
    lang: str, right: Right, bins: Sequence[Bin], months: Sequence[Month]
) -> Iterator[list[Any]]:
    year = cells.shown(right.year)
    which = say(lang, "eval.year")
    for name, rate in (("precision", year.precision), ("recall", year.recall), ("base", year.base)):
        yield _line(lang, f"eval.{name}", which, rate)
    yield _line(lang, "eval.new_to_us", which, cells.closed_rate(right.new_to_us))
    if year.lift is not None:
        yield [say(lang, "eval.lift"), which, "", "", *_numbers(*_ratio(year.lift))]
    lead = cells.lead_shown(right.lead, year)
    if lead is not None:
        yield [
            say(lang, "eval.lead"),
            which,
            lead.n,
            "",
            *_numbers(lead.middle, lead.low, lead.high),
        ]
    for month in months:
        day = month.of.month.isoformat()[:7]
        if month.shown is None:
            key = "portal.withheld" if month.of.figures else "eval.not_yet"
            yield [say(lang, "eval.precision"), day, say(lang, key), "", "", "", ""]
            continue
        for name in ("precision", "recall", "base"):
            yield _line(lang, f"eval.{name}", day, getattr(month.shown, name))
    for one in bins:
        stated = f"{one.stated:.4f}"
        numbers = _numbers(one.happened, *one.interval)
        yield [say(lang, "eval.calibration"), stated, one.hits, one.n, *numbers]


def _traits(lang: str, traits: Sequence[TraitShown]) -> Iterator[list[Any]]:
    for one in traits:
        title = one.trait.label_en if lang == "en" else one.trait.label
        for name, line in zip(one.names, one.lines, strict=True):
            for key, rate in (("false", line.false), ("miss", line.miss)):
                yield _line(lang, f"eval.{key}", f"{title}: {name}", rate)


def _effects(lang: str, effects: Effects) -> Iterator[list[Any]]:
    if effects.before_after.result is not None:
        found = effects.before_after.result
        numbers = _numbers(found.change, found.low, found.high)
        yield [
            say(lang, "eval.before_after"),
            "p<0.0001" if found.p < 0.0001 else f"p={found.p:.4f}",
            found.n,
            "",
            *numbers,
        ]
    for key, one in (("listed", effects.listed), ("supported", effects.supported)):
        yield _gap(lang, f"eval.around_{key}", one, one.gap)
    if effects.schools.gap is not None:
        gap = effects.schools.gap
        numbers = _numbers(gap.value, gap.low, gap.high)
        yield [say(lang, "eval.schools"), "", gap.n, gap.n_others, *numbers]
    if effects.schools.earlier is not None:
        gap = effects.schools.earlier
        numbers = _numbers(gap.value, gap.low, gap.high)
        yield [say(lang, "eval.schools_before"), "", gap.n, gap.n_others, *numbers]
    for part, rate in cells.break_rates(effects.breaks):
        day = part.first.isoformat() + (" " + say(lang, "eval.moved") if part.moved else "")
        if part.known:
            yield _line(lang, "eval.breaks", day, rate)


def _gap(lang: str, key: str, one: Corrected, gap: Gap | None) -> list[Any]:
    if gap is None:
        sides = (
            _cell(lang, cells.SMALL if is_small(n) else Cell(n)) for n in (one.n, one.n_others)
        )
        return [say(lang, key), say(lang, "eval.too_few"), *sides, "", "", ""]
    return [say(lang, key), "", gap.n, gap.n_others, *_numbers(gap.value, gap.low, gap.high)]


def _line(lang: str, key: str, which: str, rate: cells.Rate) -> list[Any]:
    numbers = _numbers(rate.value, rate.low, rate.high)
    return [say(lang, key), which, _cell(lang, rate.hits), _cell(lang, rate.of), *numbers]


def _cell(lang: str, cell: Cell) -> int | str:
    if cell.value is not None:
        return cell.value
    return say(lang, "portal.under_five" if cell.why == "small" else "portal.withheld")


def _ratio(one: Any) -> tuple[float, float, float]:
    return one.value, one.low, one.high


def _numbers(*values: float | None) -> list[float | str]:
    return ["" if value is None else round(value, 4) for value in values]
