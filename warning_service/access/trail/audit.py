"""The audit trail: who looked at what and who changed what, sealed with a key that is not in it.

Each row bears a seal over its own content and its number, and a hash that covers the row before
it; both are keyed (HMAC), with keys made from the installation's `secret_keys`. Whoever can write
to the database but has no key can therefore neither change a row, nor take one out, nor put one in,
nor exchange two, without `verify` naming the place. That the end was not cut off is shown by the
head: number and hash of the last row, sealed in the same way and kept beside the trail. Rows cannot
be sealed anew when a key is exchanged; the old one proves them from `trail_keys`.

What this cannot show by itself is that somebody put trail *and* head back to an earlier, true state
(an old backup). For that, keep heads elsewhere: `kizashi verify` and `kizashi backup` print them,
the scheduler logs one a day, and `kizashi verify --head` holds the trail against one of them.

Rows hold keys and ids: no names, answers, scores or notes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, text

from warning_service.access.principals import Principal
from warning_service.access.retention import leave_to_delete
from warning_service.access.roles import OFFICES, PURPOSES, Ability
from warning_service.access.tables import audit
from warning_service.clock import Clock
from warning_service.database import Database, upsert
from warning_service.events.tables import facts
from warning_service.settings import Settings

AUDIT_LOCK = 0x6B697A62
HEAD = "audit_head"
"""The fact that holds the sealed head."""

BEGINNING = "audit_beginning"
"""The fact that holds, sealed, the last row that retention took away: the chain goes on from it."""

HEAD_DID_NOT_FIT = "head_did_not_fit"
"""Written by the trail itself when it finds its end other than the head says."""

SYSTEM = "system:trail"
REFUSED = "refused:"
"""What an action begins with when somebody wanted it and was not allowed."""

_KEY = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_.:/{}-]{0,79}", re.ASCII)
_AT_ONCE = 5000
MOST_FAULTS = 1000
"""`verify` names so many faults and then stops: a trail with more is no trail."""


Note = Callable[[Connection], None]
"""Puts a line on the trail in the transaction that makes the change, as the last thing there."""


def unnoted(conn: Connection) -> None:
    """No line: for the demo's made-up accounts, and for what another line already tells."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One line for the trail. `purpose`: a value of roles.Purpose; `duty`: the role(s) used."""

    board: str
    actor: str
    action: str
    subject: str
    detail: str = ""
    purpose: str = ""
    duty: str = ""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A place where the trail is not as it was written. `seq`: the row it is about."""

    seq: int
    words: str


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Number and hash of the last row. As text `<number>-<first half of the hash>`."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}-{self.hash[:32]}"


class _SealedHead(msgspec.Struct, frozen=True, kw_only=True):
    seq: int
    hash: str
    key: str
    seal: str


class TrailKeys:
    """The keys of the trail, made from `secret_keys`: the newest seals, all of them verify.

    Those of `trail_keys` verify rows only. An end of the trail (see `_end_told`) that they sealed
    is not believed: a key that was exchanged because it leaked must not make the trail longer, nor
    say that retention shortened it.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.secret_keys:
            raise ValueError("no secret_keys: the audit trail could not be sealed")
        self._keys: dict[str, bytes] = {}
        for given in (*settings.secret_keys, *settings.trail_keys):
            key = hmac.digest(given.get_secret_value().encode(), b"kizashi audit trail", "sha256")
            self._keys.setdefault(hashlib.sha256(key).hexdigest()[:8], key)
        self.newest = next(iter(self._keys))
        self._sealing = frozenset(list(self._keys)[: len(set(settings.secret_keys))])

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def seals_ends(self, key: str) -> bool:
        """Is this a key whose word on where the trail begins and ends counts?"""
        return key in self._sealing

    def mac(self, key: str, what: bytes) -> str:
        """HMAC-SHA256 of `what` with the key of that id, in hex. Raises KeyError."""
        return hmac.digest(self._keys[key], what, "sha256").hex()


