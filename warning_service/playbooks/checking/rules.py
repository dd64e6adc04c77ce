"""The rules between a playbook's parts, each with the place where it is broken.

`model.py` has the same rules and stops at the first one broken; here every one is named. A part
that is wrong by itself is left out: what does not stand cannot be compared. The two are held
together by a test.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from warning_service.catalogue.items import all_items
from warning_service.catalogue.questionnaires import consultation, questionnaire
from warning_service.playbooks.checking.positions import Path
from warning_service.playbooks.judging import Judgement, ListRule
from warning_service.playbooks.meetings import Meeting, Review
from warning_service.playbooks.model import Playbook

Found = tuple[Path, str]
"""Where, and the sentence of the rule that is broken there."""


def _parts(raw: dict[str, Any]) -> dict[str, Any]:
    """Each part of a playbook that is right by itself, defaults included."""
    found = {}
    for name, field in Playbook.model_fields.items():
        if name not in raw:
            if not field.is_required():
                found[name] = field.get_default(call_default_factory=True)
            continue
        try:
            found[name] = _adapter(name).validate_python(raw[name])
        except ValidationError:
            continue
    return found


@lru_cache(maxsize=64)
def _adapter(name: str) -> TypeAdapter[Any]:
    field = Playbook.model_fields[name]
    whole: Any = Annotated[field.annotation, field]
    return TypeAdapter(whole)


def broken(raw: dict[str, Any]) -> Iterator[Found]:
    """The rules between parts that are broken; of parts that are wrong themselves nothing."""
    parts = _parts(raw)
    known = set(all_items())
    yield from _questionnaires(parts.get("questionnaires", ()))
    for part in ("types", "alert_rules"):
        for at in _again([one.id for one in parts.get(part, ())]):
            yield (part, at, "id"), f"{part}: one id stands twice"
    yield from _items(parts, known)
    yield from _sharing(parts, known)
    yield from _list(parts)
    bands = parts.get("bands")
    if bands is not None and bands.each == "type" and parts.get("types") == ():
        yield ("bands", "each"), "bands.each: there are no types"
    yield from _meetings(parts)
    yield from _sheets(parts, known)
    yield from _resources(parts)
    follow_up = parts.get("follow_up")
    if follow_up is not None:
        actions = {choice.id for choice in follow_up.actions}
        changes = {choice.id for choice in follow_up.changes}
        for name, given, have in (
            ("support_actions", follow_up.support_actions, actions),
            ("better", follow_up.better, changes),
        ):
            for at, one in enumerate(given):
                if one not in have:
                    yield ("follow_up", name, at), f"follow_up.{name}: unknown {[one]}"


def _questionnaires(names: Sequence[str]) -> Iterator[Found]:
    for at, name in enumerate(names):
        try:
            questionnaire(name)
        except KeyError:
            yield ("questionnaires", at), f"there is no questionnaire '{name}'"
    for at in _again(names):
        yield ("questionnaires", at), "a questionnaire is named twice"


def _again(names: Sequence[str]) -> list[int]:
    """Where a name stands that stood before."""
    return [at for at, name in enumerate(names) if name in names[:at]]


def _items(parts: dict[str, Any], known: Collection[str]) -> Iterator[Found]:
    seen: set[str] = set()
    types = {one.id for one in parts["types"]} if "types" in parts else None
    method = parts["judgement"].method if "judgement" in parts else None
    for at, item in enumerate(parts.get("items", ())):
        path: Path = ("items", at)
        if item.id not in known and not item.id.startswith("q."):
            yield (*path, "id"), f"item '{item.id}' is not in the catalogue"
        if item.id in seen:
            yield (*path, "id"), "items names an item twice"
        seen.add(item.id)
        if types is not None and (unknown := set(item.types) - types):
            yield (*path, "types"), f"item '{item.id}': unknown types {sorted(unknown)}"
        if item.coefficient and method not in ("formula", None):
            yield (*path, "coefficient"), f"item '{item.id}': only a formula has coefficients"
    outcome = parts.get("outcome")
    if outcome is not None and outcome.item not in known and not outcome.item.startswith("q."):
        yield ("outcome", "item"), f"item '{outcome.item}' is not in the catalogue"


def _sharing(parts: dict[str, Any], known: Collection[str]) -> Iterator[Found]:
    sharing = parts.get("sharing")
    if sharing is None:
        return
    for side in ("school_sees", "welfare_sees"):
        for at, name in enumerate(getattr(sharing, side)):
            answer = name.startswith("q.") and name in sharing.welfare_sees
            if name not in known and not answer:
                yield (
                    ("sharing", side, at),
                    f"sharing names '{name}', which is not in the catalogue",
                )


def _list(parts: dict[str, Any]) -> Iterator[Found]:
    rule, judgement = parts.get("list"), parts.get("judgement")
    if rule is None:
        return
    if judgement is not None and (judgement.method == "none") != (rule.cadence == "none"):
        yield ("list", "cadence"), "method 'none' and cadence 'none' go together"
    if "items" in parts:
        used = {item.id for item in parts["items"]}
        for path, item in _asked_for(rule, judgement):
            if item and item not in used:
                yield path, f"the list asks for items that are not in use: {[item]}"
    for at, pick in enumerate(rule.picks if "types" in parts else ()):
        types = parts["types"]
        if pick.by == "type" and not any(one.at is not None for one in types):
            yield (
                ("list", "picks", at),
                f"pick '{pick.id}': no type says from where on it is reached",
            )
        if pick.each == "type" and not types:
            yield ("list", "picks", at, "each"), f"pick '{pick.id}': there are no types"


def _asked_for(rule: ListRule, judgement: Judgement | None) -> Iterator[tuple[Path, str]]:
    """Items that conditions and the second screening ask for, each with its place."""
    for where in ("leave_out", "later"):
        for at, condition in enumerate(getattr(rule, where)):
            yield ("list", where, at, "item"), condition.item
    for at, reached in enumerate(rule.second.items if rule.second is not None else ()):
        yield ("list", "second", "items", at, "id"), reached.id
    if judgement is not None and judgement.similar_to is not None:
        yield ("judgement", "similar_to", "item"), judgement.similar_to.item


def _meetings(parts: dict[str, Any]) -> Iterator[Found]:
    review: Review | None = parts.get("review")
    judgement = parts.get("judgement")
    if review is None:
        return
    if judgement is not None and (review.of == "cases") != (judgement.method == "none"):
        yield (
            ("review", "of"),
            "review.of is 'cases' where no list is made (method 'none'), only there",
        )
    before: dict[str, Review | Meeting] = {review.id: review}
    schemes = {review.scheme}
    if (bands := parts.get("bands")) is not None:
        meetings = parts.get("meetings", ())
        if bands.scheme in {review.scheme, *(one.scheme for one in meetings)}:
            yield ("bands", "scheme"), "bands and a meeting have one scheme"
    for at, meeting in enumerate(parts.get("meetings", ())):
        path: Path = ("meetings", at)
        if meeting.id in before:
            yield (*path, "id"), f"two meetings have the id '{meeting.id}'"
        if meeting.scheme in schemes:
            yield (*path, "scheme"), f"two meetings have the scheme '{meeting.scheme}'"
        earlier = before.get(meeting.after)
        if earlier is None:
            yield (
                (*path, "after"),
                f"meeting '{meeting.id}': 'after' names no earlier '{meeting.after}'",
            )
        elif unknown := set(meeting.takes) - {choice.id for choice in earlier.classes}:
            yield (
                (*path, "takes"),
                f"meeting '{meeting.id}' takes unknown classes of '{meeting.after}': "
                f"{sorted(unknown)}",
            )
        before.setdefault(meeting.id, meeting)
        schemes.add(meeting.scheme)


def _sheets(parts: dict[str, Any], known: Collection[str]) -> Iterator[Found]:
    sheets = parts.get("sheets", ())
    sittings = None
    if "review" in parts and "meetings" in parts:
        sittings = {parts["review"].id, *(one.id for one in parts["meetings"])}
    seen: set[str] = set()
    for at, sheet in enumerate(sheets):
        if sheet.id in seen:
            yield ("sheets", at, "id"), "two sheets have one id"
        seen.add(sheet.id)
        if sittings is not None and (unknown := set(sheet.meetings) - sittings):
            yield (
                ("sheets", at, "meetings"),
                f"sheet '{sheet.id}' names unknown meetings: {sorted(unknown)}",
            )
        for s, section in enumerate(sheet.sections):
            for f, field in enumerate(section.fields):
                if field.item and field.item not in known:
                    yield (
                        ("sheets", at, "sections", s, "fields", f, "item"),
                        f"sheet '{sheet.id}', field '{field.id}': '{field.item}' is not in the "
                        "catalogue",
                    )


def _resources(parts: dict[str, Any]) -> Iterator[Found]:
    seen: set[str] = set()
    directions = None
    if "review" in parts and "meetings" in parts:
        sittings = [parts["review"], *parts["meetings"]]
        directions = {choice.id for one in sittings for choice in one.directions}
    for at, one in enumerate(parts.get("resources", ())):
        if one.id in seen:
            yield ("resources", at, "id"), "two resources have one id"
        seen.add(one.id)
        if unknown := set(one.topics) - {choice.id for choice in consultation().about}:
            yield (
                ("resources", at, "topics"),
                f"resource '{one.id}' names unknown topics: {sorted(unknown)}",
            )
        if directions is not None and (unknown := set(one.directions) - directions):
            yield (
                ("resources", at, "directions"),
                f"resource '{one.id}' names unknown directions: {sorted(unknown)}",
            )
