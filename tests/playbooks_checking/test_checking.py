"""A playbook's errors are all named at once, each with its line, its field and plain words."""

from __future__ import annotations

import ast
import random
import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from warning_service.access.roles import Role
from warning_service.playbooks.checking import check as checking
from warning_service.playbooks.checking import words as checking_words
from warning_service.playbooks.checking.check import Checked, check
from warning_service.playbooks.checking.odd import DUTIES
from warning_service.playbooks.checking.positions import places_of
from warning_service.playbooks.model import Playbook, load_file, parse, shipped_text
from warning_service.playbooks.reading import MOST_TEXT

FOLDER = Path(str(files("warning_service.playbooks")))
SHIPPED = sorted(FOLDER.glob("shipped/*.toml"))

SMALL = """\
id = "small"
version = 1
name = "小さな町"
name_en = "A small town"
source = "test"
questionnaires = ["kokoro_daily"]

[outcome]
id = "futoko"
label = "不登校"
label_en = "Non-attendance"
item = "absent_days"
threshold = 30
horizon_days = 84

[[items]]
id = "absent_days"
points = 3
at = 3
[[items]]
id = "q.mood"
points = 2
at = 2

[list]
cadence = "first_school_day_of_month"
budget_share = 0.1
new_first = true
supported_days = 60

[review]
scheme = "small.meeting"
scheme_label = "会議の区分"
scheme_label_en = "Classes of the meeting"
supports = ["A"]
classes = [
    { id = "A", label = "支援する", label_en = "Support" },
    { id = "B", label = "みまもる", label_en = "Watch" },
]
"""


def line_of(text: str, part: str) -> int:
    """The line on which a part stands, counted by hand."""
    return text[: text.index(part)].count("\n") + 1


def told(found: Checked) -> list[tuple[int | None, str]]:
    return [(one.line, one.field) for one in found.errors]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_what_ships_has_no_errors_and_every_place_is_found(file: Path) -> None:
    text = file.read_text("utf-8")
    found = check(text)
    assert found.errors == ()
    assert found.playbook == parse(text)
    assert set(places_of(text).spans) == set(_paths(tomllib.loads(text)))


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for key, inner in enumerate(value):
            yield from _paths(inner, (*path, key))


def test_places_in_toml_that_is_written_oddly() -> None:
    text = (
        '# a comment with = and [\n"a b" = """\none \\""" [x]\n"""\n'
        "c.d = { e = [1, # two\n  { f = '\\' }], 'g' = \"]}#\" } # end\r\n"
        "[[h.i]]\nj = 1979-05-27 07:32:00\n[h.i.k]\nl=''''\n'''\n[[h.i]]\n[h.i.k]\nl = 2\n"
    )
    places = places_of(text)
    assert set(places.spans) == set(_paths(tomllib.loads(text)))
    assert places.line(("c", "d", "e", 1, "f")) == 6
    assert places.line(("h", "i", 1, "k", "l")) == 14
    began, end = places.spans["h", "i", 0, "j"][1:]
    assert text[began:end] == "1979-05-27 07:32:00"


def test_all_errors_are_named_at_once_with_line_and_field() -> None:
    text = (
        SMALL.replace("points = 3", "point = 3")
        .replace("budget_share = 0.1", 'budget_share = "much"')
        .replace('item = "absent_days"\nthreshold', 'item = "absences"\nthreshold')
        .replace('"kokoro_daily"', '"kokoro_dialy"')
        .replace('supports = ["A"]', 'supports = ["C"]')
        .replace('source = "test"\n', "")
        + '[[meetings]]\nid = "second"\nafter = "first"\ntakes = ["A"]\nscheme = "small.meeting"\n'
        'scheme_label = "x"\nscheme_label_en = "x"\nclasses = []\n'
    )
    found = check(text)
    assert found.playbook is None
    assert told(found) == [
        (1, "source"),
        (line_of(text, '"kokoro_dialy"'), "questionnaires[1]"),
        (line_of(text, 'item = "absences"'), "outcome.item"),
        (line_of(text, "point = 3"), "items[absent_days].point"),
        (line_of(text, "budget_share"), "list.budget_share"),
        (line_of(text, "[review]"), "review"),
        (line_of(text, "classes = []"), "meetings[second].classes"),
    ]
    en = {one.field: one.en for one in found.errors}
    ja = {one.field: one.ja for one in found.errors}
    assert "did you mean points?" in en["items[absent_days].point"]
    assert "数で書きます" in ja["list.budget_share"]
    assert "必要な項目がありません" in ja["source"]


