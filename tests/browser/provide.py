"""Finds or installs a Chromium for the browser tests, and a Japanese font for the screenshots.

In this order: one on the system, one that playwright downloads, one from Debian's packages (as
root). If none can be had, the browser tests fail with that sentence; they never skip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

MISSING = (
    "No Chromium: none is on the system, `playwright install chromium` could not fetch one, and"
    " apt (as root on Debian) could not install one. The browser tests need one."
)


def chromium() -> str | None:
    """The path of a Chromium that is there, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def _quietly(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=400, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _apt(*packages: str) -> bool:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    _quietly("apt-get", "update", "-qq")
    return _quietly("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages)


def _has_japanese_font() -> bool:
    if shutil.which("fc-list") is None:
        return False
    done = subprocess.run(["fc-list", ":lang=ja"], capture_output=True, check=False)
    return bool(done.stdout.strip())


def provide() -> str | None:
    """The path of a Chromium, installing one if need be; None when that is impossible."""
    if found := chromium():
        if not _has_japanese_font():
            _apt("fonts-noto-cjk", "fontconfig")
        return found
    if _quietly(sys.executable, "-m", "playwright", "install", "chromium") and (
        found := chromium()
    ):
        return found
    _apt("chromium", "fonts-noto-cjk", "fontconfig")
    return chromium()


if __name__ == "__main__":
    where = provide()
    # Not an error here: the browser tests themselves fail with the sentence.
    print(f"Chromium: {where}" if where else MISSING)
