"""A child's own secret: three pictures for the young, digits for the older.

Either is too small for a slow hash to protect it, so what is kept is a keyed hash under the child's
own data key, and guessing is held up by counting (tries.py). Which of the two a child has stands
before the hash, because the door has to show the right keys before it knows who comes; it changes
only when the child is given a new secret. Secrets are made here and shown once, on paper.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import pairwise

import msgspec

from warning_service.access.sealing import Sealer
from warning_service.access.trail.audit import Note
from warning_service.database import Database
from warning_service.playbooks.model import SignIn
from warning_service.roster import bulk

_DIGITS = "digits$"


class Kind(StrEnum):
    """What a child presses or types."""

    PICTURES = "pictures"
    DIGITS = "digits"


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A new secret, for the card: `cat-sun-boat` or `4821`."""

    student: str
    seat: int
    kind: Kind
    secret: str

    @property
    def parts(self) -> list[str]:
        """The pictures' ids, or the digits, in the order of pressing."""
        return self.secret.split("-") if self.kind is Kind.PICTURES else list(self.secret)


class Pictures(msgspec.Struct, frozen=True):
    """The ids of the pictures there are, and how many make a secret."""

    ids: tuple[str, ...]
    length: int


def kind_of(stored: str) -> Kind:
    """What kind of secret a stored hash is of ('' of none: pictures are shown, none fits)."""
    return Kind.DIGITS if stored.startswith(_DIGITS) else Kind.PICTURES


def fits(sealer: Sealer, student: str, secret: str, stored: str) -> bool:
    """Is `secret` the one whose hash is stored? Nothing fits ''."""
    return bool(stored) and sealer.fits(student, secret, stored.removeprefix(_DIGITS))


def is_easy(secret: Sequence[str]) -> bool:
    """All the same, or digits in a row up or down: what a classmate would try first."""
    if len(set(secret)) == 1:
        return True
    if not all(one.isdigit() for one in secret):
        return False
    steps = {int(b) - int(a) for a, b in pairwise(secret)}
    return steps in ({1}, {-1})


def new_secret(pictures: Pictures, rules: SignIn, grade: int) -> tuple[Kind, str]:
    """A random secret of the kind the board has for that grade (1-9)."""
    digits = grade >= rules.digits_from_grade
    choices: Sequence[str] = "0123456789" if digits else pictures.ids
    while True:
        made = [secrets.choice(choices) for _ in range(rules.digits if digits else pictures.length)]
        if not is_easy(made):
            return (Kind.DIGITS, "".join(made)) if digits else (Kind.PICTURES, "-".join(made))


def give(
    database: Database,
    sealer: Sealer,
    pictures: Pictures,
    rules: SignIn,
    *,
    grade: int,
    seats: Mapping[str, int],
    note: Note,
) -> list[Made]:
    """New secrets for these children of one grade (student -> number), by number.

    They are in force when this returns, the former ones are not any more, and only their hashes
    are kept. `note` runs as the last thing of the transaction that puts them in force: it holds
    whatever else belongs to it, the line on the trail at the end.
    """
    made = []
    for student, seat in sorted(seats.items(), key=lambda one: one[1]):
        kind, secret = new_secret(pictures, rules, grade)
        made.append(Made(student=student, seat=seat, kind=kind, secret=secret))
    sealer.make_keys([one.student for one in made])
    hashes = {
        one.student: (_DIGITS if one.kind is Kind.DIGITS else "")
        + sealer.mac(one.student, one.secret)
        for one in made
    }
    with database.writing() as conn:
        bulk.put_child_secrets(conn, hashes)
        note(conn)
    return made
