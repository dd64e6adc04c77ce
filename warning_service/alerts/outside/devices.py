"""Browsers in which staff have switched notices on, each one person's.

A device is what its browser gave: an address at a push service and two keys, with which only that
browser can read what it is sent. While a person has one, they have a route of their own for the
channel `web_push`, whose address is their key; the last device takes the route along. One browser
has one device: whoever switches it on last has it.

Addresses come from browsers, so from people: only https at the push services of the settings is
taken, and where the channel really calls is looked at once more when it does (posting.py).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Collection
from datetime import datetime
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from sqlalchemy import Connection, delete, func, select, update

from warning_service.access.principals import Principal
from warning_service.alerts.outside.tables import push_devices
from warning_service.alerts.tables import routes
from warning_service.alerts.telling import PERSON
from warning_service.channel_settings import WebPushSettings
from warning_service.clock import Clock
from warning_service.database import Database, upsert

CHANNEL = "web_push"
MOST_EACH = 10
LONGEST_ENDPOINT = 1000
POINT_BYTES, SECRET_BYTES = 65, 16


class NotADevice(ValueError):
    """What a browser sent is no subscription we can send to."""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One browser; `service`: the host of its push service, all that tells it from others."""

    id: str
    endpoint: str
    p256dh: bytes
    auth: bytes
    service: str
    made_at: datetime
    reached_at: datetime | None


class Devices:
    """Devices of all boards, read with the service's own rights. Safe between threads."""

    def __init__(self, database: Database, *, wall: Clock | None = None) -> None:
        self._database = database.as_service()
        self._wall = wall or Clock()

    def add(
        self, who: Principal, settings: WebPushSettings, endpoint: str, p256dh: str, auth: str
    ) -> str:
        """Switch a browser on for `who`; its id. Raises NotADevice, StorageUnavailable."""
        _check(settings, endpoint, p256dh, auth)
        device, now = id_of(endpoint), self._wall.now()
        with self._database.writing() as conn:
            before = _owner(conn, device)
            count = conn.execute(
                select(func.count()).where(
                    push_devices.c.staff == who.key, push_devices.c.id != device
                )
            ).scalar_one()
            if count >= MOST_EACH:
                raise NotADevice("too_many")
            conn.execute(
                upsert(conn, push_devices, ["id"]).values(
                    id=device, staff=who.key, board=who.board, endpoint=endpoint, p256dh=p256dh,
                    auth=auth, vapid=mark_of(settings), made_at=now, reached_at=None,
                )
            )  # fmt: skip
            _routed(conn, who.key)
            if before is not None and before != who.key:
                _routed(conn, before)
        return device

    def remove(self, staff: str, device: str) -> bool:
        """Switch one of a person's own browsers off; False when it is not theirs."""
        with self._database.writing() as conn:
            gone = conn.execute(
                delete(push_devices)
                .where(push_devices.c.id == device, push_devices.c.staff == staff)
                .returning(push_devices.c.id)
            ).first()
            _routed(conn, staff)
        return gone is not None

    def gone(self, devices: Collection[str]) -> None:
        """The push service says that these are no more."""
        with self._database.writing() as conn:
            owners = conn.execute(
                delete(push_devices)
                .where(push_devices.c.id.in_(list(devices)))
                .returning(push_devices.c.staff)
            ).scalars()
            for staff in set(owners):
                _routed(conn, staff)

    def settle(self, staff: str) -> None:
        """Take the person's route when no device is left (retention deletes devices alone)."""
        with self._database.writing() as conn:
            _routed(conn, staff)

    def reached(self, devices: Collection[str]) -> None:
        """These have just been sent something."""
        with self._database.writing() as conn:
            conn.execute(
                update(push_devices)
                .where(push_devices.c.id.in_(list(devices)))
                .values(reached_at=self._wall.now())
            )

    def of(self, staff: str, settings: WebPushSettings) -> list[Device]:
        """A person's devices that our present key reaches, the newest first."""
        with self._database.reading() as conn:
            rows = conn.execute(
                select(push_devices)
                .where(push_devices.c.staff == staff, push_devices.c.vapid == mark_of(settings))
                .order_by(push_devices.c.made_at.desc(), push_devices.c.id)
            ).all()
        return [
            Device(
                id=row.id, endpoint=row.endpoint, p256dh=decoded(row.p256dh),
                auth=decoded(row.auth), service=urlsplit(row.endpoint).hostname or "",
                made_at=row.made_at, reached_at=row.reached_at,
            )
            for row in rows
        ]  # fmt: skip


def id_of(endpoint: str) -> str:
    """A device's id, which a page can compute for the browser it is in."""
    return hashlib.sha256(endpoint.encode()).hexdigest()[:32]


def mark_of(settings: WebPushSettings) -> str:
    """Tells our keys apart without giving one away."""
    return hashlib.sha256(settings.private_key.get_secret_value().encode()).hexdigest()[:16]


def decoded(text: str) -> bytes:
    """Bytes of base64url without padding. Raises NotADevice."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise NotADevice("encoding") from None


def may_call(settings: WebPushSettings, endpoint: str) -> bool:
    """Is it an address of a push service of the settings, over https, on its usual port?"""
    if len(endpoint) > LONGEST_ENDPOINT or not endpoint.isascii() or not endpoint.isprintable():
        return False
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    if parts.scheme != "https" or parts.username is not None or parts.fragment:
        return False
    if " " in endpoint or "\\" in endpoint:
        return False
    for allowed in settings.hosts:
        name, _, named_port = allowed.partition(":")
        there = host == name or (name.startswith(".") and host.endswith(name))
        if there and port == (int(named_port) if named_port.isdigit() else None):
            return True
    return False


def _check(settings: WebPushSettings, endpoint: str, p256dh: str, auth: str) -> None:
    if not may_call(settings, endpoint):
        raise NotADevice("endpoint")
    point, secret = decoded(p256dh), decoded(auth)
    if len(point) != POINT_BYTES or len(secret) != SECRET_BYTES:
        raise NotADevice("keys")
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    except ValueError:
        raise NotADevice("keys") from None


def _owner(conn: Connection, device: str) -> str | None:
    return conn.execute(
        select(push_devices.c.staff).where(push_devices.c.id == device)
    ).scalar_one_or_none()


def _routed(conn: Connection, staff: str) -> None:
    """Give the person a route while they have a device, and take it when they have none."""
    board = conn.execute(
        select(push_devices.c.board).where(push_devices.c.staff == staff).limit(1)
    ).scalar_one_or_none()
    if board is None:
        conn.execute(
            delete(routes).where(
                routes.c.place == staff, routes.c.duty == PERSON, routes.c.channel == CHANNEL
            )
        )
        return
    conn.execute(
        upsert(conn, routes, ["board", "place", "duty", "channel"]).values(
            board=board, place=staff, duty=PERSON, channel=CHANNEL, address=staff, priority=1
        )
    )
