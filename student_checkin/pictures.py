"""How the three pictures of a child's secret come from a form, and how they are written down."""

from __future__ import annotations

from warning_service.access.doors.pictures import LENGTH, PICTURES

__all__ = ["LENGTH", "PICTURES", "picked", "secret"]


def picked(text: str) -> list[str]:
    """The pictures in a text like `cat-sun`; what is not a picture is left out."""
    return [one for one in text.split("-") if one in PICTURES][:LENGTH]


def secret(pictures: list[str]) -> str:
    """The secret as it is hashed: the ids in the order of picking, joined by hyphens."""
    return "-".join(pictures)
