"""Dots stand where their shares are, in the order of the shares, and inside their chart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from design.plots import LEFT, SIDE, TOP, WHISKER_LEFT, WHISKER_WIDTH, rows, square

SHARE = st.floats(0, 1, allow_nan=False)
INTERVAL = st.tuples(SHARE, SHARE, SHARE).map(sorted)


@given(st.lists(st.tuples(SHARE, INTERVAL), min_size=1, max_size=8))
def test_a_calibration_plot_keeps_order_and_stays_in_its_square(
    found: list[tuple[float, list[float]]],
) -> None:
    plot = square([(stated, middle, low, high) for stated, (low, middle, high) in found])
    for (stated, (_, happened, _)), dot in zip(found, plot.dots, strict=True):
        assert LEFT <= dot.x <= LEFT + SIDE
        assert TOP <= dot.high <= dot.y <= dot.low <= TOP + SIDE  # up is more
        # What came as stated stands on the even line: as far to the right as up.
        across, up = dot.x - LEFT, TOP + SIDE - dot.y
        assert (across >= up - 0.2) if stated >= happened else (across <= up + 0.2)
    assert plot.across[0].percent == 0 and plot.up[0].at == TOP + SIDE


@given(st.lists(st.none() | INTERVAL, min_size=1, max_size=8), st.none() | SHARE)
def test_whiskers_hold_their_dot_and_nothing_is_drawn_of_nothing(
    found: list[list[float] | None], base: float | None
) -> None:
    plot = rows([None if one is None else (one[1], one[0], one[2]) for one in found], [base])
    assert len(plot.dots) == len(plot.marks) == len(found)
    for one, dot in zip(found, plot.dots, strict=True):
        assert (dot is None) == (one is None)
        if dot is not None:
            assert WHISKER_LEFT <= dot.low <= dot.x <= dot.high <= WHISKER_LEFT + WHISKER_WIDTH
    assert (plot.marks[0] is None) == (base is None)
    assert [tick.percent for tick in plot.ticks] == sorted({tick.percent for tick in plot.ticks})


def test_a_quarter_of_the_axis_is_half_its_length() -> None:
    plot = rows([(0.1, 0.1, 0.4)])
    assert plot.dots[0] is not None
    assert plot.dots[0].high == WHISKER_LEFT + WHISKER_WIDTH
    assert plot.dots[0].x == WHISKER_LEFT + WHISKER_WIDTH / 2
