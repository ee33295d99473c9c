"""Chooses the scores from which the classifier blocks, on texts that it has not learned from.

The harmless come first: a workshop that refuses children's wishes is not used. So the threshold is
the lowest one that keeps the stated share of false alarms on dev, and recall is what results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safety_service.model import Category, Level

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from safety_service.classifier import Classifier, Judgement
    from safety_service.normalise import Normaliser
    from training.data import Example

LEAST_KNOWN = 0.5
# The share of harmless texts that the classifier alone may block at most: wishes, descriptions and
# art prompts, searches. Sources of one kind count together.
FALSE_ALARMS: dict[tuple[str, ...], dict[Level, float]] = {
    ("own_wish",): {Level.KIDS: 0.005, Level.YOUTH: 0.0025},
    ("own_caption", "own_art", "parti"): {Level.KIDS: 0.02, Level.YOUTH: 0.015},
    ("own_query",): {Level.KIDS: 0.05, Level.YOUTH: 0.04},
}
# Of harmless talk about groups, in tweets and contrast pairs. Much looser: the same words are
# hateful or not by a nuance that a linear model does not see.
FALSE_ALARMS_ON_GROUPS: dict[tuple[str, ...], dict[Level, float]] = {
    ("gahd", "germeval18"): {Level.KIDS: 0.15, Level.YOUTH: 0.12},
}
_GRID = [step / 100 for step in range(50, 96)]


def judged(
    examples: Sequence[Example], classifier: Classifier, normaliser: Normaliser
) -> list[tuple[Example, Judgement]]:
    """Every example with what the classifier makes of it."""
    return [(e, classifier.judge(normaliser.normalise(e.text).plain.text)) for e in examples]


def thresholds(found: Sequence[tuple[Example, Judgement]]) -> dict[Level, dict[Category, float]]:
    """For each level the least score that blocks, by category."""
    chosen = {}
    for level in (Level.KIDS, Level.YOUTH):
        usual = _lowest(found, FALSE_ALARMS, level)
        hate = max(usual, _lowest(found, FALSE_ALARMS_ON_GROUPS, level))
        chosen[level] = {name: hate if name is Category.HATE else usual for name in Category}
    return chosen


def _lowest(
    found: Sequence[tuple[Example, Judgement]],
    limits: Mapping[tuple[str, ...], Mapping[Level, float]],
    level: Level,
) -> float:
    """The lowest score at which every limit holds."""
    kinds = [
        ([j for e, j in found if not e.harmful and e.source in sources], shares[level])
        for sources, shares in limits.items()
    ]
    for threshold in _GRID:
        if all(sum(blocks(j, threshold) for j in kind) <= s * len(kind) for kind, s in kinds):
            return threshold
    return 1.0


def blocks(judgement: Judgement, threshold: float) -> bool:
    """Whether a text of this judgement is blocked."""
    return judgement.known >= LEAST_KNOWN and judgement.score >= threshold
