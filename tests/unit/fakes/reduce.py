"""Makes the small files in captures/ from recorded exchanges with a real server.

    python -m tests.unit.fakes.reduce FOLDER_OF_RECORDINGS

A recording that says which requests were sent and what came back becomes a list of steps that can
be sent again. Prompt ids become P1, P2 … and are sent along (the real server takes any text),
numbers count from 0, file counters from 1, as on a fresh server.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from tests.unit.fakes.signatures import (
    HEADERS,
    of_message,
    of_recorded_frame,
    plain,
    shortened,
)

Json = dict[str, Any]

JSON_HEADERS = {"Content-Type": "application/json; charset=utf-8"}
IDLE_MS = 900  # after such a silence whatever ran has ended
HERE = Path(__file__).parent / "captures"
SCENARIOS = """01_rest_basics 02_success_emptyimage 03_repeat_cached 04_bad_prompts
05_execution_error 06_interrupt 07_queue_ops 08_ws_handshake 09_reconnect 10_two_clients
11_prompt_id_and_extra 12_history_ops 13_view 14_upload 15_body_sizes 16_origin_host
17_audio_video_batch 18_special_nodes 19_previews_latent2rgb 20_server_killed
21_worker_death 22_stalled_reader 23_ws_after_post 30_misc 32_duplicate_nodes 33_combo_forms
""".split()  # noqa: SIM905
LONG = ("06", "07", "09", "10", "11", "12", "14", "20", "22", "23", "30")  # many steps in a node
FILE = re.compile(r"([\w%\-]+)_(\d{5})_\.(\w+)")


class Reduction:
    """Turns the events of one recording into steps."""

    def __init__(self, events: list[Json]) -> None:
        """Take the events."""
        self.events = events
        self.names: dict[str, str] = {}  # recorded ids -> short ones
        self.first_number: int | None = None
        self.first_counters: dict[str, int] = {}
        self.steps: list[Json] = []

    def run(self) -> list[Json]:
        """Return the steps."""
        self._name_all()
        last_ms = 0.0
        for event in self.events:
            kind = event["kind"]
            if (event.get("t_ms") or last_ms) - last_ms > IDLE_MS and kind != "ws_recv":
                self.steps.append({"do": "idle"})
            last_ms = (event.get("t_ms") or last_ms) + event.get("took_ms", 0)
            if kind == "http":
                self._http(event)
            elif kind == "ws_recv":
                self._received(event)
            elif kind in ("ws_open", "ws_open_failed", "ws_closed", "ws_send"):
                step = {key: event[key] for key in event if key not in ("t_ms", "kind")}
                self.steps.append({"do": kind, **step})
            elif kind == "note":
                self.steps.append({"do": "note", "text": event["text"]})
        steps: list[Json] = json.loads(self._renamed(json.dumps(self.steps, ensure_ascii=False)))
        return steps

    def _name_all(self) -> None:
        """Give names to server-made ids; client ids keep their order of appearance."""
        prompts = 0
        for event in self.events:
            if event["kind"] == "ws_open":
                found = re.search(r"clientId=([0-9a-f]{32})", event["path"])
                if found:
                    self.names.setdefault(found[1], f"client{len(self.names)}")
            answer = event.get("response_json")
            if event.get("path") == "/prompt" and isinstance(answer, dict):
                prompt_id = answer.get("prompt_id")
                if prompt_id is not None and self.first_number is None:
                    self.first_number = int(answer["number"]) - self._refused_before(event)
                given = event.get("request_json") or {}
                if prompt_id is not None and "prompt_id" not in given:
                    prompts += 1
                    self.names[prompt_id] = f"P{prompts}"

    def _refused_before(self, first: Json) -> int:
        """Count the prompts that used up a number before the first accepted one."""
        count = 0
        for event in self.events:
            if event is first:
                return count
            if event["kind"] == "http" and event["method"] == "POST":
                count += event["path"] == "/prompt"
        return count

    def _renamed(self, text: str) -> str:
        for old, new in self.names.items():
            text = text.replace(f'"{old}"', f'"{new}"').replace(f"/{old}", f"/{new}")
            text = text.replace(f"={old}", f"={new}").replace(f" {old}:", f" {new}:")
            text = text.replace(f'\\"{old}\\"', f'\\"{new}\\"').replace(f"for {old}", f"for {new}")
        return FILE.sub(self._counted, text)

    def _counted(self, found: re.Match[str]) -> str:
        prefix, counter, suffix = found[1], int(found[2]), found[3]
        first = self.first_counters.setdefault(prefix, counter)
        return f"{prefix}_{max(1, counter - first + 1):05}_.{suffix}"

    def _number(self, number: Any) -> Any:
        if not isinstance(number, int) or self.first_number is None:
            return number
        if number < 0:
            return number + self.first_number
        return number - self.first_number

    def _renumbered(self, answer: Any) -> Any:
        if isinstance(answer, dict):
            result = {key: self._renumbered(each) for key, each in answer.items()}
            if "number" in answer:
                result["number"] = self._number(answer["number"])
            if "prompt_number_id_extra_outputs" in answer:
                kept = result["prompt_number_id_extra_outputs"]
                kept[0] = self._number(kept[0])
            if isinstance(answer.get("prompt"), list) and result["prompt"]:
                result["prompt"][0] = self._number(answer["prompt"][0])
            for key in ("queue_running", "queue_pending"):
                for item in result.get(key, ()):
                    item[0] = self._number(item[0])
            return result
        if isinstance(answer, list):
            return [self._renumbered(each) for each in answer]
        return answer

    def _http(self, event: Json) -> None:
        step: Json = {"do": "http", "method": event["method"], "path": event["path"]}
        if "label" in event:
            step["label"] = event["label"]
        if "request_json" in event:
            body = event["request_json"]
            answer = event.get("response_json")
            if isinstance(answer, dict) and "prompt_id" in answer and "prompt_id" not in body:
                body = {**body, "prompt_id": answer["prompt_id"]}
            step["json"] = body
        elif "request_body" in event:
            body = event["request_body"]
            answer = event.get("response_json")
            if isinstance(answer, dict) and "prompt_id" in answer and body.startswith("{"):
                body = json.dumps({**json.loads(body), "prompt_id": answer["prompt_id"]})
            step["body"] = body
        if "request_headers" in event:
            step["headers"] = event["request_headers"]
        step["status"] = event.get("status")  # None: there was no server
        for kind in ("json", "text", "bytes"):
            if f"response_{kind}" in event:
                step[f"answer_{kind}"] = self._renumbered(plain(event[f"response_{kind}"]))
        headers = event.get("response_headers") or {}
        shown = {key: headers[key] for key in HEADERS if key in headers}
        if shown not in ({}, JSON_HEADERS):
            step["answer_headers"] = shown
        self.steps.append(step)

    def _received(self, event: Json) -> None:
        if "json" in event:
            data = event["json"]["data"]
            if "sid" in data:
                data["sid"] = self.names.get(data["sid"], data["sid"])
            line = of_message(event["json"])
        elif "binary" in event:
            line = of_recorded_frame(event["binary"])
        else:
            return
        if not self.steps or self.steps[-1]["do"] != "received":
            self.steps.append({"do": "received", "messages": {}})
        self.steps[-1]["messages"].setdefault(event["sock"], []).append(line)


def main() -> None:
    """Write all files."""
    for name in SCENARIOS:
        recording = json.loads((Path(sys.argv[1]) / f"{name}.json").read_text())
        steps = Reduction(recording["events"]).run()
        for step in steps if name.startswith(LONG) else ():
            for sock, lines in step.get("messages", {}).items():
                step["messages"][sock] = shortened(lines)
        text = ",\n".join(
            json.dumps(step, ensure_ascii=False, separators=(",", ":")) for step in steps
        )
        title = json.dumps(recording["title"], ensure_ascii=False)
        text = f'{{"title": {title}, "steps": [\n{text}\n]}}\n'
        (HERE / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main()
