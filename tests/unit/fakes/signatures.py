"""Messages, bodies and headers in a form in which two servers can be compared.

What differs from run to run (times, stack traces, tensors as text, the order of sets, help texts)
is taken out; everything else stays.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

Json = dict[str, Any]

TEMP_NAME = re.compile(r"ComfyUI_temp_[a-z]{5}_")
MADE_ID = re.compile("[0-9a-f]{32}")
HEADERS = (
    "Content-Type",
    "Content-Disposition",
    "Accept-Ranges",
    "Content-Range",
    "Connection",
    "Allow",
    "Transfer-Encoding",
    "Content-Encoding",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Methods",
)
LEFT_OUT = ("tooltip", "description", "output_tooltips", "traceback")
UNORDERED = ("executed", "current_inputs", "current_outputs")


def plain(value: Any) -> Any:
    """Return a JSON value without what differs from run to run."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str):
        return TEMP_NAME.sub("ComfyUI_temp_xxxxx_", value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity"}.get(str(value), "-Infinity")
    if not isinstance(value, dict):
        return value
    if "__non_json_literal__" in value:
        return value["__non_json_literal__"]
    result: Json = {}
    for key, each in value.items():
        if key == "timestamp":
            result[key] = 0
        elif key in UNORDERED and isinstance(each, list | dict):
            result[key] = sorted(each)
        elif key not in LEFT_OUT:
            result[key] = plain(each)
    return result


def of_message(message: Json) -> str:
    """Return a text message in one short line; what is not shortened is JSON."""
    kind, data = message["type"], message["data"]
    whose = "" if "prompt_id" in data else " of nobody"
    if kind == "status":
        sid = data.get("sid", "")
        sid = " with an id of the server" if MADE_ID.fullmatch(sid) else sid and f" for {sid}"
        return f"status {data['status']['exec_info']['queue_remaining']}{sid}"
    if kind == "progress_state":
        nodes = ", ".join(
            f"{name} {node['value']:g}/{node['max']:g} {node['state']}"
            for name, node in data["nodes"].items()
        )
        return f"progress_state {data['prompt_id']}: {nodes}"
    if kind == "progress":
        return f"progress {data['prompt_id']}: {data['node']} {data['value']}/{data['max']}"
    if kind in ("execution_start", "execution_success") and set(data) == {"prompt_id", "timestamp"}:
        return f"{kind} {data['prompt_id']}:"
    if kind == "execution_cached" and set(data) == {"nodes", "prompt_id", "timestamp"}:
        return f"{kind} {data['prompt_id']}: {', '.join(data['nodes'])}"
    if kind == "executing":
        return f"executing{whose} {data.get('prompt_id', '')}: {data['node']}"
    if kind == "executed" and data["display_node"] == data["node"]:
        output = json.dumps(plain(data["output"]), sort_keys=True, ensure_ascii=False)
        return f"{kind} {data['prompt_id']}: {data['node']} {output}"
    return f"{kind} " + json.dumps(plain(data), sort_keys=True, ensure_ascii=False)


def of_frame(content: bytes) -> str:
    """Return a binary frame in one short line."""
    kind = int.from_bytes(content[:4], "big")
    if kind == 1:
        return f"image {int.from_bytes(content[4:8], 'big')} {content[8:12].hex()}"
    length = int.from_bytes(content[4:8], "big")
    head, rest = content[8 : 8 + length].decode(), content[8 + length :]
    if kind == 3:
        return f"text {head} {rest.decode()}"
    metadata = json.dumps(json.loads(head), sort_keys=True)
    return f"image with {metadata} {rest[:4].hex()}"


def of_recorded_frame(binary: Json) -> str:
    """Return a binary frame, as the captures describe it, in the same line as `of_frame`."""
    kind = binary["event_type"]
    if kind == 1:
        first = bytes.fromhex(binary["first_16_hex"].replace(" ", ""))
        return f"image {binary['image_format']} {first[8:12].hex()}"
    if kind == 3:
        return f"text {binary['node_id']} {binary['text']}"
    metadata = json.dumps(binary["metadata_json"], sort_keys=True)
    return f"image with {metadata} {binary['image_first_4_hex'].replace(' ', '')}"


def of_statuses(lines: list[str]) -> list[str]:
    """Return only the status messages."""
    return [line for line in lines if line.startswith("status")]


def of_others(lines: list[str], *, short: bool) -> list[str]:
    """Return all but the status messages, maybe with the steps of long nodes taken together."""
    others = [line for line in lines if not line.startswith("status")]
    return shortened(others) if short else others


def shortened(lines: list[str]) -> list[str]:
    """Take the many steps of long nodes together, so that their number does not matter."""
    result: list[str] = []
    for line in lines:
        is_step = line.startswith("progress ") or re.search(
            r"^progress_state .* [1-9][0-9]*/[0-9]+ running", line
        )
        step = re.sub(r"^progress(?:_state)? ([^:]*):.*", r"steps of \1", line)
        line = step if is_step else line
        is_repeated = line.startswith("steps of") and result and result[-1] == line
        if not is_repeated:
            result.append(line)
    return result
