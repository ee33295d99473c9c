"""The documents' own words, a file per language, so that who translates need not program."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from tracker_service.export_workflow.summary.model import Language


class Words(BaseModel):
    """All words of one language; names in braces are filled in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    titles: dict[str, str]
    """By template."""
    sections: dict[str, str]
    labels: dict[str, str]
    columns: dict[str, str]
    changes: dict[str, str]
    """By kind of change."""
    states: dict[str, str]
    """By state of an execution."""
    steps: dict[str, str]
    """By type of item; a type without a word stands as it is."""
    figures: dict[str, str]
    """By key of the totals of executions."""
    sentences: dict[str, str]
    summary: dict[str, str]
    """Of summaries that are extracted."""

    def step(self, item_type: str) -> str:
        """Return the word for a step."""
        return self.steps.get(item_type, item_type.replace("_", " "))

    def state(self, state: str) -> str:
        """Return the word for a state."""
        return self.states.get(state, state)


@lru_cache
def words(language: Language) -> Words:
    """Return the words of a language."""
    return Words.model_validate_json(files(__package__).joinpath(f"{language}.json").read_bytes())
