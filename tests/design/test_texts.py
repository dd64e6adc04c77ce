"""Wording is in texts.toml, complete in both languages, and nowhere else."""

from __future__ import annotations

import re
import string
from types import SimpleNamespace

import pytest
from jinja2 import nodes

from design.charts import HEIGHT, WIDTH, spark
from design.render import environment, folder, texts

ROOMS = ("design", "teacher_portal")
TEMPLATES = sorted(path.name for room in ROOMS for path in folder(room, "templates").glob("*.html"))


def source(name: str) -> str:
    env = environment()
    assert env.loader is not None
    return env.loader.get_source(env, name)[0]


def keys_of(name: str) -> tuple[set[str], set[str]]:
    """(keys, beginnings of keys that are put together) that a template asks for."""
    whole: set[str] = set()
    begun: set[str] = set()
    for call in environment().parse(source(name)).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "t":
            for const in (
                call.args[0].find_all(nodes.Const)
                if not isinstance(call.args[0], nodes.Const)
                else [call.args[0]]
            ):
                if isinstance(const.value, str) and "." in const.value:
                    together = isinstance(call.args[0], nodes.Concat)
                    (begun if together else whole).add(const.value)
    return whole, begun


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_key_a_template_asks_for_exists(name: str) -> None:
    whole, begun = keys_of(name)
    known = texts()
    assert [key for key in whole if key not in known] == []
    assert [b for b in begun if not any(key.startswith(b) for key in known)] == []


def test_the_search_for_keys_sees_them() -> None:
    whole, begun = keys_of("portal_board.html")
    assert "portal.funnel" in whole and "portal.stage_" in begun
    assert "error.home" in keys_of("frame_error.html")[0]


def test_no_key_is_left_over() -> None:
    """Keys used by templates, by Python, or put together from a known beginning."""
    whole: set[str] = set()
    begun: set[str] = {"error."}  # named by warning_service/errors.py
    for name in TEMPLATES:
        found = keys_of(name)
        whole |= found[0]
        begun |= found[1]
    python = "".join(p.read_text("utf-8") for room in ROOMS for p in folder(room).glob("*.py"))
    begun |= set(re.findall(r'f"(portal\.[a-z_]+)\{', python))
    own = [key for key in texts() if key.split(".")[0] in {"portal", "parts", "frame", "error"}]
    spare = [
        key
        for key in own
        if key not in whole
        and f'"{key}"' not in python
        and f'"{key}"' not in "".join(source(name) for name in TEMPLATES)
        and not any(key.startswith(b) for b in begun)
    ]
    assert spare == []


def test_both_languages_take_the_same_values() -> None:
    def fields(text: str) -> set[str | None]:
        return {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}

    for key, words in texts().items():
        assert fields(words["ja"]) == fields(words["en"]), key
        assert words["ja"].strip() and words["en"].strip(), key


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_sentence_is_written_into_a_template(name: str) -> None:
    text = re.sub(r"\{#.*?#\}", "", source(name), flags=re.S)
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", text, flags=re.S)
    text = re.sub(r"<[^>]+>", " ", text)
    assert re.findall(r"[ぁ-んァ-ヶ一-龠]+", text) == []
    assert re.findall(r"[A-Za-z]{2,}\s+[A-Za-z]{2,}", text) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_template_needs_what_the_content_policy_forbids(name: str) -> None:
    text = source(name)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r"<script(?![^>]* src=)", text)
    assert not re.search(r"(src|href)=\"(https?:)?//", text)


def test_error_pages_have_words_for_every_error() -> None:
    from warning_service import errors

    for key in {*errors._KEYS.values(), "internal"}:
        assert f"error.{key}.title" in texts() and f"error.{key}.text" in texts()


def test_a_line_breaks_where_nothing_was_answered() -> None:
    line = spark([("a", 0), ("b", 3), ("c", None), ("d", 1)], 0, 3)
    assert len(line.runs) == 1 and len(line.lone) == 1
    first, second = (tuple(map(float, p.split(","))) for p in line.runs[0].split())
    assert first[1] > second[1]  # higher values are drawn higher up
    flipped = spark([("a", 0), ("b", 3)], 0, 3, True)
    assert flipped.runs[0].split()[0].split(",")[1] == str(second[1])
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line.lone)
    assert spark([], 0, 3).runs == [] and spark([("a", 9)], 0, 3).lone[0][1] == 3.0


def test_a_child_without_a_number_has_a_class_only() -> None:
    parts = (
        environment()
        .get_template("parts_ui.html")
        .make_module({"t": lambda key, **said: f"{key} {said['class_name']} {said['seat']}"})
    )
    of = SimpleNamespace(class_name="きりん組", seat=None)
    assert parts.class_and_seat(of) == "きりん組"  # type: ignore[attr-defined]
    of.seat = 7
    assert "きりん組 7" in parts.class_and_seat(of)  # type: ignore[attr-defined]
