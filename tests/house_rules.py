"""Our own small checks, run by `make check`: rules that no linter knows.

Each rule is a function that yields "file:line: what" for every place that breaks it. The rules are
themselves tested in tests/test_house_rules.py, so that none of them can go blind unnoticed.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = (
    "warning_service",
    "student_checkin",
    "teacher_portal",
    "connectors",
    "models",
    "design",
    "demo",
)
Rule = Callable[[Path, str], Iterator[str]]


def tracked() -> list[Path]:
    """Files in the repository (tracked, or new and not ignored)."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def _calls(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


_WALL = re.compile(
    r"^(datetime\.(now|utcnow|today)|date\.today|time\.(time|monotonic|perf_counter|process_time)"
    r"|datetime\.datetime\.(now|utcnow|today)|datetime\.date\.today)$"
)


def wall_clock(path: Path, text: str) -> Iterator[str]:
    """Time comes from clock.py only."""
    if path.name == "clock.py" or path.parts[0] not in SOURCE:
        return
    for line, name in _calls(text):
        if _WALL.match(name):
            yield f"{path}:{line}: {name}() outside clock.py"


# Tokens are made and read in one place for each library: our own with python-jose behind the
# wrapper of the doors; what a provider signed with authlib and joserfc, which know the algorithms
# and key sets of providers. A chat service that wants a signed assertion gets it from joserfc.
# PyJWT has no place.
_JWT_HOMES: dict[str, tuple[str, ...]] = {
    "jose": ("warning_service/access/doors/tokens.py",),
    "joserfc": ("connectors/sign_in/", "connectors/messaging/line_works.py"),
    "authlib": ("connectors/sign_in/",),
    "jwt": (),
}


def bare_jwt(path: Path, text: str) -> Iterator[str]:
    """Libraries that make or read signed tokens stay in the one place each has."""
    if path.parts[0] not in SOURCE:
        return
    for node in ast.walk(ast.parse(text)):
        names = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
        for library in sorted({name.split(".")[0] for name in names} & set(_JWT_HOMES)):
            homes = _JWT_HOMES[library]
            if not path.as_posix().startswith(homes):
                yield f"{path}:{node.lineno}: {library} outside {' '.join(homes) or 'any place'}"


# Who may touch the tables that hold names: access, the roster itself, importers, the demo town,
# and the list of all tables for migrations.
_NAME_HOMES = (
    "warning_service/access/", "warning_service/roster/", "connectors/records/", "demo/",
    "warning_service/tables.py",
)  # fmt: skip
_NAME_TABLES = {
    "students", "seats", "staff", "duties", "student_secrets", "rejects", "imports", "identities",
    "expected_accounts", "absences", "stand_ins", "working_days",
}  # fmt: skip
_NAME_SQL = re.compile(
    rf"\b(from|join|into|update)\s+roster\.({'|'.join(sorted(_NAME_TABLES))})\b", re.I
)


def names_outside_access(path: Path, text: str) -> Iterator[str]:
    """Tables of the roster schema are reached through access/ only."""
    if path.parts[0] not in SOURCE or path.as_posix().startswith(_NAME_HOMES):
        return
    tree = ast.parse(text)
    modules = {"warning_service.roster.tables"}
    aliases: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if node.module in modules:
                for alias in node.names:
                    if alias.name in _NAME_TABLES or alias.name.endswith("Row"):
                        yield f"{path}:{node.lineno}: {alias.name} outside access/"
            elif node.module == "warning_service.roster":
                aliases |= {a.asname or a.name for a in node.names if a.name == "tables"}
            elif node.module == "warning_service":
                aliases |= {
                    f"{a.asname or a.name}.tables" for a in node.names if a.name == "roster"
                }
        elif isinstance(node, ast.Import):
            aliases |= {a.asname or a.name for a in node.names if a.name in modules}
        elif (
            isinstance(node, ast.Attribute)
            and node.attr in _NAME_TABLES
            and ast.unparse(node.value) in aliases
        ):
            yield f"{path}:{node.lineno}: {node.attr} outside access/"
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and (said := _NAME_SQL.search(node.value))
        ):
            yield f"{path}:{node.lineno}: {said.group(0)} outside access/"


