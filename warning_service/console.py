"""What all commands share: where they print, and the settings or a plain refusal."""

from __future__ import annotations

import typer
from pydantic import ValidationError
from rich.console import Console

from warning_service import logs
from warning_service.settings import Settings, UnsafeSettings

out = Console()
err = Console(stderr=True)


def settings_or_exit() -> Settings:
    """The settings in force. Raises typer.Exit(2) after saying what is not fit about them."""
    try:
        settings = Settings()
    except (ValidationError, UnsafeSettings, ValueError) as error:
        err.print("[bold]The settings are not fit to run with:[/bold]")
        for line in _reasons(error):
            err.print(f"  - {line}")
        raise typer.Exit(2) from error
    logs.configure(settings.log_level)
    return settings


def _reasons(error: Exception) -> list[str]:
    if isinstance(error, ValidationError):
        return [
            f"{'.'.join(str(part) for part in one['loc']) or 'settings'}: {one['msg']}"
            for one in error.errors(include_input=False, include_url=False)
        ]
    return [str(error)]
