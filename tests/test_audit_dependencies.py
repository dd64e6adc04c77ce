"""The audit fails for what is known to be bad, and never claims what it did not do."""

from __future__ import annotations

from tests.audit_dependencies import verdict

CLEAN = {"name": "jinja2", "version": "3.1.6", "vulns": []}
BAD = {"name": "jinja2", "version": "2.0", "vulns": [{"id": "CVE-2019-10906"}]}
UNKNOWN = {"name": "kizashi", "skip_reason": "not found"}


def test_a_known_vulnerability_fails_and_is_named() -> None:
    status, words = verdict([CLEAN, BAD, UNKNOWN])
    assert status == 1
    assert "CVE-2019-10906" in words


def test_what_was_not_asked_is_said() -> None:
    assert verdict(None) == (
        0, "Dependencies: NOT audited; the advisory service cannot be reached from here."
    )  # fmt: skip
    assert "NOT audited" in verdict([UNKNOWN])[1]
    assert verdict([CLEAN, UNKNOWN]) == (
        0,
        "Dependencies: 1 audited, 1 unknown to the service.",
    )