class Trail:
    """Writes to the trail. Safe to share between threads."""

    def __init__(self, database: Database, clock: Clock, keys: TrailKeys) -> None:
        self._database = database
        self._clock = clock
        self.keys = keys

    def note(
        self,
        who: Principal,
        action: str,
        subjects: Sequence[str],
        detail: str = "",
        *,
        using: Ability | None = None,
    ) -> None:
        """Put a look or change of a signed-in person on the trail, one row for each subject.

        `using`: the ability it was done with; it says for which purpose and by which duty.
        Raises StorageUnavailable: then nothing may be shown (fail closed).
        """
        self.record([self.look(who, action, one, detail, using=using) for one in subjects])

    def look(
        self,
        who: Principal,
        action: str,
        subject: str,
        detail: str = "",
        *,
        using: Ability | None = None,
        duty: str = "",
    ) -> Look:
        """The line for the trail, for `record` or `write`. `duty`: the role, where it is known."""
        if action.startswith(REFUSED) and not _KEY.fullmatch(subject):
            subject = "?"  # what stood in an address need not be a key: somebody may type a name
        return Look(
            board=who.board,
            actor=who.key,
            action=action,
            subject=subject,
            detail=detail,
            purpose="" if using is None else PURPOSES[using].value,
            duty=duty or ("" if using is None else duties_giving(who, using)),
        )

    def line(self, who: Principal, action: str, subject: str, detail: str = "") -> Note:
        """Like `note` for one subject, for whoever makes the change to call in its transaction."""
        looks = [self.look(who, action, subject, detail)]
        return lambda conn: self.write(conn, looks)

    def line_by(
        self, actor: str, action: str, subject: str, *, board: str, detail: str = ""
    ) -> Note:
        """Like `by`, for whoever makes the change to call in its transaction."""
        looks = [Look(board=board, actor=actor, action=action, subject=subject, detail=detail)]
        return lambda conn: self.write(conn, looks)

    def by(self, actor: str, action: str, subject: str, *, board: str, detail: str = "") -> None:
        """Put something on the trail that was done without a session.

        For doors (a failed sign-in), commands (`system:cli`) and jobs. Raises StorageUnavailable.
        """
        self.record([Look(board=board, actor=actor, action=action, subject=subject, detail=detail)])

    def record(self, looks: Sequence[Look]) -> None:
        """Append `looks` in a transaction of its own. Raises StorageUnavailable."""
        if looks:
            with self._database.writing() as conn:
                self.write(conn, looks)

    def write(self, conn: Connection, looks: Sequence[Look]) -> None:
        """Append `looks` inside the caller's write transaction.

        So that a change and its line are stored together or not at all. On PostgreSQL the trail is
        held until that transaction ends: make it the last thing in a short one.
        """
        if not looks:
            return
        if conn.dialect.name != "sqlite":
            conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": AUDIT_LOCK})
        now = self._clock.now()
        last = _last_row(conn)
        told = _head_told(conn, self.keys)
        if told != last:
            before = "none" if told is None else str(told.seq)
            surprise = Look(
                board="", actor=SYSTEM, action=HEAD_DID_NOT_FIT, subject="",
                detail=f"head {before}, last row {last.seq if last else 0}",
            )  # fmt: skip
            looks = [surprise, *looks]
        rows = []
        seq, before_hash = (last.seq, last.hash) if last else (0, "")
        for look in looks:
            seq += 1
            sealed = _sealed(self.keys, self.keys.newest, look, seq=seq, at=now, before=before_hash)
            before_hash = sealed["hash"]
            rows.append({"seq": seq, "at": now, **msgspec.structs.asdict(look), **sealed})
        conn.execute(insert(audit), rows)
        _tell_head(conn, self.keys, Head(seq=seq, hash=before_hash))


def duties_giving(who: Principal, using: Ability) -> str:
    """The roles by which somebody has an ability, comma-separated; mostly one."""
    return ",".join(
        sorted({d.role.value for d in who.duties if using in OFFICES[d.role].abilities})
    )


# -- seals -----------------------------------------------------------------------------------------


def _sealed(
    keys: TrailKeys, key: str, look: Look, *, seq: int, at: datetime, before: str
) -> dict[str, str]:
    """The columns that make a row tamper-evident."""
    line = msgspec.json.encode([seq, at.isoformat(), *msgspec.structs.astuple(look)])
    seal = keys.mac(key, b"row " + line)[:32]
    return {"key": key, "seal": seal, "hash": keys.mac(key, f"chain {before} {seal}".encode())}


