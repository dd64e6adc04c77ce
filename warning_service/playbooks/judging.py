"""The part of a playbook that says how children are judged, and who comes onto a list.

Numbers only: what is summed, counted or compared, from where on it is reached, how many places
there are. What these numbers then do is judging/rules.py's (the score) and the places are
judging/picking/'s. Meetings, alerts and who sees what are other parts of the playbook.

A *scope* is everybody a list is picked from: a school's roll, or the whole board's.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from warning_service.playbooks.kinds import CENTURY, Part

Method = Literal["points", "count", "formula", "similarity", "none"]
"""How a score comes about without a learned model.

`points`: the points of every item that is reached. `count`: one for every item that is reached.
`formula`: coefficients, as the probability 1 / (1 + exp(-(intercept + sum))). `similarity`: how
like the children with a support history, 0 to 1: the weights of the items a child reaches, an item
weighing the more the more often those children reach it than others do (judging/alike.py). `none`:
nobody is scored; records are looked up, written and shared.

A *mark* in this file (`at`) is in the method's own terms: points, items, a probability, a likeness.
While a learned model makes the list, marks in points, items and likeness still apply to those, and
the model only says who comes first; a formula's marks then apply to the model's calibrated
probability. A type's score is always the method's.
"""


class Difficulty(Part):
    """A type of difficulty (困難の類型) children are judged for apart from the others.

    `at`: from this score on the type is reached; None where the list's picks alone decide.
    """

    id: str
    label: str
    label_en: str
    at: float | None = None


class Sibling(Part):
    """A child with a sibling (same 世帯番号) of at least `at` gets `points` more, once.

    The sibling's own score counts, without what it gets from others; whatever its school; never
    that of a child whose family refuses. The points are of no type.
    """

    at: float
    points: float = Field(gt=0)


class Condition(Part):
    """Children for whom something holds: an item on record, or what adults did already.

    `now`: on record within the item's own freshness; `ever`: at any time before. On record is any
    amount of a count or flag but 0, and any value of a measure. `supported`: by the list's
    `supported_days`; `judged`: within as many days a meeting decided on the child, whatever it
    decided.
    """

    item: str = ""
    state: Literal["now", "ever"] = "now"
    supported: bool = False
    judged: bool = False
    label: str
    label_en: str

    @model_validator(mode="after")
    def _one(self) -> Condition:
        if bool(self.item) + self.supported + self.judged != 1:
            raise ValueError("a condition needs either 'item', 'supported' or 'judged'")
        return self


class Judgement(Part):
    """How a score comes about until a learned model has earned the list, and always beside it.

    `similar_to`: whose likeness counts in `similarity`.
    """

    method: Method = "points"
    intercept: float = Field(default=0.0, description="Of the formula; log-odds.")
    sibling: Sibling | None = None
    similar_to: Condition | None = None

    @model_validator(mode="after")
    def _fits_its_method(self) -> Judgement:
        if (self.method == "similarity") != (self.similar_to is not None):
            raise ValueError("similarity, and only similarity, needs 'similar_to'")
        if self.sibling is not None and self.method not in ("points", "count"):
            raise ValueError("a sibling's points need method 'points' or 'count'")
        if self.intercept and self.method != "formula":
            raise ValueError("only a formula has an intercept")
        return self


class Reached(Part):
    """An item is reached: its sum or mean over `window_days` is `at` or worse."""

    id: str
    at: float
    window_days: int = Field(ge=1, le=CENTURY, default=28)


class Second(Part):
    """A second screening: of those picked, only children who reach `least` of the items stay.

    Siblings who come for a listed child's sake are not screened.
    """

    least: int = Field(ge=1)
    items: tuple[Reached, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _can_be_passed(self) -> Second:
        if self.least > len(self.items):
            raise ValueError("asks for more items than it names")
        return self


class Pick(Part):
    """One way onto the list; whoever any of them picks is a candidate.

    `top`: the `n` highest scores. `top_share`: the highest `share`, rounded up. `at_least`: a score
    of `at` or more. `type`: a type of difficulty that is reached. `items`: `n` or more items
    reached. `top_items`: the `n` with the most items reached, at least one; ties by score.
    `siblings`: siblings of those the others brought onto the list, whatever their own score. `top`
    and `top_share` never take a score of nothing (0 points, items or likeness).

    `each`: of the whole scope, of each grade (学年 stands for age), or by each type's own score.
    `grades`: only children of these grades, ends included; 1-9 at school, 0 and below before it
    (0: the year before school). A share is of those ranked within `grades`, and of each grade.
    `of`: all items, the basic ones (基本連携データ項目), or the others. `unless`: not whom these
    picks of the same list have already taken (Beppu's "10 more"), screened out or not.

    Ties go by student key. Siblings take places after those of their kind who were picked
    themselves, in the order of whom they came with, and only beside a child that has a place.
    """

    id: str
    by: Literal["top", "top_share", "at_least", "type", "items", "top_items", "siblings"]
    n: int | None = Field(default=None, ge=1)
    share: float | None = Field(default=None, gt=0, le=1)
    at: float | None = None
    of: Literal["all", "basic", "other"] = "all"
    each: Literal["scope", "grade", "type"] = "scope"
    grades: tuple[int, int] | None = None
    unless: tuple[str, ...] = ()
    label: str
    label_en: str

    @model_validator(mode="after")
    def _has_its_number(self) -> Pick:
        needs = {
            "top": ("n",), "top_share": ("share",), "at_least": ("at",), "items": ("n",),
            "top_items": ("n",),
        }  # fmt: skip
        for name in ("n", "share", "at"):
            wanted = name in needs.get(self.by, ())
            if wanted == (getattr(self, name) is None):
                raise ValueError(
                    f"pick '{self.id}': '{self.by}' "
                    + (f"needs '{name}'" if wanted else f"does not take '{name}'")
                )
        if self.by in ("siblings", "type", "items", "top_items") and self.each != "scope":
            raise ValueError(f"pick '{self.id}': '{self.by}' does not take 'each'")
        if self.by == "siblings" and self.unless:
            raise ValueError(f"pick '{self.id}': siblings are of whom all the others picked")
        if self.of != "all" and self.by not in ("items", "top_items"):
            raise ValueError(f"pick '{self.id}': '{self.by}' does not take 'of'")
        return self


class Band(Part):
    """A level (レベル): children from this score on, or the first `share` of the scope.

    The share is of those ranked, rounded up, and takes no score of nothing.
    """

    id: str
    label: str
    label_en: str
    at: float | None = None
    share: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _one_mark(self) -> Band:
        if (self.at is None) == (self.share is None):
            raise ValueError(f"band '{self.id}' needs either 'at' or 'share'")
        return self


class Bands(Part):
    """Levels, the worst first; a letter means nothing without the scheme's name. No two have one
    mark: nobody could have the second.

    Whoever fits no band has the last one, which therefore should be the mildest. `each`: a child
    has one level by its score, or one in every type of difficulty by that type's own; the child's
    is then the worst of them.
    """

    scheme: str
    scheme_label: str
    scheme_label_en: str
    levels: tuple[Band, ...] = Field(min_length=2)
    each: Literal["scope", "type"] = "scope"

    @model_validator(mode="after")
    def _falling(self) -> Bands:
        if len({band.id for band in self.levels}) != len(self.levels):
            raise ValueError("two bands have one id")
        marks = [band.at for band in self.levels if band.at is not None]
        if marks != sorted(set(marks), reverse=True):
            raise ValueError("bands stand from the worst to the mildest, each at its own mark")
        shares = [band.share for band in self.levels if band.share is not None]
        if shares != sorted(set(shares)):
            raise ValueError("shares are counted from the top and grow from band to band")
        return self


Cadence = Literal[
    "every_school_day", "first_school_day_of_week", "first_school_day_of_month", "none"
]


class ListRule(Part):
    """When lists are made, who is picked from whom, and how long they may be.

    The budget is what people can look at: `budget_share` of those ranked, at least `budget_least`,
    or exactly `budget_places`; with neither, everybody picked is listed. Without `picks` the
    highest scores fill the budget. A budget is never exceeded, by siblings neither. With the scope
    "board" there is one choice and one budget for the whole board, and each school gets its part.

    Ranked is who is on the roll, not inside an outcome that is known, not refused, and not left
    out. Picks name candidates; the second screening drops some; then places are given: others
    before `later`, with `new_first` the children without current support before the supported, then
    by score, then by student key. With `spread` the schools and nurseries take turns, each with its
    next child in that order: none has a second place before every one with candidates had a first.
    """

    cadence: Cadence
    months: tuple[int, ...] = Field(
        default=(), description="Only in these months of the calendar (4: April); none: in all."
    )
    hour: int = Field(ge=0, le=23, default=7)
    scope: Literal["school", "board"] = "school"
    budget_share: float | None = Field(default=None, gt=0, le=1)
    budget_least: int = Field(default=1, ge=1, description="A small school gets at least so many.")
    budget_places: int | None = Field(default=None, ge=1)
    new_first: bool = Field(
        default=True, description="Children without current support take places first."
    )
    spread: bool = Field(
        default=False, description="Places of a board-wide list go round its institutions."
    )
    supported_days: int = Field(
        default=60, ge=1, le=CENTURY,
        description="A follow-up within so many days counts as already supported.",
    )  # fmt: skip
    picks: tuple[Pick, ...] = ()
    second: Second | None = None
    leave_out: tuple[Condition, ...] = Field(
        default=(), description="Not ranked and never listed; siblings still count them."
    )
    later: tuple[Condition, ...] = Field(
        default=(), description="Come after all others, whatever their score."
    )

    @model_validator(mode="after")
    def _can_be_made(self) -> ListRule:
        if self.budget_share is not None and self.budget_places is not None:
            raise ValueError("a budget is either 'budget_share' or 'budget_places'")
        unlimited = self.budget_share is None and self.budget_places is None
        if self.cadence != "none" and not self.picks and unlimited:
            raise ValueError("a list needs 'picks' or a budget")
        if self.cadence == "none" and (self.picks or self.second or self.months):
            raise ValueError("no list is made: 'picks', 'second' and 'months' mean nothing")
        if any(not 1 <= month <= 12 for month in self.months):
            raise ValueError("months are 1 to 12")
        if self.spread and (self.scope != "board" or not self.picks):
            raise ValueError("'spread' needs the scope 'board' and 'picks'")
        if self.picks and all(pick.by == "siblings" for pick in self.picks):
            raise ValueError("'siblings' alone pick nobody: siblings of whom?")
        ids = [pick.id for pick in self.picks]
        if len(set(ids)) != len(ids):
            raise ValueError("two picks have one id")
        for at, pick in enumerate(self.picks):
            if unknown := set(pick.unless) - set(ids[:at]):
                raise ValueError(f"pick '{pick.id}': 'unless' names no earlier {sorted(unknown)}")
            if any(one.by == "siblings" and one.id in pick.unless for one in self.picks):
                raise ValueError(f"pick '{pick.id}': 'unless' cannot name siblings, they come last")
        return self