BETWEEN = {
    "an item twice": ('id = "q.mood"', 'id = "absent_days"', 'id = "absent_days"\npoints = 2'),
    "an unknown item": ('id = "q.mood"', 'id = "moood"', 'id = "moood"'),
    "an unknown type": ("points = 2", 'points = 2\ntypes = ["abuse"]', "types = "),
    "a coefficient": ("points = 2", "coefficient = 1.0", "coefficient"),
    "a condition's item": (
        "supported_days = 60",
        'supported_days = 60\nleave_out = [{ item = "youtaikyo_case", label = "x", '
        'label_en = "x" }]',
        "leave_out",
    ),
    "a second screening": (
        "supported_days = 60",
        'supported_days = 60\n[list.second]\nleast = 1\n[[list.second.items]]\nid = "late_days"\n'
        "at = 3",
        'id = "late_days"',
    ),
    "a list without judging": (
        "[review]",
        '[judgement]\nmethod = "none"\n[review]',
        'cadence = "first',
    ),
    "a pick by type": (
        "[review]",
        '[[list.picks]]\nid = "t"\nby = "type"\nlabel = "x"\nlabel_en = "x"\n[review]',
        "[[list.picks]]",
    ),
    "a meeting after none": (
        "[review]",
        '[[meetings]]\nid = "b"\nafter = "x"\ntakes = ["A"]\nscheme = "y"\nscheme_label = "x"\n'
        'scheme_label_en = "x"\nclasses = [{ id = "A", label = "a", label_en = "a" }, '
        '{ id = "B", label = "b", label_en = "b" }]\n[review]',
        'after = "x"',
    ),
    "an action": ("[review]", '[follow_up]\nbetter = ["well"]\n[review]', '"well"'),
    "a shared item": ("[review]", '[sharing]\nschool_sees = ["x"]\n[review]', '"x"'),
    "a resource's direction": (
        "[review]",
        '[[resources]]\nid = "r"\nlabel = "x"\nlabel_en = "x"\nabout = "x"\nabout_en = "x"\n'
        'directions = ["z"]\n[review]',
        'directions = ["z"]',
    ),
    "a sheet's item": (
        "[review]",
        '[[sheets]]\nid = "s"\nlabel = "x"\nlabel_en = "x"\n[[sheets.sections]]\nid = "a"\n'
        'label = "x"\nlabel_en = "x"\nfilled_by = "school"\n[[sheets.sections.fields]]\nid = "f"\n'
        'label = "x"\nlabel_en = "x"\nitem = "zzz"\n[review]',
        'item = "zzz"',
    ),
}


@pytest.mark.parametrize("case", BETWEEN, ids=lambda case: case.replace(" ", "_"))
def test_rules_between_parts_are_named_at_their_line(case: str) -> None:
    old, new, at = BETWEEN[case]
    text = SMALL.replace(old, new)
    assert text != SMALL
    found = check(text)
    assert line_of(text, at) in {one.line for one in found.errors}
    for one in found.errors:
        assert one.ja != one.en, one.en
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_one_mistake_does_not_hide_another_of_the_same_kind() -> None:
    text = SMALL.replace('"q.mood"', '"moood"').replace('"absent_days"\npoints', '"absnt"\npoints')
    found = check(text)
    assert told(found) == [(line_of(text, '"absnt"'), "items[absnt].id"),
                           (line_of(text, '"moood"'), "items[moood].id")]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "column", "ja"),
    [
        ('id = "a"\nversion = \n', 2, 11, "読めません"),
        ('id = "a"\nid = "b"\n', 2, 9, "二度"),
        ('id = "a"\nname = "b', 2, 10, '閉じる "'),
        ("[list\n", 1, 6, "閉じる ]"),
        ("id = 1\x00", 1, 7, "一行に"),
    ],
)
def test_grammar_has_line_and_column(text: str, line: int, column: int, ja: str) -> None:
    [one] = check(text).errors
    assert (one.line, one.column) == (line, column)
    assert ja in one.ja


