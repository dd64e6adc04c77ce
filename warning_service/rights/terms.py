"""The law's terms as this service uses them: kinds of request, deadlines, grounds, decisions.

The law is 個人情報の保護に関する法律 (Act on the Protection of Personal Information), chapter 5, as
it has applied to local governments since April 2023. A board's ordinance may shorten the terms
(第108条), so the officer can enter fewer days. What is in force must be checked by the board; this
file is where to change it.
"""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum

import msgspec

STATUTORY_DAYS = 30
LONGEST_EXTENSION = 30


class Kind(StrEnum):
    """What is asked for."""

    OPT_OUT = "opt_out"  # 不同意
    WITHDRAWAL = "withdrawal"  # 不同意の撤回
    DISCLOSURE = "disclosure"  # 開示
    CORRECTION = "correction"  # 訂正
    STOP = "stop"  # 利用停止


class AskedBy(StrEnum):
    """Who asks. A guardian who is not the legal representative may refuse linking, nothing else."""

    GUARDIAN = "guardian"  # 保護者
    CHILD = "self"  # 本人
    LEGAL = "legal"  # 法定代理人
    AGENT = "agent"  # 任意代理人


class Identity(StrEnum):
    """How it was made sure who is asking."""

    PHOTO_ID = "photo_id"
    REGISTER = "register"  # 戸籍謄本, 住民票: shows the legal representative too
    MANDATE = "mandate"  # 委任状
    KNOWN = "known"  # handed in at school, the teacher knows the family (refusals only)


class State(StrEnum):
    """Where a request stands."""

    OPEN = "open"
    WAITING = "waiting"  # decided, a second person has to approve
    DECIDED = "decided"  # the family has to be told
    CLOSED = "closed"


class Decision(StrEnum):
    """How it was decided."""

    EFFECTIVE = "effective"  # a refusal or its withdrawal, in force as soon as recorded
    FULL = "full"  # 全部開示
    PART = "part"  # 一部開示
    NONE = "none"  # 不開示
    NO_ANSWER = "no_answer"  # 存否応答拒否 (第81条)
    ACCEPTED = "accepted"
    REFUSED = "refused"
    TAKEN_BACK = "taken_back"  # 取下げ


class Term(msgspec.Struct, frozen=True):
    """The time there is for a decision. `article` is the source, `extension` of the longer one."""

    days: int
    article: str
    extension: str


TERMS: dict[Kind, Term] = {
    Kind.DISCLOSURE: Term(STATUTORY_DAYS, "第83条第1項", "第83条第2項"),
    Kind.CORRECTION: Term(STATUTORY_DAYS, "第94条第1項", "第94条第2項"),
    Kind.STOP: Term(STATUTORY_DAYS, "第102条第1項", "第102条第2項"),
}

LAW = "個人情報の保護に関する法律"

DECISIONS: dict[Kind, tuple[Decision, ...]] = {
    Kind.OPT_OUT: (),
    Kind.WITHDRAWAL: (),
    Kind.DISCLOSURE: (Decision.FULL, Decision.PART, Decision.NONE, Decision.NO_ANSWER),
    Kind.CORRECTION: (Decision.ACCEPTED, Decision.REFUSED),
    Kind.STOP: (Decision.ACCEPTED, Decision.REFUSED),
}

MAY_ASK: dict[Kind, tuple[AskedBy, ...]] = {
    Kind.OPT_OUT: tuple(AskedBy),
    Kind.WITHDRAWAL: tuple(AskedBy),
    Kind.DISCLOSURE: (AskedBy.CHILD, AskedBy.LEGAL, AskedBy.AGENT),
    Kind.CORRECTION: (AskedBy.CHILD, AskedBy.LEGAL, AskedBy.AGENT),
    Kind.STOP: (AskedBy.CHILD, AskedBy.LEGAL, AskedBy.AGENT),
}
"""第76条第2項, 第90条第2項, 第98条第2項: the person, the legal representative, an agent."""


class Ground(msgspec.Struct, frozen=True):
    """Why something is not disclosed: its place in the law and what it says, in short."""

    article: str
    ja: str
    en: str


GROUNDS: dict[str, Ground] = {
    "harm": Ground(
        "第78条第1項第1号",
        "子ども本人の生命、健康、生活または財産を害するおそれがある",
        "could harm the child's life, health, living or property",
    ),
    "third_party": Ground(
        "第78条第1項第2号",
        "本人以外の個人に関する情報である",
        "is about another person",
    ),
    "corporate": Ground(
        "第78条第1項第3号",
        "法人などの正当な利益を害するおそれがある",
        "could harm a body's legitimate interests",
    ),
    "deliberation": Ground(
        "第78条第1項第6号",
        "審議や協議の率直な意見交換などを不当に損なうおそれがある",
        "could unduly harm a frank exchange in deliberation",
    ),
    "conduct": Ground(
        "第78条第1項第7号",
        "事務の適正な遂行に支障を及ぼすおそれがある",
        "could hinder the proper conduct of the work",
    ),
}
"""Those of 第78条第1項 that a school's data can meet; 4号 and 5号 are about state and police."""


def due_on(received: date, days: int, extended: int = 0, paused: int = 0) -> date:
    """The last day for a decision: the day after receipt is the first (民法第140条).

    `paused`: days the family took to complete its request do not count (第77条第3項 and the like).
    A last day on a holiday is not moved: what may hold for filing need not hold for the authority.
    """
    return received + timedelta(days=days + extended + paused)
