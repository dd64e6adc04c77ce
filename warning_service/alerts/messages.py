"""What may leave the house in a chat message, and what a channel has to be able to do.

A `Message` has no field for a name, an answer, a score or a note, nor for a student's key: what is
not in it cannot leave. Its link leads to the portal, which asks who is there.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

NOTICE_LABELS = {
    "list_published": "予兆リストのお知らせ",
    "review_due": "リスト検討のお知らせ",
    "follow_up_overdue": "記録のお知らせ",
    "extract_missing": "データのお知らせ",
    "duty_gap": "担当のお知らせ",
    "looking_alarm": "記録の確認のお知らせ",
    "request_due": "申し出の期限のお知らせ",
    "system_trouble": "システムのお知らせ",
}
"""What chat calls a notice, which is about a place and not about a child."""

KIND_LABELS = {
    "consultation": "相談",
    "critical": "至急の確認",
    "same_day": "本日中の確認",
    **NOTICE_LABELS,
}
"""What chat calls an alert. Wider words than the rule's own: "critical answer" would tell one."""

TEST = "test"
"""Kind of a message that tries a route; it is about nobody and nothing is to be done."""

TEST_TITLE = "送信の試験です。対応は要りません"

DIGEST = "digest:"
"""How the kind of a digest's message begins; its name and how many things wait follow."""

DIGEST_TITLES = {"morning": "けさのまとめ", "week": "今週のまとめ"}

OFFERED = "offered"
"""Purpose of a message that asks somebody to take over what a colleague has; also its state."""

State = Literal["open", "escalated", "acknowledged", "handled", "offered"]


_STATE_WORDS = {"acknowledged": "対応中", "handled": "記録済み"}


class Other(msgspec.Struct, frozen=True):
    """A further alert that a message stands for."""

    alert_id: str
    state: State


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One alert as a channel may show it, or several of one kind that came in one burst.

    `address` is the channel's own id of where to send. `class_name` is '' unless the installation
    allows it. `count`: how many alerts the message stands for; `others`: those beside `alert_id`,
    which is one that still waits if any does. `delivery`: id of what is sent, the same when it is
    sent again, by which a receiver can tell a repeat.
    """

    address: str
    alert_id: str
    kind: str
    urgent: bool
    state: State
    class_name: str
    link: str
    count: int = 1
    others: tuple[Other, ...] = ()
    delivery: str = ""

    @property
    def reference(self) -> str:
        """A short mark by which people can tell a repeated message from a new alert."""
        return self.alert_id[:8]

    @property
    def marks(self) -> str:
        """The marks of all alerts it stands for, e.g. `#0199a3f2 #0199a3f7(対応中)`."""
        marks = [f"#{self.reference}"]
        for other in self.others:
            said = _STATE_WORDS.get(other.state, "") if other.state != self.state else ""
            marks.append(f"#{other.alert_id[:8]}({said})" if said else f"#{other.alert_id[:8]}")
        return " ".join(marks)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Ids of the alerts it stands for that nobody has taken on yet."""
        if self.kind == TEST or self.kind.startswith(DIGEST):
            return ()
        states = [(self.alert_id, self.state), *((o.alert_id, o.state) for o in self.others)]
        return tuple(alert for alert, state in states if state in {"open", "escalated"})

    @property
    def title(self) -> str:
        """One line, e.g. 新しい相談 1件."""
        if self.kind == TEST:
            return TEST_TITLE
        if self.kind.startswith(DIGEST):
            return _digest_title(self.kind)
        label = KIND_LABELS.get(self.kind, "確認")
        title = {
            "open": f"新しい{label} {self.count}件",
            "escalated": f"まだ誰も対応していない{label} {self.count}件",
            "acknowledged": f"{label} {self.count}件:対応中",
            "handled": f"{label} {self.count}件:記録済み",
            "offered": f"{label} {self.count}件:引き継ぎのお願い",
        }[self.state]
        if self.state == "handled" and self.kind in NOTICE_LABELS:
            title = f"{label} {self.count}件:済み"
        return f"{title}({self.class_name})" if self.class_name else title


def digest_kind(name: str, total: int) -> str:
    """The kind (and a delivery's purpose) of a digest that says that so many things wait."""
    return f"{DIGEST}{name}:{total}"


def _digest_title(kind: str) -> str:
    name, _, total = kind.removeprefix(DIGEST).partition(":")
    nothing = total in {"", "0"}
    waiting = "待っているものはありません" if nothing else f"待っているもの {total}件"
    return f"{DIGEST_TITLES.get(name, 'まとめ')}:{waiting}"


def page_of(kind: str) -> str:
    """Under which address of the portal an alert of that kind is shown."""
    return "notices" if kind in NOTICE_LABELS else "alerts"


class RateLimited(RuntimeError):
    """The channel asks us to wait `seconds` before the next message to this address.

    `everybody`: before the next message to any address (a limit on the workspace or the account).
    """

    def __init__(self, seconds: float, *, everybody: bool = False) -> None:
        super().__init__("rate limited")
        self.seconds = seconds
        self.everybody = everybody


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

    A service that wants pauses between messages to one address says so in an attribute
    `seconds_between` (left out: none); what comes in the meantime goes out as one message for
    several alerts (`Message.others`).

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
