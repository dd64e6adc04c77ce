"""Numbers are changed where they stand in the file; nothing else of the file is touched."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from tests.playbooks_checking.test_checking import SMALL
from warning_service.playbooks.editing import changed, number_in, numbers
from warning_service.playbooks.model import parse

SHIPPED = sorted(Path(str(files("warning_service.playbooks"))).glob("shipped/*.toml"))


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("3", "3"), (" 0.050 ", "0.05"), ("0.3", "0.3"), ("-007", "-7"), ("1,200", "1200"),
        ("1e9", None), ("0x10", None), ("", None), ("3\nid = 1", None), ("nan", None), (".5", None),
        ("9" * 10, None),
    ],
)  # fmt: skip
def test_what_is_typed_is_a_number_or_nothing(typed: str, read: str | None) -> None:
    assert number_in(typed) == read


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_number_can_be_changed_and_only_it_changes(file: Path) -> None:
    text = file.read_text("utf-8")
    playbook = parse(text)
    held = list(numbers(playbook))
    for number in held[:: max(1, len(held) // 6)]:
        assert number.value is not None
        share = number.name in ("budget_share", "share")
        value = "0.35" if share else f"{int(number.value) + 1}"
        new = changed(text, {number.path: value})
        after = {one.path: one.value for one in numbers(parse(new))}
        before = {one.path: one.value for one in held}
        assert after == before | {number.path: float(value)}
        # Every line that was there is there still, but for the one the number stands in.
        assert len(set(text.split("\n")) - set(new.split("\n"))) <= 1


def test_all_at_once_and_numbers_the_file_leaves_out() -> None:
    text = SMALL.replace("points = 2\nat = 2\n", "").replace(
        'id = "q.mood"', 'id = "q.mood"  # how are you'
    )
    playbook = parse(text)
    new = {number.path: "7" for number in numbers(playbook) if number.part == "item"}
    new["list", "budget_share"] = "0.5"
    made = parse(changed(text, new))
    assert {(i.points, i.at, i.window_days) for i in made.items} == {(7.0, 7.0, 7)}
    assert made.list.budget_share == 0.5
    assert "# how are you" in changed(text, new)
    inline = SMALL.replace('[[items]]\nid = "q.mood"\npoints = 2\nat = 2\n', "").replace(
        '[[items]]\nid = "absent_days"\npoints = 3\nat = 3\n', ""
    )
    inline = inline.replace(
        "[outcome]", 'items = [ { id = "absent_days", points = 3 } ]\n[outcome]'
    )
    [item] = parse(changed(inline, {("items", 0, "at"): "4", ("items", 0, "points"): "2"})).items
    assert (item.points, item.at) == (2.0, 4.0)
    with pytest.raises(KeyError):
        changed(text, {("nowhere", "at"): "1"})
