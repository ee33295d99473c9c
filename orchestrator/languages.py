"""Which language a text is written in, found offline.

Texts here are short ("Eine Blume auf der Wiese"), so a detector made for short texts is used. It
looks at letters only and takes "my dog is swimming" for anything, so little words speak, too: of
our 675 short English lines 95 % are known on a German page instead of 81 %. What is still not sure
counts as unknown rather than as a wrong language.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lingua import IsoCode639_1, LanguageDetector, LanguageDetectorBuilder

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_CONFIDENCE = 0.5
"""Below this, among so many languages, a guess is no better than none."""

DETECTABLE = (
    *("de", "en", "fr", "es", "it", "nl", "pl", "pt", "tr", "uk", "ru", "ar", "fa"),
    *("hi", "ja", "ko", "zh", "sv", "da", "fi", "cs", "el", "ro", "hu", "vi"),
)
"""Languages that learners here write, and those of the telephone game."""

PRIOR = {"de": 6.0, "en": 6.0}
"""How much more often a language is met than each of the others."""

_LITTLE_WORDS = {
    "de": """der das und ist ein eine einen einem einer mit auf nicht ich du sie wir ihr mein meine
        meinen meinem meiner dein deine sein seine kein keine im vom zum zur von aus bei durch über
        unter vor ohne für dem den auch aber oder wie wenn weil sind hat habe wird kann male mal
        zeichne bitte bild die am in er""",
    "en": """the and is are of with my your his her their our on from by it she he they you we this
        that these those not or but if because how what who where when has have had does can would
        draw make please picture into under over some any every want a an i in to at""",
    "fr": "un une le la les des du de et est dans sur avec mon ma je tu il elle qui dessine au",
    "es": "un una el la los las y en de del con mi quiero que dibuja es su",
    "it": "un una il lo la le e di del sulla nel con mio mia il voglio che disegna",
    "pt": "um uma o a os as e na no de do da com meu minha quero que desenhe",
    "nl": "een het de en op van met mijn ik je is in die teken wil",
    "sv": "en ett och på är jag min mitt med som den det har vill rita",
    "da": "en et og på er jeg min mit med som den det har vil tegn",
    "ro": "un o pe cu și este mea meu lui vreau",
    "hu": "egy az és van nem akarok rajzolj",
    "tr": "bir ve ile için çiz istiyorum",
    "pl": "na i w z jest mój moja chcę narysuj",
    "cs": "na a v je můj moje s chci nakresli",
}
TELLING_WORDS = {language: frozenset(words.split()) for language, words in _LITTLE_WORDS.items()}
"""Words of every day; one that several languages share speaks for each of them."""

TELLING_WEIGHT = 10.0
"""How much more likely a language is for each of its telling words."""

TELLING_FLOOR = 0.02
"""What a telling word is worth where the letters alone speak against its language."""

HINT_WEIGHT = 2.0
"""How much more likely a text is in the language that the person's page is in."""

_ENOUGH_WORDS = 20  # more of them prove no more
_WORD = re.compile(r"\w+")

LONGEST_SAMPLE = 1_000
"""Code points looked at; more text does not make the answer better, only later."""

REMEMBERED = 256
"""Texts whose languages are not looked for again: each is asked about several times in a run."""


@dataclass(frozen=True, slots=True)
class DetectedLanguage:
    """A language and how sure the detector is.

    Attributes:
        code: ISO 639-1, lower case; empty when nothing is sure enough.
        confidence: 0 to 1.
    """

    code: str
    confidence: float


class Languages:
    """Finds languages in a thread of its own, since it is plain computing.

    The detector's trigram mode is used: 30 MB and 0.1 s to load against 500 MB and 3 s, and on
    wishes of one to ten words it was right as often.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="languages")
        self._detector: LanguageDetector | None = None
        self._remembered: OrderedDict[str, dict[str, float]] = OrderedDict()

    async def detect(self, text: str, hint: str = "") -> DetectedLanguage:
        """Return the language of a text.

        Args:
            text: The text; its first 1 000 code points are looked at.
            hint: ISO 639-1 code of the language that the person uses otherwise.
        """
        sample = text[:LONGEST_SAMPLE]
        found = self._remembered.get(sample)
        if found is None:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._thread, self._confidences, sample)
            self._remembered[sample] = found
            if len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return _weighted(found, sample, hint)

    async def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _confidences(self, text: str) -> dict[str, float]:
        if self._detector is None:
            codes = [getattr(IsoCode639_1, code.upper()) for code in DETECTABLE]
            builder = LanguageDetectorBuilder.from_iso_codes_639_1(*codes)
            self._detector = builder.with_low_accuracy_mode().build()
        values = self._detector.compute_language_confidence_values(text)
        return {value.language.iso_code_639_1.name.lower(): value.value for value in values}


def _weighted(confidences: Mapping[str, float], text: str, hint: str) -> DetectedLanguage:
    """Weigh what the letters say by how often a language is met here, and by its own words."""
    weights = {
        code: confidence * PRIOR.get(code, 1.0) * (HINT_WEIGHT if code == hint else 1.0)
        for code, confidence in confidences.items()
    }
    words = _WORD.findall(text.lower())
    for code, telling in TELLING_WORDS.items():
        if count := min(sum(word in telling for word in words), _ENOUGH_WORDS):
            weights[code] = weights.get(code, 0.0) * TELLING_WEIGHT**count + TELLING_FLOOR * count
    total = sum(weights.values())
    if total <= 0:
        return DetectedLanguage("", 0.0)
    code = max(weights, key=weights.__getitem__)
    confidence = round(weights[code] / total, 3)
    return DetectedLanguage(code if confidence >= MIN_CONFIDENCE else "", confidence)
