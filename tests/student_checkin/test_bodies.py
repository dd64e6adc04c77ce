"""The documented bodies and the accepted ones are the same bodies."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from student_checkin import bodies
from student_checkin.bodies import (
    CheckIn,
    CheckInBody,
    Consultation,
    ConsultationBody,
    Refused,
    decode,
)
from warning_service.events.types import new_id

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
ids = st.builds(new_id) | st.uuids().map(str) | st.builds(lambda: new_id().upper())
instants = st.datetimes(timezones=st.timezones() | st.none()).map(
    lambda d: d.isoformat()
) | st.sampled_from(
    ["2026-05-11T00:00:00Z", "2026-05-11 00:00:00Z", "2026-13-11T00:00:00Z", "1700000000"]
)
values = st.integers(-2, 12) | st.none() | st.booleans() | st.floats() | st.text(max_size=2)
check_ins = st.fixed_dictionaries(
    {
        "id": ids | anything,
        "questionnaire": st.text(max_size=10) | anything,
        "version": st.integers(-3, 3) | anything,
        "answers": st.dictionaries(st.text(max_size=5), values, max_size=4) | anything,
        "answered_at": instants | anything,
    },
    optional={"student": anything},
)
good_check_ins = st.fixed_dictionaries(
    {
        "id": st.builds(new_id),
        "questionnaire": st.text(max_size=10),
        "version": st.integers(-3, 3),
        "answers": st.dictionaries(
            st.text(max_size=5), st.integers(0, 9) | st.none(), min_size=1, max_size=4
        ),
        "answered_at": instants,
    }
)
consultations = st.fixed_dictionaries(
    {
        "id": ids,
        "whom": st.lists(st.text(max_size=4), max_size=22) | anything,
        "about": st.lists(st.text(max_size=4), max_size=22) | anything,
        "asked_at": instants,
    },
    optional={"words": st.text(min_size=495, max_size=505) | anything, "name": anything},
)


def agree(kind: Any, model: type[BaseModel], raw: bytes) -> bool:
    try:
        decode(kind, raw)
        taken = True
    except Refused:
        taken = False
    try:
        model.model_validate_json(raw)
        documented = True
    except ValidationError:
        documented = False
    assert taken == documented, raw
    return taken


@settings(max_examples=400, deadline=None)
@given(check_ins | good_check_ins)
def test_check_ins_agree(body: dict[str, Any]) -> None:
    agree(CheckIn, CheckInBody, msgspec.json.encode(body))


@settings(max_examples=300, deadline=None)
@given(consultations)
def test_consultations_agree(body: dict[str, Any]) -> None:
    agree(Consultation, ConsultationBody, msgspec.json.encode(body))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | anything.map(msgspec.json.encode))
def test_whatever_comes_is_refused_or_taken_by_both(raw: bytes) -> None:
    agree(CheckIn, CheckInBody, raw)
    agree(Consultation, ConsultationBody, raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"id":"\\ud800"}',
        b'{"id":1e999}',
        b"[" * 100_000,
        b'{"answers":{"a":1.0}}',
        b'{"version":123456789012345678901234567890}',
    ],
)
def test_traps_of_json_are_refused(raw: bytes) -> None:
    assert not agree(CheckIn, CheckInBody, raw)


def test_a_good_body_is_taken_by_both() -> None:
    body = {
        "id": new_id(),
        "questionnaire": "kokoro_daily",
        "version": 1,
        "answers": {"mood": 0, "sleep": None},
        "answered_at": "2026-05-11T08:15:00.123+09:00",
    }
    assert agree(CheckIn, CheckInBody, msgspec.json.encode(body))
    assert bodies.instant(str(body["answered_at"])).utcoffset() is not None
