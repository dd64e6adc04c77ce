"""The one table of what can stand on the audit trail, and its words.

`actions.toml` holds an entry for every action that any page, service or command writes; a test
walks the source and fails for one without words. An action that is not here (written by a newer
version, say) is shown by its id and counts as nothing in particular.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import msgspec

from warning_service.access.trail.audit import REFUSED

Kind = Literal["opened", "shown", "change", "export", "numbers", "door", "rights", "office"]


class Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that can stand on the trail. `told_…` end the sentence a family reads."""

    kind: Kind
    ja: str
    en: str
    told_ja: str = ""
    told_en: str = ""


@lru_cache(maxsize=1)
def actions() -> dict[str, Action]:
    """Every action by its id, in the order of the file."""
    text = files(__package__).joinpath("actions.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Action])


def words(action: str, lang: str = "ja") -> str:
    """What an action is called on the auditor's page, a refused one too."""
    plain = action.removeprefix(REFUSED)
    known = actions().get(plain)
    named = plain if known is None else known.en if lang == "en" else known.ja
    if plain == action:
        return named
    return f"refused: {named}" if lang == "en" else f"{named}(担当外のため表示せず)"


def told(action: str, lang: str, list_words: str) -> str:
    """The end of the sentence in which a family reads of it; `list_words` names the list."""
    plain = action.removeprefix(REFUSED)
    known = actions().get(plain)
    if plain != action:
        if lang == "en":
            return "tried to open a page about the child; it was not shown, for want of a duty"
        return "お子さんのページを開こうとしましたが、担当ではないため表示されませんでした"
    sentence = "" if known is None else known.told_en if lang == "en" else known.told_ja
    return (sentence or words(action, lang)).replace("{list}", list_words)


def of_kind(*kinds: Kind) -> frozenset[str]:
    """Ids of all actions of these kinds."""
    return frozenset(name for name, action in actions().items() if action.kind in kinds)
