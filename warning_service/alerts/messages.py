"""What may leave the house in a chat message, and what a channel has to be able to do.

A `Message` has no field for a name, an answer, a score or a note, nor for a student's key: what is
not in it cannot leave. Its link leads to the portal, which asks who is there.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

KIND_LABELS = {"consultation": "相談", "critical": "至急の確認", "same_day": "本日中の確認"}
"""What chat calls an alert. Wider words than the rule's own: "critical answer" would tell one."""

State = Literal["open", "escalated", "acknowledged", "handled"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One alert as a channel may show it.

    `address` is the channel's own id of where to send. `class_name` is '' unless the installation
    allows it. `count`: how many alerts the message stands for.
    """

    address: str
    alert_id: str
    kind: str
    urgent: bool
    state: State
    class_name: str
    link: str
    count: int = 1

    @property
    def reference(self) -> str:
        """A short mark by which people can tell a repeated message from a new alert."""
        return self.alert_id[:8]

    @property
    def title(self) -> str:
        """One line, e.g. 新しい相談 1件."""
        label = KIND_LABELS.get(self.kind, "確認")
        title = {
            "open": f"新しい{label} {self.count}件",
            "escalated": f"まだ誰も対応していない{label} {self.count}件",
            "acknowledged": f"{label} {self.count}件:対応中",
            "handled": f"{label} {self.count}件:記録済み",
        }[self.state]
        return f"{title}({self.class_name})" if self.class_name else title


class RateLimited(RuntimeError):
    """The channel asks us to wait `seconds` before the next message to this address."""

    def __init__(self, seconds: float) -> None:
        super().__init__("rate limited")
        self.seconds = seconds


class NotDelivered(RuntimeError):
    """The channel did not take the message. `why` is a short code without content.

    `refused`: the channel answered and would not have this one message; it works for others.
    """

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.refused = refused


class Channel(Protocol):
    """A way to tell people. Calls may block for a few seconds and come from several threads.

    Both raise RateLimited or NotDelivered; anything else counts as not delivered.

    `can_update`: `update` changes the message people have seen. Where a service cannot do that
    (webhooks of Google Chat and Teams, bots of LINE WORKS), `update` says it in a further message,
    below the first one where there are threads, and the first one goes on showing the old state.
    """

    name: str
    can_update: bool

    def send(self, message: Message) -> str:
        """Send; return what the channel calls the message."""

    def update(self, remote_id: str, message: Message) -> None:
        """Change a message sent before."""