# Where reads may be made with the service's own rights while a request is answered: what has to be
# known before anybody's scope is, what belongs to nobody, and the families' requests, which reach
# further than any page. All else is held to the reader's scope (warning_service/asking.py).
_OWN_RIGHTS = (
    "warning_service/access/", "warning_service/app.py", "warning_service/database.py",
    "warning_service/migrate.py", "warning_service/operations.py", "warning_service/events/log.py",
    "warning_service/alerts/service.py", "warning_service/alerts/privacy.py",
    "warning_service/alerts/seeing.py", "warning_service/alerts/life.py",
    "warning_service/alerts/history.py", "warning_service/alerts/handing_over.py",
    "warning_service/alerts/who_is_told.py", "warning_service/alerts/gap_watch.py",
    "warning_service/rights/service.py", "warning_service/keeping/outlook.py",
    "student_checkin/desk.py", "teacher_portal/status.py", "teacher_portal/watchman.py",
    "teacher_portal/drift.py",
    "connectors/messaging/slack_actions.py", "warning_service/alerts/outside/",
    "warning_service/follow_up/digests.py",
)  # fmt: skip
_PAGES = ("teacher_portal/", "student_checkin/")


def past_the_scope(path: Path, text: str) -> Iterator[str]:
    """Reads with the service's rights stay where they are listed; pages write through rooms."""
    place = path.as_posix()
    if path.parts[0] not in SOURCE:
        return
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Attribute):
            continue
        if node.attr == "as_service" and not place.startswith(_OWN_RIGHTS):
            yield f"{path}:{node.lineno}: as_service outside the places listed for it"
        elif node.attr in {"writing", "unit_of_work", "engine"} and place.startswith(_PAGES):
            yield f"{path}:{node.lineno}: {node.attr} in a page, past its reader's scope"


_INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:", re.I)
_OUTSIDE = re.compile(r"""(?:src|href|action)=["']?(?:https?:)?//""", re.I)


def inline_or_outside(path: Path, text: str) -> Iterator[str]:
    """Templates hold no inline script or style and reach for nothing outside."""
    if path.suffix != ".html" or path.parts[0] not in SOURCE:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if _INLINE.search(line) or _OUTSIDE.search(line):
            yield f"{path}:{number}: inline script or style, or something from outside"


_SKIPS = re.compile(r"pytest\.(skip|xfail|mark\.(skip|xfail)|importorskip)")


def skipped_tests(path: Path, text: str) -> Iterator[str]:
    """A test that cannot run fails and says why."""
    if path.parts[0] == "tests" and path.name not in {"house_rules.py", "test_house_rules.py"}:
        for number, line in enumerate(text.splitlines(), 1):
            if _SKIPS.search(line):
                yield f"{path}:{number}: a test is skipped"


# Spelt in parts so that this file does not name what it looks for.
_HOSTS = tuple(
    "".join(parts) for parts in (("py", "pi.org"), ("python", "hosted.org"), ("npm", "js.org"))
)


def registry_hosts(path: Path, text: str) -> Iterator[str]:
    """No file names a package registry's host."""
    for number, line in enumerate(text.splitlines(), 1):
        if any(host in line for host in _HOSTS):
            yield f"{path}:{number}: names a package registry"


def module_docstring(path: Path, text: str) -> Iterator[str]:
    """Each module opens with a paragraph on what it is for."""
    if path.parts[0] not in SOURCE:
        return
    if not (ast.get_docstring(ast.parse(text)) or "").strip():
        yield f"{path}:1: no docstring at its head"


def too_long(path: Path, text: str) -> Iterator[str]:
    """A file over 450 lines wants to be two."""
    if path.suffix == ".py" and path.parts[0] in SOURCE and text.count("\n") > 450:
        yield f"{path}:1: {text.count(chr(10))} lines"


PYTHON: tuple[Rule, ...] = (
    wall_clock, bare_jwt, names_outside_access, past_the_scope, skipped_tests, module_docstring,
    too_long,
)  # fmt: skip
ALL_TEXT: tuple[Rule, ...] = (registry_hosts, inline_or_outside)
MOST_BYTES = 1_000_000


def broken() -> list[str]:
    """Every place that breaks a rule."""
    found: list[str] = []
    for file in tracked():
        path = file.relative_to(ROOT)
        data = file.read_bytes()
        if len(data) > MOST_BYTES:
            found.append(f"{path}:1: {len(data)} bytes; large binaries stay out")
        if any(part in {"vendor", "node_modules", "third_party"} for part in path.parts):
            found.append(f"{path}:1: vendored code")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            continue
        rules = ALL_TEXT + (PYTHON if path.suffix == ".py" else ())
        for rule in rules:
            found.extend(rule(path, text))
    return found


if __name__ == "__main__":
    places = broken()
    print("\n".join(places) or "House rules: all kept.")
    sys.exit(1 if places else 0)
