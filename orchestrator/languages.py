"""Which language a text is written in, found offline.

Texts here are short ("Eine Blume auf der Wiese"), so a detector made for short texts is used, and
what it is not sure of counts as unknown rather than as a wrong language.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lingua import IsoCode639_1, LanguageDetector, LanguageDetectorBuilder

MIN_CONFIDENCE = 0.5
"""Below this, among so many languages, a guess is no better than none."""

DETECTABLE = (
    *("de", "en", "fr", "es", "it", "nl", "pl", "pt", "tr", "uk", "ru", "ar", "fa"),
    *("hi", "ja", "ko", "zh", "sv", "da", "fi", "cs", "el", "ro", "hu", "vi"),
)
"""Languages that learners here write, and those of the telephone game."""

PRIOR = {"de": 3.0, "en": 3.0}
"""How much more often a language is met than each of the others."""

HINT_WEIGHT = 2.0
"""How much more likely a text is in the language that the person's page is in."""

LONGEST_SAMPLE = 1_000
"""Code points looked at; more text does not make the answer better, only later."""


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

    async def detect(self, text: str, hint: str = "") -> DetectedLanguage:
        """Return the language of a text.

        Args:
            text: The text; its first 1 000 code points are looked at.
            hint: ISO 639-1 code of the language that the person uses otherwise.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._detect, text[:LONGEST_SAMPLE], hint)

    async def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _detect(self, text: str, hint: str) -> DetectedLanguage:
        if self._detector is None:
            codes = [getattr(IsoCode639_1, code.upper()) for code in DETECTABLE]
            builder = LanguageDetectorBuilder.from_iso_codes_639_1(*codes)
            self._detector = builder.with_low_accuracy_mode().build()
        weights = {}
        for value in self._detector.compute_language_confidence_values(text):
            code = value.language.iso_code_639_1.name.lower()
            weight = PRIOR.get(code, 1.0) * (HINT_WEIGHT if code == hint else 1.0)
            weights[code] = value.value * weight
        total = sum(weights.values())
        if total <= 0:
            return DetectedLanguage("", 0.0)
        code = max(weights, key=weights.__getitem__)
        confidence = round(weights[code] / total, 3)
        return DetectedLanguage(code if confidence >= MIN_CONFIDENCE else "", confidence)
