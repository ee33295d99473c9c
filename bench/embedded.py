"""How well the embedded language model does what each role and each shipped attitude asks of it.

Every answer of the probe set (`embedded_probe.json`) is held against what generation.md demands.
The measures are counted here, on the text that people get, and not by the guards that made it:

- kept: the subject's word comes back (not asked of attitudes that turn or encode the words)
- right: the translation has a word out of each group of the probe
- echo: a sentence of our examples came back, or a rewriting is nothing but the text
- runaway: three times as long as the text and longer than 300 characters, or going in circles
- composed: a rule wrote the answer, or a part of it, since the model could not

Usage: `python -m bench.embedded [--share N] [--instruct FILE.gguf] [NAME …]`. Names are `de-en`,
`en-de`, `telephone` and attitudes; without any, all are measured. Each attitude gets every N-th
probe (default 3; each attitude another third), translations get all. `--instruct` asks another
model, by its chat template, for the English rewritings, to compare.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from generation_service.text.embedded.backend import EmbeddedBackend
from generation_service.text.embedded.library import Library
from generation_service.text.embedded.process import ModelProcess
from generation_service.text.embedded.prompts import PromptWriter
from generation_service.text.embedded.weights import own_weights, shipped_weights
from generation_service.text.interface import (
    TextMessage,
    TextParameters,
    TextRequest,
    TextResult,
    TextTask,
)
from generation_service.text.limits import ProviderLimits
from orchestrator.configs import load_configs, shipped_configs_dir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    import httpx

PROBES = Path(__file__).with_name("embedded_probe.json")
CHAIN = ("de", "fr", "tr", "pl", "el", "ja", "es", "uk", "vi", "it", "sv", "en")
WITHOUT_SUBJECT = ("the_opposite", "pig_latin", "part_around", "part_sound")
_LIMITS = ProviderLimits(first_token_seconds=300, between_tokens_seconds=300, total_seconds=600)
_AT_ONCE = 2
_SMALLEST_ECHO_WORDS = 5


@dataclass(frozen=True)
class Probe:
    """One input, see the file."""

    text: str
    language: str
    subject: str
    means: list[list[str]]


@dataclass(frozen=True)
class Answer:
    """One answer: its text, whether a rule had to help, and how long it took."""

    probe: Probe
    text: str
    composed: bool
    seconds: float


def probes() -> list[Probe]:
    """Read the probe set."""
    data = json.loads(PROBES.read_text(encoding="utf-8"))
    return [Probe(**each) for each in data["probes"]]


def is_kept(answer: Answer) -> bool:
    """Whether the subject's word came back, in whatever form."""
    stem = answer.probe.subject.lower()
    return stem.removesuffix("e") in answer.text.lower()


def is_right(answer: Answer) -> bool:
    """Whether a translation has what it needs."""
    text = answer.text.lower()
    return all(any(word.lower() in text for word in group) for group in answer.probe.means)


def is_runaway(answer: Answer) -> bool:
    """Whether an answer is too long, or goes in circles."""
    words = re.findall(r"\w+", answer.text.lower())
    triples = [tuple(words[i : i + 3]) for i in range(len(words) - 2)]
    circles = any(triples.count(triple) > 2 for triple in set(triples))
    return circles or len(answer.text) > max(300, 3 * len(answer.probe.text))


def is_echo(answer: Answer, examples: Iterable[str], *, rewriting: bool) -> bool:
    """Whether an example came back, or nothing was done."""
    if rewriting and _plain(answer.text) == _plain(answer.probe.text):
        return True
    text = f" {_plain(answer.text)} "
    return any(f" {example} " in text for example in examples)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _endings(library: Library, attitude: str) -> list[str]:
    """The last words of an attitude's examples, which only the model could repeat."""
    found = library.interception.attitudes.get(attitude)
    if found is None:
        return []
    results = [e.result for wording in (found.de, found.en) for e in wording.examples]
    return [" ".join(_plain(result).split()[-_SMALLEST_ECHO_WORDS:]) for result in results]


class Examiner:
    """Asks the embedded backend and counts."""

    def __init__(self, backend: EmbeddedBackend, model: str) -> None:
        """Take the backend and the name of its model."""
        self._backend = backend
        self._model = model
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def ask(self, probe: Probe, role: str, task: TextTask, seed: int) -> Answer:
        """Ask once, with a seed that the probe's number gives."""
        request = TextRequest(role, (), task, TextParameters(temperature=0.9, seed=seed))
        async with self._places:
            started = perf_counter()
            async for event in self._backend.generate(self._model, request):
                if isinstance(event, TextResult):
                    composed = event.finish_reason == "composed"
                    return Answer(probe, event.text, composed, perf_counter() - started)
        raise AssertionError("the backend ended without a result")


async def rewritings(examiner: Examiner, attitude: str, chosen: list[Probe]) -> list[Answer]:
    """Let an attitude rewrite probes."""
    return list(
        await asyncio.gather(
            *(
                examiner.ask(
                    probe,
                    "interception",
                    TextTask(probe.text, "", probe.language, probe.language, attitude, attitude),
                    number,
                )
                for number, probe in enumerate(chosen)
            )
        )
    )


