"""The one-time links of mails: a mail may be forwarded, so its link proves nothing by itself.

A link carries a random token and no more; the table has its hash, the alert, and for which duties
(or which person) the mail's address is there. It opens something only for somebody who is signed
in, of that board, who holds one of those duties, until its time is over or it was used; whether
they may see the alert at all is asked besides. Every refusal is the same, so that nobody learns
from one whether there was such a link, such an alert, or such a mail.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import Connection, insert, select, update

from warning_service.access.principals import Principal
from warning_service.alerts.outside.tables import ack_links
from warning_service.alerts.tables import alerts, routes
from warning_service.alerts.telling import PERSON
from warning_service.clock import Clock
from warning_service.database import Database

TOKEN_BYTES = 32


class LinkRefused(PermissionError):
    """The link opens nothing for this person now. It never says why."""


class AckLinks:
    """Makes links and takes them back, with the service's own rights: no page reads this table.

    `wall`: the real clock, as for all that is about networks.
    """

    def __init__(self, database: Database, *, wall: Clock | None = None) -> None:
        self._database = database.as_service()
        self._wall = wall or Clock()

    def make(self, alert_id: str, channel: str, address: str, *, good_for: timedelta) -> str | None:
        """The token of a new link to this alert for whoever `address` is there for.

        None when the address is there for nobody (any more): then there is nothing to bind it to.
        Raises StorageUnavailable.
        """
        token, now = secrets.token_urlsafe(TOKEN_BYTES), self._wall.now()
        with self._database.writing() as conn:
            board = conn.execute(
                select(alerts.c.board).where(alerts.c.id == alert_id)
            ).scalar_one_or_none()
            duties = [] if board is None else _there_for(conn, board, channel, address)
            if not duties:
                return None
            conn.execute(
                insert(ack_links).values(
                    token_hash=_hash(token), board=board, alert_id=alert_id,
                    duties=",".join(duties), made_at=now, expires_at=now + good_for, used_by="",
                )
            )  # fmt: skip
        return token

    def look(self, who: Principal, token: str) -> str:
        """The alert behind the link. Raises LinkRefused, StorageUnavailable."""
        with self._database.reading() as conn:
            row = conn.execute(
                select(ack_links).where(ack_links.c.token_hash == _hash(token))
            ).one_or_none()
        if (
            row is None
            or row.used_at is not None
            or row.expires_at <= self._wall.now()
            or row.board != who.board
            or _of(who).isdisjoint(row.duties.split(","))
        ):
            raise LinkRefused
        return str(row.alert_id)

    def use(self, who: Principal, token: str) -> str:
        """The same, once: of two that use it at the same moment one is refused."""
        alert_id = self.look(who, token)
        now = self._wall.now()
        with self._database.writing() as conn:
            won = conn.execute(
                update(ack_links)
                .where(ack_links.c.token_hash == _hash(token), ack_links.c.used_at.is_(None))
                .values(used_at=now, used_by=who.key)
                .returning(ack_links.c.token_hash)
            ).first()
        if won is None:
            raise LinkRefused
        return alert_id

    def give_back(self, who: Principal, token: str) -> None:
        """What it was used for could not be stored: it may be used again."""
        with self._database.writing() as conn:
            conn.execute(
                update(ack_links)
                .where(ack_links.c.token_hash == _hash(token), ack_links.c.used_by == who.key)
                .values(used_at=None, used_by="")
            )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _there_for(conn: Connection, board: str, channel: str, address: str) -> list[str]:
    """role@place of each duty (person@key of each person) that has this address."""
    rows = conn.execute(
        select(routes.c.duty, routes.c.place)
        .where(routes.c.board == board, routes.c.channel == channel, routes.c.address == address)
        .order_by(routes.c.duty, routes.c.place)
    )
    return [f"{row.duty}@{row.place}" for row in rows]


def _of(who: Principal) -> set[str]:
    return {f"{duty.role}@{duty.place}" for duty in who.duties} | {f"{PERSON}@{who.key}"}
