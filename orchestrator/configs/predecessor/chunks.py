"""Chunks that ask a language model, in our form.

A template may name any parameter of the config that uses it, so each config gets a copy of its own
with the values written in: chunks of ours know only what a run brings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from orchestrator.configs.model import Chunk, ChunkParameters
from orchestrator.configs.parameters import CHUNK_PARAMETERS, complaint_about
from orchestrator.configs.predecessor.models import role_and_model
from orchestrator.configs.predecessor.reports import RefusedError
from orchestrator.configs.predecessor.values import filled, parameters, section, strings, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.configs.predecessor.files import Source
    from orchestrator.configs.predecessor.reports import Notes
    from orchestrator.configs.values import Scalar

_OTHER_NAMES = {"num_predict": "max_tokens", "max_length": "max_tokens"}
_SPAN = re.compile(r"[0-9]{1,5}[smh]")
_MAX_STOPS = 16


class ChunkKind(StrEnum):
    """What a chunk of the predecessor does."""

    PROMPT = "asks a language model"
    PROXY = "stands for the output chunk that a config names"
    WORKFLOW = "runs a ComfyUI workflow"
    API = "asks a service for media"


def kind_of(source: Source) -> ChunkKind:
    """Tell what a chunk does, by its type and else by what it holds.

    Raises:
        RefusedError: It is a program, or nothing that is known.
    """
    data = source.data
    told = str(data.get("type", "")).lower()
    if "python" in told or "code" in data:
        raise RefusedError("This chunk is a program, and programs in config folders are never run.")
    if told.startswith("proxy") or "{{OUTPUT_CHUNK}}" in str(data.get("template", "")):
        return ChunkKind.PROXY
    if told.startswith("api"):
        return ChunkKind.API
    if told.startswith("output") or "workflow" in data:
        return ChunkKind.WORKFLOW
    if "template" in data:
        return ChunkKind.PROMPT
    raise RefusedError("A chunk needs a template, or a workflow, or a type such as proxy_chunk.")


@dataclass(frozen=True)
class PromptChunk:
    """A chunk that asks a language model, before a config's values are written in.

    Attributes:
        system: Template of the system message by language; None: there is none.
        template: Template of the user message by language.
        given: The chunk's own parameters, by lower-case name.
    """

    id: str
    role: str
    model: str | None
    system: Mapping[str, str] | None
    template: Mapping[str, str]
    given: Mapping[str, Scalar]
    answers: ChunkParameters

    def made_for(self, owner: str, values: Mapping[str, Scalar], notes: Notes) -> Chunk:
        """Return the chunk as one config uses it.

        Args:
            owner: The config's id; part of the new chunk's.
            values: The config's parameters, by lower-case name.
            notes: The config's.
        """
        known = {**self.given, **values}
        return Chunk(
            id=f"{owner}/{self.id}",
            role=self.role,
            model=self.model,
            system=_filled(self.system, known, notes),
            template=_filled(self.template, known, notes),
            parameters=self.answers,
        )


def _filled(
    by_language: Mapping[str, str] | None, values: Mapping[str, Scalar], notes: Notes
) -> Any:
    if by_language is None:
        return None
    return {language: filled(text, values, notes) for language, text in by_language.items()}


def prompt_chunk(source: Source) -> PromptChunk:
    """Read a chunk that asks a language model.

    Raises:
        RefusedError: It has no template.
    """
    template = source.data.get("template")
    system: Any = None
    if isinstance(template, dict) and ("prompt" in template or "system" in template):
        system, template = template.get("system"), template.get("prompt", "{{PREVIOUS_OUTPUT}}")
    prompt = texts(template, source.notes, "template")
    if prompt is None:
        raise RefusedError("The template is empty, or no text.")
    role, model = role_and_model(source.data.get("model"), source.notes)
    given = parameters(source.data.get("parameters"), source.notes)
    return PromptChunk(
        id=source.id,
        role=role,
        model=model,
        system=texts(system, source.notes, "template.system"),
        template=prompt,
        given=given,
        answers=_answers(given, source),
    )


def _answers(given: Mapping[str, Scalar], source: Source) -> ChunkParameters:
    """Take what a model can be told; the predecessor never sent any of it."""
    stop = strings(section(source.data, "parameters").get("stop"))[:_MAX_STOPS]
    found: dict[str, Any] = {"stop": stop} if stop else {}
    for name, value in given.items():
        ours = _OTHER_NAMES.get(name, name)
        if ours in CHUNK_PARAMETERS:
            if complaint := complaint_about(value, CHUNK_PARAMETERS[ours]):
                source.notes.add(f"parameters.{name} is left out. {complaint}")
            else:
                found[ours] = value
        elif ours == "seed" and isinstance(value, int) and not isinstance(value, bool):
            found[ours] = value
        elif ours == "keep_alive" and (span := _keep_alive(value)):
            found[ours] = span
    if found:
        names = ", ".join(sorted(found))
        source.notes.add(f"parameters: {names} reach the model now.")
    return ChunkParameters(**found)


def _keep_alive(value: Scalar) -> str | None:
    if isinstance(value, str) and _SPAN.fullmatch(value):
        return value
    return f"{value}s" if isinstance(value, int) and 0 <= value <= 86_400 else None
