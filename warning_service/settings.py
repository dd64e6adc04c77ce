"""All settings of one installation, in one place, read once at start.

Values come from environment variables (`KIZASHI_…`) and, below them, from the TOML file named by
`KIZASHI_SETTINGS_FILE` (default `kizashi.toml` in the working directory). Outside the demo and the
tests an unsafe value is an error at start, not a warning in a log nobody reads.

This is not the place for how a board works: that is its playbook.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from cryptography.fernet import Fernet
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

Environment = Literal["production", "demo", "test"]


class UnsafeSettings(ValueError):
    """A value that is fine in a demo would endanger children's data here."""


class Settings(BaseSettings):
    """One installation's settings. Durations are seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="KIZASHI_", extra="forbid", frozen=True)

    environment: Environment = "production"
    data_dir: Path = Path("var")
    database_url: str = Field(
        default="",
        description="SQLAlchemy URL. Empty: SQLite in data_dir (names in a file of their own).",
    )
    public_url: str = Field(
        default="http://127.0.0.1:8000",
        description="Where people reach the portal; links in chat messages begin with it.",
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    allowed_hosts: list[str] = Field(default_factory=lambda: ["127.0.0.1", "localhost"])
    secret_keys: list[SecretStr] = Field(
        default_factory=list,
        description="Fernet keys, newest first. Older ones still open what they sealed.",
    )
    intake_queue: int = Field(default=4000, ge=1, description="Check-ins waiting for a commit.")
    intake_batch: int = Field(default=500, ge=1, description="Check-ins in one transaction.")
    staff_session_idle: int = Field(default=30 * 60, ge=60)
    staff_session_longest: int = Field(default=10 * 3600, ge=60)
    child_session_longest: int = Field(default=50 * 60, ge=60)
    slack_api_url: str = "https://slack.com/api/"
    slack_bot_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = None
    chat_names_class: bool = Field(
        default=False,
        description="May a chat message name the class? (A class of one names the child.)",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then the TOML file; no .env file is ever read."""
        file = Path(os.environ.get("KIZASHI_SETTINGS_FILE", "kizashi.toml"))
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file))

    @property
    def sqlalchemy_url(self) -> str:
        """The URL in force; the embedded default is a file below `data_dir`."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'kizashi.db').absolute()}"

    @property
    def is_sqlite(self) -> bool:
        """True for the embedded database."""
        return self.sqlalchemy_url.startswith("sqlite")

    @model_validator(mode="after")
    def _refuse_unsafe(self) -> Settings:
        for key in self.secret_keys:
            Fernet(key.get_secret_value())  # raises ValueError for anything that is not a key
        if not self.sqlalchemy_url.startswith(
            ("sqlite:///", "postgresql://", "postgresql+psycopg://")
        ):
            raise ValueError("database_url begins neither with postgresql:// nor with sqlite:///")
        if self.environment != "production":
            return self
        unsafe = [f"{name} is no setting (a misspelt one is not in force)" for name in _strays()]
        if not self.secret_keys:
            unsafe.append("secret_keys is empty: what children write could not be sealed")
        if not self.public_url.startswith("https://"):
            unsafe.append("public_url does not begin with https://")
        if "*" in self.allowed_hosts:
            unsafe.append("allowed_hosts contains '*'")
        if self.slack_bot_token and not self.slack_signing_secret:
            unsafe.append("slack_bot_token is set but slack_signing_secret is not")
        if self.slack_bot_token and not self.slack_api_url.startswith("https://"):
            unsafe.append("slack_api_url does not begin with https://: its token would be readable")
        if unsafe:
            raise UnsafeSettings("unsafe outside the demo: " + "; ".join(unsafe))
        return self


def _strays() -> list[str]:
    """Environment variables that look like settings and are none."""
    known = {f"KIZASHI_{name.upper()}" for name in Settings.model_fields}
    known.add("KIZASHI_SETTINGS_FILE")
    return sorted(n for n in os.environ if n.startswith("KIZASHI_") and n.upper() not in known)
