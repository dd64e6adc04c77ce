"""Settings: one source, and no unsafe value outside the demo."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from warning_service.settings import Settings


def test_production_without_keys_does_not_start() -> None:
    with pytest.raises(ValidationError, match="secret_keys is empty"):
        Settings()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"public_url": "http://kizashi.example"}, "public_url"),
        ({"allowed_hosts": ["*"]}, "allowed_hosts"),
        ({"slack_bot_token": "xoxb-1"}, "slack_signing_secret"),
        (
            {"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1", "slack_app_id": "A1"},
            "slack_team_id",
        ),
        (
            {"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1", "slack_team_id": "T1"},
            "slack_app_id",
        ),
        (
            {
                "slack_bot_token": "xoxb-1",
                "slack_signing_secret": "s",
                "slack_api_url": "http://chat.example/api/",
            },
            "slack_api_url",
        ),
        ({"database_url": "mysql://kizashi@database/kizashi"}, "database_url"),
        ({"staff_session_idle": -5}, "staff_session_idle"),
        ({"port": 99999}, "port"),
    ],
)
def test_each_unsafe_value_is_named(secret_key: str, change: dict[str, object], word: str) -> None:
    safe = {"secret_keys": [secret_key], "public_url": "https://kizashi.example"}
    Settings(**safe)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match=word):
        Settings(**{**safe, **change})  # type: ignore[arg-type]


def test_environment_comes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str
) -> None:
    file = tmp_path / "kizashi.toml"
    file.write_text(
        f'public_url = "https://from.file"\nport = 9000\nsecret_keys = ["{secret_key}"]\n'
    )
    monkeypatch.setenv("KIZASHI_SETTINGS_FILE", str(file))
    monkeypatch.setenv("KIZASHI_PORT", "9001")
    settings = Settings()
    assert (settings.port, settings.public_url) == (9001, "https://from.file")


def test_an_unknown_setting_in_the_file_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kizashi.toml"
    file.write_text('environment = "test"\nprot = 9000\n')
    monkeypatch.setenv("KIZASHI_SETTINGS_FILE", str(file))
    with pytest.raises(ValidationError, match="prot"):
        Settings()


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises((ValidationError, ValueError)):
        Settings(environment="test", secret_keys=["not a key"])  # type: ignore[list-item]


def test_a_misspelt_variable_is_refused_where_it_matters(
    monkeypatch: pytest.MonkeyPatch, secret_key: str
) -> None:
    safe = {"public_url": "https://kizashi.example", "secret_keys": [secret_key]}
    monkeypatch.setenv("KIZASHI_STAFF_SESION_IDLE", "60")
    with pytest.raises(ValidationError, match="KIZASHI_STAFF_SESION_IDLE is no setting"):
        Settings(**safe)  # type: ignore[arg-type]
    assert Settings(environment="test").staff_session_idle == 30 * 60


PROVIDER = {
    "name": "city", "board": "town", "people": "staff", "label": "市", "label_en": "City",
    "issuer": "https://id.example", "client_id": "c", "client_secret": "the client's secret",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"issuer": "http://id.example"}, "issuer of sign-in provider city"),
        ({"issuer": "https://id.example?x"}, "issuer"),
        ({"kind": "google"}, "hosted_domain"),
        ({"kind": "entra"}, "tenant"),
        ({"kind": "entra", "tenant": "common"}, "tenant"),
        ({"kind": "entra", "tenant": "organizations"}, "tenant"),
        ({"name": "City/../x"}, "name"),
        ({"people": "everybody"}, "people"),
        ({"secret": "misspelt"}, "secret"),
    ],
)
def test_a_sign_in_provider_that_would_let_anybody_in_is_refused(
    secret_key: str, change: dict[str, object], word: str
) -> None:
    safe = {"secret_keys": [secret_key], "public_url": "https://kizashi.example"}
    right = Settings(**safe, sign_in_providers=[PROVIDER])  # type: ignore[arg-type]
    assert "the client's secret" not in repr(right)
    with pytest.raises(ValidationError, match=word):
        Settings(**safe, sign_in_providers=[{**PROVIDER, **change}])  # type: ignore[arg-type]


def test_two_providers_of_one_name_are_refused(secret_key: str) -> None:
    with pytest.raises(ValidationError, match="the same name"):
        Settings(environment="test", sign_in_providers=[PROVIDER, PROVIDER])  # type: ignore[list-item]


def test_providers_come_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_key: str
) -> None:
    file = tmp_path / "kizashi.toml"
    lines = "\n".join(f'{key} = "{value}"' for key, value in PROVIDER.items())
    file.write_text(f'environment = "test"\n[[sign_in_providers]]\n{lines}\n')
    monkeypatch.setenv("KIZASHI_SETTINGS_FILE", str(file))
    assert [one.name for one in Settings().sign_in_providers] == ["city"]
