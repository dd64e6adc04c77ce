"""What is held on one child, in pieces that can each be shown or withheld.

A `Record` is one thing that happened or stands (an answer sheet, an alert, a note); its `Part`s are
what a person reads of it. A piece is named by a path: "section", "section/record" or
"section/record/part". Choices of the officer are made on pieces, and the narrowest one counts.

What has to do with a call for help is governed apart (`about_help`): to whom and about what a child
turned to an adult, the alert it raised, the record of it, who read it. Unless the child itself asks
or somebody has decided otherwise, all of that is left out together, and the file says the same
sentence whether there was anything or not; a blank or a black bar would tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

SECTIONS: dict[str, str] = {
    "registration": "登録情報",
    "answers": "回答",
    "consultation": "相談",
    "school": "学校の記録",
    "departments": "他部署からの情報",
    "lists": "リストと根拠",
    "reviews": "会議の判断",
    "follow_up": "見守りの記録",
    "alerts": "アラート",
    "looks": "だれが見たか",
    "consent": "同意・不同意と請求",
}
"""In the order of the file."""

HELP = "consultation"
"""The section whose choice governs everything about calls for help."""

HELP_SECTIONS = frozenset({HELP, "follow_up", "alerts", "looks", "departments"})
"""Where something about a call for help can stand, and so where the file says the sentence."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What a person reads. `sealed`: `text` is ciphertext, opened when the file is made.

    `closed`: not even the officer reads it before that. `ground`: withheld for this reason until
    somebody decides otherwise (not when the child itself asks).
    """

    name: str
    label: str
    text: str
    sealed: bool = False
    closed: bool = False
    ground: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One thing held. `on`: a day or instant in words. `source`: table or kind of event."""

    id: str
    section: str
    on: str
    title: str
    parts: tuple[Part, ...]
    source: str
    about_help: bool = False

    @property
    def piece(self) -> str:
        """Its path."""
        return f"{self.section}/{self.id}"


class Rulebook(msgspec.Struct, frozen=True):
    """What is withheld on one request: the officer's choices over the defaults.

    `choices`: piece -> ground, '' for shown. `by_child`: the child itself asks.
    """

    choices: Mapping[str, str]
    by_child: bool

    @property
    def help_ground(self) -> str:
        """Why calls for help are withheld; '' when they are shown."""
        return self.choices.get(HELP, "" if self.by_child else "harm")

    def ground(self, record: Record, part: Part) -> str:
        """Why this part is withheld; '' when it is shown."""
        narrow = (f"{record.piece}/{part.name}", record.piece)
        for piece in narrow:
            if piece in self.choices:
                return self.choices[piece]
        if record.about_help:
            return self.help_ground
        if record.section in self.choices:
            return self.choices[record.section]
        return "" if self.by_child else part.ground

    def by_default(self, record: Record, part: Part) -> bool:
        """Is this part withheld for its own ground, and by nobody's choice?"""
        places = {f"{record.piece}/{part.name}", record.piece, record.section}
        return bool(part.ground) and not self.by_child and places.isdisjoint(self.choices)

    def left_out(self, record: Record) -> bool:
        """Is the record not to be mentioned at all?"""
        if not (record.about_help and self.help_ground):
            return False
        return all(self.ground(record, part) for part in record.parts)

    def opens(self, piece: str, records: Sequence[Record]) -> bool:
        """Would showing this piece open what is withheld by default?

        Nothing is withheld by default when the child itself asks.
        """
        if self.by_child:
            return False
        return piece == HELP or any(
            f"{record.piece}/{part.name}".startswith(f"{piece}/")
            or f"{record.piece}/{part.name}" == piece
            for record in records
            for part in record.parts
            # A choice on a whole section does not reach what is about help in it.
            if ("/" in piece if record.about_help else part.ground)
        )

    def withholds(self, records: Sequence[Record]) -> bool:
        """Is anything withheld? What is withheld about help counts whether it exists or not."""
        return bool(self.help_ground) or any(
            self.ground(record, part) for record in records for part in record.parts
        )
