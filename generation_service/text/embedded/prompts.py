"""From a task to few-shot prompts: a base model does not obey, it goes on with a pattern.

So every prompt is a row of examples of our own and, last, the learner's text where the model takes
over. For rewriting, the answer already begins with the text itself: the model can then only add,
and the subject never gets lost. Examples come first and are the same for everybody, because the
engine keeps what it has read of a common beginning.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generation_service.text.embedded.pieces import group_sentences, split_sentences, without_end

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from generation_service.text.embedded.library import (
        Attitude,
        Library,
        RewritingData,
        Sampling,
        Wording,
    )
    from generation_service.text.interface import TextTask

SENTENCE_CHARS = 300
"""Longest piece to translate, in code points."""

PASSAGE_CHARS = 180
"""Longest piece to rewrite, in code points."""

MAX_SENTENCES = 40
"""Sentences that are translated; at a fifth of a second each this is what people wait for."""

MAX_PASSAGES = 4
"""Passages that are rewritten; the text beyond stays as it is."""

RULE_CHARS = 240
"""As much of a context as the model can make use of."""

PICTURE_CHARS = 300
"""Longest beginning of a text that is made a picture's description."""

MAX_HINTS = 6
HAT_WORDS = 2

_GERMAN = re.compile(
    r"[äöüß]|\b(der|die|das|und|ein|eine|einen|im|am|auf|ist|mit|ich|nicht|zum|zur|von|aus)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Prompt:
    """What the model goes on with, and how its answer is judged.

    Attributes:
        examples: The beginning that is the same for every text.
        tail: The rest, with the text; the model goes on right behind it.
        beginning: The end of the tail that belongs to the answer already.
        sampling: How to sample.
        max_tokens: Most tokens of the answer.
        labels: Words before a colon that would start another example.
        echoes: Texts of the examples that must not come back.
        script: Script that most letters of the answer have to be in; empty: any.
        source: The text; a translation that equals it is none. Empty: may be equal.
        words: Words that a good translation has.
    """

    examples: str
    tail: str
    beginning: str
    sampling: Sampling
    max_tokens: int
    labels: tuple[str, ...]
    echoes: tuple[str, ...]
    script: str = ""
    source: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One piece of a task.

    Attributes:
        text: The piece.
        separator: What follows it in the answer.
        prompt: How to work on it; None: it stays as it is.
    """

    text: str
    separator: str
    prompt: Prompt | None


class PromptWriter:
    """Writes the prompts of the embedded model."""

    def __init__(self, library: Library) -> None:
        """Take the data of the prompts."""
        self._library = library

    def steps(self, role: str, task: TextTask, seed: int) -> list[Step]:
        """Cut a task into steps, each with its prompt.

        Args:
            role: The role that is asked.
            task: What to do. A wanted language that is not the text's makes any role but
                optimization a translation: the telephone game.
            seed: For what chance decides.
        """
        source, target = task.source_language, task.target_language
        moves = bool(target) and source != target and role != "optimization"
        if role == "translation" or moves:
            return list(self._translation(task))
        if role == "optimization":
            return [self._picture(task, seed)]
        return list(self._rewriting(task, seed))

    def _translation(self, task: TextTask) -> Iterator[Step]:
        languages = self._library.translation.languages
        source = languages.get(task.source_language or guess_language(task.text))
        target = languages.get(task.target_language or "en")
        parts = split_sentences(task.text, SENTENCE_CHARS)
        for number, part in enumerate(parts):
            known = source is not None and target is not None and source != target
            wanted = known and number < MAX_SENTENCES and part.text
            prompt = self._translate(task, part.text) if wanted else None
            yield Step(part.text, part.separator, prompt)

    def _translate(self, task: TextTask, text: str) -> Prompt:
        data = self._library.translation
        from_code = task.source_language or guess_language(task.text)
        to_code = task.target_language or "en"
        source, target = data.languages[from_code], data.languages[to_code]
        pairs = [
            *zip(source.phrases, target.phrases, strict=True),
            *zip(
                data.extra_phrases.get(from_code, ()),
                data.extra_phrases.get(to_code, ()),
                strict=False,  # most languages have none
            ),
        ]
        hints = self._hints(f"{from_code}-{to_code}", text)
        lines = "{}: {}\n{}: {}\n\n".format
        return Prompt(
            examples="".join(lines(source.name, a, target.name, b) for a, b in pairs),
            tail="".join(lines(source.name, a, target.name, b) for a, b in hints)
            + f"{source.name}: {text}\n{target.name}:",
            beginning="",
            sampling=data.sampling,
            max_tokens=min(data.sampling.max_tokens, len(text) + 24),
            labels=(source.name, target.name),
            echoes=tuple(b for a, b in pairs if a != text),
            script=target.script,
            source=text,
            words=tuple(word for _, word in hints),
        )

    def _hints(self, pair: str, text: str) -> list[tuple[str, str]]:
        """Words of the text that the model is likely to mistake, with what they mean."""
        words = self._library.glossary.pairs.get(pair, {})
        found: dict[str, str] = {}
        for word in re.findall(r"\w+", text):
            for form in _forms(word.lower()):
                if form in words and len(found) < MAX_HINTS:
                    found[word] = words[form]
                    break
        return list(found.items())

    def _rewriting(self, task: TextTask, seed: int) -> Iterator[Step]:
        data = self._library.interception
        wording = _attitude(data, task).wording(task.source_language or guess_language(task.text))
        for number, part in enumerate(group_sentences(task.text, PASSAGE_CHARS)):
            wanted = number < MAX_PASSAGES and part.text
            prompt = None
            if wanted:
                chance = seed + number
                prompt = _rewrite(wording, data.sampling, task.context, part.text, chance)
            yield Step(part.text, part.separator, prompt)

    def _picture(self, task: TextTask, seed: int) -> Step:
        data = self._library.optimization
        wording = data.attitudes["generic"].wording(
            task.source_language or guess_language(task.text)
        )
        text = group_sentences(task.text, PICTURE_CHARS)[0].text
        return Step(text, "", _rewrite(wording, data.sampling, "", text, seed))


def guess_language(text: str) -> str:
    """Tell German from everything else, which gets the English wording, where nobody says."""
    hits = len(_GERMAN.findall(text))
    return "de" if hits * 6 >= len(text.split()) and hits else "en"


def _attitude(data: RewritingData, task: TextTask) -> Attitude:
    """The attitude that a config's id names, else the one whose words its context uses most."""
    if task.config_id in data.attitudes:
        return data.attitudes[task.config_id]
    context = task.context.lower()
    hits = {
        name: sum(context.count(word) for word in attitude.keywords)
        for name, attitude in data.attitudes.items()
    }
    best = max(hits, key=lambda name: hits[name])
    return data.attitudes[best if hits[best] else "generic"]


def _rewrite(wording: Wording, sampling: Sampling, context: str, text: str, seed: int) -> Prompt:
    rule = wording.rule and _rule(context or wording.default_rule)
    hat = random.Random(seed).sample(wording.hat_words, HAT_WORDS) if wording.hat else ()
    beginning = f"{without_end(' '.join(text.split()))}{wording.joint}"
    return Prompt(
        examples=f"{wording.head}\n\n"
        + "".join(
            _shot(wording, example.rule, example.hat, example.text, example.result)
            for example in wording.examples
        ),
        tail=_shot(wording, rule, hat, " ".join(text.split()), beginning).rstrip("\n"),
        beginning=beginning,
        sampling=sampling,
        max_tokens=sampling.max_tokens,
        labels=tuple(
            label for label in (wording.rule, wording.source, wording.hat, wording.result) if label
        ),
        echoes=tuple(e.result.removeprefix(without_end(e.text)) for e in wording.examples),
    )


def _shot(wording: Wording, rule: str, hat: Sequence[str], text: str, result: str) -> str:
    ruled = f"{wording.rule}: {rule}\n" if wording.rule else ""
    drawn = f"{wording.hat}: {', '.join(hat)}\n" if hat else ""
    return f"{wording.source}: {text}\n{ruled}{drawn}{wording.result}: {result}\n\n"


def _rule(context: str) -> str:
    """The beginning of a context, in whole sentences where possible."""
    return group_sentences(" ".join(context.split()), RULE_CHARS)[0].text


def _forms(word: str) -> Iterator[str]:
    """A German word as it is and without the endings that declension adds."""
    yield word
    for ending in ("n", "e", "s", "en", "er", "es", "em", "ern"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            yield word.removesuffix(ending)
