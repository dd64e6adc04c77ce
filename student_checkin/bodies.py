"""What a tablet sends: two bodies, their shape, and what their fields must look like.

The hot path decodes with msgspec; the pydantic models describe the same bodies for OpenAPI and
nothing else. A test holds the two against each other, so that the documentation cannot drift from
what is accepted. There is no field for the student: who answers is known from the session alone,
and a body that brings any unknown field is refused by that field's name.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

MOST_BYTES = 16 * 1024
MOST_WORDS = 500
MOST_ANSWERS = 100
MOST_CHOICES = 20

_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class Refused(ValueError):
    """What was sent cannot be taken. `key` names the wording (texts.toml), `field` the culprit."""

    def __init__(self, status: int, field: str, key: str) -> None:
        super().__init__(f"{status} {field} {key}")
        self.status = status
        self.field = field
        self.key = key


def event_id(text: str) -> str:
    """`text`, if it is a UUIDv7 in its usual lower-case form. Raises ValueError.

    Only version 7: ids that Kizashi derives from other things are version 5, so nobody can occupy
    one of those from outside.
    """
    if not _UUID7.fullmatch(text):
        raise ValueError("not a lower-case UUIDv7")
    return text


def instant(text: str) -> datetime:
    """An RFC 3339 instant with its offset. Raises ValueError."""
    if not _INSTANT.fullmatch(text):
        raise ValueError("not an RFC 3339 instant with an offset")
    return datetime.fromisoformat(text)


# --- msgspec: what the service uses ---------------------------------------------------------------

Value = Annotated[int, msgspec.Meta(ge=0, le=9)]
Choices = Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST_CHOICES)]


class CheckIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A child's answers: question id -> value, null = "I would rather not say"."""

    id: str
    questionnaire: str
    version: int
    answers: Annotated[dict[str, Value | None], msgspec.Meta(min_length=1, max_length=MOST_ANSWERS)]
    answered_at: str


class Consultation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A child asks to talk: with whom, about what (choice ids), and its own words if it likes."""

    id: str
    whom: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MOST_CHOICES)]
    about: Choices
    asked_at: str
    words: Annotated[str, msgspec.Meta(max_length=MOST_WORDS)] | None = None


Said = TypeVar("Said", CheckIn, Consultation)
_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (CheckIn, Consultation)
}
_named = re.compile(r"field `([^`]{1,60})")
_path = re.compile(r"at `\$\.(\w{1,60})")


def decode(kind: type[Said], raw: bytes) -> tuple[Said, datetime]:
    """The body and its instant. Raises Refused (400 not JSON, 422 with the field's name)."""
    try:
        said: Said = _decoders[kind].decode(raw)
    except msgspec.ValidationError as error:
        text = str(error)
        if found := _named.search(text):
            key = "api_unknown_field" if "unknown" in text else "api_missing_field"
            raise Refused(422, found.group(1), key) from None
        found = _path.search(text)
        raise Refused(422, found.group(1) if found else "body", "api_wrong_value") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "body", "api_not_json") from None
    try:
        event_id(said.id)
    except ValueError:
        raise Refused(422, "id", "api_bad_id") from None
    name, text = (
        ("answered_at", said.answered_at)
        if isinstance(said, CheckIn)
        else ("asked_at", said.asked_at)
    )
    try:
        return said, instant(text)
    except ValueError:
        raise Refused(422, name, "api_bad_instant") from None


# --- pydantic: what the documentation shows -------------------------------------------------------


def _is_instant(text: str) -> str:
    instant(text)
    return text


_Id = Annotated[
    str, AfterValidator(event_id), WithJsonSchema({"type": "string", "pattern": _UUID7.pattern})
]
_Instant = Annotated[
    str, AfterValidator(_is_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]


class _Documented(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CheckInBody(_Documented):
    """A child's answers; who answers is known from the session."""

    id: _Id = Field(description="Made by the tablet and kept over retries.")
    questionnaire: str
    version: int = Field(ge=-(2**63), lt=2**63)
    answers: dict[str, Annotated[int, Field(ge=0, le=9)] | None] = Field(
        min_length=1, max_length=MOST_ANSWERS
    )
    answered_at: _Instant


class ConsultationBody(_Documented):
    """A child asks to talk; who asks is known from the session."""

    id: _Id = Field(description="Made by the tablet and kept over retries.")
    whom: tuple[str, ...] = Field(min_length=1, max_length=MOST_CHOICES)
    about: tuple[str, ...] = Field(max_length=MOST_CHOICES)
    asked_at: _Instant
    words: Annotated[str, Field(max_length=MOST_WORDS)] | None = None


class Received(_Documented):
    """The event is durable."""

    received: str
