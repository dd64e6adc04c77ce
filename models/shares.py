"""Shares of a count and their ratio, each with how sure one can be of it.

Precision, recall, false-alarm and miss rates are all "so many of so many". The interval is Wilson's
score interval at 95 %, which stays between 0 and 1 and does not collapse at 0 of 20. A share of
nothing is None, never 0. What is counted, and what may be shown, is not decided here.
"""

from __future__ import annotations

import math

import msgspec

Z95 = 1.959964


def wilson(hits: float, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of `hits` of `n`; (0, 1) when nothing was counted.

    `hits` may be broken: a share counted over more rows than there are different children is put
    on the number of children (share times children), so that repeated rows make nobody surer.
    """
    if n == 0:
        return 0.0, 1.0
    share, z2 = hits / n, Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # The share itself is always inside; rounding must not say otherwise.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


class Share(msgspec.Struct, frozen=True):
    """`hits` of `of`."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval; (0, 1) of nothing."""
        return wilson(self.hits, self.of)


class Ratio(msgspec.Struct, frozen=True):
    """How many times; with its 95 % interval."""

    value: float
    low: float
    high: float


def lift(listed: Share, ranked: Share) -> Ratio | None:
    """How many times the base rate the listed children's rate is: precision / base rate.

    `listed` is a part of `ranked`. Interval: Katz's logarithmic one for the risk of the listed
    against the others (half a child added to each cell, so that a 0 has one too), turned into lift,
    which grows with it. None where it means nothing: no hit at all, nobody listed, or everybody.
    """
    others = Share(ranked.hits - listed.hits, ranked.of - listed.of)
    if not ranked.hits or not listed.of or not others.of:
        return None
    value = (listed.hits / listed.of) / (ranked.hits / ranked.of)
    log = math.log((listed.hits + 0.5) / (listed.of + 0.5)) - math.log(
        (others.hits + 0.5) / (others.of + 0.5)
    )
    spread = math.sqrt(
        1 / (listed.hits + 0.5) - 1 / (listed.of + 0.5)
        + 1 / (others.hits + 0.5) - 1 / (others.of + 0.5)
    )  # fmt: skip
    part = listed.of / ranked.of
    low, high = (
        risk / (part * risk + 1 - part)
        for risk in (math.exp(log - Z95 * spread), math.exp(log + Z95 * spread))
    )
    return Ratio(value, min(low, value), max(high, value))


def apart(one: Share, other: Share) -> tuple[float, float, float] | None:
    """(difference, low, high): one share minus another, Newcombe's interval from Wilson's two.

    None when either is of nothing. It holds 0 when the two cannot be told apart.
    """
    if one.value is None or other.value is None:
        return None
    (low1, high1), (low2, high2) = one.interval, other.interval
    found = one.value - other.value
    down = math.hypot(one.value - low1, high2 - other.value)
    up = math.hypot(high1 - one.value, other.value - low2)
    return found, found - down, found + up
