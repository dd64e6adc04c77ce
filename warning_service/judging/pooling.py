"""One board's side of learning together: what it tells, as a file; what it takes in, as an event.

A file is readable JSON, so that a board can look at what it hands out: numbers of the model, no
row, no key of a child. An HMAC with a key that the pool's members share (`pool_keys`) shows that a
member made it and nobody changed it; it does not hide it. What is taken in is an event with all
numbers in it, so that the same log gives the same models, on any machine, whoever may have left.

How parameters are averaged and used is models/pooling.py's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Literal

import msgspec
from sqlalchemy import Connection, select

from models.learner import Learner
from models.pooling import USED_DAYS, Pool, Shared, of_text, share, sound, to_bytes, to_text
from warning_service.events.log import Log, from_row
from warning_service.events.tables import events
from warning_service.events.types import NewEvent, PoolTaken, new_id, tag_of
from warning_service.judging.consumer import MEMORY, MODEL, position_of, versions_of
from warning_service.judging.deriving import gone
from warning_service.judging.deriving.removal import asked
from warning_service.judging.setup import Setup
from warning_service.judging.tables import model_snapshots
from warning_service.judging.terms import terms_of

FORM = "kizashi-pool-1"


class NotForUs(ValueError):
    """A file that this board must not, or cannot, take in; says why."""


class NotYet(ValueError):
    """There is nothing that may be told now; says why."""


# -- telling ----


def tell(conn: Connection, board: str, setup: Setup, on: date) -> Shared:
    """The board's own model as it stands, as it may be told to others.

    Raises NotYet when there is none, when it was made by another version, or while it still holds
    somebody whose family refused; TooFew when it knows too few children.
    """
    position = position_of(conn, board)
    if (
        asked(conn, board)
        or gone.shortened_at(conn, board, position) > gone.latest(conn, board).began
    ):
        raise NotYet("refusals or deletions are not out of the model yet: run `kizashi removal`")
    rows = {
        row.name: row
        for row in conn.execute(
            select(model_snapshots).where(
                model_snapshots.c.board == board, model_snapshots.c.name.in_((MODEL, MEMORY))
            )
        )
    }
    if set(rows) != {MODEL, MEMORY}:
        raise NotYet("nothing has been learned here yet")
    for row in rows.values():
        if row.versions != versions_of(setup):
            raise NotYet("the model was made by another version: start the worker first")
        if hashlib.sha256(row.state).hexdigest() != row.sha256:
            raise NotYet(f"the stored snapshot '{row.name}' is damaged: rebuild it")
    learner = Learner(setup.schema.names, setup.schema.hash)
    learner.restore(bytes(rows[MODEL].state), bytes(rows[MEMORY].state))
    return share(learner, board, terms_of(setup), on)


# -- files ----


class _File(msgspec.Struct, forbid_unknown_fields=True):
    form: str
    kind: Literal["share", "pool"]
    what: msgspec.Raw
    mac: str


def to_file(what: Shared | Pool, keys: Sequence[str]) -> bytes:
    """The file's bytes. Raises NotForUs without a key."""
    if not keys:
        raise NotForUs("there are no pool_keys: nobody could know where the file is from")
    kind: Literal["share", "pool"] = "share" if isinstance(what, Shared) else "pool"
    mac = _mac(what, keys[0])
    text = msgspec.json.encode(_File(FORM, kind, msgspec.Raw(to_bytes(what)), mac))
    return msgspec.json.format(text, indent=1) + b"\n"


def from_file(data: bytes, keys: Sequence[str]) -> Shared | Pool:
    """What a member of the pool wrote. Raises NotForUs for anything else."""
    try:
        file = msgspec.json.decode(data, type=_File)
        if file.form != FORM:
            raise NotForUs(f"not a file of the form {FORM}")
        what = _decoded(file)
    except msgspec.MsgspecError as error:
        raise NotForUs(f"not a file of a pool: {error}") from error
    if not any(hmac.compare_digest(_mac(what, key), file.mac) for key in keys):
        raise NotForUs("the seal does not fit: changed on the way, or made with another key")
    return what


def _decoded(file: _File) -> Shared | Pool:
    if file.kind == "share":
        return msgspec.json.decode(file.what, type=Shared)
    return msgspec.json.decode(file.what, type=Pool)


def _mac(what: Shared | Pool, key: str) -> str:
    # A key of its own, so that a seal of a pool is worth nothing elsewhere.
    mine = hmac.digest(key.encode(), FORM.encode(), "sha256")
    kind = type(what).__name__.encode()
    return hmac.new(mine, kind + b"\x1f" + to_bytes(what), hashlib.sha256).hexdigest()


# -- taking in ----


Note = Callable[[Connection], None]
"""Puts the change on the trail, in the change's own transaction."""


def take(
    log: Log, board: str, setup: Setup, pool: Pool, actor: str, *, note: Note | None = None
) -> None:
    """Store that from here on the board's judge uses the pool. Raises NotForUs."""
    today = log.clock.today()
    if pool.receiver != board:
        raise NotForUs(f"the file is made for '{pool.receiver}', not for '{board}'")
    if pool.schema != setup.schema.hash or pool.terms != terms_of(setup):
        raise NotForUs("the others use other items, points or outcomes: parameters do not compare")
    columns = len(Learner(setup.schema.names, setup.schema.hash).online.names)
    if len(pool.weights) != columns or not sound(pool):
        raise NotForUs("its numbers cannot be those of models: ask who combined it")
    if not 0 <= (today - pool.made_on).days <= USED_DAYS:
        raise NotForUs(f"made on {pool.made_on}: in the future, or more than {USED_DAYS} days ago")
    with log.unit_of_work() as unit:
        # Also of one that was dropped since: an old file does not become right by that.
        newest = max((one.made_on for one in _ever(unit.conn, board) if one), default=None)
        if newest is not None and newest > pool.made_on:
            raise NotForUs(
                f"older than one taken in before ({newest}): it may hold who has left since"
            )
        if latest(unit.conn, board) == pool:
            raise NotForUs("this is the one in use")
        unit.append(_event(board, today, actor, to_text(pool)))
        if note is not None:
            note(unit.conn)


def drop(log: Log, board: str, actor: str, *, note: Note | None = None) -> bool:
    """Judge alone from here on. False when the board already does."""
    with log.unit_of_work() as unit:
        if latest(unit.conn, board) is None:
            return False
        unit.append(_event(board, log.clock.today(), actor, ""))
        if note is not None:
            note(unit.conn)
    return True


def _event(board: str, on: date, actor: str, text: str) -> NewEvent:
    body = PoolTaken(pool=text)
    return NewEvent(id=new_id(), board=board, student=None, on=on, actor=actor, body=body)


def latest(conn: Connection, board: str) -> Pool | None:
    """The pool the board last decided to use; None when it judges alone."""
    return next(_ever(conn, board), None)


def _ever(conn: Connection, board: str) -> Iterator[Pool | None]:
    """All decisions of the board, the last one first; a handful in years. None: judge alone."""
    query = (
        select(events)
        .where(events.c.board == board, events.c.type == tag_of(PoolTaken))
        .order_by(events.c.position.desc())
    )
    for row in conn.execute(query).all():
        body = from_row(row).body
        assert isinstance(body, PoolTaken)
        yield of_text(body.pool)
