"""The twelve pictures of a child's secret, and how three of them are written down."""

from __future__ import annotations

from warning_service.access.child_secrets import Pictures

PICTURES: dict[str, tuple[str, str]] = {
    "cat": ("ねこ", "Cat"),
    "dog": ("いぬ", "Dog"),
    "fish": ("さかな", "Fish"),
    "sun": ("たいよう", "Sun"),
    "star": ("ほし", "Star"),
    "flower": ("はな", "Flower"),
    "tree": ("き", "Tree"),
    "apple": ("りんご", "Apple"),
    "boat": ("ふね", "Boat"),
    "car": ("くるま", "Car"),
    "house": ("いえ", "House"),
    "umbrella": ("かさ", "Umbrella"),
}
"""Id -> name in Japanese and English; the drawing of that id is in static/pictures.svg."""

LENGTH = 3
PICTURES_OF_SECRETS = Pictures(tuple(PICTURES), LENGTH)


def picked(text: str) -> list[str]:
    """The pictures in a text like `cat-sun`; what is not a picture is left out."""
    return [one for one in text.split("-") if one in PICTURES][:LENGTH]


def secret(pictures: list[str]) -> str:
    """The secret as it is hashed: the ids in the order of picking, joined by hyphens."""
    return "-".join(pictures)