async def translations(examiner: Examiner, chosen: list[Probe], target: str) -> list[Answer]:
    """Translate probes."""
    tasks = [TextTask(probe.text, "", probe.language, target) for probe in chosen]
    return list(
        await asyncio.gather(
            *(
                examiner.ask(probe, "translation", task, number)
                for number, (probe, task) in enumerate(zip(chosen, tasks, strict=True))
            )
        )
    )


async def telephone(examiner: Examiner, probe: Probe) -> list[Answer]:
    """Whisper a probe through all languages of the chain."""
    text, source, passes = probe.text, probe.language, []
    for number, target in enumerate(CHAIN[1:]):
        task = TextTask(text, "", source, target)
        answer = await examiner.ask(probe, "translation", task, number)
        passes.append(answer)
        text, source = answer.text, target
    return passes


def report(
    name: str, answers: list[Answer], figures: Mapping[str, Callable[[Answer], bool]]
) -> None:
    """Print a row of the table and, for reading, what failed."""
    cells = {
        label: f"{100 * sum(map(count, answers)) / len(answers):.0f} %"
        for label, count in figures.items()
    }
    cells["composed"] = f"{100 * sum(a.composed for a in answers) / len(answers):.0f} %"
    cells["seconds"] = f"{median(a.seconds for a in answers):.2f}"
    print(f"| {name} | {len(answers)} | " + " | ".join(f"{k} {v}" for k, v in cells.items()), "|")
    for answer in answers:
        faults = [label for label, count in figures.items() if count(answer) != (label in _GOOD)]
        print(f"    {','.join(faults) or '-'}: {answer.probe.text} → {answer.text}", flush=True)


_GOOD = ("kept", "right")


async def examine(examiner: Examiner, share: int, names: set[str]) -> None:
    """Measure roles and attitudes; no names: all."""
    library, all_ = Library.load(), probes()
    for source, target in (("de", "en"), ("en", "de")):
        if names and f"{source}-{target}" not in names:
            continue
        chosen = [probe for probe in all_ if probe.language == source]
        phrases = [_plain(p) for p in library.translation.languages[target].phrases]
        answers = await translations(examiner, chosen, target)
        echo = partial(is_echo, examples=phrases, rewriting=False)
        name = f"{source}-{target}"
        report(name, answers, {"right": is_right, "echo": echo, "runaway": is_runaway})
    for offset, attitude in enumerate([*library.interception.attitudes, "pig_latin"]):
        if names and attitude not in names:
            continue
        answers = await rewritings(examiner, attitude, all_[offset % share :: share])
        echo = partial(is_echo, examples=_endings(library, attitude), rewriting=True)
        kept = {} if attitude in WITHOUT_SUBJECT else {"kept": is_kept}
        report(attitude, answers, {**kept, "echo": echo, "runaway": is_runaway})
    if not names or "telephone" in names:
        for probe in all_[:: len(all_) // 4]:
            report("telephone", await telephone(examiner, probe), {"runaway": is_runaway})


@asynccontextmanager
async def opened(weights: Path) -> AsyncIterator[Examiner]:
    """The embedded backend with a model."""
    process = ModelProcess(partial(own_weights, weights), _LIMITS)
    process.open(start=True)
    backend = EmbeddedBackend(process, PromptWriter(Library.load()), "probed", _LIMITS)
    try:
        yield Examiner(backend, "probed")
    finally:
        await backend.close()


async def instructed(weights: Path, share: int) -> None:
    """Let a model that follows instructions rewrite the English probes, by its chat template."""
    configs = load_configs(shipped_configs_dir())
    process = ModelProcess(partial(own_weights, weights), _LIMITS)
    process.open(start=True)
    client = await process.connection()
    chosen = [probe for probe in probes() if probe.language == "en"][::share]
    try:
        for config in configs.interception.values():
            if config.context is None or config.id in WITHOUT_SUBJECT:
                continue
            rule = config.context.text_for("en")
            ask = partial(_instruct, client, rule)
            answers = [await ask(probe, number) for number, probe in enumerate(chosen)]
            echo = partial(is_echo, examples=[], rewriting=True)
            name = f"{config.id} (instruct)"
            report(name, answers, {"kept": is_kept, "echo": echo, "runaway": is_runaway})
    finally:
        await process.close()


async def _instruct(client: httpx.AsyncClient, rule: str, probe: Probe, seed: int) -> Answer:
    system = "Apply the rule to the idea. Write one or two sentences and nothing but them."
    messages = [
        TextMessage("system", system),
        TextMessage("user", f"The rule:\n{rule}\n\nThe idea:\n{probe.text}"),
    ]
    body = {
        "messages": [{"role": m.role, "content": m.content} for m in messages],
        "max_tokens": 120,
        "temperature": 0.4,
        "seed": seed,
    }
    started = perf_counter()
    answer = await client.post("/v1/chat/completions", json=body, timeout=300)
    text = answer.raise_for_status().json()["choices"][0]["message"]["content"]
    return Answer(probe, text.strip(), composed=False, seconds=perf_counter() - started)


async def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=int, default=3)
    parser.add_argument("--weights", type=Path, help="Unset: the shipped model.")
    parser.add_argument("--instruct", type=Path)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    if options.instruct:
        await instructed(options.instruct, options.share)
        return
    with tempfile.TemporaryDirectory() as folder:
        weights = options.weights or shipped_weights(Path(folder))
        async with opened(weights) as examiner:
            await examine(examiner, options.share, set(options.names))


if __name__ == "__main__":
    asyncio.run(main())
