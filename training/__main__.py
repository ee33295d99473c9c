"""Makes the classifier again: `python -m training ../shared/safety-data`, or `make classifier`.

Learns from `train.jsonl` and our own authors, writes the model and its thresholds beside the
policy's lists, and the model card with what it does on `dev.jsonl` and on unseen authors.
The texts of the blind part have no say in any of it: they are judged last, for the card alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safety_service.classifier import Classifier
from safety_service.model import Level
from safety_service.normalise import Normaliser
from safety_service.policy import SHIPPED_POLICIES
from training.authors import Part
from training.card import card
from training.data import own_examples, public_examples
from training.fit import fit
from training.thresholds import LEAST_KNOWN, judged, scores

_MODEL = "classifier.bin"
_CARD = Path(__file__).parents[1] / "docs" / "classifier.md"


def main(folder: Path) -> None:
    """Learn, choose, measure."""
    normaliser = Normaliser()
    learned_from = public_examples(folder / "train.jsonl") + own_examples(Part.TRAIN)
    weights = fit(learned_from, normaliser)
    measured_on = public_examples(folder / "dev.jsonl") + own_examples(Part.DEV)
    classifier = Classifier(weights)
    found = judged(measured_on, classifier, normaliser)
    chosen = {level: scores(found, level) for level in (Level.KIDS, Level.YOUTH)}
    rule = {
        "model": _MODEL,
        "least_known": LEAST_KNOWN,
        "thresholds": {level: of.thresholds for level, of in chosen.items()},
        "asked": {level: of.asked for level, of in chosen.items()},
        "grey": {level: of.grey for level, of in chosen.items()},
    }
    (SHIPPED_POLICIES / _MODEL).write_bytes(weights.to_bytes())
    path = SHIPPED_POLICIES / "classifier.json"
    path.write_text(json.dumps(rule, indent=2) + "\n", encoding="utf-8")
    blind = judged(own_examples(Part.BLIND), classifier, normaliser)
    _CARD.write_text(card(learned_from, found, blind, chosen), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/safety-data"))