def _head_seal(keys: TrailKeys, key: str, head: Head, name: str = HEAD) -> str:
    # Sealed by what it is for: the head of one day must not pass for the beginning of another.
    what = "head" if name == HEAD else name
    return keys.mac(key, f"{what} {head.seq} {head.hash}".encode())


def _last_row(conn: Connection) -> Head | None:
    row = conn.execute(
        select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
    ).first()
    # None on an empty trail, as there is no head yet then.
    return None if row is None else Head(seq=int(row.seq), hash=row.hash)


def _head_told(conn: Connection, keys: TrailKeys) -> Head | None:
    """What the head says; None when it is missing or its seal does not fit."""
    return _end_told(conn, keys, HEAD)


def _end_told(conn: Connection, keys: TrailKeys, name: str) -> Head | None:
    kept = conn.execute(select(facts.c.value).where(facts.c.name == name)).scalar_one_or_none()
    if kept is None:
        return None
    try:
        sealed = msgspec.json.decode(kept, type=_SealedHead)
    except msgspec.DecodeError:
        return None
    head = Head(seq=sealed.seq, hash=sealed.hash)
    if not keys.seals_ends(sealed.key):
        return None
    fits = hmac.compare_digest(sealed.seal, _head_seal(keys, sealed.key, head, name))
    return head if fits else None


def _tell_head(conn: Connection, keys: TrailKeys, head: Head, name: str = HEAD) -> None:
    key = keys.newest
    seal = _head_seal(keys, key, head, name)
    sealed = _SealedHead(seq=head.seq, hash=head.hash, key=key, seal=seal)
    conn.execute(
        upsert(conn, facts, ["name"]).values(name=name, value=msgspec.json.encode(sealed).decode())
    )


def rows_before(conn: Connection, instant: datetime) -> tuple[int, datetime, int] | None:
    """(how many, the oldest's time, last number) of the rows at the trail's beginning that are
    older than an instant; None for none. The newest row of all never counts.
    """
    last = conn.execute(select(func.max(audit.c.seq))).scalar_one_or_none() or 0
    first_kept = conn.execute(
        select(func.min(audit.c.seq)).where(audit.c.at >= instant)
    ).scalar_one_or_none()
    until = min(last, first_kept or last) - 1
    count, oldest = conn.execute(
        select(func.count(), func.min(audit.c.at)).where(audit.c.seq <= until)
    ).one()
    return (count, oldest, until) if count else None


def shorten(conn: Connection, keys: TrailKeys, until: int) -> None:
    """Take rows up to number `until` away, for retention only, in the caller's transaction.

    The last of them stays known, sealed, as where the chain begins; so `verify` can tell a trail
    that retention shortened from one that somebody else did.
    """
    if conn.dialect.name != "sqlite":
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": AUDIT_LOCK})
    row = conn.execute(select(audit.c.seq, audit.c.hash).where(audit.c.seq == until)).one()
    with leave_to_delete(conn, "audit"):
        conn.execute(delete(audit).where(audit.c.seq <= until))
    _tell_head(conn, keys, Head(seq=int(row.seq), hash=row.hash), BEGINNING)


def seal_anew(conn: Connection, keys: TrailKeys) -> int:
    """Seal where the trail begins with the newest key, as each new row does with where it ends.

    Returns the number of the last row that an older key sealed, 0 for none: to prove it that key
    has to stay known (`trail_keys`). For `kizashi rewrap`, in a transaction that writes its line.
    """
    beginning = _end_told(conn, keys, BEGINNING)
    if beginning is not None:
        _tell_head(conn, keys, beginning, BEGINNING)
    query = select(func.max(audit.c.seq)).where(audit.c.key.not_in(["", keys.newest]))
    return int(conn.execute(query).scalar_one() or 0)


def head(conn: Connection) -> Head | None:
    """The trail's last row, for keeping elsewhere; None while it is empty."""
    return _last_row(conn)


# -- proving ---------------------------------------------------------------------------------------


