"""What POST /prompt refuses, in the words and shapes of the real server.

Only what leads to an output node is looked at; a prompt with one valid output is accepted, and
the others are reported beside the 200.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fakes.comfyui.catalogue import UPLOAD_INPUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Json = dict[str, Any]

LONG_LIST = 20  # choices beyond this are not repeated in an error
CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "INT": int,
    "FLOAT": float,
    "STRING": str,
    "BOOLEAN": bool,
}


@dataclass(frozen=True)
class Verdict:
    """What came out of a validation.

    Attributes:
        outputs: The output nodes that will run.
        error: Why nothing will; None if something will.
        node_errors: By node id; may be there beside outputs.
    """

    outputs: list[str] = field(default_factory=list)
    error: Json | None = None
    node_errors: Json = field(default_factory=dict)


def validate(
    prompt: Any,
    catalogue: Mapping[str, Json],
    file_exists: Callable[[str], bool],
    targets: list[Any] | None = None,
) -> Verdict:
    """Validate a graph; input values are converted in place, as the real server does.

    Args:
        prompt: The graph as posted.
        catalogue: `/object_info`.
        file_exists: Says whether a name like "up.png" or "o.png [output]" is a file.
        targets: `partial_execution_targets`; None: all outputs.

    Raises:
        Exception: For graphs that make the real server answer 500.
    """
    outputs = []
    for node_id in prompt:
        if "class_type" not in prompt[node_id]:
            return _invalid("a node is missing the class_type property.", node_id)
        class_type = prompt[node_id]["class_type"]
        if class_type not in catalogue:
            return _invalid(f"node {class_type} does not exist.", node_id)
        if catalogue[class_type]["output_node"] and (targets is None or node_id in targets):
            outputs.append(node_id)
    if not outputs:
        return Verdict(error=_error("prompt_no_outputs", "Prompt has no outputs", ""))
    return _GraphValidation(prompt, catalogue, file_exists).of_outputs(outputs)


def _error(kind: str, message: str, details: str, extra_info: Json | None = None) -> Json:
    return {"type": kind, "message": message, "details": details, "extra_info": extra_info or {}}


def _invalid(reason: str, node_id: Any) -> Verdict:
    message = f"Cannot execute because {reason}"
    return Verdict(error=_error("invalid_prompt", message, f"Node ID '#{node_id}'"))


def _raised(kind: str, message: str, exc: Exception, extra_info: Json | None = None) -> Json:
    extra = dict(extra_info or {})
    extra |= {"exception_type": type(exc).__name__, "traceback": TRACEBACK}
    return _error(kind, message, str(exc), extra)


TRACEBACK = ['  File "/comfyui/execution.py", line 1010, in validate_prompt\n']


class _GraphValidation:
    def __init__(
        self, prompt: Json, catalogue: Mapping[str, Json], file_exists: Callable[[str], bool]
    ) -> None:
        self.prompt = prompt
        self.catalogue = catalogue
        self.file_exists = file_exists
        self.errors: dict[str, list[Json]] = {}  # nodes seen so far; empty: itself without fault
        self.valid: dict[str, bool] = {}
        self.open: set[str] = set()

    def of_outputs(self, outputs: list[str]) -> Verdict:
        good: list[str] = []
        node_errors: Json = {}
        texts: list[str] = []
        for output in outputs:
            try:
                valid = self.node(output)
            except Exception as exc:
                valid = False
                message = "Exception when validating node"
                self.errors[output] = [_raised("exception_during_validation", message, exc)]
                self.valid[output] = False
            if valid:
                good.append(output)
                continue
            own = self.errors.get(output, ())
            texts += [f"{error['message']}: {error['details']}" for error in own]
            self._report(output, node_errors)
        if good:
            return Verdict(good, None, node_errors)
        error = _error(
            "prompt_outputs_failed_validation", "Prompt outputs failed validation", "\n".join(texts)
        )
        return Verdict([], error, node_errors)

    def _report(self, output: str, node_errors: Json) -> None:
        for node_id, errors in self.errors.items():
            if errors:
                entry = node_errors.setdefault(
                    node_id,
                    {
                        "errors": errors,
                        "dependent_outputs": [],
                        "class_type": self.prompt[node_id]["class_type"],
                    },
                )
                entry["dependent_outputs"].append(output)

    def node(self, node_id: str) -> bool:
        if node_id in self.valid:
            return self.valid[node_id]
        if node_id in self.open:  # a cycle; the real server runs out of stack here
            return False
        self.open.add(node_id)
        try:
            inputs = self.prompt[node_id]["inputs"]
            class_type = self.prompt[node_id]["class_type"]
            specification = self.catalogue[class_type]["input"]
            errors: list[Json] = []
            valid = True
            for category in ("required", "optional"):
                for name, entry in specification.get(category, {}).items():
                    if name in inputs:
                        valid &= self._input(class_type, inputs, name, entry, errors)
                    elif category == "required":
                        errors.append(
                            _error(
                                "required_input_missing",
                                "Required input is missing",
                                name,
                                {"input_name": name},
                            )
                        )
        finally:
            self.open.discard(node_id)
        self.errors[node_id] = errors
        self.valid[node_id] = valid and not errors
        return self.valid[node_id]

    def _input(
        self, class_type: str, inputs: Json, name: str, entry: list[Any], errors: list[Json]
    ) -> bool:
        options = entry[1] if len(entry) > 1 else {}
        extra = {"input_name": name, "input_config": [entry[0], options]}
        if isinstance(inputs[name], list):
            return self._link(name, inputs[name], entry[0], extra, errors)
        self._literal(class_type, inputs, name, entry[0], options, extra, errors)
        return True

    def _link(
        self, name: str, link: list[Any], wanted: Any, extra: Json, errors: list[Json]
    ) -> bool:
        if len(link) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            errors.append(
                _error("bad_linked_input", message, name, extra | {"received_value": link})
            )
            return True
        source = self.prompt[link[0]]["class_type"]
        received = tuple(self.catalogue[source]["output"])[link[1]]
        if not _fits(received, wanted):
            details = f"{name}, received_type({received}) mismatch input_type({wanted})"
            more = extra | {"received_type": received, "linked_node": link}
            message = "Return type mismatch between linked nodes"
            errors.append(_error("return_type_mismatch", message, details, more))
            return True
        try:
            return self.node(link[0])
        except Exception as exc:
            more = extra | {"exception_message": str(exc), "linked_node": link}
            message = "Exception when validating inner node"
            self.errors[link[0]] = [
                _raised("exception_during_inner_validation", message, exc, more)
            ]
            self.valid[link[0]] = False
            return False

    def _literal(
        self,
        class_type: str,
        inputs: Json,
        name: str,
        wanted: Any,
        options: Json,
        extra: Json,
        errors: list[Json],
    ) -> None:
        value = inputs[name]
        try:
            if isinstance(value, dict) and "__value__" in value:
                value = inputs[name] = value["__value__"]
            if isinstance(wanted, str) and wanted in CONVERSIONS:
                value = inputs[name] = CONVERSIONS[wanted](value)
        except Exception as exc:
            more = extra | {"received_value": value, "exception_message": str(exc)}
            message = f"Failed to convert an input value to a {wanted} value"
            errors.append(_error("invalid_input_type", message, f"{name}, {value}, {exc}", more))
            return
        if UPLOAD_INPUTS.get(class_type) == name:
            self._file(class_type, name, value, errors)
            return
        more = extra | {"received_value": value}
        if "min" in options and value < options["min"]:
            text = f"Value {value} smaller than min of {options['min']}"
            errors.append(_error("value_smaller_than_min", text, name, more))
        elif "max" in options and value > options["max"]:
            text = f"Value {value} bigger than max of {options['max']}"
            errors.append(_error("value_bigger_than_max", text, name, more))
        elif isinstance(wanted, list) and value not in wanted:
            is_long = len(wanted) > LONG_LIST
            choices = f"(list of length {len(wanted)})" if is_long else str(wanted)
            if is_long:
                more["input_config"] = None
            details = f"{name}: '{value}' not in {choices}"
            errors.append(_error("value_not_in_list", "Value not in list", details, more))

    def _file(self, class_type: str, name: str, value: Any, errors: list[Json]) -> None:
        if self.file_exists(str(value)):
            return
        kind = {"LoadAudio": "audio", "LoadVideo": "video"}.get(class_type, "image")
        details = f"{name} - Invalid {kind} file: {value}"
        message = "Custom validation failed for node"
        errors.append(_error("custom_validation_failed", message, details, {"input_name": name}))


def _fits(received: Any, wanted: Any) -> bool:
    """Say whether an output may go into an input; "*" takes and gives anything."""
    if "*" in (received, wanted) or received == wanted:
        return True
    if not isinstance(received, str) or not isinstance(wanted, str):
        return isinstance(received, list) and wanted == "COMBO"
    return {part.strip() for part in received.split(",")} <= {
        part.strip() for part in wanted.split(",")
    }
