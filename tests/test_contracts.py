"""The import contracts bite: each is broken on purpose, in a copy, and has to say so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.house_rules import ROOT, SOURCE

# Where -> what nobody there may import. One of each kind a hurried hand would reach for.
BREACHES = {
    "warning_service/judging/breach.py": "from warning_service.roster.tables import students\n",
    "warning_service/catalogue/breach.py": "import warning_service.access.gateway\n",
    "warning_service/events/breach.py": "from warning_service.roster import queries\n",
    "models/breach.py": "from warning_service.roster.calendar import school_year_of\n",
}
CONTRACTS = (
    "Imports run downwards only", "What is judged is a key, not a person",
    "Models never see a name",
)  # fmt: skip


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [str(program), "--no-cache"], cwd=folder, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(folder), "PATH": "", "COLUMNS": "200"},
    )  # fmt: skip


def test_each_contract_notices_its_breach(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in SOURCE:
        shutil.copytree(
            ROOT / name,
            tmp_path / name,
            ignore=lambda _f, names: [n for n in names if "." in n and not n.endswith(".py")],
        )
    done = lint(tmp_path)
    assert done.returncode == 0, done.stdout[-2000:]
    for name, line in BREACHES.items():
        (tmp_path / name).write_text(f'"""A breach."""\n\n{line}')
    done = lint(tmp_path)
    assert done.returncode == 1
    for contract in CONTRACTS:
        assert f"{contract} BROKEN" in done.stdout, done.stdout[-3000:]
    for name in BREACHES:
        module = name.removesuffix(".py").replace("/", ".")
        assert module in done.stdout, name