def verify(conn: Connection, keys: TrailKeys, known_head: str = "") -> list[Fault]:
    """Every place where the trail is not as it was written; empty when it is whole.

    `known_head`: a head that was kept elsewhere, as `str(Head)`; the trail must still contain it.
    Reads row by row: memory does not grow with the trail.
    """
    faults: list[Fault] = []
    wanted = known_head.strip()
    found_wanted = not wanted
    last: Head | None = None
    with closing(_faults_of_rows(conn, keys)) as rows:
        for last, found in rows:
            found_wanted = found_wanted or str(last) == wanted
            faults += found
            if len(faults) >= MOST_FAULTS:
                return [*faults, Fault(seq=last.seq, words="and more: looked no further")]
    faults += _faults_of_head(conn, keys, last)
    if not found_wanted:
        faults += _faults_of_known_head(wanted, _end_told(conn, keys, BEGINNING))
    return faults


def _faults_of_known_head(wanted: str, beginning: Head | None) -> list[Fault]:
    if wanted == str(beginning):
        return []
    number = wanted.partition("-")[0]
    seq = int(number) if number.isdecimal() else 0
    words = f"the trail does not contain the head {wanted}: it was put back or cut off"
    if beginning is not None and 0 < seq < beginning.seq:
        words = (
            f"the head {wanted} is of a row that retention took away (up to {beginning.seq}):"
            " hold the trail against a newer one"
        )
    return [Fault(seq=seq, words=words)]


def _faults_of_rows(conn: Connection, keys: TrailKeys) -> Generator[tuple[Head, list[Fault]]]:
    """Each row as a head, with what is wrong there."""
    beginning = _end_told(conn, keys, BEGINNING)
    before, before_seq = (beginning.hash, beginning.seq) if beginning else ("", 0)
    doubtful = False
    query = select(audit).order_by(audit.c.seq).execution_options(yield_per=_AT_ONCE)
    with conn.execute(query) as rows:
        for row in rows:
            faults = []
            seq = int(row.seq)
            if seq != before_seq + 1:
                missing = _rows_in_words(before_seq + 1, seq - 1)
                faults.append(Fault(seq=before_seq + 1, words=f"audit {missing} missing"))
                doubtful = True  # the hash of the row before is not known
            words = _what_is_wrong(row, keys, before, chained=not doubtful)
            if not words and row.action == HEAD_DID_NOT_FIT:
                faults.append(
                    Fault(
                        seq=seq,
                        words=f"audit row {seq} found another end than the head told"
                        f" ({row.detail})",
                    )
                )
            if words:
                faults.append(Fault(seq=seq, words=f"audit row {seq} {words}"))
            doubtful = bool(words)
            before, before_seq = row.hash, seq
            yield Head(seq=seq, hash=row.hash), faults


def _rows_in_words(first: int, last: int) -> str:
    return f"row {first} is" if first == last else f"rows {first} to {last} are"


def _what_is_wrong(row: Any, keys: TrailKeys, before: str, *, chained: bool) -> str:
    if not row.key:
        return "bears no seal: it was not written by this service"
    if row.key not in keys:
        return "is sealed with a key that is not in secret_keys or trail_keys"
    look = Look(**{name: getattr(row, name) for name in Look.__struct_fields__})
    good = _sealed(keys, row.key, look, seq=int(row.seq), at=row.at, before=before)
    if not hmac.compare_digest(row.seal, good["seal"]):
        return "was changed"
    if chained and not hmac.compare_digest(row.hash, good["hash"]):
        return "was changed (its hash)"
    return ""


def _faults_of_head(conn: Connection, keys: TrailKeys, last: Head | None) -> list[Fault]:
    told = _head_told(conn, keys)
    if told == last:
        return []
    end = last.seq if last else 0
    if told is None:
        words = f"the head of the audit trail is missing or was changed (last row: {end})"
    elif told.seq > end:
        cut = _rows_in_words(end + 1, told.seq)
        words = f"audit {cut} missing: the end of the trail was cut off"
    else:
        words = f"the head of the audit trail tells of row {told.seq}, the last row is {end}"
    return [Fault(seq=end + 1, words=words)]
