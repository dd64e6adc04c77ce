"""The `kizashi` command for tests: in this process, or as the process that a server runs.

Starting one costs more than a second of imports, most commands none. So commands run in here, with
their own environment, folder and streams, through the same `main`; for each file of commands one
test runs a real process and finds that it says the same.
"""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import structlog

from warning_service import cli, console

WIDE = 200


def environment(
    folder: Path, keys: Sequence[str], *, trail_keys: Sequence[str] = ()
) -> dict[str, str]:
    """What a command on the SQLite database in `folder` finds in its environment."""
    plain = {name: v for name, v in os.environ.items() if not name.startswith("KIZASHI_")}
    return {
        **plain,
        "COLUMNS": str(WIDE),
        "KIZASHI_ENVIRONMENT": "test",
        "KIZASHI_DATA_DIR": str(folder),
        "KIZASHI_PUBLIC_URL": "https://kizashi.example",
        "KIZASHI_SECRET_KEYS": json.dumps(list(keys)),
        "KIZASHI_TRAIL_KEYS": json.dumps(list(trail_keys)),
    }


def as_process(folder: Path, *words: str, env: dict[str, str]) -> CompletedProcess[str]:
    """Run the command as it is run on a server."""
    return subprocess.run(
        [sys.executable, "-m", "warning_service", *words],
        capture_output=True, text=True, check=False, cwd=folder, env=env,
    )  # fmt: skip


def in_here(folder: Path, *words: str, env: dict[str, str]) -> CompletedProcess[str]:
    """Run the command in this process. A traceback is the test's."""
    out, err = io.StringIO(), io.StringIO()
    status: int | str | None = 0
    with pytest.MonkeyPatch.context() as patched, _own_logging():
        for name in os.environ.keys() - env.keys():
            patched.delenv(name)
        for name, value in env.items():
            patched.setenv(name, value)
        patched.setattr(sys, "argv", ["kizashi", *words])
        for printer in (console.out, console.err):
            patched.setattr(printer, "_width", WIDE)
        with chdir(folder), redirect_stdout(out), redirect_stderr(err):
            try:
                cli.main()
            except SystemExit as end:
                status = end.code
    assert status is None or isinstance(status, int)
    return CompletedProcess(list(words), status or 0, out.getvalue(), err.getvalue())


@contextmanager
def _own_logging() -> Iterator[None]:
    """A command sets up logging for its whole process; this one is pytest's."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = []
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
        structlog.reset_defaults()
