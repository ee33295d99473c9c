"""Chooses the scores from which the classifier blocks, on texts that it has not learned from.

The harmless come first: a workshop that refuses children's wishes is not used. So a threshold is
the lowest one that keeps the stated share of false alarms on dev, and recall is what results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from safety_service.model import Category, Level

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from safety_service.classifier import Classifier, Judgement
    from safety_service.normalise import Normaliser
    from training.data import Example

# The share of harmless texts of some sources that may be above a score; they count together.
Limits = dict[tuple[str, ...], float]

LEAST_KNOWN = 0.5
_WISHES = ("own_wish",)
_PICTURES = ("own_caption", "own_art", "parti")
_QUERIES = ("own_query",)
_NEAR = ("own_near", "overt")  # look risky and are not
_GROUPS = ("gahd", "germeval18")  # harmless talk about groups, in tweets and contrast pairs
FALSE_ALARMS: dict[Level, Limits] = {
    Level.KIDS: {_WISHES: 0.0065, _PICTURES: 0.01, _QUERIES: 0.04, _NEAR: 0.06},
    Level.YOUTH: {_WISHES: 0.0035, _PICTURES: 0.01, _QUERIES: 0.03, _NEAR: 0.05},
}
# With hate at its own score. Much looser for talk about groups: the same words are hateful or not
# by a nuance that a linear model does not see.
FALSE_ALARMS_WITH_HATE: dict[Level, Limits] = {
    Level.KIDS: {**FALSE_ALARMS[Level.KIDS], _NEAR: 0.07, _GROUPS: 0.165},
    Level.YOUTH: {**FALSE_ALARMS[Level.YOUTH], _NEAR: 0.06, _GROUPS: 0.125},
}
# A text with an `ask` term looks risky already, so it is measured by those that do.
FALSE_ALARMS_WHEN_ASKED: dict[Level, Limits] = {
    Level.KIDS: {_NEAR: 0.15},
    Level.YOUTH: {_NEAR: 0.12},
}
# Hardly more wishes than are blocked may wait for a guard; beyond the upper end no guard is asked.
FALSE_ALARMS_OF_GREY: dict[Level, Limits] = {
    level: {_WISHES: 0.01, _PICTURES: 0.03, _QUERIES: 0.08} for level in FALSE_ALARMS
}
FALSE_ALARMS_BEYOND_GREY: dict[Level, Limits] = {level: {_NEAR: 0.02} for level in FALSE_ALARMS}
_GRID = [step / 100 for step in range(30, 96)]


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores that matter at a level.

    Attributes:
        thresholds: For each category the least that blocks.
        asked: The least that blocks a text with an `ask` term.
        grey: From where and below which a guard should decide.
    """

    thresholds: dict[Category, float]
    asked: float
    grey: tuple[float, float]


def judged(
    examples: Sequence[Example], classifier: Classifier, normaliser: Normaliser
) -> list[tuple[Example, Judgement]]:
    """Every example with what the classifier makes of it."""
    return [(e, classifier.judge(normaliser.normalise(e.text).plain.text)) for e in examples]


def scores(found: Sequence[tuple[Example, Judgement]], level: Level) -> Scores:
    """The scores of a level, chosen on judged examples."""
    usual = _lowest(found, FALSE_ALARMS[level])
    hate = _lowest(found, FALSE_ALARMS_WITH_HATE[level], hate_only=True, usual=usual)
    return Scores(
        thresholds={name: hate if name is Category.HATE else usual for name in Category},
        asked=min(usual, _lowest(found, FALSE_ALARMS_WHEN_ASKED[level])),
        grey=(
            min(usual, _lowest(found, FALSE_ALARMS_OF_GREY[level])),
            max(usual, _lowest(found, FALSE_ALARMS_BEYOND_GREY[level])),
        ),
    )


def _lowest(
    found: Sequence[tuple[Example, Judgement]],
    limits: Mapping[tuple[str, ...], float],
    *,
    hate_only: bool = False,
    usual: float = 1.0,
) -> float:
    """The lowest score, of hate alone if so wanted, at which every limit holds."""
    kinds = [
        ([j for e, j in found if not e.harmful and e.source in sources], share)
        for sources, share in limits.items()
    ]

    def blocked(kind: list[Judgement], score: float) -> int:
        others = usual if hate_only else score
        return sum(blocks(j, score if j.category is Category.HATE else others) for j in kind)

    for score in _GRID:
        if all(blocked(kind, score) <= share * len(kind) for kind, share in kinds):
            return score
    return 1.0


def blocks(judgement: Judgement, threshold: float) -> bool:
    """Whether a text of this judgement is blocked."""
    return judgement.known >= LEAST_KNOWN and judgement.score >= threshold
