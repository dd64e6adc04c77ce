"""What siblings show: only the others of the same home, in any order, never the child itself."""

from __future__ import annotations

from math import copysign, sqrt

from hypothesis import given
from hypothesis import strategies as st

from models.household import Shows, columns

ONE = st.builds(
    Shows,
    home=st.integers(-1, 4),
    points=st.floats(-20, 20, allow_nan=False, width=32),
    affected=st.booleans(),
)


@given(st.lists(ONE, max_size=14), st.lists(ONE, max_size=6))
def test_each_child_sees_the_others_of_its_home(children: list[Shows], away: list[Shows]) -> None:
    found = columns(children, away)
    assert found.shape == (len(children), 2)
    for at, one in enumerate(children):
        others = [o for n, o in enumerate([*children, *away]) if n != at and o.home == one.home]
        if one.home < 0 or not others:
            assert found[at].tolist() == [0.0, 0.0]
            continue
        most = max(o.points for o in others)
        assert found[at, 0] == min(3, sum(o.affected for o in others))
        assert found[at, 1] == copysign(sqrt(abs(most)), most) or most == 0 == found[at, 1]


@given(st.lists(ONE, min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_the_order_of_the_children_moves_nothing(children: list[Shows], dice: object) -> None:
    turn = list(range(len(children)))
    dice.shuffle(turn)  # type: ignore[attr-defined]
    straight, turned = columns(children), columns([children[at] for at in turn])
    assert [straight[at].tolist() for at in turn] == turned.tolist()


def test_a_number_given_to_many_families_by_mistake_costs_each_child_no_more() -> None:
    looked_at = 0

    class Counted(Shows):
        @property
        def points(self) -> float:  # type: ignore[override]
            nonlocal looked_at
            looked_at += 1
            return 1.0

    columns([Counted(0, 1.0, False) for _ in range(300)])
    assert looked_at <= 4 * 300
