"""A ComfyUI workflow as its file describes it: a graph, and where our words go into it.

The graph itself stays as the author exported it. What a run changes in it (prompt, seed, size,
pictures, LoRAs) is named beside it, and is written by the generation service alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from orchestrator.configs.values import (
    Frozen,
    FrozenJsonObject,
    FrozenModel,
    Scalar,
    canonical_json,
    digest_of,
    thaw,
)

COMFYUI_BACKEND = "comfyui"
INPUT_IMAGE = re.compile(r"input_image(?:_([2-9]))?")

OutputType = Literal["image", "audio", "video", "3d", "text"]


def _listed(value: object) -> object:
    """Accept one mapping where a list of them may stand."""
    return [value] if isinstance(value, Mapping | FrozenModel) else value


class NodeName(FrozenModel):
    """A node of the graph, named in exactly one of three ways.

    Attributes:
        node_id: Its key in the graph.
        title: Its `_meta.title`, that of one node only.
        class_type: Its class, where the graph has one such node only.
    """

    node_id: str | None = None
    title: str | None = None
    class_type: str | None = None


class InputMapping(NodeName):
    """Where a value is written.

    Attributes:
        field: `inputs.<name>`.
        default: Written where no value is given; None: what the graph says stays.
        source: A second name under which the value may be given; None: there is none.
    """

    field: str
    default: Scalar | None = None
    source: str | None = None

    @property
    def input_name(self) -> str:
        """The input's name within the node."""
        return self.field.removeprefix("inputs.")


class OutputMapping(NodeName):
    """A node whose files are the result.

    Attributes:
        output_type: What they are.
        format: The ending that is expected, such as `png`; None: any.
    """

    output_type: OutputType
    format: str | None = None


class NodeOutput(NodeName):
    """One output of a node.

    Attributes:
        slot: Its number, from 0.
    """

    slot: int = 0


class LoraPlace(FrozenModel):
    """Where LoRAs are put in: behind these outputs, in front of everything that used them.

    Attributes:
        model: What gives the model.
        clip: What gives the text encoder; None: LoRAs change the model only.
    """

    model: NodeOutput
    clip: NodeOutput | None = None


class RequiredModel(FrozenModel):
    """A file that a worker must have.

    Attributes:
        folder: Below its models folder, such as `checkpoints`.
        file: Name as the graph has it.
        source: Where people get it, such as a repository's name.
    """

    folder: str
    file: str
    source: str = ""


class PlannedWorkflow(FrozenModel):
    """A workflow as an execution carries it.

    Attributes:
        graph: In ComfyUI's API format.
        input_mappings: Name of a parameter (or `prompt`, `seed`, `input_image` …) to its places.
        output_mapping: The results, in order.
        lora_place: None: it takes no LoRAs.
    """

    id: str
    graph: FrozenJsonObject
    input_mappings: Annotated[
        Mapping[str, Annotated[tuple[InputMapping, ...], BeforeValidator(_listed)]], *Frozen
    ] = Field(default={}, validate_default=True)
    output_mapping: Annotated[tuple[OutputMapping, ...], BeforeValidator(_listed)]
    lora_place: LoraPlace | None = None

    @property
    def input_image_count(self) -> int:
        """How many pictures of the run it is made from."""
        found = [INPUT_IMAGE.fullmatch(name) for name in self.input_mappings]
        return max((int(match[1] or 1) for match in found if match), default=0)

    @property
    def parameters(self) -> frozenset[str]:
        """Names of the parameters that it has a place for."""
        sources = (each.source for places in self.input_mappings.values() for each in places)
        return frozenset(self.input_mappings) | frozenset(name for name in sources if name)

    @property
    def graph_json(self) -> str:
        """The graph as canonical JSON."""
        return canonical_json(thaw(self.graph))

    @property
    def input_mappings_json(self) -> str:
        """The mappings as canonical JSON, each a list, unset fields left out."""
        return canonical_json(self.model_dump(mode="json", exclude_none=True)["input_mappings"])

    @property
    def output_mapping_json(self) -> str:
        """The output mapping as canonical JSON: a list, unset fields left out."""
        return canonical_json(self.model_dump(mode="json", exclude_none=True)["output_mapping"])

    @property
    def lora_place_json(self) -> str:
        """The place of LoRAs as canonical JSON; empty: none."""
        place = self.lora_place
        return canonical_json(place.model_dump(mode="json", exclude_none=True)) if place else ""

    @property
    def digest(self) -> str:
        """SHA-256 of everything that a worker may see of it, 64 hexadecimal digits."""
        return digest_of(canonical_json(self))


class Workflow(PlannedWorkflow):
    """A file of workflows/.

    Attributes:
        experimental: Its nodes were not held against a real server's; people are told.
        requires: Files that a worker must have.
    """

    description: str = ""
    experimental: bool = False
    requires: tuple[RequiredModel, ...] = ()

    def planned(self) -> PlannedWorkflow:
        """Return what an execution needs of it."""
        return PlannedWorkflow.model_validate(
            {name: getattr(self, name) for name in PlannedWorkflow.model_fields}
        )
