"""docker-compose.yml and Dockerfile, as far as they can be held without a Docker engine.

Every command in them is a `kizashi` command that exists and that other tests run as a process;
every setting is a setting; every folder copied into the image is there, and none is forgotten.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

from warning_service.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def ours() -> dict[str, dict[str, object]]:
    return {name: s for name, s in COMPOSE["services"].items() if name != "database"}


def test_there_is_a_database_and_a_process_for_each_job() -> None:
    commands = {name: service["command"] for name, service in ours().items()}
    assert commands == {
        "migrate": ["kizashi", "migrate"],
        "web": ["kizashi", "serve"],
        "worker": ["kizashi", "work"],
        "scheduler": ["kizashi", "schedule"],
    }


def test_every_command_is_one_the_program_has() -> None:
    for service in ours().values():
        command = service["command"]
        assert isinstance(command, list)
        done = subprocess.run(
            [sys.executable, "-m", "warning_service", *command[1:], "--help"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_every_variable_is_a_setting_and_the_environment_is_production() -> None:
    for service in ours().values():
        environment = service["environment"]
        assert isinstance(environment, dict)
        names = {name.removeprefix("KIZASHI_").lower() for name in environment}
        assert names <= set(Settings.model_fields)
        assert environment["KIZASHI_ENVIRONMENT"] == "production"


def test_nothing_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    assert re.findall(r"\$\{[A-Z_]+(?::-|-)", text) == []


def test_the_image_gets_every_package_and_what_it_copies_is_there() -> None:
    copied = re.findall(r"^COPY (?!--)(\S+)", DOCKERFILE, flags=re.M)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(copied)
    ignored = (ROOT / ".dockerignore").read_text("utf-8")
    assert [name for name in packages if f"!{name}" not in ignored] == []
