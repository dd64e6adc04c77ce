"""The twelve pictures of which three are a young child's secret: their ids and names.

The drawing of an id is in student_checkin/static/pictures.svg.
"""

from __future__ import annotations

from warning_service.access.doors.child_secrets import Pictures

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
"""Id -> name in Japanese and English."""

LENGTH = 3
PICTURES_OF_SECRETS = Pictures(tuple(PICTURES), LENGTH)
