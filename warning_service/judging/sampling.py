"""One day's training block: features and all judges' scores, kept until the labels are known."""

from __future__ import annotations

from collections.abc import Sequence

from models.learner import Learner, TrainingBlock
from warning_service.judging import rules
from warning_service.judging.scope import Group
from warning_service.judging.setup import Setup


def block_of(
    setup: Setup, learner: Learner, groups: Sequence[Group], day: int
) -> TrainingBlock | None:
    """The block of `day` (an ordinal); None when nobody is outside a known outcome."""
    folded = learner.folded()
    rows: list[tuple[str, str, bytes, bytes, bytes]] = []
    for group in groups:
        judged = rules.beside(group.extract.block, group.judged.total)
        scores = folded.score(judged).astype("<f4")
        theirs = learner.ask_challenger(group.extract.block)
        for at, (student, state) in enumerate(group.states.items()):
            if not state.inside_known(day):
                rows.append(
                    (
                        student, group.school, scores[at].tobytes(), judged[at].tobytes(),
                        b"" if theirs is None else theirs[at].tobytes(),
                    )
                )  # fmt: skip
    if not rows:
        return None
    rows.sort()
    return TrainingBlock(
        day,
        setup.schema.hash,
        learner.learned,
        [r[0] for r in rows],
        [r[1] for r in rows],
        b"".join(r[2] for r in rows),
        b"".join(r[3] for r in rows),
        b"".join(r[4] for r in rows),
        learner.beside_rule,
    )