def test_a_text_that_is_no_playbook_is_refused_not_worked_on() -> None:
    assert len(check("").errors) >= 5
    assert {one.line for one in check("").errors} == {1}


@pytest.mark.parametrize(
    ("text", "ja"),
    [
        ("#" * (MOST_TEXT + 1), "長すぎ"),
        ("a = " + "[" * 3000 + "]" * 3000, "入れ子"),
        ("a = " + "[" * 100 + "]" * 100, "入れ子"),
        # Both cost the reader memory by the square: at the page's longest text, gigabytes.
        ("a." * 20_000 + "a = 1", "入れ子"),
        ("a = " + "".join("[{" + "a." * 150 + "a = [\n" for _ in range(150)), "TOML"),
        # More than Python writes as decimal digits: nothing could show such a version again.
        (SMALL.replace("version = 1", "version = " + "9" * 5000), "15桁"),
        (SMALL.replace("version = 1", "version = 0x" + "f" * 5000), "15桁"),
        (SMALL.replace("version = 1", "version = 9999999999999999"), "15桁"),
        (SMALL.replace("budget_share = 0.1", "budget_share = 1e300"), "15桁"),
    ],
    ids=(
        "long", "arrays", "fewer_arrays", "dots", "dots_and_arrays", "digits", "hexadecimal",
        "sixteen", "float",
    ),
)  # fmt: skip
def test_a_text_that_would_cost_the_process_its_memory_is_an_error(text: str, ja: str) -> None:
    [one] = check(text).errors
    assert ja in one.ja or ja in one.field
    assert one.line is not None
    with pytest.raises(ValueError):
        parse(text)
    assert check("# " + "." * 300 + "\n" + SMALL).playbook is not None


_DIRECTION = '{ id = "a", label = "x", label_en = "x" }'


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("points = 3", "points = nan", "items[absent_days].points"),
        ("points = 3", "points = inf", "items[absent_days].points"),
        ("at = 3", "at = nan", "items[absent_days].at"),
        ("points = 3", 'points = "3"', "items[absent_days].points"),
        ("version = 1", "version = true", "version"),
        ("version = 1", 'version = "1"', "version"),
        ("new_first = true", 'new_first = "no"', "list.new_first"),
        ('label = "', 'label = " "#', "outcome.label"),
        ('["kokoro_daily"]', '["kokoro_daily", "kokoro_daily"]', "questionnaires[2]"),
        (
            "[outcome]",
            'types = [{ id = "a", label = "x", label_en = "x" }, '
            '{ id = "a", label = "y", label_en = "y" }]\n[outcome]',
            "types[a].id",
        ),
        (
            "[review]",
            f"[follow_up]\nactions = [{_DIRECTION}, {_DIRECTION}]\nsupport_actions = []\n[review]",
            "follow_up",
        ),
        ("[review]", f"[sharing]\nbases = [{_DIRECTION}, {_DIRECTION}]\n[review]", "sharing"),
        ("[review]", f"[review]\ndirections = [{_DIRECTION}, {_DIRECTION}]", "review"),
        (
            "[review]",
            '[bands]\nscheme = "small.meeting"\nscheme_label = "x"\nscheme_label_en = "x"\n'
            'levels = [{ id = "A", label = "x", label_en = "x", at = 3 }, '
            '{ id = "B", label = "x", label_en = "x", at = 1 }]\n[review]',
            "bands.scheme",
        ),
        (
            "[review]",
            '[bands]\nscheme = "b"\nscheme_label = "x"\nscheme_label_en = "x"\n'
            'levels = [{ id = "A", label = "x", label_en = "x", at = 3 }, '
            '{ id = "B", label = "x", label_en = "x", at = 3 }]\n[review]',
            "bands",
        ),
    ],
)
def test_what_would_be_taken_for_something_else_is_refused(old: str, new: str, field: str) -> None:
    """A number in quotes, a score no order has a place for, two choices nobody could tell apart."""
    text = SMALL.replace(old, new, 1)
    assert text != SMALL
    [one] = check(text).errors
    assert one.field == field
    assert one.line is not None and one.ja != one.en
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_a_list_whose_elements_are_wrong_is_not_called_empty() -> None:
    text = re.sub(r"(?s)classes = \[.*\]", 'classes = ["A", "B"]', SMALL, count=1)
    assert [one.field for one in check(text).errors] == ["review.classes[1]", "review.classes[2]"]
    assert all("{ … }" in one.ja for one in check(text).errors)
    short = re.sub(r"(?s)classes = \[.*\]", "classes = []", SMALL, count=1)
    assert [one.field for one in check(short).errors] == ["review.classes"]


