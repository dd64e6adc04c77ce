"""Are any of the locked packages known to be vulnerable? Run by `make check`.

Asks the advisory service through pip-audit for every package requirements/run.txt pins. In a closed
network the service cannot be reached: then this says so, names how many packages were not asked
about, and lets the check go on, because a machine without a way out must still be able to test.
A known vulnerability fails the check.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parent.parent / "requirements" / "run.txt"
PATIENCE_SECONDS = 120


def ask(lock: Path) -> list[dict[str, Any]] | None:
    """pip-audit's answer, one entry per package; None when the service cannot be reached."""
    command = [
        sys.executable, "-m", "pip_audit", "-r", str(lock), "--disable-pip",
        "--format", "json", "--progress-spinner", "off", "--timeout", "10",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        return None
    return found


def verdict(found: list[dict[str, Any]] | None) -> tuple[int, str]:
    """Exit status and what to say."""
    if found is None:
        return 0, "Dependencies: NOT audited; the advisory service cannot be reached from here."
    bad = [
        f"{one['name']} {one['version']}: {', '.join(v['id'] for v in one['vulns'])}"
        for one in found
        if one.get("vulns")
    ]
    silent = sum("skip_reason" in one for one in found)
    if bad:
        return 1, "Known vulnerabilities:\n" + "\n".join(bad)
    if silent == len(found):
        return 0, f"Dependencies: NOT audited; the service knows none of the {silent} packages."
    return 0, f"Dependencies: {len(found) - silent} audited, {silent} unknown to the service."


if __name__ == "__main__":
    status, words = verdict(ask(LOCK))
    print(words)
    sys.exit(status)
