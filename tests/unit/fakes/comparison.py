"""How an answer or a message of the stand-in is held against the recorded one."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.unit.fakes.signatures import of_others, of_statuses, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import aiohttp

    from tests.fakes.comfyui import ComfyUIServer

    Json = dict[str, Any]

SUMMARIES = re.compile(r"^<.*>$")  # an answer that the recording only describes
SLOW_INPUTS = {"tick_ms": 20, "seconds": 0.1}  # at most, so that a replay is quick


@dataclass
class Plan:
    """What a scenario needs besides its recording.

    Attributes:
        switches: Of the stand-in.
        prepare: Called before the first step.
        uploads: Multipart bodies, which recordings do not hold, by label: file name, content,
            fields.
        notes: What to do at a note, by its beginning.
        after: What to do after a prompt has been posted, by its id.
        fresh: Each socket is the first one of a new process.
        skip: Labels or paths of calls that are left out.
        long: Prompts ran beside each other; also take the steps of long nodes together.
        racing: Statuses depend on who was faster; they are not compared.
    """

    switches: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[ComfyUIServer], None] = lambda comfy: None
    uploads: Mapping[str, tuple[str | None, bytes, Mapping[str, str]]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    skip: tuple[str, ...] = ()
    long: bool = False
    racing: bool = False


class Comparison:
    """Collects what differs between a recording and its replay.

    Attributes:
        differences: One line each.
        compared_count: How much was compared, so that a replay of nothing does not pass.
        skipped: Prompts that the stand-in cannot run; nothing about them is compared.
    """

    def __init__(self, plan: Plan, comfy: ComfyUIServer) -> None:
        """Start without differences."""
        self.plan = plan
        self.comfy = comfy
        self.skipped: set[str] = set()
        self.differences: list[str] = []
        self.compared_count = 0

    @property
    def is_racing(self) -> bool:
        """Whether statuses say nothing."""
        return self.plan.racing or bool(self.skipped)

    def is_skipped(self, line: str) -> bool:
        """Say whether a message is about a skipped prompt."""
        return any(f'"{each}"' in line or f" {each}:" in line for each in self.skipped)

    def values(self, step: Json, what: str, expected: Any, actual: Any) -> None:
        """Compare two values of an answer."""
        self.compared_count += 1
        if str(step.get("json", {}).get("prompt_id")) in self.skipped:
            return
        if expected != actual:
            name = f"{step.get('method', '')} {step.get('path', '')} {step.get('label', '')}"
            self.differences.append(f"{name}: {what}: expected {expected!r}, got {actual!r}")

    def answer(self, step: Json, content: bytes, response: aiohttp.ClientResponse) -> None:
        """Compare headers and body."""
        for name, value in step.get("answer_headers", {}).items():
            if name == "Content-Disposition":
                value = re.sub("ComfyUI_temp_[a-z]{5}_", "ComfyUI_temp_xxxxx_", value)
            actual = plain(response.headers.get(name, ""))
            if name == "Content-Range":  # of a file that may have another length
                value, actual = value.partition("/")[0], actual.partition("/")[0]
            self.values(step, name, value, actual)
        if "answer_text" in step:
            if not SUMMARIES.match(step["answer_text"]) and len(step["answer_text"]) != 40:
                limit = str(self.comfy.switches.max_upload_bytes)
                text = step["answer_text"].replace(str(100 << 20), limit)
                self.values(step, "text", text, content.decode(errors="replace"))
        elif "answer_bytes" in step:
            recorded = step["answer_bytes"]
            first = bytes.fromhex(recorded["first_16_hex"].replace(" ", ""))
            self.values(step, "bytes", first[:4].hex(), content[:4].hex())
            if step["status"] == 206:
                self.values(step, "length", recorded["length"], len(content))
        elif "answer_json" in step:
            self._json(step, step["answer_json"], content)

    def _json(self, step: Json, expected: Any, content: bytes) -> None:
        text = content.decode().replace(str(self.comfy.folders.base), "<path>/base")
        actual = plain(json.loads(text)) if text else ""
        if step["path"].startswith("/history/") and isinstance(actual, dict) and actual:
            self._history(step, expected, next(iter(actual.values())))
        elif isinstance(expected, list) and isinstance(actual, dict):
            self.values(step, "number of entries", len(expected), len(actual))
        elif not fits(expected, actual):
            self.values(step, "JSON", expected, actual)
        self.compared_count += 1

    def _history(self, step: Json, expected: Any, entry: Json) -> None:
        """Compare what the recording kept of an entry; it often kept only a part."""
        status = entry["status"]
        kinds = [message[0] for message in status["messages"]]
        if not isinstance(expected, dict):  # only that there is one
            return
        kept: Any = next(iter(expected.values()), {})
        if isinstance(kept, str):
            self.values(step, "status", kept, status["status_str"])
            return
        if not isinstance(kept, dict):
            self.values(step, "end", kept[0], kinds[-1])
            return
        known = {**entry, "status_str": status["status_str"], "messages": kinds}
        known |= {"number": entry["prompt"][0], "extra": entry["prompt"][3]}
        for key, value in kept.items():
            if key == "status" and isinstance(value, str):
                self.values(step, key, value, status["status_str"])
            elif key == "status" and "messages" not in value:
                self.values(step, key, value["status_str"], status["status_str"])
            elif key == "status" and value["messages"] and isinstance(value["messages"][0], str):
                self.values(step, key, {**status, "messages": kinds}, value)
            elif key == "prompt_number_id_extra_outputs":
                prompt = entry["prompt"]
                self.values(step, key, value, [prompt[0], prompt[1], prompt[3], prompt[4]])
            elif key in known and not fits(value, known[key]):
                self.values(step, key, value, known[key])
            elif key not in known:
                self.values(step, f"outputs of {key}", value, entry["outputs"].get(key))

    def messages(self, name: str, expected: list[str], lines: list[str]) -> None:
        """Compare all that a socket heard, in its order.

        Where prompts were posted while others ran, statuses come when they come: then they and
        the rest are compared each in their own order.
        """
        base = str(self.comfy.folders.base)
        actual = [line.replace(base, "<path>/base") for line in lines]
        actual = [line for line in actual if not self.is_skipped(line)]
        if not self.plan.long and not self.is_racing:
            self._lines(name, expected, actual)
            return
        pairs = [of_others(each, short=self.plan.long) for each in (expected, actual)]
        self._lines(name, *pairs)
        if not self.is_racing:
            self._lines(name, of_statuses(expected), of_statuses(actual))

    def _lines(self, name: str, wanted: list[str], got: list[str]) -> None:
        if not wanted:  # the recording ended before anything came
            return
        self.compared_count += len(wanted)
        if wanted != got:
            pairs = enumerate(zip(wanted, got, strict=False))
            same = min(len(wanted), len(got))
            at = next((index for index, pair in pairs if pair[0] != pair[1]), same)
            self.differences.append(
                f"{name} message {at} of {len(wanted)}/{len(got)}: "
                f"expected {wanted[at : at + 3]}, got {got[at : at + 3]}"
            )


def fits(expected: Any, actual: Any) -> bool:
    """Say whether a JSON value is the recorded one, where that was recorded in full."""
    if isinstance(expected, str) and SUMMARIES.match(expected):
        return True
    if isinstance(expected, dict) and isinstance(actual, dict):
        if "system" in expected and "devices" in expected:  # another machine
            return set(expected["system"]) == set(actual["system"])
        return expected.keys() == actual.keys() and all(
            key in SLOW_INPUTS or fits(each, actual[key]) for key, each in expected.items()
        )
    if isinstance(expected, list) and isinstance(actual, list):
        is_item = len(expected) == 2 and len(actual) == 5  # only number and id were kept
        return (is_item or len(expected) == len(actual)) and all(map(fits, expected, actual))
    return bool(expected == actual)
