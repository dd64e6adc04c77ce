"""Tables of what chat, mail and browsers bring back: used-up requests, links, devices.

None of them knows a child. Secrets of links are kept as hashes; a device's keys are what its
browser gave us so that only it can read what it is sent. Times are of the real clock: these rows
are about networks, not about schools.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from warning_service.database import UtcDateTime, table_of


class SeenRequestRow(SQLModel, table=True):
    """A signed request that has been taken, so that no process takes it a second time."""

    __tablename__ = "seen_requests"

    digest: str = Field(primary_key=True)  # SHA-256 of the channel's name and the signature
    seen_at: datetime = Field(sa_type=UtcDateTime, index=True)


class AckLinkRow(SQLModel, table=True):
    """The link of one mail: which alert it opens, for holders of which duties, until when."""

    __tablename__ = "ack_links"

    token_hash: str = Field(primary_key=True)
    board: str
    alert_id: str = Field(index=True)
    duties: str  # comma-separated role@place: those the mail's address is there for
    made_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    used_by: str = ""


class PushDeviceRow(SQLModel, table=True):
    """A browser in which a member of staff has switched notices on."""

    __tablename__ = "push_devices"

    id: str = Field(primary_key=True)  # SHA-256 of the endpoint, shortened: the delivery's address
    staff: str = Field(index=True)
    board: str
    endpoint: str = Field(sa_type=Text)
    p256dh: str  # the browser's public key, base64url
    auth: str  # the browser's authentication secret, base64url
    vapid: str  # a mark of the key of ours it was given; another key cannot reach it
    made_at: datetime = Field(sa_type=UtcDateTime)
    reached_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


seen_requests = table_of(SeenRequestRow)
ack_links = table_of(AckLinkRow)
push_devices = table_of(PushDeviceRow)
