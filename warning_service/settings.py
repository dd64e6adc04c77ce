"""All settings of one installation, in one place, read once at start.

Values come from environment variables (`KIZASHI_…`) and, below them, from the TOML file named by
`KIZASHI_SETTINGS_FILE` (default `kizashi.toml` in the working directory). Outside the demo and the
tests an unsafe value is an error at start, not a warning in a log nobody reads.

This is not the place for how a board works: that is its playbook.
"""

from __future__ import annotations

import os
import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from cryptography.fernet import Fernet
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from warning_service.access.roles import Role
from warning_service.channel_settings import (
    GOOGLE_CHAT_HOSTS,
    LINE_WORKS_HOSTS,
    TEAMS_HOSTS,
    GoogleChatSettings,
    LineWorksSettings,
    MailSettings,
    TeamsSettings,
    WebhookSettings,
    WebPushSettings,
    unsafe_address,
    unsafe_mail,
)

Environment = Literal["production", "demo", "test"]

STAFF_ROLES = frozenset(Role) - {Role.CHILD}
POWERFUL_ROLES = frozenset({Role.AUDITOR, Role.PRIVACY, Role.ACCOUNTS})
"""What one stolen password of theirs would open is most of a board."""


class UnsafeSettings(ValueError):
    """A value that is fine in a demo would endanger children's data here."""


