"""How a machine made a file: what its mark says, and nothing about for whom."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

_EMBEDDED = "embedded"


class SourceType(StrEnum):
    """IPTC's digital source types as far as machines make files here.

    https://cv.iptc.org/newscodes/digitalsourcetype/
    """

    TRAINED = "trainedAlgorithmicMedia"
    """By a model that was trained on samples."""
    TRAINED_COMPOSITE = "compositeWithTrainedAlgorithmicMedia"
    """By such a model, with something in it that a person brought."""
    ALGORITHMIC = "algorithmicMedia"
    """By rules alone: nothing was trained, as with the embedded renderers."""
    COMPOSITE = "composite"
    """By rules, with something in it that a person brought."""


@dataclass(frozen=True)
class Origin:
    """How a file was made.

    Attributes:
        backend: What made it, such as `comfyui`; `embedded` draws by rules alone.
        model: The model or renderer, `<backend>/<model>`.
        output_config: Id of the output config; empty: none.
        has_inputs: Something that a person brought is part of it.
        made_at: When, ISO 8601 in UTC; empty: not known.
    """

    backend: str
    model: str = ""
    output_config: str = ""
    has_inputs: bool = False
    made_at: str = ""

    @property
    def by_rules(self) -> bool:
        """Whether no trained model made it."""
        return self.backend == _EMBEDDED

    @property
    def source_type(self) -> SourceType:
        """The word for it."""
        if self.by_rules:
            return SourceType.COMPOSITE if self.has_inputs else SourceType.ALGORITHMIC
        return SourceType.TRAINED_COMPOSITE if self.has_inputs else SourceType.TRAINED

    def to_json(self) -> str:
        """As kept in the ledger."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Origin:
        """As kept in the ledger."""
        return Origin(**json.loads(text))
