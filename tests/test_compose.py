"""docker-compose.yml and Dockerfile, as far as they can be held without a Docker engine.

Every command in them is a `kizashi` command that exists and that other tests run as a process;
every setting is a setting; every folder copied into the image is there, and none is forgotten.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from cryptography.fernet import Fernet

from tests.command import environment, in_here
from warning_service.access.roles import Role
from warning_service.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")

HERE = "settings"
FILE = """
second_factor_roles = ["privacy", "accounts", "auditor", "operator", "nurse"]
slack_bot_token = "xoxb-1"
slack_signing_secret = "one"
slack_team_id = "T1"
slack_app_id = "A1"

[networks]
nurse = ["10.20.0.0/16"]

[[sign_in_providers]]
name = "google"
board = "kizashi"
people = "staff"
kind = "google"
label = "Googleでサインイン"
label_en = "Sign in with Google"
issuer = "https://accounts.google.com"
client_id = "one"
client_secret = "two"
hosted_domain = "school.example"
"""


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


def test_every_command_is_one_the_program_has(tmp_path: Path) -> None:
    for service in ours().values():
        command = service["command"]
        assert isinstance(command, list)
        done = in_here(tmp_path, *command[1:], "--help", env=environment(tmp_path, []))
        assert done.returncode == 0, done.stderr


def test_every_variable_is_a_setting_and_the_environment_is_production() -> None:
    for service in ours().values():
        environment = service["environment"]
        assert isinstance(environment, dict)
        names = {name.removeprefix("KIZASHI_").lower() for name in environment}
        assert names - {"settings_file"} <= set(Settings.model_fields)
        assert environment["KIZASHI_ENVIRONMENT"] == "production"


def test_nothing_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    assert re.findall(r"\$\{[A-Z_]+(?::-|-)", text) == []


def test_what_no_variable_says_is_in_a_file_every_process_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for service in ours().values():
        environment, volumes = service["environment"], service["volumes"]
        assert isinstance(environment, dict) and isinstance(volumes, list)
        file = Path(environment["KIZASHI_SETTINGS_FILE"])
        assert f"./{HERE}:{file.parent}:ro" in volumes
    assert f"/{HERE}/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()

    ours_file = tmp_path / file.name
    ours_file.write_text(FILE, "utf-8")
    monkeypatch.setenv("KIZASHI_SETTINGS_FILE", str(ours_file))
    example = (ROOT / ".env.example").read_text("utf-8")
    given = dict(line.split("=", 1) for line in example.splitlines() if not line.startswith("#"))
    given["KIZASHI_SECRET_KEYS"] = json.dumps([Fernet.generate_key().decode()])
    for name, value in given.items():
        if name.startswith("KIZASHI_"):
            monkeypatch.setenv(name, value)
    settings = Settings(environment="production")
    (address,) = settings.trusted_proxies
    (net,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert address == net["gateway"]
    assert settings.networks.keys() == {Role.NURSE}
    assert settings.second_factor_roles is not None
    assert settings.slack_bot_token is not None
    assert [one.name for one in settings.sign_in_providers] == ["google"]


def test_every_setting_is_in_the_operators_table() -> None:
    table = (ROOT / "docs" / "operations.md").read_text("utf-8").split("## Processes")[0]
    assert [name for name in Settings.model_fields if f"`{name}`" not in table] == []


def test_the_image_gets_every_package_and_what_it_copies_is_there() -> None:
    copied = re.findall(r"^COPY (?!--)(\S+)", DOCKERFILE, flags=re.M)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(copied)
    ignored = (ROOT / ".dockerignore").read_text("utf-8")
    assert [name for name in packages if f"!{name}" not in ignored] == []
