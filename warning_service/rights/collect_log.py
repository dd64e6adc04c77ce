"""Collectors that read the log: answers, calls for help, facts, decisions of meetings."""

from __future__ import annotations

from collections.abc import Iterator

from warning_service.catalogue.items import all_items
from warning_service.catalogue.questionnaires import Question, plain, questionnaire
from warning_service.events.types import (
    CheckInSubmitted,
    ConsultationRequested,
    ObservationCorrected,
    ObservationRecorded,
    OutcomeRecorded,
    ReviewDecided,
    RiskRose,
)
from warning_service.rights.held import Part, Record
from warning_service.rights.source import Source
from warning_service.rights.words import day_ja, instant_ja


def answers(source: Source) -> Iterator[Record]:
    """Each check-in with the words the child tapped.

    Answers to questions about life and death are withheld by default when somebody else asks.
    """
    critical = {r.question for r in source.playbook.alert_rules if r.kind == "critical"}
    for event in source.events:
        body = event.body
        if not isinstance(body, CheckInSubmitted):
            continue
        try:
            asked = questionnaire(body.questionnaire)
            title, known = asked.title, {q.id: q for q in asked.questions}
        except KeyError:  # a questionnaire this version does not ship any more
            title, known = body.questionnaire, {}
        parts = [
            Part(
                name=name,
                label=plain(known[name].text) if name in known else name,
                text=_answer(known.get(name), value),
                ground="harm" if name in critical else "",
            )
            for name, value in body.answers.items()
        ]
        when = Part(name="answered_at", label="答えた時刻", text=instant_ja(body.answered_at))
        yield Record(
            id=event.id,
            section="answers",
            on=day_ja(event.on),
            title=plain(title),
            parts=(*parts, when),
            source="check_in_submitted",
        )


def _answer(question: Question | None, value: int | None) -> str:
    if value is None:
        return "こたえたくない"
    offered = question.answers if question is not None else ()
    words = next((plain(a.text) for a in offered if a.value == value), "")
    return f"{words}({value})" if words else str(value)


def consultations(source: Source) -> Iterator[Record]:
    """Each call for help; the words stay sealed and unread until the file is made."""
    for event in source.events:
        body = event.body
        if not isinstance(body, ConsultationRequested):
            continue
        parts = [
            Part(name="whom", label="話したい人", text=source.help_words(body.whom)),
            Part(name="about", label="話したいこと", text=source.help_words(body.about)),
        ]
        if body.sealed:
            parts.append(
                Part(
                    name="words", label="書かれたことば", text=body.sealed, sealed=True, closed=True
                )
            )
        yield Record(
            id=event.id,
            section="consultation",
            on=instant_ja(body.asked_at),
            title="相談",
            parts=tuple(parts),
            source="consultation_requested",
            about_help=True,
        )


def facts(source: Source) -> Iterator[Record]:
    """Observations, by the school or another department; and outcomes that follow from them."""
    known = all_items()
    for event in source.events:
        body = event.body
        if isinstance(body, ObservationRecorded | ObservationCorrected):
            item = known.get(body.item)
            own = item is None or item.department == "school"
            unit = "" if item is None else item.unit
            parts = [Part(name="value", label="値", text=_amount(body.value, unit))]
            if isinstance(body, ObservationCorrected):
                was = Part(name="was", label="訂正前", text=_amount(body.was, unit))
                parts.insert(0, was)
            else:
                parts.append(Part(name="source", label="もとの資料", text=body.source))
            if item is not None:
                parts.append(Part(name="owner", label="記録した部署", text=item.owner))
            parts.append(
                Part(name="taken_in", label="取り込んだ日時", text=instant_ja(event.recorded_at))
            )
            name = body.item if item is None else item.label
            yield Record(
                id=event.id,
                section="school" if own else "departments",
                on=day_ja(event.on),
                title=f"{name}(訂正)" if isinstance(body, ObservationCorrected) else name,
                parts=tuple(parts),
                source="observation",
            )
        elif isinstance(body, OutcomeRecorded):
            outcome = source.playbook.outcome
            over = "" if body.over_on is None else day_ja(body.over_on)
            yield Record(
                id=event.id,
                section="school",
                on=day_ja(event.on),
                title=outcome.label if body.outcome == outcome.id else body.outcome,
                parts=(
                    Part(name="known_on", label="わかった日", text=day_ja(body.known_on)),
                    Part(name="over_on", label="終わった日", text=over or "—"),
                ),
                source="outcome_recorded",
            )


def _amount(value: float | None, unit: str) -> str:
    return "なかったこと" if value is None else f"{value:g}{unit}"


def rises(source: Source) -> Iterator[Record]:
    """Each time the model's score rose sharply between two lists."""
    for event in source.events:
        body = event.body
        if isinstance(body, RiskRose):
            yield Record(
                id=event.id,
                section="lists",
                on=day_ja(event.on),
                title="前回のリストの後の、大きな上がり",
                parts=(
                    Part(name="score", label="その日の度合い", text=f"{body.score:.3f}"),
                    Part(
                        name="before",
                        label=f"{day_ja(body.listed_on)}のリストの度合い",
                        text=f"{body.before:.3f}",
                    ),
                    Part(name="model", label="計算したモデル", text=body.model_version),
                ),
                source="risk_rose",
            )


def reviews(source: Source) -> Iterator[Record]:
    """Every decision of a meeting, also those decided anew later."""
    known = {one.scheme: one for one in source.playbook.sittings}
    for event in source.events:
        body = event.body
        if not isinstance(body, ReviewDecided):
            continue
        rules = known.get(body.scheme)
        classes, directions = (rules.classes, rules.directions) if rules else ((), ())
        chosen = f"{body.chosen} {source.chosen(classes, body.chosen)}" if rules else body.chosen
        parts = [
            Part(
                name="chosen",
                label=f"区分({rules.scheme_label if rules else body.scheme})",
                text=chosen if body.chosen else "(決定の取り消し)",
            ),
            Part(
                name="directions",
                label="支援の方向性",
                text="、".join(source.chosen(directions, d) for d in body.directions) or "—",
            ),
            Part(name="by", label="記録した人", text=source.by(event.actor)),
        ]
        if body.sealed:
            parts.append(Part(name="note", label="メモ", text=body.sealed, sealed=True))
        yield Record(
            id=event.id,
            section="reviews",
            on=day_ja(event.on),
            title="人の目による確認",
            parts=tuple(parts),
            source="review_decided",
        )
