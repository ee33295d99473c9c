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
_Kind = tuple[list["Judgement"], float]  # the harmless texts of some sources, and their limit

LEAST_KNOWN = 0.5
_WISHES = ("own_wish",)
_PICTURES = ("own_caption", "own_art", "parti")
_QUERIES = ("own_query",)
_NEAR = ("own_near", "overt")  # look risky and are not
_MACHINE = ("own_machine",)  # what models make of harmless ideas
_GROUPS = ("gahd", "germeval18")  # harmless talk about groups, in tweets and contrast pairs
# Talk about groups is much looser: the same words are hateful or not by a nuance that a linear
# model does not see.
FALSE_ALARMS: dict[Level, Limits] = {
    Level.KIDS: {
        _WISHES: 0.0065,
        _MACHINE: 0.09,
        _PICTURES: 0.01,
        _QUERIES: 0.04,
        _NEAR: 0.07,
        _GROUPS: 0.18,
    },
    Level.YOUTH: {
        _WISHES: 0.0035,
        _MACHINE: 0.09,
        _PICTURES: 0.01,
        _QUERIES: 0.03,
        _NEAR: 0.065,
        _GROUPS: 0.145,
    },
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
# No category goes below, though `dev` would allow it: near misses of authors left out of training
# were blocked more often than those of `dev`. In which categories they are, and what a higher score
# there would miss, was seen with six voices left out, two at a time.
_LEAST = dict.fromkeys(Category, 0.57) | {
    Category.SEXUAL: 0.5,
    Category.WEAPONS: 0.5,
    Category.HORROR: 0.5,
    Category.VIOLENCE: 0.62,
    Category.SELF_HARM: 0.67,
    Category.DANGEROUS_ACTS: 0.73,
}
_MORE_AT_YOUTH = 0.01
_LEAST_WHEN_ASKED = {Level.KIDS: 0.43, Level.YOUTH: 0.44}


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
    thresholds = _by_category(_kinds(found, FALSE_ALARMS[level]), level)
    strictest, laxest = min(thresholds.values()), max(thresholds.values())
    asked = _lowest(_kinds(found, FALSE_ALARMS_WHEN_ASKED[level]))
    return Scores(
        thresholds=thresholds,
        asked=min(strictest, max(_LEAST_WHEN_ASKED[level], asked)),
        grey=(
            min(strictest, _lowest(_kinds(found, FALSE_ALARMS_OF_GREY[level]))),
            max(laxest, _lowest(_kinds(found, FALSE_ALARMS_BEYOND_GREY[level]))),
        ),
    )


def _kinds(found: Sequence[tuple[Example, Judgement]], limits: Limits) -> list[_Kind]:
    return [
        ([j for e, j in found if not e.harmful and e.source in sources], share)
        for sources, share in limits.items()
    ]


def _by_category(kinds: Sequence[_Kind], level: Level) -> dict[Category, float]:
    """Lower every category's score step by step, in turn, as long as every limit holds."""
    more = _MORE_AT_YOUTH if level is Level.YOUTH else 0.0
    least = {category: round(score + more, 2) for category, score in _LEAST.items()}
    thresholds = dict.fromkeys(Category, 1.0)
    open_ones = list(Category)
    for score in reversed(_GRID):
        for category in tuple(open_ones):
            if score >= least[category] and _holds(kinds, thresholds | {category: score}):
                thresholds[category] = score
            else:
                open_ones.remove(category)
    return thresholds


def _lowest(kinds: Sequence[_Kind]) -> float:
    """The lowest score, for all categories, at which every limit holds."""
    return next((score for score in _GRID if _holds(kinds, dict.fromkeys(Category, score))), 1.0)


def _holds(kinds: Sequence[_Kind], thresholds: Mapping[Category, float]) -> bool:
    return all(
        sum(blocks(judgement, thresholds[judgement.category]) for judgement in of_kind)
        <= share * len(of_kind)
        for of_kind, share in kinds
    )


def blocks(judgement: Judgement, threshold: float) -> bool:
    """Whether a text of this judgement is blocked."""
    return judgement.known >= LEAST_KNOWN and judgement.score >= threshold
