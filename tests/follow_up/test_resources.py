"""Community resources: for whom and where they are shown, and what a file may not say of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.follow_up.staged import CONFERENCE, playbook

CLUB: dict[str, Any] = {
    "id": "club", "label": "{児童|じどう|4}クラブ", "label_en": "Club", "about": "放課後",
    "about_en": "After school", "contact": "市役所", "directions": ["home"], "grades": [1, 6],
}  # fmt: skip
LINE = {**CLUB, "id": "line", "shown": ["consultation"], "topics": ["friends"], "grades": None}


def test_what_fits_is_shown_and_nothing_else() -> None:
    club, line = playbook(resources=[CLUB, LINE]).resources
    assert club.fits(grade=6) and not club.fits(grade=7)
    assert club.fits(directions=["home"]) and not club.fits(directions=["medical"])
    assert not club.helps_with(["friends"], 4)  # for the meeting only
    assert line.helps_with(["friends", "study"], 9) and not line.helps_with(["study"], 4)
    assert line.english == ("市役所", "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"directions": ["nothing"]}, "unknown directions"),
        ({"topics": ["nothing"]}, "unknown topics"),
        ({"shown": ["consultation"], "contact": ""}, "needs a contact"),
        ({"grades": [6, 1]}, "from the lower"),
    ],
)
def test_a_resource_that_leads_nowhere_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        playbook(meetings=[CONFERENCE], resources=[{**CLUB, **change}])