class SignInProvider(BaseModel):
    """An OpenID Connect provider whose accounts open one board's doors, the staff's or the child's.

    A provider speaks for one board only: what it says about anybody else's people counts nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9-]{1,32}$", description="Part of addresses here.")
    board: str
    people: Literal["staff", "children"]
    kind: Literal["google", "entra", "generic"] = "generic"
    label: str = Field(min_length=1, description="On the button, in Japanese.")
    label_en: str = Field(min_length=1)
    issuer: str = Field(pattern=r"^https?://[^?#\s]+$")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    hosted_domain: str = Field(default="", description="google: what `hd` must be.")
    tenant: str = Field(default="", description="entra: what `tid` must be.")
    second_factor: list[str] = Field(
        default_factory=list, description="Values of amr or acr that are a second factor here."
    )

    @model_validator(mode="after")
    def _whose(self) -> SignInProvider:
        # Without these any account in the world of that provider would be as good as the board's.
        if self.kind == "google" and not self.hosted_domain:
            raise ValueError(f"sign-in provider {self.name}: google needs hosted_domain")
        if self.kind == "entra" and not re.fullmatch(
            r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", self.tenant
        ):
            raise ValueError(f"sign-in provider {self.name}: entra needs tenant, the id of one")
        return self


class Settings(BaseSettings):
    """One installation's settings. Durations are seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="KIZASHI_", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    environment: Environment = "production"
    data_dir: Path = Path("var")
    database_url: str = Field(
        default="",
        description="SQLAlchemy URL. Empty: SQLite in data_dir (names in a file of their own).",
    )
    row_security: bool = Field(
        default=True,
        description="PostgreSQL: hold each page's reads to its reader's scope a second time, in the"
        " database. False only where its administrator will not make the two roles it needs.",
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
    trail_keys: list[SecretStr] = Field(
        default_factory=list,
        description="Keys that were in secret_keys. They prove older rows of the audit trail and do"
        " nothing else: what they sealed otherwise has been wrapped anew by `kizashi rewrap`.",
    )
    pool_keys: list[SecretStr] = Field(
        default_factory=list,
        description="Fernet keys that all boards of a pool share, newest first: what one tells of"
        " its model is sealed with the first, and believed under any.",
    )
    intake_queue: int = Field(default=4000, ge=1, description="Check-ins waiting for a commit.")
    intake_batch: int = Field(default=500, ge=1, description="Check-ins in one transaction.")
    staff_session_idle: int = Field(default=30 * 60, ge=60)
    staff_session_longest: int = Field(default=10 * 3600, ge=60)
    child_session_longest: int = Field(default=50 * 60, ge=60)
    shared_session_idle: int = Field(
        default=10 * 60,
        ge=120,
        description="A child's session on a class's tablet ends that long after the last page.",
    )
    second_factor_roles: frozenset[Role] | None = Field(
        default=None,
        description="Duties that need a second factor. Not given: all of the staff's, in the demo"
        " a few; an account that has a factor always shows it.",
    )
    networks: dict[Role, list[IPv4Network | IPv6Network]] = Field(
        default_factory=dict,
        description="Where a duty is in force from; a role that is not named: from everywhere.",
    )
    trusted_proxies: list[str] = Field(
        default_factory=list,
        description="Addresses or networks whose X-Forwarded-For is believed. None: nobody's.",
    )
    sign_in_providers: list[SignInProvider] = Field(
        default_factory=list, description="Tables [[sign_in_providers]] of the settings file."
    )
    slack_api_url: str = "https://slack.com/api/"
    slack_bot_token: SecretStr | None = None
    slack_signing_secret: SecretStr | None = Field(
        default=None, description="Proves that a pressed button's request is Slack's."
    )
    slack_app_token: SecretStr | None = Field(
        default=None,
        description="App-level token (xapp-…): pressed buttons come through a connection that we"
        " open (Socket Mode), for networks that nobody can reach from outside.",
    )
    slack_team_id: str = Field(
        default="", pattern=r"^([TE][A-Z0-9]{1,30})?$", description="Id of the workspace (T…)."
    )
    slack_app_id: str = Field(
        default="", pattern=r"^(A[A-Z0-9]{1,30})?$", description="Id of our app in it (A…)."
    )
    teams: TeamsSettings | None = None
    google_chat: GoogleChatSettings | None = None
    line_works: LineWorksSettings | None = None
    webhook: WebhookSettings | None = None
    mail: MailSettings | None = None
    web_push: WebPushSettings | None = None
    channel_hosts: list[str] = Field(
        default_factory=list,
        description="Hosts of this house's own network that channels may call.",
    )
    channel_ca_file: Path | None = Field(
        default=None, description="PEM file of an authority of the house that channels believe too."
    )
    chat_names_class: bool = Field(
        default=False,
        description="May a chat message name the class? (A class of one names the child.)",
    )
    family_sees_staff_names: bool = Field(
        default=False,
        description="Does the page a family may ask for (who looked at its child) name staff? "
        "False: only their duty.",
    )
    heartbeat_url: str = Field(
        default="",
        description="Asked for (GET, nothing in it) by the watchman every minute while all adds up."
        " Whoever answers there says so when nobody asks any more. Empty: no such address.",
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

    @property
    def roles_with_second_factor(self) -> frozenset[Role]:
        """Duties that need a second factor; in tests none unless a test says so."""
        if self.second_factor_roles is not None:
            return self.second_factor_roles
        by_default = {"production": STAFF_ROLES, "demo": POWERFUL_ROLES}
        return by_default.get(self.environment, frozenset())

    @model_validator(mode="after")
    def _refuse_unsafe(self) -> Settings:
        for key in (*self.secret_keys, *self.trail_keys, *self.pool_keys):
            Fernet(key.get_secret_value())  # raises ValueError for anything that is not a key
        if not self.sqlalchemy_url.startswith(
            ("sqlite:///", "postgresql://", "postgresql+psycopg://")
        ):
            raise ValueError("database_url begins neither with postgresql:// nor with sqlite:///")
        if Role.CHILD in self.networks:
            raise ValueError("networks: a child may ask for help from everywhere")
        names = [provider.name for provider in self.sign_in_providers]
        if len(names) != len(set(names)):
            raise ValueError("two of sign_in_providers have the same name")
        if self.environment == "production" and (unsafe := self._unsafe()):
            raise UnsafeSettings("unsafe outside the demo: " + "; ".join(unsafe))
        return self

    def _unsafe(self) -> list[str]:
        unsafe = [f"{name} is no setting (a misspelt one is not in force)" for name in _strays()]
        if not self.secret_keys:
            unsafe.append("secret_keys is empty: what children write could not be sealed")
        if not self.public_url.startswith("https://"):
            unsafe.append("public_url does not begin with https://")
        if "*" in self.allowed_hosts:
            unsafe.append("allowed_hosts contains '*'")
        if self.slack_bot_token and not (self.slack_signing_secret or self.slack_app_token):
            unsafe.append(
                "slack_bot_token is set but slack_signing_secret (or slack_app_token) is not"
            )
        unsafe += [
            f"slack_bot_token is set but {name} is not: anybody's workspace would be ours"
            for name in ("slack_team_id", "slack_app_id")
            if self.slack_bot_token and not getattr(self, name)
        ]
        if self.slack_bot_token and not self.slack_api_url.startswith("https://"):
            unsafe.append("slack_api_url does not begin with https://: its token would be readable")
        if self.heartbeat_url and not self.heartbeat_url.startswith("https://"):
            unsafe.append("heartbeat_url does not begin with https://")
        if missing := (POWERFUL_ROLES | {Role.OPERATOR}) - self.roles_with_second_factor:
            unsafe.append(f"second_factor_roles leaves out {', '.join(sorted(missing))}")
        if "*" in self.trusted_proxies:
            unsafe.append("trusted_proxies contains '*': anybody could claim any address")
        unsafe += self._unsafe_channels()
        return unsafe + [
            f"issuer of sign-in provider {provider.name} does not begin with https://"
            for provider in self.sign_in_providers
            if not provider.issuer.startswith("https://")
        ]

    def _unsafe_channels(self) -> list[str]:
        own = self.channel_hosts
        found: list[str] = list(unsafe_mail(self.mail)) if self.mail else []
        for name, address in self.teams.webhooks.items() if self.teams else ():
            found += unsafe_address(f"teams.{name}", address, services=TEAMS_HOSTS, own=own)
        for name, address in self.google_chat.webhooks.items() if self.google_chat else ():
            what = f"google_chat.{name}"
            found += unsafe_address(what, address, services=GOOGLE_CHAT_HOSTS, own=own)
        for name, target in self.webhook.targets.items() if self.webhook else ():
            found += unsafe_address(f"webhook.{name}", target.url, services=None, own=own)
        if line := self.line_works:
            for part, address in (("auth_url", line.auth_url), ("api_url", line.api_url)):
                what = f"line_works.{part}"
                found += unsafe_address(what, address, services=LINE_WORKS_HOSTS, own=own)
        return found


def _strays() -> list[str]:
    """Environment variables that look like settings and are none."""
    known = {f"KIZASHI_{name.upper()}" for name in Settings.model_fields}
    known.add("KIZASHI_SETTINGS_FILE")
    return sorted(n for n in os.environ if n.startswith("KIZASHI_") and n.upper() not in known)
