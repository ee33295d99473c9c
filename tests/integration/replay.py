"""Reading a record as a script: what was every model told, and does that follow from the plan?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from orchestrator.configs.languages import LANGUAGE_CODES, language_name
from orchestrator.configs.plan import Plan, chunks_of
from orchestrator.configs.templates import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.configs.plan import PlannedChunk
    from stellwerk.tracker.v1 import execution_pb2

SAMPLING = {"temperature": "temperature", "top_p": "top_p", "num_predict": "max_tokens"}
"""Parameters under Ollama's names, as they were applied, and under ours."""
Call = tuple[str, str]
"""What a model was told: its messages and its parameters, as canonical JSON."""


def canonical(value: object) -> str:
    """Write a value in the one form that can be compared."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def sampling_in(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was applied of the parameters that chunks set, under our names."""
    return {SAMPLING[name]: facts[name] for name in SAMPLING if name in facts}


class Replay:
    """Goes through the items of a record and tells what each model call must have been.

    Attributes:
        calls: The calls that the record tells of.
        texts: The person's texts as they stood at the end.
    """

    def __init__(self, record: execution_pb2.ExecutionRecord, plan_json: bytes) -> None:
        self.calls: set[Call] = set()
        self.texts: dict[str, str] = {}
        self._plan = Plan.from_json(plan_json)
        self._chunks = {chunk.id: chunk for chunk in chunks_of(self._plan.flow)}
        self._previous = ""
        self._branches: dict[str, str] = {}
        self._branch_names = {branch.name for branch in getattr(self._plan.flow, "branches", ())}
        for item in record.items:
            self._read(item, json.loads(item.metadata_json or b"{}"))

    def _read(self, item: execution_pb2.ExecutionItem, facts: dict[str, Any]) -> None:
        kind = item.item_type
        if kind in ("user_input_text", "user_edit") and facts["field"].startswith("texts["):
            self.texts[facts["field"]] = item.content
        elif kind == "stage_transition" and facts["to_stage"] == 2:
            self._previous = self.texts["texts[0]"]
            self._branches.clear()
        elif kind == "user_edit":
            self._previous = item.content
        elif kind in ("interception_iteration", "interception_final") and "chunk" in facts:
            self._read_step(item, facts)
        elif kind == "interception_final":
            self._previous = item.content
        elif kind == "optimization_result":
            output = self._plan.outputs[item.loop_iteration - 1]
            assert output.optimization is not None
            instruction = output.optimization_instruction or ""
            self._expect(
                output.optimization, facts, 0, self._previous, OPTIMIZATION_INSTRUCTION=instruction
            )
        elif kind == "translation_result":
            # Which text it was made from, the model's own message says.
            self._note(facts)

    def _read_step(self, item: execution_pb2.ExecutionItem, facts: dict[str, Any]) -> None:
        """Read a call of phase 1; branches side by side do not see each other's texts."""
        chunk = self._chunks[facts["chunk"]]
        branch = str(facts.get("step", "")).rpartition(".")[0]
        if branch not in self._branch_names:
            self._expect(chunk, facts, item.stage_iteration, self._previous)
            self._previous = item.content
            return
        before = self._branches.get(branch, self._previous)
        self._expect(chunk, facts, item.stage_iteration, before)
        self._branches[branch] = item.content

    def _expect(
        self,
        chunk: PlannedChunk,
        facts: dict[str, Any],
        iteration: int,
        previous: str,
        **extra: str,
    ) -> None:
        """Check that a call follows from the plan and from the texts before it."""
        values = {
            "INPUT_TEXT": self.texts["texts[0]"],
            "PREVIOUS_OUTPUT": previous,
            "CONTEXT": self._plan.context,
            "ITERATION": str(iteration),
            "ITERATIONS": str(getattr(self._plan.flow, "iterations", "")),
            **extra,
        }
        messages = {message["role"]: message["content"] for message in facts["messages"]}
        assert messages["user"] == render(chunk.template, values)
        if chunk.system is not None:
            assert messages["system"] in _in_any_language(chunk, values)
        given = chunk.parameters.model_dump(exclude_none=True, include={*SAMPLING.values()})
        assert sampling_in(facts) == given
        self._note(facts)

    def _note(self, facts: dict[str, Any]) -> None:
        self.calls.add((canonical(facts["messages"]), canonical(sampling_in(facts))))


def _in_any_language(chunk: PlannedChunk, values: dict[str, str]) -> set[str]:
    """Return the system message for every language that a text can be in."""
    names = (language_name(code, chunk.language) for code in LANGUAGE_CODES)
    keys = ("LANGUAGE", "SOURCE_LANGUAGE", "TARGET_LANGUAGE")
    return {render(chunk.system or "", {**values, **dict.fromkeys(keys, name)}) for name in names}
