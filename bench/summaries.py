"""Are summaries by the embedded model of use? Run: `python -m bench.summaries [--show]`.

The model only goes on with a pattern, so it is asked with few-shot prompts. Of twenty made-up data
sets, ten of executions and ten of other kinds, in German and English, this tells how many answers
pass the check of numbers, and how many of these say anything that can be checked at all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from generation_service.text.embedded.process import ModelProcess
from generation_service.text.embedded.weights import shipped_weights
from generation_service.text.limits import ProviderLimits
from tracker_service.export_workflow.summary.condensing import condensed
from tracker_service.export_workflow.summary.extractive import extracted
from tracker_service.export_workflow.summary.facts import FactBook
from tracker_service.export_workflow.summary.model import Language
from tracker_service.export_workflow.summary.prompting import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ATTEMPTS: Final = 2
MAX_DATA_CHARS: Final = 1_200
_WORDS: Final = {
    Language.GERMAN: ("Daten", "Zusammenfassung"),
    Language.ENGLISH: ("Data", "Summary"),
}
_THINGS: Final = {
    Language.GERMAN: ("Eine Blume auf der Wiese", "Ein Drache im Zug", "Das Meer bei Nacht"),
    Language.ENGLISH: ("A flower in the meadow", "A dragon on the train", "The sea at night"),
}
_EXAMPLES: Final = {
    Language.GERMAN: (
        (
            {"totals": {"executions": 4, "by_status": {"completed": 3, "failed": 1}, "outputs": 3}},
            "Es gab 4 Läufe. 3 wurden abgeschlossen, 1 ist fehlgeschlagen. Entstanden sind 3 "
            "Ausgaben.",
        ),
        (
            {"museum": "Haus der Farben", "visitors": 128, "groups": 6, "favourite": "Der Wal"},
            "Im „Haus der Farben“ waren 128 Gäste in 6 Gruppen. Am liebsten mochten sie „Der Wal“.",
        ),
    ),
    Language.ENGLISH: (
        (
            {"totals": {"executions": 4, "by_status": {"completed": 3, "failed": 1}, "outputs": 3}},
            "There were 4 executions. 3 were completed, 1 failed. They made 3 outputs.",
        ),
        (
            {"museum": "House of Colours", "visitors": 128, "groups": 6, "favourite": "The whale"},
            "The “House of Colours” had 128 visitors in 6 groups. They liked “The whale” best.",
        ),
    ),
}


@dataclass
class Tally:
    """What became of the answers."""

    asked: int = 0
    passed: int = 0
    informative: int = 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--show", action="store_true", help="print every answer")
    show = parser.parse_args().show
    asyncio.run(_measure(show=show))


async def _measure(*, show: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        limits = ProviderLimits()
        process = ModelProcess(partial(shipped_weights, Path(folder)), limits)
        process.open(start=True)
        try:
            for language in Language:
                await _measure_language(process, language, show=show)
        finally:
            await process.close()


async def _measure_language(process: ModelProcess, language: Language, *, show: bool) -> None:
    model, plain = Tally(), Tally()
    for data in _data_sets(language):
        facts = FactBook(data)
        for attempt in range(ATTEMPTS):
            answer = printable(await _asked(process, data, language, seed=attempt))
            holds = _count(model, facts, answer, first=attempt == 0)
            if show:
                print(f"--- {language} {'passed' if holds else facts.check(answer)}\n{answer}")
            if holds:
                break
        _count(plain, facts, extracted(data, language), first=True)
    for name, tally in (("embedded model", model), ("extractive", plain)):
        print(
            f"{language} {name}: {tally.passed} of {tally.asked} pass the check of numbers, "
            f"{tally.informative} pass and state at least 2 facts, all of them in the data"
        )


def _count(tally: Tally, facts: FactBook, answer: str, *, first: bool) -> bool:
    findings = facts.check(answer)
    holds = bool(answer) and not findings.unknown_numbers
    tally.asked += first
    tally.passed += holds
    tally.informative += holds and findings.checked >= 2 and findings.share_found == 1.0
    return holds


async def _asked(process: ModelProcess, data: Any, language: Language, *, seed: int) -> str:
    source, target = _WORDS[language]
    examples = [
        f"{source}:\n{condensed(example)}\n{target}: {text}\n\n"
        for example, text in _EXAMPLES[language]
    ]
    prompt = f"{''.join(examples)}{source}:\n{condensed(data, MAX_DATA_CHARS)}\n{target}:"
    body = {
        "prompt": prompt,
        "n_predict": 120,
        "temperature": 0.2,
        "repeat_penalty": 1.1,
        "stop": ["\n\n", f"{source}:"],
        "seed": seed,
    }
    client = await process.connection()
    response = await client.post("/completion", json=body, timeout=120)
    return str(json.loads(response.content)["content"])


def _data_sets(language: Language) -> Iterator[dict[str, Any]]:
    chance = random.Random(8)
    for _ in range(10):
        yield _executions(chance, _THINGS[language])
    for number in range(10):
        yield {
            "title": chance.choice(_THINGS[language]),
            "year": 1900 + chance.randrange(120),
            "items": [
                {
                    "name": thing,
                    "price": chance.randrange(100, 9_999) / 100,
                    "sold": chance.randrange(90),
                }
                for thing in _THINGS[language]
            ],
            "visitors": chance.randrange(10, 5_000),
            "temperature": chance.randrange(100, 300) / 10,
            "room": f"{number}.{chance.randrange(10, 99)}",
        }


def _executions(chance: random.Random, things: Sequence[str]) -> dict[str, Any]:
    count = chance.randrange(3, 12)
    failed = chance.randrange(0, 3)
    return {
        "totals": {
            "executions": count,
            "by_status": {"completed": count - failed, "failed": failed},
            "outputs": count - failed,
            "edits": chance.randrange(0, 5),
            "total_duration_seconds": chance.randrange(200, 9_000) / 10,
        },
        "executions": [
            {
                "config": "dada",
                "status": "completed",
                "inputs": [chance.choice(things)],
                "outputs": 1,
            }
            for _ in range(count)
        ],
    }


if __name__ == "__main__":
    main()
