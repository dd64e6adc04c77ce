"""Deciding a disclosure: what is withheld and why, who agreed, and the leave to make the file.

The officer marks pieces; what concerns calls for help is withheld unless decided otherwise. Every
decision waits for a second person: either something is withheld, or sealed words about a call for
help are opened, and neither is for one person alone, not even when the child itself asks. The file
is made anew at the moment it is fetched, from what was held when the officer last looked it through
(`as_of`): so no opened copy of it lies about, and nothing that came later slips in unseen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select, update

from warning_service.access.principals import Principal
from warning_service.access.roles import Ability
from warning_service.access.sealing import CannotOpen
from warning_service.database import upsert
from warning_service.events.types import new_id
from warning_service.playbooks.service import Playbooks
from warning_service.rights.collect import collect
from warning_service.rights.file import Opened, archive
from warning_service.rights.held import HELP, SECTIONS, Part, Record, Rulebook
from warning_service.rights.service import Refused, Requests, View
from warning_service.rights.tables import request_choices, request_links
from warning_service.rights.terms import GROUNDS, AskedBy, Decision, Kind, State
from warning_service.roster import queries as roster

LINK_DAYS = 14
"""So long after a decision, or a renewal, the file can be made, once."""


class Withheld(msgspec.Struct, frozen=True, kw_only=True):
    """One line for the approver: what, why, and in whose words; never the content itself.

    `about_help`: the family is not to learn of the line, only of the sentence for all of it.
    """

    section: str
    what: str
    ground: str
    note: str
    about_help: bool = False


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """All that is held, with what is withheld of it, as of `as_of`."""

    records: list[Record]
    rules: Rulebook
    as_of: datetime

    def of(self, section: str) -> list[Record]:
        """Records of one section."""
        return [record for record in self.records if record.section == section]

    @property
    def withholds(self) -> bool:
        """Is anything withheld?"""
        return self.rules.withholds(self.records)

    def count(self, section: str) -> tuple[int, int]:
        """(records, records of which at least a part is withheld) of a section."""
        mine = self.of(section)
        hidden = sum(any(self.rules.ground(r, p) for p in r.parts) for r in mine)
        return len(mine), hidden


class Disclosures:
    """Works on requests for disclosure."""

    def __init__(self, requests: Requests, playbooks: Playbooks) -> None:
        self._requests = requests
        self._playbooks = playbooks
        self._log = requests.log
        self._database = requests.database

    # -- what is held, and what of it is withheld --------------------------------------------------

    def look(self, view: View) -> Look:
        """Everything held on the child, as of now or, once decided, as of then."""
        as_of = view.row.as_of or self._log.clock.now()
        with self._database.reading() as conn:
            records = collect(
                conn, self._playbooks.of(view.row.board), view.row.student, until=as_of
            )
        return Look(records=records, rules=self._rules(view), as_of=as_of)

    def _rules(self, view: View) -> Rulebook:
        return Rulebook(
            {row.piece: row.ground for row in self._choices(view)},
            view.asked_by is AskedBy.CHILD,
        )

    def _choices(self, view: View) -> Sequence[Any]:
        t = request_choices
        with self._database.reading() as conn:
            return conn.execute(
                select(t).where(t.c.request == view.row.id).order_by(t.c.piece)
            ).all()

    def text(self, view: View, part: Part) -> str | None:
        """A part's words for the officer's eyes; None: kept closed until the file is made."""
        if part.closed:
            return None
        return self._opened(view.row.student, part) if part.sealed else part.text

    def _opened(self, student: str, part: Part) -> str:
        if not part.sealed:
            return part.text
        try:
            return self._requests.sealer.open(student, part.text)
        except CannotOpen:
            return "(開けません。鍵がもうありません)"

    def mark(
        self, who: Principal, request: str, pieces: Iterable[str], ground: str, note: str = ""
    ) -> None:
        """Withhold `pieces` for `ground`, or with '' show them. Raises Refused, NotYours.

        Withholding needs a note, and so does showing what is withheld by default. A choice on a
        wider piece replaces those made before on what lies in it.
        """
        view = self._running(who, request)
        wanted = sorted(set(pieces))
        if not wanted:
            raise Refused("pieces")
        if ground and ground not in GROUNDS:
            raise Refused("ground")
        look = self.look(view)
        known = {record.piece for record in look.records}
        if any(not _names_something(piece, known) for piece in wanted):
            raise Refused("pieces")
        needed = bool(ground) or any(look.rules.opens(piece, look.records) for piece in wanted)
        sealed = self._requests.seal(view, note, needed="note" if needed else "")
        t, now = request_choices, self._log.clock.now()
        with self._database.writing() as conn:
            self._requests.change(conn, view)
            for piece in wanted:
                conn.execute(
                    delete(t).where(
                        t.c.request == request, t.c.piece.startswith(piece + "/", autoescape=True)
                    )
                )
                conn.execute(
                    upsert(conn, t, ["request", "piece"]).values(
                        request=request, piece=piece, ground=ground, sealed_note=sealed,
                        actor=who.key, at=now,
                    )
                )  # fmt: skip
            self._note(conn, who, "request_marked", view)

    def withheld(self, view: View) -> list[Withheld]:
        """What is withheld, line by line, for the one who has to approve. No content."""
        look = self.look(view)
        titles = {record.piece: record for record in look.records}
        found = []
        chosen = self._choices(view)
        if HELP not in {row.piece for row in chosen} and look.rules.help_ground:
            found.append(
                Withheld(
                    section=SECTIONS[HELP],
                    what="",
                    ground=look.rules.help_ground,
                    note="",
                    about_help=True,
                )
            )
        # What has a default ground, and no choice over it: a line for each section and label.
        defaults = dict.fromkeys(
            (record.section, part.label, part.ground)
            for record in look.records
            if not record.about_help
            for part in record.parts
            if look.rules.by_default(record, part)
        )
        for section, label, ground in defaults:
            found.append(Withheld(section=SECTIONS[section], what=label, ground=ground, note=""))
        for row in chosen:
            if row.ground:
                found.append(self._line(view, row, titles))
        return found

    def opened(self, view: View) -> list[Withheld]:
        """What the officer shows against the default, each with its note, for the approver's eyes.

        First of all, and without a choice, calls for help when the child itself asks.
        """
        look, chosen = self.look(view), self._choices(view)
        titles = {record.piece: record for record in look.records}
        found = []
        if look.rules.by_child and not look.rules.help_ground:
            found.append(
                Withheld(section=SECTIONS[HELP], what="", ground="", note="", about_help=True)
            )
        return found + [
            self._line(view, row, titles)
            for row in chosen
            if not row.ground and look.rules.opens(row.piece, look.records)
        ]

    def tells_of_help(self, view: View) -> bool:
        """Did the child itself ask, and have two people decided to tell it all about its calls?"""
        agreed = view.state in (State.DECIDED, State.CLOSED) and bool(view.row.approved_by)
        given = view.kind is Kind.DISCLOSURE and view.row.decision in (Decision.FULL, Decision.PART)
        if not (agreed and given and view.asked_by is AskedBy.CHILD):
            return False
        rules = self._rules(view)
        marked = any(
            ground and piece.split("/")[0] == "looks" for piece, ground in rules.choices.items()
        )
        return not rules.help_ground and not marked

    def _line(self, view: View, row: Any, titles: dict[str, Record]) -> Withheld:
        section, _, rest = row.piece.partition("/")
        record = titles.get("/".join(row.piece.split("/")[:2])) if rest else None
        what = "" if record is None else f"{record.on} {record.title}".strip()
        name = row.piece.split("/")[2] if row.piece.count("/") == 2 else ""
        if record is not None and name:
            label = next((part.label for part in record.parts if part.name == name), name)
            what = f"{what} {label}"
        return Withheld(
            section=SECTIONS[section], what=what, ground=row.ground,
            note=self._requests.words(view, row.sealed_note),
            about_help=row.piece == HELP or (record is not None and record.about_help),
        )  # fmt: skip

    # -- deciding ------------------------------------------------------------------------------

    def decide(
        self, who: Principal, request: str, decision: str, *, as_of: datetime, reason: str = ""
    ) -> Decision:
        """Decide; the request then waits for a second person.

        `decision`: "file" (what the marks say: all or part), `none` or `no_answer`. `as_of`: when
        the officer was shown what is held. Raises Refused, NotYours.
        """
        view = self._running(who, request)
        now = self._log.clock.now()
        if not view.row.created_at <= as_of <= now:
            raise Refused("as_of")
        if decision not in {"file", Decision.NONE, Decision.NO_ANSWER}:
            raise Refused("decision")
        withholds = self.look(view).withholds
        if decision == "file":
            made = Decision.PART if withholds else Decision.FULL
        else:
            made, withholds = Decision(decision), True
        sealed = self._requests.seal(view, reason, needed="reason" if withholds else "")
        with self._database.writing() as conn:
            self._requests.change(
                conn, view, state=State.WAITING, decision=made, as_of=as_of, sealed_reason=sealed,
                decided_by=who.key, decided_at=now,
            )  # fmt: skip
            self._requests.step(conn, request, who, "decided", detail=made.value)
            self._note(conn, who, "request_decided", view)
        return made

    def approve(self, who: Principal, request: str) -> None:
        """A second person agrees. Raises NotYours for the one who decided."""
        view = self._requests.for_approval(who, request)
        now = self._log.clock.now()
        with self._database.writing() as conn:
            self._requests.change(
                conn, view, state=State.DECIDED, approved_by=who.key, approved_at=now
            )
            self._requests.step(conn, request, who, "approved")
            if view.row.decision in (Decision.FULL, Decision.PART):
                self._link(conn, request, who, now)
            self._note(conn, who, "request_approved", view, using=Ability.APPROVE_REQUESTS)

    def send_back(self, who: Principal, request: str, reason: str) -> None:
        """A second person does not agree, and says why. Raises NotYours, Refused."""
        view = self._requests.for_approval(who, request)
        sealed = self._requests.seal(view, reason, needed="reason")
        with self._database.writing() as conn:
            self._requests.change(
                conn, view, state=State.OPEN, decision="", as_of=None, sealed_reason="",
                decided_by="", decided_at=None,
            )  # fmt: skip
            self._requests.step(conn, request, who, "sent_back", sealed=sealed)
            self._note(conn, who, "request_sent_back", view, using=Ability.APPROVE_REQUESTS)

    def _note(
        self,
        conn: Connection,
        who: Principal,
        action: str,
        view: View,
        *,
        using: Ability = Ability.HANDLE_REQUESTS,
    ) -> None:
        """The step's line on the trail, last in the transaction that makes it."""
        self._requests.people.write(conn, who, action, view.row.student, view.row.id, using=using)

    def _running(self, who: Principal, request: str) -> View:
        view = self._requests.running(who, request)
        if view.kind is not Kind.DISCLOSURE:
            raise Refused("kind")
        return view

    # -- the file ------------------------------------------------------------------------------

    def _link(self, conn: Connection, request: str, who: Principal, now: datetime) -> None:
        conn.execute(
            request_links.insert().values(
                id=new_id(), request=request, made_by=who.key, made_at=now,
                until=now + timedelta(days=LINK_DAYS), used_by="", sha256="",
            )
        )  # fmt: skip

    def link(self, view: View) -> Any | None:
        """The newest leave to make the file, used or not; None before the decision stands."""
        t = request_links
        with self._database.reading() as conn:
            return conn.execute(
                select(t).where(t.c.request == view.row.id).order_by(t.c.made_at.desc()).limit(1)
            ).one_or_none()

    def renew(self, who: Principal, request: str, reason: str) -> None:
        """Another leave, when the file was lost or nobody fetched it. Raises Refused."""
        view = self._requests.one(who, request)
        if view.state is not State.DECIDED or self.link(view) is None:
            raise Refused("state")
        sealed = self._requests.seal(view, reason, needed="reason")
        with self._database.writing() as conn:
            self._requests.change(conn, view)
            self._link(conn, request, who, self._log.clock.now())
            self._requests.step(conn, request, who, "renewed", sealed=sealed)
            self._note(conn, who, "request_renewed", view)

    def make(self, who: Principal, request: str, link: str) -> bytes:
        """The archive, once for each leave. Raises Refused when it is used or too old, NotYours.

        The leave is used up, and the line is on the trail, before anything is opened: two hands get
        one file between them.
        """
        view = self._requests.one(who, request)
        now, t = self._log.clock.now(), request_links
        if view.state is not State.DECIDED:
            raise Refused("state")
        with self._database.writing() as conn:
            self._requests.change(conn, view)
            taken = conn.execute(
                update(t)
                .where(t.c.id == link, t.c.request == request, t.c.used_at.is_(None))
                .where(t.c.until > now)
                .values(used_at=now, used_by=who.key)
                .returning(t.c.id)
            ).first()
            if taken is None:
                raise Refused("link")
            self._requests.step(conn, request, who, "file_made")
            self._note(conn, who, "disclosure_file", view)
        look = self.look(view)
        with self._database.reading() as conn:
            board = roster.board(conn, view.row.board)
        made = archive(
            Opened(
                records=look.records, rules=look.rules, as_of=look.as_of, made_at=now,
                reference=view.reference, board="" if board is None else board.name,
                decided_on=view.row.decided_at,
                open=lambda part: self._opened(view.row.student, part),
            )
        )  # fmt: skip
        with self._database.writing() as conn:
            conn.execute(
                update(t).where(t.c.id == link).values(sha256=hashlib.sha256(made).hexdigest())
            )
        return made


def _names_something(piece: str, known: set[str]) -> bool:
    if piece in SECTIONS:
        return True
    return "/".join(piece.split("/")[:2]) in known and piece.count("/") <= 2
