"""What a deliverable costs.

Makes the learning journey of 10 and of 100 executions (the most that a workflow takes), one picture
of 1024 × 768 each, in every format, as the service does: in a process of its own, start included.
Time is the median of three runs, of the processor and not of the clock, so that other work on the
machine matters less; memory is the largest resident set of that process. Both stand beside a
reference on the same machine in the same run: the same data by `json.dump` in a fresh process.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from bench.figures import Figure
from bench.report import main
from tracker_service.export_workflow.deliverables.building import (
    DocumentSource,
    Provenance,
    build,
)
from tracker_service.export_workflow.deliverables.formats import DeliverableFormat
from tracker_service.export_workflow.deliverables.model import Document, Template
from tracker_service.export_workflow.deliverables.pictures import FOLDER
from tracker_service.export_workflow.deliverables.process import DOCUMENT
from tracker_service.export_workflow.summary.machine import MachineSummarizer, NoTextError
from tracker_service.export_workflow.summary.model import Language, SummaryTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracker_service.export_workflow.summary.machine import WrittenText

ROUNDS: Final = 3
SIZES: Final = (10, 100)
_REFERENCE: Final = (
    "import json, sys; json.dump(json.load(open(sys.argv[1])), open(sys.argv[2], 'w'))"
)
_WATCH: Final = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""
_PROCESS: Final = "tracker_service.export_workflow.deliverables.process"


class _NoModel:
    async def write(self, rules: str, request: str, safety_level: str) -> WrittenText:
        raise NoTextError("NO_MODEL")


def figures(short: bool) -> Iterator[Figure]:
    """Measure every format, for a short and for the longest journey."""
    for count in SIZES[:1] if short else SIZES:
        data, pictures = _sitting(count)
        document = _document(data)
        reference_seconds, _ = _reference(data)
        for form in DeliverableFormat:
            seconds, peak = _made(document, pictures, form)
            name = f"{form.value} of {count} executions"
            yield Figure(f"{name}, CPU", "s", seconds, reference_seconds)
            yield Figure(f"{name}, memory", "MiB", peak)


def _made(
    document: Document, pictures: dict[str, bytes], form: DeliverableFormat
) -> tuple[float, float]:
    """Return seconds and MiB."""
    runs = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            folder, target = Path(name), Path(name) / f"file{form.suffix}"
            (folder / FOLDER).mkdir()
            (folder / DOCUMENT).write_text(document.model_dump_json(), encoding="utf-8")
            for sha256, content in pictures.items() if form.holds_pictures else ():
                (folder / FOLDER / f"{sha256}.jpg.raw").write_bytes(content)
            arguments = ["-P", "-m", _PROCESS, name, form.value, str(target)]
            runs.append(_run(arguments))
    return _typical(runs)


def _reference(data: Any) -> tuple[float, float]:
    runs = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            source = Path(name) / "data.json"
            source.write_text(json.dumps(data), encoding="utf-8")
            runs.append(_run(["-c", _REFERENCE, str(source), f"{name}/copy.json"]))
    return _typical(runs)


def _run(arguments: Sequence[str]) -> tuple[float, float]:
    """Run Python; return seconds of the processor and the peak of its memory in MiB.

    A small process stands between, since a process begins with the peak of the one that made it.
    """
    command = [sys.executable, "-c", _WATCH, sys.executable, *arguments]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    seconds, peak_kib = told.stdout.split()
    return float(seconds), int(peak_kib) / 1024


def _typical(runs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    seconds, peaks = zip(*runs, strict=True)
    return statistics.median(seconds), max(peaks)


def _document(data: Any) -> Document:
    task = SummaryTask(data, Language.GERMAN)
    source = DocumentSource(
        template=Template.LEARNING_JOURNEY,
        language=Language.GERMAN,
        data=data,
        summary=asyncio.run(MachineSummarizer(_NoModel()).summarise(task)),
        provenance=Provenance(
            export_workflow_id="0199f7a0-0000-7000-8000-000000000001",
            document_id="selection",
            document_type="execution_selection",
            owner="user-0123456789abcdef",
            extraction_method="execution_records",
            version=0,
            created_us=1_760_000_000_000_000,
            software_version="bench",
        ),
        title="Unsere Bilder",
        media=frozenset(
            step["media"]["sha256"]
            for execution in data["executions"]
            for step in execution["steps"]
            if "media" in step
        ),
    )
    return build(source)


def _sitting(count: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return data as `extract` makes them, and the pictures by their hash."""
    pictures = dict(_picture(number) for number in range(count))
    executions = [
        _execution(number, sha256, len(content))
        for number, (sha256, content) in enumerate(pictures.items())
    ]
    return {"totals": {"executions": count}, "executions": executions}, pictures


def _picture(number: int) -> tuple[str, bytes]:
    """A noisy picture, which no format can make small."""
    noise = Image.effect_noise((1024, 768), 60).convert("RGB")
    noise.putpixel((0, 0), (number % 256, number // 256, 0))
    buffer = io.BytesIO()
    noise.save(buffer, "JPEG", quality=90)
    return hashlib.sha256(buffer.getvalue()).hexdigest(), buffer.getvalue()


def _execution(number: int, sha256: str, size_bytes: int) -> dict[str, Any]:
    texts = ("user_input_text", "translation_result", "interception_iteration", "user_edit")
    steps: list[dict[str, Any]] = [
        {"number": place, "step": step, "text": f"Eine Blume {number} auf der Wiese. " * 8}
        for place, step in enumerate(texts, 2)
    ]
    steps[-1]["before"] = steps[-2]["text"].replace("Wiese", "Straße")
    media = {"sha256": sha256, "mime_type": "image/jpeg", "size_bytes": size_bytes}
    steps.append({"number": 6, "step": "output_image", "media": media, "seconds": 1.5})
    return {
        "execution_id": f"execution-{number}",
        "config": "dada",
        "status": "completed",
        "started": "2026-11-20T09:00:00.000000Z",
        "duration_seconds": 5.25,
        "inputs": [steps[0]["text"]],
        "outputs": 1,
        "steps": steps,
    }


if __name__ == "__main__":
    main("deliverables", figures)
