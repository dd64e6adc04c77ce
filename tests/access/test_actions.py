"""Every action the source can put on the trail has words; a new one without them fails here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from warning_service.access.trail.actions import actions, of_kind, told, words
from warning_service.access.trail.audit import REFUSED

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("warning_service", "teacher_portal", "student_checkin", "connectors", "demo")

# Methods that write to the trail (or hand an action on to one that does), and at which place among
# their arguments the action stands. A call with another number of arguments is somebody else's.
WRITERS = {
    "note": (1, 3), "look": (1, 3), "by": (1, 3), "_look": (2, 4), "_note": (2, 4), "write": (2, 4),
    "line": (1, 3), "line_by": (1, 3), "_replace": (3, 4),
    "_by_hand": (2, 4),
}  # fmt: skip
NAMED = ("why", "action")


def spoken(node: ast.expr | None, names: dict[str, set[str]]) -> Iterator[str]:
    """The constants an expression can come to; f-strings as far as their names are known."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from spoken(body, names)
            yield from spoken(orelse, names)
        case ast.BinOp(left=left, right=right, op=ast.Add()):
            for a in spoken(left, names):
                yield from (a + b for b in spoken(right, names))
        case ast.JoinedStr(values=parts):
            yield "".join(p.value if isinstance(p, ast.Constant) else "*" for p in parts)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield from names.get(name, ())
        case _:
            return


def written(text: str, constants: dict[str, set[str]]) -> Iterator[tuple[int, str]]:
    """(line, action) of everything in a module that goes to the trail."""
    tree = ast.parse(text)
    names = dict(constants)
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                    names[target.id] = {node.value.value}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        for keyword in node.keywords:
            if keyword.arg in NAMED and _is_ours(node):
                yield from ((node.lineno, one) for one in spoken(keyword.value, names))
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        if "identities." in ast.unparse(node.func):
            continue  # notes whose account it is, and puts that on the trail by itself
        first, least = WRITERS.get(name, (0, 0))
        if least and len(node.args) + len(node.keywords) >= least and len(node.args) > first:
            for one in spoken(node.args[first], names):
                yield node.lineno, one


def _is_ours(node: ast.Call) -> bool:
    """`why=` means the trail in calls that say `using=`, `action=` in `Look` or a new password."""
    said = {keyword.arg for keyword in node.keywords}
    return ("why" in said and not said & {"failed", "tries"}) or ast.unparse(node.func).endswith(
        ("Look", "passwords.change")
    )


def everything() -> Iterator[tuple[str, str]]:
    shared = {"REFUSED": {REFUSED}}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for line, action in written(path.read_text("utf-8"), shared):
                yield f"{path.relative_to(ROOT)}:{line}", action


def without_words(found: Iterator[tuple[str, str]]) -> list[str]:
    known = actions()
    missing = []
    for place, action in found:
        plain = action.removeprefix(REFUSED)
        if "*" in plain:
            begin = plain.split("*")[0]
            if begin and any(name.startswith(begin) for name in known):
                continue
        elif plain in known or not plain:
            continue
        missing.append(f"{place}: {action}")
    return missing


def test_every_action_in_the_source_has_words() -> None:
    found = list(everything())
    assert len(found) > 30  # it does see them
    seen = {action for _, action in found}
    assert {"student", "take_on", "trail_export", "signed_in", "set_password"} <= seen
    assert {"class_card_made", "factor_added", "request_approved"} <= seen
    assert without_words(iter(found)) == []


def test_one_without_words_would_be_seen() -> None:
    text = """
ACTION = "brand_new"
class Page:
    def show(self, rooms, who, kind):
        rooms.gateway.child(who, "x", using=1, why="quite_new")
        rooms.gateway.note(who, ACTION, ["x"])
        rooms.trail.by("a", "newer" if kind else "student", "x", board="b")
        rooms.trail.note(who, f"new_{kind}", ["x"])
        Look(board="b", actor="a", action="newest", subject="x")
        self._pause(owed, failed=True, why="not_ours", tries=1)
"""
    found = [(str(line), action) for line, action in written(text, {})]
    assert sorted(without_words(iter(found))) == [
        "5: quite_new", "6: brand_new", "7: newer", "8: new_*", "9: newest",
    ]  # fmt: skip


def test_what_a_family_may_read_of_has_a_sentence() -> None:
    for name, action in actions().items():
        assert bool(action.told_ja) == bool(action.told_en), name
        if action.kind in {"opened", "shown"}:
            assert action.told_ja, name
        assert not action.told_ja.endswith("。"), name
        assert action.kind != "numbers" or not action.told_ja, name


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_words_for_all(lang: str) -> None:
    assert len({words(name, lang) for name in actions()}) == len(actions())
    assert words("student", lang) in words("refused:student", lang)
    assert words("of_a_newer_version", lang) == "of_a_newer_version"
    assert told("of_a_newer_version", lang, "") == "of_a_newer_version"
    assert "LIST" in told("list", lang, "LIST")
    assert told("refused:student", lang, "") != told("student", lang, "")
    assert told("open_list", lang, "") == words("open_list", lang)


def test_kinds() -> None:
    assert {"student", "alert"} <= of_kind("opened")
    assert of_kind("opened", "shown") > of_kind("shown")