def test_a_mark_before_the_text_that_nobody_sees_is_passed_over(tmp_path: Path) -> None:
    """Some editors put it there (BOM); the board sees nothing wrong with its file."""
    assert check("\ufeff" + SMALL) == check(SMALL)
    file = tmp_path / "small.toml"
    file.write_text(SMALL, "utf-8-sig")
    assert load_file(file) == parse(SMALL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"minutes = 10\b", "minutes = 99999999999999"),
        (r"minutes = 10\b", "school_days = 99999999"),
        (r"record_urgent = \d+", "record_urgent = 99999999999999"),
        (r"close_days = \d+", "close_days = 99999999"),
        (r"horizon_days = \d+", "horizon_days = 99999999"),
        (r"supported_days = \d+", "supported_days = 99999999"),
    ],
)
def test_no_deadline_lies_beyond_the_calendar(old: str, new: str) -> None:
    """It could not be reckoned: a call for help would raise no alert at all."""
    text, changed = re.subn(old, new, shipped_text("nishinomiya"), count=1)
    assert changed == 1
    [one] = check(text).errors
    assert "以下" in one.ja
    assert one.line is not None


def test_checking_and_loading_agree_on_thousands_of_slips() -> None:
    """Whatever is done to a file: what the check lets through loads, what it refuses does not."""
    dice = random.Random(11)
    texts = [SMALL, *(file.read_text("utf-8") for file in SHIPPED[:3])]
    refused = 0
    for number in range(220):
        text = _slip(dice, texts[0 if number % 4 else dice.randrange(len(texts))])
        found = check(text)
        try:
            loaded = parse(text)
        except (ValueError, RecursionError):
            refused += 1
            assert found.playbook is None, text
        else:
            # One thing more than loading asks for: a questionnaire that judging would look for.
            assert found.playbook == loaded or all("調査" in one.ja for one in found.errors), text
        for one in found.problems:
            assert one.line is None or 1 <= one.line <= text.count("\n") + 1
    assert 60 < refused < 200


def _slip(dice: random.Random, text: str) -> str:
    lines = text.split("\n")
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(lines))
        kind = dice.randrange(5)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines[at] = re.sub(r"\d+", lambda m: str(int(m.group()) * -3 + 1), lines[at])
        elif kind == 2:
            lines[at] = re.sub(r'"([^"]*)"', '"zz"', lines[at], count=1)
        elif kind == 3:
            lines.insert(at, lines[dice.randrange(len(lines))])
        else:
            lines[at] = lines[at][: dice.randrange(len(lines[at]) + 1)]
    return "\n".join(lines)


