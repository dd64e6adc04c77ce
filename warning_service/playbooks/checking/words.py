"""What is wrong with a playbook, in words of people who write one and not of the library.

Two sources speak: pydantic (a kind of mistake and its numbers) and the playbook's own rules, whose
English sentences stand where they are broken (in Japanese: words.toml). Both are put into
plain words here. A sentence without a translation is a failing test, not a silent gap.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from typing import Any

Both = tuple[str, str]
"""Japanese, English."""

_KINDS: dict[str, Both] = {
    "missing": ("必要な項目がありません", "is needed and not there"),
    "extra_forbidden": (
        "この名前の項目はありません(書きまちがいの項目は効きません)",
        "there is no such field (a misspelt one would not be in force)",
    ),
    "string_type": ('文字("…")で書きます', "must be text, in quotes"),
    "int_type": ("整数で書きます", "must be a whole number"),
    "int_parsing": ("整数で書きます", "must be a whole number"),
    "int_from_float": ("整数で書きます(小数は使えません)", "must be a whole number"),
    "float_type": ("数で書きます", "must be a number"),
    "float_parsing": ("数で書きます", "must be a number"),
    "bool_type": ("true か false で書きます", "must be true or false"),
    "bool_parsing": ("true か false で書きます", "must be true or false"),
    "tuple_type": ("[ … ] の形で並べます", "must be a list in [ ]"),
    "dict_type": ("表([…] か {{ … }})で書きます", "must be a table"),
    "model_type": ("表([…] か {{ … }})で書きます", "must be a table"),
    "model_attributes_type": ("表([…] か {{ … }})で書きます", "must be a table"),
    "greater_than": ("{gt} より大きい数にします", "must be greater than {gt}"),
    "greater_than_equal": ("{ge} 以上にします", "must be {ge} or more"),
    "less_than": ("{lt} より小さい数にします", "must be less than {lt}"),
    "less_than_equal": ("{le} 以下にします", "must be {le} or less"),
    "finite_number": ("有限の数で書きます", "must be a finite number"),
    "string_too_short": ("空にはできません", "must not be empty"),
    "too_short": ("{min_length} 個以上いります", "needs at least {min_length}"),
    "too_long": ("{max_length} 個までです", "takes at most {max_length}"),
    "string_pattern_mismatch": (
        "英小文字で始まる、英小文字・数字・_ の名前にします",
        "must begin with a lower-case letter and hold only a-z, 0-9 and _",
    ),
    "literal_error": ("{expected} のどれかです", "must be one of {expected}"),
}

_GRAMMAR: tuple[tuple[str, str], ...] = (
    ("Invalid statement", "行は「名前 = 値」か [見出し] で書きます(全角の記号や空白は使えません)"),
    ("Invalid value", '値を読めません(文字は "…" で囲み、数は半角で書きます)'),
    ("Invalid hex", "文字の中の \\ の書き方が正しくありません"),
    ("Escaped character", "文字の中の \\ の書き方が正しくありません"),
    ("Expected '\"", '文字を閉じる " がありません'),
    ("Expected \"'", "文字を閉じる ' がありません"),
    ("Cannot overwrite", "同じ名前に二度、値が書かれています"),
    ("Cannot declare", "同じ表が二度書かれています"),
    ("Cannot redefine", "同じ表が二度書かれています"),
    ("Found invalid", "使えない文字があります(改行や全角の記号など)"),
    ("Cannot mutate", "一行で書いた表([ ] や { })に、あとから書き足すことはできません"),
    ("Duplicate", "同じ名前が二度あります"),
    ("Unterminated string", '文字を閉じる " がありません'),
    ("Illegal character", "使えない文字があります(改行や全角の記号など)"),
    ("Unclosed array", "並びを閉じる ] がありません"),
    ("Unclosed inline table", "表を閉じる } がありません"),
    ("Expected '='", "名前のあとに = がありません"),
    ("Expected ']", "見出しを閉じる ] がありません"),
    ("Expected newline", "一行に二つのことが書かれています(行を分けます)"),
    ("Invalid initial character", "名前は英数字・_・- で書きます"),
    ("Invalid date", "日付が正しくありません"),
    ("Unescaped", "文字の中の \\ の書き方が正しくありません"),
)


def of_library(kind: str, context: Mapping[str, Any], name: str, known: list[str]) -> Both | None:
    """A mistake pydantic names, in words; None for a kind that has none.

    `known`: the fields there are where an unknown one stands.
    """
    words = _KINDS.get(kind)
    if words is None:
        return None
    ja, en = (text.format_map(_Lenient(context)) for text in words)
    if kind == "literal_error":
        ja = ja.replace(", ", "・").replace(" or ", "・")
    if kind == "extra_forbidden" and (near := like(name, known)):
        ja, en = f"{ja}。{near} のことですか", f"{en}; did you mean {near}?"
    return ja, en


def of_rule(sentence: str) -> Both | None:
    """A playbook's own rule that is broken, in words; None for a sentence without a translation."""
    for pattern, ja in _sentences():
        found = pattern.fullmatch(sentence)
        if found is not None:
            return ja.format(*found.groups()), sentence
    return None


def of_grammar(sentence: str) -> Both:
    """What the reader of TOML says, without its place."""
    en = re.sub(r" \(at .*\)$", "", sentence)
    for beginning, ja in _GRAMMAR:
        if en.startswith(beginning):
            return ja, en
    return f"TOMLとして読めません({en})", en


@lru_cache(maxsize=1)
def _sentences() -> list[tuple[re.Pattern[str], str]]:
    text = files(__package__).joinpath("words.toml").read_text("utf-8")
    return [
        (re.compile(one["rule"], re.DOTALL), one["ja"]) for one in tomllib.loads(text)["sentences"]
    ]


def like(name: str, known: list[str]) -> str:
    """The known name most like this one; '' when none is."""
    return next(iter(get_close_matches(name, known, 1, 0.7)), "")


class _Lenient(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"
