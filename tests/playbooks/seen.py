"""One generated city of a playbook's size, judged by the product and, apart from it, plainly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.playbooks.city import OLDEST, YOUNGEST, Grown, grow
from tests.playbooks.plain import Plain
from warning_service.judging.picking.arrays import choose
from warning_service.judging.setup import Setup, from_playbook
from warning_service.playbooks.model import shipped

SCHOOL = 1
"""The first grade of primary school."""

SIZES: dict[str, tuple[int, int, int]] = {
    # children, the youngest grade, schools and nurseries
    "nishinomiya": (85_173, SCHOOL, 62),
    "aizumisato": (2_395, SCHOOL, 5),
    "yamagata": (3_342, SCHOOL, 12),
    "takagi": (576, -2, 4),
    "fukuoka": (276_003, YOUNGEST, 1),
    "toyonaka": (72_154, YOUNGEST, 1),
    "hirakata": (64_875, YOUNGEST, 1),
    "takarazuka": (38_354, YOUNGEST, 1),
    "tsukuba": (52_576, YOUNGEST, 1),
    "izumi": (32_695, SCHOOL, 1),
    "beppu": (16_696, YOUNGEST, 1),
    "nobeoka": (18_543, YOUNGEST, 1),
    "yuki": (7_495, YOUNGEST, 1),
    "sado": (6_167, YOUNGEST, 1),
    "sado_2023": (6_167, YOUNGEST, 1),
    "fuchu_city": (4_710, YOUNGEST, 1),
    "fuchu_town": (9_742, YOUNGEST, 1),
    "kaisei": (3_563, YOUNGEST, 7),
    "lbbd": (68_936, YOUNGEST, 1),
    "child_link": (1_473_087, YOUNGEST, 1),
}
"""The twenty systems: children as SYSTEMS.md has them (of Takagi's 990, the 576 in scope)."""


@dataclass(frozen=True)
class Seen:
    """`listed`: children on all lists, in the order of schools and places. `picks`: by which."""

    grown: Grown
    setup: Setup
    plain: Plain
    listed: list[int]
    picks: dict[int, tuple[str, ...]]


def town(playbook: str) -> Grown:
    """The generated city of that playbook."""
    children, youngest, schools = SIZES[playbook]
    assert youngest <= OLDEST
    return grow(playbook, children, youngest=youngest, schools=schools)


def look(playbook: str) -> Seen:
    """The city, and whom the product lists there."""
    grown = town(playbook)
    setup = from_playbook(shipped(playbook))
    listed: list[int] = []
    picks: dict[int, tuple[str, ...]] = {}
    for rows, chosen in choose(setup, grown.city):
        mine = np.asarray(rows)[chosen.rows].tolist()
        listed += mine
        picks |= dict(zip(mine, chosen.picks, strict=True))
    assert len(set(listed)) == len(listed)
    return Seen(grown, setup, Plain(grown), listed, picks)