ODD = {
    "a duty nobody has": (
        '[[escalation.urgent]]\nduties = ["nurze"]\nminutes = 5\n',
        "escalation.urgent[1].duties[1]",
        "did you mean nurse?",
    ),
    "more than a day": (
        '[[escalation.urgent]]\nduties = ["nurse"]\nminutes = 1500\n',
        "escalation.urgent[1].minutes",
        "more than a day away",
    ),
    "a question nobody asks": (
        '[[items]]\nid = "q.moood"\npoints = 1\n',
        "items[q.moood].id",
        "did you mean mood?",
    ),
    "a pick out of reach": (
        '[[list.picks]]\nid = "p"\nby = "at_least"\nat = 6\nlabel = "x"\nlabel_en = "x"\n',
        "list.picks[p].at",
        "the highest score is 5",
    ),
    "a count out of reach": (
        '[[list.picks]]\nid = "p"\nby = "items"\nn = 3\nlabel = "x"\nlabel_en = "x"\n',
        "list.picks[p].n",
        "there are 2 such items",
    ),
    "no points": ('[[items]]\nid = "late_days"\n', "items[late_days]", "no points"),
    "an answer out of reach": (
        '[[items]]\nid = "q.sleep"\npoints = 1\nat = 9\n',
        "items[q.sleep].at",
        "no answer is that high",
    ),
}


@pytest.mark.parametrize("case", ODD, ids=lambda case: case.replace(" ", "_"))
def test_what_is_odd_is_a_warning_with_its_line(case: str) -> None:
    added, field, said = ODD[case]
    text = SMALL + added
    found = check(text)
    assert found.playbook is not None
    [one] = [one for one in found.warnings if one.field == field]
    assert said in one.en
    assert one.line is not None
    assert one.line > SMALL.count("\n")
    assert field not in {one.field for one in check(SMALL).warnings}


def test_the_version_is_to_be_raised_when_something_changes() -> None:
    now = parse(SMALL)
    changed = SMALL.replace("budget_share = 0.1", "budget_share = 0.2")
    assert [one.field for one in check(changed, now).warnings] == ["version"]
    raised = changed.replace("version = 1", "version = 2")
    assert check(raised, now).warnings == check(SMALL, now).warnings == ()
    other = raised.replace('id = "small"', 'id = "smaller"')
    assert [one.field for one in check(other, now).warnings] == ["id"]


def test_the_duties_that_can_be_held_are_those_of_the_roles() -> None:
    assert set(Role) - {Role.CHILD} == DUTIES


def test_every_rule_of_the_format_has_its_japanese() -> None:
    """Each sentence in this folder's code that a broken rule says, with anything put into it."""
    sentences = set()
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            said = node.exc if isinstance(node, ast.Raise) else None
            if isinstance(said, ast.Call) and ast.unparse(said.func) == "ValueError":
                sentences |= set(_filled(said.args[0]))
    assert len(sentences) > 40
    for sentence in sorted(sentences):
        assert checking_words.of_rule(sentence) is not None, sentence


def _filled(node: ast.expr) -> list[str]:
    """The sentences an expression can give, with "x" where something is put in."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        parts = [[str(v.value)] if isinstance(v, ast.Constant) else ["x"] for v in node.values]
        return ["".join(part[0] for part in parts)]
    if isinstance(node, ast.IfExp):
        return [*_filled(node.body), *_filled(node.orelse)]
    if isinstance(node, ast.BinOp):
        return [a + b for a in _filled(node.left) for b in _filled(node.right)]
    raise AssertionError(ast.unparse(node))


def test_fields_are_known_at_every_depth() -> None:
    assert set(checking._fields_at(("list", "picks", 0))) >= {"by", "n", "share"}
    assert set(checking._fields_at(("list", "second"))) >= {"least", "items"}
    assert set(Playbook.model_fields) == set(checking._fields_at(()))
