"""A log that cannot be written stops nobody."""

from __future__ import annotations

import io
import json
import sys

import pytest
import structlog

from warning_service import logs
from warning_service.judging.deriving.compared import Compared


class Full(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_full_disk_under_the_log_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    logs.configure("INFO")
    structlog.get_logger().error("intake_failed", error="OSError")


def test_a_closed_stream_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", closed)
    logs.configure("INFO")
    closed.close()
    structlog.get_logger().error("intake_failed", error="OSError")


def test_what_an_upgrade_changed_reaches_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    logs.configure("INFO")
    told = Compared(lists=12, others=1, scores=340, largest=0.02)._asdict()
    structlog.get_logger().warning("judging_rebuilt_and_compared", board="b1", **told, name="x")
    line = json.loads(written.getvalue())
    assert told.items() <= line.items() and line["dropped"] == ["name"]
