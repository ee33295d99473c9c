"""Prompts for rewriting: which attitude is shown to the model, and where it takes over.

A base model of this size keeps neither to a subject nor to a style by itself. So the answer begins
with the text, goes on with a move of the attitude that chance draws, and only then does the model
finish the sentence. Where it cannot, a second move does, and the answer is marked `composed`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from generation_service.text.embedded.pieces import Part, group_sentences, without_end
from generation_service.text.embedded.steps import Prompt, Step
from generation_service.text.embedded.wordplay import secret_language, turn_around

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from generation_service.text.embedded.library import (
        Attitude,
        RewritingData,
        Sampling,
        Wording,
    )
    from generation_service.text.interface import TextTask

PASSAGE_CHARS = 180
"""Longest piece to rewrite, in code points."""

MAX_PASSAGES = 4
"""Passages that are rewritten; the text beyond stays as it is."""

RULE_CHARS = 240
"""As much of a context as the model can make use of."""

PICTURE_CHARS = 300
"""Longest beginning of a text that is made a picture's description."""

FINISH_TOKENS = 30
"""Most tokens of what comes after a move: one clause."""

_SECRET_LANGUAGE = "pig_latin"
_SECRET_WORDS = ("pig latin", "b-sprache", "b language")


def rewriting_steps(
    data: RewritingData,
    opposites: Mapping[str, Mapping[str, str]],
    task: TextTask,
    language: str,
    seed: int,
) -> Iterator[Step]:
    """Cut a text into passages, each with its prompt.

    Args:
        data: The attitudes.
        opposites: By language, then by word.
        task: What to do.
        language: Of the text, ISO 639-1.
        seed: For what chance decides.
    """
    if _wants_secret_language(data, task):
        yield Step(secret_language(task.text.strip(), language), "", None, composed=True)
        return
    wording = _attitude(data, task).wording(language)
    for number, part in enumerate(_passages(wording, task.text)):
        text = " ".join(part.text.split())
        if wording.turned:
            text = turn_around(text, opposites.get(language, {}), language)
        if number >= MAX_PASSAGES or not text:
            yield Step(part.text, part.separator, None)
            continue
        begun, composed = _begun(wording, text, seed + number)
        prompt = _rewrite(wording, data.sampling, task.context, text, begun)
        yield Step(composed or part.text, part.separator, prompt)


def _passages(wording: Wording, text: str) -> list[Part]:
    """Cut a text into passages; a remark about the text is made once, about its beginning."""
    passages = group_sentences(text, PASSAGE_CHARS)
    return passages if wording.opening is None else [Part(passages[0].text, "")]


def picture_step(data: RewritingData, task: TextTask, language: str) -> Step:
    """Make the beginning of a text a picture's description."""
    wording = data.attitudes["generic"].wording(language)
    text = group_sentences(task.text, PICTURE_CHARS)[0].text
    begun, _ = _begun(wording, " ".join(text.split()), 0)
    return Step(text, "", _rewrite(wording, data.sampling, "", " ".join(text.split()), begun))


def _wants_secret_language(data: RewritingData, task: TextTask) -> bool:
    named = {task.chunk_id, task.config_id}
    if _SECRET_LANGUAGE in named:
        return True
    known = bool(named & data.attitudes.keys())
    return not known and any(words in task.context.lower() for words in _SECRET_WORDS)


def _attitude(data: RewritingData, task: TextTask) -> Attitude:
    """The attitude of the chunk or config, else the one whose words the context uses most."""
    for id_ in (task.chunk_id, task.config_id):
        if id_ in data.attitudes:
            return data.attitudes[id_]
    context = task.context.lower()
    hits = {
        name: sum(context.count(word) for word in attitude.keywords)
        for name, attitude in data.attitudes.items()
    }
    best = max(hits, key=lambda name: hits[name])
    return data.attitudes[best if hits[best] else "generic"]


def _begun(wording: Wording, text: str, seed: int) -> tuple[str, str]:
    """Begin an answer; returns that, and a whole one without the model (empty: there is none)."""
    begun = opening(wording, text)
    if not wording.moves:
        return begun, ""
    first, second = random.Random(seed).sample(wording.moves, 2)
    begun = f"{begun} {first}{wording.bridge}"
    return begun, f"{begun} {second}."


def _rewrite(wording: Wording, sampling: Sampling, context: str, text: str, begun: str) -> Prompt:
    rule = wording.rule and _rule(context or wording.default_rule)
    labels = (wording.rule, wording.source, wording.result)
    return Prompt(
        examples=f"{wording.head}\n\n"
        + "".join(_shot(wording, e.rule, e.text, e.result) for e in wording.examples),
        tail=_shot(wording, rule, text, begun).rstrip("\n"),
        beginning=begun,
        sampling=sampling,
        max_tokens=FINISH_TOKENS if wording.moves else sampling.max_tokens,
        labels=tuple(label for label in labels if label),
        echoes=tuple(e.result.removeprefix(opening(wording, e.text)) for e in wording.examples),
    )


def opening(wording: Wording, text: str) -> str:
    """Return what an answer of an attitude begins with, before its move."""
    if wording.opening is not None:
        return wording.opening
    return f"{without_end(text)}{wording.joint}"


def _shot(wording: Wording, rule: str, text: str, result: str) -> str:
    ruled = f"{wording.rule}: {rule}\n" if wording.rule else ""
    return f"{wording.source}: {text}\n{ruled}{wording.result}: {result}\n\n"


def _rule(context: str) -> str:
    """The beginning of a context, in whole sentences where possible."""
    return group_sentences(" ".join(context.split()), RULE_CHARS)[0].text
