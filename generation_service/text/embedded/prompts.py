"""From a task to few-shot prompts: a base model does not obey, it goes on with a pattern.

So every prompt is a row of examples of our own and, last, the learner's text where the model takes
over. Examples come first and are the same for everybody, because the
engine keeps what it has read of a common beginning.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from generation_service.text.embedded.memory import Memory, Piece
from generation_service.text.embedded.pieces import split_sentences
from generation_service.text.embedded.rewriting import picture_step, rewriting_steps
from generation_service.text.embedded.steps import Prompt, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from generation_service.text.embedded.library import Library
    from generation_service.text.interface import TextTask

SENTENCE_CHARS = 300
"""Longest piece to translate, in code points."""

MAX_SENTENCES = 40
"""Sentences that are translated; at a fifth of a second each this is what people wait for."""

MAX_HINTS = 6

_GERMAN = re.compile(
    r"[äöüß]|\b(der|die|das|und|ein|eine|einen|im|am|auf|ist|mit|ich|nicht|zum|zur|von|aus)\b",
    re.IGNORECASE,
)


class PromptWriter:
    """Writes the prompts of the embedded model."""

    def __init__(self, library: Library) -> None:
        """Take the data of the prompts."""
        self._library = library
        attitudes = library.interception.attitudes.values()
        self._memories = {
            ("de", "en"): Memory((attitude.de, attitude.en) for attitude in attitudes),
            ("en", "de"): Memory((attitude.en, attitude.de) for attitude in attitudes),
        }

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
        library = self._library
        language = task.source_language or guess_language(task.text)
        if role == "optimization":
            return [picture_step(library.optimization, task, language)]
        opposites = library.opposites.pairs
        return list(rewriting_steps(library.interception, opposites, task, language, seed))

    def _translation(self, task: TextTask) -> Iterator[Step]:
        languages = self._library.translation.languages
        from_code = task.source_language or guess_language(task.text)
        to_code = task.target_language or "en"
        known = from_code in languages and to_code in languages and from_code != to_code
        memory = self._memories.get((from_code, to_code))
        asked = 0
        for part in split_sentences(task.text, SENTENCE_CHARS):
            for piece in memory.pieces(part) if memory else [Piece(part, remembered=False)]:
                text, separator = piece.part
                wanted = known and asked < MAX_SENTENCES and text and not piece.remembered
                asked += bool(wanted)
                yield Step(text, separator, self._translate(task, text) if wanted else None)

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


def guess_language(text: str) -> str:
    """Tell German from everything else, which gets the English wording, where nobody says."""
    hits = len(_GERMAN.findall(text))
    return "de" if hits * 6 >= len(text.split()) and hits else "en"


def _forms(word: str) -> Iterator[str]:
    """A word as it is and without the endings that German and English put behind it."""
    yield word
    for ending in ("n", "e", "s", "en", "er", "es", "em", "ern"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            yield word.removesuffix(ending)
