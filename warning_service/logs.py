"""Structured logs that cannot carry personal data.

Only keys on the list below get through, with short values; anything else becomes the key's name
in `dropped`. An exception is logged as its type and the places it passed, never with its message:
messages quote values (a failed INSERT quotes the row).
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

ALLOWED = frozenset(
    [
        "event",
        "level",
        "timestamp",
        "logger",
        "error",
        "where",
        "method",
        "route",
        "status",
        "ms",
        "request",
        "consumer",
        "fence",
        "events",
        "board",
        "school",
        "job",
        "slot",
        "count",
        "state",
        "channel",
        "attempts",
        "retry_after",
        "alert",
        "delivery",
        "kind",
        "position",
        "version",
        "seconds",
        "rows",
        "rejected",
        "processes",
        "port",
        "step",
        "duty",
        "reason",
        "signal",
        "pid",
        "lists",
        "others",
        "scores",
        "largest",
    ]
)


def _allow(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    dropped = sorted(key for key in line if key not in ALLOWED)
    kept = {key: _short(value) for key, value in line.items() if key in ALLOWED}
    if dropped:
        kept["dropped"] = dropped
    return kept


def _short(value: Any) -> Any:
    return value[:200] if isinstance(value, str) else value


def _places(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    info = line.pop("exc_info", None)
    if not info:
        return line
    error = info if isinstance(info, BaseException) else sys.exc_info()[1]
    if error is not None:
        line.setdefault("error", type(error).__name__)
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        line["where"] = [f"{frame.name}:{frame.lineno}" for frame in frames]
    return line


class _Bridge(logging.Handler):
    """Lines from libraries' loggers: only who said something, and how bad it is."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().log(
            record.levelno,
            "library",
            logger=record.name,
            error=type(error).__name__ if error else "",
        )


class _Careful:
    """A stream that cannot fail: a full disk or a closed pipe costs the line, not who wrote it.

    Who writes may be the thread that stores what children send.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError, ValueError):
            self._stream.flush()


def configure(level: str) -> None:
    """Set up logging for this process: JSON lines on standard error."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _places,
            _allow,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Careful(sys.stderr))),
    )
    logging.basicConfig(handlers=[_Bridge()], level=logging.WARNING, force=True)
